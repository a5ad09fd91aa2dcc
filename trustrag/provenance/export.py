"""Evidence as one file: passages with all that proves them, for a reader who has only the policy.

Passages of one document share its entry, and documents share their envelopes, so the file names each once, in
the order of first use. What is hashed (leaf, entry, envelope) stands there byte for byte, as a string. A file
is accepted when what was read from it is written the same way again.
"""

from base64 import b64encode
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from trustrag.errors import MalformedError, VerificationError
from trustrag.provenance.canonical import (
    Encodable,
    Fields,
    Json,
    bytes_from_base64,
    bytes_from_hex,
    encode,
    parse_canonical,
)
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.evidence import (
    Evidence,
    Head,
    LoggedEnvelope,
    RefusedPassage,
    VerdictCache,
    VerifiedPassage,
    accept_head,
    verify_passage,
)
from trustrag.provenance.policy import Policy, TrustedSnapshot
from trustrag.provenance.standing import ChunkLeaf, StandingEntry, StandingProof
from trustrag.provenance.statement import T

EVIDENCE_FORMAT: Final = T + "evidence/v1"
MAX_FILE_BYTES: Final = 16 << 20
MAX_PASSAGES: Final = 1000
MAX_PROOF_HASHES: Final = 64  # no tree of fewer than 2^64 leaves has longer paths

_Document: TypeAlias = tuple[
    StandingEntry, StandingProof, LoggedEnvelope, LoggedEnvelope, tuple[LoggedEnvelope, ...]
]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class ShownPassage:
    """A passage that nobody has verified yet: metadata as canonical JSON, vector as little-endian float32."""

    text: str
    metadata: bytes
    vector: bytes
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class EvidenceReport:
    """What a file proves: the snapshot it rests on, and each passage in turn, proved or refused."""

    snapshot: TrustedSnapshot
    results: tuple[VerifiedPassage | RefusedPassage, ...]


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """Passages under one head. `encode` and `parse` are each other's inverse."""

    head: Head
    passages: tuple[ShownPassage, ...]

    def to_json(self) -> dict[str, Encodable]:
        """The file's content; see docs/formats.md."""
        documents: dict[_Document, int] = {}
        envelopes: dict[LoggedEnvelope, int] = {}
        passages: list[Encodable] = []
        for passage in self.passages:
            proof = passage.evidence
            document = (proof.entry, proof.standing, proof.source, proof.ingest, proof.reviews)
            passages.append(
                {
                    "text": passage.text,
                    "metadata": passage.metadata.decode(),
                    "vector": b64encode(passage.vector).decode(),
                    "leaf": proof.leaf.encode().decode(),
                    "chunkPath": _hashes(proof.chunk_path),
                    "document": documents.setdefault(document, len(documents)),
                }
            )
        listed: list[Encodable] = [_document(document, envelopes) for document in documents]
        return {
            "format": EVIDENCE_FORMAT,
            "head": {"checkpoint": self.head.checkpoint.decode(), "snapshot": _logged(self.head.snapshot)},
            "envelopes": [_logged(envelope) for envelope in envelopes],
            "documents": listed,
            "passages": passages,
        }

    def encode(self) -> bytes:
        """The bytes of the file: canonical JSON. Raises MalformedError for text that has no UTF-8."""
        return encode(self.to_json())

    @classmethod
    def parse(cls, data: bytes) -> "EvidenceFile":
        """Reads what `encode` wrote; raises MalformedError, and nothing else. Nothing is verified."""
        value = parse_canonical(data, max_bytes=MAX_FILE_BYTES)
        fields = Fields(value, "evidence")
        fields.literal("format", EVIDENCE_FORMAT)
        head = fields.fields("head")
        envelopes = [_read_logged(item) for item in fields.objects("envelopes")]
        documents = [_read_document(item, envelopes) for item in fields.objects("documents")]
        passages = fields.objects("passages", minimum=1, maximum=MAX_PASSAGES)
        note = head.text("checkpoint", max_bytes=MAX_FILE_BYTES).encode()
        read = cls(
            Head(note, _read_logged(head.fields("snapshot"))),
            tuple(_read_passage(item, documents) for item in passages),
        )
        # Unknown fields, unused or repeated parts, and any other order make the two differ.
        if read.to_json() != value:
            raise MalformedError("the evidence file has unknown fields or names its parts in another way")
        return read


