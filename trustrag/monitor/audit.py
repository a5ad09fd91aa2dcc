"""Verify everything again, and name each thing that is wrong.

The ledger recomputes its own hashes (log, standing tree, chunk trees, vectors). On top of that, each log entry must
be signed by a key that the policy names for it, each passage that stands must pass the gate, and the index must
hold the passages that stand, all of them and no others: that is how an omission is found.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from trustrag.errors import AuthorityError, MalformedError, Refusal, TrustragError, VerificationError
from trustrag.ledger import Ids, Ledger, Problem, StoredPassage, UnprovedPassage, View, check
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.evidence import AnySnapshot, VerifiedPassage
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


@dataclass(frozen=True, slots=True)
class AuditReport:
    """How much was verified, and what is wrong. An empty `problems` is the only good answer."""

    entries: int
    passages: int
    index_rows: int
    problems: tuple[Problem, ...]


def audit(
    ledger: Ledger, gate: Gate, index: Indexed, *, now: int, progress: Progress | None = None
) -> AuditReport:
    """Audit a whole store at `now` (unix seconds). Never raises for what is wrong with it: that is its report."""
    problems = list(check(ledger))
    indexed, found = _index(index)
    problems += found
    entries = passages = 0
    try:
        with ledger.view() as view:
            entries = view.snapshot().log_size
            problems += _signatures(view, entries, gate.policy)
            snapshot = gate.accept(view, now)
            standing = view.select()
            passages = len(standing)
            problems += _passages(view, standing, gate, snapshot, now, progress)
            problems += _compared(standing, indexed)
    except TrustragError as error:
        problems.append(Problem("the head of the ledger", str(error)))
    return AuditReport(entries, passages, len(indexed), tuple(problems))


def _signatures(view: View, entries: int, policy: Policy) -> Iterator[Problem]:
    for index in range(entries):
        try:
            _require_authority(view.envelope(index), policy, index)
        except (VerificationError, MalformedError) as error:
            # A key that was revoked since stays in the log with what it signed; what still stands of it is told below.
            if not (isinstance(error, AuthorityError) and error.refusal is Refusal.REVOKED_KEY):
                yield Problem(f"log entry {index}", str(error))
        except TrustragError as error:
            yield Problem(f"log entry {index}", str(error))


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


def _passages(
    view: View, standing: Ids, gate: Gate, snapshot: TrustedSnapshot, now: int, progress: Progress | None
) -> Iterator[Problem]:
    for start in range(0, len(standing), _BLOCK):
        block = standing[start : start + _BLOCK]
        for result in gate.prove_all(view.passages(block), snapshot, now):
            if not isinstance(result, VerifiedPassage):
                yield Problem(f"{result.doc_id} chunk {result.chunk + 1}", result.reason)
        if progress is not None:
            progress(start + len(block), len(standing), "")


def _index(index: Indexed) -> tuple[Ids, list[Problem]]:
    try:
        return index.indexed(), []
    except TrustragError as error:
        return np.empty(0, np.int64), [Problem("the index", str(error))]


def _compared(standing: Ids, indexed: Ids) -> Iterator[Problem]:
    there, held = set(standing.tolist()), indexed.tolist()
    for chunk_id in sorted(there.difference(held)):
        yield Problem(f"index row {chunk_id}", "is missing: this passage stands and cannot be found")
    for chunk_id in sorted(set(held) - there):
        yield Problem(f"index row {chunk_id}", "is of no passage that stands")
    if len(held) != len(set(held)):
        yield Problem("the index", f"holds {len(held) - len(set(held))} rows twice")
