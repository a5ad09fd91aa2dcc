"""What the attacks share: one honest store with a past, a copy of it for each attack, and the client who asks.

An attacker has the run of the workspace folder: sqlite3, an editor, last week's backup. What it does not have, unless
an attack says so, is `TRUSTRAG_HOME`, where the client's memory and the private keys lie. Each attack bends a copy and
then only looks at what a client sees: `Workspace` and the command. Whatever a search serves is compared with what the
honest store would have said, so nothing altered can pass unnoticed.
"""

import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trustrag.errors import MalformedError, Refusal, TrustragError, VerificationError
from trustrag.workspace import Document, SearchReport, VerifiedPassage, Workspace

NOW: Final = int(time.time())
LAST_WEEK: Final = NOW - 7 * 86_400
DIMENSION: Final = 256  # of the hash embedder
VECTOR_BYTES: Final = 4 * DIMENSION

QUESTION: Final = "How long are audit logs kept?"
OLD_RETENTION: Final = "Audit logs are kept for 30 days, and are then deleted."
RETENTION: Final = "Audit logs are kept for 90 days, and are then deleted."
HANDBOOK: Final = "\n\n".join(
    f"Chapter {number}. {topic} It is written down here, and it is asked about more often than one would think."
    for number, topic in enumerate(
        (
            "A badge opens the door of the main building from seven in the morning.",
            "A visitor is met at the gate, signs the book and wears a yellow card.",
            "A parcel is left with the porter, who rings the person it is for.",
            "A bicycle stands in the rack behind the canteen, never in the corridor.",
        ),
        start=1,
    )
)


def document(doc_id: str, text: str, **metadata: str) -> Document:
    """A text document, as a source would hand it over."""
    return Document(doc_id, text.encode(), "text/plain", text, doc_id, {"title": doc_id, **metadata})


@dataclass(frozen=True, slots=True)
class World:
    """An honest store: as it was last week, as it is today, and the home folder of the client at both times."""

    root: Path

    @property
    def today(self) -> Path:
        return self.root / "kb"

    @property
    def home(self) -> Path:
        return self.root / "home"

    @property
    def last_week(self) -> Path:
        return self.root / "kb-last-week"


@contextmanager
def at_home(folder: Path) -> Iterator[None]:
    """Be the user whose keys and memory lie in this folder."""
    before = os.environ.get("TRUSTRAG_HOME")
    os.environ["TRUSTRAG_HOME"] = str(folder)
    try:
        yield
    finally:
        if before is None:
            del os.environ["TRUSTRAG_HOME"]
        else:
            os.environ["TRUSTRAG_HOME"] = before


def build(root: Path) -> World:
    """Make the store: last week's documents, then a correction, a withdrawal, a quarantine and a suspension."""
    world = World(root)
    with at_home(world.home):
        with Workspace.init(
            world.today,
            source="acme",
            embedder="hash",
            chunk_size=220,
            chunk_overlap=0,
            clock=lambda: LAST_WEEK,
            passphrase=None,
        ) as workspace:
            workspace.add_source("wiki", scope="default/default/wiki", trust=0.5)
            workspace.add_source("lab", scope="default/default/lab")
            acme = [
                document("retention.txt", OLD_RETENTION, audience="public"),
                document("handbook.txt", HANDBOOK, audience="staff"),
                document("travel.txt", "Journeys are booked two weeks ahead, by train.", audience="staff"),
                document("recalled.txt", "The blue filter holds back every virus.", audience="public"),
                document("doubtful.txt", "The red filter never needs to be cleaned.", audience="public"),
            ]
            workspace.ingest_documents(acme, source="acme")
            wiki = document("wiki/logs.txt", "Audit logs are written by every server.", audience="public")
            workspace.ingest_documents([wiki], source="wiki")
            lab = document("lab/logs.txt", "Audit logs of the lab are kept for ever.", audience="public")
            workspace.ingest_documents([lab], source="lab")
        shutil.copytree(world.today, world.last_week)
        with Workspace.open(world.today, clock=lambda: NOW) as workspace:
            new = document("retention.txt", RETENTION, audience="public")
            workspace.ingest_documents([new], source="acme")
            workspace.rule("withdraw", doc_id="recalled.txt", reason="it was wrong")
            workspace.rule("quarantine", doc_id="doubtful.txt", reason="somebody asked")
            workspace.authority.set_active("lab", False)
            workspace.search(QUESTION)
    for folder in (world.today, world.last_week):
        settle(folder)
    return world


