"""Change the files of a workspace at random, ask, read, audit and write.

    python -m tests.attacks.fuzz [--changes 5000] [--seed N] [--jobs 2]

Each round starts from the honest store, changes, copies or deletes rows of the database by SQL, or bytes of any file
(database, vectors, index, keys/, trustrag.toml), and lets a client work with it: in one half of the rounds one that
opens it then, in the other one that had it open before, and asks after every single change. Nothing altered may be
served, no honest writer may seal what was slipped in, and whatever goes wrong has to be one of our errors, soon. After
each round the honest store is put back, and now and then asked for all that it holds: else a store that refuses
everything would pass, too.
"""

import argparse
import faulthandler
import multiprocessing
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.attacks.scene import NOW, QUESTION, Scene, build, document, staged, told
from tests.attacks.test_columns import UNSIGNED, columns, says_nothing, tables
from trustrag.errors import TrustragError
from trustrag.workspace import Workspace

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
PUBLIC = {"audience": "public"}
NEW = document("new.txt", "Something quite new is written here.", audience="public")
READ = ("retention.txt", "handbook.txt", "recalled.txt", "doubtful.txt")
HUNG = 600  # seconds for one job of `SHARE` changes, which takes some ten: its process is ended, and says where it was
SHARE = 1000  # changes of one job: what is seen is told as it goes

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
    rng: random.Random
    changes: int = 0
    rounds: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    _running: Workspace | None = None
    _bent: set[str] = field(default_factory=set)
    _touched: bool = False

    def __post_init__(self) -> None:
        folder = self.scene.folder
        self._clean = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        with self.scene.database() as database:
            every = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            self._tables = [name for (name,) in every if not name.startswith("sqlite")]
            self._rows = {name: database.execute(f"SELECT * FROM {name}").fetchall() for name in self._tables}
            self._columns = {
                name: [row[1] for row in database.execute(f"PRAGMA table_info({name})")]
                for name in self._tables
            }
        self._signed = signed_rows(folder / "ledger.db")
        self._put_back_files()  # looking at it left files beside the database
        with self.scene.open() as workspace:
            newest = workspace.search(QUESTION, k=10)
            self._whole = {told(ranked.passage) for ranked in newest.passages}
            self._then = {
                at: {told(ranked.passage) for ranked in workspace.search(QUESTION, k=10, at=at).passages}
                for at in range(1, newest.snapshot.version + 1)
            }

    def close(self) -> None:
        """Close what runs."""
        if self._running is not None:
            self._running.close()
            self._running = None

    def round(self) -> None:
        """Change something, then work with it."""
        self.rounds += 1
        change = self.change_row if self.rng.random() < 0.8 else self.change_file
        many, done = self.rng.choice((1, 1, 2, 4, 8)), list[str]()
        if self.rng.random() < 0.5:
            running = self.running()
            for _ in range(many):
                done.append(change())
                self.attempt("search, running", done, lambda: self.ask(running))
        else:
            done = [change() for _ in range(many)]
            if self.rng.random() < 0.5:
                shutil.rmtree(self.scene.folder / "index", ignore_errors=True)
            self.attempt("search", done, self.search)
        for name, act, share in (
            ("audit", self.audit, 0.1),
            ("read", self.read, 0.1),
            ("write", self.write, 0.05),
        ):
            if self.rng.random() < share:
                self.attempt(name, done, act)
        self.put_back()
        if self.rng.random() < 0.05:
            self.attempt("whole again", done, self.whole)

    def attempt(self, name: str, what: list[str], act: Callable[[], object]) -> None:
        """Do one thing; note what came of it."""
        start, did = time.monotonic(), "; ".join(what)
        try:
            act()
            came = "done"
        except TrustragError as error:
            came = str(getattr(error, "refusal", type(error).__name__))
        except Exception as error:
            came = type(error).__name__
            self.wrong.append(f"{name} after {did}: {came}: {str(error)[:300]}")
        if time.monotonic() - start > SLOW:
            self.wrong.append(f"{name} after {did}: took {time.monotonic() - start:.0f} s")
        self.seen[f"{name}: {came}"] += 1

    # ---- what an attacker does

    def change_row(self) -> str:
        """Change a cell of a row, delete it, or put a copy with another cell beside it."""
        table = self.rng.choice([name for name in self._tables if self._rows[name]])
        columns, row = self._columns[table], list(self.rng.choice(self._rows[table]))
        at, how = self.rng.randrange(len(columns)), self.rng.random()
        value, this = self.other(table, at, row[at]), " AND ".join(f"{name} IS ?" for name in columns)
        if value == row[at]:
            return f"{table} as it was"
        self._bent.add(table)
        with self.scene.database() as database:
            try:
                if how < 0.1:
                    what, sql, given = "deleted", f"DELETE FROM {table} WHERE {this}", row
                elif how < 0.25:
                    what, sql = "copied", f"INSERT INTO {table} VALUES ({', '.join('?' * len(columns))})"
                    given = [None if columns[0] in ("id", "idx") else row[0], *row[1:]]
                    given[at] = value
                else:
                    what, sql = "changed", f"UPDATE {table} SET {columns[at]} = ? WHERE {this}"
                    given = [value, *row]
                self.changes += database.execute(sql, given).rowcount
            except (sqlite3.Error, OverflowError):  # STRICT tables and unique columns refuse some of it
                return f"{table} as it was"
        return f"{table} row {what}" + (f", {columns[at]} = {str(value)[:40]}" if how >= 0.1 else "")

    def other(self, table: str, at: int, value: object) -> object:
        """A value in the place of this one: any, or that of another row."""
        elsewhere = [row[at] for row in self._rows[table] if row[at] != value]
        if elsewhere and self.rng.random() < 0.3:
            return self.rng.choice(elsewhere)
        if isinstance(value, int):
            return self.rng.choice((*INTEGERS, min(value + 1, 2**63 - 1), max(value - 1, -(2**63))))
        if isinstance(value, str):
            return self.rng.choice((*TEXTS, value + "x", value[:-1]))
        if isinstance(value, bytes) and value:
            bent = bytearray(value)
            bent[self.rng.randrange(len(bent))] ^= 1 << self.rng.randrange(8)
            return self.rng.choice((b"", value[:-1], value + b"\x00", bytes(bent), bytes(bent)))
        return self.rng.choice((1, "x", b"x", None))

    def change_file(self) -> str:
        """Cut, extend or overwrite one file."""
        # Whoever cuts the -shm file beneath a process that has it mapped ends that process by a signal.
        files = [path for path in self.scene.folder.rglob("*") if path.is_file() and path.suffix != ".db-shm"]
        path, how = self.rng.choice(sorted(files)), self.rng.randrange(4)
        before = path.read_bytes()
        data = bytearray(before)
        if how == 0:
            del data[self.rng.randrange(len(data) + 1) :]
        elif how == 1 or not data:
            data += self.rng.randbytes(40)
        else:
            for _ in range(self.rng.choice((1, 5, 50))):
                data[self.rng.randrange(len(data))] = self.rng.randrange(256)
        path.write_bytes(data)
        self._touched = True
        self.changes += data != before
        return f"{path.relative_to(self.scene.folder)} changed in way {how}"

    # ---- the honest store, put back

    def put_back(self) -> None:
        """Make the store what it was. Whoever has it open keeps it open where only rows have to be put back."""
        if self._touched:
            self.close()
            self._put_back_files()
        elif self._bent:
            with self.scene.database() as database:
                for table in self._bent:
                    database.execute(f"DELETE FROM {table}")
                    places = ", ".join("?" * len(self._columns[table]))
                    database.executemany(f"INSERT INTO {table} VALUES ({places})", self._rows[table])
            self._put_back_files(besides="ledger.db")
        self._bent, self._touched = set(), False

    def _put_back_files(self, besides: str | None = None) -> None:
        for path in self.scene.folder.rglob("*"):
            if path.is_file() and path not in self._clean and (besides is None or besides not in path.name):
                path.unlink()
        for path, data in self._clean.items():
            if path.name != besides and not (path.is_file() and path.read_bytes() == data):
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(data)

    def whole(self) -> None:
        """The honest store serves all that it holds, to whoever opens it and to who had it open."""
        with self.scene.open() as fresh:
            for workspace in (fresh, self.running()):
                found = {told(ranked.passage) for ranked in workspace.search(QUESTION, k=10).passages}
                assert found == self._whole, f"{len(found)} of {len(self._whole)} served"

    # ---- what a client does

    def running(self) -> Workspace:
        """A workspace that somebody opened, and asked, while the store was honest."""
        if self._running is None:
            self._running = Workspace.open(self.scene.folder, clock=lambda: NOW)
            self.ask(self._running)
        return self._running

    def search(self) -> None:
        """Open it, and ask."""
        with self.scene.open() as workspace:
            self.ask(workspace)

    def ask(self, workspace: Workspace) -> None:
        """Ask, with or without a filter: all that is served is what the honest store says."""
        report = workspace.search(QUESTION, k=10, where=self.rng.choice((None, None, PUBLIC)))
        self.seen.update(f"passage refused: {found.refusal}" for found in report.refused)
        self.scene.compare(report)

    def audit(self) -> None:
        """Verify everything. What copies something that was signed, and says something else, has to be named."""
        bent = not self._touched and signed_rows(self.scene.folder / "ledger.db") != self._signed
        if not self.scene.audit() and bent:
            raise AssertionError("a column that was signed says something else, and the audit names nothing")

    def read(self) -> None:
        """Read documents, and look at what is told of them."""
        with self.scene.open() as workspace:
            for doc_id in READ:
                with suppress(TrustragError):
                    assert {told(passage) for passage in workspace.read(doc_id)} <= self.scene.honest
            at = self.rng.choice(list(self._then))
            with suppress(TrustragError):
                past = workspace.search(QUESTION, k=10, at=at)
                assert past.as_of is not None
                assert {told(ranked.passage) for ranked in past.passages} <= self._then[at]
            workspace.history.document("retention.txt")
            workspace.standing_documents()

    def write(self) -> None:
        """Take a document in, then ask: the honest write has sealed nothing that was slipped in."""
        self.close()
        self._touched = True
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
    fuzz = Fuzz(scene, random.Random(seed))
    while fuzz.changes < changes:
        fuzz.round()
    fuzz.close()
    return fuzz


