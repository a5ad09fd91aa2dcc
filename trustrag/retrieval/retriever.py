"""The way out: the index proposes, the gate decides, ranking orders what is proved.

    retriever = Retriever(ledger, folder / "index", embedder, Gate(policy, context, memory))
    report = retriever.search("How long are logs kept?", k=5, now=now)

An index is a cache that follows the ledger: only `sync` writes it, and every search looks first whether the
ledger has moved on. What the index answers is a hint. Each hit is read from one consistent view of the
ledger, proved under the snapshot of that view, scored again from the vector that was proved, and checked
again against the caller's filter. An index that lies can leave something out, and nothing else.
"""

import logging
import math
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trustrag.errors import BackendError, LedgerError, NotFoundError, ProofError, Refusal, VerificationError
from trustrag.index.base import Hit, Ids, RowIndex, Vector, VectorIndex, Vectors
from trustrag.index.embedding import Embedder
from trustrag.index.locks import ReadWriteLock
from trustrag.index.opening import open_index
from trustrag.provenance.canonical import Digest, Metadata
from trustrag.provenance.evidence import Head, RefusedPassage, VerifiedPassage
from trustrag.provenance.export import EvidenceFile, ShownPassage
from trustrag.provenance.policy import TrustedSnapshot
from trustrag.retrieval.gate import Gate
from trustrag.retrieval.pool import Pool
from trustrag.retrieval.ranking import Certificate, Contest, Explanation, Mode, rerank
from trustrag.stored import Store, StoredPassage, StoreView, UnprovedPassage

SOURCE_SHARE = 4
"""Places that one source may take among the candidates: this many, or as many as were asked for if more.
A source can still fill the answer, and can't crowd everyone else out of the comparison."""

OVERDRAW = 4
"""Proved candidates given to ranking, in such shares, so that it sees who else agrees."""

DEPTH = 200
"""How many hits to look at for more candidates once there are enough for the answer."""

_BLOCK = 20_000
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RankedPassage:
    """A proved passage in its place. `relevance` is the cosine with the question, from the proved vector."""

    passage: VerifiedPassage
    relevance: float
    score: float
    rank: int
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """The sealed state that a search answered from; times in unix seconds.

    Where `witnesses` is empty, nobody outside vouches that others are shown the same history.
    """

    version: int
    root: Digest
    log_size: int
    issued_at: int
    expires: int
    witnesses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SearchReport:
    """What was found and proved, best context first, and what was refused and why.

    `considered` proved candidates were compared by ranking. `faults` tells where the index said something
    untrue. `evidence()` proves the passages without the store.
    """

    question: str
    passages: tuple[RankedPassage, ...]
    refused: tuple[RefusedPassage, ...]
    contested: tuple[Contest, ...]
    certificate: Certificate | None
    snapshot: SnapshotInfo
    considered: int
    faults: tuple[str, ...]
    head: Head = field(repr=False)
    stored: tuple[StoredPassage, ...] = field(repr=False)

    def evidence(self) -> EvidenceFile:
        """All that proves `passages` to somebody who has the policy and nothing else of the store."""
        shown = (
            ShownPassage(found.text, found.metadata, found.vector, found.evidence) for found in self.stored
        )
        return EvidenceFile(self.head, tuple(shown))


