"""Change the files of a workspace at random, ask, read, audit and write.

    python -m tests.attacks.fuzz [--changes 5000] [--seed N] [--jobs 2]

Each round starts from the honest store, changes some cells of the database by SQL or some bytes of any file (database,
vectors, index, keys/, trustrag.toml), and lets a client work with it. Nothing altered may be served, no honest writer
may seal what was slipped in, and whatever goes wrong has to be one of our errors, soon.
"""

import argparse
import multiprocessing
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.attacks.scene import QUESTION, Scene, build, document, staged, told
from tests.attacks.test_columns import UNSIGNED, columns, says_nothing, tables
from trustrag.errors import TrustragError

SLOW = 30.0  # seconds: an honest store answers in a hundredth of one, once its libraries are loaded on a busy machine
INTEGERS = (-1, 0, 1, 2, 3, 7, 2**31, 2**53, 2**63 - 1, -(2**63))
TEXTS = (
    "",
    "x",
    "active",
    "superseded",
    "quarantined",
    "\u202e",
    "a" * 5000,
    "travel.txt",
    "[]",
    '{"a":1}',
    "\x00",
)
NEW = document("new.txt", "Something quite new is written here.", audience="public")
READ = ("retention.txt", "handbook.txt", "recalled.txt", "doubtful.txt")


Rows = dict[str, list[tuple[object, ...]]]


def signed_rows(path: Path) -> Rows:
    """All rows of a database, by table and in order, without the columns that nobody signed."""
    found: Rows = {}
    with closing(sqlite3.connect(path)) as database:
        database.text_factory = bytes
        for table in tables(database):
            names = [name for name in columns(database, table) if (table, name) not in UNSIGNED]
            rows = [tuple(row) for row in database.execute(f"SELECT {', '.join(names)} FROM {table}")]
            found[table] = sorted((row for row in rows if not says_nothing(table, row)), key=repr)
    return found


@dataclass
class Fuzz:
    """One honest store, and what became of it so far."""

    scene: Scene
    clean: Path
    rng: random.Random
    honest: Rows = field(default_factory=dict)
    changes: int = 0
    rounds: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    bytes_bent: bool = False

    def round(self) -> None:
        """Change something, then work with it."""
        shutil.rmtree(self.scene.folder)
        shutil.copytree(self.clean, self.scene.folder)
        self.rounds += 1
        self.bytes_bent = self.rng.random() >= 0.7
        what = self.change_bytes() if self.bytes_bent else self.change_cells()
        if self.rng.random() < 0.5:
            shutil.rmtree(self.scene.folder / "index", ignore_errors=True)
        self.attempt("search", what, self.search)
        for name, act, share in (
            ("audit", self.audit, 0.4),
            ("read", self.read, 0.3),
            ("write", self.write, 0.3),
        ):
            if self.rng.random() < share:
                self.attempt(name, what, act)

    def attempt(self, name: str, what: str, act: Callable[[], object]) -> None:
        """Do one thing; note what came of it."""
        start = time.monotonic()
        try:
            act()
            came = "done"
        except TrustragError as error:
            came = str(getattr(error, "refusal", type(error).__name__))
        except Exception as error:
            came = type(error).__name__
            self.wrong.append(f"{name} after {what}: {came}: {str(error)[:300]}")
        if time.monotonic() - start > SLOW:
            self.wrong.append(f"{name} after {what}: took {time.monotonic() - start:.0f} s")
        self.seen[f"{name}: {came}"] += 1

    # ---- what an attacker does

    def change_cells(self) -> str:
        """Change or delete some rows of the database."""
        done = []
        with self.scene.database() as database:
            tables = [
                row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            ]
            for _ in range(self.rng.choice((1, 1, 2, 4, 8))):
                table = self.rng.choice([name for name in tables if not name.startswith("sqlite")])
                columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
                rows = database.execute(f"SELECT * FROM {table}").fetchall()
                if not rows:
                    continue
                row, at = self.rng.choice(rows), self.rng.randrange(len(columns))
                this = " AND ".join(f"{name} IS ?" for name in columns)
                # STRICT tables and unique columns refuse some of it.
                with suppress(sqlite3.Error, OverflowError):
                    if self.rng.random() < 0.1:
                        database.execute(f"DELETE FROM {table} WHERE {this}", row)
                        done.append(f"{table} row deleted")
                    else:
                        value = self.other(row[at])
                        database.execute(f"UPDATE {table} SET {columns[at]} = ? WHERE {this}", (value, *row))
                        done.append(f"{table}.{columns[at]} = {str(value)[:40]}")
        self.changes += len(done)
        return "; ".join(done)

    def other(self, value: object) -> object:
        """A value in the place of this one."""
        if isinstance(value, int):
            return self.rng.choice((*INTEGERS, min(value + 1, 2**63 - 1), max(value - 1, -(2**63))))
        if isinstance(value, str):
            return self.rng.choice((*TEXTS, value + "x", value[:-1]))
        if isinstance(value, bytes) and value:
            bent = bytearray(value)
            bent[self.rng.randrange(len(bent))] ^= 1 << self.rng.randrange(8)
            return self.rng.choice((b"", value[:-1], value + b"\x00", bytes(bent), bytes(bent)))
        return self.rng.choice((1, "x", b"x", None))

    def change_bytes(self) -> str:
        """Cut, extend or overwrite one file."""
        path = self.rng.choice(sorted(file for file in self.scene.folder.rglob("*") if file.is_file()))
        data = bytearray(path.read_bytes())
        how = self.rng.randrange(4) if data else 1
        if how == 0:
            del data[self.rng.randrange(len(data)) :]
        elif how == 1:
            data += self.rng.randbytes(40)
        else:
            for _ in range(self.rng.choice((1, 5, 50))):
                data[self.rng.randrange(len(data))] = self.rng.randrange(256)
        path.write_bytes(data)
        self.changes += 1
        return f"{path.relative_to(self.scene.folder)} changed in way {how}"

    # ---- what a client does

    def search(self) -> None:
        """Ask, with or without a filter; `Scene.search` compares what is served with the honest store."""
        self.scene.search(where=self.rng.choice((None, None, {"audience": "public"})))

    def audit(self) -> None:
        """Verify everything. What copies something that was signed, and says something else, has to be named."""
        path = self.scene.folder / "ledger.db"
        bent = not self.bytes_bent and signed_rows(path) != self.honest
        if not self.scene.audit() and bent:
            raise AssertionError("a column that was signed says something else, and the audit names nothing")

    def read(self) -> None:
        """Read documents, and look at what is told of them."""
        with self.scene.open() as workspace:
            for doc_id in READ:
                with suppress(TrustragError):
                    assert {told(passage) for passage in workspace.read(doc_id)} <= self.scene.honest
            workspace.history.document("retention.txt")
            workspace.standing_documents()

    def write(self) -> None:
        """Take a document in, then ask: the honest write has sealed nothing that was slipped in."""
        kept = self.scene.root / "home-before"
        shutil.copytree(self.scene.home, kept)
        try:
            with self.scene.open() as workspace:
                workspace.ingest_documents([NEW], source="acme")
            with self.scene.open() as workspace:
                found = [ranked.passage for ranked in workspace.search(QUESTION, k=10).passages]
            assert {told(passage) for passage in found if passage.doc_id != "new.txt"} <= self.scene.honest
        finally:
            shutil.rmtree(self.scene.home)
            kept.rename(self.scene.home)


