"""What an index is: a set of numbered unit vectors that can be asked for its nearest.

open_index("flat", 384)   exact, 1.5 kB a vector, a linear scan: right up to some 100,000 chunks
open_index("hnsw", 384)   approximate, a graph on top: right above
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Ids: TypeAlias = NDArray[np.int64]
Vector: TypeAlias = NDArray[np.float32]
Vectors: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Hit:
    """One candidate: a chunk id and the inner product that the index claims for it."""

    id: int
    score: float


class VectorIndex(Protocol):
    """A set of (id, unit vector) pairs; every method may be called from any thread at any time.

    When a call returns, later searches see its effect; nothing is durable before `save`, and a crash
    loses at most what was not saved. An index is a cache: whoever owns it can always fill it again.
    """

    @property
    def dimension(self) -> int:
        """The length of every vector."""

    def __len__(self) -> int:
        """How many ids it holds."""

    def ids(self) -> Ids:
        """The ids it holds, int64[n], ascending."""

    def add(self, ids: Ids, vectors: Vectors) -> None:
        """Hold these vectors, float32[n, dimension], under these ids, replacing what an id held before.

        Raises ValueError for wrong shapes, repeated or negative ids, and values that are not finite.
        """

    def remove(self, ids: Ids) -> None:
        """Forget these ids; ids it does not hold are ignored."""

    def search(self, vector: Vector, k: int, allowed: Ids | None = None) -> list[Hit]:
        """The k nearest of the allowed ids (of all where None) by inner product, best first.

        The filter holds before the search: k hits come back whenever k allowed ids are held.
        """

    def save(self, path: Path) -> None:
        """Write to this file, whole or not at all. Vectors are left out: their owner has them."""

    def load(self, path: Path, vectors_of: Callable[[Ids], Vectors]) -> bool:
        """Become what was saved there; False, and unchanged, where the file cannot be used.

        A missing, damaged or foreign file is no error and nothing in it is believed beyond its shape:
        `vectors_of` gives the vectors of the ids it names, and they must be those it was saved with.
        """


@runtime_checkable
class RowIndex(VectorIndex, Protocol):
    """An index over rows that it reads where they lie: whoever fills it gives ids alone."""

    def hold(self, ids: Ids) -> None:
        """As `add`, with the vectors that lie in the rows of these ids."""
