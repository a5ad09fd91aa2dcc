"""docs/formats.md says what the code does: its examples are read, its limits and names are the code's own."""

import json
import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from trustrag import keyring, trustroot
from trustrag._tuf import MAX_BYTES as MAX_TRUST_ROOT_BYTES
from trustrag.errors import Refusal
from trustrag.ingest.attest import BATCH_DOCUMENTS
from trustrag.ingest.reading.formats import TEXT_LIMIT
from trustrag.ingest.reading.readers import FILE_LIMIT
from trustrag.monitor import audited
from trustrag.provenance import (
    canonical,
    checkpoint,
    envelope,
    export,
    keys,
    names,
    policy,
    standing,
    statement,
)
from trustrag.provenance.canonical import encode
from trustrag.retrieval import receipt

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "formats.md"
TEXT = PAGE.read_text()
SCHEMAS = {path.name: json.loads(path.read_text()) for path in sorted((ROOT / "docs" / "schemas").iterdir())}
VECTORS = ROOT / "tests" / "vectors" / "trustrag"
EXAMPLES = [
    json.loads(block) for block in re.findall(r"^```json\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
]


def vector(name: str) -> Any:
    return json.loads((VECTORS / name).read_bytes())


def name_of(example: Any) -> str:
    """What an example is an example of."""
    for field in ("predicateType", "format", "payloadType"):
        if field in example:
            return str(example[field])
    return "leaf" if "vector" in example else "entry"


READERS: dict[str, Callable[[bytes], Any]] = {
    statement.SOURCE_TYPE: statement.parse_statement,
    statement.INGEST_TYPE: statement.parse_statement,
    statement.REVIEW_TYPE: statement.parse_statement,
    statement.REJECTION_TYPE: statement.parse_statement,
    statement.SNAPSHOT_TYPE: statement.parse_statement,
    statement.WITHDRAWAL_TYPE: statement.parse_statement,
    statement.ROLLBACK_TYPE: statement.parse_statement,
    receipt.RECEIPT_TYPE: receipt.Receipt.parse,
    policy.POLICY_FORMAT: policy.Policy.parse,
    envelope.PAYLOAD_TYPE: envelope.Envelope.parse,
    keys.KEY_FILE_FORMAT: keys.KeyFile.parse,
    keyring.SEEN_FORMAT: keyring.SeenState.parse,
    audited.AUDITED_FORMAT: audited.Audited.parse,
    "leaf": standing.ChunkLeaf.parse,
    "entry": standing.StandingEntry.parse,
}


WITH_SCHEMA = {
    statement.SOURCE_TYPE,
    statement.INGEST_TYPE,
    statement.REVIEW_TYPE,
    statement.REJECTION_TYPE,
    statement.SNAPSHOT_TYPE,
    statement.WITHDRAWAL_TYPE,
    statement.ROLLBACK_TYPE,
    receipt.RECEIPT_TYPE,
    policy.POLICY_FORMAT,
}
"""What has a schema and an example; an evidence file is too long for an example, and the sample is one."""


def schema_of(example: Any) -> dict[str, Any] | None:
    """The schema that claims this example by its type or format."""
    for schema in SCHEMAS.values():
        claims = {field: value["const"] for field, value in schema["properties"].items() if "const" in value}
        if claims and all(example.get(field) == const for field, const in claims.items()):
            return schema
    return None


def properties(schema: dict[str, Any]) -> Iterator[str]:
    """Every field name in a schema."""
    inner = schema.get("properties", {})
    yield from inner
    items = [schema["items"]] if "items" in schema else []
    for part in (*inner.values(), *schema.get("anyOf", ()), *items):
        yield from properties(part)


def test_each_thing_has_one_example() -> None:
    assert sorted(map(name_of, EXAMPLES)) == sorted(READERS)


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_an_example_is_read_by_the_code(example: Any) -> None:
    data = encode(example)
    assert READERS[name_of(example)](data).encode() == data


@pytest.mark.parametrize("example", EXAMPLES, ids=name_of)
def test_an_example_keeps_to_its_schema(example: Any) -> None:
    schema = schema_of(example)
    assert (schema is not None) == (name_of(example) in WITH_SCHEMA)
    if schema is not None:
        Draft202012Validator(schema).validate(example)


def test_the_sample_keeps_to_the_schema_of_evidence() -> None:
    for file in (ROOT / "keys" / "sample" / "evidence.json", VECTORS / "evidence.json"):
        Draft202012Validator(SCHEMAS["evidence.v1.json"]).validate(json.loads(file.read_bytes()))


def test_examples_are_the_vectors() -> None:
    shown = {name_of(example): encode(example).decode() for example in EXAMPLES}
    statements = vector("statements.json")
    for item in statements:
        assert shown[json.loads(item["payload"])["predicateType"]] == item["payload"]
    steps = vector("standing.json")
    assert shown[receipt.RECEIPT_TYPE] == vector("receipt.json")["payload"]
    assert shown[envelope.PAYLOAD_TYPE] in [item["envelope"] for item in statements]
    assert shown["leaf"] == steps["passages"][0]["leaf"]
    assert shown["entry"] == steps["passages"][0]["entry"]
    assert shown[policy.POLICY_FORMAT] == (VECTORS / "policy.json").read_text()
    assert f"```text\n{steps['checkpoint']}```" in TEXT


def test_the_private_key_is_the_one_it_says_it_is() -> None:
    example = next(item for item in EXAMPLES if name_of(item) == keys.KEY_FILE_FORMAT)
    key = keys.decrypt_private_key(encode(example), keys.KeyLock(b"example"))
    assert key.public_key == keys.PrivateKey.from_seed(sha256(b"stranger").digest()).public_key
    assert key.public_key.hex not in (VECTORS / "policy.json").read_text()


def test_every_schema_and_every_vector_is_named() -> None:
    assert set(re.findall(r"\(schemas/([\w.]+)\)", TEXT)) == set(SCHEMAS)
    linked = set(re.findall(r"\(\.\./tests/vectors/trustrag/([\w.]+)\)", TEXT))
    assert linked == {path.name for path in VECTORS.iterdir()}


def test_every_name_of_the_code_is_on_the_page() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "trustrag").rglob("*.py"))
    used = set(re.findall(r"urn:trustrag:([a-z-]+/v\d+)", source)) | set(
        re.findall(r'\bT \+ "([a-z-]+/v\d+)"', source)
    )
    assert used == set(re.findall(r"urn:trustrag:([a-z-]+/v\d+)", TEXT))
    assert {statement.INGEST_TYPE, statement.REVIEW_TYPE, statement.STATEMENT_TYPE} <= set(
        re.findall(r"https://[\w./-]+[\w]", TEXT)
    )


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_field_is_on_the_page(name: str) -> None:
    words = set(re.findall(r"\w+", TEXT))
    assert set(properties(SCHEMAS[name])) <= words


