"""What a passage answers: its values in the slot that the question asks for, and who states the same.

The rules-and-values judge. No model: a question word tells the kind of value that is asked for, and a value counts
the more, the more of the question stands in its sentence, the closer to it, and the rarer it is in the list.
"""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trustrag.consistency.reading import DATE, NAME, NUMBER, TERM, Reading, read

Answers = Mapping[str, float]
"""Values of one passage that may answer the question, each with its weight in 0..1."""

_COUNT = re.compile(
    r"\bhow (?:many|much|long|old|far|tall|big|high|often|deep|large|fast|heavy)\b|\bpercent(?:age)?\b|\bnumber of\b",
    re.I,
)
_WHEN = re.compile(r"\bwhen\b|\b(?:which|what) (?:year|date|day|month|century|decade)\b", re.I)
_WH = re.compile(r"\b(?:who|whom|whose|when|where|which|what|why|how)\b", re.I)
_FITS: Mapping[str, Mapping[str, float]] = {
    NUMBER: {NUMBER: 1.0, DATE: 0.2},
    DATE: {DATE: 1.0, NUMBER: 0.5},
    NAME: {NAME: 1.0},
    TERM: {NAME: 1.0, NUMBER: 0.8, DATE: 0.8, TERM: 0.6},
}
NEIGHBOUR = 0.5
"""What a sentence beside one that holds the question's words has of their weight: "The role went to X." follows."""
REACH = 8.0
"""Words of distance from the nearest question word at which a value's weight is halved."""


RARE = 1.5
"""Rarity (log of the list's length over the passages that hold a word) from which a word is not common there."""


def slot(question: str) -> str:
    """The kind of value that answers the question: number, date, name, or term where anything may."""
    first = _WH.search(question)
    if _COUNT.search(question):
        return NUMBER
    when = _WHEN.search(question)
    if when and (first is None or when.start() <= first.start()):
        return DATE
    return NAME if first and first.group().lower() in ("who", "whom", "whose") else TERM


@dataclass(frozen=True, slots=True)
class Wanted:
    """A question against a list of passages: the kind it asks for, its terms' weights, and how rare words are.

    `rare` is the rarity from which a word is rare; in a short list, that of a word which only one passage holds.
    """

    kind: str
    terms: Mapping[str, float]
    rarity: Mapping[str, float]
    unseen: float
    rare: float


def want(question: str, readings: Sequence[Reading]) -> Wanted:
    """Weigh the question's terms by how few of the passages hold them; a term that none holds tells little."""
    n = len(readings)
    held = Counter(term for reading in readings for term in reading.terms)
    rarity = {term: math.log((n + 1) / (count + 0.5)) for term, count in held.items()}
    terms = {root: max(0.1, rarity.get(root, 0.5)) for root in read(question).roots if root}
    rare = max(0.1, min(RARE, math.log((n + 1) / 1.5)))
    return Wanted(slot(question), terms, rarity, math.log(2 * (n + 1)), rare)


def answers(wanted: Wanted, reading: Reading) -> dict[str, float]:
    """The values of a passage that may fill the slot: normal form -> weight in 0..1."""
    total = sum(wanted.terms.values())
    if not total:
        return {}
    hits = [place for place, root in enumerate(reading.roots) if root in wanted.terms]
    held: dict[int, set[str]] = {}
    for place in hits:
        held.setdefault(reading.sentence_of[place], set()).add(reading.roots[place])
    cover = {sentence: sum(wanted.terms[term] for term in terms) / total for sentence, terms in held.items()}
    found: dict[str, float] = {}
    for value in reading.values:
        fit = _FITS[wanted.kind].get(value.kind, 0.0)
        if not fit or value.form in wanted.terms or not hits:
            continue
        sentence = reading.sentence_of[value.place]
        beside = max(cover.get(sentence - 1, 0.0), cover.get(sentence + 1, 0.0))
        share = max(cover.get(sentence, 0.0), NEIGHBOUR * beside)
        near = 1 / (1 + min(abs(value.place - place) for place in hits) / REACH)
        rare = min(1.0, wanted.rarity.get(value.form, wanted.unseen) / wanted.rare)
        found[value.form] = max(found.get(value.form, 0.0), fit * share * near * rare)
    return {form: weight for form, weight in found.items() if weight > 0}


def leading(found: Answers) -> str:
    """The value with the most weight, or the empty string."""
    return max(found, key=lambda form: (found[form], form)) if found else ""


def agreement(a: Answers, b: Answers) -> tuple[float, str]:
    """How far two passages state one value (0..1), and which: the product of its relative weights in both."""
    if not a or not b:
        return 0.0, ""
    most = max(a.values()) * max(b.values())
    shared = [(a[form] * b[form] / most, form) for form in a if form in b]
    return max(shared, default=(0.0, ""))