class Retriever:
    """Search over one store. Many threads may search at once; `gate` may be replaced between searches.

    `index` is a kind for `open_index`, or an index of the caller's. Its cache file lies in `index_folder` and
    may be deleted at any time; with None there is none.
    """

    def __init__(
        self,
        ledger: Store,
        index_folder: Path | None,
        embedder: Embedder,
        gate: Gate,
        *,
        index: str | VectorIndex = "flat",
    ) -> None:
        self.gate = gate
        self._ledger = ledger
        self._embedder = embedder
        self._index = open_index(index, embedder.id.dimension) if isinstance(index, str) else index
        name = index if isinstance(index, str) else type(index).__name__
        self._file = index_folder and index_folder / f"{name}.idx"
        self._version: int | None = None
        self._unsaved = 0
        self._following = threading.Lock()
        self._turns = ReadWriteLock()

    @property
    def embedder(self) -> Embedder:
        """What turns a question into a vector."""
        return self._embedder

    def sync(self) -> int:
        """Bring the index to the ledger's newest snapshot and return its version."""
        with self._ledger.view() as view:
            version = view.snapshot().version
            self._follow(view, version)
        return version

    def indexed(self) -> Ids:
        """The ids that the index holds once it has followed the ledger, int64[n], ascending."""
        self.sync()
        return self._index.ids()

    def search(
        self,
        question: str,
        *,
        k: int = 5,
        now: int,
        sources: Collection[str] | None = None,
        where: Mapping[str, Metadata] | None = None,
        mode: Mode = "weighted",
        min_support: int = 0,
        vector: Vector | None = None,
    ) -> SearchReport:
        """The k best proved passages for this question; `vector` in place of the question's own.

        `sources` and `where` (equal metadata fields) hold before the search and again on what was proved.
        Passages that are refused are replaced by the next best. Raises ValueError for a bad k, mode or
        vector, BackendError when embedder or index fail, and VerificationError when the ledger's head
        itself is not to be believed.
        """
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        query = self._query(question, vector)
        share = max(SOURCE_SHARE, k)
        pool = Pool(query, k, OVERDRAW * share, share, _publishers(self.gate, sources), where, sources)
        snapshot, head = self._fill(pool, now)
        return _report(question, pool, snapshot, head, k, mode, min_support)

    def near(
        self, vector: Vector, *, k: int, sources: Collection[str], now: int, share: int | None = None
    ) -> tuple[VerifiedPassage, ...]:
        """The k proved passages of these sources that are nearest to a vector, nearest first: nobody asks or ranks.

        Where there are several sources, one takes at most `share` of the places (default: all). Raises as `search`.
        """
        pool = Pool(self._query("", vector), k, k, share or k, _publishers(self.gate, sources), None, sources)
        self._fill(pool, now)
        found = sorted(pool.found, key=lambda one: -one.candidate.relevance)
        return tuple(one.passage for one in found[:k])

    def _fill(self, pool: Pool, now: int) -> tuple[TrustedSnapshot, Head]:
        gate = self.gate
        with gate.opened(self._ledger, now) as (view, snapshot):
            self._follow(view, snapshot.version)
            for stored in self._drawn(view, snapshot.version, pool):
                pool.take(stored, gate.prove(stored, snapshot, now))
            return snapshot, view.head()

    def read(self, doc_id: str, *, now: int) -> tuple[VerifiedPassage, ...]:
        """The proved passages of the document that stands under this name, in order.

        Raises NotFoundError where none stands, and VerificationError for one that can't be proved.
        """
        gate = self.gate
        with gate.opened(self._ledger, now) as (view, snapshot):
            row = view.active(doc_id)
            if row is None:
                raise NotFoundError(f"no version of {doc_id!r} stands")
            # The row is not signed: what it names has to prove that it is this document, and all of it.
            count = min(row.chunk_count, view.chunk_total())
            stored = view.passages(range(row.first_chunk, row.first_chunk + count))
        proved: list[VerifiedPassage] = []
        for place, passage in enumerate(stored):
            result = gate.prove(passage, snapshot, now)
            if isinstance(result, RefusedPassage):
                raise VerificationError(result.refusal, f"chunk {place} of {doc_id}: {result.reason}")
            if (result.doc_id, result.index, result.count) != (doc_id, place, row.chunk_count):
                reason = (
                    f"the ledger shows chunk {result.index} of {result.doc_id} as chunk {place} of {doc_id}"
                )
                raise ProofError(Refusal.NOT_IN_SNAPSHOT, reason)
            proved.append(result)
        if not proved:
            raise ProofError(Refusal.NOT_IN_SNAPSHOT, f"the ledger shows no chunk of {doc_id}")
        return tuple(proved)

    def _query(self, question: str, vector: Vector | None) -> Vector:
        """The vector to search with, float32[dimension], at length one."""
        query = self._embedder.embed_query(question) if vector is None else np.asarray(vector, np.float32)
        length = float(np.linalg.norm(query)) if query.shape == (self._embedder.id.dimension,) else math.nan
        if not (math.isfinite(length) and length > 0):
            raise ValueError(f"a query vector is {self._embedder.id.dimension} finite numbers, not all zero")
        unit: Vector = (query / np.float32(length)).astype(np.float32)
        return unit

    def _drawn(self, view: StoreView, version: int, pool: Pool) -> Iterator[StoredPassage | UnprovedPassage]:
        """Candidates, nearest first, for as long as the pool wants any, drawing deeper and deeper.

        Once a source has its share, the index is asked for the others only. To fill the answer this goes to
        the end of the index; for the sake of comparison to `DEPTH` only.
        """
        depth, total = pool.size, view.chunk_total()
        while True:
            open_to = pool.open_to
            # No more than there are chunks, or an index that makes ids up would be asked for ever.
            hits = self._hits(view, version, pool, open_to, min(depth, total))
            fresh = pool.fresh(hits)
            for start in range(0, len(fresh), pool.size):
                for stored in view.passages(fresh[start : start + pool.size]):
                    yield stored
                    if pool.full:
                        return
            if pool.open_to == open_to:
                if len(hits) < depth or (pool.enough and depth >= DEPTH):
                    return
                depth = max(2 * depth, DEPTH)

    def _hits(
        self, view: StoreView, version: int, pool: Pool, sources: frozenset[str] | None, count: int
    ) -> list[Hit]:
        """What the index says is nearest: at most `count` hits."""
        with self._turns.reading():
            allowed = None
            if pool.where or sources is not None or self._version != version:
                # Another thread may have led the index past this view: then it's told what stands here.
                allowed = view.select(pool.where, sources)
            try:
                return self._index.search(pool.query, count, allowed)[:count]
            except (RuntimeError, ValueError) as error:
                raise BackendError(f"the index failed: {error}") from error

    def _follow(self, view: StoreView, version: int) -> None:
        """Bring the index to this view, unless it is there or further."""
        if self._version is not None and self._version >= version:
            return
        with self._following:
            if self._version is None:
                if self._file is not None:
                    self._index.load(self._file, lambda ids: _vectors(view, ids))
                changes = view.changes(0)
                held = self._index.ids()
                added, removed = np.setdiff1d(changes.added, held), np.setdiff1d(held, changes.added)
            elif self._version < version:
                changes = view.changes(self._version)
                added, removed = changes.added, changes.removed
            else:
                return
            with self._turns.writing():
                self._index.remove(removed)
                for start in range(0, len(added), _BLOCK):
                    block = added[start : start + _BLOCK]
                    if isinstance(self._index, RowIndex):
                        self._index.hold(block)
                    else:
                        self._index.add(block, view.vectors(block))
                self._version = changes.version
            self._save(len(added) + len(removed))

    def _save(self, changed: int) -> None:
        """Write the cache once a hundredth of it is new; what a crash loses is added again at the start."""
        self._unsaved += changed
        if self._file is None or self._unsaved * 100 < max(1, len(self._index)):
            return
        try:
            self._index.save(self._file)
            self._unsaved = 0
        except BackendError as error:  # a reader without the right to write loses time, not answers
            _LOG.warning("%s", error)


