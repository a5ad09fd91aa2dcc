"""`python -m tests.robustness.kills 200`: kill an ingest at random moments, and look what is left.

A child process takes documents in, one batch after another, and says so on its standard output once each batch is in:
from then on it is acknowledged. Half of the children call `Workspace`, half run the command. The parent kills -9 after a
random time, opens the workspace again, and goes on with the same one. After each kill:

- every acknowledged document is there, in the version that was acknowledged, and each of its passages verifies;
- of what was not acknowledged each document is there whole, or not at all;
- `audit` finds nothing wrong.
"""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.arguments import parser
from trustrag.errors import NotFoundError
from trustrag.workspace import Document, Workspace

BATCH = 4
VERSIONS = 3  # every document is published again this often, so that kills hit supersession too
CHUNK = 200


_WHO = """clerk gardener captain teacher baker doctor printer driver miner judge tailor piper diver farmer weaver
painter sailor hunter porter smith""".split()
_WHAT = """counts repairs paints carries measures orders hides sorts washes borrows returns opens sells weighs copies
names guards lifts closes follows""".split()
_WHICH = """ledgers lamps ropes barrels windows bridges tickets maps engines ovens carts hats bells stamps gates wheels
chairs letters pipes coins""".split()
_WHERE = """harbour valley market station orchard mill chapel quarry library theatre museum tower canal forest square
bakery garden island prison tunnel""".split()


def body(number: int, version: int) -> str:
    """The text of a document: passages that tell which version they are of, and are like no other document's."""
    rng = random.Random(number)

    def sentence() -> str:
        who, what, which, where = (rng.choice(words) for words in (_WHO, _WHAT, _WHICH, _WHERE))
        return (
            f"The {who} of the {where} {what} {rng.randrange(2, 900)} {which} near the {rng.choice(_WHERE)}."
        )

    parts = (" ".join(sentence() for _ in range(3)) for _ in range(4))
    return "\n\n".join(
        f"Document {number} in version {version}, part {at}. {part}" for at, part in enumerate(parts)
    )


def doc_id(number: int) -> str:
    """The name of a document."""
    return f"papers/{number:06}.txt"


def claims(step: int) -> list[tuple[int, int]]:
    """The (number, version) of each document of a batch: three batches in turn publish the same documents."""
    start = step // VERSIONS * BATCH
    return [(number, step % VERSIONS + 1) for number in range(start, start + BATCH)]


def take_in(folder: Path, first: int) -> None:
    """The child that calls `Workspace`: takes in batch after batch and acknowledges each."""
    with Workspace.open(folder) as workspace:
        for step in range(first, first + 10_000):
            documents = []
            for number, version in claims(step):
                text = body(number, version)
                documents.append(Document(doc_id(number), text.encode(), "text/plain", text))
            report = workspace.ingest_documents(documents, source="acme")
            assert len(report.admitted) == BATCH, report
            print(step, flush=True)


def write_papers(folder: Path, step: int) -> None:
    """The files that the command takes in."""
    for number, version in claims(step):
        path = folder / Path(doc_id(number)).name
        path.write_text(body(number, version), encoding="utf-8")


def run_command(folder: Path, first: int) -> None:
    """The child that runs the command: one `trustrag ingest` after another in one process, each acknowledged."""
    from trustrag.cli.main import app

    with tempfile.TemporaryDirectory(prefix="trustrag-papers-") as papers:
        for step in range(first, first + 10_000):
            place = Path(papers, str(step), "papers")
            place.mkdir(parents=True)
            write_papers(place, step)
            words = [
                "-w",
                str(folder),
                "ingest",
                str(place),
                "--sign",
                "--source",
                "acme",
                "--prefix",
                "papers/",
            ]
            app([*words, "--json"], standalone_mode=False)
            print(f"\n{step}", flush=True)


