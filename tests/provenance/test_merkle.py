"""RFC 6962 trees: every proof that is made is accepted, and every bent one is refused."""

from collections.abc import Callable
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.errors import ProofError, Refusal
from trustrag.provenance import merkle

LEAVES = [merkle.leaf_hash(bytes([number])) for number in range(70)]
SIZES = st.integers(1, len(LEAVES))


def defined_root(leaves: list[bytes]) -> bytes:
    """MTH as RFC 6962, 2.1 defines it, recursion and all."""
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << ((len(leaves) - 1).bit_length() - 1)
    left, right = defined_root(leaves[:split]), defined_root(leaves[split:])
    return sha256(b"\x01" + left + right).digest()


def grown(size: int) -> dict[tuple[int, int], bytes]:
    """The stored nodes of a log that took its leaves one by one."""
    stored: dict[tuple[int, int], bytes] = {}
    for count in range(size):
        for level, index, value in merkle.append(count, LEAVES[count], lambda *at: stored[at]):
            assert (level, index) not in stored, "a node is written once"
            stored[level, index] = value
    return stored


STORED = grown(len(LEAVES))


def node(level: int, index: int) -> bytes:
    return STORED[level, index]


# ---- roots ---------------------------------------------------------------------------------------------


def test_the_empty_tree() -> None:
    assert merkle.root([]) == merkle.root_at(0, node) == merkle.EMPTY_ROOT == sha256(b"").digest()


def test_leaves_and_nodes_are_told_apart() -> None:
    assert merkle.leaf_hash(b"") == sha256(b"\x00").digest()
    assert merkle.node_hash(b"l", b"r") == sha256(b"\x01lr").digest()
    assert merkle.leaf_hash(bytes(64)) != merkle.node_hash(bytes(32), bytes(32))


def test_roots_that_every_certificate_log_knows() -> None:
    """The eight leaves and roots that implementations of RFC 6962 have tested each other with."""
    data = [
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    ]
    roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ]
    leaves = [merkle.leaf_hash(bytes.fromhex(item)) for item in data]
    assert [merkle.root(leaves[: count + 1]).hex() for count in range(8)] == roots


@pytest.mark.parametrize("size", range(1, len(LEAVES) + 1))
def test_root_is_the_one_that_the_rfc_defines(size: int) -> None:
    assert merkle.root(LEAVES[:size]) == merkle.root_at(size, node) == defined_root(LEAVES[:size])


def test_append_stores_each_complete_subtree_once() -> None:
    stored = grown(8)
    assert len(stored) == 8 + 4 + 2 + 1
    assert merkle.append(8, LEAVES[8], node) == [(0, 8, LEAVES[8])]
    assert [(level, index) for level, index, _ in merkle.append(7, LEAVES[7], node)] == [
        (0, 7),
        (1, 3),
        (2, 1),
        (3, 0),
    ]


# ---- proofs --------------------------------------------------------------------------------------------


def rfc_tree() -> dict[str, bytes]:
    """The seven leaves of RFC 6962, 2.1.3, and its nodes by their letters there."""
    a, b, c, d, e, f, j = LEAVES[:7]
    g, h, i = merkle.node_hash(a, b), merkle.node_hash(c, d), merkle.node_hash(e, f)
    k, l_ = merkle.node_hash(g, h), merkle.node_hash(i, j)
    return {"a": a, "b": b, "c": c, "d": d, "e": e, "f": f, "g": g, "h": h, "i": i, "j": j, "k": k, "l": l_}


@pytest.mark.parametrize(("index", "path"), [(0, "bhl"), (3, "cgl"), (4, "fjk"), (6, "ik")])
def test_rfc6962_inclusion_examples(index: int, path: str) -> None:
    letters = rfc_tree()
    assert merkle.inclusion_proof(LEAVES[:7], index) == [letters[letter] for letter in path]


