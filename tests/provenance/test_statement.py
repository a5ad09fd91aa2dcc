"""Statements: one form each, read back exactly, and refused in every other."""

import json
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st
from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
from in_toto_attestation.v1.statement import Statement as InTotoStatement
from in_toto_attestation.v1.statement_pb2 import Statement as InTotoMessage
from jsonschema import Draft202012Validator

from tests.provenance.forge import CONTEXT, NOW, places
from trustrag.errors import MalformedError
from trustrag.provenance import statement as module
from trustrag.provenance.canonical import Digest, encode, rfc3339
from trustrag.provenance.statement import (
    Chunker,
    Context,
    Derivation,
    DocumentClaim,
    EmbedderId,
    IngestedDocument,
    IngestStatement,
    RejectionStatement,
    ReviewStatement,
    RollbackStatement,
    SnapshotStatement,
    SourceStatement,
    Statement,
    WithdrawalStatement,
    parse_statement,
)

SCHEMAS = Path(__file__).parents[2] / "docs" / "schemas"
A, B, C = (Digest.of(name) for name in (b"a", b"b", b"c"))

CLAIM = DocumentClaim("guide/logs.md", 2, A, B, "text/markdown", "MIT", C, (Derivation(B, "whisper", None),))
SOURCE = SourceStatement(CONTEXT, (CLAIM, replace(CLAIM, doc_id="b", licence=None)), NOW, NOW + 9)
ITEM = IngestedDocument("guide/logs.md", 2, A, B, C, 7)
INGEST = IngestStatement(
    CONTEXT,
    (ITEM, replace(ITEM, doc_id="b", source=A)),
    Chunker("sentences", 200, 0, "1"),
    EmbedderId("minilm", 384, C),
    "urn:trustrag:ingest:1",
    NOW,
)
REVIEW = ReviewStatement(A, "urn:trustrag:screen:1", ("TRUSTRAG_SCREENED", "TRUSTRAG_CLEAN"), NOW, (B,))
SNAPSHOT = SnapshotStatement(CONTEXT, A, 2, B, 7, "publish", "first documents", NOW, NOW + 9)
WITHDRAWAL = WithdrawalStatement(CONTEXT, "guide/logs.md", None, "superseded by law", NOW)
APPROVAL = replace(REVIEW, reason="read, line by line")
REJECTION = RejectionStatement(A, "the terms were changed", NOW)
ROLLBACK = RollbackStatement(CONTEXT, 2, A, 7, B, "a bad batch", NOW)
ALL: list[Statement] = [SOURCE, INGEST, REVIEW, APPROVAL, REJECTION, SNAPSHOT, WITHDRAWAL, ROLLBACK]
NAMES = dict(
    zip(
        ALL,
        ("source", "ingest", "review", "review", "rejection", "snapshot", "withdrawal", "rollback"),
        strict=True,
    )
)

digests = st.binary(min_size=32, max_size=32).map(Digest)
letters = st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs"))
texts = st.text(letters, min_size=1, max_size=40).filter(lambda text: unicodedata.is_normalized("NFC", text))
segments = texts.filter(lambda text: "/" not in text)
times = st.integers(0, 4_000_000_000)
contexts = st.builds(Context, segments, segments, segments)
claims = st.builds(
    DocumentClaim,
    texts,
    st.integers(2, 2**53 - 1),
    digests,
    st.none() | digests,
    texts,
    st.none() | texts,
    digests,
    st.lists(st.builds(Derivation, digests, texts, st.none() | texts), max_size=2).map(tuple),
)
ingested = st.builds(
    IngestedDocument, texts, st.integers(1, 99), digests, digests, digests, st.integers(1, 2**53 - 1)
)
uris = segments.map(lambda name: "urn:x:" + "".join(name.split())).filter(lambda uri: len(uri) > 6)


