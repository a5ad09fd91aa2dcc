"""Writes our published vectors into tests/vectors/trustrag/, from fixed seeds: always the same bytes.

    python -m tests.vectors.make

Another implementation that reads these files and reaches the same digests, roots and verdicts speaks our
formats (docs/formats.md). The private keys are SHA-256 of their names, for everyone to repeat.
"""

import json
from pathlib import Path
from typing import Any

from tests.arguments import nothing
from tests.provenance.forge import (
    CONTEXT,
    KEYS,
    NOW,
    Doc,
    Forge,
    ingest_statement,
    make_policy,
    review_statement,
    source_statement,
)
from trustrag.provenance import merkle
from trustrag.provenance.canonical import Digest, encode
from trustrag.provenance.envelope import sign
from trustrag.provenance.evidence import RefusedPassage
from trustrag.provenance.export import EvidenceFile, ShownPassage, verify_evidence_file
from trustrag.provenance.standing import bucket_of
from trustrag.provenance.statement import (
    RejectionStatement,
    RollbackStatement,
    SnapshotStatement,
    Statement,
    WithdrawalStatement,
)
from trustrag.retrieval.asked import Asked
from trustrag.retrieval.receipt import Procedure, Receipt, ReceiptFile, ReceivedPassage

FOLDER = Path(__file__).parent / "trustrag"
DOCUMENTS = (
    Doc(),
    Doc("guide/Übergabe.md", "Schlüssel werden übergeben. Niemand behält einen.".encode(), 2),
)


def statements() -> list[dict[str, Any]]:
    """Every kind of statement: its signed bytes, and the envelope around them."""
    source = source_statement(*DOCUMENTS)
    ingest = ingest_statement(sign(source.encode(), KEYS["source"]), *DOCUMENTS)
    spoken: list[tuple[str, Statement, str]] = [
        ("source", source, "source"),
        ("ingest", ingest, "ingest"),
        ("review", review_statement(sign(ingest.encode(), KEYS["ingest"])), "screen"),
        (
            "rejection",
            RejectionStatement(Digest.of(ingest.encode()), "the terms were changed", NOW),
            "review",
        ),
        (
            "snapshot",
            SnapshotStatement(
                CONTEXT, Digest(merkle.EMPTY_ROOT), 1, None, 0, "publish", None, NOW, NOW + 86_400
            ),
            "seal",
        ),
        ("withdrawal", WithdrawalStatement(CONTEXT, "guide/logs.md", None, "superseded by law", NOW), "seal"),
        (
            "rollback",
            RollbackStatement(
                CONTEXT, 1, Digest(merkle.EMPTY_ROOT), 3, Digest.of(b"present"), "a bad batch", NOW
            ),
            "review",
        ),
    ]
    return [
        {
            "name": name,
            "payload": statement.encode().decode(),
            "payloadDigest": Digest.of(statement.encode()).hex,
            "signer": signer,
            "publicKey": KEYS[signer].public_key.hex,
            "envelope": sign(statement.encode(), KEYS[signer]).encode().decode(),
            "envelopeDigest": sign(statement.encode(), KEYS[signer]).digest.hex,
        }
        for name, statement, signer in spoken
    ]


def receipt() -> dict[str, Any]:
    """A receipt of one search, and the file around it."""
    asked = Asked("How long are logs kept?", bytes.fromhex("0000803f00000000"), 5, where={"title": "Logs"})
    said = Receipt(
        context=CONTEXT,
        policy=Digest.of(b"the policy"),
        snapshot=3,
        root=Digest.of(b"what stands"),
        log_size=9,
        log_root=Digest.of(b"the log"),
        procedure=Procedure.of(asked, "flat"),
        question=Digest.of(asked.question.encode()),
        vector=Digest.of(asked.vector),
        results=(ReceivedPassage("guide/logs.md", 1, 0, Digest.of(b"its leaf")),),
        issued_at=NOW,
    )
    file = ReceiptFile(sign(said.encode(), KEYS["answer"]), asked)
    return {"payload": said.encode().decode(), "signer": "answer", "file": file.encode().decode()}


def store() -> tuple[EvidenceFile, dict[str, Any]]:
    """A small sealed store: its evidence file, and each step of the way from a chunk to the standing root."""
    forge = Forge()
    forge.publish(*DOCUMENTS)
    sealed = forge.seal()
    shown = [sealed.passage(0, doc, chunk) for doc, chunk in ((0, 0), (0, 2), (1, 1))]
    steps = [
        {
            "text": passage.text,
            "vector": passage.vector.hex(),
            "metadata": passage.metadata.decode(),
            "leaf": passage.evidence.leaf.encode().decode(),
            "leafHash": merkle.leaf_hash(passage.evidence.leaf.encode()).hex(),
            "chunkPath": [item.hex() for item in passage.evidence.chunk_path],
            "chunkRoot": passage.evidence.entry.chunk_root.hex,
            "entry": passage.evidence.entry.encode().decode(),
            "bucket": bucket_of(passage.evidence.entry.doc_id),
            "position": passage.evidence.standing.position,
            "bucketSize": passage.evidence.standing.bucket_size,
            "bucketPath": [item.hex() for item in passage.evidence.standing.bucket_path],
            "topPath": [item.hex() for item in passage.evidence.standing.top_path],
            "standingRoot": sealed.accept().root.hex,
        }
        for passage in shown
    ]
    passages = tuple(ShownPassage(item.text, item.metadata, item.vector, item.evidence) for item in shown)
    log = {
        "entries": [entry.decode() for entry in forge.entries],
        "checkpoint": sealed.note.decode(),
        "logRoot": sealed.checkpoint.root.hex,
    }
    return EvidenceFile(sealed.head(), passages), {"passages": steps, **log}


def expected(data: bytes) -> dict[str, Any]:
    """What `trustrag verify` has to say of the evidence file, and of copies with one thing bent."""
    bends: list[tuple[str, Any]] = [
        ("text", "Logs are kept for ever."),
        ("metadata", '{"title":"Pets"}'),
        ("vector", "AAAAAAAAAAAAAAAAAAAAAA=="),
        ("chunkPath", ["00" * 32, "00" * 32]),
    ]
    cases = []
    for name, new in bends:
        value = json.loads(data)
        value["passages"][0][name] = new
        results = verify_evidence_file(encode(value), make_policy(), now=NOW).results
        refusals = [item.refusal if isinstance(item, RefusedPassage) else None for item in results]
        cases.append({"passage": 0, "field": name, "value": new, "refusals": refusals})
    honest = verify_evidence_file(data, make_policy(), now=NOW)
    return {
        "now": NOW,
        "snapshotVersion": honest.snapshot.version,
        "refusals": [None for _ in honest.results],
        "bent": cases,
    }


def files() -> dict[str, bytes]:
    """Every vector file by name."""
    evidence, steps = store()
    return {
        "keys.json": _pretty({name: KEYS[name].public_key.hex for name in KEYS}),
        "statements.json": _pretty(statements()),
        "receipt.json": _pretty(receipt()),
        "standing.json": _pretty(steps),
        "policy.json": make_policy().encode(),
        "evidence.json": evidence.encode(),
        "expected.json": _pretty(expected(evidence.encode())),
    }


def _pretty(value: Any) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, data in files().items():
        (FOLDER / name).write_bytes(data)


if __name__ == "__main__":
    nothing(__doc__)
    main()
