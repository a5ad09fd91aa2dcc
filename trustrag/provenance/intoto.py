"""The frame that all statements share: in-toto Statement v1.

Source: github.com/in-toto/attestation. What is inside the frame is `statement`'s business.
"""

from typing import Final, Protocol

from trustrag.errors import MalformedError
from trustrag.provenance.canonical import Digest, Encodable, Fields, encode

STATEMENT_TYPE: Final = "https://in-toto.io/Statement/v1"


class Signable(Protocol):
    """What an envelope can hold."""

    __slots__ = ()

    def to_json(self) -> dict[str, Encodable]:
        """The in-toto statement."""
        ...

    def encode(self) -> bytes:
        """The payload: the statement in RFC 8785 form."""
        return encode(self.to_json())


def framed(kind: str, subjects: list[Encodable], predicate: Encodable) -> dict[str, Encodable]:
    return {"_type": STATEMENT_TYPE, "subject": subjects, "predicateType": kind, "predicate": predicate}


def resource(name: str, digest: Digest) -> dict[str, Encodable]:
    return {"name": name, "digest": {"sha256": digest.hex}}


def sha256_of(item: Fields) -> Digest:
    return item.fields("digest").digest("sha256")


def check_lifetime(issued_at: int, expires: int | None) -> None:
    if expires is not None and expires <= issued_at:
        raise MalformedError("the statement expires before it is issued")