def batches(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(items, min_size=1, max_size=3, unique_by=lambda item: item.doc_id).map(tuple)


statements = st.one_of(
    st.builds(
        SourceStatement, contexts, batches(claims), times, st.just(None) | times.map(lambda at: at + 2**32)
    ),
    st.builds(
        IngestStatement,
        contexts,
        batches(ingested),
        st.builds(Chunker, texts, st.integers(1, 9999), st.integers(0, 99), texts),
        st.builds(EmbedderId, texts, st.integers(1, 9999), digests),
        uris,
        times,
    ),
    st.builds(
        ReviewStatement,
        digests,
        uris,
        st.lists(texts, min_size=1, max_size=3).map(tuple),
        times,
        st.lists(digests, max_size=2).map(tuple),
    ),
    st.builds(RejectionStatement, digests, texts, times),
    st.builds(
        SnapshotStatement,
        contexts,
        digests,
        st.integers(2, 99),
        digests,
        times,
        st.sampled_from(sorted(module.ACTIONS)),
        st.none() | texts,
        times,
        times.map(lambda at: at + 2**32),
    ),
    st.builds(WithdrawalStatement, contexts, st.none(), texts, texts, times),
    st.builds(
        RollbackStatement, contexts, st.integers(1, 9), digests, st.integers(10, 99), digests, texts, times
    ),
)


@given(statements)
def test_what_is_written_is_read_back(statement: Statement) -> None:
    payload = statement.encode()
    read = parse_statement(payload)
    assert read == statement
    assert read.encode() == payload


@given(st.sampled_from(ALL), st.data())
def test_one_changed_byte_never_reads_as_the_same(statement: Statement, data: st.DataObject) -> None:
    payload = bytearray(statement.encode())
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] ^= data.draw(st.integers(1, 255))
    try:
        read = parse_statement(bytes(payload))
    except MalformedError:
        return
    assert read != statement
    assert read.encode() == bytes(payload)


@given(st.binary(max_size=200))
def test_noise_is_malformed(noise: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_statement(noise)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=6,
)


@given(st.sampled_from(ALL), st.data())
def test_any_value_anywhere_is_malformed_or_read_back(statement: Statement, data: st.DataObject) -> None:
    value = json.loads(statement.encode())
    paths = list(places(value))
    holder, name = data.draw(st.sampled_from(paths))
    holder[name] = data.draw(json_values)
    payload = encode(value)
    with suppress(MalformedError):
        assert parse_statement(payload).encode() == payload


@pytest.mark.parametrize("statement", ALL, ids=NAMES.get)
def test_an_unknown_field_in_any_object_is_refused(statement: Statement) -> None:
    value = json.loads(statement.encode())
    objects = [value, *(holder[key] for holder, key in places(value) if isinstance(holder[key], dict))]
    for item in objects:
        item["more"] = 1
        with pytest.raises(MalformedError):
            parse_statement(encode(value))
        del item["more"]
    assert parse_statement(encode(value)) == statement


@pytest.mark.parametrize("statement", ALL, ids=NAMES.get)
def test_a_missing_field_in_any_object_is_refused(statement: Statement) -> None:
    value = json.loads(statement.encode())
    for holder, key in list(places(value)):
        if isinstance(holder, dict) and (statement, key) != (APPROVAL, "reason"):  # may be left out
            kept = holder.pop(key)
            with pytest.raises(MalformedError):
                parse_statement(encode(value))
            holder[key] = kept


@pytest.mark.parametrize("statement", ALL, ids=NAMES.get)
def test_true_is_no_second_spelling_of_one(statement: Statement) -> None:
    value = json.loads(statement.encode())
    for holder, key in list(places(value)):
        if type(holder[key]) is int:
            kept, holder[key] = holder[key], True
            with pytest.raises(MalformedError):
                parse_statement(encode(value))
            holder[key] = kept


@pytest.mark.parametrize("statement", ALL, ids=NAMES.get)
def test_white_space_and_key_order_are_refused(statement: Statement) -> None:
    value = json.loads(statement.encode())
    for payload in (
        json.dumps(value).encode(),
        json.dumps(value, indent=1).encode(),
        statement.encode() + b"\n",
    ):
        with pytest.raises(MalformedError):
            parse_statement(payload)


def bent(statement: Statement, change: Callable[[Any], None]) -> bytes:
    value = json.loads(statement.encode())
    change(value)
    return encode(value)


