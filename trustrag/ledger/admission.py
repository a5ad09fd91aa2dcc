"""What may come in: an admission is taken only whole, and only if its hashes agree with what was signed.

Signatures and authority are the policy's business and are checked by whoever admits, and again by the gate on
every query. Here stands what would otherwise fill the ledger with passages that the gate can only refuse.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from trustrag.errors import LedgerError, MalformedError
from trustrag.ledger.log import completed
from trustrag.ledger.model import Admission
from trustrag.ledger.sqlite import Term
from trustrag.provenance.canonical import Digest, parse_metadata
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.merkle import leaf_hash
from trustrag.provenance.standing import ChunkLeaf, chunk_leaves
from trustrag.provenance.statement import (
    Context,
    EmbedderId,
    IngestedDocument,
    IngestStatement,
    RejectionStatement,
    ReviewStatement,
    SourceStatement,
    Statement,
    parse_statement,
)
from trustrag.stored import term

_S = TypeVar("_S", bound=Statement)


@dataclass(frozen=True, slots=True)
class Prepared:
    """An admission whose hashes agree, with what its rows will hold. `nodes` are for each chunk as in
    `completed`.
    """

    admission: Admission
    leaves: tuple[ChunkLeaf, ...]
    nodes: list[bytes]
    chunk_root: Digest
    expires: int | None
    terms: list[Term]


class Desk:
    """Prepares admissions for one ledger. A statement that covers many documents is read once."""

    def __init__(self, context: Context, embedder: EmbedderId) -> None:
        self._context = context
        self._embedder = embedder
        self._statements: dict[Digest, Statement] = {}

    def prepare(self, admission: Admission) -> Prepared:
        """Raises LedgerError when the admission disagrees with its statements, MalformedError when a part
        is none.
        """
        claim, doc_id = admission.claim, admission.claim.doc_id
        _require_shapes(admission, self._embedder.dimension)
        source = self._statement(admission.source, SourceStatement, doc_id)
        if claim not in source.documents:
            raise LedgerError(f"{doc_id}: the source statement does not make this claim")
        if Digest.of(admission.metadata) != claim.metadata:
            raise LedgerError(f"{doc_id}: the metadata is not what the source signed")
        metadata = parse_metadata(admission.metadata)

        leaves = _leaves(admission)
        nodes, root = completed([leaf_hash(leaf.encode()) for leaf in leaves])
        ingested = IngestedDocument(
            doc_id, claim.version, claim.digest, admission.source.digest, root, len(leaves)
        )
        ingest = self._statement(admission.ingest, IngestStatement, doc_id)
        if ingested not in ingest.documents:
            raise LedgerError(f"{doc_id}: chunks and vectors are not what the ingest statement names")
        if ingest.embedder != self._embedder:
            raise LedgerError(f"{doc_id}: made by embedder {ingest.embedder.name}, not {self._embedder.name}")
        self.require_reviews(admission.reviews, Digest.of(admission.ingest.payload), doc_id)
        if admission.standing == "active" and not admission.reviews:
            raise LedgerError(
                f"{doc_id}: nobody approved it, so it cannot stand: a review is due, or quarantine"
            )
        return Prepared(
            admission,
            leaves,
            nodes,
            root,
            min((end for end in (source.expires, admission.expires) if end is not None), default=None),
            [(name, term(value)) for name, value in metadata.items()],
        )

    def require_reviews(self, reviews: Sequence[Envelope], subject: Digest, doc_id: str) -> None:
        """Raises LedgerError unless each of these is a review of the ingest payload with this digest."""
        for envelope in reviews:
            if self._statement(envelope, ReviewStatement, doc_id).subject != subject:
                raise LedgerError(f"{doc_id}: a review is of something else")

    def require_verdict(self, envelope: Envelope, approves: bool, subject: Digest, doc_id: str) -> None:
        """Raises LedgerError unless this approves, or rejects, the ingest payload with this digest."""
        if approves:
            return self.require_reviews([envelope], subject, doc_id)
        if self._statement(envelope, RejectionStatement, doc_id).subject != subject:
            raise LedgerError(f"{doc_id}: the rejection is of something else")
        return None

    def _statement(self, envelope: Envelope, kind: type[_S], doc_id: str) -> _S:
        statement = self._statements.get(envelope.digest)
        if statement is None:
            statement = self._statements[envelope.digest] = parse_statement(envelope.payload)
        if not isinstance(statement, kind):
            raise LedgerError(f"{doc_id}: a {kind.__name__} is due, and a {type(statement).__name__} came")
        if isinstance(statement, SourceStatement | IngestStatement) and statement.context != self._context:
            raise LedgerError(f"{doc_id}: the {kind.__name__} is for another store, tenant or collection")
        return statement


def _require_shapes(admission: Admission, dimension: int) -> None:
    doc_id, vectors = admission.claim.doc_id, admission.vectors
    if vectors.dtype.name != "float32" or vectors.shape != (len(admission.chunks), dimension):
        raise ValueError(f"{doc_id}: vectors must be float32[{len(admission.chunks)}, {dimension}]")
    if not admission.chunks:
        raise ValueError(f"{doc_id}: a document without chunks cannot be found, and so not be taken in")
    if not np.isfinite(vectors).all():
        raise MalformedError(f"{doc_id}: a vector holds NaN or infinity")
    if any(not 0 <= chunk.start <= chunk.end for chunk in admission.chunks):
        raise ValueError(f"{doc_id}: a chunk's span is no span")
    try:
        "\0".join((admission.source_name, *admission.findings)).encode()
    except UnicodeEncodeError:
        raise MalformedError(f"{doc_id}: a finding holds half a surrogate pair") from None


def _leaves(admission: Admission) -> tuple[ChunkLeaf, ...]:
    rows = np.ascontiguousarray(admission.vectors, dtype="<f4")
    try:
        return chunk_leaves(
            admission.claim.digest,
            [chunk.text for chunk in admission.chunks],
            [row.tobytes() for row in rows],
            admission.metadata,
            [(chunk.start, chunk.end) for chunk in admission.chunks],
        )
    except UnicodeEncodeError:
        raise MalformedError(f"{admission.claim.doc_id}: a chunk holds half a surrogate pair") from None
