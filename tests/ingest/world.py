"""A small world around the pipeline: keys from fixed seeds, a policy, a real ledger, a gate at the end."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import numpy as np

from trustrag.index.embedding import HashEmbedder
from trustrag.ingest.batch import Vectors
from trustrag.ingest.document import Document
from trustrag.ingest.pipeline import Pipeline, Signers
from trustrag.ledger import Ledger, Sealer, StoredPassage
from trustrag.provenance.canonical import Digest, Metadata
from trustrag.provenance.evidence import VerifiedPassage, accept_head, verify_passage
from trustrag.provenance.keys import PrivateKey
from trustrag.provenance.policy import Log, Policy, PolicyKey, Reviewer, Reviewers, Role, Source
from trustrag.provenance.statement import Context, EmbedderId

NOW = 1_795_000_000
DAY = 86_400
CONTEXT = Context("example.org", "main", "docs")


def key(name: str) -> PrivateKey:
    return PrivateKey.from_seed(sha256(name.encode()).digest())


SEALER = Sealer("example.org/log", key("seal"), key("log"), DAY)
SIGNERS = Signers(key("ingest"), key("screen"))


def role(name: str) -> Role:
    return Role((PolicyKey(key(name).public_key),), 1)


def source(name: str, scope: str = "main/docs", *, active: bool = True, revoked: bool = False) -> Source:
    keys = (PolicyKey(key(name).public_key, revoked=revoked),)
    return Source(name, None, keys, (scope,), 500, active)


POLICY = Policy(
    version=1,
    context=CONTEXT,
    issued_at=NOW,
    log=Log(SEALER.origin, (PolicyKey(SEALER.log.public_key),)),
    ingest=role("ingest"),
    screen=role("screen"),
    review=Reviewers((Reviewer("ann", (PolicyKey(key("review").public_key),)),)),
    seal=role("seal"),
    sources=(
        source("acme"),
        source("wiki"),
        source("narrow", "main/docs/narrow"),
        source("asleep", active=False),
        source("lost", revoked=True),
    ),
    snapshot_age=DAY,
)


@dataclass
class CountingEmbedder:
    """The hash embedder, and a count of the texts that it was asked for."""

    inner: HashEmbedder = field(default_factory=lambda: HashEmbedder(dimension=64))
    texts: int = 0
    interrupt_at: int | None = None

    @property
    def id(self):  # type: ignore[no-untyped-def]
        return self.inner.id

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.texts += len(texts)
        if self.interrupt_at is not None and self.texts >= self.interrupt_at:
            raise KeyboardInterrupt
        return self.inner.embed(texts)


def new_ledger(folder: Path) -> Ledger:
    made = HashEmbedder(dimension=64).id
    ledger = Ledger.create(folder, CONTEXT, EmbedderId(made.name, made.dimension, Digest(made.digest)))
    ledger.reseal(SEALER, NOW)
    return ledger


def pipeline(ledger: Ledger, policy: Policy = POLICY, now: int = NOW, **settings: object) -> Pipeline:
    embedder = settings.pop("embedder", None) or CountingEmbedder()
    return Pipeline(ledger, policy, embedder, SIGNERS, SEALER, clock=lambda: now, **settings)  # type: ignore[arg-type]


def document(doc_id: str, text: str, **metadata: Metadata) -> Document:
    return Document(doc_id, text.encode(), "text/plain", text, metadata=metadata)


def standing(ledger: Ledger, policy: Policy = POLICY, now: int = NOW) -> list[VerifiedPassage]:
    """Every passage that stands, each proved by the gate."""
    with ledger.view() as view:
        snapshot = accept_head(view.head(), policy, now=now)
        found = view.passages(view.changes(0).added)
    assert all(isinstance(passage, StoredPassage) for passage in found)
    return [
        verify_passage(
            passage.text,
            passage.metadata,
            passage.vector,
            passage.evidence,
            policy,
            snapshot,
            context=CONTEXT,
            now=now,
        )
        for passage in found
        if isinstance(passage, StoredPassage)
    ]


def names(outcomes: Sequence[object]) -> list[str]:
    return [outcome.doc_id for outcome in outcomes]  # type: ignore[attr-defined]


def rows(passage: VerifiedPassage) -> np.ndarray:
    return np.frombuffer(passage.vector, dtype="<f4")
