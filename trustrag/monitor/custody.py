"""The chain of custody of one passage, from the file to the answer: every hand that it went through, each one checked.

    file -> attestation -> ingest -> reviews -> chunk -> what touched it -> standing -> snapshot -> checkpoint
         -> witnesses -> policy -> answer

The gate decides over the whole; here each link is checked by itself, so that a person sees which of them holds, and what
each says. A link that is refused is a value. What nobody signed is marked `unsigned`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from trustrag.errors import MalformedError, NotFoundError, ProofError, Refusal, VerificationError
from trustrag.ledger import StoredPassage, VersionRow, View
from trustrag.monitor.audit import Gate
from trustrag.monitor.history import Event, events
from trustrag.provenance import merkle
from trustrag.provenance.canonical import Digest
from trustrag.provenance.evidence import AnySnapshot, LoggedEnvelope, VerifiedPassage
from trustrag.provenance.policy import Attested, Policy, TrustedSnapshot
from trustrag.provenance.standing import root_of_chunk, standing_root
from trustrag.provenance.statement import (
    IngestedDocument,
    IngestStatement,
    ReviewStatement,
    SourceStatement,
    Statement,
    parse_statement,
)

VERIFIED = "verified"
UNSIGNED = "unsigned"
NONE = "none"

_S = TypeVar("_S", bound=Statement)
Facts = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Link:
    """One hand that a passage went through. `verdict` is `verified`, a refusal by name, `unsigned`, or `none`.

    `facts` are plain values; digests and keys are hex, times unix seconds. Of a refused link they are what it claims.
    """

    name: str
    facts: Facts
    verdict: str = VERIFIED
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Chain:
    """All links of one passage, in order. `standing` tells whether it stands today; else `snapshot` is the last in which
    it did, or the one that was asked for.
    """

    doc_id: str
    version: int
    chunk: int
    snapshot: int
    standing: bool
    links: tuple[Link, ...]
    text: str

    @property
    def holds(self) -> bool:
        """Whether every link does that has to: an absent witness and an unsigned finding break nothing."""
        return all(link.verdict in (VERIFIED, UNSIGNED, NONE) for link in self.links)

    def named(self, name: str) -> tuple[Link, ...]:
        """The links of this name."""
        return tuple(link for link in self.links if link.name == name)


def chain_of(
    view: View, gate: Gate, head: TrustedSnapshot, doc_id: str, chunk: int, now: int, at: int | None = None
) -> Chain:
    """The chain of chunk `chunk` (from 0) of what stands under this name, else of what stood last; with `at`, of then.

    Follows all that ever moved, so that no edited row hides what touched the document. Raises NotFoundError for a
    document or chunk that never stood, LedgerError where the rows do not lead to what was signed.
    """
    touched = tuple(events(view, head, doc_id))
    version = at if at is not None else _last_stood(touched, head.version, doc_id)
    then, past = gate.past(view, head, version, now)
    row = then.standing(doc_id)
    if row is None:
        raise NotFoundError(f"no version of {doc_id!r} stood in snapshot {version}")
    if not 0 <= chunk < row.chunk_count:
        raise NotFoundError(
            f"{doc_id} version {row.version} has chunks 0 to {row.chunk_count - 1}, not {chunk}"
        )
    (stored,) = then.passages([row.first_chunk + chunk])
    if not isinstance(stored, StoredPassage):
        raise ProofError(stored.refusal, f"chunk {chunk} of {doc_id}: {stored.reason}")
    stands = version == head.version
    snapshot: AnySnapshot = head if stands else past
    (answer,) = gate.prove_all([stored], snapshot, now)
    links = _Custody(stored, row, snapshot, gate.policy).links(touched)
    verdict = Link("answer", {"asOf": None if stands else version}, *_verdict_of(answer))
    return Chain(doc_id, row.version, chunk, version, stands, (*links, verdict), stored.text)


def _last_stood(touched: Sequence[Event], newest: int, doc_id: str) -> int:
    """The newest snapshot in which something stood under this name."""
    for event in reversed(touched):
        if event.began is not None:
            return newest
        if event.ended is not None:
            return event.snapshot - 1
    raise NotFoundError(f"no version of {doc_id!r} ever stood: see trustrag history")


def _verdict_of(answer: object) -> tuple[str, str]:
    if isinstance(answer, VerifiedPassage):
        return VERIFIED, ""
    return str(getattr(answer, "refusal", Refusal.MALFORMED)), str(getattr(answer, "reason", ""))


class _Custody:
    """The links of one stored passage under one snapshot."""

    def __init__(self, stored: StoredPassage, row: VersionRow, snapshot: AnySnapshot, policy: Policy) -> None:
        self._stored = stored
        self._evidence = stored.evidence
        self._row = row
        self._snapshot = snapshot
        self._policy = policy

    def links(self, touched: Sequence[Event]) -> Iterator[Link]:
        """From the file to the policy."""
        yield self._file()
        yield self._link("attestation", self._attestation)
        yield self._link("ingest", self._ingest)
        for review in self._evidence.reviews:
            yield self._link("review", partial(self._review, review))
        yield self._link("approval", self._approval)
        if self._row.findings:
            yield Link("findings", {"found": list(self._row.findings)}, UNSIGNED)
        yield self._link("chunk", self._chunk)
        for event in touched:
            yield Link("touched", _event_facts(event))
        yield self._link("standing", self._standing)
        yield from self._sealed()
        policy = self._policy
        facts = {"version": policy.version, "digest": policy.digest.hex, "issued": policy.issued_at}
        yield Link("policy", facts)

    @staticmethod
    def _link(name: str, check: Callable[[], Iterator[Facts]]) -> Link:
        """`check` yields what the link says and goes on to check it, in steps; what it yielded is kept if it fails."""
        facts: dict[str, object] = {}
        try:
            for more in check():
                facts |= more
        except (VerificationError, MalformedError) as error:
            return Link(name, facts, str(error.refusal), str(error))
        return Link(name, facts)

    def _file(self) -> Link:
        entry, leaf = self._evidence.entry, self._evidence.leaf
        facts = {"document": entry.doc_id, "version": entry.version, "sha256": entry.document.hex}
        if leaf.document != entry.document:
            return Link("file", facts, Refusal.NOT_IN_SNAPSHOT, "the chunk was cut from another file")
        return Link("file", facts)

    def _said(self, logged: LoggedEnvelope, kind: type[_S]) -> Iterator[Facts]:
        """Where an envelope lies, and that it is there and signed by a key that may say so."""
        yield {
            "key": logged.envelope.key_id,
            "envelope": logged.envelope.digest.hex,
            "logIndex": logged.index,
        }
        self._authorised(logged, kind)
        checkpoint = self._snapshot.checkpoint
        leaf = merkle.leaf_hash(logged.envelope.encode())
        merkle.verify_inclusion(logged.index, checkpoint.size, leaf, logged.proof, checkpoint.root.value)

    def _authorised(self, logged: LoggedEnvelope, kind: type[_S]) -> Attested[_S]:
        return self._policy.authorise(logged.envelope, kind, log_index=logged.index)

    def _attestation(self) -> Iterator[Facts]:
        entry, logged = self._evidence.entry, self._evidence.source
        said = parse_statement(logged.envelope.payload)
        if isinstance(said, SourceStatement):
            yield {"issued": said.issued_at, "expires": said.expires}
        yield from self._said(logged, SourceStatement)
        attested = self._authorised(logged, SourceStatement)
        yield {"source": attested.source.name if attested.source else None}
        claim = self._policy.claim(attested, entry.doc_id, entry.version)
        yield {"mediaType": claim.media_type, "licence": claim.licence, "metadata": claim.metadata.hex}
        self._require(logged, (entry.source, entry.source_index), claim.digest == entry.document)

    def _ingest(self) -> Iterator[Facts]:
        entry, logged = self._evidence.entry, self._evidence.ingest
        said = parse_statement(logged.envelope.payload)
        if isinstance(said, IngestStatement):
            chunker, embedder = said.chunker, said.embedder
            yield {
                "tool": said.tool,
                "finished": said.finished_at,
                "chunker": f"{chunker.name} {chunker.version}",
                "size": chunker.size,
                "overlap": chunker.overlap,
                "embedder": embedder.name,
                "dimension": embedder.dimension,
                "weights": embedder.digest.hex,
            }
        yield from self._said(logged, IngestStatement)
        item = IngestedDocument(
            entry.doc_id, entry.version, entry.document, entry.source, entry.chunk_root, entry.chunk_count
        )
        named = isinstance(said, IngestStatement) and item in said.documents
        self._require(logged, (entry.ingest, entry.ingest_index), named)

    def _review(self, logged: LoggedEnvelope) -> Iterator[Facts]:
        said = parse_statement(logged.envelope.payload)
        if isinstance(said, ReviewStatement):
            yield {"verifier": said.verifier, "found": list(said.properties), "issued": said.created_at}
        yield from self._said(logged, ReviewStatement)
        attested = self._authorised(logged, ReviewStatement)
        yield {"role": attested.role}
        subject = Digest.of(self._evidence.ingest.envelope.payload)
        named = (logged.envelope.digest, logged.index) in self._evidence.entry.reviews
        self._require(
            logged, (logged.envelope.digest, logged.index), named and attested.statement.subject == subject
        )

    def _approval(self) -> Iterator[Facts]:
        """The thresholds of today's policy, over all reviews together."""
        policy, shown = self._policy, self._evidence
        yield {"screen": policy.screen.threshold, "review": policy.review.threshold}
        source = self._authorised(shown.source, SourceStatement)
        ingest = self._authorised(shown.ingest, IngestStatement)
        reviews = [self._authorised(review, ReviewStatement) for review in shown.reviews]
        yield {"people": list(policy.check_reviews(reviews, ingest, source))}

    def _chunk(self) -> Iterator[Facts]:
        shown, leaf = self._stored, self._evidence.leaf
        yield {
            "chunk": leaf.index,
            "of": leaf.count,
            "span": [leaf.start, leaf.end],
            "text": leaf.text.hex,
            "vector": leaf.vector.hex,
            "metadata": leaf.metadata.hex,
            "chunkRoot": self._evidence.entry.chunk_root.hex,
        }
        parts = (
            (leaf.text, shown.text.encode(errors="surrogatepass"), Refusal.TAMPERED_TEXT, "text"),
            (leaf.metadata, shown.metadata, Refusal.TAMPERED_METADATA, "metadata"),
            (leaf.vector, shown.vector, Refusal.TAMPERED_VECTOR, "vector"),
        )
        for digest, data, refusal, what in parts:
            if Digest.of(data) != digest:
                raise ProofError(refusal, f"the {what} is not the one that was signed")
        if root_of_chunk(leaf, self._evidence.chunk_path) != self._evidence.entry.chunk_root:
            raise ProofError(Refusal.NOT_IN_SNAPSHOT, "the chunk does not lead to the chunk root that stands")

    def _standing(self) -> Iterator[Facts]:
        entry, place = self._evidence.entry, self._evidence.standing
        yield {
            "entry": Digest.of(entry.encode()).hex,
            "bucketSize": place.bucket_size,
            "position": place.position,
            "expires": entry.expires,
            "root": self._snapshot.root.hex,
        }
        if standing_root(entry, place) != self._snapshot.root:
            raise ProofError(Refusal.NOT_IN_SNAPSHOT, "the entry does not lead to the root that was sealed")

    def _sealed(self) -> Iterator[Link]:
        """What the gate accepted already: a snapshot and checkpoint that hold are of sealed types."""
        snapshot, checkpoint = self._snapshot, self._snapshot.checkpoint
        said = snapshot.statement
        yield Link(
            "snapshot",
            {
                "version": said.version,
                "action": said.action,
                "reason": said.reason,
                "root": said.root.hex,
                "issued": said.issued_at,
                "expires": said.expires,
                "key": snapshot.key.key_id,
                "envelope": snapshot.envelope.hex,
                "logIndex": said.log_size,
            },
        )
        yield Link(
            "checkpoint",
            {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex},
        )
        witnesses, quorum = list(checkpoint.witnesses), self._policy.quorum
        reason = "" if witnesses else "not protected against a split view"
        facts = {"witnesses": witnesses, "quorum": quorum}
        yield Link("witnesses", facts, VERIFIED if witnesses else NONE, reason)

    @staticmethod
    def _require(logged: LoggedEnvelope, named: tuple[Digest, int], agrees: bool) -> None:
        if (logged.envelope.digest, logged.index) != named or not agrees:
            raise ProofError(
                Refusal.NOT_IN_SNAPSHOT, "it is not about what stands, or not what the entry names"
            )


def _event_facts(event: Event) -> Facts:
    return {
        "snapshot": event.snapshot,
        "action": event.action,
        "reason": event.reason,
        "issued": event.issued_at,
        "logIndex": event.log_index,
        "ended": event.ended,
        "began": event.began,
    }
