"""Small parts that `workspace` is put together with: embedders by name or object, the long memory, tidy beginnings."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from trustrag.errors import ConfigError
from trustrag.index.embedding import Embedder, EmbedsDocuments, adapt_embedder, open_embedder
from trustrag.ingest.attest import read_attestations
from trustrag.ingest.document import ReadProblem
from trustrag.keyring import SeenState, UserState
from trustrag.provenance.canonical import Digest
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.policy import SeenCheckpoint
from trustrag.provenance.statement import EmbedderId
from trustrag.retrieval.gate import Seen
from trustrag.settings import FILE_NAME

CUSTOM = "custom"
"""What `trustrag.toml` says where the embedder was an object: whoever opens the workspace has to bring it."""

AnyEmbedder: TypeAlias = Embedder | EmbedsDocuments | str
"""An embedder of ours, a LangChain-like one, or a name for `open_embedder`."""


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
