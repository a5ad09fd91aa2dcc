"""What an open workspace has its hands on: ledger, retriever, gate and sealer, each under today's policy.

Everything that a workspace offers stands on this one object, and none of it opens a file of its own: so one reader, one
index and one remembered head serve them all, and a policy that changed is in force for all of them at once.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from trustrag.authority import SNAPSHOT_LIFETIME, Authority
from trustrag.consistency import Judge, PairMemory
from trustrag.errors import Refusal, StaleError
from trustrag.index.embedding import Embedder
from trustrag.keyring import pairs_file
from trustrag.ledger import Ledger, Sealer
from trustrag.provenance.policy import Policy
from trustrag.retrieval.embedders import AnyEmbedder, opened_embedder, require_same_embedder
from trustrag.retrieval.gate import Gate
from trustrag.retrieval.memory import LongMemory
from trustrag.retrieval.pairfile import PairFile
from trustrag.retrieval.retriever import Retriever
from trustrag.settings import Settings
from trustrag.workspace.witnessed import SealedMemory, WitnessedStore


class Opened:
    """The files of one workspace, opened at first use. Reading is thread-safe; `writing` takes the writer's lock."""

    def __init__(
        self,
        folder: Path,
        settings: Settings,
        authority: Authority,
        embedder: AnyEmbedder,
        clock: Callable[[], int],
        judge: Judge | None = None,
    ) -> None:
        self.folder = folder
        self.settings = settings
        self.authority = authority
        self.clock = clock
        self._given = embedder
        self._judge = judge
        self._embedder: Embedder | None = None
        self._lock = threading.RLock()
        self._ledger: Ledger | None = None
        self._retriever: Retriever | None = None
        self._pairs: PairFile | None = None

    def close(self) -> None:
        """Close the files. They are opened again when they are needed."""
        with self._lock:
            for opened in (self._ledger, self._pairs):
                if opened is not None:
                    opened.close()
            self._ledger, self._retriever, self._pairs = None, None, None

    @property
    def policy(self) -> Policy:
        """Who may say what, today."""
        return self.authority.policy

    @property
    def embedder(self) -> Embedder:
        """The embedder that this workspace's vectors were made with; opened at first use."""
        with self._lock:
            if self._embedder is None:
                self._embedder = opened_embedder(self._given)
            return self._embedder

    def reader(self) -> Ledger:
        """The ledger, open for reading."""
        with self._lock:
            if self._ledger is None:
                self._ledger = Ledger.open(self.folder)
            return self._ledger

    def store(self) -> WitnessedStore:
        """The ledger as readers may see it: where the policy asks for witnesses, what these have seen."""
        return WitnessedStore(self.reader(), lambda: self.policy, self.clock)

    def searcher(self) -> Retriever:
        """The retriever, with a gate of today's policy."""
        policy = self.policy
        with self._lock:
            if self._retriever is None:
                ledger = self.reader()
                require_same_embedder(ledger.embedder, self.embedder)
                gate = self._gate(policy)
                self._retriever = Retriever(
                    self.store(),
                    self.folder / "index",
                    self.embedder,
                    gate,
                    index=self.settings.index,
                    judge=self._judge,
                    memory=self._memory(),
                )
            elif self._retriever.gate.policy is not policy:
                self._retriever.gate = self._gate(policy)
            return self._retriever

    def gate(self) -> Gate:
        """A gate of today's policy, for what needs no index: it opens no embedder."""
        return self._gate(self.policy)

    def _memory(self) -> PairMemory:
        """What was compared before, kept in the user's own folder: one that lies in the workspace is not believed."""
        path = pairs_file(self.settings.store)
        if not path.resolve().is_relative_to(self.folder):
            self._pairs = PairFile(path)
        return PairMemory(store=self._pairs)

    @contextmanager
    def writing(self) -> Iterator[Ledger]:
        """The ledger, open for writing, at a head that was not rolled back: nothing is ever sealed over an old copy."""
        with Ledger.open(self.folder, write=True) as ledger:
            self.accept_sealed(ledger)
            yield ledger
            # What is acknowledged is remembered before anybody is told: an older copy put back is then noticed. The
            # policy is asked for again: a rotation of keys changes it in between.
            self.accept_sealed(ledger, expired=False)

    def accept_sealed(self, ledger: Ledger, *, expired: bool = True) -> None:
        """Accept the newest head as whoever seals does: signed, and no older than what was sealed and seen before.

        Witnesses come after the seal, so none are asked for here. One that has only expired may be followed by a new
        one; one that was put back may not. Raises VerificationError.
        """
        gate = self.sealing_gate()
        with ledger.view() as view:
            try:
                gate.accept(view, self.clock())
            except StaleError as error:
                if not expired or error.refusal is not Refusal.STALE_SNAPSHOT:
                    raise

    def sealer(self) -> Sealer:
        """Who seals, by keys that are held here. Raises ConfigError where they are not."""
        policy = self.policy
        return Sealer(
            policy.log.origin,
            self.authority.signer(policy.seal.keys, "seal"),
            self.authority.signer(policy.log.keys, "sign the log"),
            SNAPSHOT_LIFETIME,
            seal_keys=tuple(known.key for known in policy.seal.keys if not known.revoked),
            log_keys=tuple(known.key for known in policy.log.keys if not known.revoked),
        )

    def _gate(self, policy: Policy) -> Gate:
        return Gate(policy, policy.context, LongMemory(self.authority.memory))

    def sealing_gate(self) -> Gate:
        """The gate of whoever seals: witnesses come after the seal, so it asks for none."""
        policy = self.policy
        if not policy.quorum:
            return self._gate(policy)
        memory = SealedMemory(policy.context.store, LongMemory(self.authority.memory))
        return Gate(replace(policy, quorum=0), policy.context, memory)
