"""Names and numbers that people choose: what may stand in a statement or a policy.

A name is one line of text in one Unicode form. Two names that look alike may still differ; what cannot be seen
at all (control characters, line breaks, half a surrogate pair) is refused.
"""

import re
import unicodedata
from typing import Final

from trustrag.errors import MalformedError
from trustrag.provenance.canonical import Fields

MAX_NAME_BYTES: Final = 256
MAX_DOC_ID_BYTES: Final = 1024
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")
_NAMED = re.compile(r"(.+):([0-9]{1,15})", re.DOTALL)
_INVISIBLE = frozenset({"Cc", "Cs", "Zl", "Zp"})
# Marks that turn the direction of what follows: "gpj.exe" reads as "exe.jpg" behind one (Trojan Source, CVE-2021-42574).
_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def check_text(value: str, what: str, limit: int = MAX_NAME_BYTES) -> None:
    """One line of text: NFC, no control or line-breaking characters, 1..limit bytes of UTF-8."""
    if not 1 <= len(value) <= limit:
        raise MalformedError(f"{what} must have 1 to {limit} bytes")
    if value.isascii() and value.isprintable():
        return
    if any(unicodedata.category(c) in _INVISIBLE or c in _DIRECTIONS for c in value):
        raise MalformedError(f"{what} holds a control character")
    if len(value.encode()) > limit:
        raise MalformedError(f"{what} must have 1 to {limit} bytes")
    if not unicodedata.is_normalized("NFC", value):
        raise MalformedError(f"{what} is not in Unicode normal form C")


def check_segment(value: str, what: str) -> None:
    """A name that becomes one segment of a scope path: text without a slash."""
    check_text(value, what)
    if "/" in value:
        raise MalformedError(f"{what} must not hold a slash: scopes are split on it")


def passage_name(doc_id: str, chunk: int) -> str:
    """How a passage is written wherever one is: `DOC:CHUNK`, chunks counted from 0."""
    return f"{doc_id}:{chunk}"


def named_passage(name: str) -> tuple[str, int] | None:
    """The document and chunk of a name that `passage_name` could have written; None for any other text.

    What follows the last colon is the chunk, so a document may have colons and digits in its own name.
    """
    found = _NAMED.fullmatch(name)
    return None if found is None else (found[1], int(found[2]))


def check_uri(value: str, what: str) -> None:
    check_text(value, what)
    if _URI.fullmatch(value) is None:
        raise MalformedError(f"{what} must be a URI, as in-toto and SLSA ask")


def check_integer(value: int, what: str, minimum: int = 0) -> None:
    if value < minimum:
        raise MalformedError(f"{what} must be at least {minimum}")


def read_texts(fields: Fields, name: str) -> tuple[str, ...]:
    """An array of strings, each as long as it likes within the cap of the whole."""
    items = fields.items(name)
    texts = tuple(item for item in items if isinstance(item, str))
    if len(texts) != len(items):
        raise MalformedError(f"{fields.where}.{name} holds something that is not a string")
    return texts
