"""Computes everything in the ledger anew from its rows and names what differs. Hashes only.

Whether the signatures hold and the signers had the right is asked one row up, with the policy at hand. Here
the question is whether the ledger is one consistent memory: log, snapshots, what stood and stands, versions, rulings,
chunks, vectors. A column is held against the statement that it copies; `tests/attacks/test_columns.py` lists those that
copy none. Nothing stops at the first problem, and a row that cannot be read is a problem like any other.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from typing import ParamSpec

from trustrag.errors import LedgerError, MalformedError, TrustragError
from trustrag.ledger.annals import TELLING, Act, Annals, Moves
from trustrag.ledger.history import Publisher
from trustrag.ledger.ledger import Ledger
from trustrag.ledger.log import completed
from trustrag.ledger.model import Problem, Snapshot, VersionRow
from trustrag.ledger.purpose import CONTEXT, EMBEDDER, settings_of
from trustrag.ledger.rows import ChunkRow, StandingRow
from trustrag.ledger.signed import Signed
from trustrag.ledger.sqlite import Session
from trustrag.ledger.standing import empty_node
from trustrag.ledger.vectors import VectorFile
from trustrag.provenance.canonical import Digest, parse_metadata
from trustrag.provenance.checkpoint import Checkpoint, Note
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.merkle import HASH_SIZE, append, leaf_hash, root_at
from trustrag.provenance.standing import BUCKETS, StandingEntry, bucket_of
from trustrag.provenance.statement import Context, EmbedderId, SnapshotStatement, parse_statement
from trustrag.stored import term

_P = ParamSpec("_P")


def check(ledger: Ledger, publisher: Publisher | None = None) -> Iterator[Problem]:
    """All that is wrong with this ledger at one commit; nothing, if it is as it was written.

    Without `publisher` nobody is asked whose key signed what, and source columns are believed.
    """
    with ledger.reading() as (session, vectors):
        yield from _Audit(session, vectors, ledger.context, ledger.embedder, publisher).problems()


class _ToldError(LedgerError):
    """What cannot be looked at because of a fault that was named where it lies."""


class _Audit:
    """One run over one read transaction."""

    def __init__(
        self,
        session: Session,
        vectors: VectorFile,
        context: Context,
        embedder: EmbedderId,
        publisher: Publisher | None,
    ) -> None:
        self._session = session
        self._vectors = vectors
        self._context = context
        self._embedder = embedder
        self._publisher = publisher
        self._digests: list[Digest] = []  # of the envelopes, by log index
        self._nodes: dict[tuple[int, int], bytes] = {}
        self._bent: set[int] = set()  # entries that are not what their other columns say
        self._short = False  # whether entries are missing
        self._acts: list[Act] = []  # the snapshots that could be read, in order
        self._known = False  # whether all of them could be read; what they did is not asked else
        self._annals: Annals | None = None
        self._signed = Signed(self._envelope, (), None)
        self._whole = 0  # rows that vectors.f32 has, whole
        self._stays = 0  # of versions, in all
        self._terms: int | None = 0  # that all metadata together have; None where some were changed

    def problems(self) -> Iterator[Problem]:
        """All that is wrong, in the order database, log, snapshots, vectors, what stands, versions with
        chunks, rulings.
        """
        yield from _guarded("ledger.db", self._database())
        yield from _guarded("log", self._log())
        yield from _guarded("snapshots", self._snapshots())
        yield from _guarded("vectors.f32", self._vector_file())
        yield from _guarded("standing", self._standing())
        yield from _guarded("versions", self._versions())
        yield from _guarded("rulings", self._rulings())

    def _database(self) -> Iterator[Problem]:
        yield from _attempt("ledger.db", self._session.check_tables)
        for fault in self._session.faults():
            yield Problem("ledger.db", fault)
        told, written = self._session.settings(), settings_of(self._context, self._embedder)
        for name in sorted(told.keys() | written.keys()):
            if name != "vectors" and told.get(name) != written.get(name):
                yield Problem(f"setting {name!r}", "is not as it was written")

    # -- the log

    def _log(self) -> Iterator[Problem]:
        for index, (row, digest, nodes, data) in enumerate(self._session.entries()):
            where = f"log entry {row}"
            if row != index:
                yield Problem(where, f"follows entry {index - 1}: the log has a gap")
                self._short = True
                return
            found, leaf = Digest.of(data), leaf_hash(data)
            if digest != found and nodes[:HASH_SIZE] != leaf:
                # Two columns are agreed on another envelope. With theirs, all that follows is as it was.
                yield Problem(where, "its envelope was changed")
                self._bent.add(index)
                found, leaf = digest, nodes[:HASH_SIZE]
            self._digests.append(found)
            closed = append(index, leaf, lambda level, at: self._nodes[level, at])
            self._nodes.update(((level, at), node) for level, at, node in closed)
            if digest != found:
                yield Problem(where, "is not the envelope whose digest its row gives")
            if nodes != b"".join(node for _, _, node in closed):
                yield Problem(where, "its tree nodes are not those of the envelopes up to it")
            if index not in self._bent:
                yield from _attempt(where, Envelope.parse, data)

    def _root(self, size: int) -> Digest:
        return Digest(root_at(size, lambda level, at: self._nodes[level, at]))

    def _envelope(self, index: int) -> Envelope:
        """Raises _ToldError where that entry was named already."""
        if index in self._bent or (self._short and index >= len(self._digests)):
            raise _ToldError(f"log entry {index} was changed")
        return Envelope.parse(self._session.entry_envelope(index))

    # -- snapshots

    def _snapshots(self) -> Iterator[Problem]:
        previous, snapshots = None, self._session.snapshots()
        for snapshot in snapshots:
            where = f"snapshot {snapshot.version}"
            if snapshot.version != (previous.version + 1 if previous else 1):
                yield Problem(where, "does not follow the one before it")
            if snapshot.log_size > len(self._digests):
                yield Problem(where, f"is log entry {snapshot.log_index}, which is missing")
                self._short = True
            else:
                yield from _attempt(where, self._check_checkpoint, snapshot)
                yield from _attempt(where, self._check_statement, snapshot, previous)
            previous = snapshot
        if not snapshots and self._digests:
            yield Problem("snapshots", f"are all missing, and the log has {len(self._digests)} entries")
        elif (previous.log_size if previous else 0) != len(self._digests):
            yield Problem("log", "does not end in the last snapshot")
        self._signed = Signed(self._envelope, snapshots, self._publisher)
        known = [act.sealed.version for act in self._acts] == list(range(1, len(snapshots) + 1))
        self._known = known and bool(snapshots or not self._digests)
        if any(act.sealed.context != self._context for act in self._acts):
            yield Problem(
                f"setting {CONTEXT!r}",
                "is not the store, tenant and collection that snapshots were signed for",
            )

    def _check_checkpoint(self, snapshot: Snapshot) -> None:
        checkpoint = Checkpoint.parse(Note.parse(self._session.checkpoint(snapshot.version)).text)
        if (checkpoint.size, checkpoint.root) != (snapshot.log_size, self._root(snapshot.log_size)):
            raise LedgerError("its checkpoint is not of the log up to it")

    def _check_statement(self, snapshot: Snapshot, previous: Snapshot | None) -> None:
        statement = parse_statement(self._envelope(snapshot.log_index).payload)
        if not isinstance(statement, SnapshotStatement):
            raise LedgerError(f"log entry {snapshot.log_index} is not a snapshot")
        after = previous.log_size if previous else 0
        logged = range(after, snapshot.log_index) if statement.action in TELLING else range(0)
        said = [(parse_statement(self._envelope(at).payload), self._digests[at], at) for at in logged]
        self._acts.append(Act(statement, tuple(said)))
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
        self._whole = self._vectors.whole()
        if rows != chunks:
            yield Problem("vectors.f32", f"has {rows} rows that count, and there are {chunks} chunks")
        surplus = self._vectors.surplus(rows)
        if surplus < 0:
            lost = rows - self._whole
            yield Problem(
                "vectors.f32",
                f"is {-surplus} bytes shorter than its {rows} rows: the vectors of {lost} passage{'s' * (lost > 1)}"
                " are cut off",
            )

    # -- what stands

    def _standing(self) -> Iterator[Problem]:
        moves, ends = Moves(), dict[int, int | None]()
        newest = len(self._acts) if self._known else None
        for row, bucket in self._session.all_standing():
            self._stays += 1
            moves.add(row)
            fault = _misfiled(row, bucket, newest)
            before = ends.get(row.version, 0)
            if fault is None and (before is None or (row.since or before) < before):
                fault = "its rows are not in the order of their snapshots"
            ends[row.version] = row.until
            if fault is not None:
                yield Problem(f"standing of {row.doc_id!r}", fault, row.doc_id)
        if not self._known:
            return
        annals, nodes, sound = (
            Annals(self._acts, moves, self._session.rulings(), self._signed),
            dict[int, bytes](),
            True,
        )
        self._annals = annals
        for problem in annals.roots(nodes):
            sound = False
            yield problem
        if sound:
            yield from _compare_nodes(dict(self._session.all_nodes()), nodes)

    # -- versions and chunks

    def _versions(self) -> Iterator[Problem]:
        next_chunk, stays = 0, self._stays
        for version in self._session.versions_by_chunk():
            where = f"{version.doc_id!r} version {version.version}"
            if version.first_chunk != next_chunk:
                what = "its chunks do not follow those of the version taken in before it"
                yield Problem(where, what, version.doc_id)
            next_chunk = version.first_chunk + version.chunk_count
            for problem in _guarded(where, self._version(version, where)):
                yield replace(problem, doc_id=version.doc_id)
        if next_chunk != self._session.chunk_rows():
            yield Problem(
                "chunks", f"there are {self._session.chunk_rows()}, and the versions have {next_chunk}"
            )
        if self._signed.embedders - {self._embedder}:
            yield Problem(f"setting {EMBEDDER!r}", "is not the embedder that ingest statements name")
        if self._stays:
            self._terms = None
            yield Problem("standing", f"{self._stays} of its {stays} rows are of versions that are missing")
        # Each version has its own terms: where the totals agree too, none has a term that is not its own.
        if self._terms is not None and self._terms != self._session.term_total():
            yield Problem("filter terms", "there are others than those of the metadata")

    def _version(self, version: VersionRow, where: str) -> Iterator[Problem]:
        stays = self._session.standing_of(version.row)
        self._stays -= len(stays)
        if not stays:
            yield Problem(where, "has no standing entry")
            return
        try:
            entries = [StandingEntry.parse(stay.entry) for stay in stays]
        except MalformedError as error:
            yield Problem(where, f"its entry in table standing is none: {error}")
            return
        entry = entries[-1]
        # A version is one publication, however often it came to stand: a stay that says otherwise was slipped in.
        if len({one.chunk_root for one in entries}) > 1:
            yield Problem(where, "its standing entries name different chunks")
        if any(one.doc_id != stay.doc_id for one, stay in zip(entries, stays, strict=True)):
            yield Problem(where, "its row is filed under another document or bucket than its entry")
        for one in entries:
            yield from _attempt_all(where, self._signed.differences(version, one))
        if self._annals is not None:
            yield from _attempt(where, self._check_course, self._annals, version, stays, entry)
        yield from _attempt(where, self._check_metadata, version)
        yield from self._chunks(version, entry, where)

    @staticmethod
    def _check_course(
        annals: Annals, version: VersionRow, stays: Sequence[StandingRow], entry: StandingEntry
    ) -> None:
        called = annals.called(version, stays, entry)
        if version.standing not in called:
            told = (
                f"what was signed makes it {' or '.join(sorted(called))}" if called else "nothing took it out"
            )
            raise LedgerError(f"is called {version.standing}, and {told}")
        if stays[-1].since is None and not annals.approved(entry) <= set(entry.reviews):
            raise LedgerError("its standing entry leaves out approvals that are in the log")

    def _check_metadata(self, version: VersionRow) -> None:
        if Digest.of(version.metadata) != version.metadata_digest:
            self._terms = None
            raise LedgerError("its metadata was changed: TAMPERED_METADATA")
        metadata = parse_metadata(version.metadata)
        if self._terms is not None:
            self._terms += len(metadata)
        for name, value in metadata.items():
            if not self._session.has_term(version.row, (name, term(value))):
                raise LedgerError(f"its filter terms are not those of its metadata: {name!r} is missing")

    def _chunks(self, version: VersionRow, entry: StandingEntry, where: str) -> Iterator[Problem]:
        leaves, stored, named = [], [], False
        for index, (chunk, nodes) in enumerate(
            self._session.chunks(version.first_chunk, version.chunk_count)
        ):
            name = f"{where} chunk {index}"
            if chunk.id != version.first_chunk + index or chunk.version != version.row:
                yield Problem(name, "is missing, or belongs to another version")
                return
            for problem in self._contents(chunk, name):
                named = True
                yield problem
            leaf = chunk.leaf(version)
            leaves.append(leaf_hash(leaf.encode()))
            stored.append(nodes)
        expected, root = completed(leaves)
        if len(leaves) != version.chunk_count:
            yield Problem(where, f"has {len(leaves)} chunks of {version.chunk_count}")
        elif root != entry.chunk_root:
            if not named:
                yield Problem(where, "its chunks do not lead to the chunk root of its standing entry")
        elif stored != expected:
            yield Problem(where, "its stored chunk tree nodes are not those of its chunks")

    def _contents(self, chunk: ChunkRow, name: str) -> Iterator[Problem]:
        if sha256(chunk.text.encode()).digest() != chunk.text_digest.value:
            yield Problem(name, "its text was changed: TAMPERED_TEXT")
        if (
            chunk.id < self._whole
            and sha256(self._vectors.row(chunk.id)).digest() != chunk.vector_digest.value
        ):
            yield Problem(name, "its vector was changed: TAMPERED_VECTOR")

    # -- rulings

    def _rulings(self) -> Iterator[Problem]:
        if self._annals is not None:
            yield from self._annals.rulings(self._facts_of)

    def _facts_of(self, version_row: int) -> tuple[str | None, int | None]:
        """Whose key signed a version, and its number."""
        stays = self._session.standing_of(version_row)
        if not stays:
            return None, None
        entry = StandingEntry.parse(stays[-1].entry)
        return self._signed.publisher(entry), entry.version


def _misfiled(row: StandingRow, bucket: int, newest: int | None) -> str | None:
    """What is wrong with the place and time of a row of `standing`, if anything is."""
    if bucket != bucket_of(row.doc_id):
        return "its row is filed under another document or bucket than its entry"
    if row.until is not None and (row.since is None or row.since >= row.until):
        return "it ended before it began"
    if newest is not None and any(not 1 <= at <= newest for at in (row.since, row.until) if at is not None):
        return "it moved with a snapshot that is not there"
    return None


def _compare_nodes(stored: Mapping[int, bytes], computed: Mapping[int, bytes]) -> Iterator[Problem]:
    wrong = []
    for number in sorted(stored.keys() | computed.keys()):
        empty = empty_node(number) if 0 < number < 2 * BUCKETS else b""
        if stored.get(number, empty) != computed.get(number, empty):
            wrong.append(number)
    if wrong:
        more = f", nor are {len(wrong) - 1} more" if len(wrong) > 1 else ""
        yield Problem(f"standing node {wrong[0]}", f"is not the hash of what stands below it{more}")


def _attempt(
    where: str, check: Callable[_P, object], *args: _P.args, **names: _P.kwargs
) -> Iterator[Problem]:
    """Runs one check; what it raises on purpose is the problem."""
    try:
        check(*args, **names)
    except _ToldError:
        return
    except TrustragError as error:
        yield Problem(where, str(error))


def _attempt_all(where: str, found: Iterable[str]) -> Iterator[Problem]:
    """The same for a check that goes on after what it finds."""
    try:
        yield from (Problem(where, what) for what in found)
    except _ToldError:
        return
    except TrustragError as error:
        yield Problem(where, str(error))


def _guarded(where: str, problems: Iterable[Problem]) -> Iterator[Problem]:
    """Goes through what a check finds; where its rows cannot even be read, that is the last thing found."""
    try:
        yield from problems
    except _ToldError:
        return
    except (TrustragError, UnicodeError) as error:
        yield Problem(where, f"cannot be read further: {error}")