def test_every_action_and_every_role_is_on_the_page() -> None:
    for word in statement.ACTIONS:
        assert f"`{word}`" in TEXT
    for role in trustroot.ROLES:
        assert f"{role}.json" in TEXT


def test_every_refusal_of_the_proof_is_on_the_page() -> None:
    assert {refusal for refusal in Refusal if f"`{refusal}`" not in TEXT} == set()


def test_the_limits_are_those_of_the_code() -> None:
    limits = TEXT[TEXT.index("## Limits") : TEXT.index("## Sources")]
    stated = {int(number.replace(",", "")) for number in re.findall(r"(?<![\w.])\d[\d,]*(?!\w)", limits)}
    assert stated == {
        envelope.MAX_ENVELOPE_BYTES,
        canonical.MAX_BYTES,
        canonical.MAX_DEPTH,
        policy.MAX_POLICY_BYTES,
        MAX_TRUST_ROOT_BYTES,
        export.MAX_FILE_BYTES,
        export.MAX_PASSAGES,
        export.MAX_PROOF_HASHES,
        checkpoint.MAX_NOTE_BYTES,
        checkpoint.MAX_SIGNATURES,
        keys.MAX_KEY_FILE_BYTES,
        names.MAX_DOC_ID_BYTES,
        names.MAX_NAME_BYTES,
        statement.MAX_REASON_BYTES,
        BATCH_DOCUMENTS,
        FILE_LIMIT,
        TEXT_LIMIT,
    }
    assert str(policy.CLOCK_SKEW) in TEXT
    assert f"{standing.BUCKETS:,} buckets" in TEXT


def test_links_lead_somewhere() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", TEXT, re.M)
    }
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", TEXT):
        file, _, anchor = target.partition("#")
        assert not file or (PAGE.parent / file).exists(), target
        assert not anchor or file or anchor in anchors, target
