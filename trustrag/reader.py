"""A reader on its own machine: the published folder, the public trust root, and nothing else of the store.

    reader = Reader.open("published/")
    report = reader.search("How long are logs kept?", k=5)      what Workspace.search would say, from files alone

There is no database on this path. Any number of processes may read one folder while it is published anew. What was seen
is remembered under the reader's own `$TRUSTRAG_HOME`, so that an older publication or trust root is noticed. Snapshots of
publications have a memory of their own: a publication follows its workspace with a delay, and where both are opened
by one user, it would look like a rollback from each ingest to the next publishing.
"""

import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self, TypeAlias

from trustrag.authority import Authority
from trustrag.errors import AuthorityError, ConfigError, NotFoundError, Refusal
from trustrag.index.base import Vector, VectorIndex
from trustrag.index.embedding import MINILM_NAME, Embedder
from trustrag.index.mapped import MappedIndex
from trustrag.provenance.canonical import Metadata
from trustrag.provenance.evidence import RefusedPassage, VerifiedPassage
from trustrag.provenance.policy import Policy
from trustrag.published.store import PublishedStore
from trustrag.retrieval.answer import Abstained, Generator, Grounded, answered
from trustrag.retrieval.embedders import AnyEmbedder, opened_embedder, require_same_embedder
from trustrag.retrieval.gate import Gate
from trustrag.retrieval.memory import LongMemory
from trustrag.retrieval.ranking import Mode
from trustrag.retrieval.retriever import Retriever, SearchReport
from trustrag.stored import StoredPassage, UnprovedPassage

Progress: TypeAlias = Callable[[int, int | None, str], None]

__all__ = ["Abstained", "Reader"]

MAPPED = "mapped"
_BLOCK = 256  # passages proved at a time
_BUILT_IN = re.compile(r"hash(-\d+)?")


