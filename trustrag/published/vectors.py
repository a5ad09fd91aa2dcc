"""The published vectors: packs of 16,384 rows of little-endian float32, written in place.

A row is written before any state names its chunk, and blanked after the last state that did is cleared away; so no
reader of a state that is there ever sees one change.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trustrag.errors import BackendError, LedgerError
from trustrag.published.shards import PACK_ROWS

FOLDER = "vectors"
_ROW_TYPE = np.dtype("<f4")


def pack_path(folder: Path, number: int) -> Path:
    """Where chunks `number` * 16384 and on have their vectors."""
    return folder / FOLDER / f"{number}.f32"


class VectorPacks:
    """The packs of one publication for reading, mapped as they are needed. Any number of threads and processes may."""

    def __init__(self, folder: Path, dimension: int) -> None:
        self._folder = folder
        self._dimension = dimension
        self._row_bytes = dimension * _ROW_TYPE.itemsize
        self._maps: dict[int, NDArray[np.float32]] = {}

    def row(self, chunk_id: int) -> bytes:
        """The bytes of one vector, by a plain read; short where the file ends too early, so that their digest fails."""
        path = pack_path(self._folder, chunk_id // PACK_ROWS)
        try:
            file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                return os.pread(file, self._row_bytes, chunk_id % PACK_ROWS * self._row_bytes)
            finally:
                os.close(file)
        except (OSError, OverflowError) as error:
            raise BackendError(f"{path} cannot be read: {error}") from error

    def rows(self, ids: NDArray[np.int64], total: int) -> NDArray[np.float32]:
        """The vectors of these chunks as float32[n, dimension], copied. Raises LedgerError for an id of `total` or more."""
        found = np.empty((len(ids), self._dimension), dtype=np.float32)
        if len(ids) and (int(ids.min()) < 0 or int(ids.max()) >= total):
            raise LedgerError(f"a vector outside the {total} chunks of this publication was asked for")
        for number in np.unique(ids // PACK_ROWS).tolist():
            here = ids // PACK_ROWS == number
            found[here] = self._mapped(number, total)[ids[here] % PACK_ROWS]
        return found

    def blocks(self, total: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """(first chunk id, mapped rows) of each pack, for whoever has to see all of them."""
        for number in range(-(-total // PACK_ROWS)):
            yield number * PACK_ROWS, self._mapped(number, total)

    def _mapped(self, number: int, total: int) -> NDArray[np.float32]:
        """The mapped rows of a pack, those below `total`; held against the file's length before every use."""
        path, rows = pack_path(self._folder, number), min(PACK_ROWS, total - number * PACK_ROWS)
        try:
            length = path.stat().st_size
        except OSError as error:
            raise BackendError(f"{path} cannot be read: {error.strerror}") from error
        if length < rows * self._row_bytes:
            raise LedgerError(f"{path} is shorter than its {rows} rows: publish again, or copy it whole")
        mapped = self._maps.get(number)
        if mapped is None or len(mapped) < rows:
            try:
                mapped = np.memmap(path, dtype=_ROW_TYPE, mode="r", shape=(rows, self._dimension))
            except (OSError, ValueError) as error:
                raise BackendError(f"{path} cannot be mapped: {error}") from error
            self._maps[number] = mapped
        return mapped[:rows]


class PackWriter:
    """Writes rows in place; `settle` waits until the disk has them."""

    def __init__(self, folder: Path, dimension: int) -> None:
        self._folder = folder
        self._row_bytes = dimension * _ROW_TYPE.itemsize
        self._open: dict[int, int] = {}

    def write(self, first: int, data: bytes) -> None:
        """Put these whole rows where chunk `first` and those behind it have theirs."""
        while data:
            number, at = divmod(first, PACK_ROWS)
            rows = min(PACK_ROWS - at, len(data) // self._row_bytes)
            part, data = data[: rows * self._row_bytes], data[rows * self._row_bytes :]
            self._write_at(number, at * self._row_bytes, part)
            first += rows

    def blank(self, first: int, count: int) -> None:
        """Let these rows be zero."""
        self.write(first, bytes(count * self._row_bytes))

    def reach(self, total: int) -> None:
        """Let the packs be as long as `total` chunks need, whether or not all of them ever stood."""
        for number in range(-(-total // PACK_ROWS)):
            length = min(PACK_ROWS, total - number * PACK_ROWS) * self._row_bytes
            if os.fstat(self._file(number)).st_size < length:
                os.ftruncate(self._file(number), length)

    def settle(self) -> None:
        """Returns when all of it survives a power cut."""
        for file in self._open.values():
            os.fsync(file)

    def close(self) -> None:
        """Close the files."""
        for file in self._open.values():
            os.close(file)
        self._open.clear()

    def _write_at(self, number: int, offset: int, data: bytes) -> None:
        file, left = self._file(number), memoryview(data)
        try:
            while left:
                written = os.pwrite(file, left, offset)
                left, offset = left[written:], offset + written
        except OSError as error:
            raise BackendError(f"{pack_path(self._folder, number)} cannot be written: {error}") from error

    def _file(self, number: int) -> int:
        if number not in self._open:
            path = pack_path(self._folder, number)
            path.parent.mkdir(parents=True, exist_ok=True)
            self._open[number] = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        return self._open[number]
