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
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np

from trustrag.consistency import SHARED_MEMORY, Judge, PairMemory, ValueJudge, foresee
from trustrag.errors import BackendError, LedgerError, NotFoundError, ProofError, Refusal, VerificationError
from trustrag.index.base import Hit, Ids, RowIndex, Vector, VectorIndex, Vectors
from trustrag.index.embedding import Embedder
from trustrag.index.locks import ReadWriteLock
from trustrag.index.opening import open_index
from trustrag.provenance.canonical import Digest, Metadata
from trustrag.provenance.evidence import AnySnapshot, Head, RefusedPassage, VerifiedPassage
from trustrag.provenance.export import EvidenceFile, ShownPassage
from trustrag.provenance.past import PastSnapshot
from trustrag.retrieval.asked import Asked
from trustrag.retrieval.gate import Gate
from trustrag.retrieval.pool import Pool
from trustrag.retrieval.ranking import Certificate, Contest, Explanation, Mode, Ranking, rerank
from trustrag.retrieval.scan import Scan
from trustrag.stored import Store, StoredPassage, StoreView, UnprovedPassage

SOURCE_SHARE = 4
"""Places that one source may take among the candidates: this many, or as many as were asked for if more.
A source can still fill the answer, and can't crowd everyone else out of the comparison."""

OVERDRAW = 4
"""Proved candidates given to ranking, in such shares, so that it sees who else agrees."""

DEPTH = 200
"""How many hits to look at for more candidates once there are enough for the answer."""

NEIGHBOURS = 16
"""Passages that a new one is compared with ahead: among the nearest are those that stand beside it in an answer."""

FORESEEN = 2_000
"""How many passages are compared ahead after one ingest: a bulk load is compared as it is asked about."""

_BLOCK = 20_000
_Hits: TypeAlias = Callable[[Collection[str] | None, int], list[Hit]]
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
class LeftOut:
    """A proved passage that was left out although its score had brought it a place, and why."""

    passage: VerifiedPassage
    reason: str


@dataclass(frozen=True, slots=True)
class SnapshotInfo:
    """The sealed state that a search answered from; times in unix seconds.

    Where `witnesses` is empty, nobody outside vouches that others are shown the same history.
    """

    version: int
    root: Digest
    log_size: int
    log_root: Digest
    issued_at: int
    expires: int
    witnesses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SearchReport:
    """What was found and proved, best context first, and what was refused and why.

    `considered` proved candidates were compared by ranking. `left_out` are those of them whose score had brought them a
    place that the mode gave them not. `faults` tells where the index said something untrue, `unknown_fields` which
    fields of the filter no standing document has. `evidence()` proves the passages without the store. `as_of` is None for
    what stands; for what stood once it is when `snapshot` was sealed, in unix seconds.
    """

    asked: Asked
    passages: tuple[RankedPassage, ...]
    refused: tuple[RefusedPassage, ...]
    contested: tuple[Contest, ...]
    certificate: Certificate | None
    snapshot: SnapshotInfo
    as_of: int | None
    considered: int
    left_out: tuple[LeftOut, ...]
    faults: tuple[str, ...]
    unknown_fields: tuple[str, ...]
    head: Head = field(repr=False)
    stored: tuple[StoredPassage, ...] = field(repr=False)

    @property
    def question(self) -> str:
        """The question, as it was asked."""
        return self.asked.question

    def evidence(self) -> EvidenceFile:
        """All that proves `passages` to somebody who has the policy and nothing else of the store.

        Raises ValueError for what stood once: an evidence file is about what stands.
        """
        if self.as_of is not None:
            raise ValueError("an evidence file proves what stands, and these passages are of the past")
        shown = (
            ShownPassage(found.text, found.metadata, found.vector, found.evidence) for found in self.stored
        )
        return EvidenceFile(self.head, tuple(shown))


