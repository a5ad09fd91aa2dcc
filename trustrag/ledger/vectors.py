"""The vectors of a ledger: one append-only file of little-endian float32 rows.

The file has no header: row i starts at byte i * dimension * 4, and the database says how many rows count.
What lies behind them is the tail of a writer that died between its append and its commit; nobody reads it,
and the next writer cuts it off.
"""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trustrag.errors import BackendError, LedgerError

_ROW_TYPE = np.dtype("<f4")


class VectorFile:
    """Rows of `dimension` little-endian float32 values, appended by one process and read by many."""

    def __init__(self, path: Path, dimension: int, *, write: bool) -> None:
        self._path = path
        self._row_bytes = dimension * _ROW_TYPE.itemsize
        self._dimension = dimension
        self._map: NDArray[np.float32] | None = None
        try:
            self._file = os.open(
                path, (os.O_RDWR | os.O_CREAT if write else os.O_RDONLY) | os.O_CLOEXEC, 0o644
            )
        except OSError as error:
            raise BackendError(f"{path} cannot be opened: {error}") from error

    def close(self) -> None:
        self._map = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def length(self) -> int:
        """Bytes in the file, counted or not."""
        return os.fstat(self._file).st_size

    def whole(self) -> int:
        """How many whole rows the file has, counted or not."""
        return self.length() // self._row_bytes

    def surplus(self, rows: int) -> int:
        """How many bytes the file has more than `rows` rows; negative when it has fewer."""
        return self.length() - rows * self._row_bytes

    def reclaim(self, rows: int) -> int:
        """Cut the file to `rows` rows and return how many bytes went. Only the holder of the lock may call
        this.

        Raises LedgerError when the file is shorter than that: then vectors that were acknowledged are gone.
        """
        surplus = self.surplus(rows)
        if surplus < 0:
            raise LedgerError(
                f"{self._path} is {-surplus} bytes shorter than its {rows} rows: restore it from a backup"
            )
        if surplus:
            # Readers map and read counted rows only, so none of them can hold a page of this tail.
            os.ftruncate(self._file, rows * self._row_bytes)
            os.fsync(self._file)
        return surplus

    def append(self, rows: int, vectors: NDArray[np.float32]) -> None:
        """Write `vectors` float32[n, dimension] behind the first `rows` rows and wait until the disk has
        them.

        Dying before it returns leaves a tail that no row names. Raises BackendError when the disk refuses.
        """
        data = memoryview(np.ascontiguousarray(vectors, dtype=_ROW_TYPE).view(np.uint8).reshape(-1).data)
        offset = rows * self._row_bytes
        try:
            while data:
                written = os.pwrite(self._file, data, offset)
                data, offset = data[written:], offset + written
            os.fsync(self._file)
        except OSError as error:
            raise BackendError(f"{self._path} cannot be extended: {error}") from error

    def row(self, index: int) -> bytes:
        """The bytes of one row; short or empty where the file ends too early, so that their digest fails.

        A plain read, never the map: a file that someone truncates must not end this process by a signal.
        """
        try:
            return os.pread(self._file, self._row_bytes, index * self._row_bytes)
        except (OSError, OverflowError) as error:
            raise BackendError(f"{self._path} cannot be read: {error}") from error

    def rows(self, indexes: NDArray[np.int64], total: int) -> NDArray[np.float32]:
        """The rows at `indexes` int64[n] as float32[n, dimension], copied and finite; all must be below `total`, the
        counted rows.

        Raises LedgerError for an index outside, or when the file is shorter than `total` rows.
        """
        if not len(indexes):
            return np.empty((0, self._dimension), dtype=np.float32)
        if int(indexes.min()) < 0 or int(indexes.max()) >= total:
            raise LedgerError(f"a vector outside the {total} rows of {self._path} was asked for")
        found = np.asarray(self._mapped(total)[indexes], dtype=np.float32)
        # An edited row that is no number would end the search for all the others. Zero is near to nothing; the row
        # itself is read by `row`, where its digest fails.
        found[~np.isfinite(found).all(axis=1)] = 0
        return found

    def _mapped(self, total: int) -> NDArray[np.float32]:
        """The mapped rows, at least `total` of them; checked against the file's length before every use."""
        if self.length() < total * self._row_bytes:
            raise LedgerError(f"{self._path} is shorter than its {total} rows: restore it from a backup")
        mapped = self._map
        if mapped is None or len(mapped) < total:
            try:
                mapped = self._map = np.memmap(
                    self._path, dtype=_ROW_TYPE, mode="r", shape=(total, self._dimension)
                )
            except (OSError, ValueError) as error:
                raise BackendError(f"{self._path} cannot be mapped: {error}") from error
        return mapped
