"""RFC 6962 Merkle trees over SHA-256: proofs made and checked side by side.

Every function takes and returns plain values, and hashes are 32 raw bytes. A check is three steps: guard the
shape, compute the root, compare. What makes a proof reads the tree through `node(level, index)`, the hash of
the complete subtree over leaves `index << level` up to `(index + 1) << level`; so a log in a database is
proved from a few dozen rows, and a short list of hashes by the same code.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import TypeAlias

from trustrag.errors import ProofError, Refusal

Node: TypeAlias = Callable[[int, int], bytes]

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(data: bytes) -> bytes:
    """SHA-256(0x00 || data): a leaf can never pass for an inner node (RFC 6962, 2.1)."""
    return sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right) (RFC 6962, 2.1)."""
    return sha256(b"\x01" + left + right).digest()


def root(leaf_hashes: Sequence[bytes]) -> bytes:
    """The root over these leaf hashes; EMPTY_ROOT over none."""
    return root_at(len(leaf_hashes), _nodes_of(leaf_hashes))


def root_at(size: int, node: Node) -> bytes:
    """The root of the tree's first `size` leaves."""
    return _subtree(0, size, node) if size else EMPTY_ROOT


def append(size: int, new_leaf: bytes, node: Node) -> list[tuple[int, int, bytes]]:
    """What a tree of `size` leaves has to store when one more leaf hash comes.

    Returns (level, index, hash) of every subtree that this leaf completes, the leaf itself first.
    """
    completed = [(0, size, new_leaf)]
    while size & 1:
        level, index, right = completed[-1]
        completed.append((level + 1, index >> 1, node_hash(node(level, index - 1), right)))
        size >>= 1
    return completed


