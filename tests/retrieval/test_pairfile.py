"""Pairwise work on disk: found again after a restart, bounded, private, and never in the way."""

import os
import sqlite3
import stat
import struct
from collections.abc import Sequence
from pathlib import Path

import pytest

from trustrag.consistency import PairMemory
from trustrag.consistency.memory import Values
from trustrag.retrieval import pairfile
from trustrag.retrieval.pairfile import PairFile

PAIRS = [("a", "b"), ("a", "c"), ("b", "c")]
VALUES = [(0.25, 1.0), (0.0, 0.5), (1 / 3, 0.1)]


def remembered(path: Path, pairs: Sequence[tuple[str, str]] = PAIRS, judge: str = "j") -> list[int]:
    """Which places a new process has to work out again."""
    asked: list[int] = []

    def work(missing: Sequence[int]) -> list[Values]:
        asked.extend(missing)
        return [(0.5, 0.5) for _ in missing]

    PairMemory(store=PairFile(path)).recall(judge, pairs, 2, work)
    return asked


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file in which three pairs are kept."""
    path = tmp_path / "home" / "pairs" / "store.db"
    file = PairFile(path)
    file.save("j", PAIRS, VALUES)
    file.close()
    return path


def test_what_was_worked_out_is_found_after_a_restart(path: Path) -> None:
    assert PairFile(path).load("j", [*PAIRS, ("c", "a")]) == [*VALUES, None]
    assert remembered(path) == []


def test_judges_and_directions_are_kept_apart(path: Path) -> None:
    assert PairFile(path).load("another", PAIRS) == [None, None, None]
    assert PairFile(path).load("j", [("b", "a"), ("a\0b", "")]) == [None, None]


def test_it_may_be_deleted_at_any_time(path: Path) -> None:
    path.unlink()
    assert remembered(path) == [0, 1, 2]
    assert remembered(path) == []


def test_only_its_owner_reads_it(path: Path) -> None:
    for one in path.parent.iterdir():
        assert stat.S_IMODE(one.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_it_forgets_the_oldest(tmp_path: Path) -> None:
    path = tmp_path / "pairs" / "store.db"
    file = PairFile(path, limit=5)
    pairs = [("text", str(number)) for number in range(20)]
    for pair in pairs:
        file.save("j", [pair], [(0.5,)])
    assert [value is not None for value in file.load("j", pairs)] == [False] * 15 + [True] * 5
    with pytest.raises(ValueError, match="at least 1"):
        PairFile(path, limit=0)


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"1234567",
        struct.pack("<2d", float("nan"), 0.5),
        struct.pack("<2d", float("inf"), 0.5),
        struct.pack("<2d", -0.1, 0.5),
        struct.pack("<2d", 1.5, 0.5),
        struct.pack("<1d", 0.5),
        struct.pack("<3d", 0.5, 0.5, 0.5),
        struct.pack("<9d", *[0.5] * 9),
        "text",
        7,
    ],
)
def test_a_value_that_no_judge_can_have_given_is_worked_out_again(path: Path, value: object) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE pairs SET value = ? WHERE id = 1", (value,))
    assert remembered(path) == [0]
    assert remembered(path) == []


@pytest.mark.parametrize("damage", [b"", b"noise" * 1000, b"SQLite format 3\0" + b"\xff" * 8000])
def test_a_damaged_file_costs_its_work_and_nothing_else(path: Path, damage: bytes) -> None:
    path.write_bytes(damage)
    assert remembered(path) == [0, 1, 2]
    remembered(path)  # at the latest, the next process makes it anew
    assert remembered(path) == []


def test_another_table_in_its_place_is_done_without(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE pairs (x)")
    assert remembered(path) == [0, 1, 2]


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_without_the_right_to_write_is_done_without(tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o500)
    assert remembered(folder / "pairs" / "store.db") == [0, 1, 2]


def test_a_file_in_the_place_of_its_folder_is_done_without(tmp_path: Path) -> None:
    (tmp_path / "pairs").write_bytes(b"")
    assert remembered(tmp_path / "pairs" / "store.db") == [0, 1, 2]


def test_a_busy_file_is_waited_for_only_a_moment(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairfile, "_PATIENCE", 0.01)
    other = sqlite3.connect(path)
    other.execute("BEGIN EXCLUSIVE")
    file = PairFile(path)
    file.save("j", [("x", "y")], [(0.5, 0.5)])
    other.rollback()
    file.save("j", [("x", "z")], [(0.5, 0.5)])
    assert file.load("j", [("x", "y"), ("x", "z")]) == [None, (0.5, 0.5)]