def _vectors(view: StoreView, ids: Ids) -> Vectors:
    """The ledger's vectors for a cache file; ids that the ledger never gave make the file foreign."""
    try:
        return view.vectors(ids)
    except LedgerError as error:
        raise LookupError(str(error)) from error


def _publishers(gate: Gate, sources: Collection[str] | None) -> frozenset[str]:
    """The sources that may be found: those of the policy, and of the caller's choice."""
    named = frozenset(source.name for source in gate.policy.sources if source.active)
    return named if sources is None else named.intersection(sources)


def _report(
    question: str, pool: Pool, snapshot: TrustedSnapshot, head: Head, k: int, mode: Mode, min_support: int
) -> SearchReport:
    candidates = [found.candidate for found in pool.found]
    ranking = rerank(question, candidates, limit=k, mode=mode, min_support=min_support)
    chosen = [pool.found[ranked.index] for ranked in ranking.passages]
    passages = tuple(
        RankedPassage(found.passage, found.candidate.relevance, ranked.score, place, ranked.explanation)
        for place, (found, ranked) in enumerate(zip(chosen, ranking.passages, strict=True), start=1)
    )
    checkpoint, statement = snapshot.checkpoint, snapshot.statement
    return SearchReport(
        question=question,
        passages=passages,
        refused=tuple(pool.refused),
        contested=ranking.contested,
        certificate=ranking.certificate,
        snapshot=SnapshotInfo(
            version=snapshot.version,
            root=snapshot.root,
            log_size=checkpoint.size,
            issued_at=statement.issued_at,
            expires=snapshot.expires,
            witnesses=checkpoint.witnesses,
        ),
        considered=len(pool.found),
        faults=tuple(pool.faults),
        head=head,
        stored=tuple(found.stored for found in chosen),
    )
