"""The first look: is it of a sane size, is it readable text, in which language is it."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from trustrag.ingest.document import Document
from trustrag.ingest.screening.base import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable

_LANGUAGE_SAMPLE = 2000
_LANGUAGE_MINIMUM = 200

_LONG_WORD = re.compile(r"\S{2000,}")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")
# UTF-8 read as Latin-1 or Windows-1252 and saved again: "Ã©" for "é", "â€™" for an apostrophe.
_MOJIBAKE = re.compile(
    "\u00c3[\u0080-\u00bf]|\u00e2\u20ac[\u2122\u0153\u009d\u201c\u201d\u02dc\u00a6]|\u00ef\u00bf\u00bd"
)


@dataclass(frozen=True, slots=True)
class SizeScreen:
    """Documents far larger than what people write, and runs of text without a single space."""

    maximum: int = 4_000_000
    name: str = "size"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Hold above `maximum` characters; warn of words of 2,000 characters (encoded data in prose)."""
        length = len(document.text)
        if length > self.maximum:
            yield Finding(
                "TOO_LONG", Severity.HOLD, 0, 0, f"{length:,} characters; {self.maximum:,} is the most"
            )
        for match in _LONG_WORD.finditer(document.text):
            reason = f"{match.end() - match.start():,} characters without a space"
            yield Finding("LONG_RUN", Severity.WARN, match.start(), match.end(), reason)


@dataclass(frozen=True, slots=True)
class EncodingScreen:
    """Text that is not what its author wrote: lost characters, double encoding, terminal controls."""

    name: str = "encoding"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Hold control characters that change what a terminal shows, and text that is mostly unreadable."""
        text = document.text
        for match in _CONTROL.finditer(text):
            shown = f"U+{ord(match[0]):04X}"
            # ESC, backspace and the 8-bit CSI rewrite what is already on a screen; the rest is debris.
            severity = Severity.HOLD if match[0] in "\x08\x1b\x9b" else Severity.WARN
            yield Finding(
                "CONTROL", severity, match.start(), match.end(), f"control character {shown}", "CWE-150"
            )
        lost = sum(text.count(c) for c in set(text) if c == "\ufffd" or unicodedata.category(c) == "Co")
        if lost:
            severity = Severity.HOLD if lost * 10 > len(text) else Severity.NOTE
            yield Finding(
                "LOST_TEXT", severity, 0, 0, f"{lost:,} of {len(text):,} characters have no meaning"
            )
        garbled = sum(1 for _ in _MOJIBAKE.finditer(text))
        if garbled:
            severity = Severity.WARN if garbled * 100 > len(text) else Severity.NOTE
            yield Finding("MOJIBAKE", severity, 0, 0, f"{garbled:,} characters look twice encoded")


@dataclass(frozen=True, slots=True)
class LanguageScreen:
    """Which language the text is in, by py3langid, from its first 2,000 characters.

    Without a list of allowed languages it only takes note: a first review cannot know what a source writes.
    Text with fewer than 200 letters is not judged; a guess on a title or a code is noise.
    """

    allowed: Sequence[str] = ()
    name: str = "language"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Note the language (ISO 639-1); hold it when a list of allowed ones does not hold it."""
        sample = document.text[:_LANGUAGE_SAMPLE]
        if sum(map(str.isalpha, sample)) < _LANGUAGE_MINIMUM:
            return
        language = language_of(sample)
        if not self.allowed:
            yield Finding("LANGUAGE", Severity.NOTE, 0, 0, language)
        elif language not in self.allowed:
            reason = f"it reads as {language}; allowed: {', '.join(self.allowed)}"
            yield Finding("LANGUAGE", Severity.HOLD, 0, 0, reason)


def language_of(text: str) -> str:
    """The language of a text, ISO 639-1, by py3langid; a guess where the text is short."""
    return _classifier()(text)[0]


@cache
def _classifier() -> "Callable[[str], tuple[str, float]]":
    # Half a second to load its model: paid by the first document, not by the import.
    from py3langid import classify

    return classify  # type: ignore[no-any-return]