class Retriever:
    """Search over one store. Many threads may search at once; `gate` may be replaced between searches.

    `index` is a kind for `open_index`, or an index of the caller's. Its cache file lies in `index_folder` and
    may be deleted at any time; with None there is none. `judge` says who contradicts whom (None: values and rules);
    pairwise work is kept in `memory` (None: in the process's).
    """

    def __init__(
        self,
        ledger: Store[StoreView],
        index_folder: Path | None,
        embedder: Embedder,
        gate: Gate,
        *,
        index: str | VectorIndex = "flat",
        judge: Judge | None = None,
        memory: PairMemory | None = None,
    ) -> None:
        self.gate = gate
        self._judge = judge
        self._memory = SHARED_MEMORY if memory is None else memory
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
        at: int | None = None,
    ) -> SearchReport:
        """The k best proved passages for this question; `vector` in place of the question's own.

        `sources` and `where` (equal metadata fields) hold before the search and again on what was proved. `at` asks for
        what stood in that snapshot: keys and time are today's, the search is exact, and the answer says `as_of`.
        Passages that are refused are replaced by the next best. Raises TypeError for a question that is no text,
        ValueError for a bad k, mode or vector, BackendError when embedder or index fail, and VerificationError
        when the ledger's head itself is not to be believed.
        """
        if not isinstance(question, str):
            raise TypeError(f"a question is a str, not {type(question).__name__}")
        if k < 1:
            raise ValueError(f"k must be at least 1, not {k}")
        query = self._query(question, vector)
        share = max(SOURCE_SHARE, k)
        pool = Pool(query, k, OVERDRAW * share, share, _publishers(self.gate, sources), where, sources)
        snapshot, head = self._fill(pool, now) if at is None else self._fill_of_past(pool, at, now)
        given = None if sources is None else tuple(sorted(sources))
        judge = self._judge or ValueJudge()
        asked = Asked(question, query.astype("<f4").tobytes(), k, mode, min_support, given, where, judge.name)
        ranking = rerank(
            question,
            [found.candidate for found in pool.found],
            limit=k,
            mode=mode,
            min_support=min_support,
            judge=judge,
            memory=self._memory,
        )
        return _report(asked, pool, snapshot, head, ranking)

    def foresee(self, since: int) -> int:
        """Compare the passages that came in after the snapshot of version `since` with their nearest, before anybody asks.

        At most `FORESEEN` of them, the newest; returns how many. What is kept is named by the digests of the texts that
        were compared: nothing has to be proved for it, and a row that is not what was signed helps nobody.
        """
        with self._ledger.view() as view:
            version = view.snapshot().version
            self._follow(view, version)
            fresh = view.changes(since).added[-FORESEEN:]
            for chunk, vector in zip(fresh.tolist(), view.vectors(fresh), strict=True):
                with self._turns.reading():
                    near = [hit.id for hit in self._index.search(vector, NEIGHBOURS + 1, None)]
                texts = [
                    one.text
                    for one in view.passages([chunk, *(i for i in near if i != chunk)])
                    if isinstance(one, StoredPassage)
                ]
                foresee(texts, [(0, other) for other in range(1, len(texts))], self._memory)
        return len(fresh)

    def near(
        self, vector: Vector, *, k: int, sources: Collection[str], now: int, share: int | None = None
    ) -> tuple[VerifiedPassage, ...]:
        """The k proved passages of these sources that are nearest to a vector, nearest first: nobody asks or ranks.

        Where there are several sources, one takes at most `share` of the places (default: all). Raises as `search`.
        """
        pool = Pool(self._query("", vector), k, k, share or k, _publishers(self.gate, sources), None, sources)
        self._fill(pool, now, hidden=False)
        found = sorted(pool.found, key=lambda one: -one.candidate.relevance)
        return tuple(one.passage for one in found[:k])

    def _fill(self, pool: Pool, now: int, *, hidden: bool = True) -> tuple[AnySnapshot, Head]:
        """Draw until the pool is full; with `hidden`, also look for what unsigned rows keep from being drawn."""
        gate = self.gate
        with gate.opened(self._ledger, now) as (view, snapshot):
            version = snapshot.version
            self._follow(view, version)
            for stored in _drawn(view, pool, lambda *wanted: self._hits(view, version, pool, *wanted)):
                pool.take(stored, gate.prove(stored, snapshot, now))
            if hidden:
                for unproved in view.hidden():
                    pool.take(unproved, gate.prove(unproved, snapshot, now))
                for stored in self._left_out(view, pool):
                    pool.take_hidden(stored, gate.prove(stored, snapshot, now))
            _note_unknown(pool, view)
            return snapshot, view.head()

    def _fill_of_past(self, pool: Pool, at: int, now: int) -> tuple[AnySnapshot, Head]:
        gate = self.gate
        with gate.opened(self._ledger, now) as (view, today):
            then, snapshot = gate.past(view, today, at, now)
            for stored in _drawn(then, pool, Scan(then, pool).hits):
                pool.take(stored, gate.prove(stored, snapshot, now))
            _note_unknown(pool, view)
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

    def _hits(
        self, view: StoreView, version: int, pool: Pool, sources: Collection[str] | None, count: int
    ) -> list[Hit]:
        """What the index says is nearest: at most `count` hits."""
        with self._turns.reading():
            allowed = None
            if pool.where or sources is not None or self._version != version:
                # Another thread may have led the index past this view: then it's told what stands here.
                allowed = view.select(pool.where, sources)
            hits = self._ask(pool.query, count, allowed)
        return hits if allowed is None or not pool.filtered else list(_within(hits, allowed, pool))

    def _left_out(self, view: StoreView, pool: Pool) -> Iterator[StoredPassage]:
        """The nearest passages that the caller's filter leaves out, as far as unsigned rows tell: of as many as there are
        candidates, so that a passage which belongs among them is not lost without a word.
        """
        if pool.filtered:
            with self._turns.reading():
                hits = self._ask(pool.query, pool.size, None)
            for stored in view.passages(pool.fresh(hits)):
                if isinstance(stored, StoredPassage):
                    yield stored

    def _ask(self, query: Vector, count: int, allowed: Ids | None) -> list[Hit]:
        """Requires a turn of reading. Raises BackendError when the index fails."""
        try:
            return self._index.search(query, count, allowed)[:count]
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


