"""What readers see: the ledger at one commit, and passages with all that proves them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice

import numpy as np

from trustrag.errors import LedgerError, MalformedError, NotFoundError, Refusal, TrustragError
from trustrag.ledger import waiting
from trustrag.ledger.history import Publisher, Step, course
from trustrag.ledger.log import Log, Proved, node_of
from trustrag.ledger.model import Held, Said, Snapshot, SourceRows, VersionRow
from trustrag.ledger.rows import ChunkRow
from trustrag.ledger.signed import Signed
from trustrag.ledger.sqlite import Session
from trustrag.ledger.standing import Kept, StandingTree
from trustrag.ledger.vectors import VectorFile
from trustrag.provenance.canonical import Digest, Metadata
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.evidence import Evidence, Head, LoggedEnvelope
from trustrag.provenance.merkle import inclusion_path
from trustrag.provenance.policy import TrustedSnapshot
from trustrag.provenance.standing import StandingEntry, StandingProof, standing_root
from trustrag.stored import Changes, Ids, StoredPassage, UnprovedPassage, Vectors, term

_MAX_SPANS = 16
_MAX_ENTRIES = 4096
_MAX_HIDDEN = 20  # named in one answer


@dataclass(frozen=True, slots=True)
class Memory:
    """What may be kept from one view to the next: hints, and facts about bytes named by their digest."""

    proved: Proved = field(default_factory=dict)
    entries: dict[bytes, StandingEntry] = field(default_factory=dict)
    spans: dict[tuple[int, tuple[str, ...] | None], Ids] = field(default_factory=dict)
    past: Kept = field(default_factory=dict)
    hidden: dict[int, tuple[UnprovedPassage, ...]] = field(default_factory=dict)


class View:
    """The ledger within one read transaction: now, or as of a past snapshot. Made by `Ledger.view`.

    What it hands out is unverified. It remembers rows only while the transaction lasts, in which they cannot
    change.
    """

    def __init__(
        self,
        session: Session,
        vectors: VectorFile,
        memory: Memory,
        at: int | None = None,
        log_size: int | None = None,
        *,
        fading: bool = False,
    ) -> None:
        self._session = session
        self._vectors = vectors
        self._at = at
        self._fading = fading
        self._memory = memory
        self._snapshot = session.snapshot(at)
        self._log = Log(session, memory.proved)
        self._log_size = log_size
        signed = self._snapshot.root if at is not None and self._snapshot is not None else None
        self._tree = StandingTree(session, at, signed, memory.past)
        self._versions: dict[int, VersionRow | None] = {}
        self._assignments: tuple[str, ...] | None = None
        self._proofs: dict[str, tuple[int, StandingEntry, StandingProof] | None] = {}

    def past(self, version: int) -> "View":
        """The same commit as of that snapshot; what it hands out is proved to be in the log of this view.

        Computes the whole standing tree of then on its first proof, linear in what stood. The last one is kept.
        """
        return View(self._session, self._vectors, self._memory, version, self.snapshot().log_size)

    # -- what was sealed

    def snapshot(self) -> Snapshot:
        """The newest snapshot, or the one this view is of. Raises NotFoundError when there is none, LedgerError when there
        has to be one.
        """
        if self._snapshot is None and self._at is None and self._log.size:
            raise LedgerError(
                f"table snapshot in ledger.db has lost all its rows, and the log has {self._log.size} entries: restore"
                " ledger.db from a backup"
            )
        if self._snapshot is None:
            raise NotFoundError(
                "nothing has been sealed yet" if self._at is None else f"no snapshot {self._at}"
            )
        return self._snapshot

    def snapshots(self) -> list[Snapshot]:
        """All snapshots, oldest first."""
        return self._session.snapshots()

    def checkpoint(self, version: int) -> bytes:
        """The signed note that was published with a snapshot. Raises LedgerError where it is missing."""
        return self._session.checkpoint(version)

    def head(self) -> Head:
        """The signed checkpoint and, proved to be in it, the snapshot. Raises NotFoundError as `snapshot`."""
        snapshot = self.snapshot()
        logged = self._log.logged(snapshot.log_index, snapshot.log_size)
        return Head(self._session.checkpoint(snapshot.version), logged)

    def sealed(self) -> LoggedEnvelope:
        """The signed snapshot in the log of this view. Raises NotFoundError as `snapshot`."""
        return self._log.logged(self.snapshot().log_index, self._proved_in())

    def course(self, first: int, head: TrustedSnapshot) -> Iterator[Step]:
        """What became of documents from snapshot `first` (0: from before the first) to `head`, this view's, as signed.

        To be used up within the view. Linear in what stood first and in all that moved since. Raises NotFoundError for
        a snapshot that never was, LedgerError where log or rows are not what leads to the head's checkpoint.
        """
        checkpoint = head.checkpoint
        if not 0 <= first <= head.version:
            raise NotFoundError(f"there is no snapshot {first}: the last one is {head.version}")
        if self._log.root(checkpoint.size) != checkpoint.root:
            raise LedgerError("the log in ledger.db does not lead to its checkpoint: run trustrag audit")
        return course(self._session, self._log, first, self.snapshot())

    def _proved_in(self) -> int:
        """The size of the log that proofs lead to."""
        return self.snapshot().log_size if self._log_size is None else self._log_size

    def consistency(self, old_size: int, new_size: int) -> list[bytes]:
        """Proves that the log's first `new_size` entries extend its first `old_size`. Raises LedgerError."""
        return self._log.consistency(old_size, new_size)

    def log_root(self, size: int) -> Digest:
        """The root of the log's first `size` entries, from its stored nodes. Raises LedgerError beyond its end."""
        return self._log.root(size)

    def envelope(self, index: int) -> Envelope:
        """The envelope of a log entry, unverified. Raises LedgerError when there is none, MalformedError when the
        row holds something else.
        """
        return self._log.envelope(index)

    def logged(self, index: int) -> LoggedEnvelope:
        """A log entry with its proof under this view's checkpoint. Raises as `envelope`."""
        return self._log.logged(index, self.snapshot().log_size)

    # -- documents

    def standing_entry(self, doc_id: str) -> StandingEntry | None:
        """What the standing tree holds of a document, unverified; None where nothing stands."""
        proof = self._proof(doc_id)
        return proof and proof[1]

    def version_of(self, doc_id: str) -> VersionRow | None:
        """The newest version of a document, whatever its standing."""
        return next(reversed(self.versions(doc_id)), None)

    def active(self, doc_id: str) -> VersionRow | None:
        """The version of a document that its row calls active; of a past view, the one that stood then."""
        if self._at is not None:
            return self.standing(doc_id)
        return next((row for row in self.versions(doc_id) if row.standing == "active"), None)

    def standing(self, doc_id: str) -> VersionRow | None:
        """The version whose entry stands, or stood in the snapshot that this view is of; unsigned as all rows are."""
        proof = self._proof(doc_id)
        return None if proof is None else self._version(proof[0])

    def publisher(self, doc_id: str) -> Envelope | None:
        """The source attestation of what stands under this name; None where nothing does.

        Unlike the rows it was signed: its entry leads to the root of the newest snapshot. Raises LedgerError where
        it does not.
        """
        proof = self._proof(doc_id)
        if proof is None:
            return None
        _, entry, place = proof
        envelope = self._log.envelope(entry.source_index)
        if standing_root(entry, place) != self.snapshot().root or envelope.digest != entry.source:
            raise LedgerError(
                f"what stands as {doc_id} in ledger.db is not what was signed: rows were changed"
            )
        return envelope

    def versions(self, doc_id: str) -> list[VersionRow]:
        """All versions of a document, oldest first; none for a name that nobody took in."""
        return self._session.versions(doc_id)

    def signed_versions(self, doc_id: str, publisher: Publisher) -> list[VersionRow]:
        """The same, each held against what was signed about it; only findings, and why it does not stand, rest on rows.

        Raises LedgerError where a row disagrees, or is missing although the document is known, MalformedError where an
        envelope is none.
        """
        versions, size = self.versions(doc_id), self._log.size
        if self._session.orphans(doc_id):
            raise LedgerError(
                f"rows of {doc_id} are missing in table version of ledger.db: see trustrag audit"
            )
        signed = Signed(lambda index: self._log.proved(index, size), self.snapshots(), publisher)
        standing = self.standing(doc_id)
        for version in versions:
            stands = standing is not None and standing.row == version.row
            signed.require(version, self._session.standing_of(version.row), stands)
        return versions

    def documents(self) -> Iterator[VersionRow]:
        """The newest version of each document, by document id. To be used up within the view."""
        for _, versions in groupby(self._session.all_versions(), key=lambda row: row.doc_id):
            *_, newest = versions
            yield newest

    def active_documents(self) -> list[VersionRow]:
        """The version of each document that its row calls active, by document id; an older one after a rollback."""
        rows = self._session.versions_in(("active",))
        return sorted(rows, key=lambda row: row.doc_id)

    # -- what waits

    def waiting(self) -> list[VersionRow]:
        """The versions that wait for people and never stood, in the order in which they came in."""
        return list(waiting.waiting(self._session))

    def never_stood(self, version: VersionRow) -> bool:
        """Whether this version waited for people and was never let in."""
        return waiting.last_wait(self._session, version) is not None

    def held(self, doc_id: str, version: int | None = None) -> Held:
        """What waits under this name (of this version, by default the newest that waits). Raises NotFoundError."""
        if self._assignments is None:
            self._assignments = waiting.assignments(self._session)
        parts = self._session, self._vectors, self._log
        return waiting.held(*parts, doc_id, version, self.snapshot(), self._assignments)

    def said(self) -> list[Said]:
        """What people said of ingests, oldest first, as it was logged. Raises LedgerError where the log was changed."""
        return list(waiting.said(self._session, self._log, self.snapshot()))

    def ingest_index(self, version: VersionRow) -> int | None:
        """Where the log holds the ingest statement of a version, as its last entry says; None where that is missing."""
        stays = self._session.standing_of(version.row)
        return StandingEntry.parse(stays[-1].entry).ingest_index if stays else None

    def published(self, source: str) -> list[VersionRow]:
        """Every version that came in from a source, whatever became of it."""
        return self._session.versions_in(("active", "superseded", "quarantined", "withdrawn"), source)

    def record(self, source: str) -> SourceRows:
        """What became of all that a source published, now; nothing for a name that never did."""
        counts = self._session.standings_of(source)
        struck = self._session.versions_in(("quarantined", "withdrawn"), source)
        held = {row.doc_id for row in struck if row.standing == "quarantined" and self._waits(row)}
        return SourceRows(
            documents=self._session.standing_spans((source,))[:, 1:],
            superseded=counts.get("superseded", 0),
            withdrawn=counts.get("withdrawn", 0),
            held=tuple(sorted(held)),
            ruled=tuple(sorted(self._ruled_against(source, struck))),
        )

    def _waits(self, row: VersionRow) -> bool:
        active = self.active(row.doc_id)
        return active is None or active.version < row.version

    def _ruled_against(self, source: str, struck: Sequence[VersionRow]) -> set[str]:
        """The documents that a ruling quarantined and none restored; withdrawing alone is no doubt, but may follow one."""
        rulings: dict[str | None, list[tuple[int, bool]]] = {}
        for ruling in self._session.rulings():
            if ruling.source in (None, source) and ruling.action != "withdraw":
                rulings.setdefault(ruling.doc_id, []).append((ruling.snapshot, ruling.action != "restore"))
        found = set()
        for row in struck:
            over = [*rulings.get(row.doc_id, ()), *rulings.get(None, ())]
            since = [quarantined for snapshot, quarantined in sorted(over) if snapshot > row.admitted]
            # What is in quarantine still was not meant by a restore: that was of another version.
            if since and (since[-1] or (row.standing == "quarantined" and any(since))):
                found.add(row.doc_id)
        return found

    # -- what an index needs

    def changes(self, since: int) -> Changes:
        """What stands now and did not in snapshot `since`, and the reverse; 0 is before the first
        snapshot.
        """
        version = self._snapshot.version if self._snapshot else 0
        if since <= 0:
            return Changes(self.select(), np.empty(0, dtype=np.int64), version)
        if self._at is not None:
            before = _expand(self._session.standing_spans(None, since)[:, 1:], self.chunk_total())
            then = self.select()
            return Changes(np.setdiff1d(then, before), np.setdiff1d(before, then), version)
        touched = self._session.touched_since(since)
        added = [(first, count) for first, count, old, new in touched if new and not old]
        removed = [(first, count) for first, count, old, new in touched if old and not new]
        return Changes(_spans(added, self.chunk_total()), _spans(removed, self.chunk_total()), version)

    def select(
        self, where: Mapping[str, Metadata] | None = None, sources: Collection[str] | None = None
    ) -> Ids:
        """The standing chunks, int64[m] in order, whose metadata has each of these fields with an equal
        value.

        A hint like the index itself: the rows it goes by are not signed. Check with `matches` what was
        proved. Raises MalformedError when a value of `where` cannot be in metadata.
        """
        spans = self._standing_spans(None if sources is None else tuple(sorted(sources)))
        for name, value in (where or {}).items():
            having = self._session.versions_with((name, term(value)))
            spans = spans[np.isin(spans[:, 0], having, assume_unique=True)]
        return _expand(spans[:, 1:], self.chunk_total())

    def stands(self) -> Iterator[tuple[Digest, range]]:
        """The digest of each standing entry, and the chunks of its version. Like all rows, a claim.

        Raises LedgerError where the spans of chunks make no sense.
        """
        self.select()
        spans = {row: (first, count) for row, first, count in self._standing_spans(None).tolist()}
        for stay in self._session.standing_now():
            first, count = spans.get(stay.version, (0, 0))
            yield Digest.of(stay.entry), range(first, first + count)

    def hidden(self) -> Sequence[UnprovedPassage]:
        """See `StoreView`: documents of which an entry stands, and whose version row does not say so, or is missing.

        Told by counting, once for each snapshot: rows that were bent so that the numbers agree are the audit's business.
        """
        if self._at is not None or self._snapshot is None:
            return ()
        known = self._memory.hidden.get(self._snapshot.version)
        if known is None:
            self._memory.hidden.clear()
            known = self._memory.hidden[self._snapshot.version] = tuple(self._hidden())
        return known

    def _hidden(self) -> Iterator[UnprovedPassage]:
        spans = self._standing_spans(None)
        if len(spans) == self._session.standing_count():
            return
        active = set(spans[:, 0].tolist())
        rows = (row for row in self._session.standing_now() if row.version not in active)
        for row in islice(rows, _MAX_HIDDEN):
            reason = (
                f"{Refusal.NOT_IN_SNAPSHOT}: {row.doc_id} stands, and its row in table version does not say so, or is"
                " missing: see trustrag audit"
            )
            yield UnprovedPassage(-1, row.doc_id, 0, Refusal.NOT_IN_SNAPSHOT, reason)

    def has_field(self, name: str) -> bool:
        """Whether any standing document has a metadata field of this name, as far as the unsigned rows tell."""
        standing = self._standing_spans(None)[:, 0]
        return bool(np.isin(standing, self._session.versions_under(name)).any())

    def _standing_spans(self, sources: tuple[str, ...] | None) -> Ids:
        key = (self._snapshot.version if self._snapshot else 0, sources)
        spans = self._memory.spans.get(key)
        if spans is None:
            if len(self._memory.spans) >= _MAX_SPANS:
                self._memory.spans.clear()
            spans = self._memory.spans[key] = self._session.standing_spans(sources, self._at)
        return spans

    def vectors(self, ids: Ids) -> Vectors:
        """The vectors of these chunks as float32[n, dimension]. Raises LedgerError for an id that was
        never given.
        """
        return self._vectors.rows(np.asarray(ids, dtype=np.int64), self.chunk_total())

    def chunk_total(self) -> int:
        """How many chunks were ever taken in; their ids are below it."""
        return self._session.vector_rows()

    # -- passages

    def passages(self, chunk_ids: Sequence[int] | Ids) -> list[StoredPassage | UnprovedPassage]:
        """The chunks with their evidence, in the order asked for. Nothing is verified.

        A row that is missing or damaged becomes an UnprovedPassage: one of them never hides the others.
        Raises NotFoundError when nothing was sealed.
        """
        self.snapshot()
        size = self._proved_in()
        return [self._passage(int(chunk_id), size) for chunk_id in chunk_ids]

    def _passage(self, chunk_id: int, size: int) -> StoredPassage | UnprovedPassage:
        version: VersionRow | None = None
        try:
            chunk = self._session.chunk(chunk_id)
            if chunk is None:
                return UnprovedPassage(
                    chunk_id, "", -1, Refusal.NOT_IN_SNAPSHOT, f"there is no chunk {chunk_id}"
                )
            version = self._version(chunk.version)
            return self._stored(chunk, version, size)
        except TrustragError as error:
            name, index = (version.doc_id, chunk_id - version.first_chunk) if version else ("", -1)
            return UnprovedPassage(chunk_id, name, index, Refusal.MALFORMED, str(error))

    def _stored(self, chunk: ChunkRow, version: VersionRow, size: int) -> StoredPassage | UnprovedPassage:
        index = chunk.id - version.first_chunk
        proof = self._proof(version.doc_id)
        faded = self._fading and version.standing in ("quarantined", "withdrawn")
        if proof is None or proof[0] != version.row or faded:
            reason = f"version {version.version} of {version.doc_id} does not stand: it is {version.standing}"
            return UnprovedPassage(chunk.id, version.doc_id, index, Refusal.NOT_IN_SNAPSHOT, reason)
        _, entry, standing_proof = proof
        leaf = chunk.leaf(version)
        evidence = Evidence(
            leaf,
            self._chunk_path(version, index),
            entry,
            standing_proof,
            self._log.logged(entry.source_index, size),
            self._log.logged(entry.ingest_index, size),
            tuple(self._log.logged(at, size) for _, at in entry.reviews),
        )
        vector = self._vectors.row(chunk.id)
        return StoredPassage(chunk.id, chunk.text, version.metadata, vector, evidence, version.source_name)

    def _version(self, row: int) -> VersionRow:
        if row not in self._versions:
            self._versions[row] = self._session.version(row)
        version = self._versions[row]
        if version is None:
            raise LedgerError(f"version row {row} is missing in ledger.db")
        return version

    def _proof(self, doc_id: str) -> tuple[int, StandingEntry, StandingProof] | None:
        if doc_id not in self._proofs:
            found = self._tree.proof(doc_id)
            self._proofs[doc_id] = found and (found[0].version, self._entry(found[0].entry), found[1])
        return self._proofs[doc_id]

    def _entry(self, data: bytes) -> StandingEntry:
        entries = self._memory.entries
        entry = entries.get(data)
        if entry is None:
            if len(entries) >= _MAX_ENTRIES:
                entries.clear()
            try:
                entry = entries[data] = StandingEntry.parse(data)
            except MalformedError as error:
                raise MalformedError(f"its entry in table standing of ledger.db is none: {error}") from error
        return entry

    def _chunk_path(self, version: VersionRow, index: int) -> tuple[bytes, ...]:
        if not 0 <= index < version.chunk_count:
            raise MalformedError(
                f"{version.doc_id} has {version.chunk_count} chunks, and this would be {index}"
            )

        def node(level: int, at: int) -> bytes:
            last = version.first_chunk + ((at + 1) << level) - 1
            return node_of(self._session.chunk_nodes(last), level, f"chunk {last}")

        return tuple(inclusion_path(index, version.chunk_count, node))


def _spans(spans: list[tuple[int, int]], total: int) -> Ids:
    return _expand(np.array(spans, dtype=np.int64).reshape(-1, 2), total)


def _expand(spans: Ids, total: int) -> Ids:
    """int64[n, 2] of (first, count) to the ids in order; refuses what lies outside the `total` chunks."""
    if not len(spans):
        return np.empty(0, dtype=np.int64)
    first, count = spans[:, 0], spans[:, 1]
    if int(first.min()) < 0 or int(count.min()) < 1 or int(count.max()) > total or int(first.max()) > total:
        raise LedgerError("version rows in ledger.db name chunks that were never taken in")
    ids = np.empty(0, dtype=np.int64)
    if int(count.sum()) <= total and int((first + count).max()) <= total:
        before = np.cumsum(count) - count
        ids = np.unique(np.arange(int(count.sum()), dtype=np.int64) + np.repeat(first - before, count))
    if len(ids) != int(count.sum()):
        raise LedgerError("version rows in ledger.db share chunks, or name some that were never taken in")
    return ids
