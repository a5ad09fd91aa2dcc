"""MinHash signatures (Broder 1997), by rensa, and where among many of them a near-duplicate is.

Signatures are cut into bands; two texts that share no band are never compared (Leskovec et al., Mining of Massive
Datasets, section 3.4). With 16 bands of 4 rows a pair of Jaccard similarity 0.7 is found with probability 0.99.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import rensa
from numpy.typing import NDArray

from trustrag.consistency.reading import TOKEN
from trustrag.ingest.screening.company import Signatures

PERMUTATIONS, BANDS = 64, 16
SEED = 20_260_901
RUN = 3
"""Words in a row that are one element of the set."""
LEAST = 0.7
"""Jaccard similarity from which two texts are nearly the same."""
TAIL = 4096
"""Newest signatures that are compared one by one, until they are sorted in."""
ALGORITHM = f"rensa-r{rensa.RMinHash.ALGORITHM_VERSION}-{PERMUTATIONS}-{SEED}-{RUN}"
"""What signatures have to agree on to be compared."""


def signatures(texts: Sequence[str]) -> Signatures:
    """uint32[n, 64]: one signature a text, over its runs of three words."""
    if not texts:
        return np.empty((0, PERMUTATIONS), np.uint32)
    sets = [_runs(text) for text in texts]
    rows = rensa.RMinHash.digest_matrix_from_token_sets(sets, PERMUTATIONS, SEED).to_rows()
    return np.asarray(rows, dtype=np.uint32)


def _runs(text: str) -> list[str]:
    words = TOKEN.findall(text.lower())
    if len(words) <= RUN:
        return [" ".join(words)]
    return list({" ".join(run) for run in zip(*(words[at:] for at in range(RUN)), strict=False)})


def likeness(signature: Signatures, others: Signatures) -> NDArray[np.float64]:
    """float64[n]: the estimated Jaccard similarity of one signature, uint32[64], to others, uint32[n, 64]."""
    return np.asarray((others == signature).mean(axis=1), dtype=np.float64)


class SignatureIndex:
    """Signatures by number, in the order they were added."""

    def __init__(self, rows: Signatures | None = None) -> None:
        self._rows = np.empty((0, PERMUTATIONS), np.uint32) if rows is None else rows
        self._new: list[Signatures] = []
        self._order: list[tuple[NDArray[np.int64], NDArray[np.uint64]]] = []
        self._sorted = 0

    def __len__(self) -> int:
        return len(self._rows) + sum(map(len, self._new))

    @property
    def rows(self) -> Signatures:
        """All of them, uint32[n, 64]."""
        if self._new:
            self._rows = np.concatenate([self._rows, *self._new])
            self._new = []
        return self._rows

    def add(self, rows: Signatures) -> None:
        """Append uint32[n, 64]."""
        self._new.append(rows)

    def near(self, signature: Signatures, most: int = 8) -> list[int]:
        """The numbers of the nearest signatures from `LEAST` on, nearest first."""
        rows = self.rows
        if len(rows) - self._sorted > TAIL:
            self._sort(rows)
        found = set(range(self._sorted, len(rows)))
        for number in self._in_bands(signature):
            found.update(number)
        if not found:
            return []
        numbers = np.fromiter(sorted(found), np.int64, len(found))
        alike = likeness(signature, rows[numbers])
        order = np.argsort(-alike, kind="stable")[:most]
        return [int(numbers[at]) for at in order if alike[at] >= LEAST]

    def _sort(self, rows: Signatures) -> None:
        keys = _bands(rows)
        orders = [np.argsort(keys[:, band], kind="stable") for band in range(BANDS)]
        self._order = [(order, keys[order, band]) for band, order in enumerate(orders)]
        self._sorted = len(rows)

    def _in_bands(self, signature: Signatures) -> Iterator[Sequence[int]]:
        if not self._order:
            return
        keys = _bands(signature[None, :])[0]
        for key, (order, values) in zip(keys, self._order, strict=True):
            first, last = np.searchsorted(values, key, "left"), np.searchsorted(values, key, "right")
            # A band that very many share says nothing: blank pages, one template.
            yield order[first : min(last, first + TAIL)].tolist()


def _bands(rows: Signatures) -> NDArray[np.uint64]:
    """uint64[n, 16]: one number a band, the same where its four rows are the same."""
    parts = np.ascontiguousarray(rows).reshape(len(rows), BANDS, -1).astype(np.uint64)
    keys = np.zeros((len(rows), BANDS), np.uint64)
    for column in range(parts.shape[2]):
        keys = (keys ^ parts[:, :, column]) * np.uint64(0x9E3779B97F4A7C15)
        keys ^= keys >> np.uint64(29)
    return keys
