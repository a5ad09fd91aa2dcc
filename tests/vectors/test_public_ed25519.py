"""Ed25519 by vectors that others made; those in the shared folder where they are there."""

import json

import cryptography_vectors
import pytest

from tests.shared import shared_path
from trustrag.errors import MalformedError, SignatureError
from trustrag.provenance.keys import PrivateKey, PublicKey


def verifies(public: str, message: str, signature: str) -> bool:
    try:
        PublicKey.parse(public).verify(bytes.fromhex(message), bytes.fromhex(signature))
    except (MalformedError, SignatureError):
        return False
    return True


def signs(line: str) -> bool:
    """One line of sign.input: seed and key, key, message, signature and message."""
    secret, public, message, signed = line.split(":")[:4]
    key = PrivateKey.from_seed(bytes.fromhex(secret[:64]))
    signature = key.sign(bytes.fromhex(message)).hex()
    return (
        key.public_key.hex == public
        and signature + message == signed
        and verifies(public, message, signature)
    )


def test_sign_input_of_the_cryptography_project() -> None:
    with cryptography_vectors.open_vector_file("asymmetric/Ed25519/sign.input", "r") as lines:
        results = [signs(line) for line in lines]
    assert (results.count(True), len(results)) == (1024, 1024)


if SIGN_INPUT := shared_path("vectors", "rfc8032-signinput", "sign.input.txt"):

    def test_sign_input() -> None:
        results = [signs(line) for line in SIGN_INPUT.read_text().splitlines()]
        assert (results.count(True), len(results)) == (1024, 1024)


if RFC8032 := shared_path("vectors", "rfc8032-signinput", "rfc8032-7.1.json"):

    def test_rfc8032() -> None:
        cases = json.loads(RFC8032.read_text())
        results = []
        for case in cases:
            key = PrivateKey.from_seed(bytes.fromhex(case["secret"]))
            same = (
                key.public_key.hex == case["public"]
                and key.sign(bytes.fromhex(case["msg"])).hex() == case["sig"]
            )
            results.append(same and verifies(case["public"], case["msg"], case["sig"]))
        assert (results.count(True), len(results)) == (5, 5)


if WYCHEPROOF := shared_path("vectors", "wycheproof", "ed25519_test.json"):

    def test_wycheproof() -> None:
        groups = json.loads(WYCHEPROOF.read_text())["testGroups"]
        cases = [(group["publicKey"]["pk"], case) for group in groups for case in group["tests"]]
        wrong = [
            case["tcId"]
            for public, case in cases
            if verifies(public, case["msg"], case["sig"]) != (case["result"] == "valid")
        ]
        assert wrong == []
        assert len(cases) == 151
        assert sum(case["result"] == "invalid" for _, case in cases) == 63


def test_the_vectors_can_fail() -> None:
    with cryptography_vectors.open_vector_file("asymmetric/Ed25519/sign.input", "r") as lines:
        line = lines.readlines()[1]
    assert signs(line)
    with pytest.raises(ValueError, match="non-hexadecimal"):
        signs("x" + line[1:])
    assert not signs("0" + line[1:])