class Reader:
    """One published folder, verified and searched. Thread-safe."""

    def __init__(
        self,
        store: PublishedStore,
        authority: Authority,
        embedder: AnyEmbedder | None,
        index: str,
        clock: Callable[[], int],
    ) -> None:
        """Use `open`; this keeps what it found."""
        self.authority = authority
        self._store = store
        self._given = embedder
        self._kind = index
        self._clock = clock
        self._memory = LongMemory.apart(store.context.store, "published")
        self._turn = threading.RLock()
        self._retriever: Retriever | None = None

    @classmethod
    def open(
        cls,
        published: str | Path,
        *,
        keys: str | Path | None = None,
        embedder: AnyEmbedder | None = None,
        index: str = MAPPED,
        clock: Callable[[], int] | None = None,
    ) -> Self:
        """The publication in this folder, by the public trust root in `keys` (default: the one published with it).

        The first trust root that is opened of a store is believed; from then on this user's memory of it decides.
        `embedder` is needed where the store's is none of ours. `index` is "mapped" (exact, over the published vectors
        where they lie), or a kind for `open_index`, held in this process's own memory.
        Raises ConfigError for what is no publication, AuthorityError for one of another store, what `TrustRoot.open`
        raises, and LedgerError or MalformedError for a publication that is not whole.
        """
        folder = Path(published).resolve()
        store = PublishedStore(folder)
        moment = clock or _now
        authority = Authority.outside(Path(keys or folder / "keys").resolve(), clock=moment)
        if authority.policy.context != store.context:
            said, told = authority.policy.context, store.context
            raise AuthorityError(
                Refusal.WRONG_CONTEXT, f"{folder} is of {told}, and the trust root is of {said}: {folder}"
            )
        return cls(store, authority, embedder, index, moment)

    @property
    def policy(self) -> Policy:
        """Who may say what, today: read again whenever the trust root's files change."""
        return self.authority.policy

    @property
    def embedder(self) -> Embedder:
        """The embedder that the published vectors were made with."""
        return self._searcher().embedder

    def search(
        self,
        question: str,
        *,
        k: int = 5,
        sources: str | Sequence[str] | None = None,
        where: Mapping[str, Metadata] | None = None,
        mode: Mode = "weighted",
        min_support: int = 0,
        vector: Vector | None = None,
        at: int | None = None,
    ) -> SearchReport:
        """The `k` best passages that can be proved, and what was refused and why: see `Retriever.search`.

        Raises ConfigError for `at`: a publication holds what stands, and no past.
        """
        named = [sources] if isinstance(sources, str) else sources
        known = {source.name for source in self.policy.sources}
        for name in named or ():
            if name not in known:
                raise NotFoundError(f"no source {name!r} in the policy")
        return self._searcher().search(
            question,
            k=k,
            now=self._clock(),
            sources=named,
            where=where,
            mode=mode,
            min_support=min_support,
            vector=vector,
            at=at,
        )

    def ask(
        self,
        question: str,
        *,
        k: int = 5,
        sources: str | Sequence[str] | None = None,
        mode: Mode = "weighted",
        generator: Generator | None = None,
    ) -> Grounded | Abstained:
        """An answer of cited sentences, or why there is none: see `trustrag.retrieval.answer`."""
        report = self.search(question, k=k, sources=sources, mode=mode)
        return answered(report, self.embedder, mode, generator)

    def read(self, doc_id: str) -> tuple[VerifiedPassage, ...]:
        """The passages of the document that stands under this name, in order, each proved.

        Raises `NotFoundError` where none stands and `VerificationError` where one cannot be proved.
        """
        return self._searcher().read(doc_id, now=self._clock())

    def audit(self, progress: Progress | None = None) -> tuple[RefusedPassage, ...]:
        """Prove every passage that stands, and name each that cannot be: a bent vector is otherwise never found.

        That nothing is left out was seen when the publication was opened: its tables lead to the signed root.
        """
        searcher, now, refused = self._searcher(), self._clock(), list[RefusedPassage]()
        with searcher.gate.opened(self._store, now) as (view, snapshot):
            standing = view.select()
            for start in range(0, len(standing), _BLOCK):
                stored = view.passages(standing[start : start + _BLOCK])
                for one, proved in zip(stored, searcher.gate.prove_all(stored, snapshot, now), strict=True):
                    refused += _objections(one, proved)
                if progress is not None:
                    progress(min(start + _BLOCK, len(standing)), len(standing), "passages")
            told = {one.doc_id for one in refused}
            misfiled = [one for one in view.misfiled() if one.doc_id not in told]
            refused += (
                one
                for one in searcher.gate.prove_all(misfiled, snapshot, now)
                if isinstance(one, RefusedPassage)
            )
        return tuple(refused)

    def _searcher(self) -> Retriever:
        policy = self.policy
        with self._turn:
            if self._retriever is None:
                embedder = self._embedder()
                index: str | VectorIndex = self._kind
                if index == MAPPED:
                    index = MappedIndex(embedder.id.dimension, self._store.packs.blocks)
                self._retriever = Retriever(self._store, None, embedder, self._gate(policy), index=index)
            elif self._retriever.gate.policy is not policy:
                self._retriever.gate = self._gate(policy)
            return self._retriever

    def _embedder(self) -> Embedder:
        """The one that was given, or one of ours by the name that the publication tells.

        Any other name could be a model of somebody's choice: nobody downloads one because a folder says so.
        """
        made_with, given = self._store.embedder, self._given
        if given is None:
            if made_with.name != MINILM_NAME and not _BUILT_IN.fullmatch(made_with.name):
                raise ConfigError(f"this publication was made with {made_with.name}: give it as embedder=")
            given = made_with.name
        embedder = opened_embedder(given)
        require_same_embedder(made_with, embedder)
        return embedder

    def _gate(self, policy: Policy) -> Gate:
        return Gate(policy, policy.context, self._memory)


def _objections(
    stored: StoredPassage | UnprovedPassage, proved: VerifiedPassage | RefusedPassage
) -> Iterator[RefusedPassage]:
    """Why a passage was refused, or what its record says otherwise than was proved."""
    if isinstance(proved, RefusedPassage):
        yield proved
    elif isinstance(stored, StoredPassage) and stored.source_name != proved.source:
        reason = f"{Refusal.TAMPERED_METADATA}: its record says source {stored.source_name}, and {proved.source} signed it"
        yield RefusedPassage(proved.doc_id, proved.index, Refusal.TAMPERED_METADATA, reason)


def _now() -> int:
    return int(time.time())
