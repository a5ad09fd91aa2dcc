"""Where the retriever meets the trusted core: one head accepted, many passages proved under it.

The rules are all in `provenance`; this holds what they need between two questions: the caller's context,
the memory of what was seen, the last snapshot that was accepted, and the verdicts on envelopes.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from trustrag.errors import MalformedError, Refusal, StaleError, VerificationError
from trustrag.provenance.checkpoint import Checkpoint, Note
from trustrag.provenance.evidence import (
    AnySnapshot,
    Head,
    RefusedPassage,
    VerdictCache,
    VerifiedPassage,
    accept_head,
    verify_passage,
)
from trustrag.provenance.past import PastSnapshot, accept_past
from trustrag.provenance.policy import Policy, SeenCheckpoint, TrustedSnapshot
from trustrag.provenance.statement import Context
from trustrag.stored import Store, StoredPassage, StoreView, UnprovedPassage, V

_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Seen:
    """The newest snapshot version and checkpoint that this reader ever accepted."""

    snapshot_version: int
    checkpoint: SeenCheckpoint


class Memory(Protocol):
    """Remembers what was seen, somewhere that whoever writes the ledger can't reach."""

    def seen(self) -> Seen | None:
        """The newest that was accepted by any process of this user; None on first use."""

    def advance(self, seen: Seen) -> None:
        """Remember this; when it returns, it survives a crash. Never lowers what is remembered."""


class ShortMemory:
    """Remembers for as long as the process lives."""

    def __init__(self) -> None:
        self._seen: Seen | None = None
        self._lock = threading.Lock()

    def seen(self) -> Seen | None:
        return self._seen

    def advance(self, seen: Seen) -> None:
        with self._lock:
            if self._seen is None or seen.snapshot_version >= self._seen.snapshot_version:
                self._seen = seen


class Gate:
    """One policy, one context, one memory. Safe for many threads; a new policy takes a new gate."""

    def __init__(self, policy: Policy, context: Context, memory: Memory) -> None:
        self.policy = policy
        self._context = context
        self._memory = memory
        self._verdicts = VerdictCache()
        self._accepted: tuple[Head, int, TrustedSnapshot] | None = None

    @contextmanager
    def opened(self, ledger: Store[V], now: int) -> Iterator[tuple[V, TrustedSnapshot]]:
        """A view of the ledger and the snapshot that it shows, accepted; raises as `accept`.

        A view that was opened just before another thread or process sealed and remembered the next snapshot
        looks like a rollback. It's opened again; a ledger that was really put back stays behind.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            with ledger.view() as view:
                try:
                    snapshot = self.accept(view, now)
                except StaleError as error:
                    if error.refusal is not Refusal.ROLLBACK or attempt == _ATTEMPTS:
                        raise
                    continue
                yield view, snapshot
                return

    def accept(self, view: StoreView, now: int) -> TrustedSnapshot:
        """The snapshot that this view shows, if it is signed, fresh, and extends all that was seen before.

        The answer is kept until the ledger shows another head, the memory knows more, or its time is over.
        Raises VerificationError (ROLLBACK, FORK, STALE_SNAPSHOT, ...) and MalformedError.
        """
        head, seen = view.head(), self._memory.seen()
        if self._accepted is not None:
            known, version, snapshot = self._accepted
            if known == head and (seen is None or seen.snapshot_version <= version):
                self.policy.require_current(snapshot, now)
                return snapshot
        if seen is None:
            snapshot = accept_head(head, self.policy, now=now)
        else:
            snapshot = accept_head(
                head,
                self.policy,
                now=now,
                seen=seen.checkpoint,
                consistency=_extension(view, seen.checkpoint.size, head),
                newer_than=seen.snapshot_version,
            )
        self._memory.advance(Seen(snapshot.version, snapshot.checkpoint.seen))
        self._accepted = (head, snapshot.version, snapshot)
        return snapshot

    def past(self, view: V, today: TrustedSnapshot, version: int, now: int) -> tuple[V, PastSnapshot]:
        """What stood in an earlier snapshot, proved to be in the log that `today` ends; `view` is what shows today.

        Raises what `StoreView.past` and `accept_past` raise.
        """
        then = view.past(version)
        shown = then.sealed()
        snapshot = accept_past(
            shown.envelope, shown.index, shown.proof, self.policy, today, version=version, now=now
        )
        return then, snapshot

    def prove(
        self, stored: StoredPassage | UnprovedPassage, snapshot: AnySnapshot, now: int
    ) -> VerifiedPassage | RefusedPassage:
        """The passage, verified under this snapshot, or why not."""
        if isinstance(stored, UnprovedPassage):
            return RefusedPassage(stored.doc_id, stored.index, stored.refusal, stored.reason)
        try:
            return verify_passage(
                stored.text,
                stored.metadata,
                stored.vector,
                stored.evidence,
                self.policy,
                snapshot,
                context=self._context,
                now=now,
                cache=self._verdicts,
            )
        except (VerificationError, MalformedError) as error:
            doc_id, chunk = stored.evidence.entry.doc_id, stored.evidence.leaf.index
            return RefusedPassage(doc_id, chunk, error.refusal, str(error))

    def prove_all(
        self, stored: Sequence[StoredPassage | UnprovedPassage], snapshot: AnySnapshot, now: int
    ) -> list[VerifiedPassage | RefusedPassage]:
        """Each of them, verified or refused, in order."""
        return [self.prove(passage, snapshot, now) for passage in stored]


def _extension(view: StoreView, old_size: int, head: Head) -> list[bytes]:
    """What shows that this head's log extends its first `old_size` entries; empty where nothing could."""
    size = Checkpoint.parse(Note.parse(head.checkpoint).text).size
    return view.consistency(old_size, size) if 0 < old_size < size else []
