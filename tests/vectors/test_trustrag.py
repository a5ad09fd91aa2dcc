"""Our published vectors: made again byte for byte, and true when read from the files alone."""

import json
from hashlib import sha256
from typing import Any

import pytest

from tests.vectors.make import FOLDER, files
from trustrag.errors import Refusal
from trustrag.provenance import merkle
from trustrag.provenance.canonical import Digest, encode
from trustrag.provenance.envelope import Envelope, verify
from trustrag.provenance.evidence import RefusedPassage
from trustrag.provenance.export import verify_evidence_file
from trustrag.provenance.keys import PrivateKey, PublicKey
from trustrag.provenance.policy import Policy
from trustrag.provenance.standing import ChunkLeaf, StandingEntry, StandingProof, root_of_chunk, standing_root
from trustrag.provenance.statement import parse_statement
from trustrag.retrieval.receipt import ReceiptFile


def load(name: str) -> Any:
    return json.loads((FOLDER / name).read_bytes())


def test_the_generator_gives_the_same_bytes() -> None:
    made = files()
    assert {path.name for path in FOLDER.iterdir()} == set(made)
    for name, data in made.items():
        assert (FOLDER / name).read_bytes() == data, name


def test_keys_are_the_digests_of_their_names() -> None:
    for name, public in load("keys.json").items():
        assert PrivateKey.from_seed(sha256(name.encode()).digest()).public_key.hex == public


@pytest.mark.parametrize("vector", load("statements.json"), ids=lambda vector: vector["name"])
def test_statements(vector: dict[str, str]) -> None:
    envelope = Envelope.parse(vector["envelope"].encode())
    assert envelope.digest.hex == vector["envelopeDigest"]
    payload = verify(envelope, PublicKey.parse(vector["publicKey"]))
    assert payload == vector["payload"].encode()
    assert sha256(payload).hexdigest() == vector["payloadDigest"]
    assert parse_statement(payload).encode() == payload


def test_the_receipt() -> None:
    vector = load("receipt.json")
    receipt, asked = ReceiptFile.open(
        vector["file"].encode(), Policy.parse((FOLDER / "policy.json").read_bytes())
    )
    assert receipt.encode() == vector["payload"].encode()
    assert (asked.question, asked.k, asked.where) == ("How long are logs kept?", 5, {"title": "Logs"})


@pytest.mark.parametrize("vector", load("standing.json")["passages"])
def test_the_way_from_a_chunk_to_the_standing_root(vector: dict[str, Any]) -> None:
    def hashes(name: str) -> tuple[bytes, ...]:
        return tuple(bytes.fromhex(item) for item in vector[name])

    leaf, entry = ChunkLeaf.parse(vector["leaf"].encode()), StandingEntry.parse(vector["entry"].encode())
    assert leaf.text == Digest.of(vector["text"].encode())
    assert leaf.vector == Digest.of(bytes.fromhex(vector["vector"]))
    assert leaf.metadata == Digest.of(vector["metadata"].encode())
    assert merkle.leaf_hash(leaf.encode()).hex() == vector["leafHash"]
    assert (
        root_of_chunk(leaf, hashes("chunkPath")) == entry.chunk_root == Digest.from_hex(vector["chunkRoot"])
    )
    assert int(sha256(entry.doc_id.encode()).hexdigest()[:4], 16) == vector["bucket"]
    proof = StandingProof(vector["position"], vector["bucketSize"], hashes("bucketPath"), hashes("topPath"))
    assert standing_root(entry, proof).hex == vector["standingRoot"]


def test_the_log_has_its_root() -> None:
    vector = load("standing.json")
    leaves = [merkle.leaf_hash(entry.encode()) for entry in vector["entries"]]
    assert merkle.root(leaves).hex() == vector["logRoot"]


def test_the_evidence_file_and_its_bent_copies() -> None:
    policy = Policy.parse((FOLDER / "policy.json").read_bytes())
    data, wanted = (FOLDER / "evidence.json").read_bytes(), load("expected.json")

    def refusals(evidence: bytes) -> list[Refusal | None]:
        report = verify_evidence_file(evidence, policy, now=wanted["now"])
        assert report.snapshot.version == wanted["snapshotVersion"]
        return [item.refusal if isinstance(item, RefusedPassage) else None for item in report.results]

    assert refusals(data) == wanted["refusals"] == [None] * 3
    for case in wanted["bent"]:
        value = json.loads(data)
        value["passages"][case["passage"]][case["field"]] = case["value"]
        assert refusals(encode(value)) == case["refusals"]
        assert case["refusals"][case["passage"]] is not None
