"""A ledger of any size with unit vectors of the size that MiniLM makes, and a policy that believes it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.ledger.world import CHUNKER, CONTEXT, NOW, SEALER, key, review_of, role
from trustrag.index import EmbedderIdentity
from trustrag.index.base import Vector, Vectors
from trustrag.ledger import Admission, Ledger, StoredText
from trustrag.provenance.canonical import Digest
from trustrag.provenance.envelope import sign
from trustrag.provenance.policy import Log, Policy, PolicyKey, Reviewers, Source
from trustrag.provenance.standing import chunk_leaves, chunk_root
from trustrag.provenance.statement import (
    DocumentClaim,
    EmbedderId,
    IngestedDocument,
    IngestStatement,
    SourceStatement,
)

DIMENSION = 384
IDENTITY = EmbedderId("random", DIMENSION, Digest.of(b"random unit vectors"))
CHUNKS = 10  # of a document
BATCH = 16  # documents under one signature
_TEXT = (
    "The retention of audit records under section {0} is {1} days, unless the regulator asks for more. " * 6
)


@dataclass(frozen=True)
class RandomEmbedder:
    """Stands for a model: what a search costs beside it is what is measured."""

    id = EmbedderIdentity(IDENTITY.name, DIMENSION, IDENTITY.digest.value)

    def embed(self, texts: Sequence[str]) -> Vectors:
        return np.stack([self.embed_query(text) for text in texts])

    def embed_query(self, text: str) -> Vector:
        return unit_vectors(1, sum(text.encode()))[0]


def unit_vectors(count: int, seed: int) -> Vectors:
    rows = np.random.default_rng(seed).standard_normal((count, DIMENSION), np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def policy(sources: int) -> Policy:
    """A policy with this many sources, each with a key of its own."""
    return Policy(
        version=1,
        context=CONTEXT,
        issued_at=NOW,
        log=Log(SEALER.origin, (PolicyKey(SEALER.log.public_key),)),
        ingest=role("ingest"),
        screen=role("screen"),
        review=Reviewers(),
        seal=role("seal"),
        sources=tuple(
            Source(f"s{n}", None, (PolicyKey(key(f"s{n}").public_key),), ("main/docs",), 500)
            for n in range(sources)
        ),
        snapshot_age=86_400,
    )


def fill(folder: Path, chunks: int, sources: int) -> Ledger:
    """A ledger of this many chunks, in documents of ten, spread over the sources in turn."""
    ledger = Ledger.create(folder, CONTEXT, IDENTITY)
    _admit(ledger, 0, chunks // CHUNKS, sources)
    return ledger


def more(ledger: Ledger, chunks: int, added: int) -> None:
    """Take in `added` more chunks of the first source, into a ledger that `fill` gave `chunks`."""
    _admit(ledger, chunks // CHUNKS, (chunks + added) // CHUNKS, 1)


def _admit(ledger: Ledger, first: int, last: int, sources: int) -> None:
    vectors = unit_vectors(last * CHUNKS, 7)
    for number, start in enumerate(range(first, last, BATCH)):
        numbers = range(start, min(start + BATCH, last))
        ledger.admit(list(admissions(numbers, f"s{number % sources}", vectors)), SEALER, NOW)


def admissions(numbers: range, source: str, vectors: Vectors) -> Iterator[Admission]:
    metadata = b'{"lang":"en"}'
    claims, trees, texts = [], [], []
    for number in numbers:
        chunk_texts = tuple(_TEXT.format(number, place) for place in range(CHUNKS))
        digest = Digest.of("".join(chunk_texts).encode())
        claims.append(
            DocumentClaim(f"doc/{number}", 1, digest, None, "text/plain", None, Digest.of(metadata))
        )
        rows = [row.tobytes() for row in vectors[number * CHUNKS : (number + 1) * CHUNKS]]
        spans = [(place, place + len(text)) for place, text in enumerate(chunk_texts)]
        trees.append(chunk_root(chunk_leaves(digest, chunk_texts, rows, metadata, spans)))
        texts.append(tuple(StoredText(text, *span) for text, span in zip(chunk_texts, spans, strict=True)))
    sourced = sign(SourceStatement(CONTEXT, tuple(claims), NOW, None).encode(), key(source))
    done = tuple(
        IngestedDocument(claim.doc_id, 1, claim.digest, sourced.digest, tree, CHUNKS)
        for claim, tree in zip(claims, trees, strict=True)
    )
    statement = IngestStatement(CONTEXT, done, CHUNKER, IDENTITY, "urn:trustrag:bench", NOW)
    ingested = sign(statement.encode(), key("ingest"))
    review = review_of(ingested)
    for number, claim, stored in zip(numbers, claims, texts, strict=True):
        mine = vectors[number * CHUNKS : (number + 1) * CHUNKS]
        yield Admission(claim, sourced, ingested, (review,), metadata, stored, mine, source)
