"""A store in memory, honest unless told otherwise: the other side of every test of the gate.

`Forge` holds keys from fixed seeds and a log as a list of bytes. A test changes what it wants to bend, signs
again with the real keys where an insider would, and asks the gate.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, is_dataclass, replace
from hashlib import sha256
from struct import pack
from typing import Any, TypeAlias, TypeVar

import pytest

from trustrag.errors import MalformedError, Refusal, VerificationError
from trustrag.provenance import merkle
from trustrag.provenance.canonical import Digest, Metadata, encode_metadata
from trustrag.provenance.checkpoint import Checkpoint, cosign, sign_checkpoint
from trustrag.provenance.envelope import Envelope, sign
from trustrag.provenance.evidence import (
    Evidence,
    Head,
    LoggedEnvelope,
    VerdictCache,
    VerifiedPassage,
    accept_head,
    verify_passage,
)
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
    Witness,
)
from trustrag.provenance.standing import (
    BUCKETS,
    TOP_LEVELS,
    ChunkLeaf,
    StandingEntry,
    StandingProof,
    bucket_of,
    bucket_root,
    chunk_leaves,
    chunk_path,
    chunk_root,
)
from trustrag.provenance.statement import (
    Chunker,
    Context,
    DocumentClaim,
    EmbedderId,
    IngestedDocument,
    IngestStatement,
    ReviewStatement,
    SnapshotStatement,
    SourceStatement,
    Statement,
)

NOW = 1_795_000_000  # 2026-11-18T10:26:40Z
DAY = 86_400
CONTEXT = Context("store-1", "acme", "handbook")
ORIGIN = "store-1/handbook"
NAMES = (
    *("source", "other", "ingest", "screen", "review", "review2", "seal", "answer", "log", "witness"),
    "stranger",
)
T = TypeVar("T")
Top: TypeAlias = Callable[[int, int], bytes]


def key_of(name: str) -> PrivateKey:
    """The same key for the same name, always."""
    return PrivateKey.from_seed(sha256(name.encode()).digest())


KEYS = {name: key_of(name) for name in NAMES}


def policy_key(name: str, **changes: Any) -> PolicyKey:
    return PolicyKey(KEYS[name].public_key, **changes)


def reviewer(name: str, *keys: str) -> Reviewer:
    return Reviewer(name, tuple(policy_key(key) for key in keys))


def make_policy(**changes: Any) -> Policy:
    """One publisher, one of everything else, two human reviewers who are not asked."""
    honest: dict[str, Any] = {
        "version": 1,
        "context": CONTEXT,
        "issued_at": NOW - DAY,
        "log": Log(ORIGIN, (policy_key("log"),)),
        "ingest": Role((policy_key("ingest"),)),
        "screen": Role((policy_key("screen"),)),
        "review": Reviewers((reviewer("ann", "review"), reviewer("bob", "review2"))),
        "seal": Role((policy_key("seal"),)),
        "answer": Role((policy_key("answer"),)),
        "sources": (
            Source("acme", "Acme Ltd", (policy_key("source"),), ("acme/handbook",), 900),
            Source("other", None, (policy_key("other"),), ("acme/handbook/other",), 500, probation=True),
        ),
        "snapshot_age": 7 * DAY,
        "witnesses": (Witness("witness.example/w1", policy_key("witness")),),
        "quorum": 0,
    }
    return Policy(**(honest | changes))


@dataclass
class Doc:
    """One document as its publisher and the ingest see it; a test may bend any of it."""

    doc_id: str = "guide/logs.md"
    data: bytes = b"Logs are kept for ninety days. Then they are deleted. Nobody may keep a copy."
    version: int = 1
    metadata: dict[str, Metadata] = field(default_factory=lambda: {"title": "Logs", "weight": 0.5})
    expires: int | None = None

    @property
    def texts(self) -> list[str]:
        return [part.strip() + "." for part in self.data.decode().split(".") if part.strip()]

    @property
    def vectors(self) -> list[bytes]:
        return [pack("<4f", *sha256(text.encode()).digest()[:4]) for text in self.texts]

    @property
    def metadata_bytes(self) -> bytes:
        return encode_metadata(self.metadata)

    @property
    def leaves(self) -> tuple[ChunkLeaf, ...]:
        spans = [(at, at + len(text)) for at, text in enumerate(self.texts)]
        return chunk_leaves(Digest.of(self.data), self.texts, self.vectors, self.metadata_bytes, spans)

    def claim(self) -> DocumentClaim:
        return DocumentClaim(
            self.doc_id,
            self.version,
            Digest.of(self.data),
            None if self.version == 1 else Digest.of(b"the version before"),
            "text/markdown",
            "CC-BY-4.0",
            Digest.of(self.metadata_bytes),
        )

    def ingested(self, source: Digest) -> IngestedDocument:
        root, count = chunk_root(self.leaves), len(self.leaves)
        return IngestedDocument(self.doc_id, self.version, Digest.of(self.data), source, root, count)


def source_statement(*documents: Doc, **changes: Any) -> SourceStatement:
    honest = SourceStatement(CONTEXT, tuple(doc.claim() for doc in documents), NOW - 600, None)
    return replace(honest, **changes)


def ingest_statement(source: Envelope, *documents: Doc, **changes: Any) -> IngestStatement:
    honest = IngestStatement(
        CONTEXT,
        tuple(doc.ingested(source.digest) for doc in documents),
        Chunker("sentences", 200, 0, "1"),
        EmbedderId("digest-of-text", 4, Digest.of(b"weights")),
        "urn:trustrag:forge:1",
        NOW - 500,
    )
    return replace(honest, **changes)


def review_statement(ingest: Envelope, **changes: Any) -> ReviewStatement:
    honest = ReviewStatement(
        Digest.of(ingest.payload), "urn:trustrag:screen:1", ("TRUSTRAG_SCREENED",), NOW - 400
    )
    return replace(honest, **changes)


@dataclass
class Batch:
    """Documents with the envelopes that speak for them, and where the log holds each."""

    documents: tuple[Doc, ...]
    source: Envelope
    ingest: Envelope
    reviews: tuple[Envelope, ...]
    changes: dict[str, Any] = field(default_factory=dict)


class Forge:
    """Builds envelopes, log, standing tree and evidence with the real functions and the real keys."""

    def __init__(self, *, padding: int = 3) -> None:
        self.entries: list[bytes] = [b"an entry of long ago %d" % at for at in range(padding)]
        self.batches: list[Batch] = []
        self.extra: list[StandingEntry] = []
        self.signers: dict[str, PrivateKey] = dict(KEYS)

    def say(self, statement: Statement, who: str) -> Envelope:
        """Signs a statement as `who` and logs it, once."""
        return self.log(sign(statement.encode(), self.signers[who]))

    def log(self, envelope: Envelope) -> Envelope:
        if envelope.encode() not in self.entries:
            self.entries.append(envelope.encode())
        return envelope

    def publish(
        self, *documents: Doc, reviewers: tuple[str, ...] = ("screen",), who: str = "source"
    ) -> Batch:
        """An honest batch: signed, ingested, reviewed and logged."""
        source = self.say(source_statement(*documents), who)
        ingest = self.say(ingest_statement(source, *documents), "ingest")
        return self.stand(source, ingest, reviewers, *documents)

    def stand(self, source: Envelope, ingest: Envelope, reviewers: tuple[str, ...], *documents: Doc) -> Batch:
        """Reviews what was ingested, and lets it stand."""
        reviews = tuple(self.say(review_statement(ingest), name) for name in reviewers)
        batch = Batch(documents, source, ingest, reviews)
        self.batches.append(batch)
        return batch

    def index(self, envelope: Envelope) -> int:
        return self.entries.index(envelope.encode())

    def entry(self, batch: Batch, doc: Doc) -> StandingEntry:
        leaves = doc.leaves
        honest = StandingEntry(
            doc.doc_id,
            doc.version,
            Digest.of(doc.data),
            batch.source.digest,
            self.index(batch.source),
            batch.ingest.digest,
            self.index(batch.ingest),
            tuple((review.digest, self.index(review)) for review in batch.reviews),
            chunk_root(leaves),
            len(leaves),
            doc.expires,
        )
        return replace(honest, **batch.changes)

    def standing(self) -> dict[int, list[StandingEntry]]:
        buckets: dict[int, list[StandingEntry]] = {}
        entries = [self.entry(batch, doc) for batch in self.batches for doc in batch.documents]
        for entry in sorted([*entries, *self.extra], key=lambda item: item.doc_id.encode()):
            buckets.setdefault(bucket_of(entry.doc_id), []).append(entry)
        return buckets

    def top(self) -> Top:
        """The standing tree above the buckets. Nearly all of them are empty, and their nodes all alike."""
        empty = [merkle.leaf_hash(merkle.EMPTY_ROOT)]
        for _ in range(TOP_LEVELS):
            empty.append(merkle.node_hash(empty[-1], empty[-1]))
        nodes = {
            (0, number): merkle.leaf_hash(bucket_root([entry.encode() for entry in entries]))
            for number, entries in self.standing().items()
        }
        for level in range(TOP_LEVELS):
            for index in {index >> 1 for above, index in nodes if above == level}:
                pair = [nodes.get((level, 2 * index + side), empty[level]) for side in (0, 1)]
                nodes[level + 1, index] = merkle.node_hash(*pair)
        return lambda level, index: nodes.get((level, index), empty[level])

    def seal(self, **changes: Any) -> "Sealed":
        """Appends a snapshot of what stands and signs the tree head; `changes` bend the snapshot."""
        top = self.top()
        honest = SnapshotStatement(
            CONTEXT,
            Digest(merkle.root_at(BUCKETS, top)),
            2,
            Digest.of(b"the root before"),
            len(self.entries),
            "publish",
            None,
            NOW - 300,
            NOW + 30 * DAY,
        )
        snapshot = self.say(replace(honest, **changes), "seal")
        return Sealed(self, top, snapshot)


class Sealed:
    """A sealed store: its head, and evidence for any of its passages."""

    def __init__(self, forge: Forge, top: Top, snapshot: Envelope) -> None:
        self.forge, self.top, self.snapshot = forge, top, snapshot
        self.hashes = [merkle.leaf_hash(entry) for entry in forge.entries]
        self.checkpoint = Checkpoint(ORIGIN, len(self.hashes), Digest(merkle.root(self.hashes)))
        self.note = sign_checkpoint(self.checkpoint, forge.signers["log"])

    def logged(self, envelope: Envelope) -> LoggedEnvelope:
        index = self.forge.index(envelope)
        return LoggedEnvelope(envelope, index, tuple(merkle.inclusion_proof(self.hashes, index)))

    def head(self) -> Head:
        return Head(self.note, self.logged(self.snapshot))

    def cosigned(self, timestamp: int = NOW - 200) -> Head:
        note = cosign(self.note, "witness.example/w1", self.forge.signers["witness"], timestamp)
        return replace(self.head(), checkpoint=note)

    def accept(self, policy: Policy | None = None, **changes: Any) -> TrustedSnapshot:
        return accept_head(self.head(), policy or make_policy(), **({"now": NOW} | changes))

    def passage(self, batch: int = 0, doc: int = 0, chunk: int = 0) -> "Passage":
        """The passage as a store would hand it out, with its evidence."""
        found = self.forge.batches[batch]
        document = found.documents[doc]
        entry = self.forge.entry(found, document)
        bucket = self.forge.standing()[bucket_of(entry.doc_id)]
        position = bucket.index(entry)
        path = merkle.inclusion_proof([merkle.leaf_hash(item.encode()) for item in bucket], position)
        top = merkle.inclusion_path(bucket_of(entry.doc_id), BUCKETS, self.top)
        evidence = Evidence(
            document.leaves[chunk],
            chunk_path(document.leaves, chunk),
            entry,
            StandingProof(position, len(bucket), tuple(path), tuple(top)),
            self.logged(found.source),
            self.logged(found.ingest),
            tuple(self.logged(review) for review in found.reviews),
        )
        text, vector = document.texts[chunk], document.vectors[chunk]
        return Passage(text, document.metadata_bytes, vector, evidence)


@dataclass(frozen=True)
class Passage:
    """What the gate is given."""

    text: str
    metadata: bytes
    vector: bytes
    evidence: Evidence

    def verify(
        self,
        snapshot: TrustedSnapshot,
        policy: Policy | None = None,
        *,
        context: Context = CONTEXT,
        now: int = NOW,
        cache: VerdictCache | None = None,
    ) -> VerifiedPassage:
        policy = policy or make_policy()
        parts = self.text, self.metadata, self.vector, self.evidence
        return verify_passage(*parts, policy, snapshot, context=context, now=now, cache=cache)


def tampered(value: T, path: str, new: Any) -> T:
    """A copy of a frozen dataclass with one field bent: `tampered(evidence, "entry.version", 2)`."""
    name, _, rest = path.partition(".")
    if name.isdigit():
        items = list(value)  # type: ignore[call-overload]
        items[int(name)] = tampered(items[int(name)], rest, new) if rest else new
        return tuple(items)  # type: ignore[return-value]
    inner = getattr(value, name)
    bent = tampered(inner, rest, new) if rest else new(inner) if callable(new) else new
    assert is_dataclass(value)
    return replace(value, **{name: bent})  # type: ignore[return-value,type-var]


def refused(expected: Refusal, act: Callable[..., object], *args: Any, **kwargs: Any) -> str:
    """Calls it, and returns the reason of the refusal it must meet."""
    with pytest.raises((VerificationError, MalformedError)) as caught:
        act(*args, **kwargs)
    assert caught.value.refusal == expected, caught.value
    return str(caught.value)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (holder, key) inside a JSON value."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in list(keys):
        yield value, key
        yield from places(value[key])