CONTRADICTIONS: list[tuple[Statement, Callable[[Any], None]]] = [
    (SOURCE, lambda v: v["subject"][0].update(name="other")),
    (SOURCE, lambda v: v["subject"].append(v["subject"][0])),
    (SOURCE, lambda v: v["predicate"]["documents"].pop()),
    (INGEST, lambda v: v["subject"][1].update(name="other")),
    (INGEST, lambda v: v["predicate"]["buildDefinition"]["resolvedDependencies"][0].update(name="other")),
    (INGEST, lambda v: v["predicate"]["buildDefinition"]["resolvedDependencies"].pop(2)),
    (INGEST, lambda v: v["predicate"]["buildDefinition"]["resolvedDependencies"][-1].update(name="other")),
    (INGEST, lambda v: v["predicate"]["buildDefinition"].update(buildType="https://example.org/other")),
    (REVIEW, lambda v: v["subject"][0].update(name="other")),
    (REVIEW, lambda v: v["predicate"].update(properties=["A", 1])),
    (REJECTION, lambda v: v["subject"][0].update(name="other")),
    (REJECTION, lambda v: v["predicate"].update(properties=["A"])),
    (REVIEW, lambda v: v["predicate"].update(reason="")),
    (REVIEW, lambda v: v["predicate"].update(reason=None)),
    (REJECTION, lambda v: v.update(predicateType=module.REVIEW_TYPE)),
    (SNAPSHOT, lambda v: v["subject"].append(v["subject"][0])),
    (WITHDRAWAL, lambda v: v["subject"][0]["digest"].update(sha256=A.hex)),
    (ROLLBACK, lambda v: v["subject"].pop()),
    (ROLLBACK, lambda v: v["subject"].reverse()),
    (ROLLBACK, lambda v: v["subject"].insert(1, v["subject"][0])),
    (SOURCE, lambda v: v.update(_type="https://in-toto.io/Statement/v0.1")),
    (SOURCE, lambda v: v.update(predicateType="https://in-toto.io/attestation/svr/v0.1")),
    (SOURCE, lambda v: v.update(subject=[])),
    (SOURCE, lambda v: v["predicate"].update(documents=[])),
    (REVIEW, lambda v: v.update(predicateType=module.SNAPSHOT_TYPE)),
]


@pytest.mark.parametrize(("statement", "change"), CONTRADICTIONS)
def test_parts_that_disagree_are_refused(statement: Statement, change: Callable[[Any], None]) -> None:
    with pytest.raises(MalformedError):
        parse_statement(bent(statement, change))


@pytest.mark.parametrize(
    ("statement", "change", "reason"),
    [
        (SOURCE, lambda v: v.update(_type="https://in-toto.io/Statement/v0.1"), "statement._type is not"),
        (
            INGEST,
            lambda v: v["predicate"]["buildDefinition"].update(buildType="https://example.org/other"),
            "buildDefinition.buildType is not",
        ),
        (SOURCE, lambda v: v.update(predicateType="https://example.org/other"), "is not one we know"),
    ],
)
def test_what_is_not_ours_is_refused_by_name(
    statement: Statement, change: Callable[[Any], None], reason: str
) -> None:
    with pytest.raises(MalformedError, match=reason):
        parse_statement(bent(statement, change))


