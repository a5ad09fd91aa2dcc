"""One claim in many documents of one owner: copies, and rewordings that no hash sees.

A flood is what ranking counts as one voice anyway; here it is stopped before it takes places in the index. Copies are
found by MinHash; rewordings by their vectors and by the names and numbers that they share: two articles of one series
are near each other and name different things, two wordings of one lie name the same (PoisonedRAG's texts of one
question share nine in ten of their names, neighbouring articles of an encyclopaedia one in four).
"""

from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from trustrag.consistency.reading import DATE, NAME, NUMBER, read
from trustrag.ingest.screening.bait import opening_question
from trustrag.ingest.screening.base import Finding, Screen, Severity
from trustrag.ingest.screening.company import Around, Arrival, Found, Near, Vectors
from trustrag.ingest.screening.minhash import LEAST, likeness, signatures

CRAFTED = "AML.T0070"
OTHERS = 2
"""Other documents that say the same, from which it is a flood: three in all."""
NEARBY, NEAREST = 0.65, 8
"""Cosine from which passages are compared by their names, and how many at most are."""
NAMES_WEIGH = 0.5
SAME = 1.15
"""Cosine plus half the share of names in common, from which two passages make one claim about one thing."""
SPREAD = 1.0
"""The same for a passage beside two that are known to be of a flood."""
WORDS = 10
"""Words of a passage below which it is a heading and compared with nothing."""
ALL_OF_IT = 0.5
"""Share of a document's passages that have to be in a flood: a footer on every page is none."""


@dataclass(frozen=True, slots=True, eq=False)
class _Passage:
    doc_id: str
    text: str
    vector: Vectors


@dataclass(slots=True, eq=False)
class _Kin:
    """The other documents that say the same as one passage, each with how sure that is."""

    same: dict[str, float] = field(default_factory=dict)
    copies: set[str] = field(default_factory=set)
    standing: set[str] = field(default_factory=set)
    """Those of the store that were let in, when nothing was repeated yet."""

    def add(self, doc_id: str, sameness: float) -> None:
        self.same[doc_id] = max(sameness, self.same.get(doc_id, 0.0))

    def certain(self) -> set[str]:
        return {doc_id for doc_id, sameness in self.same.items() if sameness >= SAME} | self.copies


@dataclass(frozen=True, slots=True)
class FloodScreen:
    """Near-duplicates and rewordings, within the batch and against what their owner published before."""

    name: str = "floods"
    version: int = 1

    def among(self, batch: Sequence[Arrival], around: Around) -> Screen:
        """Hold documents that say what two others of their owner say; warn of a single copy."""
        found: dict[str, list[Finding]] = {}
        owners = {arrival.owner for arrival in batch}
        for owner in sorted(owners):
            own = [arrival for arrival in batch if arrival.owner == owner]
            found |= _floods(own, owner, around)
        return Found(self.name, self.version, found)


def _floods(own: Sequence[Arrival], owner: str, around: Around) -> dict[str, list[Finding]]:
    kin = _kin(own, owner, around)
    sure = {
        arrival.document.doc_id
        for arrival in own
        if _share([len(one.certain()) >= OTHERS for one in kin[arrival.document.doc_id]]) >= ALL_OF_IT
    }
    flooded = sure | {
        arrival.document.doc_id
        for arrival in own
        if _share([_beside(one, sure) for one in kin[arrival.document.doc_id]]) >= ALL_OF_IT
    }
    found: dict[str, list[Finding]] = {}
    for arrival in own:
        doc_id = arrival.document.doc_id
        finding = _flood(arrival, kin[doc_id]) if doc_id in flooded else _copy(kin[doc_id])
        if finding is not None:
            found[doc_id] = [finding]
    return found


def _share(holds: Sequence[bool]) -> float:
    return sum(holds) / len(holds) if holds else 0.0


def _beside(kin: _Kin, sure: set[str]) -> bool:
    return sum(doc_id in sure and sameness >= SPREAD for doc_id, sameness in kin.same.items()) >= OTHERS


def _kin(own: Sequence[Arrival], owner: str, around: Around) -> dict[str, list[_Kin]]:
    """For each document, and each of its passages, who says the same."""
    passages = [
        _Passage(arrival.document.doc_id, text, vector)
        for arrival in own
        for text, vector in zip(arrival.passages, arrival.vectors, strict=True)
    ]
    made = [_Kin() for _ in passages]
    _compare_meaning(passages, made, owner, around)
    _compare_wording(passages, made, owner, around)
    by_document: dict[str, list[_Kin]] = defaultdict(list)
    for passage, kin in zip(passages, made, strict=True):
        by_document[passage.doc_id].append(kin)
    return by_document


