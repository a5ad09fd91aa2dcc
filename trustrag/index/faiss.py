"""FAISS behind `VectorIndex`: a flat scan, exact, and an HNSW graph for large collections.

FAISS numbers vectors by position; here every position has a ledger id and a flag that says whether it
still counts. A filter is a bitmap of positions given to FAISS before the search, so that k hits come back
whenever k allowed vectors exist.
"""

import hashlib
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trustrag.errors import BackendError
from trustrag.index import cachefile
from trustrag.index.base import Hit, Ids, Vector, Vectors
from trustrag.index.locks import ReadWriteLock

faiss: Any = importlib.import_module("faiss")  # its stubs describe SWIG's signatures, not Python's

Mask: TypeAlias = NDArray[np.bool_]

_LINKS = 32
"""Neighbours of a node in the HNSW graph (twice as many on the ground level)."""
_EF_CONSTRUCTION = 100
_EF_SEARCH = 96
"""Nodes kept in view while building and searching; raised for large k and for filters."""
_NARROW = 0.1
"""Below this share of allowed positions a graph walk loses recall, and scanning those few is as quick."""
_DEAD = 0.25
"""Above this share of removed positions the graph is built again without them."""


class _FaissIndex(ABC):
    """Ids, filters, locking and files; a subclass says how vectors are held."""

    def __init__(self, dimension: int) -> None:
        if dimension < 1:
            raise ValueError(f"an index needs a dimension of at least 1, not {dimension}")
        self._dimension = dimension
        self._lock = ReadWriteLock()
        self._label(np.empty(0, np.int64), np.empty(0, np.bool_))

    @property
    def dimension(self) -> int:
        return self._dimension

    def __len__(self) -> int:
        return len(self._sorted)

    def ids(self) -> Ids:
        return self._sorted.copy()

    def add(self, ids: Ids, vectors: Vectors) -> None:
        ids, vectors = self._checked(ids, vectors)
        with self._lock.writing(), _translated():
            self._remove(ids)
            self._extend(vectors)
            alive = np.concatenate([self._alive, np.ones(len(ids), np.bool_)])
            self._label(np.concatenate([self._ids, ids]), alive)

    def remove(self, ids: Ids) -> None:
        with self._lock.writing(), _translated():
            self._remove(np.asarray(ids, np.int64))

    def search(self, vector: Vector, k: int, allowed: Ids | None = None) -> list[Hit]:
        query = np.ascontiguousarray(vector, np.float32).reshape(1, -1)
        if query.shape[1] != self._dimension or not np.isfinite(query).all():
            raise ValueError(f"a query is {self._dimension} finite numbers, not shape {np.shape(vector)}")
        with self._lock.reading(), _translated():
            mask = self._alive if allowed is None else self._mask(np.asarray(allowed, np.int64))
            count = int(np.count_nonzero(mask))
            if k < 1 or not count:
                return []
            some = None if count == len(mask) else mask
            scores, positions = self._nearest(query, min(k, count), some, count)
            found = positions[0] >= 0
            hits = zip(self._ids[positions[0][found]].tolist(), scores[0][found].tolist(), strict=True)
        return sorted((Hit(id, score) for id, score in hits), key=lambda hit: (-hit.score, hit.id))

    def _label(self, ids: Ids, alive: Mask) -> None:
        """Name the positions: int64[n] ids, bool[n] whether each still counts."""
        self._ids, self._alive = ids, alive
        positions = np.flatnonzero(alive)
        order = np.argsort(ids[positions], kind="stable")
        self._positions = positions[order]
        self._sorted = ids[self._positions]

    def _mask(self, ids: Ids) -> Mask:
        """Which positions hold one of these ids and count: bool[n]."""
        mask = np.zeros(len(self._ids), np.bool_)
        if len(self._sorted):
            at = np.minimum(np.searchsorted(self._sorted, ids), len(self._sorted) - 1)
            mask[self._positions[at[self._sorted[at] == ids]]] = True
        return mask

    def _checked(self, ids: Ids, vectors: Vectors) -> tuple[Ids, Vectors]:
        ids, vectors = np.asarray(ids, np.int64), np.ascontiguousarray(vectors, np.float32)
        if ids.ndim != 1 or vectors.shape != (len(ids), self._dimension):
            wanted = (len(ids), self._dimension)
            raise ValueError(f"ids of shape {ids.shape} need vectors of shape {wanted}, not {vectors.shape}")
        if len(np.unique(ids)) != len(ids) or (ids < 0).any():
            raise ValueError("ids must be distinct and not negative")
        if not np.isfinite(vectors).all():
            raise ValueError("every number of a vector must be finite")
        return ids, vectors

    @abstractmethod
    def _extend(self, vectors: Vectors) -> None:
        """Hold these vectors at the next positions."""

    @abstractmethod
    def _remove(self, ids: Ids) -> None:
        """Take these ids out and label what is left."""

    @abstractmethod
    def _nearest(self, query: Vectors, k: int, mask: Mask | None, count: int) -> tuple[Vectors, Ids]:
        """Scores and positions, [1, k] each, among the `count` positions of the mask; -1 for none."""

    @abstractmethod
    def save(self, path: Path) -> None: ...

    @abstractmethod
    def load(self, path: Path, vectors_of: Callable[[Ids], Vectors]) -> bool: ...