def _drawn(view: StoreView, pool: Pool, hits: _Hits) -> Iterator[StoredPassage | UnprovedPassage]:
    """Candidates, nearest first, for as long as the pool wants any, drawing deeper and deeper.

    Once a source has its share, the index is asked for the others only. To fill the answer this goes to
    the end of the index; for the sake of comparison to `DEPTH` only.
    """
    depth, total = pool.size, view.chunk_total()
    while True:
        open_to = pool.open_to
        # No more than there are chunks, or an index that makes ids up would be asked for ever.
        found = hits(open_to, min(depth, total))
        fresh = pool.fresh(found)
        for start in range(0, len(fresh), pool.size):
            for stored in view.passages(fresh[start : start + pool.size]):
                yield stored
                if pool.full:
                    return
        if pool.open_to == open_to:
            if len(found) < depth or (pool.enough and depth >= DEPTH):
                return
            depth = max(2 * depth, DEPTH)


def _within(hits: Sequence[Hit], allowed: Ids, pool: Pool) -> Iterator[Hit]:
    """The hits that the index was allowed to name, in order; `allowed` ascends. What can't be an id is the pool's to tell."""
    for hit in hits:
        if 0 <= hit.id < 1 << 63:
            at = int(np.searchsorted(allowed, hit.id))
            if at == len(allowed) or int(allowed[at]) != hit.id:
                pool.outside(hit.id)
                continue
        yield hit


def _vectors(view: StoreView, ids: Ids) -> Vectors:
    """The ledger's vectors for a cache file; ids that the ledger never gave make the file foreign."""
    try:
        return view.vectors(ids)
    except LedgerError as error:
        raise LookupError(str(error)) from error


def _note_unknown(pool: Pool, view: StoreView) -> None:
    """A filter that finds nothing may ask for a field that nobody has: a typing error should not look like an answer."""
    if pool.where and not pool.found:
        pool.unknown_fields = tuple(name for name in pool.where if not view.has_field(name))


def _publishers(gate: Gate, sources: Collection[str] | None) -> frozenset[str]:
    """The sources that may be found: those of the policy, and of the caller's choice."""
    named = frozenset(source.name for source in gate.policy.sources if source.active)
    return named if sources is None else named.intersection(sources)


def _report(asked: Asked, pool: Pool, snapshot: AnySnapshot, head: Head, ranking: Ranking) -> SearchReport:
    chosen = [pool.found[ranked.index] for ranked in ranking.passages]
    passages = tuple(
        RankedPassage(found.passage, found.candidate.relevance, ranked.score, place, ranked.explanation)
        for place, (found, ranked) in enumerate(zip(chosen, ranking.passages, strict=True), start=1)
    )
    checkpoint, statement = snapshot.checkpoint, snapshot.statement
    return SearchReport(
        asked=asked,
        passages=passages,
        refused=tuple(pool.refused),
        contested=ranking.contested,
        certificate=ranking.certificate,
        snapshot=SnapshotInfo(
            version=snapshot.version,
            root=snapshot.root,
            log_size=checkpoint.size,
            log_root=checkpoint.root,
            issued_at=statement.issued_at,
            expires=snapshot.expires,
            witnesses=checkpoint.witnesses,
        ),
        as_of=statement.issued_at if isinstance(snapshot, PastSnapshot) else None,
        considered=len(pool.found),
        left_out=tuple(LeftOut(pool.found[one.index].passage, one.reason) for one in ranking.passed_over),
        faults=tuple(pool.faults),
        unknown_fields=pool.unknown_fields,
        head=head,
        stored=tuple(found.stored for found in chosen),
    )
