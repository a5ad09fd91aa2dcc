"""A small world around a ledger: keys, a policy, and admissions that the gate believes."""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np

from trustrag.ledger import Admission, Ledger, Plan, Sealer, StoredPassage, StoredText, View
from trustrag.provenance.canonical import Digest, Metadata, encode_metadata
from trustrag.provenance.envelope import Envelope, sign
from trustrag.provenance.evidence import VerifiedPassage, accept_head, verify_passage
from trustrag.provenance.keys import PrivateKey
from trustrag.provenance.policy import (
    Log,
    Policy,
    PolicyKey,
    Reviewer,
    Reviewers,
    Role,
    Source,
    TrustedSnapshot,
)
from trustrag.provenance.standing import chunk_leaves, chunk_root
from trustrag.provenance.statement import (
    Chunker,
    Context,
    DocumentClaim,
    EmbedderId,
    IngestedDocument,
    IngestStatement,
    ReviewStatement,
    RollbackStatement,
    SourceStatement,
)

NOW = 1_763_900_000
CONTEXT = Context("example.org", "main", "docs")
DIMENSION = 8
EMBEDDER = EmbedderId("test", DIMENSION, Digest.of(b"weights"))
CHUNKER = Chunker("test", 100, 0, "1")


def key(name: str) -> PrivateKey:
    return PrivateKey.from_seed(sha256(name.encode()).digest())


SEALER = Sealer("example.org/log", key("seal"), key("log"), 86_400)


def role(name: str) -> Role:
    return Role((PolicyKey(key(name).public_key),), 1)


POLICY = Policy(
    version=1,
    context=CONTEXT,
    issued_at=NOW,
    log=Log(SEALER.origin, (PolicyKey(SEALER.log.public_key),)),
    ingest=role("ingest"),
    screen=role("screen"),
    review=Reviewers((Reviewer("ann", (PolicyKey(key("review").public_key),)),)),
    seal=role("seal"),
    sources=tuple(
        Source(name, None, (PolicyKey(key(name).public_key),), ("main/docs",), 500)
        for name in ("acme", "wiki")
    ),
    snapshot_age=86_400,
)


def publisher(envelope: Envelope) -> str | None:
    """Whose key of the policy signed this, by its id alone."""
    names = {known.key.key_id: source.name for source in POLICY.sources for known in source.keys}
    return names.get(envelope.key_id)


@dataclass(frozen=True)
class Draft:
    """A document on its way in."""

    doc_id: str
    version: int
    texts: tuple[str, ...]
    source: str = "acme"
    quarantined: bool = False
    metadata: tuple[tuple[str, Metadata], ...] = ()

    @property
    def claim(self) -> DocumentClaim:
        digest = Digest.of("\0".join(self.texts).encode())
        return DocumentClaim(
            self.doc_id, self.version, digest, None, "text/plain", None, Digest.of(self.encoded_metadata)
        )

    @property
    def encoded_metadata(self) -> bytes:
        return encode_metadata(dict(self.metadata))

    @property
    def vectors(self) -> np.ndarray:
        rows = [
            np.frombuffer(sha256(text.encode()).digest(), dtype=np.uint8)[:DIMENSION] for text in self.texts
        ]
        vectors = np.array(rows, dtype=np.float32) + 1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def review_of(ingest: Envelope, name: str = "screen") -> Envelope:
    statement = ReviewStatement(Digest.of(ingest.payload), "urn:trustrag:test", ("looked-at",), NOW)
    return sign(statement.encode(), key(name))


def admissions(drafts: Sequence[Draft]) -> list[Admission]:
    """Signed admissions of these drafts, which must be of one source: one envelope of each kind for all."""
    (source,) = {draft.source for draft in drafts}
    claims = tuple(draft.claim for draft in drafts)
    sourced = sign(SourceStatement(CONTEXT, claims, NOW, None).encode(), key(source))
    documents = []
    for draft, claim in zip(drafts, claims, strict=True):
        rows = [row.tobytes() for row in draft.vectors]
        spans = [(at, at + len(text)) for at, text in enumerate(draft.texts)]
        leaves = chunk_leaves(claim.digest, draft.texts, rows, draft.encoded_metadata, spans)
        documents.append(
            IngestedDocument(
                draft.doc_id, draft.version, claim.digest, sourced.digest, chunk_root(leaves), len(leaves)
            )
        )
    statement = IngestStatement(CONTEXT, tuple(documents), CHUNKER, EMBEDDER, "urn:trustrag:test", NOW)
    ingested = sign(statement.encode(), key("ingest"))
    review = review_of(ingested)
    return [
        Admission(
            claim=claim,
            source=sourced,
            ingest=ingested,
            reviews=() if draft.quarantined else (review,),
            metadata=draft.encoded_metadata,
            chunks=tuple(StoredText(text, at, at + len(text)) for at, text in enumerate(draft.texts)),
            vectors=draft.vectors,
            source_name=source,
            standing="quarantined" if draft.quarantined else "active",
            findings=("odd",) if draft.quarantined else (),
        )
        for draft, claim in zip(drafts, claims, strict=True)
    ]


def new_ledger(folder: Path) -> Ledger:
    """A ledger with its first, empty snapshot."""
    ledger = Ledger.create(folder, CONTEXT, EMBEDDER)
    ledger.reseal(SEALER, NOW)
    return ledger


def admit(ledger: Ledger, *drafts: Draft) -> None:
    ledger.admit(admissions(drafts), SEALER, NOW)


def accepted(view: View) -> TrustedSnapshot:
    """The view's head, as the policy accepts it."""
    return accept_head(view.head(), POLICY, now=NOW)


def prove(view: View, passage: StoredPassage, snapshot: TrustedSnapshot | None = None) -> VerifiedPassage:
    """Runs the gate over a stored passage."""
    return verify_passage(
        passage.text,
        passage.metadata,
        passage.vector,
        passage.evidence,
        POLICY,
        snapshot or accepted(view),
        context=CONTEXT,
        now=NOW,
    )


def proposed(plan: Plan, who: str = "seal") -> Envelope:
    """The statement of a planned rollback, signed."""
    statement = RollbackStatement(
        CONTEXT, plan.target, plan.target_root, plan.present, plan.present_root, "reason", NOW
    )
    return sign(statement.encode(), key(who))
