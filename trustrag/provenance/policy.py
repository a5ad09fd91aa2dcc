"""Who may say what: the policy, and the three things that only it can make.

    authorise(envelope)         -> Attested[P]          a statement by a key that may say it, there in the log
    accept(note)                -> TrustedCheckpoint    a signed tree head that extends what was seen before
    accept_snapshot(envelope)   -> TrustedSnapshot      the last word of that tree: the root of what stands

The types are sealed: their constructors ask for an object that only this module holds. That keeps honest code
from skipping a check; it is no sandbox against code that runs beside it.
"""

from collections.abc import Sequence
from dataclasses import InitVar, dataclass, field
from functools import lru_cache
from typing import Final, Generic, Literal, TypeAlias, TypeVar, final

from trustrag.errors import AuthorityError, MalformedError, ProofError, Refusal, StaleError
from trustrag.provenance import merkle
from trustrag.provenance.canonical import Digest, Fields, encode, parse, rfc3339
from trustrag.provenance.checkpoint import Note, SeenCheckpoint, verify_checkpoint, verify_cosignature
from trustrag.provenance.envelope import Envelope, verify
from trustrag.provenance.keys import PublicKey
from trustrag.provenance.names import check_integer
from trustrag.provenance.parties import (
    Bounds,
    Log,
    PolicyKey,
    Reviewer,
    Reviewers,
    Role,
    Source,
    Witness,
    read_keys,
)
from trustrag.provenance.statement import (
    Context,
    DocumentClaim,
    IngestStatement,
    RejectionStatement,
    ReviewStatement,
    RollbackStatement,
    SnapshotStatement,
    SourceStatement,
    Statement,
    T,
    WithdrawalStatement,
    parse_statement,
)

__all__ = [
    "Attested",
    "Bounds",
    "Log",
    "Policy",
    "PolicyKey",
    "Purpose",
    "Reviewer",
    "Reviewers",
    "Role",
    "SeenCheckpoint",
    "Source",
    "TrustedCheckpoint",
    "TrustedSnapshot",
    "Witness",
]

POLICY_FORMAT: Final = T + "policy/v1"
MAX_POLICY_BYTES: Final = 8 << 20
CLOCK_SKEW: Final = 300  # seconds that an honest signer's clock may run ahead of ours

Purpose: TypeAlias = Literal["source", "ingest", "screen", "review", "seal", "answer", "log", "witness"]
P = TypeVar("P", bound=Statement)
P_co = TypeVar("P_co", bound=Statement, covariant=True)

_SEAL: Final = object()
_PURPOSES: Final[dict[type, tuple[Purpose, ...]]] = {
    SourceStatement: ("source",),
    IngestStatement: ("ingest",),
    **dict.fromkeys((ReviewStatement, RejectionStatement), ("screen", "review")),
    **dict.fromkeys((SnapshotStatement, WithdrawalStatement), ("seal",)),
    RollbackStatement: ("seal", "review"),
}


@final
@dataclass(frozen=True, slots=True)
class Attested(Generic[P_co]):
    """A statement by a key that today's policy lets say it. Only `Policy.authorise` makes one.

    `payload` is the digest of the signed bytes, `envelope` that of the whole envelope. `source` or `reviewer` is whose
    key it is, where it is one of theirs.
    """

    statement: P_co
    payload: Digest
    envelope: Digest
    key: PublicKey
    role: Purpose
    source: Source | None
    reviewer: str | None
    log_index: int
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _require_seal(seal, "Policy.authorise")


@final
@dataclass(frozen=True, slots=True)
class TrustedCheckpoint:
    """A signed tree head, checked against what was seen before. Only `Policy.accept` makes one."""

    origin: str
    size: int
    root: Digest
    witnesses: tuple[str, ...]
    note: bytes
    policy: Digest
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _require_seal(seal, "Policy.accept")

    @property
    def seen(self) -> SeenCheckpoint:
        """What to remember of it, and to give to the next `accept`."""
        return SeenCheckpoint(self.size, self.root)


