"""Pairwise work that is done once: in memory, and beyond the process where a store is given."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

Pair: TypeAlias = tuple[str, str]
"""Two texts, by digest."""
Values: TypeAlias = tuple[float, ...]
"""What a judge makes of a pair: a few numbers in 0..1."""


class PairStore(Protocol):
    """Where pairwise work outlives the process. A cache: it may forget anything, and must never raise."""

    def load(self, judge: str, pairs: Sequence[Pair]) -> Sequence[Values | None]:
        """What is kept of each pair, None where nothing is."""
        ...

    def save(self, judge: str, pairs: Sequence[Pair], values: Sequence[Values]) -> None:
        """Keep what was worked out."""
        ...


class PairMemory:
    """Results of pairwise work by (judge, digest, digest), the least used forgotten beyond `size`. Thread-safe.

    A warm query redoes none of it, and ingest can fill it ahead with each new chunk's neighbours. Values depend on
    the two texts and the judge alone, so an entry never goes stale: a judge that changes takes another name.
    """

    def __init__(self, size: int = 200_000, store: PairStore | None = None) -> None:
        if size < 1:
            raise ValueError(f"a memory needs room for at least 1 pair, not {size}")
        self._size = size
        self._store = store
        self._kept: OrderedDict[tuple[str, str, str], Values] = OrderedDict()
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._kept)

    def recall(
        self, judge: str, pairs: Sequence[Pair], width: int, work: Callable[[Sequence[int]], Sequence[Values]]
    ) -> list[Values]:
        """What `judge` makes of each pair of digests, `width` numbers; `work` is asked for the places not kept yet."""
        with self._lock:
            found: list[Values | None] = [self._kept.get((judge, *pair)) for pair in pairs]
        self._look_up(judge, pairs, width, found)
        missing = [place for place, value in enumerate(found) if value is None]
        if missing:
            fresh = work(missing)
            for place, value in zip(missing, fresh, strict=True):
                found[place] = value
            if self._store is not None:
                self._store.save(judge, [pairs[place] for place in missing], fresh)
        whole = [value for value in found if value is not None]
        with self._lock:
            for pair, value in zip(pairs, whole, strict=True):
                self._kept[judge, *pair] = value
                self._kept.move_to_end((judge, *pair))
            while len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return whole

    def _look_up(self, judge: str, pairs: Sequence[Pair], width: int, found: list[Values | None]) -> None:
        """Fill the gaps from the store, with what can have come from this judge."""
        missing = [place for place, value in enumerate(found) if value is None]
        if missing and self._store is not None:
            kept = self._store.load(judge, [pairs[place] for place in missing])
            for place, value in zip(missing, kept, strict=True):
                found[place] = value if value is not None and len(value) == width else None


SHARED_MEMORY = PairMemory()
"""The memory that is used when a caller brings none: one per process."""
