"""An exact index over rows that somebody else has mapped: it holds ids, and reads the vectors where they lie.

Processes that search one published folder share its pages, and none of them copies it: what `flat` keeps in the memory of
each, this reads from the cache of the system. A question reads every row once.
"""

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from trustrag.index.base import Hit, Ids, Vector, Vectors

Blocks: TypeAlias = Callable[[int], Iterable[tuple[int, NDArray[np.float32]]]]
"""(first id, float32[n, dimension]) of consecutive blocks of rows, up to that many rows in all."""


class MappedIndex:
    """A `RowIndex`: see `VectorIndex`, and `hold`."""

    def __init__(self, dimension: int, blocks: Blocks) -> None:
        self._dimension = dimension
        self._blocks = blocks
        self._ids: Ids = np.empty(0, np.int64)
        self._held: NDArray[np.bool_] = np.zeros(0, dtype=bool)
        self._last: tuple[NDArray[np.bool_], Vector, NDArray[np.float32]] | None = None
        self._turn = threading.Lock()

    @property
    def dimension(self) -> int:
        """The length of every vector."""
        return self._dimension

    def __len__(self) -> int:
        return len(self._ids)

    def ids(self) -> Ids:
        """See `VectorIndex`."""
        return self._ids.copy()

    def hold(self, ids: Ids) -> None:
        """Hold these rows, too. Raises ValueError for repeated or negative ids."""
        if len(np.unique(ids)) != len(ids) or (len(ids) and int(ids.min()) < 0):
            raise ValueError("ids are repeated or negative")
        with self._turn:
            self._become(np.union1d(self._ids, ids))

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """As `hold`: the vectors are in the rows already."""
        if vectors.shape != (len(ids), self._dimension):
            raise ValueError(f"{len(ids)} ids take as many vectors of {self._dimension} numbers")
        self.hold(ids)

    def remove(self, ids: Ids) -> None:
        """See `VectorIndex`."""
        with self._turn:
            self._become(np.setdiff1d(self._ids, ids))

    def search(self, vector: Vector, k: int, allowed: Ids | None = None) -> list[Hit]:
        """See `VectorIndex`."""
        ids, held = self._ids, self._held
        total = len(held)
        if allowed is not None:
            within = allowed[(allowed >= 0) & (allowed < total)]
            ids = within[held[within]]
        if not len(ids) or k < 1:
            return []
        found = self._scores(vector, held)[ids]
        best = np.argpartition(-found, k - 1)[:k] if k < len(found) else np.arange(len(found))
        ordered = best[np.lexsort((ids[best], -found[best]))]
        return [Hit(int(ids[at]), float(found[at])) for at in ordered]

    def _scores(self, vector: Vector, held: NDArray[np.bool_]) -> NDArray[np.float32]:
        """The inner product with each row, float32[len(held)]; one question draws several times, and scans once."""
        known = self._last
        if known is not None and known[0] is held and np.array_equal(known[1], vector):
            return known[2]
        scores = np.full(len(held), -np.inf, dtype=np.float32)
        # A row that somebody bent may hold anything: it is ranked last, and proved by nobody.
        with np.errstate(all="ignore"):
            for first, rows in self._blocks(len(held)):
                scores[first : first + len(rows)] = rows @ vector
        scores[~np.isfinite(scores)] = -np.inf
        self._last = held, vector.copy(), scores
        return scores

    def _become(self, ids: Ids) -> None:
        held = np.zeros(int(ids[-1]) + 1 if len(ids) else 0, dtype=bool)
        held[ids] = True
        self._ids, self._held = ids, held

    def save(self, path: Path) -> None:
        """Nothing: the rows are where they were."""

    def load(self, path: Path, vectors_of: Callable[[Ids], Vectors]) -> bool:
        """False: there is nothing to load."""
        return False
