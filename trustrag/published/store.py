"""A published folder, shown to the gate as the ledger shows itself: unverified, at one checkpoint.

Opening reads the checkpoint, the state that belongs to it and the tables of its shards; when the publisher went on, only
the shards that moved. Texts and entries are read for the passages that are asked for, and vectors are mapped.
"""

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar

import numpy as np

from trustrag.errors import (
    ConfigError,
    LedgerError,
    MalformedError,
    Refusal,
    TrustragError,
)
from trustrag.files import stamp_of
from trustrag.provenance.canonical import Metadata, parse_metadata
from trustrag.provenance.checkpoint import Checkpoint, Note
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.evidence import Evidence, Head, LoggedEnvelope
from trustrag.provenance.standing import ChunkLeaf, StandingProof, bucket_of, chunk_path
from trustrag.provenance.statement import SnapshotStatement, parse_statement
from trustrag.published.place import open_place
from trustrag.published.shards import (
    SHARD_BUCKETS,
    Record,
    State,
    path_in,
    term_hash,
)
from trustrag.published.standing import Shard, Standing, expanded, faded, missing
from trustrag.published.tiles import CHECKPOINT, MAX_CHECKPOINT, PENDING, TiledLog
from trustrag.published.vectors import VectorPacks
from trustrag.stored import Changes, Ids, StoredPassage, UnprovedPassage, Vectors, term

STATES = "state"
_MAX_STATE = 1 << 20
_KEPT_RECORDS = 256
_KEPT_LOGGED = 2048
_KEPT_FOLLOWED = 4

_K = TypeVar("_K")
_V = TypeVar("_V")


@dataclass(frozen=True, slots=True)
class Span:
    """See `stored.Placed`."""

    first_chunk: int
    chunk_count: int


class PublishedStore:
    """One published folder. Any number of threads and processes may look at it while it is published anew."""

    def __init__(self, folder: Path) -> None:
        """Raises ConfigError where there is no publication, and what reading one raises."""
        if not (folder / CHECKPOINT).is_file():
            raise ConfigError(f"{folder} holds no publication: make one with `trustrag publish`")
        self.folder = folder
        self._files = open_place(folder)
        self._turn = threading.Lock()
        self._shown: tuple[object, PublishedView] | None = None
        self._followed: OrderedDict[int, Ids] = OrderedDict({0: np.empty(0, np.int64)})
        state = self._newest().standing.state
        self.context, self.embedder = state.context, state.embedder
        self.packs = VectorPacks(folder, state.embedder.dimension)

    @contextmanager
    def view(self) -> "Iterator[PublishedView]":
        """The publication as its checkpoint shows it now."""
        view = self._newest()
        if (view.standing.state.context, view.standing.state.embedder) != (self.context, self.embedder):
            raise LedgerError(f"{self.folder} is another store's publication by now: open it again")
        yield view

    def changes(self, standing: Standing, since: int) -> Changes:
        """What moved for the one index that follows this store, from a snapshot that it was told of before."""
        version = standing.state.snapshot
        with self._turn:
            held = self._followed.get(since)
            if held is None:
                raise LedgerError(
                    f"what stood in snapshot {since} is not known any more: open {self.folder} again"
                )
            _keep(self._followed, version, standing.ids, _KEPT_FOLLOWED)
        return Changes(np.setdiff1d(standing.ids, held), np.setdiff1d(held, standing.ids), version)

    def _newest(self) -> "PublishedView":
        with self._turn:
            stamp = self._stamp()
            if self._shown is None or self._shown[0] != stamp:
                before = None if self._shown is None else self._shown[1].standing
                self._shown = stamp, self._read(before)
            return self._shown[1]

    def _stamp(self) -> object:
        """What changes with the checkpoints: they are replaced, last of all, by every publication."""
        return stamp_of(self.folder / CHECKPOINT), stamp_of(self.folder / PENDING)

    def _read(self, before: Standing | None) -> "PublishedView":
        note = self._files.read(CHECKPOINT, MAX_CHECKPOINT)
        if note is None:
            raise missing(self.folder / CHECKPOINT)
        size = Checkpoint.parse(Note.parse(note).text).size
        state = self._state(size)
        log = TiledLog(self._files, size)
        envelope = Envelope.parse(log.entry(size - 1))
        statement = parse_statement(envelope.payload)
        if not isinstance(statement, SnapshotStatement) or statement.version != state.snapshot:
            raise LedgerError(f"{self.folder / STATES / str(size)} is not of the snapshot that ends the log")
        standing = Standing.read(self.folder, state, before)
        if standing.levels[-1][0] != statement.root.value:
            raise LedgerError(
                f"{self.folder / STATES / str(size)} does not lead to the root that its snapshot signs"
            )
        head = Head(note, LoggedEnvelope(envelope, size - 1, tuple(log.inclusion(size - 1))))
        pending = self._files.read(PENDING, MAX_CHECKPOINT)
        gone = frozenset[tuple[int, int]]()
        if pending is not None:
            # What waits for its witnesses shows nothing yet. What it takes out is silent at once: that needs none.
            newer = self._state(Checkpoint.parse(Note.parse(pending).text).size)
            if newer.snapshot > state.snapshot:
                gone = faded(standing, Standing.read(self.folder, newer, standing))
        return PublishedView(self, standing, log, head, gone)

    def _state(self, size: int) -> State:
        data = self._files.read(f"{STATES}/{size}", _MAX_STATE)
        if data is None:
            raise missing(self.folder / STATES / str(size))
        state = State.parse(data)
        if size < 1 or state.size != size:
            raise MalformedError(f"{self.folder / STATES / str(size)} is of a log of {state.size} entries")
        return state


