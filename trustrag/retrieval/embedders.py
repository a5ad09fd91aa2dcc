"""Which embedder a store's vectors were made with, and whether the one at hand is it."""

from typing import TypeAlias

from trustrag.errors import ConfigError
from trustrag.index.embedding import Embedder, EmbedsDocuments, adapt_embedder, open_embedder
from trustrag.provenance.canonical import Digest
from trustrag.provenance.statement import EmbedderId

CUSTOM = "custom"
"""What `trustrag.toml` says where the embedder was an object: whoever opens the workspace has to bring it."""

AnyEmbedder: TypeAlias = Embedder | EmbedsDocuments | str
"""An embedder of ours, a LangChain-like one, or a name for `open_embedder`."""


def opened_embedder(given: AnyEmbedder) -> Embedder:
    """The embedder that was meant. Raises `ConfigError` where only its maker can bring it."""
    if isinstance(given, str):
        if given == CUSTOM:
            raise ConfigError("this store was made with an embedder object: give it as embedder=")
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
            f"this store's vectors were made by {made_with.name} ({made_with.dimension} dimensions, digest "
            f"{made_with.digest.hex[:16]}), not by {given.name} ({given.digest.hex[:16]}): open it with that one"
        )
