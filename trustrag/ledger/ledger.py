"""The ledger: documents, versions and chunks, what stands, and the log that proves it.

One folder holds one collection of one store: `ledger.db` and `vectors.f32` are the truth, `lock` keeps a
second writer out. A write is one transaction from entry to checkpoint. Its order, and what is left if we die
there:

    vectors appended and synced      a tail that no row names; the next writer cuts it off
    rows, entries, standing tree     nothing: SQLite rolls the transaction back
    snapshot and checkpoint signed   nothing: signatures that nobody saw over a tree that never was
    commit                           everything: it was on disk before `admit` returned

The ledger proves and does not judge: who may say what is the policy's business, in the gate.
"""

import os
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

import numpy as np

from trustrag.errors import (
    BackendError,
    ConfigError,
    ConflictError,
    LedgerError,
    NotFoundError,
    TrustragError,
)
from trustrag.ledger.admission import Desk
from trustrag.ledger.connection import connect, translated
from trustrag.ledger.history import Publisher, Withdrawals
from trustrag.ledger.lock import WriterLock
from trustrag.ledger.model import Admission, Decision, Ruling, Sealer, Snapshot, VersionRow
from trustrag.ledger.purpose import purpose_of, settings_of
from trustrag.ledger.rollback import Plan
from trustrag.ledger.schema import migrate, require_current
from trustrag.ledger.sqlite import Session
from trustrag.ledger.vectors import VectorFile
from trustrag.ledger.view import Memory, View
from trustrag.ledger.writing import Writing
from trustrag.provenance.canonical import Metadata
from trustrag.provenance.checkpoint import Note, NoteSignature
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.evidence import Head
from trustrag.provenance.policy import TrustedSnapshot
from trustrag.provenance.statement import Context, EmbedderId
from trustrag.stored import Changes, Ids, StoredPassage, UnprovedPassage, Vectors

DATABASE = "ledger.db"
VECTORS = "vectors.f32"
LOCK = "lock"