@pytest.mark.parametrize(("old", "proof"), [(3, "cdgl"), (4, "l"), (6, "ijk")])
def test_rfc6962_consistency_examples(old: int, proof: str) -> None:
    letters = rfc_tree()
    assert merkle.consistency_proof(LEAVES[:7], old) == [letters[letter] for letter in proof]


@pytest.mark.parametrize("size", range(1, len(LEAVES) + 1))
def test_every_leaf_is_proved(size: int) -> None:
    root = merkle.root(LEAVES[:size])
    for index in range(size):
        proof = merkle.inclusion_proof(LEAVES[:size], index)
        assert proof == merkle.inclusion_path(index, size, node)
        assert merkle.root_from_inclusion(index, size, LEAVES[index], proof) == root
        merkle.verify_inclusion(index, size, LEAVES[index], proof, root)


@pytest.mark.parametrize("size", range(1, len(LEAVES) + 1))
def test_every_beginning_is_proved(size: int) -> None:
    new_root = merkle.root(LEAVES[:size])
    for old in range(1, size + 1):
        old_root = merkle.root(LEAVES[:old])
        proof = merkle.consistency_proof(LEAVES[:size], old)
        assert proof == merkle.consistency_path(old, size, node)
        merkle.verify_consistency(old, size, old_root, new_root, proof)
        if old < size:
            assert merkle.roots_from_consistency(old, size, old_root, proof) == (old_root, new_root)


def test_a_path_in_a_million_leaves_reads_a_few_nodes() -> None:
    asked = []

    def counted(level: int, index: int) -> bytes:
        asked.append((level, index))
        return bytes(32)

    size = (1 << 20) - 1
    assert len(merkle.inclusion_path(12_345, size, counted)) == 20
    assert len(asked) < 60


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_no_proof_is_made_of_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        merkle.inclusion_proof(LEAVES[:size], index)


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3), (-1, 3), (0, 0)])
def test_no_proof_is_made_from_nothing_or_backwards(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="no consistency proof"):
        merkle.consistency_proof(LEAVES[:new], old)


# ---- refusals ------------------------------------------------------------------------------------------


def flipped(value: bytes, at: int = 5) -> bytes:
    return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]


Bend = Callable[[int, int, bytes, list[bytes], bytes], tuple[int, int, bytes, list[bytes], bytes]]

