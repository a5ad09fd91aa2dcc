"""What waits for people: shown only as it was signed at ingest, and settled by the rule that the gate goes by.

The rows that say what waits are not signed. So what a reviewer is shown is held against the ingest statement first: the
source's claim, the chunks and their root. A review is of the digest of that statement, and therefore of this text.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from trustrag.errors import (
    AuthorityError,
    ConflictError,
    MalformedError,
    ProofError,
    Refusal,
    VerificationError,
)
from trustrag.ingest.screening import Finding, Severity
from trustrag.ledger import Held, Said, StoredPassage, View
from trustrag.provenance import merkle
from trustrag.provenance.canonical import Digest
from trustrag.provenance.envelope import Envelope, sign
from trustrag.provenance.evidence import LoggedEnvelope
from trustrag.provenance.keys import Signer
from trustrag.provenance.policy import Attested, Policy, Source, TrustedSnapshot
from trustrag.provenance.standing import ChunkLeaf, chunk_root
from trustrag.provenance.statement import (
    DocumentClaim,
    IngestStatement,
    RejectionStatement,
    ReviewStatement,
    SourceStatement,
    parse_statement,
)

APPROVED = "TRUSTRAG_APPROVED"
"""What a signed review says of a document that a person let in."""

REVIEWER = "urn:trustrag:reviewer:1"
OPERATOR = "urn:trustrag:operator:1"
"""Who approves: a person whom the policy names, or, where it names nobody, whoever runs the store."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A document that waits, as its source claimed it and as it was cut. Only `proved` makes one that is proved."""

    claim: DocumentClaim
    source: Source
    said: Attested[SourceStatement]
    ingest: Attested[IngestStatement]
    leaves: tuple[ChunkLeaf, ...]
    texts: tuple[str, ...]

    @property
    def text(self) -> str:
        """The text, each character where it stood in the document; what lay between two chunks is blank."""
        text = ""
        for leaf, part in zip(self.leaves, self.texts, strict=True):
            gap = leaf.start - len(text)
            text += "\n" + " " * (gap - 1) if gap > 0 and text else " " * max(0, gap)
            text += part[max(0, len(text) - leaf.start) :]
        return text


@dataclass(frozen=True, slots=True)
class Opinion:
    """What somebody said and why: `by` is a reviewer's name, or None for the operator. `at` is in unix seconds."""

    by: str | None
    approves: bool
    reason: str
    at: int
    snapshot: int


@dataclass(frozen=True, slots=True)
class Case:
    """One document that waits: what it is, what was noticed, who said what, and how many people it needs."""

    shown: Shown
    findings: tuple[Finding, ...]
    opinions: tuple[Opinion, ...]
    needed: int
    assigned: str | None
    since: int

    @property
    def doc_id(self) -> str:
        return self.shown.claim.doc_id

    @property
    def version(self) -> int:
        return self.shown.claim.version

    @property
    def subject(self) -> Digest:
        """What a review of it is of: the payload of its ingest statement."""
        return self.shown.ingest.payload

    def names(self, approves: bool) -> tuple[str, ...]:
        """The people who said so, each once."""
        said = {one.by for one in self.opinions if one.approves is approves and one.by is not None}
        return tuple(sorted(said))


@dataclass(frozen=True, slots=True)
class Decided:
    """What one decision came to. `have` of `needed` people say the same; `settled` where that was enough."""

    doc_id: str
    version: int
    by: str | None
    approves: bool
    settled: bool
    have: int
    needed: int
    snapshot: int


