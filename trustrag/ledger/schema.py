"""The tables of a ledger, as migrations: each is recorded in the transaction that makes its change.

A migration that was released is never edited; a change of the tables is a new one at the end. Tables are
STRICT, so that even a stranger with a sqlite3 shell can put no text where a number belongs.
"""

import functools
import sqlite3

from sqlite_utils import Database, Migrations

from trustrag.errors import ConfigError, LedgerError

MIGRATIONS = Migrations("trustrag.ledger")

_TABLES = (
    # What the folder is for: context, embedder, and how many rows of vectors.f32 count.
    "CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID",
    # The log. nodes: the hashes of all complete subtrees that this entry closes, its own leaf first, 32 bytes
    # each.
    "CREATE TABLE entry (idx INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, nodes BLOB NOT NULL,"
    " envelope BLOB NOT NULL) STRICT",
    "CREATE TABLE snapshot (version INTEGER PRIMARY KEY, log_index INTEGER NOT NULL, root BLOB NOT NULL,"
    " action TEXT NOT NULL, reason TEXT, issued_at INTEGER NOT NULL, expires INTEGER NOT NULL,"
    " checkpoint BLOB NOT NULL) STRICT",
    # One publication of one name. Its chunks are the rows first_chunk .. first_chunk + chunk_count - 1.
    "CREATE TABLE version (id INTEGER PRIMARY KEY, doc_id TEXT NOT NULL, version INTEGER NOT NULL,"
    " standing TEXT NOT NULL, source TEXT NOT NULL, first_chunk INTEGER NOT NULL,"
    " chunk_count INTEGER NOT NULL, admitted INTEGER NOT NULL,"
    " document BLOB NOT NULL, metadata_digest BLOB NOT NULL,"
    " findings TEXT NOT NULL, metadata BLOB NOT NULL, UNIQUE (doc_id, version)) STRICT",
    "CREATE INDEX version_standing ON version (standing, source, first_chunk, chunk_count)",
    # id is also the row of the chunk's vector. nodes: as in entry, for the tree of the version's chunks.
    "CREATE TABLE chunk (id INTEGER PRIMARY KEY, version INTEGER NOT NULL, span_start INTEGER NOT NULL,"
    " span_end INTEGER NOT NULL, text_digest BLOB NOT NULL, vector_digest BLOB NOT NULL, nodes BLOB NOT NULL,"
    " text TEXT NOT NULL) STRICT",
    # What stood from snapshot `since` until just before `until`. since NULL: it never stood (yet).
    "CREATE TABLE standing (id INTEGER PRIMARY KEY, version INTEGER NOT NULL, bucket INTEGER NOT NULL,"
    " doc_id TEXT NOT NULL, since INTEGER, until INTEGER, entry BLOB NOT NULL) STRICT",
    "CREATE UNIQUE INDEX standing_now ON standing (bucket, doc_id) WHERE since IS NOT NULL AND until IS NULL",
    "CREATE INDEX standing_version ON standing (version)",
    "CREATE INDEX standing_since ON standing (since, version)",
    "CREATE INDEX standing_until ON standing (until, version) WHERE until IS NOT NULL",
    # The top of the standing tree, numbered as a heap: 1 is the root, 65536 + b is bucket b. Absent: as if
    # empty.
    "CREATE TABLE node (id INTEGER PRIMARY KEY, hash BLOB NOT NULL) STRICT",
    "CREATE TABLE ruling (id INTEGER PRIMARY KEY, snapshot INTEGER NOT NULL, action TEXT NOT NULL,"
    " doc_id TEXT, source TEXT, version INTEGER, reason TEXT NOT NULL) STRICT",
    "CREATE INDEX ruling_source ON ruling (source, snapshot)",
    "CREATE INDEX ruling_document ON ruling (doc_id, snapshot)",
    # The metadata as pairs of a name and its value in canonical JSON, for filters.
    "CREATE TABLE term (id INTEGER PRIMARY KEY, name TEXT NOT NULL, value TEXT NOT NULL,"
    " UNIQUE (name, value)) STRICT",
    "CREATE TABLE version_term (term INTEGER NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (term, version))"
    " STRICT, WITHOUT ROWID",
)


@MIGRATIONS(name="0001_first_tables")
def _first_tables(db: Database) -> None:
    for statement in _TABLES:
        db.execute(statement)


_KNOWN = frozenset({"0001_first_tables"})


def migrate(db: Database) -> None:
    """Bring an empty or older database up to date. Only a writer may call this. Raises as `require_current`."""
    if _applied(db.conn) != _KNOWN:
        MIGRATIONS.apply(db)
    require_current(db)


def require_current(db: Database) -> None:
    """The database has our tables and indexes to the letter, and nothing more.

    A trigger or a view that someone added would run inside our own transactions: LedgerError. A database that
    waits for a migration, or has seen one that we do not know: ConfigError.
    """
    if _applied(db.conn) != _KNOWN:
        raise ConfigError(
            "the ledger was written by an older trustrag: open it once for writing to bring it up to date"
        )
    found, expected = _objects(db.conn), _expected()
    for name in sorted(found ^ expected):
        problem = "is not one of ours" if name in found else "is missing"
        raise LedgerError(f"ledger.db has been changed by hand: {name[0]} {name[1]} {problem}")


def _applied(connection: sqlite3.Connection) -> frozenset[str]:
    """The migrations that this database has seen; read by hand, since the library trusts its own table."""
    record = next((sql for _, name, sql in _objects(connection) if name == MIGRATIONS.migrations_table), None)
    if record is None:
        return frozenset()
    if record not in {sql for _, _, sql in _expected()}:
        raise LedgerError("ledger.db has been changed by hand: it has lost the record of its migrations")
    rows = connection.execute(
        f"SELECT name FROM {MIGRATIONS.migrations_table} WHERE migration_set = ?", (MIGRATIONS.name,)
    )
    applied = frozenset(str(row[0]) for row in rows)
    if newer := applied - _KNOWN:
        raise ConfigError(
            f"the ledger was written by a newer trustrag (it knows {min(newer)!r}): upgrade this one"
        )
    return applied


def _objects(connection: sqlite3.Connection) -> frozenset[tuple[str, str, str]]:
    rows = connection.execute(
        "SELECT type, name, coalesce(sql, '') FROM sqlite_master WHERE name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )
    return frozenset((str(kind), str(name), str(sql)) for kind, name, sql in rows)


@functools.cache
def _expected() -> frozenset[tuple[str, str, str]]:
    db = Database(memory=True, execute_plugins=False)
    MIGRATIONS.apply(db)
    try:
        return _objects(db.conn)
    finally:
        db.close()
