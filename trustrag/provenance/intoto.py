"""What every statement is made of: in-toto Statement v1, the context it holds in, and how a field of it is read."""

from dataclasses import dataclass
from typing import Final, Protocol

from trustrag.errors import MalformedError
from trustrag.provenance.canonical import Digest, Encodable, Fields, encode
from trustrag.provenance.names import check_segment

T: Final = "urn:trustrag:"
STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"
MAX_REASON_BYTES: Final = 2048


class Signable(Protocol):
    """What an envelope can hold."""

    __slots__ = ()

    def to_json(self) -> dict[str, Encodable]:
        """The in-toto statement."""
        ...

    def encode(self) -> bytes:
        """The payload: the statement in RFC 8785 form."""
        return encode(self.to_json())


@dataclass(frozen=True, slots=True)
class Context:
    """Where a statement holds. A passage proved for one context proves nothing in another."""

    store: str
    tenant: str
    collection: str

    def __post_init__(self) -> None:
        check_segment(self.store, "store")
        check_segment(self.tenant, "tenant")
        check_segment(self.collection, "collection")

    def to_json(self) -> dict[str, Encodable]:
        return {"store": self.store, "tenant": self.tenant, "collection": self.collection}

    @classmethod
    def from_fields(cls, fields: Fields) -> "Context":
        return cls(fields.text("store"), fields.text("tenant"), fields.text("collection"))


def stated(kind: str, subjects: list[Encodable], predicate: Encodable) -> dict[str, Encodable]:
    return {"_type": STATEMENT_TYPE, "subject": subjects, "predicateType": kind, "predicate": predicate}


def resource(name: str, digest: Digest) -> dict[str, Encodable]:
    return {"name": name, "digest": {"sha256": digest.hex}}


def sha256_of(resource: Fields) -> Digest:
    return resource.fields("digest").digest("sha256")


def check_lifetime(issued_at: int, expires: int | None) -> None:
    if expires is not None and expires <= issued_at:
        raise MalformedError("the statement expires before it is issued")