class FlatIndex(_FaissIndex):
    """Every search compares with every vector: exact, and quick enough for some 100,000."""

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        self._store: Any = faiss.IndexFlatIP(dimension)

    def save(self, path: Path) -> None:
        with self._lock.reading():
            cachefile.write(path, {"kind": "flat", "dimension": self._dimension}, {"ids": self._ids})

    def load(self, path: Path, vectors_of: Callable[[Ids], Vectors]) -> bool:
        cache = cachefile.read(path, ("ids",))
        if cache is None or cache.facts != {"kind": "flat", "dimension": self._dimension}:
            return False
        fresh = FlatIndex(self._dimension)
        try:
            fresh.add(cache.arrays["ids"], vectors_of(cache.arrays["ids"]))
        except (ValueError, LookupError):
            return False
        with self._lock.writing():
            self._store = fresh._store
            self._label(fresh._ids, fresh._alive)
        return True

    def _extend(self, vectors: Vectors) -> None:
        self._store.add(vectors)

    def _remove(self, ids: Ids) -> None:
        gone = self._mask(ids)
        if gone.any():
            self._store.remove_ids(_selector(gone))
            self._label(self._ids[~gone], self._alive[~gone])

    def _nearest(self, query: Vectors, k: int, mask: Mask | None, count: int) -> tuple[Vectors, Ids]:
        return _flat_search(self._store, query, k, mask)