def verify_evidence_file(data: bytes, policy: Policy, *, now: int) -> EvidenceReport:
    """Proves a file's passages under this policy at `now` (unix seconds), with nothing but the file.

    Raises MalformedError for a file that cannot be read, and VerificationError where its head is refused; one
    refused passage is a value, and the others are still proved.
    """
    file = EvidenceFile.parse(data)
    snapshot = accept_head(file.head, policy, now=now)
    cache = VerdictCache()
    return EvidenceReport(
        snapshot, tuple(_verified(passage, policy, snapshot, now, cache) for passage in file.passages)
    )


def _verified(
    passage: ShownPassage, policy: Policy, snapshot: TrustedSnapshot, now: int, cache: VerdictCache
) -> VerifiedPassage | RefusedPassage:
    parts = passage.text, passage.metadata, passage.vector, passage.evidence
    try:
        return verify_passage(*parts, policy, snapshot, context=policy.context, now=now, cache=cache)
    except (VerificationError, MalformedError) as error:
        entry, leaf = passage.evidence.entry, passage.evidence.leaf
        return RefusedPassage(entry.doc_id, leaf.index, error.refusal, str(error))


def _document(document: _Document, envelopes: dict[LoggedEnvelope, int]) -> dict[str, Encodable]:
    entry, standing, source, ingest, reviews = document

    def place(envelope: LoggedEnvelope) -> int:
        return envelopes.setdefault(envelope, len(envelopes))

    return {
        "entry": entry.encode().decode(),
        "standing": {
            "position": standing.position,
            "bucketSize": standing.bucket_size,
            "bucketPath": _hashes(standing.bucket_path),
            "topPath": _hashes(standing.top_path),
        },
        "source": place(source),
        "ingest": place(ingest),
        "reviews": [place(review) for review in reviews],
    }


def _read_document(fields: Fields, envelopes: list[LoggedEnvelope]) -> _Document:
    standing = fields.fields("standing")
    return (
        StandingEntry.parse(fields.text("entry", max_bytes=MAX_FILE_BYTES).encode()),
        StandingProof(
            standing.integer("position"),
            standing.integer("bucketSize"),
            _read_hashes(standing, "bucketPath"),
            _read_hashes(standing, "topPath"),
        ),
        _at(envelopes, fields.integer("source")),
        _at(envelopes, fields.integer("ingest")),
        tuple(_at(envelopes, place) for place in fields.items("reviews", maximum=MAX_PROOF_HASHES)),
    )


def _read_passage(fields: Fields, documents: list[_Document]) -> ShownPassage:
    entry, standing, source, ingest, reviews = _at(documents, fields.integer("document"))
    leaf = ChunkLeaf.parse(fields.text("leaf", max_bytes=MAX_FILE_BYTES).encode())
    path = _read_hashes(fields, "chunkPath")
    return ShownPassage(
        fields.text("text", max_bytes=MAX_FILE_BYTES, empty=True),
        fields.text("metadata", max_bytes=MAX_FILE_BYTES, empty=True).encode(),
        bytes_from_base64(fields.text("vector", max_bytes=MAX_FILE_BYTES, empty=True)),
        Evidence(leaf, path, entry, standing, source, ingest, reviews),
    )


def _logged(logged: LoggedEnvelope) -> dict[str, Encodable]:
    return {
        "envelope": logged.envelope.encode().decode(),
        "index": logged.index,
        "proof": _hashes(logged.proof),
    }


def _read_logged(fields: Fields) -> LoggedEnvelope:
    envelope = Envelope.parse(fields.text("envelope", max_bytes=MAX_FILE_BYTES).encode())
    return LoggedEnvelope(envelope, fields.integer("index"), _read_hashes(fields, "proof"))


def _hashes(path: tuple[bytes, ...]) -> list[Encodable]:
    return [item.hex() for item in path]


def _read_hashes(fields: Fields, name: str) -> tuple[bytes, ...]:
    items = fields.items(name, maximum=MAX_PROOF_HASHES)
    return tuple(bytes_from_hex(item if isinstance(item, str) else "", 32) for item in items)


def _at(items: list[_T], place: Json) -> _T:
    # A bool is an int to isinstance, and true would be a second spelling of 1.
    if type(place) is not int or not 0 <= place < len(items):
        raise MalformedError(f"the evidence file refers to part {place!r}, which it does not have")
    return items[place]
