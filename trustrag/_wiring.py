"""Small parts that `workspace` is put together with: embedders by name or object, the long memory, tidy beginnings."""

import re
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import numpy as np

from trustrag.errors import ConfigError
from trustrag.index.embedding import Embedder, EmbedsDocuments, adapt_embedder, open_embedder
from trustrag.ingest.attest import read_attestations
from trustrag.ingest.document import ReadProblem
from trustrag.keyring import SeenState, UserState
from trustrag.ledger import Ledger
from trustrag.monitor.record import Assessment, Neighbours, assess, gather
from trustrag.provenance.canonical import Digest
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.evidence import VerifiedPassage
from trustrag.provenance.export import EvidenceReport, verify_evidence_file
from trustrag.provenance.policy import SeenCheckpoint, Source
from trustrag.provenance.statement import EmbedderId
from trustrag.retrieval.gate import Seen
from trustrag.retrieval.retriever import Retriever
from trustrag.settings import FILE_NAME
from trustrag.trustroot import TrustRoot

CUSTOM = "custom"
"""What `trustrag.toml` says where the embedder was an object: whoever opens the workspace has to bring it."""

AnyEmbedder: TypeAlias = Embedder | EmbedsDocuments | str
"""An embedder of ours, a LangChain-like one, or a name for `open_embedder`."""

NEIGHBOURS = 8
"""How many passages of others a passage is held against when its source's record is gathered."""


class LongMemory:
    """The gate's memory, kept in the user's own folder, out of reach of whoever writes the workspace."""

    def __init__(self, state: UserState) -> None:
        self._state = state

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


def opened_embedder(given: AnyEmbedder) -> Embedder:
    """The embedder that was meant. Raises `ConfigError` where only its maker can bring it."""
    if isinstance(given, str):
        if given == CUSTOM:
            raise ConfigError("this workspace was made with an embedder object: give it as embedder=")
        return open_embedder(given)
    return adapt_embedder(given) if isinstance(given, EmbedsDocuments) else given


def identity_of(embedder: Embedder) -> EmbedderId:
    """What statements say of an embedder."""
    return EmbedderId(embedder.id.name, embedder.id.dimension, Digest(embedder.id.digest))


def require_same_embedder(made_with: EmbedderId, embedder: Embedder) -> None:
    """Raises `ConfigError` where the workspace's vectors were made by another embedder."""
    given = identity_of(embedder)
    if given != made_with:
        raise ConfigError(
            f"this workspace's vectors were made by {made_with.name} ({made_with.dimension} dimensions, digest "
            f"{made_with.digest.hex[:16]}), not by {given.name} ({given.digest.hex[:16]}): open it with that one"
        )


def require_room(folder: Path, keys_folder: Path) -> None:
    """Raises `ConfigError` where a new workspace would mix with what is there."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        is_workspace = (folder / FILE_NAME).exists()
        what = "already holds a workspace" if is_workspace else "exists and is not an empty folder"
        raise ConfigError(f"{folder} {what}: give init a new folder")
    if keys_folder.exists() and any(keys_folder.iterdir()):
        raise ConfigError(f"{keys_folder} is not empty: one trust root belongs to one store")


@contextmanager
def undone_on_failure(*folders: Path) -> Iterator[None]:
    """Remove what was being made if it fails: half a workspace opens for nobody, and the next one finds it in its way."""
    try:
        yield
    except BaseException:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def slug(name: str) -> str:
    """A name as the readable part of a store id."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "store"


def read_lines(path: Path) -> list[Envelope | ReadProblem]:
    """What a file of attestations holds; a bad line is a problem of its own, and costs no other line."""
    try:
        return list(read_attestations(path))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error


def neighbours_of(searcher: Retriever, source: Source, now: int) -> Neighbours:
    """Finds the proved passages nearest to one of this source's, among the sources that are independent of it."""
    voice = source.owner or source.name
    others = [s.name for s in searcher.gate.policy.sources if s.active and (s.owner or s.name) != voice]

    def near(passage: VerifiedPassage, without: frozenset[str]) -> Sequence[VerifiedPassage]:
        vector = np.frombuffer(passage.vector, "<f4")
        left = [name for name in others if name not in without]
        if not left or not vector.any():
            return ()
        # No question is asked: in order of likeness, as if undefended.
        report = searcher.search("", k=NEIGHBOURS, now=now, sources=left, mode="report", vector=vector)
        return [ranked.passage for ranked in report.passages]

    return near


def assessed(
    searcher: Retriever, ledger: Ledger, sources: Sequence[Source], now: int
) -> tuple[Assessment, ...]:
    """What the record of each source makes of its prior, under the policy of the searcher's gate."""
    found = []
    for source in sources:
        record = gather(ledger, searcher.gate, source, neighbours_of(searcher, source, now), now=now)
        found.append(assess(record, source, searcher.gate.policy.standing))
    return tuple(found)


def verify_evidence(data: bytes, keys: str | Path, *, now: int | None = None) -> EvidenceReport:
    """Prove an evidence file with a public trust root alone: no workspace, no database, no network.

    Raises `MalformedError` for what is no evidence file, and `VerificationError` when trust root or head do not hold.
    """
    moment = unix_now() if now is None else now
    root = TrustRoot.open(Path(keys), moment)
    return verify_evidence_file(data, root.policy, now=moment)


def unix_now() -> int:
    """The clock, in whole unix seconds."""
    return int(time.time())
