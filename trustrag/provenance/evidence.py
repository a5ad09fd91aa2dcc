"""The gate: evidence in, a proved passage out, or a refusal with its name.

    text, vector, metadata --hash--> leaf --chunk path--> chunk root --in--> entry --standing--> snapshot
    entry --names--> source, ingest and review envelopes --proved in--> the log under the trusted checkpoint
    source --says--> these bytes are this document; ingest --says--> this chunk root came from them

Every link is checked for every passage. What may be remembered between passages are facts about bytes that
are named by their digest: that an envelope is signed by a key of this policy, that an entry stands under this
snapshot. The digests of text, metadata and vector are computed anew each time: they are what could change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from hashlib import sha256
from typing import Any, Final, TypeAlias, TypeVar, final

from trustrag.errors import AuthorityError, ProofError, Refusal, StaleError
from trustrag.provenance import merkle
from trustrag.provenance.canonical import Digest, Metadata, parse_metadata, rfc3339
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.past import PastSnapshot
from trustrag.provenance.policy import (
    Attested,
    Policy,
    SeenCheckpoint,
    Source,
    TrustedCheckpoint,
    TrustedSnapshot,
)
from trustrag.provenance.standing import ChunkLeaf, StandingEntry, StandingProof, root_of_chunk, standing_root
from trustrag.provenance.statement import (
    Context,
    DocumentClaim,
    IngestStatement,
    ReviewStatement,
    SourceStatement,
    Statement,
)

AnySnapshot: TypeAlias = TrustedSnapshot | PastSnapshot
"""What a passage is proved under: what stands, or what stood once."""

P = TypeVar("P", bound=Statement)
_SEAL: Final = object()


@dataclass(frozen=True, slots=True)
class LoggedEnvelope:
    """An envelope with its place in the log, and the proof of it under the evidence's checkpoint."""

    envelope: Envelope
    index: int
    proof: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """What a store shows of itself: its newest checkpoint, and the snapshot that is its last entry."""

    checkpoint: bytes
    snapshot: LoggedEnvelope


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that proves one passage under a snapshot, without the database."""

    leaf: ChunkLeaf
    chunk_path: tuple[bytes, ...]
    entry: StandingEntry
    standing: StandingProof
    source: LoggedEnvelope
    ingest: LoggedEnvelope
    reviews: tuple[LoggedEnvelope, ...]


@final
@dataclass(frozen=True, slots=True)
class VerifiedPassage:
    """A passage that was proved. Only `verify_passage` makes one.

    `vector` is little-endian float32; `trust` is in thousandths; `key_id` is of the source's key, and `source_index`
    the place of its attestation in the log; `reviewers` are the people who approved it, by name; `start` and `end` are
    characters of the document. Times are unix seconds; `expires` is the earliest end of snapshot, entry and attestation.
    `as_of` is None for what stands; for what stood once it is when that snapshot was sealed, and whether it still stands
    is not said.
    """

    text: str
    metadata: Mapping[str, Metadata]
    vector: bytes = field(repr=False)
    context: Context
    doc_id: str
    version: int
    document: Digest
    licence: str | None
    media_type: str
    index: int
    count: int
    start: int
    end: int
    source: str
    owner: str | None
    trust: int
    probation: bool
    key_id: str
    reviewers: tuple[str, ...]
    source_index: int
    issued_at: int
    snapshot_version: int
    as_of: int | None
    expires: int
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only verify_passage makes a VerifiedPassage, after checking it")


@dataclass(frozen=True, slots=True)
class RefusedPassage:
    """A passage that was found and not believed. `doc_id` is empty and `chunk` -1 where nobody could tell.

    Both are what the unproved bytes say of themselves.
    """

    doc_id: str
    chunk: int
    refusal: Refusal
    reason: str


@dataclass(frozen=True, slots=True)
class _Standing:
    """What was proved of one entry: who says what of the document, and until when."""

    claim: DocumentClaim
    source: Source
    key_id: str
    reviewers: tuple[str, ...]
    issued_at: int
    expires: int


@dataclass(frozen=True, slots=True)
class _Facts:
    """What was proved under one policy: envelopes by (digest, log index), entries by what they rest on."""

    policy: Digest
    sources: dict[tuple[bytes, int], Attested[SourceStatement]] = field(default_factory=dict)
    ingests: dict[tuple[bytes, int], Attested[IngestStatement]] = field(default_factory=dict)
    reviews: dict[tuple[bytes, int], Attested[ReviewStatement]] = field(default_factory=dict)
    logged: set[tuple[bytes, int, bytes]] = field(default_factory=set)
    entries: dict[bytes, _Standing] = field(default_factory=dict)
    metadata: dict[Digest, dict[str, Metadata]] = field(default_factory=dict)


class VerdictCache:
    """Facts already proved, to be given to every `verify_passage`. A changed policy empties it.

    It starts again after `capacity` entries or envelopes. Threads may share it: a fact is the same whoever
    finds it, and two policies at once only make it forget.
    """

    __slots__ = ("_capacity", "_facts")

    def __init__(self, capacity: int = 65_536) -> None:
        self._capacity = capacity
        self._facts: _Facts | None = None

    def facts(self, policy: Policy) -> _Facts:
        """What is known under this policy."""
        facts = self._facts
        full = facts is not None and len(facts.logged) + len(facts.entries) > self._capacity
        if facts is None or full or facts.policy != policy.digest:
            facts = self._facts = _Facts(policy.digest)
        return facts


def accept_head(
    head: Head,
    policy: Policy,
    *,
    now: int,
    seen: SeenCheckpoint | None = None,
    consistency: Sequence[bytes] = (),
    newer_than: int | None = None,
) -> TrustedSnapshot:
    """The snapshot of a store's head, accepted under this policy and against what was seen of it before."""
    checkpoint = policy.accept(head.checkpoint, newer_than=seen, consistency=consistency, now=now)
    logged = head.snapshot
    return policy.accept_snapshot(
        logged.envelope, logged.index, logged.proof, checkpoint, now=now, newer_than=newer_than
    )


