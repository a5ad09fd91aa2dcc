"""The ledger's rows in SQLite: every statement, and the border where its errors are translated.

Nothing above this module sees a `sqlite3` error: a file that cannot be read is a BackendError, a row that
makes no sense a LedgerError (see `rows`).
"""

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import chain

import numpy as np
from sqlite_utils import Database

from trustrag.errors import LedgerError
from trustrag.ledger.connection import FAILURES, failed, translated
from trustrag.ledger.model import Decision, Ruling, Snapshot, VersionRow
from trustrag.ledger.rows import (
    CHUNK,
    RULING,
    SNAPSHOT,
    STANDING,
    VERSION,
    ChunkRow,
    Row,
    RulingRow,
    StandingRow,
    as_blob,
    as_digest,
    as_integer,
    as_note,
    as_text,
    chunk_row,
    ruling_row,
    snapshot_row,
    standing_row,
    version_row,
)
from trustrag.ledger.schema import require_current
from trustrag.provenance.canonical import Digest
from trustrag.stored import Ids

Value = None | int | str | bytes
Term = tuple[str, str]  # a metadata field and what stands for its value

_NOW = "since IS NOT NULL AND until IS NULL"
_THEN = "since <= ? AND (until IS NULL OR until > ?)"


class Session:
    """The statements over one connection. Callers open a transaction with `reading` or `writing` around
    them.
    """

    def __init__(self, db: Database) -> None:
        self._db = db
        self._connection = db.conn

    def close(self) -> None:
        self._db.close()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """One read transaction: everything inside sees the ledger at one commit."""
        self._run("BEGIN")
        try:
            yield
        finally:
            with translated("ledger.db"):
                self._connection.rollback()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """One write transaction: all of it is on disk when this returns, or none of it ever was."""
        with translated("ledger.db"), self._db.atomic():
            yield

    def settle(self) -> None:
        """Move what is in the write-ahead log into the database file, as far as no reader is in the way.

        SQLite does this when the last connection closes, but a reader that stays open, or can only read, leaves all
        of it in the log; and who then copies `ledger.db` alone copies an older state.
        """
        with translated("ledger.db"):
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # -- the database itself

    def check_tables(self) -> None:
        """Raises LedgerError when a table, index, view or trigger is not one of ours."""
        with translated("ledger.db"):
            require_current(self._db)

    def faults(self) -> list[str]:
        """What SQLite finds wrong with its own file; at most a hundred findings."""
        found = [as_text(row[0], "integrity_check") for row in self._rows("PRAGMA integrity_check(100)")]
        return [] if found == ["ok"] else found

    # -- settings

    def settings(self) -> dict[str, str]:
        return {
            as_text(name, "setting"): as_text(value, "setting")
            for name, value in self._rows("SELECT * FROM setting")
        }

    def put_setting(self, name: str, value: str) -> None:
        self._run("INSERT OR REPLACE INTO setting VALUES (?, ?)", name, value)

    def vector_rows(self) -> int:
        """How many rows of the vector file count."""
        text = self.settings().get("vectors", "")
        if not (text.isascii() and text.isdigit() and len(text) < 16):
            raise LedgerError(
                "row 'vectors' of table setting in ledger.db is no number: restore it from a backup"
            )
        return int(text)

    # -- the log

    def log_size(self) -> int:
        row = self._row("SELECT max(idx) FROM entry")
        return 0 if row is None or row[0] is None else as_integer(row[0], "entry.idx") + 1

    def entry_nodes(self, index: int) -> bytes:
        return self._blob("SELECT nodes FROM entry WHERE idx = ?", index, f"log entry {index}")

    def entry_envelope(self, index: int) -> bytes:
        return self._blob("SELECT envelope FROM entry WHERE idx = ?", index, f"log entry {index}")

    def entry_index(self, digest: Digest) -> int | None:
        row = self._row("SELECT idx FROM entry WHERE digest = ?", digest.value)
        return None if row is None else as_integer(row[0], "entry.idx")

    def add_entry(self, index: int, digest: Digest, nodes: bytes, envelope: bytes) -> None:
        self._run("INSERT INTO entry VALUES (?, ?, ?, ?)", index, digest.value, nodes, envelope)

    def entries(self) -> Iterator[tuple[int, Digest, bytes, bytes]]:
        """(index, digest, nodes, envelope) of all log entries, in order."""
        for index, digest, nodes, data in self._iterate(
            "SELECT idx, digest, nodes, envelope FROM entry ORDER BY idx"
        ):
            where = f"log entry {index}"
            yield (
                as_integer(index, where),
                as_digest(digest, where),
                as_blob(nodes, where),
                as_blob(data, where),
            )

    # -- snapshots

    def snapshot(self, version: int | None = None) -> Snapshot | None:
        """The snapshot of that version, or the newest."""
        if version is None:
            row = self._row(f"SELECT {SNAPSHOT} FROM snapshot ORDER BY version DESC LIMIT 1")
        else:
            row = self._row(f"SELECT {SNAPSHOT} FROM snapshot WHERE version = ?", version)
        return None if row is None else snapshot_row(row)

    def snapshots(self) -> list[Snapshot]:
        return list(map(snapshot_row, self._rows(f"SELECT {SNAPSHOT} FROM snapshot ORDER BY version")))

    def checkpoint(self, version: int) -> bytes:
        """The signed note that was published with that snapshot. Raises MalformedError for what is none."""
        sql = "SELECT checkpoint FROM snapshot WHERE version = ?"
        return as_note(self._blob(sql, version, f"snapshot {version}"), version)

    def put_checkpoint(self, version: int, checkpoint: bytes) -> None:
        self._run("UPDATE snapshot SET checkpoint = ? WHERE version = ?", checkpoint, version)

    def add_snapshot(self, item: Snapshot, checkpoint: bytes) -> None:
        self._run(
            f"INSERT INTO snapshot ({SNAPSHOT}, checkpoint) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            item.version,
            item.root.value,
            item.log_index,
            item.action,
            item.reason,
            item.issued_at,
            item.expires,
            checkpoint,
        )

    # -- versions

    def version(self, row_id: int) -> VersionRow | None:
        row = self._row(f"SELECT {VERSION} FROM version WHERE id = ?", row_id)
        return None if row is None else version_row(row)

    def versions(self, doc_id: str) -> list[VersionRow]:
        """All versions of a document, oldest first."""
        rows = self._rows(f"SELECT {VERSION} FROM version WHERE doc_id = ? ORDER BY version", doc_id)
        return [version_row(row) for row in rows]

    def all_versions(self) -> Iterator[VersionRow]:
        """Every version, by document and number."""
        return map(version_row, self._iterate(f"SELECT {VERSION} FROM version ORDER BY doc_id, version"))

    def versions_by_chunk(self) -> Iterator[VersionRow]:
        """Every version, in the order of its chunks."""
        return map(version_row, self._iterate(f"SELECT {VERSION} FROM version ORDER BY first_chunk, id"))

    def versions_in(self, standings: Sequence[str], source: str | None = None) -> list[VersionRow]:
        """The versions in these standings (of one source)."""
        sql = f"SELECT {VERSION} FROM version WHERE standing IN ({_marks(standings)}) AND source = coalesce(?, source)"
        return [version_row(row) for row in self._rows(sql, *standings, source)]

    def standings_of(self, source: str) -> dict[str, int]:
        """How many versions a source has in each standing."""
        rows = self._rows("SELECT standing, count(*) FROM version WHERE source = ? GROUP BY standing", source)
        return {as_text(row[0], "version.standing"): as_integer(row[1], "count") for row in rows}

    def newest_version(self, doc_id: str) -> int:
        """The highest version number that the ledger has of a document; 0 when it has none."""
        row = self._row("SELECT max(version) FROM version WHERE doc_id = ?", doc_id)
        return 0 if row is None or row[0] is None else as_integer(row[0], "version.version")

    def add_version(self, item: VersionRow) -> int:
        """Adds the row (whatever its `row` says) and returns its id."""
        cursor = self._run(
            "INSERT INTO version (doc_id, version, document, source, standing, first_chunk,"
            " chunk_count, admitted, findings, metadata, metadata_digest)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            item.doc_id,
            item.version,
            item.digest.value,
            item.source_name,
            item.standing,
            item.first_chunk,
            item.chunk_count,
            item.admitted,
            json.dumps(item.findings),
            item.metadata,
            item.metadata_digest.value,
        )
        return int(cursor.lastrowid or 0)

    def set_standing(self, version_rows: Iterable[int], standing: str) -> None:
        """What these versions are called from now on; whether they stand, the standing tree tells."""
        self._many("UPDATE version SET standing = ? WHERE id = ?", [(standing, row) for row in version_rows])

    # -- chunks

    def chunk(self, chunk_id: int) -> ChunkRow | None:
        row = self._row(f"SELECT {CHUNK} FROM chunk WHERE id = ?", chunk_id)
        return None if row is None else chunk_row(row)

    def chunks(self, first: int, count: int) -> Iterator[tuple[ChunkRow, bytes]]:
        """The chunks of one version with their tree nodes, in order; missing rows are just not there."""
        rows = self._iterate(
            f"SELECT {CHUNK}, nodes FROM chunk WHERE id >= ? AND id < ? ORDER BY id",
            first,
            first + count,
        )
        return ((chunk_row(row[:7]), as_blob(row[7], "chunk.nodes")) for row in rows)

    def chunk_rows(self) -> int:
        """How many chunks there are."""
        return self._count("chunk")

    def chunk_nodes(self, chunk_id: int) -> bytes:
        return self._blob("SELECT nodes FROM chunk WHERE id = ?", chunk_id, f"chunk {chunk_id}")

    def add_chunks(self, chunks: Iterable[tuple[ChunkRow, bytes]]) -> None:
        """Adds chunks, each with its tree nodes."""
        rows = [
            (
                row.id,
                row.version,
                row.start,
                row.end,
                row.text_digest.value,
                row.vector_digest.value,
                row.text,
                nodes,
            )
            for row, nodes in chunks
        ]
        self._many(f"INSERT INTO chunk ({CHUNK}, nodes) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)

    # -- what stands

    def bucket(self, bucket: int) -> list[StandingRow]:
        """What stands now in one bucket, by document id in UTF-8 order."""
        return self._standing(f"bucket = ? AND {_NOW} ORDER BY doc_id", bucket)

    def standing_at(self, snapshot: int) -> list[StandingRow]:
        """What stood in that snapshot, by document id."""
        return self._standing(f"{_THEN} ORDER BY doc_id", snapshot, snapshot)

    def standing_now(self) -> Iterator[StandingRow]:
        """Everything that stands."""
        return map(standing_row, self._iterate(f"SELECT {STANDING} FROM standing WHERE {_NOW}"))

    def standing_count(self) -> int:
        """How many documents stand."""
        return self._count(f"standing WHERE {_NOW}")

    def moved_in(self, snapshot: int) -> list[StandingRow]:
        """What ended or began in that snapshot."""
        return self._standing("since = ? OR until = ?", snapshot, snapshot)

    def standing_of(self, version_row: int) -> list[StandingRow]:
        """All stays of one version, oldest first."""
        return self._standing("version = ? ORDER BY id", version_row)

    def orphans(self, doc_id: str) -> int:
        """How many stays are filed under this document, of versions that it does not have. Reads all that ever stood."""
        mine = "(SELECT id FROM version WHERE doc_id = standing.doc_id)"
        return self._count(f"standing WHERE doc_id = ? AND version NOT IN {mine}", doc_id)

    def all_standing(self) -> Iterator[tuple[StandingRow, int]]:
        """Everything that stands, stood or waits, each with its bucket."""
        rows = self._iterate(f"SELECT {STANDING}, bucket FROM standing ORDER BY id")
        return ((standing_row(row[:-1]), as_integer(row[-1], "standing.bucket")) for row in rows)

    def add_standing(
        self, version_row: int, bucket: int, doc_id: str, since: int | None, entry: bytes
    ) -> None:
        self._run(
            "INSERT INTO standing (version, bucket, doc_id, since, entry) VALUES (?, ?, ?, ?, ?)",
            version_row,
            bucket,
            doc_id,
            since,
            entry,
        )

    def end_standing(self, version_rows: Iterable[int], until: int) -> None:
        """What these versions let stand does so no longer from snapshot `until` on."""
        rows = [(until, row) for row in version_rows]
        self._many(f"UPDATE standing SET until = ? WHERE version = ? AND {_NOW}", rows)

    def start_standing(self, row_id: int, since: int | None, entry: bytes) -> None:
        """Lets a waiting row stand, or (None) wait on with another entry."""
        self._run("UPDATE standing SET since = ?, entry = ? WHERE id = ?", since, entry, row_id)

    def _standing(self, condition: str, *values: Value) -> list[StandingRow]:
        sql = f"SELECT {STANDING} FROM standing WHERE {condition}"
        return [standing_row(row) for row in self._rows(sql, *values)]

    def nodes(self, ids: Sequence[int]) -> dict[int, bytes]:
        """The stored nodes of the standing tree's top among these, by heap number."""
        rows = self._rows(f"SELECT id, hash FROM node WHERE id IN ({_marks(ids)})", *ids)
        return {as_integer(row[0], "node.id"): as_blob(row[1], "node.hash", 32) for row in rows}

    def put_nodes(self, nodes: Iterable[tuple[int, bytes]]) -> None:
        self._many("INSERT OR REPLACE INTO node VALUES (?, ?)", list(nodes))

    def all_nodes(self) -> Iterator[tuple[int, bytes]]:
        rows = self._iterate("SELECT id, hash FROM node ORDER BY id")
        return ((as_integer(row[0], "node.id"), as_blob(row[1], "node.hash", 32)) for row in rows)

    def add_ruling(self, snapshot: int, item: Ruling | Decision) -> None:
        self._run(
            "INSERT INTO ruling (snapshot, action, doc_id, source, version, reason)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            snapshot,
            item.action,
            item.doc_id,
            item.source,
            item.version,
            item.reason,
        )

    def rulings(self) -> list[RulingRow]:
        """All rulings, in the order in which they were made."""
        return [ruling_row(row) for row in self._rows(f"SELECT {RULING} FROM ruling ORDER BY id")]

    # -- following and filtering

    def touched_since(self, snapshot: int) -> list[tuple[int, int, bool, bool]]:
        """(first chunk, count, stood at that snapshot, stands now) of every version whose standing moved
        after it.
        """
        rows = self._rows(
            "SELECT v.first_chunk, v.chunk_count, max(s.since <= ?1 AND (s.until IS NULL OR s.until > ?1)),"
            " max(s.until IS NULL) FROM standing s JOIN version v ON v.id = s.version"
            " WHERE s.since IS NOT NULL AND s.version IN (SELECT version FROM standing WHERE since > ?1"
            " UNION SELECT version FROM standing WHERE until > ?1) GROUP BY v.id",
            snapshot,
        )
        return [
            (
                as_integer(first, "version.first_chunk"),
                as_integer(count, "version.chunk_count"),
                bool(old),
                bool(new),
            )
            for first, count, old, new in rows
        ]

    def add_terms(self, version_row: int, terms: Sequence[Term]) -> None:
        self._many("INSERT OR IGNORE INTO term (name, value) VALUES (?, ?)", terms)
        self._many(
            "INSERT OR IGNORE INTO version_term SELECT id, ? FROM term WHERE name = ? AND value = ?",
            [(version_row, name, value) for name, value in terms],
        )

    def standing_spans(self, sources: Sequence[str] | None, at: int | None = None) -> Ids:
        """int64[n, 3] of (version row, first chunk, count) by version row: what stands, or stood in snapshot
        `at`, from one of the sources.
        """
        condition, values = "standing = 'active'", list[Value]()
        if at is not None:
            condition = f"id IN (SELECT version FROM standing WHERE {_THEN})"
            values += (at, at)
        if sources is not None:
            condition += f" AND source IN ({_marks(sources)})"
            values += sources
        sql = f"SELECT id, first_chunk, chunk_count FROM version WHERE {condition} ORDER BY id"
        return self._integers(sql, *values).reshape(-1, 3)

    def versions_with(self, term: Term) -> Ids:
        """int64[n]: the version rows, in order, whose metadata has this term."""
        return self._integers(
            "SELECT version FROM version_term WHERE term = (SELECT id FROM term WHERE name = ? AND value = ?)"
            " ORDER BY version",
            *term,
        )

    def versions_under(self, name: str) -> Ids:
        """int64[n]: the version rows, in order, whose metadata has a field of this name."""
        sql = "SELECT DISTINCT version FROM version_term WHERE term IN (SELECT id FROM term WHERE name = ?) ORDER BY version"
        return self._integers(sql, name)

    def has_term(self, version_row: int, term: Term) -> bool:
        """Whether this version is filed under this term."""
        where = "version = ? AND term = (SELECT id FROM term WHERE name = ? AND value = ?)"
        return self._row(f"SELECT 1 FROM version_term WHERE {where}", version_row, *term) is not None

    def term_total(self) -> int:
        """Under how many terms all versions together are filed."""
        return self._count("version_term")

    # -- running statements

    # Each translates errors by hand: a `with` for every row would cost as much as the row.

    def _run(self, sql: str, *values: Value) -> sqlite3.Cursor:
        try:
            return self._connection.execute(sql, values)
        except FAILURES as error:
            raise failed("ledger.db", error) from error

    def _many(self, sql: str, rows: Sequence[tuple[Value, ...]]) -> None:
        try:
            self._connection.executemany(sql, rows)
        except FAILURES as error:
            raise failed("ledger.db", error) from error

    def _rows(self, sql: str, *values: Value) -> list[Row]:
        try:
            return self._connection.execute(sql, values).fetchall()
        except FAILURES as error:
            raise failed("ledger.db", error) from error

    def _row(self, sql: str, *values: Value) -> Row | None:
        try:
            row: Row | None = self._connection.execute(sql, values).fetchone()
            return row
        except FAILURES as error:
            raise failed("ledger.db", error) from error

    def _iterate(self, sql: str, *values: Value) -> Iterator[Row]:
        with translated("ledger.db"):
            cursor = self._connection.execute(sql, values)
            try:
                # By hand: `yield from` a cursor would close it itself, in whatever state its connection is.
                yield from iter(cursor.fetchone, None)
            finally:
                # Nobody went on, and the connection was closed meanwhile.
                with suppress(sqlite3.ProgrammingError):
                    cursor.close()

    def _integers(self, sql: str, *values: Value) -> Ids:
        """All values of all rows, one after the other."""
        try:
            return np.fromiter(chain.from_iterable(self._rows(sql, *values)), dtype=np.int64)
        except (TypeError, ValueError, OverflowError):
            raise LedgerError("ledger.db holds something else where only integers belong") from None

    def _count(self, table: str, *values: Value) -> int:
        row = self._row(f"SELECT count(*) FROM {table}", *values)
        return as_integer(row[0] if row else None, f"number of rows of {table}")

    def _blob(self, sql: str, key: int, what: str) -> bytes:
        row = self._row(sql, key)
        if row is None:
            raise LedgerError(f"{what} is missing in ledger.db")
        return as_blob(row[0], what)


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))
