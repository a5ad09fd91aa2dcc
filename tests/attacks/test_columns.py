"""Every column of every table of the ledger, changed and deleted: the audit names it, or nobody signed it, and here is why.

The columns are read from the database itself. A column that is added later is in this test from its first day.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from tests.attacks.scene import Scene, attack, not_stopped
from trustrag.errors import TrustragError
from trustrag.workspace import Workspace

ROWS: Final = 12  # of one table that are bent, spread over all of it

# What follows from nothing that was signed. docs/threat-model.md says what can be done with it.
UNSIGNED: Final = {
    ("version", "findings"): "what the screens noticed: no statement has a place for it",
    ("standing", "id"): "the number of a row; that stays are in the order of their snapshots is looked at",
    ("ruling", "id"): "the number of a row; that rulings are in the order of their snapshots is looked at",
    ("_sqlite_migrations", "id"): "the number of a row",
    ("_sqlite_migrations", "applied_at"): "when a table was made; nobody asks",
}


def tables(database: sqlite3.Connection) -> list[str]:
    rows = database.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
    return [name for (name,) in rows if not name.startswith("sqlite_")]


def columns(database: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in database.execute(f"PRAGMA table_info({table})")]


def spread(rows: Sequence[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Some of them, the first and the last among them."""
    if len(rows) <= ROWS:
        return list(rows)
    return [rows[at * (len(rows) - 1) // (ROWS - 1)] for at in range(ROWS)]


def lies(value: object, others: Sequence[object]) -> Iterator[object]:
    """Other values for a cell: one that another row has, and one that is as like it as can be."""
    yield from [other for other in others if other != value and other is not None][:1]
    match value:
        case int():
            yield value + 1
        case str():
            yield value + "x"
        case bytes() if value:
            yield (
                value[: len(value) // 2] + bytes([value[len(value) // 2] ^ 1]) + value[len(value) // 2 + 1 :]
            )
        case None:
            yield from (1, "x")


def named(workspace: Workspace) -> list[str]:
    """What an audit of this moment names, beside the suspended source whose passage stands."""
    try:
        problems = workspace.audit().problems
    except TrustragError as error:
        return [str(error)]
    return [f"{one.where}: {one.what}" for one in problems if "source lab is suspended" not in one.what]


def is_named(scene: Scene, workspace: Workspace) -> bool:
    """Whether an audit names it; where the open store does not know of it, one that opens the store anew."""
    return bool(named(workspace) or scene.audit())


def unnoticed(scene: Scene) -> tuple[set[tuple[str, str]], list[str]]:
    """The columns of which every change went unnamed, and each change that an audit did not name."""
    bent, missed = dict[tuple[str, str], bool](), list[str]()
    with scene.database() as database, scene.open() as workspace:
        assert named(workspace) == []
        for table in tables(database):
            names = columns(database, table)
            rows = [tuple(row) for row in database.execute(f"SELECT * FROM {table}")]
            assert rows, f"the honest store has no row of {table}"
            for row in spread(rows):
                for at, column in enumerate(names):
                    for lie in lies(row[at], [other[at] for other in rows]):
                        if not put(database, table, names, row, at, lie):
                            continue
                        found = is_named(scene, workspace)
                        assert put(database, table, names, (*row[:at], lie, *row[at + 1 :]), at, row[at])
                        bent[table, column] = bent.get((table, column), False) or found
                        if not found:
                            missed.append(
                                f"{table}.{column} = {str(lie)[:60]!r} instead of {str(row[at])[:60]!r}"
                            )
        assert set(bent) == {(table, name) for table in tables(database) for name in columns(database, table)}
    return {column for column, found in bent.items() if not found}, missed


def put(
    database: sqlite3.Connection,
    table: str,
    names: Sequence[str],
    row: tuple[object, ...],
    at: int,
    value: object,
) -> bool:
    """Write one cell of one row, unless the table takes no such value there."""
    this = " AND ".join(f"{name} IS ?" for name in names)
    with suppress(sqlite3.IntegrityError, sqlite3.OperationalError):
        changed = database.execute(f"UPDATE {table} SET {names[at]} = ? WHERE {this}", (value, *row)).rowcount
        database.commit()
        return changed == 1
    database.rollback()
    return False


@attack(
    "change any other column of any table of ledger.db",
    "each follows from what was signed, and is computed anew",
)
def test_every_column(scene: Scene) -> None:
    _, missed = unnoticed(scene)
    told = tuple(f"{table}.{column} " for table, column in UNSIGNED)
    assert [change for change in missed if not change.startswith(told)] == []
    scene.say("audit names it")


@attack(
    "delete any row of any table of ledger.db", "each row follows from what was signed, or others name it"
)
def test_every_row(scene: Scene) -> None:
    missed = []
    with scene.database() as database, scene.open() as workspace:
        for table in tables(database):
            names = columns(database, table)
            this, marks = " AND ".join(f"{name} IS ?" for name in names), ",".join("?" * len(names))
            for row in spread([tuple(row) for row in database.execute(f"SELECT * FROM {table}")]):
                database.execute(f"DELETE FROM {table} WHERE {this}", row)
                database.commit()
                if not is_named(scene, workspace):
                    missed.append(f"{table}: {str(row)[:100]}")
                database.execute(f"INSERT INTO {table} VALUES ({marks})", row)
                database.commit()
    assert missed == []
    scene.say("audit names it")


@not_stopped(
    "change the findings of the screens in ledger.db", "no statement holds them: read them as a hint"
)
def test_findings(scene: Scene) -> None:
    scene.sql(
        "UPDATE version SET findings = '[\"CONCEALED_TEXT: hold 0-3: made up\"]' WHERE doc_id = 'travel.txt'"
    )
    scene.audit_is_clean()
    scene.say("not noticed; shown as unsigned")
