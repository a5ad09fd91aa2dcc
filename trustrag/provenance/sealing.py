"""What is said of all that stands: the snapshot that seals it, and why it changed.

snapshot    T snapshot/v1     the root of everything that stands                  (a seal key)
withdrawal  T withdrawal/v1   why something stopped standing, for readers         (a seal key)
rollback    T rollback/v1     back to what stood once: proposed, and approved     (a seal key, review keys)
"""

from dataclasses import dataclass
from typing import Final

from trustrag.errors import MalformedError
from trustrag.provenance.canonical import Digest, Encodable, Fields, rfc3339
from trustrag.provenance.intoto import (
    MAX_REASON_BYTES,
    Context,
    Signable,
    T,
    check_lifetime,
    resource,
    sha256_of,
    stated,
)
from trustrag.provenance.names import MAX_DOC_ID_BYTES, check_integer, check_text

SNAPSHOT_TYPE: Final = T + "snapshot/v1"
WITHDRAWAL_TYPE: Final = T + "withdrawal/v1"
ROLLBACK_TYPE: Final = T + "rollback/v1"

ACTIONS: Final = frozenset({"publish", "review", "quarantine", "restore", "withdraw", "rollback", "renew"})


@dataclass(frozen=True, slots=True)
class SnapshotStatement(Signable):
    """Everything that stands, as one root.

    `log_size` is the size of the log before this statement was appended, and so its own log index.
    `previous` is the root of the snapshot before it; only version 1 has none.
    """

    context: Context
    root: Digest
    version: int
    previous: Digest | None
    log_size: int
    action: str
    reason: str | None
    issued_at: int
    expires: int

    def __post_init__(self) -> None:
        check_integer(self.version, "version", 1)
        check_integer(self.log_size, "logSize")
        if (self.version == 1) != (self.previous is None):
            raise MalformedError("the first snapshot has no previous root, and every other has one")
        if self.action not in ACTIONS:
            raise MalformedError(f"action must be one of {', '.join(sorted(ACTIONS))}")
        if self.reason is not None:
            check_text(self.reason, "reason", MAX_REASON_BYTES)
        check_lifetime(self.issued_at, self.expires)

    def to_json(self) -> dict[str, Encodable]:
        predicate: dict[str, Encodable] = {
            "context": self.context.to_json(),
            "version": self.version,
            "previous": None if self.previous is None else self.previous.hex,
            "logSize": self.log_size,
            "action": self.action,
            "reason": self.reason,
            "issuedAt": rfc3339(self.issued_at),
            "expires": rfc3339(self.expires),
        }
        return stated(SNAPSHOT_TYPE, [resource("standing", self.root)], predicate)


@dataclass(frozen=True, slots=True)
class WithdrawalStatement(Signable):
    """Why a document, or all of a source, stopped standing. Deleting it makes nothing stand again."""

    context: Context
    doc_id: str | None
    source: str | None
    reason: str
    issued_at: int

    def __post_init__(self) -> None:
        if (self.doc_id is None) == (self.source is None):
            raise MalformedError("a withdrawal names a document or a source, and not both")
        check_text(self._name, "docId or source", MAX_DOC_ID_BYTES)
        check_text(self.reason, "reason", MAX_REASON_BYTES)

    @property
    def _name(self) -> str:
        return self.doc_id or self.source or ""

    def to_json(self) -> dict[str, Encodable]:
        predicate: dict[str, Encodable] = {
            "context": self.context.to_json(),
            "docId": self.doc_id,
            "source": self.source,
            "reason": self.reason,
            "issuedAt": rfc3339(self.issued_at),
        }
        # in-toto wants a digest for every subject; what is withdrawn is the name, so the name is digested.
        return stated(WITHDRAWAL_TYPE, [resource(self._name, Digest.of(self._name.encode()))], predicate)


@dataclass(frozen=True, slots=True)
class RollbackStatement(Signable):
    """Back from what stands, snapshot `present`, to what stood in snapshot `target`.

    The operator proposes it and reviewers approve it by signing the very same bytes. It names both roots, so that an
    approval is good for this one step: not for another target, and not once anything else was sealed.
    """

    context: Context
    target: int
    target_root: Digest
    present: int
    present_root: Digest
    reason: str
    issued_at: int

    def __post_init__(self) -> None:
        check_integer(self.target, "target", 1)
        if self.present <= self.target:
            raise MalformedError(f"a rollback leads back: {self.target} is not before {self.present}")
        check_text(self.reason, "reason", MAX_REASON_BYTES)

    def to_json(self) -> dict[str, Encodable]:
        predicate: dict[str, Encodable] = {
            "context": self.context.to_json(),
            "target": self.target,
            "present": self.present,
            "reason": self.reason,
            "issuedAt": rfc3339(self.issued_at),
        }
        subjects: list[Encodable] = [
            resource("target", self.target_root),
            resource("present", self.present_root),
        ]
        return stated(ROLLBACK_TYPE, subjects, predicate)


def read_snapshot(subjects: list[Fields], predicate: Fields) -> SnapshotStatement:
    return SnapshotStatement(
        context=Context.from_fields(predicate.fields("context")),
        root=sha256_of(subjects[0]),
        version=predicate.integer("version", minimum=1),
        previous=predicate.nullable("previous", predicate.digest),
        log_size=predicate.integer("logSize"),
        action=predicate.text("action"),
        reason=predicate.nullable("reason", lambda name: predicate.text(name, max_bytes=MAX_REASON_BYTES)),
        issued_at=predicate.time("issuedAt"),
        expires=predicate.time("expires"),
    )


def read_withdrawal(subjects: list[Fields], predicate: Fields) -> WithdrawalStatement:
    return WithdrawalStatement(
        context=Context.from_fields(predicate.fields("context")),
        doc_id=predicate.nullable("docId", predicate.text),
        source=predicate.nullable("source", predicate.text),
        reason=predicate.text("reason", max_bytes=MAX_REASON_BYTES),
        issued_at=predicate.time("issuedAt"),
    )


def read_rollback(subjects: list[Fields], predicate: Fields) -> RollbackStatement:
    return RollbackStatement(
        context=Context.from_fields(predicate.fields("context")),
        target=predicate.integer("target", minimum=1),
        target_root=sha256_of(subjects[0]),
        present=predicate.integer("present", minimum=1),
        present_root=sha256_of(subjects[-1]),
        reason=predicate.text("reason", max_bytes=MAX_REASON_BYTES),
        issued_at=predicate.time("issuedAt"),
    )
