"""A receipt says what was found, signed: so that an index which hid or reordered rows is caught after the fact.

A search proves every passage that it returns, and cannot prove that none is missing: the index knows nothing and may lie.
But the procedure is published and the snapshot is sealed. Whoever holds the snapshot searches it again, exactly, and compares
(`replay`). The receipt binds the one who searched to snapshot, procedure, question and results; it holds digests, so
that it can be kept where the question may not be. The file around it carries question and vector, for whoever replays it.

Unlike a zero-knowledge proof of the search, a replay needs the corpus: it shows nothing to somebody who may not see it.
"""

from base64 import b64encode
from dataclasses import dataclass
from typing import Final, Self, get_args

import numpy as np

from trustrag.errors import MalformedError
from trustrag.index.base import Vector
from trustrag.provenance.canonical import (
    Digest,
    Encodable,
    Fields,
    bytes_from_base64,
    encode,
    encode_metadata,
    parse_canonical,
    parse_metadata,
    rfc3339,
)
from trustrag.provenance.envelope import Envelope, sign, verify
from trustrag.provenance.keys import Signer
from trustrag.provenance.names import passage_name, read_texts
from trustrag.provenance.policy import Policy
from trustrag.provenance.statement import STATEMENT_TYPE, Context, T
from trustrag.retrieval.asked import Asked
from trustrag.retrieval.ranking import Mode
from trustrag.retrieval.retriever import DEPTH, OVERDRAW, SOURCE_SHARE, SearchReport

RECEIPT_TYPE: Final = T + "receipt/v1"
RECEIPT_FORMAT: Final = T + "receipt-file/v1"
PROCEDURE: Final = T + "search/v1"
MAX_FILE_BYTES: Final = 1 << 20
MAX_RESULTS: Final = 1000
MAX_QUESTION_BYTES: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Procedure:
    """How candidates are found and how many: see `Retriever.search`. `index` is the kind of index that proposed them.

    The exact nearest passages of the snapshot are drawn, at most `share` of one source (a candidate more where the
    answer asks for it), until there are `candidates`; beyond the answer not deeper than `depth`. Ranking chooses `k`.
    """

    index: str
    k: int
    mode: Mode
    min_support: int
    sources: tuple[str, ...] | None
    where: Digest | None
    judge: str
    candidates: int
    share: int
    depth: int = DEPTH

    @classmethod
    def of(cls, asked: Asked, index: str) -> Self:
        """The product's procedure for what was asked."""
        share = max(SOURCE_SHARE, asked.k)
        return cls(
            index,
            asked.k,
            asked.mode,
            asked.min_support,
            asked.sources,
            asked.filter,
            asked.judge,
            OVERDRAW * share,
            share,
        )

    def to_json(self) -> dict[str, Encodable]:
        return {
            "name": PROCEDURE,
            "index": self.index,
            "k": self.k,
            "mode": self.mode,
            "minSupport": self.min_support,
            "sources": None if self.sources is None else list(self.sources),
            "where": None if self.where is None else self.where.hex,
            "judge": self.judge,
            "candidates": self.candidates,
            "share": self.share,
            "depth": self.depth,
        }

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        fields.literal("name", PROCEDURE)
        mode = fields.text("mode")
        modes: dict[str, Mode] = {name: name for name in get_args(Mode)}
        if mode not in modes:
            raise MalformedError(f"{fields.where}.mode {mode!r} is not one we know")
        return cls(
            fields.text("index"),
            fields.integer("k", minimum=1),
            modes[mode],
            fields.integer("minSupport"),
            fields.nullable("sources", lambda name: read_texts(fields, name)),
            fields.nullable("where", fields.digest),
            fields.text("judge"),
            fields.integer("candidates", minimum=1),
            fields.integer("share", minimum=1),
            fields.integer("depth", minimum=1),
        )


@dataclass(frozen=True, slots=True)
class ReceivedPassage:
    """One passage that was handed on: its place, and the digest of its leaf, which binds text, vector and metadata."""

    doc_id: str
    version: int
    chunk: int
    leaf: Digest

    def __str__(self) -> str:
        return f"{passage_name(self.doc_id, self.chunk)} version {self.version}"

    def to_json(self) -> dict[str, Encodable]:
        return {"docId": self.doc_id, "version": self.version, "chunk": self.chunk, "leaf": self.leaf.hex}

    @classmethod
    def from_fields(cls, fields: Fields) -> Self:
        return cls(
            fields.text("docId"),
            fields.integer("version", minimum=1),
            fields.integer("chunk"),
            fields.digest("leaf"),
        )


