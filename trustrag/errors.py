"""Every error that trustrag raises on purpose.

    TrustragError
    ├── MalformedError            bytes that are not what they claim to be
    ├── VerificationError         well-formed, and not to be believed
    │   ├── SignatureError        the signature does not hold
    │   ├── AuthorityError        it holds, and its key may not say this
    │   ├── ProofError            a hash does not lead to the signed root
    │   └── StaleError            it was true once: expired, rolled back, forked
    ├── UnsignedDocumentError     a document came with neither attestation nor signer
    ├── RefusedDocumentError      documents were refused, each named with its reason
    ├── LedgerError
    │   ├── NotFoundError         no such document, version, snapshot or passage
    │   └── ConflictError         another writer, another embedder, another context
    ├── BackendError              a library or file below us failed
    └── ConfigError               the workspace, its keys or its settings cannot be used

Hostile data becomes a value where a caller has to go on (a `Refusal` in a report), a broken proof
raises, and a caller's own mistake is a plain `TypeError` or `ValueError`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum


class Refusal(StrEnum):
    """Why a passage, or what it rests on, was not believed."""

    TAMPERED_TEXT = "TAMPERED_TEXT"
    TAMPERED_VECTOR = "TAMPERED_VECTOR"
    TAMPERED_METADATA = "TAMPERED_METADATA"
    TAMPERED_MEDIA = "TAMPERED_MEDIA"
    NOT_IN_SNAPSHOT = "NOT_IN_SNAPSHOT"
    WRONG_CONTEXT = "WRONG_CONTEXT"
    EXPIRED = "EXPIRED"
    STALE_SNAPSHOT = "STALE_SNAPSHOT"
    ROLLBACK = "ROLLBACK"
    FORK = "FORK"
    BAD_SIGNATURE = "BAD_SIGNATURE"
    UNKNOWN_KEY = "UNKNOWN_KEY"
    OUT_OF_SCOPE = "OUT_OF_SCOPE"
    REVOKED_KEY = "REVOKED_KEY"
    BELOW_THRESHOLD = "BELOW_THRESHOLD"
    NO_QUORUM = "NO_QUORUM"
    MALFORMED = "MALFORMED"


class TrustragError(Exception):
    """The root: catching it catches everything trustrag raises on purpose."""


class MalformedError(TrustragError):
    """Bytes that are not what they claim to be. Parsers raise this and nothing else."""

    refusal = Refusal.MALFORMED


class VerificationError(TrustragError):
    """Well-formed, and not to be believed; `refusal` says why in one word."""

    def __init__(self, refusal: Refusal, reason: str) -> None:
        super().__init__(f"{refusal}: {reason}")
        self.refusal = refusal
        self.reason = reason


class SignatureError(VerificationError):
    """The signature does not hold under the key that the policy names."""

    def __init__(self, reason: str) -> None:
        super().__init__(Refusal.BAD_SIGNATURE, reason)


class AuthorityError(VerificationError):
    """The signature may hold, but its key is unknown, revoked, out of scope or too few."""


class ProofError(VerificationError):
    """A hash does not lead to the root that was signed."""


class StaleError(VerificationError):
    """It was true once: expired, older than something already seen, or another history."""


class UnsignedDocumentError(TrustragError):
    """A document came with neither an attestation nor a signer. Nothing was written."""


class RefusedDocumentError(TrustragError):
    """Documents of a call that cannot report them one by one were refused; each is named with its reason."""


class LedgerError(TrustragError):
    """The ledger cannot do what was asked."""


class NotFoundError(LedgerError):
    """No such document, version, snapshot or passage."""


class ConflictError(LedgerError):
    """Another writer holds the ledger, or it belongs to another embedder or context."""


class BackendError(TrustragError):
    """A library, database or file below us failed; the cause is chained."""


class ConfigError(TrustragError):
    """The workspace, its keys or its settings cannot be used as they are."""


class UnencryptedKeysWarning(UserWarning):
    """Private keys were made without a passphrase, and nobody said that they should be."""


@contextmanager
def in_file(path: object) -> Iterator[None]:
    """Says of malformed bytes which file they are in."""
    try:
        yield
    except MalformedError as error:
        raise MalformedError(f"{path}: {error}") from error
