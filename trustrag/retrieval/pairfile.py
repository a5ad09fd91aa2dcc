"""Pairwise work on disk, so that a restart costs nothing: a bounded cache that anybody may delete.

It belongs to the user and lies outside of the workspace, whose folder anybody may have written: what is kept here is
believed, and a forged "these two are copies" would change what is ranked. Entries are named by a hash of the judge's name and
both texts' digests, so no store can give another one's texts a result, and the file tells nobody what the texts say.
"""

import hashlib
import logging
import math
import os
import sqlite3
import struct
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from trustrag.consistency.memory import Pair, Values
from trustrag.files import make_folder

LIMIT = 500_000
"""Pairs kept, the oldest forgotten: some 50 MB."""
MOST = 8
"""Numbers that one pair may have."""
_LOOK_UP = 400
"""Names in one question to SQLite."""
_PATIENCE = 0.2
"""Seconds to wait for another process that writes: longer than that, the work itself is quicker."""
_LOG = logging.getLogger(__name__)
_SCHEMA = "CREATE TABLE IF NOT EXISTS pairs (id INTEGER PRIMARY KEY, name BLOB NOT NULL UNIQUE, value BLOB NOT NULL)"


class PairFile:
    """A `PairStore` in one SQLite file, 0600 in a folder of 0700, made when it is first needed. Thread-safe.

    Nothing here raises: a file that is damaged is made anew, and one that cannot be read or written is done without. A
    value that no judge can have given (not finite, not in 0..1) is worked out again.
    """

    def __init__(self, path: Path, *, limit: int = LIMIT) -> None:
        if limit < 1:
            raise ValueError(f"a file of pairs needs room for at least 1, not {limit}")
        self._path = path
        self._limit = limit
        self._lock = threading.Lock()
        self._opened: sqlite3.Connection | None = None
        self._broken = False

    def load(self, judge: str, pairs: Sequence[Pair]) -> list[Values | None]:
        """See `PairStore`."""
        names = [_name(judge, pair) for pair in pairs]
        kept: dict[bytes, Values] = {}
        rows: list[tuple[bytes, object]] = []

        def look_up(connection: sqlite3.Connection) -> None:
            for start in range(0, len(names), _LOOK_UP):
                some = names[start : start + _LOOK_UP]
                marks = ",".join("?" * len(some))
                rows.extend(
                    connection.execute(f"SELECT name, value FROM pairs WHERE name IN ({marks})", some)
                )

        self._do(look_up)
        kept.update((name, numbers) for name, value in rows if (numbers := _numbers(value)) is not None)
        return [kept.get(name) for name in names]

    def save(self, judge: str, pairs: Sequence[Pair], values: Sequence[Values]) -> None:
        """See `PairStore`."""
        rows = [
            (_name(judge, pair), struct.pack(f"<{len(value)}d", *value))
            for pair, value in zip(pairs, values, strict=True)
            if 0 < len(value) <= MOST
        ]

        def keep(connection: sqlite3.Connection) -> None:
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                connection.executemany("INSERT OR REPLACE INTO pairs (name, value) VALUES (?, ?)", rows)
                connection.execute(
                    "DELETE FROM pairs WHERE id <= (SELECT max(id) FROM pairs) - ?", (self._limit,)
                )

        self._do(keep)

    def close(self) -> None:
        """Close the file; it is opened again when it is needed."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
            self._opened = None

    def _do(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Work on the file, where it can be used."""
        with self._lock:
            if self._broken:
                return
            try:
                self._opened = self._opened or self._open()
                work(self._opened)
            except (sqlite3.Error, OSError) as error:
                self._give_up(error)

    def _open(self) -> sqlite3.Connection:
        make_folder(self._path.parent, mode=0o700)
        with suppress(FileExistsError):  # SQLite itself would make it readable to all
            os.close(os.open(self._path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        connection = sqlite3.connect(
            self._path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
        )
        # A crash may cost the newest entries, never the file: nothing is lost that can't be worked out again.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(_SCHEMA)
        return connection

    def _give_up(self, error: Exception) -> None:
        """Go on without; a damaged file is removed, so that the next process begins anew."""
        busy = isinstance(error, sqlite3.OperationalError) and "locked" in str(error)
        if self._opened is not None:
            with suppress(sqlite3.Error):
                self._opened.close()
        self._opened = None
        if busy:
            return
        self._broken = True
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            for end in ("", "-wal", "-shm"):
                with suppress(OSError):
                    self._path.with_name(self._path.name + end).unlink()
        _LOG.warning("pairwise work is not kept beyond this process: %s: %s", self._path, error)


def _name(judge: str, pair: Pair) -> bytes:
    return hashlib.sha256("\0".join((judge, *pair)).encode()).digest()[:16]


def _numbers(value: object) -> Values | None:
    if not isinstance(value, bytes) or not 0 < len(value) <= 8 * MOST or len(value) % 8:
        return None
    numbers: Values = struct.unpack(f"<{len(value) // 8}d", value)
    return numbers if all(math.isfinite(one) and 0 <= one <= 1 for one in numbers) else None