BENT_INCLUSIONS: dict[str, Bend] = {
    "next index": lambda i, n, leaf, proof, root: (i + 1, n, leaf, proof, root),
    "negative index": lambda i, n, leaf, proof, root: (-1, n, leaf, proof, root),
    "index beyond": lambda i, n, leaf, proof, root: (n, n, leaf, proof, root),
    "size zero": lambda i, n, leaf, proof, root: (i, 0, leaf, proof, root),
    "half the size": lambda i, n, leaf, proof, root: (i, n // 2, leaf, proof, root),
    "twice the size": lambda i, n, leaf, proof, root: (i, n * 2, leaf, proof, root),
    "another leaf": lambda i, n, leaf, proof, root: (i, n, flipped(leaf), proof, root),
    "empty leaf": lambda i, n, leaf, proof, root: (i, n, b"", proof, root),
    "another root": lambda i, n, leaf, proof, root: (i, n, leaf, proof, flipped(root)),
    "empty root": lambda i, n, leaf, proof, root: (i, n, leaf, proof, b""),
    "no proof": lambda i, n, leaf, proof, root: (i, n, leaf, [], root),
    "one less": lambda i, n, leaf, proof, root: (i, n, leaf, proof[:-1], root),
    "one more": lambda i, n, leaf, proof, root: (i, n, leaf, [*proof, bytes(32)], root),
    "one more before": lambda i, n, leaf, proof, root: (i, n, leaf, [bytes(32), *proof], root),
    "swapped": lambda i, n, leaf, proof, root: (i, n, leaf, proof[::-1], root),
    "empty hash": lambda i, n, leaf, proof, root: (i, n, leaf, [*proof[:-1], b""], root),
    "long hash": lambda i, n, leaf, proof, root: (i, n, leaf, [*proof[:-1], proof[-1] + b"\0"], root),
    "bent hash": lambda i, n, leaf, proof, root: (i, n, leaf, [flipped(proof[0]), *proof[1:]], root),
}


@pytest.mark.parametrize("bend", BENT_INCLUSIONS.values(), ids=BENT_INCLUSIONS)
@pytest.mark.parametrize(("index", "size"), [(0, 11), (5, 11), (6, 13), (10, 12)])
def test_a_bent_inclusion_is_refused(bend: Bend, index: int, size: int) -> None:
    honest = (
        index,
        size,
        LEAVES[index],
        merkle.inclusion_proof(LEAVES[:size], index),
        merkle.root(LEAVES[:size]),
    )
    merkle.verify_inclusion(*honest)
    with pytest.raises(ProofError) as caught:
        merkle.verify_inclusion(*bend(*honest))
    assert caught.value.refusal is Refusal.NOT_IN_SNAPSHOT


def test_an_index_beyond_the_size_is_refused_though_the_hashes_fit() -> None:
    proof, root = merkle.inclusion_proof(LEAVES[:4], 3), merkle.root(LEAVES[:4])
    merkle.verify_inclusion(3, 4, LEAVES[3], proof, root)
    with pytest.raises(ProofError, match="no leaf 3 in a tree of 3"):
        merkle.verify_inclusion(3, 3, LEAVES[3], proof, root)
    with pytest.raises(ProofError, match="no leaf -1 in a tree of 4"):
        merkle.verify_inclusion(-1, 4, LEAVES[3], proof, root)


def test_a_cut_between_two_hashes_may_not_move() -> None:
    """Joined, 40 and 24 bytes hash as 32 and 32 do: only the guard on lengths tells them apart."""
    left, right = LEAVES[:2]
    root = merkle.node_hash(left, right)
    longer, shorter = left + right[:8], right[8:]
    assert merkle.node_hash(longer, shorter) == root
    with pytest.raises(ProofError, match="32 bytes"):
        merkle.verify_inclusion(0, 2, longer, [shorter], root)
    with pytest.raises(ProofError, match="32 bytes"):
        merkle.verify_consistency(1, 2, longer, root, [shorter])


Shift = Callable[[int, int, bytes, bytes, list[bytes]], tuple[int, int, bytes, bytes, list[bytes]]]

BENT_CONSISTENCIES: dict[str, Shift] = {
    "old size zero": lambda m, n, old, new, proof: (0, n, old, new, proof),
    "old size negative": lambda m, n, old, new, proof: (-1, n, old, new, proof),
    "next old size": lambda m, n, old, new, proof: (m + 1, n, old, new, proof),
    "twice the new size": lambda m, n, old, new, proof: (m, n * 2, old, new, proof),
    "backwards": lambda m, n, old, new, proof: (n, m, new, old, proof),
    "swapped roots": lambda m, n, old, new, proof: (m, n, new, old, proof),
    "another old root": lambda m, n, old, new, proof: (m, n, flipped(old), new, proof),
    "another new root": lambda m, n, old, new, proof: (m, n, old, flipped(new), proof),
    "empty old root": lambda m, n, old, new, proof: (m, n, b"", new, proof),
    "empty new root": lambda m, n, old, new, proof: (m, n, old, b"", proof),
    "no proof": lambda m, n, old, new, proof: (m, n, old, new, []),
    "one less": lambda m, n, old, new, proof: (m, n, old, new, proof[:-1]),
    "one more": lambda m, n, old, new, proof: (m, n, old, new, [*proof, bytes(32)]),
    "one more before": lambda m, n, old, new, proof: (m, n, old, new, [old, *proof]),
    "empty hash": lambda m, n, old, new, proof: (m, n, old, new, [*proof[:-1], b""]),
    "bent first hash": lambda m, n, old, new, proof: (m, n, old, new, [flipped(proof[0]), *proof[1:]]),
    "bent last hash": lambda m, n, old, new, proof: (m, n, old, new, [*proof[:-1], flipped(proof[-1])]),
    "same size": lambda m, n, old, new, proof: (n, n, old, new, []),
    "same size with a proof": lambda m, n, old, new, proof: (n, n, new, new, proof),
}


@pytest.mark.parametrize("bend", BENT_CONSISTENCIES.values(), ids=BENT_CONSISTENCIES)
@pytest.mark.parametrize(("old", "new"), [(3, 7), (4, 7), (6, 7), (8, 21), (1, 2)])
def test_a_bent_consistency_is_refused(bend: Shift, old: int, new: int) -> None:
    roots = merkle.root(LEAVES[:old]), merkle.root(LEAVES[:new])
    honest = old, new, *roots, merkle.consistency_proof(LEAVES[:new], old)
    merkle.verify_consistency(*honest)
    with pytest.raises(ProofError) as caught:
        merkle.verify_consistency(*bend(*honest))
    assert caught.value.refusal is Refusal.FORK


@pytest.mark.parametrize("old_root", [merkle.EMPTY_ROOT, b""])
def test_nothing_follows_from_an_empty_tree(old_root: bytes) -> None:
    with pytest.raises(ProofError):
        merkle.verify_consistency(0, 0, old_root, old_root, [])
    with pytest.raises(ProofError):
        merkle.verify_consistency(1, 1, b"", b"", [])
    with pytest.raises(ProofError):
        merkle.verify_consistency(0, 1, old_root, LEAVES[0], [])


@given(st.data(), SIZES)
def test_any_one_bit_of_an_inclusion_counts(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(0, size - 1))
    parts = [LEAVES[index], merkle.root(LEAVES[:size]), *merkle.inclusion_proof(LEAVES[:size], index)]
    part, bit = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, 255))
    bent = bytearray(parts[part])
    bent[bit // 8] ^= 1 << bit % 8
    parts[part] = bytes(bent)
    with pytest.raises(ProofError):
        merkle.verify_inclusion(index, size, parts[0], parts[2:], parts[1])


@given(st.data(), SIZES)
def test_any_one_bit_of_a_consistency_counts(data: st.DataObject, size: int) -> None:
    old = data.draw(st.integers(1, size))
    proof = merkle.consistency_proof(LEAVES[:size], old)
    parts = [merkle.root(LEAVES[:old]), merkle.root(LEAVES[:size]), *proof]
    part, bit = data.draw(st.integers(0, len(parts) - 1)), data.draw(st.integers(0, 255))
    bent = bytearray(parts[part])
    bent[bit // 8] ^= 1 << bit % 8
    parts[part] = bytes(bent)
    with pytest.raises(ProofError):
        merkle.verify_consistency(old, size, parts[0], parts[1], parts[2:])


@given(
    st.integers(-5, 80),
    st.integers(-5, 80),
    st.binary(max_size=40),
    st.lists(st.binary(max_size=33), max_size=8),
)
def test_noise_is_no_proof(first: int, second: int, value: bytes, proof: list[bytes]) -> None:
    with pytest.raises(ProofError):
        merkle.verify_inclusion(first, second, value, proof, merkle.EMPTY_ROOT)
    with pytest.raises(ProofError):
        merkle.verify_consistency(first, second, value, merkle.EMPTY_ROOT, proof)


@pytest.mark.parametrize(("old", "new"), [(0, 0), (0, 4), (4, 4), (5, 5), (5, 4)])
def test_sizes_between_which_nothing_can_be_proved(old: int, new: int) -> None:
    for count in range(5):
        with pytest.raises(ProofError, match=f"from size {old} to {new}"):
            merkle.roots_from_consistency(old, new, bytes(32), [bytes(32)] * count)