@dataclass(frozen=True, slots=True)
class Receipt:
    """What was found, in which sealed state, by which procedure, for which question. `issued_at` in unix seconds.

    `policy` is the digest of the policy that the search was under: trust and probation weigh in ranking.
    """

    context: Context
    policy: Digest
    snapshot: int
    root: Digest
    log_size: int
    log_root: Digest
    procedure: Procedure
    question: Digest
    vector: Digest
    results: tuple[ReceivedPassage, ...]
    issued_at: int

    def encode(self) -> bytes:
        """The payload that is signed: an in-toto statement whose subject is the snapshot's root."""
        procedure = self.procedure.to_json()
        predicate: dict[str, Encodable] = {
            "context": self.context.to_json(),
            "policy": self.policy.hex,
            "snapshot": self.snapshot,
            "log": {"size": self.log_size, "root": self.log_root.hex},
            "procedure": procedure,
            "procedureDigest": Digest.of(encode(procedure)).hex,
            "question": self.question.hex,
            "vector": self.vector.hex,
            "results": [passage.to_json() for passage in self.results],
            "issuedAt": rfc3339(self.issued_at),
        }
        subject: list[Encodable] = [
            {"name": f"snapshot {self.snapshot}", "digest": {"sha256": self.root.hex}}
        ]
        return encode(
            {
                "_type": STATEMENT_TYPE,
                "subject": subject,
                "predicateType": RECEIPT_TYPE,
                "predicate": predicate,
            }
        )

    @classmethod
    def parse(cls, payload: bytes) -> Self:
        """Reads what `encode` wrote; raises MalformedError, and nothing else, on anything else."""
        fields = Fields(parse_canonical(payload), "receipt")
        fields.literal("_type", STATEMENT_TYPE)
        fields.literal("predicateType", RECEIPT_TYPE)
        (subject,) = fields.objects("subject", minimum=1, maximum=1)
        told = fields.fields("predicate")
        log = told.fields("log")
        receipt = cls(
            context=Context.from_fields(told.fields("context")),
            policy=told.digest("policy"),
            snapshot=told.integer("snapshot", minimum=1),
            root=subject.fields("digest").digest("sha256"),
            log_size=log.integer("size", minimum=1),
            log_root=log.digest("root"),
            procedure=Procedure.from_fields(told.fields("procedure")),
            question=told.digest("question"),
            vector=told.digest("vector"),
            results=tuple(
                ReceivedPassage.from_fields(item) for item in told.objects("results", maximum=MAX_RESULTS)
            ),
            issued_at=told.time("issuedAt"),
        )
        # Whatever was not read, or says twice what must be one (the procedure and its digest), makes the two differ.
        if receipt.encode() != payload:
            raise MalformedError("the receipt has unknown fields or contradicts itself")
        return receipt


@dataclass(frozen=True, slots=True)
class ReceiptFile:
    """A signed receipt with what was asked in the clear, which has the digests that were signed."""

    envelope: Envelope
    asked: Asked

    def encode(self) -> bytes:
        """The bytes of the file: canonical JSON."""
        return encode(
            {
                "format": RECEIPT_FORMAT,
                "envelope": self.envelope.encode().decode(),
                "question": self.asked.question,
                "vector": b64encode(self.asked.vector).decode(),
                "where": encode_metadata(self.asked.where).decode() if self.asked.where else None,
            }
        )

    @classmethod
    def open(cls, data: bytes, policy: Policy) -> tuple[Receipt, Asked]:
        """The receipt, signed by a key that may sign one under this policy, and what was asked.

        Raises MalformedError for what is no receipt or was put together from two, AuthorityError and SignatureError
        where that key did not sign it, or may not speak in a log of that size.
        """
        fields = Fields(parse_canonical(data, max_bytes=MAX_FILE_BYTES), "receipt file")
        fields.literal("format", RECEIPT_FORMAT)
        envelope = Envelope.parse(fields.text("envelope", max_bytes=MAX_FILE_BYTES).encode())
        key = policy.answering(envelope)
        receipt = Receipt.parse(verify(envelope, key.key))
        objection = key.objection(receipt.log_size - 1)
        if objection is not None:
            raise objection
        procedure = receipt.procedure
        where = fields.nullable("where", lambda name: fields.text(name, max_bytes=MAX_FILE_BYTES))
        asked = Asked(
            question=fields.text("question", max_bytes=MAX_QUESTION_BYTES, empty=True),
            vector=bytes_from_base64(fields.text("vector", max_bytes=MAX_FILE_BYTES)),
            k=procedure.k,
            mode=procedure.mode,
            min_support=procedure.min_support,
            sources=procedure.sources,
            where=None if where is None else parse_metadata(where.encode()),
            judge=procedure.judge,
        )
        if cls(envelope, asked).encode() != data:
            raise MalformedError("the receipt file has unknown fields or is not in canonical form")
        told = (Digest.of(asked.question.encode()), Digest.of(asked.vector), asked.filter)
        if told != (receipt.question, receipt.vector, procedure.where):
            raise MalformedError("question, vector or filter are not those that the receipt was signed for")
        return receipt, asked


def receipt_of(report: SearchReport, policy: Policy, signer: Signer, index: str, now: int) -> ReceiptFile:
    """The receipt of a search that was made under `policy` with this kind of index, signed; `now` in unix seconds.

    Raises ValueError for a search of the past: nothing proposed its candidates, so there is nothing to answer for.
    """
    if report.as_of is not None:
        raise ValueError("a receipt is of a search in what stands, and this one was in the past")
    asked, info = report.asked, report.snapshot
    receipt = Receipt(
        context=policy.context,
        policy=policy.digest,
        snapshot=info.version,
        root=info.root,
        log_size=info.log_size,
        log_root=info.log_root,
        procedure=Procedure.of(asked, index),
        question=Digest.of(asked.question.encode()),
        vector=Digest.of(asked.vector),
        results=received(report),
        issued_at=now,
    )
    return ReceiptFile(sign(receipt.encode(), signer), asked)


def received(report: SearchReport) -> tuple[ReceivedPassage, ...]:
    """The passages of a report as a receipt names them, in the order in which they were handed on."""
    return tuple(
        ReceivedPassage(
            ranked.passage.doc_id,
            ranked.passage.version,
            ranked.passage.index,
            Digest.of(stored.evidence.leaf.encode()),
        )
        for ranked, stored in zip(report.passages, report.stored, strict=True)
    )


def query_of(asked: Asked) -> Vector:
    """The vector that was searched with, float32[d]. Raises MalformedError for what is none."""
    if len(asked.vector) % 4 or not asked.vector:
        raise MalformedError("the receipt's vector is no row of float32 values")
    return np.frombuffer(asked.vector, "<f4").astype(np.float32)
