"""Opening the database, and the border where its errors are translated."""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

from sqlite_utils import Database

from trustrag.errors import BackendError

_BUSY_SECONDS = 10.0
_MAX_VALUE_BYTES = 64 << 20  # the longest text or blob we read: a hostile row must not fill the memory
# What SQLite raises; on a damaged file also about a message of its own that it cannot decode.
FAILURES = (sqlite3.Error, OverflowError, UnicodeDecodeError)


def connect(path: Path, *, write: bool) -> Database:
    """A connection to an existing database, or for a writer also a new one.

    Requires the caller to hold the folder's lock when `write`. Any thread may use it, one at a time.
    """
    mode = "rwc" if write else "ro"
    if not write and not os.access(path.parent, os.W_OK) and not path.with_name(path.name + "-wal").exists():
        # A read-only medium: SQLite could make no -shm file there, and nobody can write.
        mode = "ro&immutable=1"
    with translated(path.name), ExitStack() as undo:
        connection = sqlite3.connect(
            f"file:{quote(str(path))}?mode={mode}", uri=True, timeout=_BUSY_SECONDS, check_same_thread=False
        )
        undo.callback(connection.close)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE_BYTES)
        # No plug-ins of sqlite-utils in here: they would be somebody's code inside the ledger.
        db = Database(connection, execute_plugins=False)
        for pragma in ("trusted_schema=OFF", "cell_size_check=ON", f"query_only={'OFF' if write else 'ON'}"):
            db.execute(f"PRAGMA {pragma}")
        if write:
            db.execute("PRAGMA journal_mode=WAL")
            # FULL: a commit returns when the disk has it. Anything less and an acknowledged document can
            # vanish.
            db.execute("PRAGMA synchronous=FULL")
        undo.pop_all()
    return db


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Turns whatever SQLite raises into BackendError."""
    try:
        yield
    except FAILURES as error:
        raise failed(what, error) from error


def failed(what: str, error: Exception) -> BackendError:
    """The error to raise instead of one of FAILURES."""
    return BackendError(f"{what} cannot be used: {error}")