def verify_passage(
    text: str,
    metadata: bytes,
    vector: bytes,
    evidence: Evidence,
    policy: Policy,
    snapshot: AnySnapshot,
    *,
    context: Context,
    now: int,
    cache: VerdictCache | None = None,
) -> VerifiedPassage:
    """Proves one passage for the caller's context, or raises VerificationError or MalformedError.

    `metadata` is canonical JSON, `vector` little-endian float32, `now` unix seconds. Under a snapshot of the past, the
    envelopes are in today's log, and the passage says `as_of`.
    """
    if context != policy.context:
        raise AuthorityError(Refusal.WRONG_CONTEXT, "the policy is for another store or collection")
    policy.require_current(snapshot.today if isinstance(snapshot, PastSnapshot) else snapshot, now)
    leaf = evidence.leaf
    # A lone surrogate has no UTF-8, and must not crash the gate: its digest is simply never the signed one.
    _require_same(leaf.text, text.encode(errors="surrogatepass"), Refusal.TAMPERED_TEXT, "text")
    _require_same(leaf.metadata, metadata, Refusal.TAMPERED_METADATA, "metadata")
    _require_same(leaf.vector, vector, Refusal.TAMPERED_VECTOR, "vector")
    facts = (cache or VerdictCache()).facts(policy)
    standing = _prove_entry(evidence, policy, snapshot, facts)
    _check_leaf(leaf, evidence.chunk_path, evidence.entry, standing.claim)
    if now >= standing.expires:
        reason = f"{evidence.entry.doc_id} expired at {rfc3339(standing.expires)}"
        raise StaleError(Refusal.EXPIRED, reason)
    known = facts.metadata.get(leaf.metadata)
    if known is None:
        known = facts.metadata[leaf.metadata] = parse_metadata(metadata)
    return _passage(text, _copied(known), vector, evidence, standing, snapshot)


def _require_same(digest: Digest, data: bytes, refusal: Refusal, what: str) -> None:
    if sha256(data).digest() != digest.value:
        raise ProofError(refusal, f"the {what} is not the one that was signed")