DECOMPOSED = "Cafe\u0301"
BAD_VALUES: list[tuple[Any, dict[str, Any]]] = [
    *(
        (CONTEXT, {name: bad})
        for name in ("store", "tenant", "collection")
        for bad in ("", "a/b", "a\nb", "x" * 257)
    ),
    *(
        (CLAIM, {"doc_id": bad})
        for bad in ("", "\u2028", "\ud800", "a\x7fb", DECOMPOSED, "x" * 1025, "ä" * 513)
    ),
    (CLAIM, {"version": 0}),
    (CLAIM, {"version": 1}),  # it still names a previous one
    (CLAIM, {"media_type": ""}),
    (CLAIM, {"licence": ""}),
    (CLAIM.derived_from[0], {"tool": ""}),
    (CLAIM.derived_from[0], {"c2pa": ""}),
    (SOURCE, {"documents": ()}),
    (SOURCE, {"documents": (CLAIM, CLAIM)}),
    (SOURCE, {"expires": NOW}),
    (ITEM, {"doc_id": ""}),
    (ITEM, {"version": 0}),
    (ITEM, {"chunk_count": 0}),
    (INGEST, {"documents": ()}),
    (INGEST, {"documents": (ITEM, ITEM)}),
    (INGEST, {"tool": "trustrag 1"}),
    (INGEST.chunker, {"name": ""}),
    (INGEST.chunker, {"size": 0}),
    (INGEST.chunker, {"overlap": -1}),
    (INGEST.chunker, {"version": ""}),
    (INGEST.embedder, {"name": ""}),
    (INGEST.embedder, {"dimension": 0}),
    (REVIEW, {"verifier": "me"}),
    (REVIEW, {"properties": ()}),
    (REVIEW, {"properties": ("A", "")}),
    (REVIEW, {"reason": ""}),
    (REVIEW, {"reason": "x" * 2049}),
    (REJECTION, {"reason": ""}),
    (REJECTION, {"reason": "x" * 2049}),
    (SNAPSHOT, {"version": 0}),
    (SNAPSHOT, {"version": 1}),
    (SNAPSHOT, {"previous": None}),
    (SNAPSHOT, {"log_size": -1}),
    (SNAPSHOT, {"action": "edit"}),
    (SNAPSHOT, {"reason": ""}),
    (SNAPSHOT, {"reason": "x" * 2049}),
    (SNAPSHOT, {"expires": NOW}),
    (WITHDRAWAL, {"doc_id": None}),
    (WITHDRAWAL, {"source": "acme"}),
    (WITHDRAWAL, {"doc_id": ""}),
    (WITHDRAWAL, {"reason": ""}),
    (ROLLBACK, {"target": 0}),
    (ROLLBACK, {"target": 7}),
    (ROLLBACK, {"present": 1}),
    (ROLLBACK, {"reason": ""}),
]


@pytest.mark.parametrize(("value", "change"), BAD_VALUES)
def test_a_value_that_cannot_be_said(value: Any, change: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        replace(value, **change)


def test_names_in_any_language_are_welcome() -> None:
    for doc_id in ("Handbuch/Übergabe.md", "手册/日志.md", "x" * 1024, "a b", "دليل"):
        assert replace(CLAIM, doc_id=doc_id).doc_id == doc_id


def test_a_long_text_is_counted_in_bytes() -> None:
    replace(CLAIM, doc_id="ä" * 512)
    with pytest.raises(MalformedError, match="1 to 1024 bytes"):
        replace(CLAIM, doc_id="ä" * 513)


@pytest.mark.parametrize("statement", ALL, ids=NAMES.get)
def test_in_toto_reads_it(statement: Statement) -> None:
    value = json.loads(statement.encode())
    InTotoStatement.copy_from_pb(ParseDict(value, InTotoMessage())).validate()


def test_slsa_reads_the_ingest() -> None:
    predicate = json.loads(INGEST.encode())["predicate"]
    read = ParseDict(predicate, provenance_pb2.Provenance())
    assert read.build_definition.build_type == "urn:trustrag:ingest/v1"
    assert read.build_definition.resolved_dependencies[0].digest["sha256"] == A.hex
    assert read.run_details.builder.id == INGEST.tool
    assert read.run_details.metadata.finished_on.ToSeconds() == NOW


def test_svr_has_its_required_fields() -> None:
    predicate = json.loads(replace(REVIEW, policies=()).encode())["predicate"]
    assert predicate == {
        "verifier": {"id": "urn:trustrag:screen:1", "policies": []},
        "timeCreated": rfc3339(NOW),
        "properties": ["TRUSTRAG_SCREENED", "TRUSTRAG_CLEAN"],
    }


@pytest.mark.parametrize("statement", ALL, ids=NAMES.get)
def test_the_published_schema_fits(statement: Statement) -> None:
    schema = json.loads((SCHEMAS / f"{NAMES[statement]}.v1.json").read_text())
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    value = json.loads(statement.encode())
    assert list(validator.iter_errors(value)) == []
    for holder, key in list(places(value)):
        if isinstance(holder, dict) and (statement, key) != (APPROVAL, "reason"):  # may be left out
            kept = holder.pop(key)
            assert not validator.is_valid(value), f"the schema does not ask for {key}"
            holder[key] = kept
    value["predicate"]["more"] = 1
    assert not validator.is_valid(value)
