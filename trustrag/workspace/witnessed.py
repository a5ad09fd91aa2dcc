"""What may be shown where the policy asks for witnesses: the newest snapshot that enough of them have seen.

Between a seal and its cosignatures the last witnessed snapshot goes on being served. What was quarantined or withdrawn
since is left out at once: silence needs no witness.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from trustrag.errors import AuthorityError, Refusal
from trustrag.ledger import Ledger, View
from trustrag.provenance.canonical import Digest
from trustrag.provenance.policy import Policy
from trustrag.retrieval.gate import Memory, Seen
from trustrag.retrieval.memory import LongMemory

_LOOK_BACK = 1000
"""How many snapshots back a witnessed one is looked for."""


class WitnessedStore:
    """A ledger as a `Store`, under a policy that may ask for witnesses."""

    def __init__(self, ledger: Ledger, policy: Callable[[], Policy], clock: Callable[[], int]) -> None:
        self._ledger = ledger
        self._policy = policy
        self._clock = clock
        self._met: dict[tuple[Digest, Digest], bool] = {}

    @contextmanager
    def view(self) -> Iterator[View]:
        """The newest snapshot that has its witnesses; the newest of all where none has, for the gate to refuse."""
        at = self.witnessed() if self._policy().quorum else None
        with self._ledger.view(at, fading=at is not None) as view:
            yield view

    def witnessed(self) -> int | None:
        """The newest snapshot that has its witnesses, where that is not the newest of all."""
        policy, now = self._policy(), self._clock()
        with self._ledger.reading() as (session, _):
            newest = session.snapshot()
            if newest is None:
                return None
            for version in range(newest.version, max(0, newest.version - _LOOK_BACK), -1):
                if self._has_quorum(policy, session.checkpoint(version), now):
                    return None if version == newest.version else version
        return None

    def _has_quorum(self, policy: Policy, note: bytes, now: int) -> bool:
        key = policy.digest, Digest.of(note)
        if key not in self._met:
            if len(self._met) > 2 * _LOOK_BACK:
                self._met.clear()
            self._met[key] = has_quorum(policy, note, now)
        return self._met[key]


def has_quorum(policy: Policy, note: bytes, now: int) -> bool:
    """Whether enough witnesses have seen this checkpoint. Raises what `Policy.accept` raises for all else."""
    try:
        policy.accept(note, newer_than=None, now=now)
    except AuthorityError as error:
        if error.refusal is not Refusal.NO_QUORUM:
            raise
        return False
    return True


class SealedMemory:
    """The memory of whoever seals: what was acknowledged, whether or not witnesses have seen it yet.

    It is kept apart from what readers accepted, which it is never older than.
    """

    def __init__(self, store: str, readers: Memory) -> None:
        self._readers = readers
        self._sealed = LongMemory.apart(store, "sealed")

    def seen(self) -> Seen | None:
        """See `gate.Memory`: the newer of both."""
        both = [seen for seen in (self._readers.seen(), self._sealed.seen()) if seen is not None]
        return max(both, key=lambda seen: seen.checkpoint.size, default=None)

    def advance(self, seen: Seen) -> None:
        """See `gate.Memory`."""
        self._sealed.advance(seen)
