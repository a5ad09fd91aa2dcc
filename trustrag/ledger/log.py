"""The append-only log: envelopes as RFC 6962 leaves, and proofs from its stored nodes.

Each entry's row keeps the hashes of all complete subtrees that the entry closes, its own leaf first. So node
(level, index) is in the row of its last leaf, an append writes one row and touches no other, and a proof
reads a few dozen rows at any size.
"""

from collections.abc import Sequence
from typing import TypeAlias

from trustrag.errors import LedgerError, MalformedError, ProofError
from trustrag.ledger.sqlite import Session
from trustrag.provenance.canonical import Digest
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.evidence import LoggedEnvelope
from trustrag.provenance.merkle import (
    HASH_SIZE,
    append,
    consistency_path,
    inclusion_path,
    leaf_hash,
    root_at,
    verify_inclusion,
)

Proved: TypeAlias = dict[int, tuple[Digest, LoggedEnvelope]]
"""Entries by index, each with the root that its proof leads to."""

_MAX_REMEMBERED = 1024  # an envelope has 65,535 bytes at most


class Log:
    """The log as one transaction sees it. Nodes that were read or made are remembered for its length."""

    def __init__(self, session: Session, memory: Proved | None = None) -> None:
        """`memory` may outlive the transaction: what it holds counts only for the same bytes and root."""
        self._session = session
        self._memory = {} if memory is None else memory
        self._size = session.log_size()
        self._closed_by: dict[int, bytes] = {}
        self._roots: dict[int, Digest] = {}
        self._logged: dict[tuple[int, int], LoggedEnvelope] = {}

    @property
    def size(self) -> int:
        return self._size

    def root(self, size: int) -> Digest:
        """The root of the first `size` entries. Requires 0 <= size <= self.size, else LedgerError."""
        self._require(size)
        return Digest(root_at(size, self.node))

    def append(self, envelope: Envelope) -> int:
        """The index of this envelope's entry; an envelope that is in the log already is not entered again."""
        data = envelope.encode()
        digest = Digest.of(data)
        known = self._session.entry_index(digest)
        if known is not None:
            return known
        index = self._size
        nodes = b"".join(node for _, _, node in append(index, leaf_hash(data), self.node))
        self._session.add_entry(index, digest, nodes, data)
        self._closed_by[index] = nodes
        self._size = index + 1
        return index

    def envelope(self, index: int) -> Envelope:
        """Raises MalformedError or LedgerError when the row holds no envelope."""
        return _parsed(index, self._session.entry_envelope(index))

    def proved(self, index: int, size: int) -> Envelope:
        """An entry that leads to the root of the first `size`, and is not kept. Raises LedgerError for another."""
        data = self._session.entry_envelope(index)
        if size not in self._roots:
            self._roots[size] = self.root(size)
        try:
            path = inclusion_path(index, size, self.node)
            verify_inclusion(index, size, leaf_hash(data), path, self._roots[size].value)
        except (ProofError, ValueError) as error:
            raise LedgerError(
                f"log entry {index} in ledger.db is not the one that was signed: {error}"
            ) from error
        return _parsed(index, data)

    def logged(self, index: int, size: int) -> LoggedEnvelope:
        """An entry with its proof of inclusion in the first `size` entries."""
        if not 0 <= index < size:
            raise LedgerError(f"log entry {index} is not among the first {size}")
        if size not in self._roots:
            self._roots[size] = self.root(size)
        if (index, size) not in self._logged:
            self._logged[index, size] = self._remembered(index, size, self._roots[size])
        return self._logged[index, size]

    def _remembered(self, index: int, size: int, root: Digest) -> LoggedEnvelope:
        data = self._session.entry_envelope(index)
        known = self._memory.get(index)
        same = known is not None and known[1].envelope.encode() == data
        if known is not None and same and known[0] == root:
            return known[1]
        envelope = known[1].envelope if known is not None and same else _parsed(index, data)
        logged = LoggedEnvelope(envelope, index, tuple(inclusion_path(index, size, self.node)))
        if len(self._memory) >= _MAX_REMEMBERED:
            self._memory.clear()
        self._memory[index] = root, logged
        return logged

    def consistency(self, old_size: int, new_size: int) -> list[bytes]:
        """Proves that the first `new_size` entries extend the first `old_size`; empty when there is
        nothing to prove.
        """
        self._require(new_size)
        if not 0 <= old_size <= new_size:
            raise LedgerError(
                f"the log has {self._size} entries: nothing leads from {old_size} to {new_size}"
            )
        return consistency_path(old_size, new_size, self.node) if old_size else []

    def node(self, level: int, index: int) -> bytes:
        """The hash of a complete subtree: see `provenance.merkle`."""
        last = ((index + 1) << level) - 1
        nodes = self._closed_by.get(last)
        if nodes is None:
            nodes = self._closed_by[last] = self._session.entry_nodes(last)
        return node_of(nodes, level, f"log entry {last}")

    def _require(self, size: int) -> None:
        if not 0 <= size <= self._size:
            raise LedgerError(f"the log has {self._size} entries, not {size}: rows are missing in ledger.db")


def _parsed(index: int, data: bytes) -> Envelope:
    try:
        return Envelope.parse(data)
    except MalformedError as error:
        raise MalformedError(
            f"log entry {index} (table entry of ledger.db) is no envelope: {error}"
        ) from error


def node_of(nodes: bytes, level: int, what: str) -> bytes:
    """One hash out of those that a row closes."""
    node = nodes[level * HASH_SIZE : (level + 1) * HASH_SIZE]
    if len(node) != HASH_SIZE:
        raise LedgerError(f"{what} in ledger.db has lost its tree node at level {level}")
    return node


def completed(leaf_hashes: Sequence[bytes]) -> tuple[list[bytes], Digest]:
    """A new tree: for each leaf the joined hashes of the subtrees that it closes, its own first; and the root."""
    tree: dict[tuple[int, int], bytes] = {}

    def node(level: int, index: int) -> bytes:
        return tree[level, index]

    rows = []
    for index, leaf in enumerate(leaf_hashes):
        nodes = append(index, leaf, node)
        tree.update(((level, at), item) for level, at, item in nodes)
        rows.append(b"".join(item for _, _, item in nodes))
    return rows, Digest(root_at(len(rows), node))
