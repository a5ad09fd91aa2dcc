"""What can be said under a signature: in-toto Statement v1 and the six predicates we speak.

    source      T source/v1           a publisher names its documents                  (a source key)
    ingest      SLSA Provenance v1    how documents became chunks and vectors          (an ingest key)
    review      in-toto SVR v0.2      what was found good about an ingest             (a screen or review key)
    rejection   T rejection/v1        why an ingest is not to stand, for readers       (a screen or review key)
    snapshot    T snapshot/v1         the root of everything that stands               (a seal key)
    withdrawal  T withdrawal/v1       why something stopped standing, for readers      (a seal key)
    rollback    T rollback/v1         back to what stood once, proposed and approved   (a seal key, review keys)

Each class writes one form only. A payload is accepted when the value read from it encodes back to the very same bytes: so
unknown fields, other spellings, and repeated parts that disagree are refused by one comparison. No value is written as null.

Sources: in-toto Statement v1 and Simple Verification Result v0.2 (github.com/in-toto/attestation), SLSA Provenance v1
(slsa.dev/spec/v1.0/provenance). docs/formats.md documents the predicates under T.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Final, TypeAlias

from trustrag.errors import MalformedError
from trustrag.provenance import names
from trustrag.provenance.canonical import Digest, Encodable, Fields, parse_canonical, rfc3339
from trustrag.provenance.intoto import (
    MAX_REASON_BYTES,
    STATEMENT_TYPE,
    Context,
    Signable,
    T,
    check_lifetime,
    resource,
    sha256_of,
    stated,
)
from trustrag.provenance.names import MAX_DOC_ID_BYTES, check_integer, check_text, read_texts
from trustrag.provenance.sealing import (
    ACTIONS,
    ROLLBACK_TYPE,
    SNAPSHOT_TYPE,
    WITHDRAWAL_TYPE,
    RollbackStatement,
    SnapshotStatement,
    WithdrawalStatement,
    read_rollback,
    read_snapshot,
    read_withdrawal,
)

__all__ = [
    "ACTIONS",
    "INGEST_BUILD_TYPE",
    "INGEST_TYPE",
    "MAX_REASON_BYTES",
    "REJECTION_TYPE",
    "REVIEW_TYPE",
    "ROLLBACK_TYPE",
    "SNAPSHOT_TYPE",
    "SOURCE_TYPE",
    "STATEMENT_TYPE",
    "WITHDRAWAL_TYPE",
    "Chunker",
    "Context",
    "Derivation",
    "DocumentClaim",
    "EmbedderId",
    "IngestStatement",
    "IngestedDocument",
    "RejectionStatement",
    "ReviewStatement",
    "RollbackStatement",
    "SnapshotStatement",
    "SourceStatement",
    "Statement",
    "T",
    "WithdrawalStatement",
    "parse_statement",
]

SOURCE_TYPE: Final = T + "source/v1"
INGEST_TYPE: Final = "https://slsa.dev/provenance/v1"
INGEST_BUILD_TYPE: Final = T + "ingest/v1"
REVIEW_TYPE: Final = "https://in-toto.io/attestation/svr/v0.2"
REJECTION_TYPE: Final = T + "rejection/v1"


@dataclass(frozen=True, slots=True)
class Derivation:
    """What a text was made from: a recording or a scan, by its digest, through a named tool."""

    media: Digest
    tool: str
    c2pa: str | None = None

    def __post_init__(self) -> None:
        check_text(self.tool, "derivedFrom.tool")
        if self.c2pa is not None:
            check_text(self.c2pa, "derivedFrom.c2pa")


@dataclass(frozen=True, slots=True)
class DocumentClaim:
    """One publication of one name: these bytes are version `version` of `doc_id`.

    `digest` is of the file's bytes, `previous` of the version before it, `metadata` of the canonical JSON
    of the metadata that may be filtered on. `licence` is an SPDX expression.
    """

    doc_id: str
    version: int
    digest: Digest
    previous: Digest | None
    media_type: str
    licence: str | None
    metadata: Digest
    derived_from: tuple[Derivation, ...] = ()

    def __post_init__(self) -> None:
        check_text(self.doc_id, "docId", MAX_DOC_ID_BYTES)
        check_integer(self.version, "version", 1)
        check_text(self.media_type, "mediaType")
        if self.licence is not None:
            check_text(self.licence, "licence")
        if self.version == 1 and self.previous is not None:
            raise MalformedError(f"{self.doc_id}: version 1 has no previous version")


@dataclass(frozen=True, slots=True)
class SourceStatement(Signable):
    """A publisher names a batch of its documents; one signature covers them all."""

    context: Context
    documents: tuple[DocumentClaim, ...]
    issued_at: int
    expires: int | None

    def __post_init__(self) -> None:
        _check_batch(self.documents)
        check_lifetime(self.issued_at, self.expires)

    def to_json(self) -> dict[str, Encodable]:
        documents: list[Encodable] = [
            {
                "docId": claim.doc_id,
                "version": claim.version,
                "previous": None if claim.previous is None else claim.previous.hex,
                "mediaType": claim.media_type,
                "licence": claim.licence,
                "metadata": claim.metadata.hex,
                "derivedFrom": [
                    {"media": origin.media.hex, "tool": origin.tool, "c2pa": origin.c2pa}
                    for origin in claim.derived_from
                ],
            }
            for claim in self.documents
        ]
        predicate: dict[str, Encodable] = {
            "context": self.context.to_json(),
            "documents": documents,
            "issuedAt": rfc3339(self.issued_at),
            "expires": None if self.expires is None else rfc3339(self.expires),
        }
        subjects: list[Encodable] = [resource(claim.doc_id, claim.digest) for claim in self.documents]
        return stated(SOURCE_TYPE, subjects, predicate)


@dataclass(frozen=True, slots=True)
class IngestedDocument:
    """One document version as it was cut: `source` is the digest of the source envelope it came with."""

    doc_id: str
    version: int
    document: Digest
    source: Digest
    chunk_root: Digest
    chunk_count: int

    def __post_init__(self) -> None:
        check_text(self.doc_id, "docId", MAX_DOC_ID_BYTES)
        check_integer(self.version, "version", 1)
        check_integer(self.chunk_count, "chunkCount", 1)


@dataclass(frozen=True, slots=True)
class Chunker:
    """How documents were cut: `size` and `overlap` in characters."""

    name: str
    size: int
    overlap: int
    version: str

    def __post_init__(self) -> None:
        check_text(self.name, "chunker.name")
        check_integer(self.size, "chunker.size", 1)
        check_integer(self.overlap, "chunker.overlap")
        check_text(self.version, "chunker.version")


@dataclass(frozen=True, slots=True)
class EmbedderId:
    """Which model made the vectors: `digest` is of its weights."""

    name: str
    dimension: int
    digest: Digest

    def __post_init__(self) -> None:
        check_text(self.name, "embedder.name")
        check_integer(self.dimension, "embedder.dimension", 1)


@dataclass(frozen=True, slots=True)
class IngestStatement(Signable):
    """How documents became chunks and vectors: SLSA Provenance v1. `tool` is a URI (its `builder.id`)."""

    context: Context
    documents: tuple[IngestedDocument, ...]
    chunker: Chunker
    embedder: EmbedderId
    tool: str
    finished_at: int

    def __post_init__(self) -> None:
        _check_batch(self.documents)
        names.check_uri(self.tool, "builder.id")

    def to_json(self) -> dict[str, Encodable]:
        embedder = self.embedder
        documents: list[Encodable] = [
            {
                "docId": item.doc_id,
                "version": item.version,
                "source": item.source.hex,
                "chunkCount": item.chunk_count,
            }
            for item in self.documents
        ]
        model = resource(embedder.name, embedder.digest)
        dependencies: list[Encodable] = [resource(item.doc_id, item.document) for item in self.documents]
        dependencies += [
            resource("source", name) for name in sorted({item.source for item in self.documents})
        ]
        parameters: dict[str, Encodable] = {
            "context": self.context.to_json(),
            "documents": documents,
            "chunker": asdict(self.chunker),
            "embedder": {"name": embedder.name, "dimension": embedder.dimension},
        }
        definition: dict[str, Encodable] = {
            "buildType": INGEST_BUILD_TYPE,
            "externalParameters": parameters,
            "resolvedDependencies": [*dependencies, model],
        }
        finished: Encodable = {"finishedOn": rfc3339(self.finished_at)}
        run: Encodable = {"builder": {"id": self.tool}, "metadata": finished}
        subjects: list[Encodable] = [resource(item.doc_id, item.chunk_root) for item in self.documents]
        return stated(INGEST_TYPE, subjects, {"buildDefinition": definition, "runDetails": run})


@dataclass(frozen=True, slots=True)
class ReviewStatement(Signable):
    """An ingest was looked at: `subject` is the digest of the ingest statement's payload bytes.

    `verifier` is a URI. `policies` are the digests of the rules it applied, where it can name them. `reason` is why a
    person let it in; a program gives none.
    """

    subject: Digest
    verifier: str
    properties: tuple[str, ...]
    created_at: int
    policies: tuple[Digest, ...] = ()
    reason: str | None = None

    def __post_init__(self) -> None:
        names.check_uri(self.verifier, "verifier.id")
        if not self.properties:
            raise MalformedError("a review that found nothing good approves nothing: properties is empty")
        for name in self.properties:
            check_text(name, "properties")
        if self.reason is not None:
            check_text(self.reason, "reason", MAX_REASON_BYTES)

    def to_json(self) -> dict[str, Encodable]:
        predicate: dict[str, Encodable] = {
            "verifier": {
                "id": self.verifier,
                "policies": [{"digest": {"sha256": policy.hex}} for policy in self.policies],
            },
            "timeCreated": rfc3339(self.created_at),
            "properties": list(self.properties),
        }
        if self.reason is not None:
            predicate["reason"] = self.reason
        return stated(REVIEW_TYPE, [resource("ingest", self.subject)], predicate)


@dataclass(frozen=True, slots=True)
class RejectionStatement(Signable):
    """Why an ingest is not to stand: `subject` is as in a review. Deleting it approves nothing."""

    subject: Digest
    reason: str
    created_at: int

    def __post_init__(self) -> None:
        check_text(self.reason, "reason", MAX_REASON_BYTES)

    def to_json(self) -> dict[str, Encodable]:
        predicate: dict[str, Encodable] = {"timeCreated": rfc3339(self.created_at), "reason": self.reason}
        return stated(REJECTION_TYPE, [resource("ingest", self.subject)], predicate)


Statement: TypeAlias = (
    SourceStatement
    | IngestStatement
    | ReviewStatement
    | RejectionStatement
    | SnapshotStatement
    | WithdrawalStatement
    | RollbackStatement
)


def parse_statement(payload: bytes) -> Statement:
    """Reads an envelope's payload. Raises MalformedError, and nothing else, on what we would not write."""
    value = parse_canonical(payload)
    fields = Fields(value, "statement")
    fields.literal("_type", STATEMENT_TYPE)
    kind = fields.text("predicateType")
    reader = _READERS.get(kind)
    if reader is None:
        raise MalformedError(f"statement.predicateType {kind!r} is not one we know")
    statement = reader(fields.objects("subject", minimum=1), fields.fields("predicate"))
    # Whatever was not read, or says twice what must be one, makes the two differ.
    if statement.to_json() != value:
        raise MalformedError("the statement has unknown fields or contradicts itself")
    return statement


