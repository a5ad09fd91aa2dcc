"""What stands in one publication: the tables of all its shards together, and records read when they are asked for."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trustrag.errors import BackendError, LedgerError, MalformedError
from trustrag.provenance.merkle import inclusion_proof
from trustrag.published.shards import (
    EMPTY_SHARD,
    TERM,
    Record,
    ShardHead,
    State,
    above,
    bucket_leaves,
    path_in,
)
from trustrag.stored import Ids

STANDING = "standing"
_FIRST_READ = 1 << 13


def shard_path(number: int, digest: bytes) -> str:
    """Where a shard lies, below the folder."""
    return f"{STANDING}/{number:03x}/{digest.hex()}"


class Shard:
    """One shard's file: its table in memory, its records on the disk.

    The table's leaves must lead to the shard's root, and with it to the signed one: so no document that stands can be
    left out of a publication unseen. Raises LedgerError where they do not; with None nothing is compared.
    """

    def __init__(self, folder: Path, number: int, digest: bytes, root: bytes | None) -> None:
        self._path = folder / shard_path(number, digest)
        self._number = number
        length = self._length()
        want = min(_FIRST_READ, length)
        head = ShardHead.parse(self._read(0, want), number, length)
        while isinstance(head, int):
            head = ShardHead.parse(self._read(0, head), number, length)
        self._head = head
        self.table = head.table
        self.sources = head.sources
        self._by_row: dict[int, set[int]] | None = None
        self._terms: NDArray[np.void] | None = None
        self._levels = above(bucket_leaves(self.table))
        if root is not None and self._levels[-1][0] != root:
            raise LedgerError(
                f"{self._path} does not list what its state says stands: publish again, or copy it anew"
            )

    def record(self, row: int) -> Record:
        """One document. Raises MalformedError where its bytes are none."""
        where = self.table[row]
        data = self._read(self._head.records_at + int(where["offset"]), int(where["length"]))
        record = Record.parse(data)
        if (record.first, len(record.chunks)) != (int(where["first"]), int(where["count"])):
            raise MalformedError(f"{self._path} files a document under chunks that are not its own")
        return record

    def proof(self, row: int) -> tuple[int, int, tuple[bytes, ...], list[bytes]]:
        """(place in its bucket, size of that bucket, way to its root, way from there to the shard's root)."""
        bucket = int(self.table[row]["bucket"])
        (rows,) = np.nonzero(self.table["bucket"] == bucket)
        place = int(np.searchsorted(rows, row))
        leaves = [bytes(leaf) for leaf in self.table["leaf"][rows].tolist()]
        return place, len(rows), tuple(inclusion_proof(leaves, place)), path_in(self._levels, bucket)

    def having(self, hashed: int) -> set[int]:
        """The rows that are filed under this term."""
        if self._terms is None:
            data = self._read(self._head.terms_at, self._head.terms * TERM.itemsize)
            self._terms = np.frombuffer(data, TERM)
        return set(self._terms["row"][self._terms["term"] == np.uint64(hashed)].tolist())

    def filed(self, row: int) -> tuple[str, frozenset[int]]:
        """The source and the term hashes that the tables file a row under, which no root binds."""
        if self._by_row is None:
            self.having(0)
            by_row: dict[int, set[int]] = {}
            for hashed, at in () if self._terms is None else self._terms.tolist():
                by_row.setdefault(at, set()).add(hashed)
            self._by_row = by_row
        return self.sources[int(self.table[row]["source"])], frozenset(self._by_row.get(row, ()))

    def _length(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError as error:
            raise missing(self._path) from error

    def _read(self, at: int, length: int) -> bytes:
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise missing(self._path) from error
        try:
            data = os.pread(file, length, at)
        except OSError as error:
            raise BackendError(f"{self._path} cannot be read: {error.strerror}") from error
        finally:
            os.close(file)
        if len(data) != length:
            raise MalformedError(f"{self._path} is cut off")
        return data


def spans(folder: Path, number: int, digest: bytes) -> set[tuple[int, int]]:
    """(first chunk, count) of the documents in a shard, whatever root they lead to; none where it cannot be read."""
    try:
        table = Shard(folder, number, digest, None).table
    except (LedgerError, MalformedError):
        return set()
    return set(zip(table["first"].tolist(), table["count"].tolist(), strict=True))


def missing(path: Path) -> LedgerError:
    return LedgerError(f"{path} is missing or cannot be read: publish again, or copy the folder whole")


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """All tables of one state together, by first chunk. `ids` are the chunks that stand, in order."""

    state: State
    shards: tuple[Shard | None, ...]
    first: Ids
    count: Ids
    shard: Ids
    row: Ids
    source: Ids
    names: tuple[str, ...]
    ids: Ids
    levels: list[list[bytes]]

    @classmethod
    def read(cls, folder: Path, state: State, before: "Standing | None") -> "Standing":
        """From the files; shards that `before` had already are taken from it. Raises LedgerError, MalformedError."""
        shards = tuple(
            None
            if root == EMPTY_SHARD
            else _kept(before, number, digest, root) or Shard(folder, number, digest, root)
            for number, (root, digest) in enumerate(state.shards)
        )
        there = [(number, shard) for number, shard in enumerate(shards) if shard is not None]
        names = sorted({name for _, shard in there for name in shard.sources})
        tables = [shard.table for _, shard in there]
        place = {name: at for at, name in enumerate(names)}
        source = [
            np.array([place[name] for name in shard.sources], np.int64)[shard.table["source"]]
            for _, shard in there
        ]
        columns = (
            _joined([table["first"] for table in tables]),
            _joined([table["count"] for table in tables]),
            _joined([np.full(len(shard.table), number) for number, shard in there]),
            _joined([np.arange(len(table)) for table in tables]),
            _joined(source),
        )
        order = np.argsort(columns[0], kind="stable")
        first, count, in_shard, row, of_source = (column[order] for column in columns)
        levels = above([one for one, _ in state.shards])
        ids = expanded(first, count, state.chunks)
        return cls(state, shards, first, count, in_shard, row, of_source, tuple(names), ids, levels)


def faded(shown: Standing, newer: Standing) -> frozenset[tuple[int, int]]:
    """(shard, row) of the documents that are shown and of which nothing stands in a newer state."""
    gone = set()
    for number, (shard, other) in enumerate(zip(shown.shards, newer.shards, strict=True)):
        if shard is None or shard is other:
            continue
        left = set() if other is None else {other.record(row).entry.doc_id for row in range(len(other.table))}
        gone |= {
            (number, row) for row in range(len(shard.table)) if shard.record(row).entry.doc_id not in left
        }
    return frozenset(gone)


def _kept(before: Standing | None, number: int, digest: bytes, root: bytes) -> Shard | None:
    if before is not None and before.state.shards[number] == (root, digest):
        return before.shards[number]
    return None


def _joined(columns: "list[NDArray[np.int64]]") -> Ids:
    return np.concatenate(columns).astype(np.int64) if columns else np.empty(0, np.int64)


def expanded(first: Ids, count: Ids, total: int) -> Ids:
    """The ids of these spans, which must be in order, apart from each other and below `total`."""
    ends = first + count
    if len(first) and (int(ends[-1]) > total or bool((ends[:-1] > first[1:]).any())):
        raise MalformedError(
            "the shards of this publication share chunks, or name some that it does not have"
        )
    before = np.cumsum(count) - count
    ids: Ids = np.arange(int(count.sum()), dtype=np.int64) + np.repeat(first - before, count)
    return ids