def proved(
    source: tuple[Envelope, int],
    ingest: tuple[Envelope, int],
    leaves: tuple[ChunkLeaf, ...],
    texts: tuple[str, ...],
    policy: Policy,
) -> Shown:
    """What the envelopes (each with its place in the log) say of these chunks, which have to be all and just those.

    Raises VerificationError where the signatures do not hold under this policy, or the chunks are others.
    """
    said = policy.authorise(source[0], SourceStatement, log_index=source[1])
    made = policy.authorise(ingest[0], IngestStatement, log_index=ingest[1])
    if len(made.statement.documents) != 1:
        raise ProofError(Refusal.NOT_IN_SNAPSHOT, "what is held has an ingest statement of its own")
    (item,) = made.statement.documents
    claim = policy.claim(said, item.doc_id, item.version)
    whole = (
        (item.source, item.document) == (said.envelope, claim.digest)
        and len(leaves) == len(texts) == item.chunk_count
        and chunk_root(leaves) == item.chunk_root
        and all(
            leaf.text == Digest.of(text.encode(errors="surrogatepass"))
            for leaf, text in zip(leaves, texts, strict=False)
        )
        and all(leaf.document == claim.digest and leaf.metadata == claim.metadata for leaf in leaves)
    )
    if not whole:
        reason = f"version {item.version} of {item.doc_id} is not what was signed when it was taken in"
        raise ProofError(Refusal.TAMPERED_TEXT, reason)
    return Shown(claim, policy.publisher(said), said, made, leaves, texts)


def case_of(held: Held, said: Iterable[Said], policy: Policy, snapshot: TrustedSnapshot) -> Case:
    """What waits, proved under the snapshot that was accepted. Raises VerificationError."""
    for logged in (held.source, held.ingest):
        _require_logged(logged, snapshot)
    entry = held.entry
    if (held.source.envelope.digest, held.ingest.envelope.digest) != (entry.source, entry.ingest):
        raise ProofError(Refusal.NOT_IN_SNAPSHOT, f"{entry.doc_id}: its entry names other envelopes")
    source, ingest = ((one.envelope, one.index) for one in (held.source, held.ingest))
    shown = proved(source, ingest, held.leaves, held.texts, policy)
    if any(Digest.of(vector) != leaf.vector for vector, leaf in zip(held.vectors, held.leaves, strict=True)):
        raise ProofError(Refusal.TAMPERED_VECTOR, f"{entry.doc_id}: a vector is not the one that was signed")
    if (entry.doc_id, entry.version) != (shown.claim.doc_id, shown.claim.version):
        raise ProofError(Refusal.NOT_IN_SNAPSHOT, f"{entry.doc_id}: its ingest statement is of another")
    return Case(
        shown=shown,
        findings=tuple(findings_of(held.version.findings)),
        opinions=opinions_of(said, shown.ingest.payload, policy),
        needed=policy.reviewers_needed(shown.source),
        assigned=held.assigned,
        since=held.version.admitted,
    )


def _require_logged(logged: LoggedEnvelope, snapshot: TrustedSnapshot) -> None:
    leaf, checkpoint = merkle.leaf_hash(logged.envelope.encode()), snapshot.checkpoint
    merkle.verify_inclusion(logged.index, checkpoint.size, leaf, logged.proof, checkpoint.root.value)


def findings_of(lines: Iterable[str]) -> Iterable[Finding]:
    """The findings that a ledger kept as lines; what is none is told as it stands."""
    for line in lines:
        try:
            yield Finding.parse(line)
        except MalformedError:
            yield Finding("NOTED", Severity.NOTE, 0, 0, line)


def opinions_of(said: Iterable[Said], subject: Digest, policy: Policy) -> tuple[Opinion, ...]:
    """What people who may say it said of one ingest, oldest first."""
    found = []
    for item in said:
        statement = parse_statement(item.envelope.payload)
        if isinstance(statement, ReviewStatement | RejectionStatement) and statement.subject == subject:
            try:
                attested = policy.authorise(item.envelope, type(statement), log_index=item.index)
            except VerificationError:
                continue  # of a key that was revoked since
            found.append(
                Opinion(
                    attested.reviewer,
                    isinstance(statement, ReviewStatement),
                    statement.reason or "",
                    item.at,
                    item.snapshot,
                )
            )
    return tuple(found)


def signed_verdict(
    subject: Digest, approves: bool, reason: str, now: int, signer: Signer, *, operator: bool = False
) -> Envelope:
    """The signed review of an ingest, or where nobody `approves` its rejection."""
    statement: ReviewStatement | RejectionStatement = RejectionStatement(subject, reason, now)
    if approves:
        verifier = OPERATOR if operator else REVIEWER
        statement = ReviewStatement(subject, verifier, (APPROVED,), now, reason=reason)
    return sign(statement.encode(), signer)


