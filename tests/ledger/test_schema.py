"""Migrations: each is recorded with its change, and a database from another time is told apart."""

import sqlite3
from pathlib import Path

import pytest
from sqlite_utils import Database

from tests.ledger.world import CONTEXT, EMBEDDER
from trustrag.errors import ConfigError, LedgerError
from trustrag.ledger import Ledger
from trustrag.ledger.schema import _KNOWN, MIGRATIONS, migrate, require_current


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Ledger.create(tmp_path / "kb", CONTEXT, EMBEDDER).close()
    return tmp_path / "kb"


def edit(folder: Path, statement: str) -> None:
    db = sqlite3.connect(folder / "ledger.db")
    with db:
        db.execute(statement)
    db.close()


def test_all_migrations_are_known_by_name() -> None:
    db = Database(memory=True)
    migrate(db)
    assert {migration.name for migration in MIGRATIONS.applied(db)} == _KNOWN
    assert MIGRATIONS.pending(db) == []
    migrate(db)
    require_current(db)


def test_an_empty_database_waits_for_its_migrations() -> None:
    with pytest.raises(ConfigError, match="older trustrag"):
        require_current(Database(memory=True))


def test_a_newer_database_is_left_alone(folder: Path) -> None:
    edit(
        folder,
        "INSERT INTO _sqlite_migrations (migration_set, name) VALUES ('trustrag.ledger', '9999_later')",
    )
    for write in (False, True):
        with pytest.raises(ConfigError, match=r"newer trustrag.*9999_later"):
            Ledger.open(folder, write=write)


def test_a_forgotten_migration_is_not_run_over_what_is_there(folder: Path) -> None:
    edit(folder, "DELETE FROM _sqlite_migrations")
    with pytest.raises(ConfigError, match="older trustrag"):
        Ledger.open(folder)
    with pytest.raises(Exception, match="already exists") as caught:
        Ledger.open(folder, write=True)
    assert type(caught.value).__name__ == "BackendError"


def test_a_bent_record_of_migrations_is_named(folder: Path) -> None:
    edit(folder, "ALTER TABLE _sqlite_migrations RENAME COLUMN name TO nam")
    with pytest.raises(LedgerError, match="record of its migrations"):
        Ledger.open(folder, write=True)