def job(changes: int, seed: int) -> tuple[int, int, Counter[str], list[str]]:
    """`run` in a process and a store of its own, in memory where the machine has a place for that."""
    faulthandler.dump_traceback_later(HUNG, exit=True)
    if Path("/dev/shm").is_dir():
        tempfile.tempdir = "/dev/shm"
    with (
        tempfile.TemporaryDirectory(prefix="trustrag-fuzz-") as folder,
        staged(build(Path(folder).resolve())) as scene,
    ):
        fuzz = run(scene, changes, seed)
    faulthandler.cancel_dump_traceback_later()
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
    start = time.monotonic()
    seen, wrong, changes, rounds = Counter[str](), list[str](), 0, 0
    # A process that dies is not waited for: `result` raises then.
    with ProcessPoolExecutor(asked.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        seeds = range(asked.seed, asked.seed - (-asked.changes // SHARE))
        for ended in as_completed([pool.submit(job, min(SHARE, asked.changes), seed) for seed in seeds]):
            done, more, came, found = ended.result()
            changes, rounds, seen = changes + done, rounds + more, seen + came
            wrong += found
            for line in found:
                print("WRONG", line, flush=True)
            print(f"{changes} changes in {rounds} rounds, {time.monotonic() - start:.0f} s", file=sys.stderr)
    for name, count in sorted(seen.items()):
        print(f"{count:6} {name}")
    took = time.monotonic() - start
    print(f"{changes} changes in {rounds} rounds (seed {asked.seed}) in {took:.0f} s: {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