class Ledger:
    """One collection. Any number of threads may read; writes take turns. Made by `create` and `open`."""

    def __init__(self, folder: Path, lock: WriterLock | None) -> None:
        """Use `create` or `open`. Takes over the lock, and releases it when this fails."""
        self.folder = folder
        self._lock = lock
        self._turn = threading.Lock()  # of writers
        self._pool = threading.Lock()  # of idle connections; never held while the database works
        self._idle: list[Session] = []
        self._memory = Memory()
        self._withdrawals = Withdrawals()
        self._closed = False
        self._writer: Session | None = None
        self._vectors: VectorFile | None = None
        try:
            session = self._connect()
            self._idle.append(session)  # closed with the others, also where it says nothing good
            self.context, self.embedder = purpose_of(session)
            self._vectors = VectorFile(folder / VECTORS, self.embedder.dimension, write=lock is not None)
            if lock is not None:
                self._writer = Session(connect(folder / DATABASE, write=True))
                # A writer that died between its append and its commit left vectors behind that no row names.
                self._vectors.reclaim(session.vector_rows())
        except BaseException:
            self.close()
            raise

    @classmethod
    def create(cls, folder: Path, context: Context, embedder: EmbedderId) -> "Ledger":
        """A new ledger, open for writing. It has no snapshot yet: `reseal` makes the first.

        Raises ConflictError when there is one already.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BackendError(f"{folder} cannot be made: {error}") from error
        lock = WriterLock(folder / LOCK)
        try:
            _create_files(folder, context, embedder)
        except BaseException:
            lock.release()
            raise
        return cls(folder, lock)

    @classmethod
    def open(cls, folder: Path, *, write: bool = False) -> "Ledger":
        """Opens a ledger. A writer gets the lock, brings older tables up to date, and cuts off a dead
        writer's tail.

        Raises ConfigError when there is none, ConflictError when another writer has it (with its process id),
        LedgerError when its tables were changed by hand, BackendError when its files cannot be read.
        """
        if not (folder / DATABASE).is_file():
            raise ConfigError(
                f"there is no ledger in {folder}: restore {DATABASE} and {VECTORS} from a backup"
            )
        if not (folder / DATABASE).stat().st_size:
            raise LedgerError(f"{folder / DATABASE} is empty: restore it and {VECTORS} from a backup")
        if not write:
            return cls(folder, None)
        lock = WriterLock(folder / LOCK)
        try:
            _migrated(folder).close()
        except BaseException:
            lock.release()
            raise
        return cls(folder, lock)

    def close(self) -> None:
        """Closes the files and releases the lock. Views that are open must be left first."""
        self._closed = True
        if self._writer is not None:
            with suppress(BackendError):  # all of it is safe in the log, too
                self._writer.settle()
        for session in (*self._idle, *filter(None, [self._writer])):
            session.close()
        self._idle.clear()
        self._writer = None
        if self._vectors is not None:
            self._vectors.close()
            self._vectors = None
        if self._lock is not None:
            self._lock.release()

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # -- writing

    def admit(
        self,
        admissions: Sequence[Admission],
        sealer: Sealer,
        now: int,
        *,
        base: TrustedSnapshot | None = None,
    ) -> Snapshot:
        """Takes in all of these, or none: from the log entries to the signed checkpoint it is one
        transaction.

        An active admission supersedes the version that stands; a quarantined one leaves it standing. `base`
        is the head as the policy accepted it; without it the last snapshot must be signed by the sealer's own
        keys. Raises LedgerError when an admission disagrees with what was signed about it, ConflictError when
        it is not newer than what the ledger has of the document, or the ledger is not at `base`. `now` is in
        unix seconds.
        """
        doc_ids = {admission.claim.doc_id for admission in admissions}
        if not admissions or len(doc_ids) != len(admissions):
            raise ValueError("an admission is of at least one document, and of each document once")
        desk = Desk(self.context, self.embedder)
        items = [desk.prepare(admission) for admission in admissions]
        vectors = np.concatenate([admission.vectors for admission in admissions])
        with self._write_turn() as (session, file):
            rows = session.vector_rows()
            # If we die after this: the rows below were never committed, and the next writer cuts these bytes
            # off.
            file.append(rows, vectors)
            try:
                with session.writing():
                    writing = Writing(session, self.context, sealer, now, base, self._withdrawals)
                    writing.admit(items, rows)
                    # If we die up to here: SQLite rolls back. Once `writing` is left, all of it is on the
                    # disk.
                    return writing.seal("publish", None)
            except TrustragError:
                file.reclaim(session.vector_rows())
                raise

    def rule(
        self,
        rulings: Sequence[Ruling],
        sealer: Sealer,
        now: int,
        *,
        publisher: Publisher | None = None,
        base: TrustedSnapshot | None = None,
    ) -> Snapshot:
        """Changes what stands, by document or for everything of a source, in one snapshot. Nothing is erased.

        All rulings must be of one action and give one reason, which the snapshot names. Restoring a document
        supersedes what stands of it. A ruling on a source needs `publisher`, and goes by what was signed, not by
        rows: all that stands is read. Restoring a source brings back what rulings on the source took away, where
        nothing was decided about the document since.
        Raises NotFoundError when a ruling has nothing to act on, LedgerError when nobody approved what would
        be restored; see `admit` for the rest.
        """
        if len({(ruling.action, ruling.reason) for ruling in rulings}) != 1:
            raise ValueError("the rulings of one snapshot have one action and one reason")
        with self._write_turn() as (session, _), session.writing():
            writing = Writing(session, self.context, sealer, now, base, self._withdrawals)
            writing.rule(rulings, Desk(self.context, self.embedder), publisher)
            return writing.seal(rulings[0].action, rulings[0].reason)

    def roll_back(
        self,
        plan: Plan,
        envelopes: Sequence[Envelope],
        reason: str,
        sealer: Sealer,
        now: int,
        *,
        base: TrustedSnapshot | None = None,
    ) -> Snapshot:
        """Lets stand again what stood once, in one new snapshot; nothing is erased. See `rollback.planned`.

        `envelopes` are the signed proposal and its approvals, to be held in the log; who may sign them is the policy's
        business. Raises NotFoundError where the plan changes nothing, ConflictError where the ledger is no longer where
        it starts; see `admit` for the rest.
        """
        with self._write_turn() as (session, _), session.writing():
            writing = Writing(session, self.context, sealer, now, base, self._withdrawals)
            writing.roll_back(plan, envelopes)
            return writing.seal("rollback", reason)

    def decide(
        self, decision: Decision, sealer: Sealer, now: int, *, base: TrustedSnapshot | None = None
    ) -> Snapshot:
        """Enters what somebody decided about a version that waits, in a snapshot of its own.

        What is approved and settled stands from there on and supersedes what stood; what is rejected and settled is
        taken out. Raises NotFoundError where it does not wait, ConflictError for a decision that is in the log already,
        LedgerError for one that is about something else; see `admit` for the rest.
        """
        with self._write_turn() as (session, _), session.writing():
            writing = Writing(session, self.context, sealer, now, base, self._withdrawals)
            writing.decide(decision, Desk(self.context, self.embedder))
            return writing.seal("review", decision.told)

    def reseal(
        self, sealer: Sealer, now: int, *, reason: str | None = None, base: TrustedSnapshot | None = None
    ) -> Snapshot:
        """Seals what stands once more, before the last snapshot expires; in a new ledger, for the first
        time.
        """
        with self._write_turn() as (session, _), session.writing():
            writing = Writing(session, self.context, sealer, now, base, self._withdrawals)
            writing.keep()
            return writing.seal("renew" if session.snapshot() else "publish", reason)

    def add_cosignatures(self, version: int, lines: Sequence[NoteSignature]) -> bytes:
        """Keeps these lines with the checkpoint of that snapshot, and returns it; what the log signed stays as it is.

        Requires lines that were verified. Raises NotFoundError for a snapshot that is not there.
        """
        with self._write_turn() as (session, _), session.writing():
            if session.snapshot(version) is None:
                raise NotFoundError(f"no snapshot {version}")
            note = Note.parse(session.checkpoint(version))
            new = tuple(line for line in lines if line not in note.signatures)
            data = Note(note.text, (*note.signatures, *new)).encode()
            session.put_checkpoint(version, data)
            return data

    @contextmanager
    def _write_turn(self) -> Iterator[tuple[Session, VectorFile]]:
        with self._turn:
            if self._writer is None:
                raise ConfigError(f"{self.folder} is not open for writing")
            yield self._writer, self._files()

    # -- reading

    @contextmanager
    def view(self, at: int | None = None, *, fading: bool = False) -> Iterator[View]:
        """The ledger at one commit, for as long as the block lasts; with `at`, as of that snapshot.

        A past view computes the whole standing tree of then on its first proof: linear in what stood. With `fading`
        it leaves out what was quarantined or withdrawn since.
        """
        with self.reading() as (session, vectors):
            yield View(session, vectors, self._memory, at, fading=fading)

    @contextmanager
    def reading(self) -> Iterator[tuple[Session, VectorFile]]:
        """The bare rows of one commit, for what has to see all of them: the audit."""
        session = self._borrow()
        try:
            with session.reading():
                yield session, self._files()
        finally:
            self._give_back(session)

    def head(self) -> Head:
        """See View.head."""
        with self.view() as view:
            return view.head()

    def snapshot(self) -> Snapshot:
        """See View.snapshot."""
        with self.view() as view:
            return view.snapshot()

    def snapshots(self) -> list[Snapshot]:
        """See View.snapshots."""
        with self.view() as view:
            return view.snapshots()

    def consistency(self, old_size: int, new_size: int) -> list[bytes]:
        """See View.consistency."""
        with self.view() as view:
            return view.consistency(old_size, new_size)

    def version_of(self, doc_id: str) -> VersionRow | None:
        """See View.version_of."""
        with self.view() as view:
            return view.version_of(doc_id)

    def active(self, doc_id: str) -> VersionRow | None:
        """See View.active."""
        with self.view() as view:
            return view.active(doc_id)

    def versions(self, doc_id: str) -> list[VersionRow]:
        """See View.versions."""
        with self.view() as view:
            return view.versions(doc_id)

    def documents(self) -> list[VersionRow]:
        """See View.documents."""
        with self.view() as view:
            return list(view.documents())

    def active_documents(self) -> list[VersionRow]:
        """See View.active_documents."""
        with self.view() as view:
            return view.active_documents()

    def passages(self, chunk_ids: Sequence[int] | Ids) -> list[StoredPassage | UnprovedPassage]:
        """See View.passages; use a view to have the head of the same commit."""
        with self.view() as view:
            return view.passages(chunk_ids)

    def changes(self, since: int) -> Changes:
        """See View.changes."""
        with self.view() as view:
            return view.changes(since)

    def select(
        self, where: Mapping[str, Metadata] | None = None, sources: Collection[str] | None = None
    ) -> Ids:
        """See View.select."""
        with self.view() as view:
            return view.select(where, sources)

    def vectors(self, ids: Ids) -> Vectors:
        """See View.vectors."""
        with self.view() as view:
            return view.vectors(ids)

    def chunk_total(self) -> int:
        """See View.chunk_total."""
        with self.view() as view:
            return view.chunk_total()

    # -- connections

    def _connect(self) -> Session:
        db = connect(self.folder / DATABASE, write=False)
        try:
            with translated(DATABASE):
                require_current(db)
        except BaseException:
            db.close()
            raise
        return Session(db)

    def _files(self) -> VectorFile:
        if self._vectors is None:
            raise ConfigError(f"the ledger of {self.folder} is closed")
        return self._vectors

    def _borrow(self) -> Session:
        with self._pool:
            if self._closed:
                raise ConfigError(f"the ledger of {self.folder} is closed")
            if self._idle:
                return self._idle.pop()
        return self._connect()

    def _give_back(self, session: Session) -> None:
        with self._pool:
            if not self._closed:
                self._idle.append(session)
                return
        session.close()


def _create_files(folder: Path, context: Context, embedder: EmbedderId) -> None:
    session = _migrated(folder)
    try:
        with session.writing():
            if session.settings():
                raise ConflictError(f"{folder} holds a ledger already")
            # If we die before this commits: `open` finds no settings and says so, and `create` can start
            # again.
            for name, value in settings_of(context, embedder).items():
                session.put_setting(name, value)
            session.put_setting("vectors", "0")
    finally:
        session.close()
    VectorFile(folder / VECTORS, embedder.dimension, write=True).close()
    directory = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)  # the names of the new files, too, have to be on the disk
    finally:
        os.close(directory)


def _migrated(folder: Path) -> Session:
    db = connect(folder / DATABASE, write=True)
    try:
        with translated(DATABASE):
            migrate(db)
    except BaseException:
        db.close()
        raise
    return Session(db)