def _compare_meaning(passages: Sequence[_Passage], made: Sequence[_Kin], owner: str, around: Around) -> None:
    vectors = np.stack([passage.vector for passage in passages])
    past = around.past(owner)
    beside = vectors @ vectors.T
    # A document's own passages are near each other: left in, they would take the places of its accomplices.
    _, documents = np.unique([passage.doc_id for passage in passages], return_inverse=True)
    beside[documents[:, None] == documents[None, :]] = -1.0
    for place, near in enumerate(_nearest(beside)):
        for other in near:
            _weigh(
                passages[place],
                passages[other].doc_id,
                passages[other].text,
                beside[place, other],
                made[place],
            )
    before = vectors @ past.vectors.T
    for place, near in enumerate(_nearest(before)):
        for row in near:
            stored = past.passage(row)
            # An earlier version of the same document is its predecessor, not its accomplice.
            if stored is not None and stored.doc_id != passages[place].doc_id:
                _weigh(passages[place], stored.doc_id, stored.text, before[place, row], made[place])
                if stored.stands:
                    made[place].standing.add(stored.doc_id)


def _nearest(cosines: Vectors) -> Iterator[list[int]]:
    """For each row the columns nearest to it, from `NEARBY` on."""
    most = min(NEAREST, cosines.shape[1])
    for line in cosines:
        best = np.argpartition(-line, most - 1)[:most] if most else np.empty(0, np.intp)
        yield [int(at) for at in best if line[at] >= NEARBY]


def _weigh(passage: _Passage, doc_id: str, text: str, cosine: float, kin: _Kin) -> None:
    sameness = float(cosine) + NAMES_WEIGH * names_shared(passage.text, text)
    if sameness >= SPREAD:
        kin.add(doc_id, sameness)


@lru_cache(maxsize=20_000)
def _named(text: str) -> tuple[int, frozenset[str]]:
    """How many words a text has, and the names, dates and numbers in it: of the stored ones asked again and again."""
    reading = read(text)
    return len(reading.words), frozenset(v.form for v in reading.values if v.kind in (NAME, DATE, NUMBER))


def names_shared(mine: str, theirs: str) -> float:
    """The share of names, dates and numbers of the poorer text that the other has, too; 0 where it is a heading."""
    (length, ours), (other, others) = _named(mine), _named(theirs)
    if min(length, other) < WORDS:
        return 0.0
    return len(ours & others) / min(len(ours), len(others)) if ours and others else 0.0


def _compare_wording(passages: Sequence[_Passage], made: Sequence[_Kin], owner: str, around: Around) -> None:
    rows = signatures([passage.text for passage in passages])
    stored = around.duplicates(rows)
    for place, passage in enumerate(passages):
        alike = likeness(rows[place], rows) >= LEAST
        beside = [
            Near(other.doc_id, owner, other.text) for other, near in zip(passages, alike, strict=True) if near
        ]
        for near in (*beside, *stored[place]):
            if (
                near.owner == owner
                and near.doc_id != passage.doc_id
                and _says_the_same(passage.text, near.text)
            ):
                made[place].copies.add(near.doc_id)
                if near in stored[place] and near.stands:
                    made[place].standing.add(near.doc_id)


def _says_the_same(mine: str, theirs: str) -> bool:
    """Whether two texts of the same words name the same: a form letter with other values is a row of a table."""
    (length, ours), (_, others) = _named(mine), _named(theirs)
    return length >= WORDS and len(ours ^ others) <= 0.1 * len(ours | others)


def _flood(arrival: Arrival, kin: Sequence[_Kin]) -> Finding:
    names = {name for one in kin for name in (*one.same, *one.copies)}
    standing = {name for one in kin for name in one.standing} & names
    asks = opening_question(arrival.document.text) is not None
    question = ", each opening with a question" if asks else ""
    reason = f"it says in other words what {len(names)} more documents of {arrival.owner} say: {_listed(names)}{question}"
    if standing:
        # They came first, when nothing was repeated yet. Only a person can rule on what was let in.
        reason += (
            f"; already let in: {_listed(standing)} (`trustrag quarantine DOC --reason ...` holds it, too)"
        )
    return Finding("FLOOD", Severity.HOLD, 0, 0, reason, CRAFTED)


def _listed(names: Collection[str]) -> str:
    first = ", ".join(sorted(names)[:3])
    return f"{first} and {len(names) - 3} more" if len(names) > 3 else first


def _copy(kin: Sequence[_Kin]) -> Finding | None:
    copies = sorted({name for one in kin for name in one.copies})
    if not copies or _share([bool(one.copies) for one in kin]) < ALL_OF_IT:
        return None
    return Finding("NEAR_DUPLICATE", Severity.WARN, 0, 0, f"nearly the same as {copies[0]}")