def _read_source(subjects: list[Fields], predicate: Fields) -> SourceStatement:
    claims = [
        DocumentClaim(
            doc_id=item.text("docId"),
            version=item.integer("version", minimum=1),
            digest=sha256_of(subject),
            previous=item.nullable("previous", item.digest),
            media_type=item.text("mediaType"),
            licence=item.nullable("licence", item.text),
            metadata=item.digest("metadata"),
            derived_from=tuple(
                Derivation(origin.digest("media"), origin.text("tool"), origin.nullable("c2pa", origin.text))
                for origin in item.objects("derivedFrom")
            ),
        )
        for subject, item in zip(subjects, predicate.objects("documents"), strict=False)
    ]
    return SourceStatement(
        context=Context.from_fields(predicate.fields("context")),
        documents=tuple(claims),
        issued_at=predicate.time("issuedAt"),
        expires=predicate.nullable("expires", predicate.time),
    )


def _read_ingest(subjects: list[Fields], predicate: Fields) -> IngestStatement:
    definition = predicate.fields("buildDefinition")
    definition.literal("buildType", INGEST_BUILD_TYPE)
    parameters = definition.fields("externalParameters")
    items = parameters.objects("documents")
    dependencies = definition.objects("resolvedDependencies", minimum=1)
    run = predicate.fields("runDetails")
    documents = [
        IngestedDocument(
            doc_id=item.text("docId"),
            version=item.integer("version", minimum=1),
            document=sha256_of(document),
            source=item.digest("source"),
            chunk_root=sha256_of(subject),
            chunk_count=item.integer("chunkCount", minimum=1),
        )
        for subject, item, document in zip(subjects, items, dependencies, strict=False)
    ]
    chunker, embedder = parameters.fields("chunker"), parameters.fields("embedder")
    return IngestStatement(
        context=Context.from_fields(parameters.fields("context")),
        documents=tuple(documents),
        chunker=Chunker(
            chunker.text("name"), chunker.integer("size"), chunker.integer("overlap"), chunker.text("version")
        ),
        embedder=EmbedderId(
            embedder.text("name"), embedder.integer("dimension"), sha256_of(dependencies[-1])
        ),
        tool=run.fields("builder").text("id"),
        finished_at=run.fields("metadata").time("finishedOn"),
    )


