"""Text that nobody would write: strings of letters without a language, and words that don't follow one another.

Optimised passages (HotFlip, GCG, and their like) are words chosen one by one to move a vector. Each may be common; what
they lack is grammar. English, like most languages of the Latin script, spends two words in five on function words, and
never goes without for long. So windows of words are judged by their function words, and tokens by their letters; no
model is loaded. Tables, lists and code lack grammar too, and are told apart by their punctuation and line breaks.

Sources: Jain et al. 2023 and Alon & Kamfonas 2023 (perplexity as a defence); Zou et al. 2025, section 4.2 (white-box).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trustrag.ingest.document import Document
from trustrag.ingest.screening.base import Finding, Severity, shown

_STANDARD = "AML.T0043"
WINDOW = 24
"""Words that are judged together."""
LEAST_FUNCTION = 2
"""Function words that a window of prose has at least; in 12,000 windows of an encyclopaedia one in a thousand has fewer."""
NOISE = 12
"""Longer words from which their spelling is judged."""
STRANGE = 0.35
"""Share of a text's longer words that no language spells so, from which it is noise."""

_FUNCTION = frozenset(
    """a an the of to in on at by for from with without into onto over under about after before between through during as
    and or but nor so yet if when while where which who whom whose that this these those than then there here not no
    is are was were be been being am has have had do does did can could may might must shall should will would
    i you he she it we they me him her us them my your his its our their one some any all each every both more most other
    such only also how what why much many very out up down off because until since although however per via s
    der die das und ist ein eine den dem des zu mit von im auf nicht für sich auch es an als bei nach wie
    le la les de des du un une et est en dans que qui pour sur pas au aux par avec ce il elle
    el los las y es una por con para del al se su lo como más il lo gli e di che non per una sono della
    o os as em um uma não com do da dos das na no het een en van niet op te zijn voor met""".split()
)
_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d[\d.,:%]*|[^\w\s]|\n+")
_VOWEL = re.compile(r"[aeiouyàáâäãåæèéêëìíîïòóôöõøœùúûüýąęăâîıőű]", re.I)
_ODD = re.compile(r"[bcdfghjklmnpqrstvwxz]{6,}|(.)\1{3,}|q[^u\W]|[jqvxz]{3,}", re.I)
_LATIN = re.compile(r"[A-Za-zÀ-ÿĀ-ž'’]+")


@dataclass(frozen=True, slots=True)
class GibberishScreen:
    """Letters without a language, and runs of words without grammar."""

    name: str = "gibberish"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Hold text that is mostly noise, and prose-like runs without function words; warn where it is less."""
        text = document.text
        words = [match for match in _TOKEN.finditer(text)]
        letters = [match[0] for match in words if len(match[0]) > 3 and _LATIN.fullmatch(match[0])]
        strange = sum(map(is_strange, letters))
        if len(letters) >= NOISE and strange > STRANGE * len(letters):
            reason = f"{strange} of its {len(letters)} longer words are spelt as no language spells"
            yield Finding("GIBBERISH", Severity.HOLD, 0, 0, reason, _STANDARD)
            return
        yield from _ungrammatical(text, words)


def is_strange(word: str) -> bool:
    """Whether a word of the Latin script has no vowel, or letters that don't stand beside each other."""
    if word.isupper() and len(word) < 8:
        return False  # an abbreviation
    return _VOWEL.search(word) is None or _ODD.search(word) is not None


def _ungrammatical(text: str, tokens: Sequence[re.Match[str]]) -> Iterator[Finding]:
    """The longest stretches of words in which function words are missing."""
    run: list[re.Match[str]] = []
    for match in [*tokens, None]:
        if match is not None and _goes_on(match[0]):
            run.append(match)
            continue
        if len(run) >= WINDOW:
            yield from _windows(text, run)
        run = []


def _goes_on(token: str) -> bool:
    """Whether a stretch of words runs on over a token: a line break, a separator or a sign of code ends it."""
    return token[0].isalpha() or token in ".,'\u2019-?!"


def _windows(text: str, run: Sequence[re.Match[str]]) -> Iterator[Finding]:
    words = [match for match in run if match[0][0].isalpha()]
    function = [match[0].lower() in _FUNCTION for match in words]
    plain = [match[0].islower() for match in words]
    commas = sum(match[0] in ",-" for match in run)
    if len(words) < WINDOW or commas * 4 > len(words):
        return  # an enumeration
    start: int | None = None
    count, end = 0, 0
    for at in range(len(words) - WINDOW + 1):
        window = slice(at, at + WINDOW)
        latin = all(_LATIN.fullmatch(match[0]) for match in words[window])
        if latin and sum(function[window]) < LEAST_FUNCTION and sum(plain[window]) > 0.6 * WINDOW:
            start, count, end = (
                (words[at].start() if start is None else start),
                count + 1,
                words[at + WINDOW - 1].end(),
            )
    if start is not None:
        severity = Severity.HOLD if count > 3 else Severity.WARN
        reason = f"words without grammar: {shown(text[start:end])}"
        yield Finding("WORD_SALAD", severity, start, end, reason, _STANDARD)