def judged(
    case: Case,
    envelope: Envelope,
    earlier: Sequence[tuple[Envelope, int]],
    policy: Policy,
    log_index: int,
) -> tuple[Opinion, bool, int]:
    """What an envelope says of a case, whether that settles it, and how many people now say the same.

    `earlier` are the approvals that its entry names, each with its place in the log. Whether an approval is enough is
    asked of the policy as the gate asks it. Raises AuthorityError where this signer may not say it, ConflictError where
    they said something already.
    """
    kind = type(parse_statement(envelope.payload))
    if kind not in (ReviewStatement, RejectionStatement):
        raise MalformedError(f"a review or a rejection is due, and a {kind.__name__} came")
    attested: Attested[ReviewStatement | RejectionStatement]
    attested = policy.authorise(envelope, kind, log_index=log_index)
    statement = attested.statement
    if statement.subject != case.subject:
        raise ConflictError(f"this is not about version {case.version} of {case.doc_id} as it waits here")
    opinion = Opinion(
        attested.reviewer,
        isinstance(statement, ReviewStatement),
        statement.reason or "",
        statement.created_at,
        0,
    )
    _require_voice(case, opinion, policy)
    have = len({*case.names(opinion.approves), *([opinion.by] if opinion.by else [])})
    if not opinion.approves:
        return opinion, opinion.by is None or have >= case.needed, have
    every = (*earlier, (envelope, log_index))
    reviews = [policy.authorise(one, ReviewStatement, log_index=index) for one, index in every]
    try:
        policy.check_reviews(reviews, case.shown.ingest, case.shown.said)
    except AuthorityError as error:
        if error.refusal is not Refusal.BELOW_THRESHOLD:
            raise
        return opinion, False, have
    return opinion, True, have


def _require_voice(case: Case, opinion: Opinion, policy: Policy) -> None:
    """Raises where this one has no say here, or has said it."""
    source = case.shown.source
    if opinion.by is None:
        if not operator_decides(policy, source):
            raise not_the_operator(case)
        return
    if opinion.by in (source.name, source.owner):
        reason = f"{opinion.by} publishes {case.doc_id}: who publishes does not review"
        raise AuthorityError(Refusal.BELOW_THRESHOLD, reason)
    for said in case.opinions:
        if said.by == opinion.by:
            what = "approved" if said.approves else "rejected"
            raise ConflictError(f"{opinion.by} {what} version {case.version} of {case.doc_id} already")


def not_the_operator(case: Case) -> AuthorityError:
    """Why whoever runs the store has no say in this case."""
    name = case.shown.source.name
    reason = f"what was held of {name} needs {case.needed} of the policy's reviewers, not its operator"
    return AuthorityError(Refusal.BELOW_THRESHOLD, reason)


def operator_decides(policy: Policy, source: Source) -> bool:
    """Whether whoever runs the store may decide alone: where the policy asks for nobody by name."""
    return not policy.review.threshold and not source.reviews and policy.screen.threshold == 1


def approvals(view: View, policy: Policy, source: Source) -> int:
    """How many documents of a source stand because a person approved them, by the signatures that they stand on."""
    rows = view.record(source.name).documents
    firsts = [int(first) for first, _ in rows.tolist()]
    return sum(_is_approved(stored, policy, source) for stored in view.passages(firsts))


def _is_approved(stored: object, policy: Policy, source: Source) -> bool:
    if not isinstance(stored, StoredPassage):
        return False
    evidence = stored.evidence
    try:
        said = policy.authorise(evidence.source.envelope, SourceStatement, log_index=evidence.source.index)
        reviews = [
            policy.authorise(one.envelope, ReviewStatement, log_index=one.index) for one in evidence.reviews
        ]
    except (VerificationError, MalformedError):
        return False
    return said.source == source and any(APPROVED in one.statement.properties for one in reviews)
