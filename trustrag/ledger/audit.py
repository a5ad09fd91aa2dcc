"""Computes everything in the ledger anew from its rows and names what differs. Hashes only.

Whether the signatures hold and the signers had the right is asked one row up, with the policy at hand. Here
the question is whether the ledger is one consistent memory: log, snapshots, what stands, versions, chunks,
vectors. Nothing stops at the first problem, and a row that cannot be read is a problem like any other.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from hashlib import sha256
from typing import ParamSpec

from trustrag.errors import LedgerError, TrustragError
from trustrag.ledger.ledger import Ledger
from trustrag.ledger.log import completed
from trustrag.ledger.model import Problem, Snapshot, VersionRow
from trustrag.ledger.rows import ChunkRow, StandingRow
from trustrag.ledger.sqlite import Session
from trustrag.ledger.standing import bucket_node, empty_node, lift
from trustrag.ledger.vectors import VectorFile
from trustrag.provenance.canonical import Digest, parse_metadata
from trustrag.provenance.checkpoint import Checkpoint, Note
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.merkle import append, leaf_hash, root_at
from trustrag.provenance.standing import BUCKETS, StandingEntry, bucket_of
from trustrag.provenance.statement import SnapshotStatement, parse_statement
from trustrag.stored import term

_P = ParamSpec("_P")


def check(ledger: Ledger) -> Iterator[Problem]:
    """All that is wrong with this ledger at one commit; nothing, if it is as it was written."""
    with ledger.reading() as (session, vectors):
        yield from _Audit(session, vectors).problems()


class _Audit:
    """One run over one read transaction."""

    def __init__(self, session: Session, vectors: VectorFile) -> None:
        self._session = session
        self._vectors = vectors
        self._digests: list[Digest] = []  # of the envelopes, by log index
        self._nodes: dict[tuple[int, int], bytes] = {}
        self._began: set[tuple[str, int | None]] = set()  # document, snapshot: where a version began to stand
        self._terms = 0  # that all metadata together have

    def problems(self) -> Iterator[Problem]:
        """All that is wrong, in the order database, log, snapshots, vectors, what stands, versions with
        chunks.
        """
        yield from _guarded("ledger.db", self._database())
        yield from _guarded("log", self._log())
        yield from _guarded("snapshots", self._snapshots())
        yield from _guarded("vectors.f32", self._vector_file())
        yield from _guarded("standing", self._standing())
        yield from _guarded("versions", self._versions())

    def _database(self) -> Iterator[Problem]:
        yield from _attempt("ledger.db", self._session.check_tables)
        for fault in self._session.faults():
            yield Problem("ledger.db", fault)

    # -- the log

    def _log(self) -> Iterator[Problem]:
        for index, (row, digest, nodes, data) in enumerate(self._session.entries()):
            where = f"log entry {row}"
            if row != index:
                yield Problem(where, f"follows entry {index - 1}: the log has a gap")
                return
            self._digests.append(Digest.of(data))
            closed = append(index, leaf_hash(data), lambda level, at: self._nodes[level, at])
            self._nodes.update(((level, at), node) for level, at, node in closed)
            if digest != self._digests[-1]:
                yield Problem(where, "is not the envelope whose digest its row gives")
            if nodes != b"".join(node for _, _, node in closed):
                yield Problem(where, "its tree nodes are not those of the envelopes up to it")
            yield from _attempt(where, Envelope.parse, data)

    def _root(self, size: int) -> Digest:
        return Digest(root_at(size, lambda level, at: self._nodes[level, at]))

    # -- snapshots

    def _snapshots(self) -> Iterator[Problem]:
        previous: Snapshot | None = None
        for snapshot in self._session.snapshots():
            where = f"snapshot {snapshot.version}"
            if snapshot.version != (previous.version + 1 if previous else 1):
                yield Problem(where, "does not follow the one before it")
            if snapshot.log_size > len(self._digests):
                yield Problem(where, f"is log entry {snapshot.log_index}, which is missing")
            else:
                yield from _attempt(where, self._check_checkpoint, snapshot)
                yield from _attempt(where, self._check_statement, snapshot, previous)
            previous = snapshot
        if (previous.log_size if previous else 0) != len(self._digests):
            yield Problem("log", "does not end in the last snapshot")

    def _check_checkpoint(self, snapshot: Snapshot) -> None:
        checkpoint = Checkpoint.parse(Note.parse(self._session.checkpoint(snapshot.version)).text)
        if (checkpoint.size, checkpoint.root) != (snapshot.log_size, self._root(snapshot.log_size)):
            raise LedgerError("its checkpoint is not of the log up to it")

    def _check_statement(self, snapshot: Snapshot, previous: Snapshot | None) -> None:
        envelope = Envelope.parse(self._session.entry_envelope(snapshot.log_index))
        statement = parse_statement(envelope.payload)
        if not isinstance(statement, SnapshotStatement):
            raise LedgerError(f"log entry {snapshot.log_index} is not a snapshot")
        told = (
            statement.version,
            statement.root,
            statement.log_size,
            statement.action,
            statement.reason,
            statement.issued_at,
            statement.expires,
        )
        row = (
            snapshot.version,
            snapshot.root,
            snapshot.log_index,
            snapshot.action,
            snapshot.reason,
            snapshot.issued_at,
            snapshot.expires,
        )
        if told != row or statement.previous != (previous.root if previous else None):
            raise LedgerError("its row differs from what was signed")

    # -- vectors

    def _vector_file(self) -> Iterator[Problem]:
        rows, chunks = self._session.vector_rows(), self._session.chunk_rows()
        if rows != chunks:
            yield Problem("vectors.f32", f"has {rows} rows that count, and there are {chunks} chunks")
        surplus = self._vectors.surplus(rows)
        if surplus < 0:
            yield Problem("vectors.f32", f"is {-surplus} bytes shorter than its {rows} rows")

    # -- what stands

    def _standing(self) -> Iterator[Problem]:
        leaves: dict[int, list[tuple[bytes, bytes]]] = {}
        for row, bucket in self._session.all_standing():
            where = f"standing of {row.doc_id!r}"
            self._began.add((row.doc_id, row.since))
            yield from _attempt(where, self._check_standing, row, bucket)
            # A row of a bucket that is not there was named above, and has no place in the tree.
            if row.since is not None and row.until is None and 0 <= bucket < BUCKETS:
                leaves.setdefault(BUCKETS + bucket, []).append((row.doc_id.encode(), leaf_hash(row.entry)))
        computed = lift({number: bucket_node(entries) for number, entries in leaves.items()}, empty_node)
        snapshot = self._session.snapshot()
        if snapshot is not None and computed.get(1, empty_node(1)) != snapshot.root.value:
            yield Problem("standing", f"what stands does not lead to the root of snapshot {snapshot.version}")
        yield from _compare_nodes(dict(self._session.all_nodes()), computed)

    def _check_standing(self, row: StandingRow, bucket: int) -> None:
        entry = StandingEntry.parse(row.entry)
        if entry.doc_id != row.doc_id or bucket != bucket_of(row.doc_id):
            raise LedgerError("its row is filed under another document or bucket than its entry")
        if row.until is not None and (row.since is None or row.since >= row.until):
            raise LedgerError("it ended before it began")
        for name, index in (
            (entry.source, entry.source_index),
            (entry.ingest, entry.ingest_index),
            *entry.reviews,
        ):
            if index >= len(self._digests) or self._digests[index] != name:
                raise LedgerError(f"log entry {index} is not the envelope that it names")

    # -- versions and chunks

    def _versions(self) -> Iterator[Problem]:
        next_chunk = 0
        for version in self._session.versions_by_chunk():
            where = f"{version.doc_id!r} version {version.version}"
            if version.first_chunk != next_chunk:
                yield Problem(where, "its chunks do not follow those of the version taken in before it")
            next_chunk = version.first_chunk + version.chunk_count
            yield from _guarded(where, self._version(version, where))
        # Each version has its own terms: where the totals agree too, none has a term that is not its own.
        if self._terms != self._session.term_total():
            yield Problem("filter terms", "there are others than those of the metadata")

    def _version(self, version: VersionRow, where: str) -> Iterator[Problem]:
        stays = self._session.standing_of(version.row)
        if not stays:
            yield Problem(where, "has no standing entry")
            return
        stands = any(stay.since is not None and stay.until is None for stay in stays)
        entries = [StandingEntry.parse(stay.entry) for stay in stays]
        entry = entries[-1]
        # A version is one publication, however often it came to stand: a stay that says otherwise was slipped in.
        if len({one.chunk_root for one in entries}) > 1:
            yield Problem(where, "its standing entries name different chunks")
        for one in entries:
            yield from _attempt(where, self._check_entry, version, one)
        yield from _attempt(where, self._check_version, version, stands)
        # A version ends because another one begins, or by a ruling. Only what a ruling ended can be restored.
        followed = stays[-1].until is not None and (version.doc_id, stays[-1].until) in self._began
        if (version.standing == "superseded") != followed:
            yield Problem(where, f"is called {version.standing}, and what stood after it says otherwise")
        yield from self._chunks(version, entry, where)

    @staticmethod
    def _check_entry(version: VersionRow, entry: StandingEntry) -> None:
        told = (entry.doc_id, entry.version, entry.document, entry.chunk_count)
        if told != (version.doc_id, version.version, version.digest, version.chunk_count):
            raise LedgerError("its row differs from its standing entry")

    def _check_version(self, version: VersionRow, stands: bool) -> None:
        if (version.standing == "active") != stands:
            raise LedgerError(f"is called {version.standing}, and the standing tree says otherwise")
        if Digest.of(version.metadata) != version.metadata_digest:
            raise LedgerError("its metadata was changed")
        metadata = parse_metadata(version.metadata)
        self._terms += len(metadata)
        for name, value in metadata.items():
            if not self._session.has_term(version.row, (name, term(value))):
                raise LedgerError(f"its filter terms are not those of its metadata: {name!r} is missing")

    def _chunks(self, version: VersionRow, entry: StandingEntry, where: str) -> Iterator[Problem]:
        leaves, stored = [], []
        for index, (chunk, nodes) in enumerate(
            self._session.chunks(version.first_chunk, version.chunk_count)
        ):
            name = f"{where} chunk {index}"
            if chunk.id != version.first_chunk + index or chunk.version != version.row:
                yield Problem(name, "is missing, or belongs to another version")
                return
            yield from self._contents(chunk, name)
            leaf = chunk.leaf(version)
            leaves.append(leaf_hash(leaf.encode()))
            stored.append(nodes)
        expected, root = completed(leaves)
        if len(leaves) != version.chunk_count:
            yield Problem(where, f"has {len(leaves)} chunks of {version.chunk_count}")
        elif root != entry.chunk_root:
            yield Problem(where, "its chunks do not lead to the chunk root of its standing entry")
        if stored != expected:
            yield Problem(where, "its stored chunk tree nodes are not those of its chunks")

    def _contents(self, chunk: ChunkRow, name: str) -> Iterator[Problem]:
        if sha256(chunk.text.encode()).digest() != chunk.text_digest.value:
            yield Problem(name, "its text was changed")
        if sha256(self._vectors.row(chunk.id)).digest() != chunk.vector_digest.value:
            yield Problem(name, "its vector was changed")


def _compare_nodes(stored: Mapping[int, bytes], computed: Mapping[int, bytes]) -> Iterator[Problem]:
    for number in sorted(stored.keys() | computed.keys()):
        empty = empty_node(number) if 0 < number < 2 * BUCKETS else b""
        if stored.get(number, empty) != computed.get(number, empty):
            yield Problem(f"standing node {number}", "is not the hash of what stands below it")


def _attempt(
    where: str, check: Callable[_P, object], *args: _P.args, **names: _P.kwargs
) -> Iterator[Problem]:
    """Runs one check; what it raises on purpose is the problem."""
    try:
        check(*args, **names)
    except TrustragError as error:
        yield Problem(where, str(error))


def _guarded(where: str, problems: Iterable[Problem]) -> Iterator[Problem]:
    """Goes through what a check finds; where its rows cannot even be read, that is the last thing found."""
    try:
        yield from problems
    except (TrustragError, UnicodeError) as error:
        yield Problem(where, f"cannot be read further: {error}")