def run(scene: Scene, changes: int, seed: int) -> Fuzz:
    """At least so many changes on one scene, round by round."""
    clean = scene.root / "clean"
    shutil.copytree(scene.folder, clean)
    fuzz = Fuzz(scene, clean, random.Random(seed), signed_rows(clean / "ledger.db"))
    while fuzz.changes < changes:
        fuzz.round()
    return fuzz


def job(given: tuple[int, int]) -> tuple[int, int, Counter[str], list[str]]:
    """`run` in a process and a store of its own, in memory where the machine has a place for that."""
    memory = Path("/dev/shm")
    with (
        tempfile.TemporaryDirectory(
            prefix="trustrag-fuzz-", dir=memory if memory.is_dir() else None
        ) as folder,
        staged(build(Path(folder).resolve())) as scene,
    ):
        fuzz = run(scene, *given)
        return fuzz.changes, fuzz.rounds, fuzz.seen, fuzz.wrong


def main() -> int:
    """As many changes as were asked for; 0 when nothing was wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--changes", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=20261127)
    parser.add_argument("--jobs", type=int, default=2)
    asked = parser.parse_args()
    start, share = time.monotonic(), 500  # changes of one job: what is seen is told as it goes
    tasks = [(share, asked.seed + number) for number in range(-(-asked.changes // share))]
    seen, wrong, changes, rounds = Counter[str](), list[str](), 0, 0
    with multiprocessing.get_context("spawn").Pool(asked.jobs) as pool:
        for done, more, came, found in pool.imap_unordered(job, tasks):
            changes, rounds, seen = changes + done, rounds + more, seen + came
            wrong += found
            for line in found:
                print("WRONG", line, flush=True)
            print(f"{changes} changes in {rounds} rounds, {time.monotonic() - start:.0f} s", file=sys.stderr)
    for name, count in sorted(seen.items()):
        print(f"{count:6} {name}")
    print(
        f"{changes} changes in {rounds} rounds (seed {asked.seed}) in {time.monotonic() - start:.0f} s: {len(wrong)} wrong"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
