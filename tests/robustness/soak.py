"""One writer, four readers, and random kills of all of them: `python -m tests.robustness.soak [SECONDS] [SEED]` (600).

The writer publishes, corrects, quarantines, restores, withdraws and rolls back; it says what it is about to do, and what
stands once it is done: from then on it is acknowledged. The readers search and read the same workspace from processes of
their own, and say under which snapshot they saw what. Every few seconds one of the five is killed (`kill -9`) and started
anew. What has to hold:

- what was acknowledged is there after a kill; what was under way is there whole, or not at all;
- no reader ever saw a passage that its snapshot does not hold, or a text that nobody published;
- in the end `audit` finds nothing wrong.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeAlias

from tests.arguments import parser
from tests.robustness.kills import CHUNK, body
from trustrag.errors import ConflictError, NotFoundError, TrustragError
from trustrag.workspace import Document, Workspace

READERS = 4
PAUSE = (0.3, 3.0)  # seconds between two kills, at least and at most
EARLY = 0.1  # of the kills hit a process that has said nothing yet
START = 60.0  # seconds in which a process says something, on any machine
WRITER_SHARE = 0.25  # of the kills
# Few enough for each to be ruled on and published again.
NAMES = {
    source: [f"{source}/{first + n}" for n in range(60)] for source, first in (("acme", 0), ("wiki", 60))
}
Standing: TypeAlias = dict[str, int]  # document -> the version that stands


def say(**facts: Any) -> None:
    """One line, whole: a process that is killed in the middle of it has not said it."""
    sys.stdout.write(json.dumps(facts) + "\n")
    sys.stdout.flush()


# ---- the writer


def write(folder: Path, seed: int) -> None:
    """Change the workspace until somebody kills us."""
    rng = random.Random(seed)
    with Workspace.open(folder) as workspace:
        while True:
            act = rng.choice((publish, publish, publish, quarantine, restore, withdraw, roll_back))
            with suppress(NotFoundError, ConflictError):  # nothing there to be ruled on
                version = act(workspace, rng)
                say(done=act.__name__, snapshot=version, standing=standing(workspace))


def standing(workspace: Workspace) -> Standing:
    return {row.doc_id: row.version for row in workspace.standing_documents()}


def publish(workspace: Workspace, rng: random.Random) -> int:
    """The next version of four documents, of either source."""
    source = rng.choice(("acme", "wiki"))
    documents, changed = [], {}
    for name in rng.sample(NAMES[source], 4):
        number = int(name.split("/")[1])
        version = max((row.version for row in workspace.history.document(name)), default=0) + 1
        text = body(number, version)
        documents.append(Document(name, text.encode(), "text/plain", text))
        changed[name] = version
    say(doing="publish", changed=changed)
    report = workspace.ingest_documents(documents, source=source)
    assert len(report.admitted) == len(documents), report
    assert report.snapshot is not None
    return report.snapshot


def quarantine(workspace: Workspace, rng: random.Random) -> int:
    return rule(workspace, rng, "quarantine")


def restore(workspace: Workspace, rng: random.Random) -> int:
    return rule(workspace, rng, "restore")


def withdraw(workspace: Workspace, rng: random.Random) -> int:
    return rule(workspace, rng, "withdraw")


def rule(workspace: Workspace, rng: random.Random, action: Any) -> int:
    """A ruling on one document; on all of a source once in ten times, but for a withdrawal."""
    source = rng.choice(("acme", "wiki"))
    whole = action != "withdraw" and rng.random() < 0.1
    name = None if whole else rng.choice(NAMES[source])
    say(doing=action, document=name, source=source if whole else None)
    return workspace.rule(action, reason="soak", doc_id=name, source=source if whole else None).version


def roll_back(workspace: Workspace, rng: random.Random) -> int:
    """Back to a snapshot of a short while ago."""
    target = max(1, newest(workspace) - rng.randrange(1, 10))
    say(doing="rollback", target=target)
    return workspace.history.rollback(target, reason="soak").snapshot.version


def newest(workspace: Workspace) -> int:
    return workspace.search("anything", k=1).snapshot.version


# ---- the readers


def read(folder: Path, seed: int) -> None:
    """Search and read until somebody kills us."""
    rng = random.Random(seed)
    with Workspace.open(folder) as workspace:
        while True:
            number, version = rng.randrange(120), rng.randrange(1, 6)
            report = workspace.search(f"Document {number} in version {version}", k=5)
            seen = [(r.passage.doc_id, r.passage.version) for r in report.passages]
            wrong = [r.passage.doc_id for r in report.passages if not honest(r.passage)]
            wrong += [f"{refused.doc_id}: {refused.reason}" for refused in report.refused]
            say(snapshot=report.snapshot.version, seen=seen, wrong=wrong)


def honest(passage: Any) -> bool:
    """Whether this is what was published under this name and version."""
    text = body(int(passage.doc_id.split("/")[1]), passage.version)
    return bool(passage.text == text[passage.start : passage.end])


# ---- the one who kills


@dataclass
class Child:
    """A process, what it is, and what it said."""

    what: str
    process: subprocess.Popen[bytes]
    said: IO[bytes]
    heard: int = 0

    def wait_for_a_word(self) -> None:
        """Until it has said something, has ended, or never will."""
        end = time.monotonic() + START
        while (
            not Path(self.said.name).stat().st_size and self.process.poll() is None and time.monotonic() < end
        ):
            time.sleep(0.05)

    def listen(self) -> list[dict[str, Any]]:
        """What it has said since the last time, in whole lines."""
        with open(self.said.name, "rb") as file:
            file.seek(self.heard)
            data = file.read()
        whole = data[: data.rfind(b"\n") + 1]
        self.heard += len(whole)
        return [json.loads(line) for line in whole.splitlines()]


@dataclass
class Soak:
    """One workspace under load. `held` is what each snapshot holds, as far as anybody was told."""

    folder: Path
    rng: random.Random
    held: dict[int, Standing] = field(default_factory=dict)
    seen: list[tuple[int, list[tuple[str, int]]]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    acts: Counter[str] = field(default_factory=Counter)
    kills: Counter[str] = field(default_factory=Counter)
    newest: int = 0
    unheard: int = 0

    def start(self, what: str) -> Child:
        code = f"import sys; from pathlib import Path; from tests.robustness.soak import {what} as go; "
        code += "go(Path(sys.argv[1]), int(sys.argv[2]))"
        said = tempfile.NamedTemporaryFile(dir=self.folder.parent, prefix=f"{what}-")  # noqa: SIM115
        arguments = [sys.executable, "-c", code, str(self.folder), str(self.rng.randrange(1 << 30))]
        root = Path(__file__).resolve().parents[2]
        return Child(what, subprocess.Popen(arguments, stdout=said, cwd=root), said)

    def run(self, seconds: float) -> None:
        children = [self.start("write"), *(self.start("read") for _ in range(READERS))]
        end = time.monotonic() + seconds
        try:
            while time.monotonic() < end and not self.problems:
                at = 0 if self.rng.random() < WRITER_SHARE else self.rng.randrange(1, len(children))
                if self.rng.random() >= EARLY:
                    children[at].wait_for_a_word()
                time.sleep(self.rng.uniform(*PAUSE))
                self.stop(children[at])
                children[at] = self.start(children[at].what)
        finally:
            for child in children[::-1]:
                self.stop(child)
        for snapshot, seen in self.seen:
            self.compare(snapshot, seen)

    def stop(self, child: Child) -> None:
        """Kill it, and hold what it said against what is there."""
        if child.process.poll() is not None:
            self.problems.append(f"a {child.what} process ended by itself: {child.process.returncode}")
        child.process.kill()  # SIGKILL
        child.process.wait()
        self.kills[child.what] += 1
        lines = child.listen()
        child.said.close()
        if child.what == "write":
            self.settle(lines)
            return
        for line in lines:
            self.seen.append((line["snapshot"], [(name, version) for name, version in line["seen"]]))
            self.problems += [f"a reader was shown {what}" for what in line["wrong"]]

    def settle(self, lines: list[dict[str, Any]]) -> None:
        """After the writer died: what it acknowledged stands; what it was about to do was done, or was not."""
        under_way = ""
        for line in lines:
            if "doing" in line:
                under_way = line["doing"]
                changed: Standing = line.get("changed", {})
                continue
            self.acts[line["done"]] += 1
            self.held[line["snapshot"]] = line["standing"]
            self.newest = max(self.newest, line["snapshot"])
            if under_way == "publish" and not changed.items() <= line["standing"].items():
                self.problems.append(f"{changed} was acknowledged and does not stand")
            under_way = ""
        with Workspace.open(self.folder) as workspace:
            version, now = newest(workspace), standing(workspace)
        known = self.held.get(version)
        if known is not None and known != now:
            self.problems.append(f"snapshot {version} was acknowledged with other documents than stand now")
        elif known is None and version > self.newest + (1 if under_way else 0):
            self.problems.append(
                f"snapshot {version} is there, and {self.newest} is the last that was heard of"
            )
        elif version < self.newest:
            self.problems.append(f"snapshot {self.newest} was acknowledged, and {version} is there")
        self.unheard += known is None
        self.held[version], self.newest = now, version

    def compare(self, snapshot: int, seen: list[tuple[str, int]]) -> None:
        held = self.held.get(snapshot)
        if held is None:
            self.problems.append(f"a reader searched snapshot {snapshot}, which nobody sealed")
            return
        for name, version in seen:
            if held.get(name) != version:
                self.problems.append(f"a reader saw {name} version {version} under snapshot {snapshot}")


def run(folder: Path, seconds: float, seed: int) -> Soak:
    """A new workspace in `folder`, under load for so long. The caller sets TRUSTRAG_HOME."""
    with Workspace.init(
        folder, source="acme", embedder="hash", chunk_size=CHUNK, chunk_overlap=0, passphrase=None
    ) as workspace:
        workspace.add_source("wiki", owner="acme")  # one voice: neither holds the other up at the door
        soak = Soak(folder, random.Random(seed))
        soak.newest = newest(workspace)
        soak.held[soak.newest] = {}
    soak.run(seconds)
    return soak


def main() -> int:
    """Soak for as long as was asked for, print the figures; 0 when nothing was wrong."""
    taking = parser(__doc__)
    taking.add_argument("seconds", metavar="SECONDS", nargs="?", type=float, default=600.0)
    taking.add_argument("seed", metavar="SEED", nargs="?", type=int, default=20261127)
    asked = taking.parse_args()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="trustrag-soak-") as name:
        os.environ["TRUSTRAG_HOME"] = str(Path(name, "home"))
        soak = run(Path(name, "kb"), asked.seconds, asked.seed)
        with Workspace.open(soak.folder) as workspace:
            try:
                audit = workspace.audit()
                soak.problems += [f"audit: {problem}" for problem in audit.problems]
            except TrustragError as error:
                soak.problems.append(f"audit: {error}")
    for problem in soak.problems[:40]:
        print("WRONG", problem)
    print(f"{time.monotonic() - start:.0f} s (seed {asked.seed}); killed: {dict(soak.kills)}")
    print(
        f"acknowledged: {dict(soak.acts)}; done, though the writer died before it could say so: {soak.unheard}"
    )
    print(
        f"{len(soak.seen)} searches, {sum(len(seen) for _, seen in soak.seen)} passages, each held by its snapshot; last "
        f"audit: {audit.entries} log entries, {audit.passages} passages; problems: {len(soak.problems)}"
    )
    return 1 if soak.problems else 0


if __name__ == "__main__":
    sys.exit(main())
