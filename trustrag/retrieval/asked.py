"""What a search was asked: all that decides its answer beside the snapshot and the policy."""

from collections.abc import Mapping
from dataclasses import dataclass

from trustrag.provenance.canonical import Digest, Metadata, encode_metadata
from trustrag.retrieval.ranking import Mode


@dataclass(frozen=True, slots=True)
class Asked:
    """One question with its limits. `vector` is the unit vector that was searched with, little-endian float32.

    `sources` are the caller's, sorted, or None for all of the policy's; `where` are equal metadata fields; `judge` is the name
    of who says what contradicts what.
    """

    question: str
    vector: bytes
    k: int
    mode: Mode = "weighted"
    min_support: int = 0
    sources: tuple[str, ...] | None = None
    where: Mapping[str, Metadata] | None = None
    judge: str = "values"

    @property
    def filter(self) -> Digest | None:
        """The digest of `where` as canonical JSON, or None where everything may be found."""
        return Digest.of(encode_metadata(self.where)) if self.where else None