@final
@dataclass(frozen=True, slots=True)
class TrustedSnapshot:
    """The root of what stands: the last entry of a trusted tree. Only `Policy.accept_snapshot` makes one.

    `expires` is the earlier of its own expiry and the policy's maximum age, in unix seconds.
    """

    statement: SnapshotStatement
    envelope: Digest
    key: PublicKey
    checkpoint: TrustedCheckpoint
    expires: int
    policy: Digest
    seal: InitVar[object]

    def __post_init__(self, seal: object) -> None:
        _require_seal(seal, "Policy.accept_snapshot")

    @property
    def root(self) -> Digest:
        return self.statement.root

    @property
    def version(self) -> int:
        return self.statement.version


@dataclass(frozen=True, slots=True)
class _Holder:
    purpose: Purpose
    key: PolicyKey
    source: Source | None = None
    reviewer: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may say what in one context. Any change of it is a new version; `digest` is of its encoding.

    `snapshot_age` is how many seconds after its issue a snapshot may still be served; `answer` is who signs receipts of
    what was found; `standing` is how far the record of a source may move its trust.
    """

    version: int
    context: Context
    issued_at: int
    log: Log
    ingest: Role
    screen: Role
    review: Reviewers
    seal: Role
    sources: tuple[Source, ...]
    snapshot_age: int
    answer: Role = field(default_factory=lambda: Role((), 0))
    witnesses: tuple[Witness, ...] = ()
    quorum: int = 0
    standing: Bounds = field(default_factory=Bounds)
    digest: Digest = field(init=False, repr=False)
    _holders: dict[str, _Holder] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_integer(self.version, "version", 1)
        check_integer(self.snapshot_age, "maximumAge.snapshot", 1)
        if self.ingest.threshold != 1 or self.seal.threshold != 1:
            raise MalformedError("ingest and seal take exactly one signature: their threshold is 1")
        if self.screen.threshold < 1:
            raise MalformedError("the screen threshold is 0: approval has to be positive")
        if not 0 <= self.quorum <= len(self.witnesses):
            raise MalformedError(f"{len(self.witnesses)} witnesses cannot meet a quorum of {self.quorum}")
        for parties, named in (("sources", self.sources), ("witnesses", self.witnesses)):
            if len({party.name for party in named}) != len(named):
                raise MalformedError(f"two {parties} have one name")
        for source in self.sources:
            if source.trust != self.standing.within(source.prior, source.trust):
                raise MalformedError(f"trust of source {source.name} is beyond the bounds of the policy")
            if source.reviews > self.review.able:
                raise MalformedError(
                    f"what is held of source {source.name} needs {source.reviews} reviewers, and there are "
                    f"{self.review.able}"
                )
        object.__setattr__(self, "_holders", self._place_keys())
        object.__setattr__(self, "digest", Digest.of(self.encode()))

    def _place_keys(self) -> dict[str, _Holder]:
        roles: list[tuple[Purpose, tuple[PolicyKey, ...]]] = [
            ("ingest", self.ingest.keys),
            ("screen", self.screen.keys),
            ("seal", self.seal.keys),
            ("answer", self.answer.keys),
            ("log", self.log.keys),
            ("witness", tuple(witness.key for witness in self.witnesses)),
        ]
        placed = [_Holder(purpose, key) for purpose, keys in roles for key in keys]
        placed += [
            _Holder("review", key, reviewer=person.name)
            for person in self.review.people
            for key in person.keys
        ]
        placed += [_Holder("source", key, source) for source in self.sources for key in source.keys]
        # A key id is the digest of the raw key, so one key under two names is found here too.
        holders = {holder.key.key.key_id: holder for holder in placed}
        if len(holders) != len(placed):
            raise MalformedError("one public key serves two purposes, or is listed twice")
        return holders

    def encode(self) -> bytes:
        """The canonical JSON that the trust root distributes."""
        return encode(
            {
                "format": POLICY_FORMAT,
                "version": self.version,
                "context": self.context.to_json(),
                "issuedAt": rfc3339(self.issued_at),
                "log": {"origin": self.log.origin, "keys": [key.to_json() for key in self.log.keys]},
                "roles": {
                    "ingest": self.ingest.to_json(),
                    "screen": self.screen.to_json(),
                    "review": self.review.to_json(),
                    "seal": self.seal.to_json(),
                    "answer": self.answer.to_json(),
                },
                "sources": [source.to_json() for source in self.sources],
                "witnesses": {
                    "keys": [{"name": witness.name, **witness.key.to_json()} for witness in self.witnesses],
                    "quorum": self.quorum,
                },
                "maximumAge": {"snapshot": self.snapshot_age},
                "standing": self.standing.to_json(),
            }
        )

    # Remembered by its very bytes: each write opens it several times, and with two thousand sources that was most of a write.
    @classmethod
    @lru_cache(maxsize=4)
    def parse(cls, data: bytes) -> "Policy":
        """Reads what `encode` wrote; raises MalformedError, and nothing else, on anything else."""
        fields = Fields(parse(data, max_bytes=MAX_POLICY_BYTES), "policy")
        fields.literal("format", POLICY_FORMAT)
        log, roles, witnesses = fields.fields("log"), fields.fields("roles"), fields.fields("witnesses")
        policy = cls(
            version=fields.integer("version", minimum=1),
            context=Context.from_fields(fields.fields("context")),
            issued_at=fields.time("issuedAt"),
            log=Log(log.text("origin"), read_keys(log)),
            ingest=Role.from_fields(roles.fields("ingest")),
            screen=Role.from_fields(roles.fields("screen")),
            review=Reviewers.from_fields(roles.fields("review")),
            seal=Role.from_fields(roles.fields("seal")),
            answer=Role.from_fields(roles.fields("answer")),
            sources=tuple(Source.from_fields(source) for source in fields.objects("sources")),
            snapshot_age=fields.fields("maximumAge").integer("snapshot", minimum=1),
            witnesses=tuple(
                Witness(item.text("name"), PolicyKey.from_fields(item)) for item in witnesses.objects("keys")
            ),
            quorum=witnesses.integer("quorum"),
            standing=Bounds.from_fields(fields.fields("standing")),
        )
        # Whatever was not read makes the bytes differ.
        if policy.encode() != data:
            raise MalformedError("the policy has unknown fields or is not in canonical form")
        return policy

    def source(self, name: str) -> Source | None:
        """The source of this name, if the policy has one."""
        return next((source for source in self.sources if source.name == name), None)

    def authorise(self, envelope: Envelope, kind: type[P], *, log_index: int) -> Attested[P]:
        """Verifies that a key which may say such a thing at this place in the log has said it.

        The key id in the envelope only points at a key of the policy; the policy's key then has to verify.
        Raises AuthorityError (unknown, revoked, or other context), SignatureError, MalformedError.
        """
        holder = self._holder(envelope, _PURPOSES[kind])
        objection = holder.key.objection(log_index)
        if objection is not None:
            raise objection
        payload = verify(envelope, holder.key.key)
        statement = parse_statement(payload)
        if not isinstance(statement, kind):
            raise MalformedError(f"expected a {kind.__name__}, and it is a {type(statement).__name__}")
        # A verdict has no context of its own: it is on one ingest, which has.
        if (
            not isinstance(statement, ReviewStatement | RejectionStatement)
            and statement.context != self.context
        ):
            raise AuthorityError(Refusal.WRONG_CONTEXT, "the statement was made for another collection")
        return Attested(
            statement,
            Digest.of(payload),
            envelope.digest,
            holder.key.key,
            holder.purpose,
            holder.source,
            holder.reviewer,
            log_index,
            _SEAL,
        )

    def answering(self, envelope: Envelope) -> PolicyKey:
        """The key that a receipt points at, if it may sign receipts: still to be verified, and asked whether it may
        speak at the place of the log that the receipt is of. Raises AuthorityError (UNKNOWN_KEY).
        """
        return self._holder(envelope, ("answer",)).key

    def _holder(self, envelope: Envelope, purposes: tuple[Purpose, ...]) -> _Holder:
        holder = self._holders.get(envelope.key_id)
        if holder is None or holder.purpose not in purposes:
            reason = (
                f"key {envelope.key_id[:16]} is none that the policy lets speak as {' or '.join(purposes)}"
            )
            raise AuthorityError(Refusal.UNKNOWN_KEY, reason)
        return holder

    def publisher(self, attested: Attested[SourceStatement]) -> Source:
        """Who made this statement; raises AuthorityError when it is suspended."""
        source = attested.source
        if source is None or not source.active:
            raise AuthorityError(Refusal.REVOKED_KEY, f"source {source and source.name} is suspended")
        return source

    def claim(self, attested: Attested[SourceStatement], doc_id: str, version: int) -> DocumentClaim:
        """What the source says of this document version, where it may speak of it at all.

        Raises AuthorityError: REVOKED_KEY for a suspended source, OUT_OF_SCOPE, UNKNOWN_KEY where it is not named.
        """
        source = self.publisher(attested)
        if not source.covers(self.context, doc_id):
            raise AuthorityError(Refusal.OUT_OF_SCOPE, f"{doc_id} is out of scope for source {source.name}")
        for claim in attested.statement.documents:
            if claim.doc_id == doc_id and claim.version == version:
                return claim
        reason = f"source {source.name} does not name {doc_id} version {version} in this statement"
        raise AuthorityError(Refusal.UNKNOWN_KEY, reason)

    def check_reviews(
        self,
        reviews: Sequence[Attested[ReviewStatement]],
        ingest: Attested[IngestStatement],
        source: Attested[SourceStatement],
    ) -> tuple[str, ...]:
        """The people who approve what was ingested; raises AuthorityError BELOW_THRESHOLD where that is not enough.

        What the screens let pass has the reviews of their keys. What they held has not, and stands only on people: as
        many as the policy asks for this source, and one at the least. A key counts once however often it signs, a
        person once with however many keys, and nobody who also published or ingested.
        """
        publisher = self.publisher(source)
        counted = [
            review
            for review in reviews
            if review.statement.subject == ingest.payload and review.key not in (ingest.key, source.key)
        ]
        screens = {review.key.raw for review in counted if review.role == "screen"}
        people = {review.reviewer for review in counted if review.reviewer is not None}
        people -= {publisher.name, publisher.owner}
        passed = len(screens) >= self.screen.threshold
        needed = self.review.threshold if passed else self.reviewers_needed(publisher)
        if len(people) < needed:
            held = "" if passed else f"{len(screens)} of {self.screen.threshold} screen keys and "
            reason = f"{held}{len(people)} of {needed} reviewers approve this ingest"
            raise AuthorityError(Refusal.BELOW_THRESHOLD, reason)
        return tuple(sorted(people))

    def reviewers_needed(self, source: Source) -> int:
        """How many people have to approve what the screens held of a source."""
        return max(1, self.review.threshold, source.reviews)

    def check_rollback(
        self, proposal: Attested[RollbackStatement], approvals: Sequence[Attested[RollbackStatement]]
    ) -> None:
        """Raises AuthorityError BELOW_THRESHOLD unless enough reviewers signed what the operator proposes.

        The very same bytes, so the same step: an approval of another target, or of an earlier present, is none. A person
        counts once, with however many keys.
        """
        approving = {
            one.reviewer for one in approvals if one.reviewer is not None and one.payload == proposal.payload
        }
        if len(approving) < self.review.threshold:
            reason = f"{len(approving)} of {self.review.threshold} reviewers approve this rollback"
            raise AuthorityError(Refusal.BELOW_THRESHOLD, reason)

    def accept(
        self, note: bytes, *, newer_than: SeenCheckpoint | None, consistency: Sequence[bytes] = (), now: int
    ) -> TrustedCheckpoint:
        """Verifies a checkpoint and that it extends the newest one seen; `consistency` proves it.

        Without `newer_than` this is first use: any history is taken. Raises SignatureError, AuthorityError
        (log key revoked, NO_QUORUM), StaleError (ROLLBACK), ProofError (FORK), MalformedError.
        """
        parsed = Note.parse(note)
        checkpoint, signers = verify_checkpoint(parsed, self.log.verifiers)
        last_index = max(checkpoint.size - 1, 0)
        objections = [key.objection(last_index) for key in self.log.keys if key.key in signers]
        if None not in objections:  # one key that may speak is enough while they rotate
            raise next(filter(None, objections))
        witnesses = self._witnesses(parsed, last_index, now)
        if len(witnesses) < self.quorum:
            reason = f"{len(witnesses)} of {self.quorum} witnesses saw this checkpoint"
            raise AuthorityError(Refusal.NO_QUORUM, reason)
        if newer_than is not None and newer_than.size > 0:
            if checkpoint.size < newer_than.size:
                reason = f"the log has {checkpoint.size} entries, and {newer_than.size} were seen before"
                raise StaleError(Refusal.ROLLBACK, reason)
            old, new = newer_than.root.value, checkpoint.root.value
            merkle.verify_consistency(newer_than.size, checkpoint.size, old, new, consistency)
        return TrustedCheckpoint(
            checkpoint.origin, checkpoint.size, checkpoint.root, witnesses, note, self.digest, _SEAL
        )

    def _witnesses(self, note: Note, last_index: int, now: int) -> tuple[str, ...]:
        """The witnesses whose cosignature counts; one from the future says nothing about today."""
        return tuple(
            witness.name
            for witness in self.witnesses
            if (seen_at := verify_cosignature(note, witness.verifier)) is not None
            and seen_at <= now + CLOCK_SKEW
            and witness.key.objection(last_index) is None
        )

    def accept_snapshot(
        self,
        envelope: Envelope,
        log_index: int,
        proof: Sequence[bytes],
        checkpoint: TrustedCheckpoint,
        *,
        now: int,
        newer_than: int | None = None,
    ) -> TrustedSnapshot:
        """Verifies that this snapshot is the last word of a trusted tree; `newer_than` is the version seen.

        Raises what `authorise` raises, ProofError (not in the log, or not where it says), and StaleError:
        ROLLBACK when entries follow it or a newer one was seen, STALE_SNAPSHOT when its time is over.
        """
        attested = self.authorise(envelope, SnapshotStatement, log_index=log_index)
        statement = attested.statement
        merkle.verify_inclusion(
            log_index, checkpoint.size, merkle.leaf_hash(envelope.encode()), proof, checkpoint.root.value
        )
        if statement.log_size != log_index:
            reason = f"the snapshot was sealed for log index {statement.log_size}, not {log_index}"
            raise ProofError(Refusal.NOT_IN_SNAPSHOT, reason)
        # Else a store could show today's tree beside last week's snapshot, and bring back what was withdrawn.
        if log_index != checkpoint.size - 1:
            raise StaleError(Refusal.ROLLBACK, "the log goes on after this snapshot: show its last one")
        if newer_than is not None and statement.version < newer_than:
            reason = f"snapshot {statement.version} is older than {newer_than}, which was seen before"
            raise StaleError(Refusal.ROLLBACK, reason)
        if statement.issued_at > now + CLOCK_SKEW:
            reason = f"the snapshot is issued at {rfc3339(statement.issued_at)}, which is not yet"
            raise StaleError(Refusal.STALE_SNAPSHOT, reason)
        expires = min(statement.expires, statement.issued_at + self.snapshot_age)
        snapshot = TrustedSnapshot(
            statement, attested.envelope, attested.key, checkpoint, expires, self.digest, _SEAL
        )
        self.require_current(snapshot, now)
        return snapshot

    def require_current(self, snapshot: TrustedSnapshot, now: int) -> None:
        """Raises StaleError unless the snapshot was accepted under this very policy and still holds."""
        if not snapshot.policy == snapshot.checkpoint.policy == self.digest:
            raise StaleError(Refusal.STALE_SNAPSHOT, "the policy has changed: accept the snapshot again")
        if now >= snapshot.expires:
            reason = f"the snapshot ended at {rfc3339(snapshot.expires)}: seal a new one"
            raise StaleError(Refusal.STALE_SNAPSHOT, reason)


def _require_seal(seal: object, maker: str) -> None:
    if seal is not _SEAL:
        raise TypeError(f"only {maker} makes one of these, after checking it")
