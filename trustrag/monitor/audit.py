"""Verify everything again, and name each thing that is wrong.

The ledger recomputes its own hashes (log, standing tree, chunk trees, vectors). On top of that, each log entry must
be signed by a key that the policy names for it, each passage that stands must pass the gate, and the index must
hold the passages that stand, all of them and no others: that is how an omission is found.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from trustrag.errors import AuthorityError, LedgerError, Refusal, TrustragError
from trustrag.ledger import Ids, Ledger, Problem, StoredPassage, UnprovedPassage, View, check, publisher_under
from trustrag.monitor.audited import Audited
from trustrag.provenance.canonical import Digest
from trustrag.provenance.checkpoint import Note, verify_checkpoint, verify_cosignature
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.evidence import AnySnapshot, VerifiedPassage
from trustrag.provenance.names import passage_name
from trustrag.provenance.past import PastSnapshot
from trustrag.provenance.policy import Policy, TrustedSnapshot
from trustrag.provenance.statement import (
    IngestStatement,
    ReviewStatement,
    RollbackStatement,
    SnapshotStatement,
    SourceStatement,
    WithdrawalStatement,
    parse_statement,
)

Progress = Callable[[int, int | None, str], None]

_BLOCK = 256  # passages proved at a time
_FOLLOWING = frozenset(
    {
        Refusal.TAMPERED_TEXT,
        Refusal.TAMPERED_VECTOR,
        Refusal.TAMPERED_METADATA,
        Refusal.NOT_IN_SNAPSHOT,
        Refusal.BAD_SIGNATURE,
        Refusal.MALFORMED,
    }
)
"""What a passage is refused for where its rows or hashes are not what was signed. A key or a time is a matter of its own."""


class Refused(Protocol):
    """A passage that the gate did not believe."""

    @property
    def doc_id(self) -> str: ...

    @property
    def chunk(self) -> int: ...

    @property
    def refusal(self) -> Refusal: ...

    @property
    def reason(self) -> str: ...


class Gate(Protocol):
    """What proves passages: see `retrieval.gate`."""

    @property
    def policy(self) -> Policy: ...

    def accept(self, view: View, now: int) -> TrustedSnapshot:
        """The snapshot that this view shows, or VerificationError."""

    def past(self, view: View, today: TrustedSnapshot, version: int, now: int) -> tuple[View, PastSnapshot]:
        """What stood in an earlier snapshot, or VerificationError."""

    def prove_all(
        self, stored: Sequence[StoredPassage | UnprovedPassage], snapshot: AnySnapshot, now: int
    ) -> Sequence[VerifiedPassage | Refused]:
        """Each of them, verified or refused."""


class Indexed(Protocol):
    """What an index holds: see `retrieval.retriever`."""

    def indexed(self) -> Ids:
        """The ids in the index at the newest snapshot, int64[n], sorted."""


class AuditMemory(Protocol):
    """Where an audit finds what the last one proved, and leaves what it proved itself, out of reach of the store."""

    def read(self) -> Audited | None:
        """What was left, if anything was."""

    def write(self, audited: Audited) -> None:
        """Keep this instead."""


@dataclass(frozen=True, slots=True)
class AuditReport:
    """How much was verified, and what is wrong. An empty `problems` is the only good answer.

    `remembered` of the standing passages rest on signatures that an earlier audit proved, and this one did not again.
    """

    entries: int
    passages: int
    remembered: int
    index_rows: int
    problems: tuple[Problem, ...]


def audit(
    ledger: Ledger,
    gate: Gate,
    index: Indexed,
    *,
    now: int,
    memory: AuditMemory | None = None,
    progress: Progress | None = None,
) -> AuditReport:
    """Audit a whole store at `now` (unix seconds). Never raises for what is wrong with it: that is its report.

    With `memory` the signatures that an earlier audit proved under the same policy are not proved again, see `audited`;
    all hashes are. Where a hash is wrong, all is proved again. What was proved is kept, also when this is interrupted.
    """
    told = _Told(check(ledger, publisher_under(gate.policy)))
    kept = memory.read() if memory is not None and not told.problems else None
    try:
        indexed: Ids | None = index.indexed()
    except TrustragError as error:
        indexed = None
        told.error("the index", error)
    entries = passages = remembered = 0
    try:
        with ledger.view() as view:
            run = _Run(view, gate, now, kept, told)
            entries = run.entries
            try:
                run.all(progress)
            finally:
                if memory is not None:
                    memory.write(run.audited)
            standing = view.select()
            passages, remembered = len(standing), run.remembered
            if indexed is not None:
                told.problems += _compared(standing, indexed)
    except TrustragError as error:
        told.error("the head of the ledger", error)
    told.close()
    rows = 0 if indexed is None else len(indexed)
    return AuditReport(entries, passages, remembered, rows, tuple(told.problems))


class _Told:
    """What is wrong, each thing once. A passage that cannot be proved because of what its rows or hashes were found to be
    is no second fault: it is counted.
    """

    def __init__(self, found: Iterable[Problem]) -> None:
        self.problems = list(found)
        self._bent = bool(self.problems)
        self._named = {problem.doc_id for problem in self.problems} - {None}
        self._places = {problem.where for problem in self.problems}
        self._followed: list[Refused] = []

    def add(self, where: str, what: str) -> None:
        """One more thing that is wrong, where nothing was named before."""
        if where not in self._places:
            self.problems.append(Problem(where, what))

    def entry(self, index: int, error: TrustragError) -> None:
        """A log entry that nobody may have signed, or that is missing: then the log was named."""
        if not (self._bent and isinstance(error, LedgerError)):
            self.add(f"log entry {index}", str(error))

    def refused(self, one: Refused) -> None:
        """A passage that stands and was not proved."""
        if not (self._bent and one.refusal in _FOLLOWING):
            self.problems.append(Problem(passage_name(one.doc_id, one.chunk), one.reason, one.doc_id))
        elif one.doc_id not in self._named and not self._is_cut_off(one):
            self._followed.append(one)

    def _is_cut_off(self, one: Refused) -> bool:
        return one.refusal is Refusal.TAMPERED_VECTOR and "vectors.f32" in self._places

    def error(self, where: str, error: TrustragError) -> None:
        """What kept the audit from looking at anything more."""
        refusal = getattr(error, "refusal", None)
        if not self._bent or (refusal is not None and refusal not in _FOLLOWING):
            self.problems.append(Problem(where, str(error)))

    def close(self) -> None:
        """Count what followed from the rest."""
        if self._followed:
            count, first = len(self._followed), self._followed[0]
            name = passage_name(first.doc_id, first.chunk) if first.doc_id else "one without a name"
            passages = "1 passage" if count == 1 else f"{count} passages"
            reason = f"{passages} cannot be proved because of this; the first is {name}: {first.reason}"
            self.problems.append(Problem("what stands", reason))


class _Run:
    """The signatures of one audit: what was known, what was proved, what is wrong."""

    def __init__(self, view: View, gate: Gate, now: int, kept: Audited | None, told: _Told) -> None:
        self._view = view
        self._told = told
        self._gate = gate
        self._now = now
        self.entries = view.snapshot().log_size
        policy = gate.policy.digest
        known = (
            kept if kept is not None and kept.policy == policy and self._extends(kept) else Audited(policy)
        )
        self._signed, self._root = known.log_size, known.log_root
        self._known = {digest: until for digest, until in known.entries.items() if now < until}
        self._proved: dict[Digest, int] = {}
        self.remembered = 0

    def _extends(self, kept: Audited) -> bool:
        """Whether the log still begins with the entries that were proved. Every one of them is hashed into this root."""
        return kept.log_size <= self.entries and self._view.log_root(kept.log_size) == kept.log_root

    @property
    def audited(self) -> Audited:
        """What is proved by now."""
        return Audited(self._gate.policy.digest, self._signed, self._root, self._proved)

    def all(self, progress: Progress | None) -> None:
        """Log and passages. What keeps it from going on is told, and not raised."""
        try:
            self.signatures()
            self.passages(self._gate.accept(self._view, self._now), progress)
        except TrustragError as error:
            self._told.error("the head of the ledger", error)

    def signatures(self) -> None:
        """Log entries that nobody may have signed, and checkpoints that are not signed."""
        wrong = 0
        for index in range(self._signed, self.entries):
            try:
                _require_authority(self._view.envelope(index), self._gate.policy, index)
            except TrustragError as error:
                # A key that was revoked since stays in the log with what it signed; what still stands of it is told
                # below.
                if not (isinstance(error, AuthorityError) and error.refusal is Refusal.REVOKED_KEY):
                    wrong += 1
                    self._told.entry(index, error)
        if not wrong:
            self._signed, self._root = self.entries, self._view.log_root(self.entries)
        for snapshot in self._view.snapshots():
            try:
                _require_signed(self._view.checkpoint(snapshot.version), self._gate.policy)
            except TrustragError as error:
                self._told.add(f"snapshot {snapshot.version}", f"its checkpoint: {error}")

    def passages(self, snapshot: TrustedSnapshot, progress: Progress | None) -> None:
        """Passages that stand and do not pass the gate. A standing entry that was proved before is not proved again."""
        stands = list(self._view.stands())
        total, done = sum(len(chunks) for _, chunks in stands), 0
        for entry, chunks in stands:
            if entry in self._known:
                self._proved[entry] = self._known[entry]
                self.remembered += len(chunks)
            else:
                self._prove(entry, chunks, snapshot)
            done += len(chunks)
            if progress is not None:
                progress(done, total, "")

    def _prove(self, entry: Digest, chunks: range, snapshot: TrustedSnapshot) -> None:
        ends = []
        for start in range(0, len(chunks), _BLOCK):
            block = chunks[start : start + _BLOCK]
            for result in self._gate.prove_all(self._view.passages(block), snapshot, self._now):
                if isinstance(result, VerifiedPassage):
                    ends.append(result.expires)
                else:
                    self._told.refused(result)
        if len(ends) == len(chunks) > 0:
            self._proved[entry] = min(ends)


def _require_authority(envelope: Envelope, policy: Policy, index: int) -> None:
    match parse_statement(envelope.payload):
        case SourceStatement():
            policy.authorise(envelope, SourceStatement, log_index=index)
        case IngestStatement():
            policy.authorise(envelope, IngestStatement, log_index=index)
        case ReviewStatement():
            policy.authorise(envelope, ReviewStatement, log_index=index)
        case SnapshotStatement():
            policy.authorise(envelope, SnapshotStatement, log_index=index)
        case WithdrawalStatement():
            policy.authorise(envelope, WithdrawalStatement, log_index=index)
        case RollbackStatement():
            policy.authorise(envelope, RollbackStatement, log_index=index)


def _require_signed(note: bytes, policy: Policy) -> None:
    """The log signed this checkpoint, and whoever's line of a witness it carries. When the key ended is not asked."""
    parsed = Note.parse(note)
    verify_checkpoint(parsed, policy.log.verifiers)
    for witness in policy.witnesses:
        verify_cosignature(parsed, witness.verifier)


def _compared(standing: Ids, indexed: Ids) -> Iterator[Problem]:
    there, held = set(standing.tolist()), indexed.tolist()
    for chunk_id in sorted(there.difference(held)):
        yield Problem(f"index row {chunk_id}", "is missing: this passage stands and cannot be found")
    for chunk_id in sorted(set(held) - there):
        yield Problem(f"index row {chunk_id}", "is of no passage that stands")
    if len(held) != len(set(held)):
        yield Problem("the index", f"holds {len(held) - len(set(held))} rows twice")
