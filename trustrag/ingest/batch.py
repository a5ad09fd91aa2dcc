"""One batch on its way into the ledger: embed, sign, review.

The admitted documents of a batch share one ingest statement and one signed review. A quarantined document
gets an ingest statement of its own and no review: what lets it in later is a review of that statement alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trustrag.errors import BackendError
from trustrag.ingest.chunking import Chunk
from trustrag.ingest.document import Document
from trustrag.ingest.screening import Finding, Review, Verdict
from trustrag.ledger import Admission, StoredText
from trustrag.provenance.canonical import Digest
from trustrag.provenance.envelope import Envelope, sign
from trustrag.provenance.keys import Signer
from trustrag.provenance.policy import Source
from trustrag.provenance.standing import chunk_leaves, chunk_root
from trustrag.provenance.statement import (
    Chunker,
    Context,
    DocumentClaim,
    EmbedderId,
    IngestedDocument,
    IngestStatement,
    ReviewStatement,
)

BATCH_CHUNKS = 1024
"""Chunks after which a batch is full: a minute of embedding, and what an interruption costs at most."""

EMBEDDING_CHUNKS = 256
TOOL = "urn:trustrag:ingest:1"
VERIFIER = "urn:trustrag:screening:1"

Vectors: TypeAlias = NDArray[np.float32]


class EmbedderIdentity(Protocol):
    """Which model: its name, the length of its vectors, SHA-256 over its weights."""

    @property
    def name(self) -> str: ...

    @property
    def dimension(self) -> int: ...

    @property
    def digest(self) -> bytes: ...


class Embedder(Protocol):
    """What the way in asks of an embedder: float32 rows of length one, one for each text."""

    @property
    def id(self) -> EmbedderIdentity: ...

    def embed(self, texts: Sequence[str]) -> Vectors: ...


@dataclass(frozen=True, slots=True)
class Signers:
    """Who signs on the way in: `ingest` what was done, `screen` what passed the battery."""

    ingest: Signer
    screen: Signer


@dataclass(frozen=True, slots=True)
class Candidate:
    """A document that may be written: `envelope` is its attestation, None where its batch will be signed.

    `expires` is when it is served no longer, whatever its source says (unix seconds). `held` says in one line why it
    has to wait for a person; empty when it need not.
    """

    document: Document
    metadata: bytes
    chunks: tuple[Chunk, ...]
    chunker: Chunker
    claim: DocumentClaim
    source: Source
    envelope: Envelope | None
    expires: int | None
    review: Review
    held: str

    def with_findings(self, more: tuple[Finding, ...]) -> "Candidate":
        """The same document with what was found later; it waits where that asks for a person."""
        if not more:
            return self
        review = Review((*self.review.findings, *more))
        return replace(
            self, review=review, held=self.held if review.verdict is Verdict.ADMIT else review.reason
        )


@dataclass(frozen=True, slots=True)
class Maker:
    """Turns candidates into admissions. It asks nothing: what may be written was decided before."""

    context: Context
    embedder: Embedder
    embedder_id: EmbedderId
    signers: Signers
    properties: tuple[str, ...]
    tool: str = TOOL

    def embed(self, batch: Sequence[Candidate]) -> list[Vectors]:
        """The vectors of each candidate's chunks, float32[chunks, dimension]."""
        rows = self._embed([chunk.text for item in batch for chunk in item.chunks])
        ends = np.cumsum([len(item.chunks) for item in batch])
        return [rows[end - len(item.chunks) : end] for item, end in zip(batch, ends.tolist(), strict=True)]

    def admissions(
        self, batch: Sequence[Candidate], vectors: Sequence[Vectors], own: Envelope | None, now: int
    ) -> list[Admission]:
        """Sign an embedded batch; `own` is the attestation of those that came without one."""
        ready: list[_Ready] = []
        for item, rows in zip(batch, vectors, strict=True):
            envelope = item.envelope or own
            if envelope is None:
                raise ValueError(f"{item.claim.doc_id} has no attestation")
            ready.append(_Ready(item, envelope, rows))
        return [admission for group in _groups(ready) for admission in self._sign(group, now)]

    def _embed(self, texts: Sequence[str]) -> Vectors:
        rows = np.empty((len(texts), self.embedder_id.dimension), dtype="<f4")
        for start in range(0, len(texts), EMBEDDING_CHUNKS):
            part = texts[start : start + EMBEDDING_CHUNKS]
            made = self.embedder.embed(part)
            if made.shape != (len(part), self.embedder_id.dimension) or made.dtype != np.float32:
                raise BackendError(f"the embedder gave {made.dtype}{made.shape} for {len(part)} texts")
            if not np.isfinite(made).all():
                raise BackendError("the embedder gave a vector with NaN or infinity")
            rows[start : start + len(part)] = made
        return rows

    def _sign(self, group: "Sequence[_Ready]", now: int) -> Iterator[Admission]:
        """One ingest statement over documents of one chunker, and one review unless they are held."""
        statement = IngestStatement(
            context=self.context,
            documents=tuple(item.ingested() for item in group),
            chunker=group[0].candidate.chunker,
            embedder=self.embedder_id,
            tool=self.tool,
            finished_at=now,
        )
        payload = statement.encode()
        ingest = sign(payload, self.signers.ingest)
        reviews: tuple[Envelope, ...] = ()
        if not group[0].candidate.held:
            contracts = (item.candidate.source.contract for item in group)
            policies = tuple(sorted({one for one in contracts if one}, key=lambda one: one.value))
            review = ReviewStatement(Digest.of(payload), VERIFIER, self.properties, now, policies)
            reviews = (sign(review.encode(), self.signers.screen),)
        for item in group:
            yield item.admission(ingest, reviews)


@dataclass(frozen=True, slots=True)
class _Ready:
    candidate: Candidate
    source: Envelope
    vectors: Vectors

    def ingested(self) -> IngestedDocument:
        item = self.candidate
        leaves = chunk_leaves(
            item.claim.digest,
            [chunk.text for chunk in item.chunks],
            [row.tobytes() for row in self.vectors],
            item.metadata,
            [(chunk.start, chunk.end) for chunk in item.chunks],
        )
        return IngestedDocument(
            doc_id=item.claim.doc_id,
            version=item.claim.version,
            document=item.claim.digest,
            source=self.source.digest,
            chunk_root=chunk_root(leaves),
            chunk_count=len(leaves),
        )

    def admission(self, ingest: Envelope, reviews: tuple[Envelope, ...]) -> Admission:
        item = self.candidate
        standing: Literal["active", "quarantined"] = "quarantined" if item.held else "active"
        return Admission(
            claim=item.claim,
            source=self.source,
            ingest=ingest,
            reviews=reviews,
            metadata=item.metadata,
            chunks=tuple(StoredText(chunk.text, chunk.start, chunk.end) for chunk in item.chunks),
            vectors=self.vectors,
            source_name=item.source.name,
            standing=standing,
            expires=item.expires,
            findings=tuple(str(finding) for finding in item.review.findings),
        )


def _groups(ready: Sequence[_Ready]) -> Iterator[list[_Ready]]:
    """What shares an ingest statement: the admitted ones by chunker; each held one stands alone."""
    admitted = [item for item in ready if not item.candidate.held]
    admitted.sort(key=lambda item: item.candidate.chunker.name)
    for _, group in groupby(admitted, key=lambda item: item.candidate.chunker):
        yield list(group)
    for item in ready:
        if item.candidate.held:
            yield [item]