def settle(folder: Path) -> None:
    """Have SQLite write all into ledger.db itself, so that the file can be copied and bent alone."""
    connection = sqlite3.connect(folder / "ledger.db")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


Told = tuple[str, int, int, str, str, bytes]


def told(passage: VerifiedPassage) -> Told:
    """All of a passage that somebody could want to alter."""
    audience = str(passage.metadata.get("audience"))
    return passage.doc_id, passage.version, passage.index, passage.text, audience, passage.vector


@dataclass
class Scene:
    """One attack: a workspace and a client of its own, and the verdicts that came of it."""

    world: World
    root: Path
    verdicts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        shutil.copytree(self.world.today, self.folder)
        shutil.copytree(self.world.home, self.home)
        with at_home(self.home), self.open(self.world.today) as workspace:
            passages = [workspace.read(row.doc_id) for row in workspace.standing_documents()
                        if row.source_name != "lab"]  # fmt: skip
        self.honest: set[Told] = {told(passage) for of_one in passages for passage in of_one}

    @property
    def folder(self) -> Path:
        """The workspace that is attacked, and that the client opens."""
        return self.root / "kb"

    @property
    def home(self) -> Path:
        """The client's own folder."""
        return self.root / "home"

    # ---- what an attacker has

    @contextmanager
    def database(self, folder: Path | None = None) -> Iterator[sqlite3.Connection]:
        """The database, as any sqlite3 shell opens it."""
        connection = sqlite3.connect((folder or self.folder) / "ledger.db")
        try:
            yield connection
            connection.commit()
        finally:
            connection.close()

    def sql(self, statement: str, *values: object) -> None:
        """Run one statement."""
        with self.database() as database:
            assert database.execute(statement, values).rowcount != 0, "the attack touched nothing"

    def ask_sql(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """The rows of one query."""
        with self.database() as database:
            return [tuple(row) for row in database.execute(query, values)]

    def chunk(self, doc_id: str, index: int = 0, version: int | None = None) -> int:
        """The row of a passage: of the newest version, or of the one named."""
        ((first,),) = self.ask_sql(
            "SELECT first_chunk FROM version WHERE doc_id = ? AND (version = ? OR ? IS NULL)"
            " ORDER BY version DESC LIMIT 1",
            doc_id,
            version,
            version,
        )
        return int(str(first)) + index

    def put_back(self, *names: str) -> None:
        """Put these files and folders of last week over today's."""
        for path in self.folder.glob("ledger.db-*"):  # what SQLite had not yet written into today's database
            path.unlink()
        for name in names:
            there, here = self.world.last_week / name, self.folder / name
            if here.is_dir():
                shutil.rmtree(here)
            else:
                here.unlink(missing_ok=True)
            (shutil.copytree if there.is_dir() else shutil.copy)(there, here)

    # ---- what the client sees

    @contextmanager
    def open(self, folder: Path | None = None, now: int = NOW) -> Iterator[Workspace]:
        """The workspace, opened by the user at home."""
        with Workspace.open(folder or self.folder, clock=lambda: now) as workspace:
            yield workspace

    def search(self, question: str = QUESTION, *, now: int = NOW, **options: object) -> SearchReport:
        """Ask. Nothing that comes back may differ from what the honest store says."""
        with self.open(now=now) as workspace:
            return self.compare(workspace.search(question, k=10, **options))  # type: ignore[arg-type]

    def compare(self, report: SearchReport) -> SearchReport:
        """What was found, once it is seen that nothing of it differs from what the honest store says."""
        altered = [told(r.passage)[:4] for r in report.passages if told(r.passage) not in self.honest]
        assert not altered, f"served: {altered}"
        return report

    def served(self, question: str = QUESTION, **options: object) -> set[str]:
        """The documents that a search serves, all of them honest."""
        return {ranked.passage.doc_id for ranked in self.search(question, **options).passages}  # type: ignore[arg-type]

    def refuses_passage(
        self, refusal: Refusal, doc_id: str, question: str = QUESTION, *, others: bool = True, now: int = NOW
    ) -> None:
        """A search reports this document's passage as refused, for this reason, and goes on with the others."""
        report = self.search(question, now=now)
        told_of = {(found.doc_id, found.refusal) for found in report.refused}
        assert (doc_id, refusal) in told_of, f"refused: {told_of}"
        assert bool(report.passages) is others
        self.say(refusal)

    def refuses_store(
        self, refusal: Refusal, *, folder: Path | None = None, now: int = NOW, saying: str = ""
    ) -> None:
        """No question is answered at all, for this reason."""
        try:
            with self.open(folder, now) as workspace:
                report = workspace.search(QUESTION)
        except (VerificationError, MalformedError) as caught:
            error = caught
        else:
            raise AssertionError(f"served: {[told(r.passage)[:4] for r in report.passages]}")
        assert error.refusal == refusal, error
        assert saying in str(error), error
        self.say(refusal)

    def fails(self, kind: type[TrustragError], saying: str, act: Callable[[], object]) -> None:
        """This ends in an error of ours, and nothing else."""
        try:
            done = act()
        except TrustragError as caught:
            error = caught
        else:
            raise AssertionError(f"it was done: {done}")
        assert isinstance(error, kind), repr(error)
        assert saying in str(error), error
        self.say(str(getattr(error, "refusal", type(error).__name__)))

    def search_is_useless(self, *, or_honest: bool = False) -> None:
        """A search ends in an error of ours, or serves nothing; with `or_honest`, only what is true."""
        try:
            report = self.search()
        except TrustragError as error:
            self.say(str(getattr(error, "refusal", type(error).__name__)))
            return
        assert or_honest or not report.passages

    def audit(self) -> Sequence[str]:
        """What an audit of the attacked store names, beside the suspended source's passage that stands."""
        try:
            with self.open() as workspace:
                problems = [f"{problem.where}: {problem.what}" for problem in workspace.audit().problems]
        except TrustragError as error:  # a store that cannot even be opened: the command prints this line
            problems = [str(error)]
        return [problem for problem in problems if "source lab is suspended" not in problem]

    def audit_names(self, *fragments: str) -> None:
        """An audit finds something wrong, and says so in these words."""
        problems = self.audit()
        for fragment in fragments:
            assert any(fragment in problem for problem in problems), problems
        self.say("audit names it")

    def audit_is_clean(self) -> None:
        """An audit finds nothing wrong."""
        assert not (problems := self.audit()), problems

    def say(self, verdict: str) -> None:
        """Note what came of it, for the table."""
        if str(verdict) not in self.verdicts:
            self.verdicts.append(str(verdict))


@dataclass(frozen=True, slots=True)
class Attack:
    """One line of the table. `stopped` is what this project claims; `mechanism` says by what, or why not."""

    title: str
    mechanism: str
    run: Callable[[Scene], None]
    stopped: bool


ATTACKS: Final[list[Attack]] = []
_Test = Callable[[Scene], None]


def attack(title: str, mechanism: str) -> Callable[[_Test], _Test]:
    """Register a test whose attack is stopped, with what stops it."""
    return _register(title, mechanism, stopped=True)


def not_stopped(title: str, what_is_left: str) -> Callable[[_Test], _Test]:
    """Register a test that shows an attack succeed, with what can be done about it."""
    return _register(title, what_is_left, stopped=False)


def _register(title: str, mechanism: str, *, stopped: bool) -> Callable[[_Test], _Test]:
    def keep(test: _Test) -> _Test:
        ATTACKS.append(Attack(title, mechanism, test, stopped))
        return test

    return keep


@contextmanager
def staged(world: World) -> Iterator[Scene]:
    """A scene in a folder of its own, with its client at home."""
    with tempfile.TemporaryDirectory(prefix="trustrag-attack-") as name:
        scene = Scene(world, Path(name).resolve())
        with at_home(scene.home):
            yield scene
