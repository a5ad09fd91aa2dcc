"""Words that look like others: letters of two scripts in one word, and alphabets of symbols.

A word is not written in two scripts. Those who do write so want it to be read by people and missed by filters, or the
other way round. Honest mixtures are set apart by their form: units, formulas, brand names with one foreign letter.

Sources: UTS 39, section 5 (mixed-script detection); UTR 36 (visual spoofing); MITRE ATLAS and CWE-1007.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from trustrag.ingest.document import Document
from trustrag.ingest.screening.base import Finding, Severity, shown
from trustrag.ingest.screening.disguise import confusable, plain

_STANDARD = "CWE-1007"
_WORD = re.compile(r"[^\W\d_]{4,}")
"""A word; shorter mixtures are units, formulas and abbreviations."""
_SYMBOLS = re.compile(
    "(?:[\U0001d400-\U0001d7cb\uff21-\uff3a\uff41-\uff5a\u24b6-\u24e9\U0001f130-\U0001f149\U0001f150-\U0001f169"
    "\U0001f170-\U0001f189\U0001f1e6-\U0001f1ff\u1d00-\u1d2b][ .-]?){4,}"
)
_FLAGS = re.compile("[\U0001f1e6-\U0001f1ff ]+")
_WIDE = re.compile("[\uff21-\uff3a\uff41-\uff5a .-]+")
_FOREIGN = re.compile("[\u0370-\u03ff\u0400-\u052f\u0531-\u058f\u13a0-\u13ff\ua4d0-\ua4ff\u2c80-\u2cff]")
_LATIN = re.compile("[A-Za-z]")
_MARKS = re.compile("[\u0300-\u036f\u0483-\u0489\u20d0-\u20ff]{4,}")


@dataclass(frozen=True, slots=True)
class LookalikeScreen:
    """Homoglyphs: Latin words with letters of other scripts in them, words in symbol alphabets, heaps of accents."""

    name: str = "lookalikes"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Hold two mixed words, or a sentence in symbols; warn of one."""
        text = document.text
        if text.isascii():
            return
        mixed = (
            [match for match in _WORD.finditer(text) if _is_mixed(match[0])] if _FOREIGN.search(text) else []
        )
        different = {match[0].lower() for match in mixed}
        for match in mixed:
            severity = Severity.HOLD if len(different) > 1 or len(mixed) > 2 else Severity.WARN
            reason = f"{shown(match[0])} mixes scripts and reads as {shown(plain(match[0]))}"
            yield Finding("HOMOGLYPH", severity, match.start(), match.end(), reason, _STANDARD)
        yield from _symbols(text)
        for match in _MARKS.finditer(text):
            reason = f"{len(match[0])} accents on one letter"
            yield Finding("STACKED_ACCENTS", Severity.WARN, match.start(), match.end(), reason, _STANDARD)


def _is_mixed(word: str) -> bool:
    """Latin letters, and others that could be taken for Latin; a Greek one at an edge is a symbol (`Δtemp`, `TNFα`)."""
    if word.isascii() or not _LATIN.search(word):
        return False
    foreign = [at for at, char in enumerate(word) if _FOREIGN.match(char)]
    table = confusable()
    likes = [at for at in foreign if ord(word[at]) in table]
    is_symbol = len(likes) == 1 and likes[0] in (0, len(word) - 1) and word[likes[0]] < "\u0400"
    return bool(likes) and len(likes) == len(foreign) and not is_symbol


def _symbols(text: str) -> Iterator[Finding]:
    for match in _SYMBOLS.finditer(text):
        run = match[0].strip()
        # Flags of countries stand in rows; wide letters are how East Asian text writes Latin ones.
        if _FLAGS.fullmatch(run) or (_WIDE.fullmatch(run) and _is_east_asian(text)) or _is_formula(run):
            continue
        said = unicodedata.normalize("NFKC", run)
        severity = Severity.HOLD if " " in said or len(said) > 12 else Severity.WARN
        reason = f"letters taken from a symbol alphabet that read as {shown(said)}"
        yield Finding("SYMBOL_LETTERS", severity, match.start(), match.start() + len(run), reason, _STANDARD)


def _is_formula(run: str) -> bool:
    """Mathematics sets single letters, and rarely five in a row without an operator."""
    return all(len(part) < 4 for part in re.split(r"[ .-]", unicodedata.normalize("NFKC", run)))


def _is_east_asian(text: str) -> bool:
    return re.search("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]", text) is not None
