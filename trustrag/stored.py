"""What a store hands out, whichever it is: chunks with their evidence, unverified, and the face that shows them.

The ledger shows its database so, and a published folder its files. Whoever asks (the gate, the retriever) needs no more
than this of either, and believes neither.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, Self, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from trustrag.errors import Refusal
from trustrag.provenance.canonical import Digest, Metadata, encode_metadata
from trustrag.provenance.evidence import Evidence, Head, LoggedEnvelope

Ids: TypeAlias = NDArray[np.int64]
Vectors: TypeAlias = NDArray[np.float32]

_LONGEST_TERM = 512  # bytes


@dataclass(frozen=True, slots=True)
class StoredPassage:
    """A chunk with all that proves it. Nothing here is verified yet. `vector` is little-endian float32."""

    chunk_id: int
    text: str
    metadata: bytes
    vector: bytes
    evidence: Evidence
    source_name: str


@dataclass(frozen=True, slots=True)
class UnprovedPassage:
    """A chunk that cannot even be shown with evidence: it no longer stands, never was, or its rows are
    damaged.

    `doc_id` is empty and `index` -1 where the rows do not tell.
    """

    chunk_id: int
    doc_id: str
    index: int
    refusal: Refusal
    reason: str


@dataclass(frozen=True, slots=True)
class Changes:
    """What an index that followed the ledger up to an earlier snapshot has to add and remove to be at
    `version`.
    """

    added: Ids
    removed: Ids
    version: int


class Sealed(Protocol):
    """A snapshot, by its number."""

    @property
    def version(self) -> int:
        """It grows by one with every seal."""


class Placed(Protocol):
    """Where a document's chunks lie: `chunk_count` ids from `first_chunk` on."""

    @property
    def first_chunk(self) -> int:
        """The id of its first chunk."""

    @property
    def chunk_count(self) -> int:
        """How many there are."""


class StoreView(Protocol):
    """A store at one snapshot, for as long as a question takes. Nothing that it shows is verified."""

    def snapshot(self) -> Sealed:
        """The snapshot it shows. Raises NotFoundError where there is none."""

    def head(self) -> Head:
        """The signed checkpoint and, proved to be in it, the snapshot."""

    def consistency(self, old_size: int, new_size: int) -> list[bytes]:
        """Proves that the log's first `new_size` entries extend its first `old_size`. Raises LedgerError."""

    def passages(self, chunk_ids: Sequence[int] | Ids) -> list[StoredPassage | UnprovedPassage]:
        """The chunks with their evidence, in the order asked for."""

    def vectors(self, ids: Ids) -> Vectors:
        """Their vectors as float32[n, dimension]. Raises LedgerError for an id that was never given."""

    def select(
        self, where: Mapping[str, Metadata] | None = None, sources: Collection[str] | None = None
    ) -> Ids:
        """The standing chunks, int64[m] in order, of these sources and with these metadata: a hint."""

    def changes(self, since: int) -> Changes:
        """What stands now and did not in snapshot `since`, and the reverse."""

    def active(self, doc_id: str) -> Placed | None:
        """Where what stands of this document lies."""

    def hidden(self) -> Sequence[UnprovedPassage]:
        """Some of the documents that stand and that `select` is kept from finding, as far as that is quick to tell."""

    def chunk_total(self) -> int:
        """All ids are below this."""

    def has_field(self, name: str) -> bool:
        """Whether any standing document has this metadata field: a hint."""

    def sealed(self) -> LoggedEnvelope:
        """The signed snapshot, proved to be in the log: for a view of the past, in the log of the view it came from."""

    def past(self, version: int) -> Self:
        """The same as of that snapshot. Raises NotFoundError where there was none, ConfigError where no past is kept."""


V = TypeVar("V", bound=StoreView)
V_co = TypeVar("V_co", bound=StoreView, covariant=True)


class Store(Protocol[V_co]):
    """Something that can be looked at, again and again, while it goes on."""

    def view(self) -> AbstractContextManager[V_co]:
        """The store as it is now, for as long as the block lasts."""


def title_of(metadata: Mapping[str, Metadata]) -> str:
    """The title that a passage's metadata gives its document, or the empty string."""
    title = metadata.get("title")
    return title if isinstance(title, str) else ""


def matches(metadata: Mapping[str, Metadata], where: Mapping[str, Metadata]) -> bool:
    """Whether every field of `where` is in `metadata` with an equal JSON value: true is not 1, and 1 is
    1.0.
    """
    return all(name in metadata and term(metadata[name]) == term(value) for name, value in where.items())


def term(value: Metadata) -> str:
    """What stands for a metadata value in filters: its canonical JSON, or its digest where that is long.

    Raises MalformedError for what JSON cannot hold.
    """
    encoded = encode_metadata({"": value})[len('{"":') : -1]
    # No JSON value begins with an s, so the two forms cannot meet.
    return encoded.decode() if len(encoded) <= _LONGEST_TERM else f"sha256:{Digest.of(encoded).hex}"