def _read_review(subjects: list[Fields], predicate: Fields) -> ReviewStatement:
    verifier = predicate.fields("verifier")
    return ReviewStatement(
        subject=sha256_of(subjects[0]),
        verifier=verifier.text("id"),
        properties=read_texts(predicate, "properties"),
        created_at=predicate.time("timeCreated"),
        policies=tuple(sha256_of(policy) for policy in verifier.objects("policies")),
        reason=predicate.optional("reason", lambda name: predicate.text(name, max_bytes=MAX_REASON_BYTES)),
    )


def _read_rejection(subjects: list[Fields], predicate: Fields) -> RejectionStatement:
    return RejectionStatement(
        subject=sha256_of(subjects[0]),
        reason=predicate.text("reason", max_bytes=MAX_REASON_BYTES),
        created_at=predicate.time("timeCreated"),
    )


_READERS: Final[Mapping[str, Callable[[list[Fields], Fields], Statement]]] = {
    SOURCE_TYPE: _read_source,
    INGEST_TYPE: _read_ingest,
    REVIEW_TYPE: _read_review,
    REJECTION_TYPE: _read_rejection,
    SNAPSHOT_TYPE: read_snapshot,
    WITHDRAWAL_TYPE: read_withdrawal,
    ROLLBACK_TYPE: read_rollback,
}


def _check_batch(documents: Sequence[DocumentClaim] | Sequence[IngestedDocument]) -> None:
    if not documents:
        raise MalformedError("the statement names no document")
    if len({item.doc_id for item in documents}) != len(documents):
        raise MalformedError("the statement names one document twice")