@dataclass
class Run:
    """One workspace that is killed again and again."""

    folder: Path
    rng: random.Random
    acknowledged: dict[int, int] = field(default_factory=dict)  # document -> version
    moments: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    step: int = 0
    kills: int = 0
    unheard: set[tuple[int, int]] = field(default_factory=set)  # in whole, and the word of it was lost

    def kill_once(self) -> None:
        """Start a child, kill it, and look."""
        command = self.rng.random() < 0.5
        child_does = "run_command" if command else "take_in"
        code = (
            f"import sys; from pathlib import Path; from tests.robustness.kills import {child_does} as go; "
        )
        code += "go(Path(sys.argv[1]), int(sys.argv[2]))"
        arguments = [sys.executable, "-c", code, str(self.folder), str(self.step)]
        root = Path(__file__).resolve().parents[2]
        with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=root) as child:
            assert child.stdout is not None
            # One in ten dies while it starts; the others some time after their first word.
            early = self.rng.random() < 0.1
            head = b"" if early else child.stdout.readline()
            time.sleep(self.rng.uniform(0.0, 1.5 if early else 0.6))
            if child.poll() is not None:
                self.problems.append(f"kill {self.kills + 1}: the child ended by itself: {child.returncode}")
            child.kill()  # SIGKILL
            said = (head + child.stdout.read()).split(b"\n")[:-1]
        steps = [int(line) for line in said if line.isdigit()]
        self.kills += 1
        self.moments["starting" if not steps else "command" if command else "workspace"] += 1
        for step in steps:
            self.acknowledged.update(claims(step))
            self.step = step + 1
        self.look()

    def look(self) -> None:
        """Open the workspace again: what was acknowledged, what was not, and the audit."""
        with Workspace.open(self.folder) as workspace:
            standing = {row.doc_id: row.version for row in workspace.standing_documents()}
            for number, version in self.acknowledged.items():
                if standing.get(doc_id(number), 0) < version:
                    self.problems.append(f"kill {self.kills}: {doc_id(number)} version {version} is gone")
            # All of the newest documents are read and proved, acknowledged or not; the audit proves the others too.
            recent = {
                number for step in range(max(self.step - 3, 0), self.step + 3) for number, _ in claims(step)
            }
            for number in sorted(recent):
                self.read(workspace, number)
            found = workspace.audit().problems
            self.problems += [f"kill {self.kills}: audit: {problem}" for problem in found]
        # A batch that went in and whose word was lost: the next child goes on behind it.
        while all(standing.get(doc_id(number), 0) >= version for number, version in claims(self.step)):
            self.step += 1

    def read(self, workspace: Workspace, number: int) -> None:
        """One document: whole in one version that was published, or not there at all."""
        version = self.acknowledged.get(number, 0)
        try:
            passages = workspace.read(doc_id(number))
        except NotFoundError:
            if version:
                self.problems.append(f"kill {self.kills}: {doc_id(number)} is not there")
            return
        found = passages[0].version
        text = body(number, found)
        if found < version or [p.text for p in passages] != [text[p.start : p.end] for p in passages]:
            self.problems.append(f"kill {self.kills}: {doc_id(number)} is half there")
        if passages[-1].end != len(text) or len(passages) != passages[0].count:
            self.problems.append(f"kill {self.kills}: {doc_id(number)} is cut")
        if found > version:
            self.unheard.add((number, found))


def run(folder: Path, kills: int, seed: int) -> Run:
    """Kill this often, on one new workspace in `folder`. The caller sets TRUSTRAG_HOME."""
    Workspace.init(
        folder, source="acme", embedder="hash", chunk_size=CHUNK, chunk_overlap=0, passphrase=None
    ).close()
    made = Run(folder, random.Random(seed))
    for _ in range(kills):
        made.kill_once()
        if made.problems:
            break
        if made.kills % 20 == 0:
            print(
                f"{made.kills} kills, {len(made.acknowledged)} documents acknowledged, no problem", flush=True
            )
    return made


def main() -> int:
    """Kill as often as was asked for (200), print the figures; 0 when nothing was wrong."""
    taking = parser(__doc__)
    taking.add_argument("kills", metavar="KILLS", nargs="?", type=int, default=200)
    taking.add_argument("seed", metavar="SEED", nargs="?", type=int, default=20261123)
    asked = taking.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="trustrag-kills-") as name:
        os.environ["TRUSTRAG_HOME"] = str(Path(name, "home"))
        made = run(Path(name, "kb"), asked.kills, asked.seed)
        with Workspace.open(made.folder) as workspace:
            for number in made.acknowledged:
                made.read(workspace, number)
            audit = workspace.audit()
    for problem in made.problems:
        print(problem)
    versions = sum(made.acknowledged.values())
    print(f"{made.kills} kills (seed {asked.seed}) in {time.monotonic() - start:.0f} s: {dict(made.moments)}")
    print(
        f"acknowledged: {len(made.acknowledged)} documents, {versions} versions; problems: {len(made.problems)}"
    )
    print(f"in whole, though the process died before it could say so: {len(made.unheard)} versions")
    print(f"last audit: {audit.entries} log entries, {audit.passages} passages, {audit.index_rows} index rows, "
          f"{len(audit.problems)} problems")  # fmt: skip
    return 1 if made.problems or audit.problems else 0


if __name__ == "__main__":
    sys.exit(main())
