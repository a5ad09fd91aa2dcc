"""What one search has found so far: proved candidates, refusals, and what the index got wrong."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from trustrag.errors import Refusal
from trustrag.index.base import Hit, Vector
from trustrag.provenance.canonical import Metadata
from trustrag.provenance.evidence import RefusedPassage, VerifiedPassage
from trustrag.retrieval.ranking import Candidate
from trustrag.stored import StoredPassage, UnprovedPassage, matches

MAX_FAULTS = 20
"""How many things wrong with an index are told in one report."""

_TOLERANCE = 1e-3
"""How far an honest index's arithmetic may be from ours."""


@dataclass(frozen=True, slots=True)
class Found:
    """A proved passage, as ranking sees it and as it was stored."""

    passage: VerifiedPassage
    candidate: Candidate
    stored: StoredPassage


@dataclass(slots=True)
class Pool:
    """Room for `size` candidates, of which one source takes at most `share`; `wanted` are enough to answer.

    `query` is a unit vector, float32[dimension]. `publishers` are all sources that could be found. `where`
    and `sources` are the caller's filter.
    """

    query: Vector
    wanted: int
    size: int
    share: int
    publishers: frozenset[str]
    where: Mapping[str, Metadata] | None
    sources: Collection[str] | None
    found: list[Found] = field(default_factory=list)
    refused: list[RefusedPassage] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    unknown_fields: tuple[str, ...] = ()
    _claimed: dict[int, float] = field(default_factory=dict)
    _taken: Counter[str] = field(default_factory=Counter)

    @property
    def full(self) -> bool:
        """Whether it wants no more."""
        return len(self.found) >= self.size or self.open_to == frozenset()

    @property
    def enough(self) -> bool:
        """Whether there are candidates for a whole answer."""
        return len(self.found) >= self.wanted

    @property
    def open_to(self) -> frozenset[str] | None:
        """The sources that it still has room for; None where nothing but the caller's filter counts.

        Where there is one source only, there is nobody to make room for.
        """
        crowded = {name for name, count in self._taken.items() if count >= self.share}
        if len(self.publishers) > 1 and crowded:
            return self.publishers - crowded
        return None if self.sources is None else self.publishers

    @property
    def filtered(self) -> bool:
        """Whether the caller asked for some passages only."""
        return bool(self.where) or self.sources is not None

    def fresh(self, hits: Sequence[Hit]) -> list[int]:
        """The ids of these hits that no earlier draw had, in order."""
        fresh: list[int] = []
        seen: set[int] = set()
        for hit in hits:
            if not 0 <= hit.id < 1 << 63:
                self._fault(f"it named {hit.id}, which can't be an id")
            elif hit.id in seen:
                self._fault(f"it named chunk {hit.id} twice")
            elif hit.id not in self._claimed:
                self._claimed[hit.id] = hit.score
                fresh.append(hit.id)
            seen.add(hit.id)
        return fresh

    def take(self, stored: StoredPassage | UnprovedPassage, result: VerifiedPassage | RefusedPassage) -> None:
        """Sort in what the gate said of one candidate."""
        if isinstance(result, RefusedPassage) or isinstance(stored, UnprovedPassage):
            if isinstance(result, RefusedPassage):
                self.refused.append(result)
            return
        relevance = self._relevance(result.vector)
        if relevance is None:
            reason = f"its vector has no direction in {len(self.query)} dimensions"
            self.refused.append(RefusedPassage(result.doc_id, result.index, Refusal.MALFORMED, reason))
            return
        claimed = self._claimed[stored.chunk_id]
        if not abs(claimed - relevance) <= _TOLERANCE:
            self._fault(f"it gave chunk {stored.chunk_id} the score {claimed:.3f}, and it is {relevance:.3f}")
        objection = self._misfiled(stored, result)
        if objection:
            self._refuse(result, objection)
        elif len(self.publishers) == 1 or self._taken[result.source] < self.share:
            self._taken[result.source] += 1
            self.found.append(Found(result, candidate_of(result, relevance), stored))

    def take_hidden(self, stored: StoredPassage, result: VerifiedPassage | RefusedPassage) -> None:
        """Sort in a candidate that the store's rows leave out of the filter: it is told where what was proved is in it."""
        if isinstance(result, VerifiedPassage) and self._wanted(result):
            reason = (
                self._misfiled(stored, result)
                or "the rows that filters go by leave it out, and it is in the filter"
            )
            self._refuse(result, reason)

    def outside(self, chunk_id: int) -> None:
        """The index named what it was told to leave out."""
        self._fault(f"it named chunk {chunk_id}, which the filter leaves out")

    def _misfiled(self, stored: StoredPassage, result: VerifiedPassage) -> str:
        """What the rows of a proved passage say otherwise than what was signed; empty where they agree."""
        if stored.source_name != result.source:
            return f"its row says that it is of source {stored.source_name}, and {result.source} signed it"
        return (
            ""
            if self._wanted(result)
            else "the rows that filters go by put it into the filter, and it is outside"
        )

    def _refuse(self, passage: VerifiedPassage, reason: str) -> None:
        told = f"{Refusal.TAMPERED_METADATA}: {reason}: see trustrag audit"
        self.refused.append(RefusedPassage(passage.doc_id, passage.index, Refusal.TAMPERED_METADATA, told))

    def _wanted(self, passage: VerifiedPassage) -> bool:
        """Whether what was proved, and not what the rows said, satisfies the filter."""
        return matches(passage.metadata, self.where or {}) and (
            self.sources is None or passage.source in self.sources
        )

    def _relevance(self, vector: bytes) -> float | None:
        """The cosine with the query, whatever length was signed; None where there is none."""
        row = np.frombuffer(vector, "<f4") if len(vector) == 4 * len(self.query) else np.zeros(1)
        length = float(np.linalg.norm(row))
        return float(row @ self.query) / length if 0 < length < float("inf") else None

    def _fault(self, what: str) -> None:
        if len(self.faults) < MAX_FAULTS:
            self.faults.append(what)


def candidate_of(passage: VerifiedPassage, relevance: float) -> Candidate:
    asked = passage.metadata.get("question")
    return Candidate(
        text=passage.text,
        source=passage.source,
        relevance=relevance,
        vector=np.frombuffer(passage.vector, "<f4"),
        trust=passage.trust / 1000,
        probation=passage.probation,
        owner=passage.owner,
        position=passage.source_index,
        verified=True,
        pair=isinstance(asked, str) and bool(asked) and passage.text.startswith(asked),
    )
