"""What stood once: a snapshot of the past, proved to be in today's log.

A `TrustedSnapshot` is its tree's last entry, and nothing else is served as what stands. A `PastSnapshot` is for whoever
asks by name for what stood then. It is a type of its own, made here only, and every passage proved under it says
`as_of`: what stood once can be looked at, and can't pass for what stands.

Who may speak is asked of today's policy: a key that was revoked since is silent about the past as well. And the time
is today's: what has expired since is refused.
"""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass
from typing import Final, final

from trustrag.errors import ProofError, Refusal
from trustrag.provenance import merkle
from trustrag.provenance.canonical import Digest
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.keys import PublicKey
from trustrag.provenance.policy import Policy, TrustedCheckpoint, TrustedSnapshot
from trustrag.provenance.statement import SnapshotStatement

_SEAL: Final = object()


@final
@dataclass(frozen=True, slots=True)
class PastSnapshot:
    """The root of what stood once, in the log that `today` ends. Only `accept_past` makes one."""

    statement: SnapshotStatement
    envelope: Digest
    key: PublicKey
    today: TrustedSnapshot
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only accept_past makes a PastSnapshot, after checking it")

    @property
    def root(self) -> Digest:
        return self.statement.root

    @property
    def version(self) -> int:
        return self.statement.version

    @property
    def checkpoint(self) -> TrustedCheckpoint:
        """Today's, which the proofs of all envelopes lead to."""
        return self.today.checkpoint

    @property
    def expires(self) -> int:
        """When today's snapshot has to be accepted again, in unix seconds: that of the past has ended by nature."""
        return self.today.expires


def accept_past(
    envelope: Envelope,
    log_index: int,
    proof: Sequence[bytes],
    policy: Policy,
    today: TrustedSnapshot,
    *,
    version: int,
    now: int,
) -> PastSnapshot:
    """Verifies that this is snapshot `version`, at its place in the log that `today` ends.

    `proof` is of its inclusion under today's checkpoint; `now` is in unix seconds. Raises what `Policy.authorise`
    raises, StaleError where `today` no longer holds, ProofError NOT_IN_SNAPSHOT for another snapshot or place.
    """
    policy.require_current(today, now)
    attested = policy.authorise(envelope, SnapshotStatement, log_index=log_index)
    statement, checkpoint = attested.statement, today.checkpoint
    leaf = merkle.leaf_hash(envelope.encode())
    merkle.verify_inclusion(log_index, checkpoint.size, leaf, proof, checkpoint.root.value)
    if (statement.version, statement.log_size) != (version, log_index):
        reason = (
            f"log entry {log_index} is snapshot {statement.version}, sealed for entry {statement.log_size}, and shown"
            f" as snapshot {version}"
        )
        raise ProofError(Refusal.NOT_IN_SNAPSHOT, reason)
    return PastSnapshot(statement, attested.envelope, attested.key, today, _SEAL)
