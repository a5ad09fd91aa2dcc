"""Signed notes, by examples of C2SP and others made from them, where they are there."""

import json
from typing import Any

from tests.shared import shared_path
from trustrag.errors import MalformedError, SignatureError
from trustrag.provenance import checkpoint
from trustrag.provenance.checkpoint import COSIGNATURE, ED25519, Note, VerifierKey


def holds(case: dict[str, Any]) -> bool:
    """Whether every key that the case names has signed its note, each in its own way."""
    try:
        note = Note.parse(case["note"].encode())
        assert note.encode() == case["note"].encode()
        for verifier in map(VerifierKey.parse, case["vkeys"]):
            if verifier.kind == COSIGNATURE:
                if checkpoint.verify_cosignature(note, verifier) is None:
                    return False
            else:
                (signature,) = note.signed_by(verifier)
                verifier.key.verify(note.text, signature)
    except (MalformedError, SignatureError):
        return False
    return True


if NOTES := shared_path("vectors", "note", "notes.json"):

    def test_notes() -> None:
        cases = json.loads(NOTES.read_text("utf-8"))
        wrong = [case["name"] for case in cases if holds(case) != case["valid"]]
        assert wrong == []
        assert len(cases) == 4

    def test_the_checkpoint_among_them() -> None:
        (case,) = [case for case in json.loads(NOTES.read_text("utf-8")) if "cosignature" in case["name"]]
        log, witness = map(VerifierKey.parse, case["vkeys"])
        note = Note.parse(case["note"].encode())
        head, signers = checkpoint.verify_checkpoint(note, [log])
        assert (head.origin, head.size, signers) == ("trustrag.example/acme/kb", 256, (log.key,))
        assert (log.kind, witness.kind) == (ED25519, COSIGNATURE)
        assert checkpoint.verify_cosignature(note, witness) == 1_795_420_000