class HnswIndex(_FaissIndex):
    """A navigable graph (Malkov and Yashunin 2016): approximate, in logarithmic time.

    FAISS cannot take a node out of the graph, so a removed one stays as a way through and is never a
    result; past a quarter of such nodes the graph is built again. A filter that allows few is answered by an
    exact scan of those few, for a walk through a graph of forbidden nodes misses them.
    """

    def __init__(self, dimension: int) -> None:
        super().__init__(dimension)
        self._graph = self._empty()

    def _empty(self) -> Any:
        graph = faiss.IndexHNSWFlat(self._dimension, _LINKS, faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = _EF_CONSTRUCTION
        return graph

    def save(self, path: Path) -> None:
        with self._lock.reading():
            hnsw, total = self._graph.hnsw, self._graph.ntotal
            facts = self._facts(self._graph.storage.reconstruct_n(0, total))
            arrays = {
                "ids": self._ids,
                "alive": self._alive.astype(np.int64),
                "levels": faiss.vector_to_array(hnsw.levels).astype(np.int64),
                "neighbors": faiss.vector_to_array(hnsw.neighbors).astype(np.int64),
                "entry": np.array([hnsw.entry_point], np.int64),
            }
        cachefile.write(path, facts, arrays)

    def load(self, path: Path, vectors_of: Callable[[Ids], Vectors]) -> bool:
        cache = cachefile.read(path, ("ids", "alive", "levels", "neighbors", "entry"))
        if cache is None:
            return False
        ids, alive = cache.arrays["ids"], cache.arrays["alive"] != 0
        if len(alive) != len(ids) or (ids < 0).any() or len(np.unique(ids[alive])) != np.count_nonzero(alive):
            return False
        try:
            vectors = np.ascontiguousarray(vectors_of(ids), np.float32)
        except (ValueError, LookupError):
            return False
        if vectors.shape != (len(ids), self._dimension) or cache.facts != self._facts(vectors):
            return False
        graph = self._rebuilt(vectors, cache.arrays)
        if graph is None:
            return False
        with self._lock.writing():
            self._graph = graph
            self._label(ids, alive)
        return True

    def _facts(self, vectors: Vectors) -> dict[str, str | int]:
        """What a saved graph belongs to: these very vectors, with these many links."""
        digest = hashlib.sha256(vectors.tobytes()).hexdigest()
        return {"kind": "hnsw", "dimension": self._dimension, "links": _LINKS, "vectors": digest}

    def _rebuilt(self, vectors: Vectors, arrays: dict[str, Ids]) -> Any:
        """The graph of these links over these vectors, or None where a link leads out of it."""
        graph = self._empty()
        slots = faiss.vector_to_array(graph.hnsw.cum_nneighbor_per_level).astype(np.int64)
        levels, neighbors, entry = arrays["levels"], arrays["neighbors"], arrays["entry"]
        if not _is_graph(len(vectors), levels, neighbors, entry, slots):
            return None
        graph.storage.add(vectors)
        graph.ntotal = len(vectors)
        offsets = np.concatenate([[0], np.cumsum(slots[levels])])
        faiss.copy_array_to_vector(levels.astype(np.int32), graph.hnsw.levels)
        faiss.copy_array_to_vector(offsets.astype(np.uint64), graph.hnsw.offsets)
        faiss.copy_array_to_vector(neighbors.astype(np.int32), graph.hnsw.neighbors)
        graph.hnsw.entry_point = int(entry[0])
        graph.hnsw.max_level = int(levels.max(initial=0)) - 1
        return graph

    def _extend(self, vectors: Vectors) -> None:
        if len(vectors):
            self._graph.add(vectors)

    def _remove(self, ids: Ids) -> None:
        self._label(self._ids, self._alive & ~self._mask(ids))
        if np.count_nonzero(~self._alive) > _DEAD * len(self._alive):
            graph = self._empty()
            kept = self._graph.storage.reconstruct_n(0, self._graph.ntotal)[self._alive]
            if len(kept):
                graph.add(kept)
            self._graph = graph
            self._label(self._ids[self._alive], np.ones(len(kept), np.bool_))

    def _nearest(self, query: Vectors, k: int, mask: Mask | None, count: int) -> tuple[Vectors, Ids]:
        share = count / self._graph.ntotal
        if share < _NARROW or k >= count:
            return _flat_search(self._graph.storage, query, k, mask)
        # Of the nodes that a walk keeps in view only the allowed ones are results, so it must see more.
        view = int(max(_EF_SEARCH, 2 * k) / share)
        selector = None if mask is None else _selector(mask)
        parameters = faiss.SearchParametersHNSW(efSearch=view, sel=selector)
        scores, positions = self._graph.search(query, k, params=parameters)
        if (positions < 0).any():  # parts of the graph that cannot be reached from its entry
            return _flat_search(self._graph.storage, query, k, mask)
        return scores, positions


def _is_graph(total: int, levels: Ids, neighbors: Ids, entry: Ids, slots: Ids) -> bool:
    """Whether these arrays are a graph over `total` nodes whose every link stays inside it.

    FAISS follows links without looking: a node outside, or one that doesn't reach up to the level of the
    link, would be read from beyond the end of its memory. `slots[l]` counts the links below level l.
    """
    if len(levels) != total or len(entry) != 1 or ((levels < 1) | (levels >= len(slots))).any():
        return False
    if len(neighbors) != slots[levels].sum() or (neighbors < -1).any() or (neighbors >= total).any():
        return False
    if not total:
        return int(entry[0]) == -1
    if not 0 <= entry[0] < total or levels[entry[0]] != levels.max():
        return False
    for height in np.unique(levels).tolist():
        owners = np.repeat(levels == height, slots[levels])
        links = neighbors[owners].reshape(-1, slots[height])
        needed = np.repeat(np.arange(1, height + 1), np.diff(slots[: height + 1]))
        if ((levels[links] < needed) & (links >= 0)).any():
            return False
    return True


def _selector(mask: Mask) -> Any:
    return faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))


def _flat_search(store: Any, query: Vectors, k: int, mask: Mask | None) -> tuple[Vectors, Ids]:
    """An exact scan of the positions in the mask (of all where None)."""
    parameters = None if mask is None else faiss.SearchParameters(sel=_selector(mask))
    scores, positions = store.search(query, k, params=parameters)
    return scores, positions


class _translated:
    """FAISS raises RuntimeError for whatever fails inside it; here that becomes BackendError."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, RuntimeError | MemoryError):
            raise BackendError(f"FAISS failed: {error}") from error