class PublishedView:
    """A publication at one checkpoint: a `StoreView`. Made by `PublishedStore.view`."""

    def __init__(
        self,
        store: PublishedStore,
        standing: Standing,
        log: TiledLog,
        head: Head,
        gone: frozenset[tuple[int, int]],
    ) -> None:
        self.standing = standing
        self._gone = gone
        self._store = store
        self._log = log
        self._head = head
        self._records: OrderedDict[tuple[int, int], Record] = OrderedDict()
        self._logged: OrderedDict[int, LoggedEnvelope] = OrderedDict()

    def snapshot(self) -> "Numbered":
        """Its number; what else it says is in `head`."""
        return Numbered(self.standing.state.snapshot)

    def head(self) -> Head:
        """See `StoreView`."""
        return self._head

    def consistency(self, old_size: int, new_size: int) -> list[bytes]:
        """See `StoreView`."""
        return self._log.consistency(old_size, new_size)

    def changes(self, since: int) -> Changes:
        """See `StoreView`; one index follows a store, and is told from where it was last."""
        return self._store.changes(self.standing, since)

    def select(
        self, where: Mapping[str, Metadata] | None = None, sources: Collection[str] | None = None
    ) -> Ids:
        """See `StoreView`."""
        standing = self.standing
        wanted = np.ones(len(standing.first), dtype=bool)
        if sources is not None:
            named = [at for at, name in enumerate(standing.names) if name in sources]
            wanted &= np.isin(standing.source, named)
        for name, value in (where or {}).items():
            hashed = term_hash(name, term(value))
            having = [set[int]() if shard is None else shard.having(hashed) for shard in standing.shards]
            rows = zip(standing.shard.tolist(), standing.row.tolist(), strict=True)
            wanted &= np.fromiter((row in having[shard] for shard, row in rows), bool, len(wanted))
        return expanded(standing.first[wanted], standing.count[wanted], self.chunk_total())

    def hidden(self) -> Sequence[UnprovedPassage]:
        """See `StoreView`: nothing, since the tables that `select` goes by lead to the signed root."""
        return ()

    def vectors(self, ids: Ids) -> Vectors:
        """See `StoreView`."""
        return self._store.packs.rows(np.asarray(ids, dtype=np.int64), self.chunk_total())

    def chunk_total(self) -> int:
        """See `StoreView`."""
        return self.standing.state.chunks

    def has_field(self, name: str) -> bool:
        """See `StoreView`: looks at one record after the other, so it is asked only where a filter found nothing."""
        return any(
            name in parse_metadata(self._record(number, shard, row).metadata)
            for number, row in zip(self.standing.shard.tolist(), self.standing.row.tolist(), strict=True)
            if (shard := self.standing.shards[number]) is not None
        )

    def misfiled(self) -> Iterator[UnprovedPassage]:
        """Documents that the tables file under another source or other metadata than their records have, so that filters
        miss them: the roots bind neither. A record that cannot be read is left to `passages`.
        """
        for number, row in zip(self.standing.shard.tolist(), self.standing.row.tolist(), strict=True):
            shard = self.standing.shards[number]
            if shard is None:
                continue
            try:
                record = self._record(number, shard, row)
                fields = parse_metadata(record.metadata)
                wanted = frozenset(term_hash(name, term(value)) for name, value in fields.items())
                if shard.filed(row) == (record.source, wanted):
                    continue
            except TrustragError:
                continue
            reason = f"{Refusal.TAMPERED_METADATA}: the tables of shard {number} file it under another source or metadata"
            yield UnprovedPassage(record.first, record.entry.doc_id, 0, Refusal.TAMPERED_METADATA, reason)

    def sealed(self) -> LoggedEnvelope:
        """See `StoreView`."""
        return self.head().snapshot

    def past(self, version: int) -> Self:
        """See `StoreView`: always raises ConfigError."""
        raise ConfigError("a publication holds what stands, and no past: ask the workspace for it")

    def active(self, doc_id: str) -> Span | None:
        """See `StoreView`."""
        number, bucket = divmod(bucket_of(doc_id), SHARD_BUCKETS)
        shard = self.standing.shards[number]
        if shard is None:
            return None
        for row in np.nonzero(shard.table["bucket"] == bucket)[0].tolist():
            record = self._record(number, shard, row)
            if record.entry.doc_id == doc_id:
                return Span(record.first, len(record.chunks))
        return None

    def passages(self, chunk_ids: Sequence[int] | Ids) -> list[StoredPassage | UnprovedPassage]:
        """See `StoreView`: a record that is missing or damaged becomes an UnprovedPassage."""
        return [self._passage(int(chunk_id)) for chunk_id in chunk_ids]

    def _passage(self, chunk_id: int) -> StoredPassage | UnprovedPassage:
        standing, name = self.standing, ""
        at = int(np.searchsorted(standing.first, chunk_id, side="right")) - 1
        if at < 0 or chunk_id >= int(standing.first[at] + standing.count[at]):
            reason = f"no document that stands has chunk {chunk_id}"
            return UnprovedPassage(chunk_id, "", -1, Refusal.NOT_IN_SNAPSHOT, reason)
        number, row = int(standing.shard[at]), int(standing.row[at])
        try:
            shard = standing.shards[number]
            assert shard is not None
            record = self._record(number, shard, row)
            name = record.entry.doc_id
            if (number, row) in self._gone:
                reason = f"{name} is no longer sealed to stand, though no witness has seen that yet"
                return UnprovedPassage(
                    chunk_id, name, chunk_id - record.first, Refusal.NOT_IN_SNAPSHOT, reason
                )
            return self._stored(chunk_id, record, self._standing_proof(number, shard, row))
        except TrustragError as error:
            index = chunk_id - int(standing.first[at]) if name else -1
            return UnprovedPassage(chunk_id, name, index, Refusal.MALFORMED, str(error))

    def _stored(self, chunk_id: int, record: Record, proof: StandingProof) -> StoredPassage:
        entry, index = record.entry, chunk_id - record.first
        leaves = [
            ChunkLeaf(
                entry.document,
                at,
                len(record.chunks),
                chunk.text_digest,
                chunk.vector_digest,
                record.metadata_digest,
                chunk.start,
                chunk.end,
            )
            for at, chunk in enumerate(record.chunks)
        ]
        evidence = Evidence(
            leaves[index],
            chunk_path(leaves, index),
            entry,
            proof,
            self._entry(entry.source_index),
            self._entry(entry.ingest_index),
            tuple(self._entry(at) for _, at in entry.reviews),
        )
        vector = self._store.packs.row(chunk_id)
        text = record.chunks[index].text
        return StoredPassage(chunk_id, text, record.metadata, vector, evidence, record.source)

    def _standing_proof(self, number: int, shard: Shard, row: int) -> StandingProof:
        place, size, path, top = shard.proof(row)
        return StandingProof(place, size, path, (*top, *path_in(self.standing.levels, number)))

    def _record(self, number: int, shard: Shard, row: int) -> Record:
        known = self._records.get((number, row))
        return known or _keep(self._records, (number, row), shard.record(row), _KEPT_RECORDS)

    def _entry(self, index: int) -> LoggedEnvelope:
        known = self._logged.get(index)
        if known is None:
            envelope = Envelope.parse(self._log.entry(index))
            logged = LoggedEnvelope(envelope, index, tuple(self._log.inclusion(index)))
            known = _keep(self._logged, index, logged, _KEPT_LOGGED)
        return known


@dataclass(frozen=True, slots=True)
class Numbered:
    """See `stored.Sealed`."""

    version: int


def _keep(kept: "OrderedDict[_K, _V]", key: _K, value: _V, most: int) -> _V:
    """Remembers it, and forgets the oldest beyond `most`."""
    kept[key] = value
    if len(kept) > most:
        kept.popitem(last=False)
    return value
