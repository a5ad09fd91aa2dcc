"""A text as a model may read it: look-alike letters made plain, spaced and reversed words joined, encodings undone.

Language models read base64, leetspeak and mirrored words well enough to follow them, so a filter that reads only
what is written sees nothing. Each disguise is undone where its marks stand, and what comes out is screened again.

Sources: UTS 39 (confusables), UAX 15 (NFKC); the encodings are those collected in garak's probes (Derczynski et al.
2024) and in Wei et al., "Jailbroken" (2023).
"""

import base64
import binascii
import codecs
import html
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain
from urllib.parse import unquote

from trustrag.ingest.screening.base import words_of

LIMIT = 500
"""Encoded runs that are undone in one text; what stands behind so many is data."""
LONGEST = 20_000
"""Characters of one run that are undone."""

_INVISIBLE = dict.fromkeys(
    chain(
        (0xAD, 0x34F, 0x180E, 0xFEFF),
        *(range(*ends) for ends in ((0x200B, 0x2010), (0x202A, 0x202F), (0x2060, 0x2070), (0xFE00, 0xFE10))),
        range(0xE0100, 0xE01F0),
    )
)
_TAGS = {0xE0000 + code: chr(code) for code in range(0x20, 0x7F)}
# What accents, quotation marks and dashes are made of is left out: most text beyond ASCII has nothing else.
_FOREIGN = re.compile("[^\x00-\xac\xae-\u024f\u2010-\u2027\u2030-\u203a\u20ac\u2122\u2212]")
_LEET = str.maketrans("013457@$|!", "oieastasli")
_LEET_WORD = re.compile(r"\b(?=\w*[a-z])[a-z]*[01345@$][\w@$|!]*\b", re.I)
_SPACED = re.compile(r"(?<!\w)(?:\w([ .\-_*·|])){2}(?:(?:\w\1|\1)){8,400}\w(?!\w)")
_UNSPACED = re.compile(r"ignore|disregard|previous|instruction|systemprompt|override")
_ROT13 = {"vtaber", "qvfertneq", "cerivbhf", "vafgehpgvbaf", "vafgehpgvba", "cebzcg", "sbetrg", "bireevqr"}
_MIRRORED = {
    "erongi",
    "drageersid",
    "suoiverp",
    "snoitcurtsni",
    "noitcurtsni",
    "tpmorp",
    "tegrof",
    "edirrevo",
}
_BASE64 = re.compile(r"(?<![\w+/-])(?:[A-Za-z0-9+/_-]{4}){5,}[A-Za-z0-9+/_-]{0,3}={0,2}")
_HEX = re.compile(r"(?:\\x[0-9a-fA-F]{2}){8,}|(?<![0-9a-fA-F])(?:[0-9a-fA-F]{2}[ :]?){16,}(?![0-9a-fA-F])")
_BINARY = re.compile(r"(?<!\d)(?:[01]{8}\s?){8,}(?!\d)")
_PERCENT = re.compile(r"(?:[\w.+~-]{0,80}%[0-9a-fA-F]{2}){5,}[\w.+~-]{0,80}")
_ENTITIES = re.compile(r"(?:&#(?:x[0-9a-fA-F]{1,6}|\d{1,7});\s?){6,}")
_ESCAPES = re.compile(r"(?:\\u[0-9a-fA-F]{4}){6,}")


@dataclass(frozen=True, slots=True)
class Guise:
    """What a piece of a text says once its disguise is off: the words, where it stands, and what hid it.

    `start` and `end` are of the original text; (0, 0) where the disguise is spread over all of it.
    """

    text: str
    start: int
    end: int
    how: str


def plain(text: str) -> str:
    """Letters as they look: compatibility forms folded, invisible ones dropped, confusable ones made Latin."""
    if text.isascii():
        return text
    folded = unicodedata.normalize("NFKC", text.translate(_INVISIBLE).translate(_TAGS))
    return folded.translate(confusable())


def unmasked(text: str) -> Iterator[Guise]:
    """Every disguise that is found in the text, undone."""
    if _FOREIGN.search(text):
        made = plain(text)
        if made != text:
            yield Guise(made, 0, 0, "look-alike or invisible characters")
    words = words_of(text)
    if words & _ROT13:
        yield Guise(codecs.encode(text, "rot13"), 0, 0, "rot13")
    if words & _MIRRORED:
        yield Guise(text[::-1], 0, 0, "words written backwards")
    if sum(1 for _ in zip(_LEET_WORD.finditer(text), range(3), strict=False)) == 3:
        yield Guise(text.translate(_LEET), 0, 0, "digits for letters")
    for match in _SPACED.finditer(text):
        joined = _joined(match[0], match[1])
        if _UNSPACED.search(joined.replace(" ", "").lower()):
            yield Guise(joined, match.start(), match.end(), "letters set apart")
    yield from _decoded(text)


def _joined(run: str, separator: str) -> str:
    """Letters set apart by one character, words by more of it, written together."""
    words = re.split(rf"{re.escape(separator)}{{2,}}|\s{{2,}}", run)
    return " ".join(word.replace(separator, "") for word in words)


def _decoded(text: str) -> Iterator[Guise]:
    count = 0
    for pattern, how, decode in _ENCODINGS:
        for match in pattern.finditer(text):
            count += 1
            if count > LIMIT:
                return
            said = decode(match[0][:LONGEST])
            if _reads(said):
                yield Guise(said, match.start(), match.end(), how)


def _reads(said: str) -> bool:
    """Whether it came out as words: blanks between runs of letters."""
    return (
        len(said) > 12
        and said.count(" ") * 20 > len(said)
        and sum(map(str.isprintable, said)) > 0.9 * len(said)
    )


def _from_base64(run: str) -> str:
    run = run.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(run[: len(run) - (len(run) % 4 == 1)] + "===").decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def _from_hex(run: str) -> str:
    digits = re.sub(r"\\x|[ :]", "", run)
    return bytes.fromhex(digits[: len(digits) // 2 * 2]).decode("utf-8", "replace")


def _from_binary(run: str) -> str:
    digits = "".join(run.split())
    return bytes(int(digits[at : at + 8], 2) for at in range(0, len(digits), 8)).decode("utf-8", "replace")


def _from_escapes(run: str) -> str:
    return "".join(chr(int(part, 16)) for part in run.split("\\u")[1:])


_ENCODINGS: tuple[tuple[re.Pattern[str], str, Callable[[str], str]], ...] = (
    (_BASE64, "base64", _from_base64),
    (_HEX, "hexadecimal", _from_hex),
    (_BINARY, "binary digits", _from_binary),
    (_PERCENT, "percent encoding", unquote),
    (_ENTITIES, "character references", lambda run: html.unescape(run.replace("; ", ";"))),
    (_ESCAPES, "escape sequences", _from_escapes),
)


@cache
def confusable() -> dict[int, str]:
    """Characters of other scripts that look like a Latin letter, by the Unicode confusables; loaded when needed."""
    from confusable_homoglyphs.confusables import confusables_data

    table: dict[int, str] = {}
    for character, likes in confusables_data.items():
        if len(character) != 1 or character.isascii():
            continue
        latin = [
            like["c"] for like in likes if len(like["c"]) == 1 and like["c"].isascii() and like["c"].isalnum()
        ]
        if latin:
            # The table's order is by code point: a small letter, where one is offered, is what prose is made of.
            table[ord(character)] = next(
                (one for one in latin if one.islower() == character.islower()), latin[0]
            )
    return table
