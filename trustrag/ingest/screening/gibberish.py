"""Text that nobody would write: strings of letters without a language, and words that don't follow one another.

Optimised passages (HotFlip, GCG, and their like) are words chosen one by one to move a vector. Each may be common; what
they lack is grammar. English, like most languages of the Latin script, spends two words in five on function words, and
never goes without for long: so words are counted from one to the next, and tokens are judged by their letters. No
model is loaded. Tables, lists and code lack grammar too, and are told apart by their punctuation and line breaks.

Sources: Jain et al. 2023 and Alon & Kamfonas 2023 (perplexity as a defence); Zou et al. 2025, section 4.2 (white-box).
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trustrag.ingest.document import Document
from trustrag.ingest.screening.base import Finding, Severity, shown
from trustrag.ingest.screening.basic import language_of

_STANDARD = "AML.T0043"
RUN, SURE = 12, 14
"""Words in a row without a function word or a stop between them: few texts have as many as the first (6 of 14,297
passages of an encyclopaedia), none of those the second."""
SMALL = 0.5
"""Share of words without a capital among them: with fewer, it may be the labels and names of a menu or a table that lost
its lines, which pages of the web are full of."""
VARIED = 0.6
"""Share of different words among them: less is one phrase over and over, which is no attempt at anything."""
NOISE = 12
"""Longer words from which their spelling is judged."""
STRANGE = 0.35
"""Share of a text's longer words that no language spells so, from which it is noise."""

_FUNCTION = frozenset(
    """a an the of to in on at by for from with without into onto over under about after before between through during as
    against among around across along behind beyond near toward towards upon within like despite except whether unless
    just now too still even again once else own same few less least another either neither none nothing something
    and or but nor so yet if when while where which who whom whose that this these those than then there here not no
    is are was were be been being am has have had do does did can could may might must shall should will would
    i you he she it we they me him her us them my your his its our their one some any all each every both more most other
    such only also how what why much many very out up down off because until since although however per via s
    der die das und ist ein eine den dem des zu mit von im auf nicht für sich auch es an als bei nach wie
    le la les de des du un une et est en dans que qui pour sur pas au aux par avec ce il elle
    el los las y es una por con para del al se su lo como más il lo gli e di che non per una sono della
    o os as em um uma não com do da dos das na no het een en van niet op te zijn voor met""".split()
)
_EDGES = ".,;:!?()[]\"'“”„«»-"
_KNOWN = frozenset("en de fr es it pt nl".split())
_TOKEN = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d[\d.,:%]*|[^\w\s]|\n+")
_VOWEL = re.compile(r"[aeiouyàáâäãåæèéêëìíîïòóôöõøœùúûüýąęăâîıőű]", re.I)
_ODD = re.compile(r"[bcdfghjklmnpqrstvwxz]{6,}|(.)\1{3,}|q[^u\W]|[jqvxz]{3,}", re.I)
_LATIN = re.compile(r"[A-Za-zÀ-ÿĀ-ž'’]+")


@dataclass(frozen=True, slots=True)
class GibberishScreen:
    """Letters without a language, and runs of words without grammar."""

    name: str = "gibberish"
    version: int = 2

    def check(self, document: Document) -> Iterator[Finding]:
        """Hold text that is mostly noise, and prose-like runs without function words; warn where it is less."""
        text = document.text
        words = list(_TOKEN.finditer(text))
        # Encoded data, names of variables and addresses are no words: only what stands between blanks is.
        parts = (part.strip(_EDGES) for part in text.split())
        letters = [part for part in parts if len(part) > 3 and _LATIN.fullmatch(part)]
        strange = sum(map(is_strange, letters))
        if len(letters) >= NOISE and strange > STRANGE * len(letters):
            reason = f"{strange} of its {len(letters)} longer words are spelt as no language spells"
            yield Finding("GIBBERISH", Severity.HOLD, 0, 0, reason, _STANDARD)
            return
        yield from _salad(text, words)


def is_strange(word: str) -> bool:
    """Whether a word of the Latin script has no vowel, or letters that don't stand beside each other."""
    if word.isupper() and len(word) < 8:
        return False  # an abbreviation
    return _VOWEL.search(word) is None or _ODD.search(word) is not None


def _salad(text: str, tokens: Sequence[re.Match[str]]) -> Iterator[Finding]:
    """Runs of words in which no function word stands, in a language whose function words are known."""
    run: list[re.Match[str]] = []
    for match in [*tokens, None]:
        if match is not None and match[0][0].isalnum():
            if match[0].lower().partition("'")[0].partition("’")[0] not in _FUNCTION:
                run += [match] * match[0][0].isalpha()  # a number is no word, and ends no run of them
                continue
        elif match is not None and match[0] in "'’":
            continue
        if len(run) >= RUN and len({word[0].lower() for word in run}) >= VARIED * len(run):
            start, end = run[0].start(), run[-1].end()
            if language_of(text[start:end]) in _KNOWN:
                is_plain = sum(word[0].islower() for word in run) >= SMALL * len(run)
                severity = Severity.HOLD if len(run) >= SURE and is_plain else Severity.WARN
                reason = f"{len(run)} words without grammar: {shown(text[start:end])}"
                yield Finding("WORD_SALAD", severity, start, end, reason, _STANDARD)
        run = []
