"""What became of documents, as it was signed: for rulings that would otherwise go by rows which anybody can edit.

Every snapshot is an entry of the log, and names the root of what stood. So the rows of the past are held against the
root of each snapshot, and who published what against the key that signed it.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple, TypeAlias

from trustrag.errors import LedgerError, SignatureError
from trustrag.ledger.log import Log
from trustrag.ledger.model import Snapshot
from trustrag.ledger.rows import StandingRow
from trustrag.ledger.sqlite import Session
from trustrag.ledger.standing import EMPTY_TREE, Replay
from trustrag.provenance.canonical import Digest
from trustrag.provenance.envelope import Envelope, verify
from trustrag.provenance.policy import Policy
from trustrag.provenance.standing import StandingEntry
from trustrag.provenance.statement import (
    RollbackStatement,
    SnapshotStatement,
    WithdrawalStatement,
    parse_statement,
)

Publisher: TypeAlias = Callable[[Envelope], str | None]
"""The source whose key signed an attestation, today's policy says; None where it is nobody's."""

STRIKES = ("quarantine", "withdraw")
"""The actions that take out what stood."""
_LOGGED_WITH = ("withdraw", "rollback")  # the actions of which the log says more than the snapshot does


def publisher_under(policy: Policy) -> Publisher:
    """Tells whose key of this policy signed an attestation, whether or not it may still sign."""
    keys = {known.key.key_id: (source.name, known.key) for source in policy.sources for known in source.keys}

    def publisher(envelope: Envelope) -> str | None:
        if envelope.key_id not in keys:
            return None
        name, key = keys[envelope.key_id]
        try:
            verify(envelope, key)
        except SignatureError:
            return None
        return name

    return publisher


class Sources:
    """Which source published what: asked once for each attestation."""

    def __init__(self, log: Log, publisher: Publisher) -> None:
        self._log = log
        self._publisher = publisher
        self._names: dict[Digest, str | None] = {}

    def of(self, source: Digest, index: int) -> str | None:
        """The publisher of the attestation with this digest. Raises LedgerError where log entry `index` is not it."""
        if source not in self._names:
            envelope = self._log.envelope(index)
            if envelope.digest != source:
                raise LedgerError(
                    f"log entry {index} is not the attestation that stands on it: it was changed"
                )
            self._names[source] = self._publisher(envelope)
        return self._names[source]


class Sealed(NamedTuple):
    """One snapshot as it was signed, with what was logged for it: withdrawals, or a rollback and its approvals.

    `rollbacks` are log indices and envelopes, and whose they are is nobody's word yet. Before the first snapshot
    `log_index` is -1.
    """

    version: int
    root: Digest
    action: str
    withdrawals: tuple[WithdrawalStatement, ...] = ()
    reason: str | None = None
    issued_at: int = 0
    log_index: int = -1
    rollbacks: tuple[tuple[int, Envelope], ...] = ()


Moved: TypeAlias = list[tuple[StandingRow, StandingEntry]]


class Step(NamedTuple):
    """A snapshot with what ended in it and what began, which together lead from the root before to its own."""

    sealed: Sealed
    ended: Moved
    began: Moved


def sealed(session: Session, log: Log, first: int, last: Snapshot) -> Iterator[Sealed]:
    """Snapshots `first` to `last`, each proved to be in the log of `last`; the first without its withdrawals.

    Requires that this log was held against its signed checkpoint. Raises LedgerError where one is missing or another.
    """
    before: int | None = None
    if first == 0:
        first, before = 1, -1
        yield Sealed(0, EMPTY_TREE, "")
    for version in range(first, last.version + 1):
        row = session.snapshot(version)
        statement = None if row is None else parse_statement(log.proved(row.log_index, last.log_size).payload)
        if row is None or not isinstance(statement, SnapshotStatement) or statement.version != version:
            raise LedgerError(
                f"snapshot {version} in ledger.db is not the one that was signed: run trustrag audit"
            )
        more = before is not None and statement.action in _LOGGED_WITH
        between = range((before or 0) + 1, row.log_index) if more else range(0)
        logged = [(index, log.proved(index, last.log_size)) for index in between]
        said = [(item, parse_statement(item[1].payload)) for item in logged]
        yield Sealed(
            version,
            statement.root,
            statement.action,
            tuple(item for _, item in said if isinstance(item, WithdrawalStatement)),
            statement.reason,
            statement.issued_at,
            row.log_index,
            tuple(found for found, item in said if isinstance(item, RollbackStatement)),
        )
        before = row.log_index


def course(session: Session, log: Log, first: int, last: Snapshot) -> Iterator[Step]:
    """What became of documents from snapshot `first` to `last`. All that stood in the first began in its step.

    Requires and raises as `sealed`, and LedgerError where the rows do not lead to what was signed.
    """
    history = sealed(session, log, first, last)
    start = next(history)
    replay = Replay(session, start.version, start.root)
    yield Step(start, [], replay.stood())
    for snapshot in history:
        yield Step(snapshot, *replay.step(snapshot.version, snapshot.root))


class Withdrawals:
    """The documents that were ever withdrawn by name, read from the log; what was read once stays true."""

    def __init__(self) -> None:
        self._read = 0
        self._by_document: dict[str, tuple[int, str]] = {}

    def of(self, doc_id: str, session: Session, log: Log, last: Snapshot | None) -> tuple[int, str] | None:
        """The snapshot that withdrew this document last, and why; None where none did. Raises as `sealed`."""
        if last is not None and self._read < last.version:
            for item in sealed(session, log, self._read, last):
                for said in item.withdrawals:
                    if said.doc_id is not None:
                        self._by_document[said.doc_id] = item.version, said.reason
            self._read = last.version
        return self._by_document.get(doc_id)


def swept(session: Session, log: Log, source: str, sources: Sources, last: Snapshot) -> list[StandingRow]:
    """The last stays that rulings on this source ended, of documents that nothing was decided about since.

    Which snapshots were such rulings, rows tell; that one left nothing of the source standing, and that nobody
    withdrew the document itself, was signed. Raises LedgerError where the rows are not what was signed.
    """
    rulings = (row for row in session.rulings() if row.source == source and row.action != "restore")
    strikes = {row.snapshot for row in rulings if 0 < row.snapshot <= last.version}
    if not strikes:
        return []
    history = sealed(session, log, min(strikes) - 1, last)
    replay = Replay(session, *next(history)[:2])
    stands = {entry.doc_id for _, entry in replay.stood() if _is_of(source, entry, sources)}
    gone: dict[str, StandingRow] = {}
    for snapshot in history:
        ended, began = replay.step(snapshot.version, snapshot.root)
        left = {row.doc_id: row for row, _ in ended if row.doc_id in stands}
        stands -= left.keys()
        stands |= {entry.doc_id for _, entry in began if _is_of(source, entry, sources)}
        if snapshot.version in strikes and snapshot.action in STRIKES and not stands:
            gone |= left
        for doc_id in (*(row.doc_id for row, _ in began), *(said.doc_id for said in snapshot.withdrawals)):
            gone.pop(doc_id or "", None)
    return list(gone.values())


def _is_of(source: str, entry: StandingEntry, sources: Sources) -> bool:
    return sources.of(entry.source, entry.source_index) == source
