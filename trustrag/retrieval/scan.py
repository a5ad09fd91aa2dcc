"""What stood once, nearest first: the index holds only what stands, so every vector of then is looked at.

Exact, and linear in what stood: a float32 product for each chunk and question. Like an index it proposes and nothing
more: which chunks stood is read from rows that are not signed, and each is proved under the root of then.
"""

from collections.abc import Collection

import numpy as np

from trustrag.index.base import Hit, Ids, Vector
from trustrag.retrieval.pool import Pool
from trustrag.stored import StoreView

_BLOCK = 20_000  # vectors read at a time


class Scan:
    """The chunks that stood in a view of the past, scored against one question; made once for each search."""

    def __init__(self, view: StoreView, pool: Pool) -> None:
        self._view = view
        self._where = pool.where
        ids = view.select(pool.where)
        scores = _scores(view, ids, pool.query)
        order = np.argsort(-scores, kind="stable")
        self._ids, self._scores = ids[order], scores[order]

    def hits(self, sources: Collection[str] | None, count: int) -> list[Hit]:
        """The nearest of these sources (None: of all), at most `count`."""
        ids, scores = self._ids, self._scores
        if sources is not None:
            allowed = np.isin(ids, self._view.select(self._where, sources), assume_unique=True)
            ids, scores = ids[allowed], scores[allowed]
        pairs = zip(ids[:count].tolist(), scores[:count].tolist(), strict=True)
        return [Hit(chunk_id, score) for chunk_id, score in pairs]


def _scores(view: StoreView, ids: Ids, query: Vector) -> Vector:
    scores = np.empty(len(ids), dtype=np.float32)
    for start in range(0, len(ids), _BLOCK):
        block = slice(start, start + _BLOCK)
        scores[block] = view.vectors(ids[block]) @ query
    return scores
