"""The gate's memory that outlives the process: in the user's own folder, out of reach of whoever writes the store."""

from typing import Self

from trustrag.keyring import SeenState, UserState
from trustrag.provenance.policy import SeenCheckpoint
from trustrag.retrieval.gate import Seen


class LongMemory:
    """Remembers for as long as the user keeps the folder."""

    def __init__(self, state: UserState) -> None:
        self._state = state

    @classmethod
    def apart(cls, store: str, what: str) -> Self:
        """A memory beside the store's own, for heads that may lag what is accepted of the ledger, or run ahead of it."""
        return cls(UserState(f"{store}.{what}"))

    def seen(self) -> Seen | None:
        """See `gate.Memory`."""
        state = self._state.read()
        if state is None or state.log_root is None:
            return None
        return Seen(state.snapshot_version, SeenCheckpoint(state.log_size, state.log_root))

    def advance(self, seen: Seen) -> None:
        """See `gate.Memory`."""
        self._state.advance(
            SeenState(
                snapshot_version=seen.snapshot_version,
                log_size=seen.checkpoint.size,
                log_root=seen.checkpoint.root,
            )
        )
