"""Proofs that travel: the formats of C2SP, and every line of them bent once."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.provenance.forge import NOW, ORIGIN, key_of, make_policy
from trustrag.errors import AuthorityError, MalformedError, ProofError, Refusal, SignatureError
from trustrag.provenance import merkle
from trustrag.provenance.canonical import Digest
from trustrag.provenance.checkpoint import MAX_INTEGER, MAX_NOTE_BYTES, Checkpoint, cosign, sign_checkpoint
from trustrag.provenance.logproof import MAX_EXTRA, MAX_HASHES, Growth, LogProof

LEAVES = [merkle.leaf_hash(b"entry %d" % number) for number in range(11)]
NOTE = sign_checkpoint(Checkpoint(ORIGIN, 11, Digest(merkle.root(LEAVES))), key_of("log"))
PROOF = LogProof(4, tuple(merkle.inclusion_proof(LEAVES, 4)), NOTE)
GROWTH = Growth(5, tuple(merkle.consistency_proof(LEAVES, 5)), NOTE)
SMALL = sign_checkpoint(Checkpoint(ORIGIN, 1, Digest(LEAVES[0])), key_of("log"))


def test_a_proof_has_the_lines_of_the_specification() -> None:
    lines = PROOF.encode().decode().split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1] == "index 4"
    assert lines[2 + len(PROOF.hashes)] == ""
    assert PROOF.encode().endswith(b"\n\n" + NOTE)


def test_growth_is_the_body_of_an_add_checkpoint_request() -> None:
    lines = GROWTH.encode().decode().split("\n")
    assert lines[0] == "old 5"
    assert lines[1 + len(GROWTH.hashes)] == ""
    assert Growth.parse(GROWTH.encode()) == GROWTH
    assert Growth.parse(Growth(0, (), NOTE).encode()) == Growth(0, (), NOTE)


@given(
    st.integers(0, 2**63 - 1),
    st.lists(st.binary(min_size=32, max_size=32), max_size=63),
    st.none() | st.binary(max_size=99),
)
def test_a_proof_comes_back_as_it_went(index: int, hashes: list[bytes], extra: bytes | None) -> None:
    proof = LogProof(index, tuple(hashes), NOTE, extra)
    assert LogProof.parse(proof.encode()) == proof


def test_a_proof_leads_its_entry_to_the_checkpoint() -> None:
    accepted = LogProof.parse(PROOF.encode()).verify(LEAVES[4], make_policy(), NOW)
    assert (accepted.origin, accepted.size) == (ORIGIN, 11)
    alone = LogProof(0, (), SMALL)
    assert LogProof.parse(alone.encode()).verify(LEAVES[0], make_policy(), NOW).size == 1


def test_another_entry_index_or_hash_is_refused() -> None:
    bent = (bytes(32), *PROOF.hashes[1:])
    for proof, leaf in (
        (PROOF, LEAVES[5]),
        (replace(PROOF, index=5), LEAVES[4]),
        (replace(PROOF, hashes=bent), LEAVES[4]),
        (replace(PROOF, hashes=PROOF.hashes[:-1]), LEAVES[4]),
        (replace(PROOF, index=11), LEAVES[4]),
    ):
        with pytest.raises(ProofError) as caught:
            proof.verify(leaf, make_policy(), NOW)
        assert caught.value.refusal is Refusal.NOT_IN_SNAPSHOT


def test_a_checkpoint_of_another_key_is_refused() -> None:
    forged = sign_checkpoint(Checkpoint(ORIGIN, 11, Digest(merkle.root(LEAVES))), key_of("stranger"))
    with pytest.raises(SignatureError):
        replace(PROOF, checkpoint=forged).verify(LEAVES[4], make_policy(), NOW)


def test_the_witnesses_that_the_policy_asks_for_must_have_signed() -> None:
    policy = make_policy(quorum=1)
    with pytest.raises(AuthorityError) as caught:
        PROOF.verify(LEAVES[4], policy, NOW)
    assert caught.value.refusal is Refusal.NO_QUORUM
    name = policy.witnesses[0].name
    seen = replace(PROOF, checkpoint=cosign(NOTE, name, key_of("witness"), NOW))
    assert seen.verify(LEAVES[4], policy, NOW).witnesses == (name,)


def test_the_largest_proof_there_may_be_is_read_and_nothing_above_it() -> None:
    most = LogProof(MAX_INTEGER, (bytes(32),) * MAX_HASHES, NOTE)
    assert LogProof.parse(most.encode()) == most
    for more in (replace(most, index=MAX_INTEGER + 1), replace(most, hashes=(*most.hashes, bytes(32)))):
        with pytest.raises(MalformedError):
            LogProof.parse(more.encode())


def test_a_proof_is_read_up_to_its_length_in_bytes() -> None:
    limit = MAX_NOTE_BYTES + 2 * MAX_EXTRA
    room = limit - len(LogProof(4, (), NOTE, b"").encode())
    hashes = (bytes(32),) * (room % 4)  # a line of 45 bytes each; an extra grows by four
    longest = LogProof(4, hashes, NOTE, bytes((room - 45 * len(hashes)) // 4 * 3))
    assert len(longest.encode()) == limit
    assert LogProof.parse(longest.encode()) == longest
    with pytest.raises(MalformedError, match="at most"):
        LogProof.parse(replace(longest, index=40).encode())


HASH = b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"


@pytest.mark.parametrize(
    "head",
    [
        b"c2sp.org/tlog-proof@v2\nindex 4\n",
        b"index 4\n",
        b"c2sp.org/tlog-proof@v1\n",
        b"c2sp.org/tlog-proof@v1\nextra AA==\n",
        b"c2sp.org/tlog-proof@v1\nextra AA\nindex 4\n",
        b"c2sp.org/tlog-proof@v1\nindex 04\n",
        b"c2sp.org/tlog-proof@v1\nindex -1\n",
        b"c2sp.org/tlog-proof@v1\nindex  4\n",
        b"c2sp.org/tlog-proof@v1\nindices 4\n",
        b"c2sp.org/tlog-proof@v1\nindex 9999999999999999999\n",
        b"c2sp.org/tlog-proof@v1\nindex 4\nAAAA\n",
        b"c2sp.org/tlog-proof@v1\nindex 4\nnot base64\n",
        b"c2sp.org/tlog-proof@v1\nindex 4\n" + HASH * 64,
        "c2sp.org/tlog-proof@v1\nindex 4\né\n".encode(),
        b"x" * 400_000,
    ],
    ids=range(15),
)
def test_what_is_no_proof_is_malformed(head: bytes) -> None:
    with pytest.raises(MalformedError):
        LogProof.parse(head + b"\n" + NOTE)


def test_a_proof_without_a_checkpoint_is_malformed() -> None:
    for data in (
        b"",
        b"c2sp.org/tlog-proof@v1\nindex 4\n",
        PROOF.encode()[: -len(NOTE)],
        b"old 1\n\nno note\n",
    ):
        with pytest.raises(MalformedError):
            LogProof.parse(data)
        with pytest.raises(MalformedError):
            Growth.parse(data)


@given(st.data())
def test_bent_bytes_are_malformed_or_say_something_else(data: st.DataObject) -> None:
    bent = bytearray(PROOF.encode())
    at = data.draw(st.integers(0, len(bent) - 1))
    bent[at] ^= data.draw(st.integers(1, 255))
    try:
        found = LogProof.parse(bytes(bent))
    except MalformedError:
        return
    with pytest.raises((ProofError, SignatureError, MalformedError)):
        found.verify(LEAVES[4], make_policy(), NOW)
