"""Inclusion and consistency proofs by the vectors of transparency-dev/merkle, where they are there."""

import json
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.shared import shared_path
from trustrag.errors import ProofError
from trustrag.provenance import merkle


def hash_of(text: str | None) -> bytes:
    return b64decode(text or "")


def check_inclusion(case: dict[str, Any]) -> None:
    proof = [hash_of(item) for item in case["proof"] or []]
    merkle.verify_inclusion(
        case["leafIdx"], case["treeSize"], hash_of(case["leafHash"]), proof, hash_of(case["root"])
    )


def check_consistency(case: dict[str, Any]) -> None:
    proof = [hash_of(item) for item in case["proof"] or []]
    merkle.verify_consistency(
        case["size1"], case["size2"], hash_of(case["root1"]), hash_of(case["root2"]), proof
    )


def run(folder: Path, check: Callable[[dict[str, Any]], None]) -> tuple[list[str], int, int]:
    """Names of the cases that came out wrong, how many were accepted, how many there are."""
    wrong, accepted, files = [], 0, sorted(folder.rglob("*.json"))
    for file in files:
        case = json.loads(file.read_text())
        try:
            check(case)
            refused = False
        except ProofError:
            refused = True
        accepted += not refused
        if refused != case["wantErr"]:
            wrong.append(str(file.relative_to(folder)))
    return wrong, accepted, len(files)


if INCLUSION := shared_path("vectors", "merkle", "testdata", "inclusion"):

    def test_inclusion() -> None:
        wrong, accepted, count = run(INCLUSION, check_inclusion)
        assert wrong == []
        assert count == 98
        assert accepted > 5


if CONSISTENCY := shared_path("vectors", "merkle", "testdata", "consistency"):

    def test_consistency() -> None:
        wrong, accepted, count = run(CONSISTENCY, check_consistency)
        assert wrong == []
        assert count == 98
        assert accepted > 5