def _copied(value: Any) -> Any:
    """What is remembered is never handed out: a caller may change what it got."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_copied(item) for item in value]
    return value


def _check_leaf(leaf: ChunkLeaf, path: Sequence[bytes], entry: StandingEntry, claim: DocumentClaim) -> None:
    name = f"chunk {leaf.index} of {entry.doc_id}"
    if leaf.count != entry.chunk_count or root_of_chunk(leaf, path) != entry.chunk_root:
        raise ProofError(Refusal.NOT_IN_SNAPSHOT, f"{name} does not lead to the chunk root that stands")
    if leaf.document != entry.document:
        raise ProofError(Refusal.NOT_IN_SNAPSHOT, f"{name} was cut from another document")
    if leaf.metadata != claim.metadata:
        raise ProofError(Refusal.TAMPERED_METADATA, f"{name} carries metadata that its source did not sign")


def _prove_entry(evidence: Evidence, policy: Policy, snapshot: AnySnapshot, facts: _Facts) -> _Standing:
    """What the entry's signers say of the document, once all of it is proved under this snapshot."""
    entry = evidence.entry
    # The snapshot's digest stands for the standing root, the checkpoint's root for the log that it ends.
    key = sha256(entry.encode()).digest() + snapshot.envelope.value + snapshot.checkpoint.root.value
    known = facts.entries.get(key)
    if known is not None and _named(evidence):
        return known
    if standing_root(entry, evidence.standing) != snapshot.root:
        reason = f"{entry.doc_id} version {entry.version} does not stand in snapshot {snapshot.version}"
        raise ProofError(Refusal.NOT_IN_SNAPSHOT, reason)
    checkpoint, logged = snapshot.checkpoint, facts.logged
    source = _prove_envelope(evidence.source, SourceStatement, facts.sources, policy, checkpoint, logged)
    ingest = _prove_envelope(evidence.ingest, IngestStatement, facts.ingests, policy, checkpoint, logged)
    reviews = [
        _prove_envelope(review, ReviewStatement, facts.reviews, policy, checkpoint, logged)
        for review in evidence.reviews
    ]
    claim = policy.claim(source, entry.doc_id, entry.version)
    reviewers = policy.check_reviews(reviews, ingest, source)
    if not _named(evidence):
        reason = f"the envelopes shown for {entry.doc_id} are not those that its entry names"
        raise ProofError(Refusal.NOT_IN_SNAPSHOT, reason)
    _check_agreement(entry, claim, ingest.statement)
    said = source.statement
    expires = min(end for end in (entry.expires, said.expires, snapshot.expires) if end is not None)
    publisher = policy.publisher(source)
    standing = _Standing(claim, publisher, source.key.key_id, reviewers, said.issued_at, expires)
    facts.entries[key] = standing
    return standing


def _named(evidence: Evidence) -> bool:
    """Whether the entry names just these envelopes at these places of the log."""
    entry = evidence.entry
    named = ((entry.source, entry.source_index), (entry.ingest, entry.ingest_index), *entry.reviews)
    shown = (evidence.source, evidence.ingest, *evidence.reviews)
    return named == tuple((logged.envelope.digest, logged.index) for logged in shown)


def _prove_envelope(
    logged: LoggedEnvelope,
    kind: type[P],
    known: dict[tuple[bytes, int], Attested[P]],
    policy: Policy,
    checkpoint: TrustedCheckpoint,
    proved: set[tuple[bytes, int, bytes]],
) -> Attested[P]:
    """The envelope's statement, by a key that may say it, and in the log under this checkpoint."""
    envelope, index = logged.envelope, logged.index
    digest, root = envelope.digest.value, checkpoint.root.value
    attested = known.get((digest, index))
    if attested is None:
        attested = known[digest, index] = policy.authorise(envelope, kind, log_index=index)
    if (digest, index, root) not in proved:
        leaf = merkle.leaf_hash(envelope.encode())
        merkle.verify_inclusion(index, checkpoint.size, leaf, logged.proof, root)
        proved.add((digest, index, root))
    return attested


def _check_agreement(entry: StandingEntry, claim: DocumentClaim, ingest: IngestStatement) -> None:
    """The entry, what the source says and what the ingest says must be about one and the same thing."""
    name = f"{entry.doc_id} version {entry.version}"
    if claim.digest != entry.document:
        raise ProofError(Refusal.NOT_IN_SNAPSHOT, f"the source signed other bytes as {name}")
    told = (entry.doc_id, entry.version, entry.document, entry.source, entry.chunk_root, entry.chunk_count)
    for item in ingest.documents:
        if item.doc_id == entry.doc_id:
            done = (item.doc_id, item.version, item.document, item.source, item.chunk_root, item.chunk_count)
            if done == told:
                return
            raise ProofError(Refusal.NOT_IN_SNAPSHOT, f"the ingest signed another account of {name}")
    raise ProofError(Refusal.NOT_IN_SNAPSHOT, f"the ingest does not name {name}")


def _passage(
    text: str,
    metadata: Mapping[str, Metadata],
    vector: bytes,
    evidence: Evidence,
    standing: _Standing,
    snapshot: AnySnapshot,
) -> VerifiedPassage:
    leaf, claim, source = evidence.leaf, standing.claim, standing.source
    return VerifiedPassage(
        text=text,
        metadata=metadata,
        vector=vector,
        context=snapshot.statement.context,
        doc_id=claim.doc_id,
        version=claim.version,
        document=claim.digest,
        licence=claim.licence,
        media_type=claim.media_type,
        index=leaf.index,
        count=leaf.count,
        start=leaf.start,
        end=leaf.end,
        source=source.name,
        owner=source.owner,
        trust=source.trust,
        probation=source.probation,
        key_id=standing.key_id,
        reviewers=standing.reviewers,
        source_index=evidence.entry.source_index,
        issued_at=standing.issued_at,
        snapshot_version=snapshot.version,
        as_of=snapshot.statement.issued_at if isinstance(snapshot, PastSnapshot) else None,
        expires=standing.expires,
        seal=_SEAL,
    )