def inclusion_proof(leaf_hashes: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of the leaf at `index`. Requires 0 <= index < len(leaf_hashes), else ValueError."""
    return inclusion_path(index, len(leaf_hashes), _nodes_of(leaf_hashes))


def inclusion_path(index: int, size: int, node: Node) -> list[bytes]:
    """The audit path of a leaf in the tree's first `size` leaves (RFC 6962, 2.1.1).

    Requires 0 <= index < size, else ValueError.
    """
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    return _siblings(0, index, size, node)


def root_from_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes]) -> bytes:
    """The root that this leaf hash and path lead to; it compares nothing.

    Requires 0 <= index < size, hashes of 32 bytes, and exactly as many as such a path has, else ProofError.
    """
    if not 0 <= index < size:
        raise ProofError(Refusal.NOT_IN_SNAPSHOT, f"no leaf {index} in a tree of {size}")
    inner, border = _path_shape(index, size)
    _require_hashes(Refusal.NOT_IN_SNAPSHOT, (leaf, *proof), 1 + inner + border)
    return _climb(leaf, index, proof, inner)


def verify_inclusion(index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> None:
    """Raises ProofError unless this leaf hash is at `index` in the tree of `size` leaves with this root."""
    if root_from_inclusion(index, size, leaf, proof) != root:
        raise ProofError(Refusal.NOT_IN_SNAPSHOT, f"leaf {index} of {size} does not lead to the signed root")


def consistency_proof(leaf_hashes: Sequence[bytes], old_size: int) -> list[bytes]:
    """Proves that these leaves extend their first `old_size`. Requires 0 < old_size <= len(leaf_hashes)."""
    return consistency_path(old_size, len(leaf_hashes), _nodes_of(leaf_hashes))


def consistency_path(old_size: int, new_size: int, node: Node) -> list[bytes]:
    """Proves that the tree's first `new_size` leaves extend its first `old_size` (RFC 6962, 2.1.2).

    Requires 0 < old_size <= new_size, else ValueError: nothing is proved by extending an empty tree.
    """
    if not 0 < old_size <= new_size:
        raise ValueError(f"no consistency proof from size {old_size} to {new_size}")
    if old_size == new_size:
        return []
    level, index = _last_complete(old_size)
    seed = [node(level, index)] if index else []  # the old tree is this subtree: its root is the seed
    return seed + _siblings(level, index, new_size, node)


def roots_from_consistency(
    old_size: int, new_size: int, old_root: bytes, proof: Sequence[bytes]
) -> tuple[bytes, bytes]:
    """The old and the new root that this proof leads to; it compares nothing.

    Requires 0 < old_size < new_size, hashes of 32 bytes, and as many as such a proof has, else ProofError.
    """
    if not 0 < old_size < new_size:
        raise ProofError(Refusal.FORK, f"no consistency proof leads from size {old_size} to {new_size}")
    level, last = _last_complete(old_size)
    inner, border = _path_shape(old_size - 1, new_size)
    inner -= level
    _require_hashes(Refusal.FORK, (old_root, *proof), 1 + (last > 0) + inner + border)

    seed, path = (proof[0], proof[1:]) if last else (old_root, proof)
    # The old tree ends at `last`: of the inner siblings it holds only those to the left.
    old = seed
    for at, sibling in enumerate(path):
        if at >= inner or last >> at & 1:
            old = node_hash(sibling, old)
    return old, _climb(seed, last, path, inner)


def verify_consistency(
    old_size: int, new_size: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]
) -> None:
    """Raises ProofError unless the tree with the new root holds the old tree as its beginning."""
    if old_size == new_size and old_size > 0 and not proof:
        roots = new_root, old_root  # nothing to hash: one tree has one root
    else:
        roots = roots_from_consistency(old_size, new_size, old_root, proof)
    if not old_root or roots != (old_root, new_root):
        raise ProofError(Refusal.FORK, f"the tree of {new_size} does not extend that of {old_size}")


def _nodes_of(leaf_hashes: Sequence[bytes]) -> Node:
    levels = [list(leaf_hashes)]
    while len(below := levels[-1]) > 1:
        levels.append([node_hash(below[at], below[at + 1]) for at in range(0, len(below) - 1, 2)])
    return lambda level, index: levels[level][index]


def _subtree(begin: int, end: int, node: Node) -> bytes:
    """The root over leaves begin to end: a complete subtree for each bit of the length, joined from right."""
    joined = b""
    for level in range((end - begin).bit_length()):
        if (end - begin) >> level & 1:
            end -= 1 << level
            peak = node(level, end >> level)
            joined = node_hash(peak, joined) if joined else peak
    return joined


def _siblings(level: int, index: int, size: int, node: Node) -> list[bytes]:
    """What stands beside the path from subtree (level, index) up to the root; on the right edge, less."""
    path = []
    while 1 << level < size:
        begin = (index ^ 1) << level
        if begin < size:
            path.append(_subtree(begin, min(begin + (1 << level), size), node))
        index >>= 1
        level += 1
    return path


def _climb(node: bytes, index: int, path: Sequence[bytes], inner: int) -> bytes:
    """Hashes up the tree: inner siblings stand right or left by the bits of the index, the border's left."""
    for sibling in path[:inner]:
        node = node_hash(sibling, node) if index & 1 else node_hash(node, sibling)
        index >>= 1
    for sibling in path[inner:]:
        node = node_hash(sibling, node)
    return node


def _path_shape(index: int, size: int) -> tuple[int, int]:
    """How many siblings a path has below, and above, the point where it joins the tree's right edge."""
    inner = (index ^ (size - 1)).bit_length()
    return inner, (index >> inner).bit_count()


def _last_complete(size: int) -> tuple[int, int]:
    """(level, index) of the last complete subtree in a tree of this size; index 0 where it is the tree."""
    level = (size & -size).bit_length() - 1
    return level, (size - 1) >> level


def _require_hashes(refusal: Refusal, hashes: Sequence[bytes], due: int) -> None:
    if len(hashes) != due:
        raise ProofError(refusal, f"the proof has {len(hashes) - 1} hashes, and {due - 1} were due")
    if any(len(item) != HASH_SIZE for item in hashes):
        raise ProofError(refusal, f"a hash in the proof has not {HASH_SIZE} bytes")
