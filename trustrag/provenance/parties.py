"""The parties of a policy: keys with their time, roles, reviewers, sources, the log and its witnesses.

Keys are valid between two log indices, never between two dates: a thief can write any date, and no thief can
write into the past of an append-only log. Trust is in thousandths, since what is signed holds no floats.
"""

from dataclasses import dataclass
from typing import Final

from trustrag.errors import AuthorityError, MalformedError, Refusal
from trustrag.provenance.canonical import Digest, Encodable, Fields
from trustrag.provenance.checkpoint import COSIGNATURE, VerifierKey
from trustrag.provenance.keys import PublicKey
from trustrag.provenance.names import check_integer, check_segment, check_text, read_texts
from trustrag.provenance.statement import Context

MAX_REASON_BYTES: Final = 2048


@dataclass(frozen=True, slots=True)
class PolicyKey:
    """A public key and the log indices at which it may speak, first and last included.

    `reason` says why it was retired or revoked, where somebody said so.
    """

    key: PublicKey
    first_valid_index: int = 0
    last_valid_index: int | None = None
    revoked: bool = False
    reason: str | None = None

    def __post_init__(self) -> None:
        check_integer(self.first_valid_index, "firstValidIndex")
        if self.last_valid_index is not None:
            check_integer(self.last_valid_index, "lastValidIndex", self.first_valid_index)
        if self.reason is not None:
            check_text(self.reason, "reason", MAX_REASON_BYTES)
            if self.speaks:
                raise MalformedError("a key that may still speak has no reason for its end")

    @property
    def speaks(self) -> bool:
        """Whether it may sign what is yet to come: neither retired nor revoked."""
        return not self.revoked and self.last_valid_index is None

    def objection(self, log_index: int) -> AuthorityError | None:
        """Why the key may not speak at this index of the log, or None when it may."""
        name = f"key {self.key.key_id[:16]}"
        if self.revoked:
            why = "" if self.reason is None else f": {self.reason}"
            return AuthorityError(Refusal.REVOKED_KEY, f"{name} is revoked{why}")
        if log_index < self.first_valid_index:
            reason = f"{name} speaks from log index {self.first_valid_index} on, not at {log_index}"
            return AuthorityError(Refusal.UNKNOWN_KEY, reason)
        if self.last_valid_index is not None and log_index > self.last_valid_index:
            reason = f"{name} was retired after log index {self.last_valid_index}, before {log_index}"
            return AuthorityError(Refusal.REVOKED_KEY, reason)
        return None

    def to_json(self) -> dict[str, Encodable]:
        ended: dict[str, Encodable] = {} if self.reason is None else {"reason": self.reason}
        return {
            "key": self.key.hex,
            "firstValidIndex": self.first_valid_index,
            "lastValidIndex": self.last_valid_index,
            "revoked": self.revoked,
            **ended,
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> "PolicyKey":
        return cls(
            PublicKey.parse(fields.text("key")),
            fields.integer("firstValidIndex"),
            fields.nullable("lastValidIndex", fields.integer),
            fields.boolean("revoked"),
            fields.optional("reason", lambda name: fields.text(name, max_bytes=MAX_REASON_BYTES)),
        )


@dataclass(frozen=True, slots=True)
class Role:
    """Keys that share one task, and how many different ones must agree."""

    keys: tuple[PolicyKey, ...]
    threshold: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.threshold <= len(self.keys):
            raise MalformedError(f"a threshold of {self.threshold} cannot be met by {len(self.keys)} keys")

    def to_json(self) -> dict[str, Encodable]:
        return {"keys": [key.to_json() for key in self.keys], "threshold": self.threshold}

    @classmethod
    def from_fields(cls, fields: Fields) -> "Role":
        return cls(read_keys(fields), fields.integer("threshold"))


@dataclass(frozen=True, slots=True)
class Reviewer:
    """A person who looks at documents: one voice, with however many keys. A second key is no second opinion."""

    name: str
    keys: tuple[PolicyKey, ...]

    def __post_init__(self) -> None:
        check_segment(self.name, "reviewer name")
        if not self.keys:
            raise MalformedError(f"reviewer {self.name} needs a key")

    @property
    def active(self) -> bool:
        """Whether a key of theirs may still sign."""
        return any(key.last_valid_index is None and not key.revoked for key in self.keys)

    def to_json(self) -> dict[str, Encodable]:
        return {"name": self.name, "keys": [key.to_json() for key in self.keys]}

    @classmethod
    def from_fields(cls, fields: Fields) -> "Reviewer":
        return cls(fields.text("name"), read_keys(fields))


@dataclass(frozen=True, slots=True)
class Reviewers:
    """The people who review, and how many of them have to approve every document, whatever the screens say of it."""

    people: tuple[Reviewer, ...] = ()
    threshold: int = 0

    def __post_init__(self) -> None:
        if len({person.name for person in self.people}) != len(self.people):
            raise MalformedError("two reviewers have one name")
        if not 0 <= self.threshold <= self.able:
            raise MalformedError(f"a threshold of {self.threshold} cannot be met by {self.able} reviewers")

    @property
    def able(self) -> int:
        """How many of them may still approve something."""
        return sum(person.active for person in self.people)

    @property
    def keys(self) -> tuple[PolicyKey, ...]:
        """The keys of all of them."""
        return tuple(key for person in self.people for key in person.keys)

    def to_json(self) -> dict[str, Encodable]:
        return {"people": [person.to_json() for person in self.people], "threshold": self.threshold}

    @classmethod
    def from_fields(cls, fields: Fields) -> "Reviewers":
        people = tuple(Reviewer.from_fields(item) for item in fields.objects("people"))
        return cls(people, fields.integer("threshold"))


@dataclass(frozen=True, slots=True)
class Bounds:
    """How far a source's record may move its standing. Trust is in thousandths.

    A source on probation needs `probation_approvals` documents that stand, and a log that grew by `probation_age`
    entries since it first spoke. One ruling against a source costs `trust_step`. Whatever its record, trust stays
    at or above `trust_floor` (to silence a source is a decision, not a sum) and at or below `trust_ceiling` (no
    amount of pleasing texts buys full trust), unless the operator's own word lies beyond them.
    """

    probation_approvals: int = 10
    probation_age: int = 40
    trust_step: int = 50
    trust_floor: int = 100
    trust_ceiling: int = 900

    def __post_init__(self) -> None:
        check_integer(self.probation_approvals, "probationApprovals", 1)
        check_integer(self.probation_age, "probationAge")
        if not 0 <= self.trust_step <= 1000:
            raise MalformedError("trustStep must be 0 to 1000 thousandths")
        if not 0 <= self.trust_floor <= self.trust_ceiling <= 1000:
            raise MalformedError(
                "trustFloor and trustCeiling must be 0 to 1000 thousandths, the floor not above"
            )

    def within(self, prior: int, trust: int) -> int:
        """`trust`, or the nearest to it that a source whose operator said `prior` may have."""
        return max(min(prior, self.trust_floor), min(trust, max(prior, self.trust_ceiling)))

    def to_json(self) -> dict[str, Encodable]:
        return {
            "probationApprovals": self.probation_approvals,
            "probationAge": self.probation_age,
            "trustStep": self.trust_step,
            "trustFloor": self.trust_floor,
            "trustCeiling": self.trust_ceiling,
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> "Bounds":
        return cls(
            fields.integer("probationApprovals"),
            fields.integer("probationAge"),
            fields.integer("trustStep"),
            fields.integer("trustFloor"),
            fields.integer("trustCeiling"),
        )


@dataclass(frozen=True, slots=True)
class Source:
    """A named publisher. `scope` holds prefixes of tenant/collection/docId.

    `trust` is what is in force, in thousandths, and `moved` how far its record has moved it from what the operator
    said (`prior`). `contract` is the digest of what its documents have to be like; `reviews` is how many people have to
    approve one that the screens held. Both are signed here, so that no edited file or row asks for less.
    """

    name: str
    owner: str | None
    keys: tuple[PolicyKey, ...]
    scope: tuple[str, ...]
    trust: int
    active: bool = True
    probation: bool = False
    moved: int = 0
    contract: Digest | None = None
    reviews: int = 0

    def __post_init__(self) -> None:
        check_segment(self.name, "source name")
        if self.owner is not None:
            check_text(self.owner, "owner")
        if not self.keys or not self.scope:
            raise MalformedError(f"source {self.name} needs a key and a scope: an empty list is not a yes")
        for prefix in self.scope:
            check_text(prefix, "scope", 2048)
            if "" in prefix.split("/"):
                raise MalformedError(f"scope {prefix!r} has an empty segment")
        if not 0 <= self.trust <= 1000 or not 0 <= self.prior <= 1000:
            raise MalformedError(f"trust of source {self.name} must be 0 to 1000 thousandths")
        check_integer(self.reviews, "reviews")

    @property
    def prior(self) -> int:
        """The trust that the operator gave it, in thousandths."""
        return self.trust - self.moved

    def covers(self, context: Context, doc_id: str) -> bool:
        """Whether one of the scopes is a prefix of tenant/collection/docId, segment by segment."""
        path = [context.tenant, context.collection, *doc_id.split("/")]
        return any(path[: prefix.count("/") + 1] == prefix.split("/") for prefix in self.scope)

    def to_json(self) -> dict[str, Encodable]:
        return {
            "name": self.name,
            "owner": self.owner,
            "keys": [key.to_json() for key in self.keys],
            "scope": list(self.scope),
            "prior": self.prior,
            "trust": self.trust,
            "status": "active" if self.active else "suspended",
            "probation": self.probation,
            "contract": None if self.contract is None else self.contract.hex,
            "reviews": self.reviews,
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> "Source":
        trust = fields.integer("trust")
        return cls(
            name=fields.text("name"),
            owner=fields.nullable("owner", fields.text),
            keys=read_keys(fields),
            scope=read_texts(fields, "scope"),
            trust=trust,
            active=fields.text("status") == "active",
            probation=fields.boolean("probation"),
            moved=trust - fields.integer("prior"),
            contract=fields.nullable("contract", fields.digest),
            reviews=fields.integer("reviews"),
        )


@dataclass(frozen=True, slots=True)
class Log:
    """The append-only log: its name in checkpoints, and the keys that sign them."""

    origin: str
    keys: tuple[PolicyKey, ...]

    def __post_init__(self) -> None:
        if not self.verifiers:
            raise MalformedError("the log has no key: nothing could be believed")

    @property
    def verifiers(self) -> tuple[VerifierKey, ...]:
        """Its keys as signed notes name them."""
        return tuple(VerifierKey(self.origin, key.key) for key in self.keys)


@dataclass(frozen=True, slots=True)
class Witness:
    """An outside party that cosigns checkpoints under a name of its own."""

    name: str
    key: PolicyKey

    def __post_init__(self) -> None:
        check_text(self.verifier.name, "witness name")

    @property
    def verifier(self) -> VerifierKey:
        """Its key as signed notes name it."""
        return VerifierKey(self.name, self.key.key, COSIGNATURE)


def read_keys(fields: Fields) -> tuple[PolicyKey, ...]:
    """The array of keys under `keys`."""
    return tuple(PolicyKey.from_fields(item) for item in fields.objects("keys"))
