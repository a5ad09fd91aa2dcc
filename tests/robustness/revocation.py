"""`python -m tests.robustness.revocation`: how long a revoked key goes on being heard.

Several processes ask one workspace in a loop, each with a workspace that it opened before. Meanwhile the parent silences a
key or a source by running the command in a process of its own, and notes when it returned (CLOCK_MONOTONIC, which all
processes of a machine share). A reader notes, for each query, when it began and ended and whether a passage of the silenced
key was in the answer. Counted are queries that *began* after the command had returned and still served one: that has to be
none. A query that began before may end after it; how long the last such answer came after the return is told, too.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.arguments import nothing
from trustrag.workspace import Document, Workspace

READERS = 3
PASSAGES = 40
QUESTION = "How long are audit logs kept?"
ROOT = Path(__file__).resolve().parents[2]


def read(folder: Path) -> None:
    """A reader: asks until its standard input is closed; prints begin, end and served documents of each query."""
    with Workspace.open(folder) as workspace:
        workspace.search(QUESTION, k=5)
        print("ready", flush=True)
        os.set_blocking(sys.stdin.fileno(), False)
        while sys.stdin.buffer.read() != b"":
            begin = time.monotonic()
            report = workspace.search(QUESTION, k=5)
            end = time.monotonic()
            heard = sum(ranked.passage.source == "wiki" for ranked in report.passages)
            print(f"{begin} {end} {heard}", flush=True)


@dataclass(frozen=True, slots=True)
class Heard:
    """What the readers noted of one silencing. Seconds are after the command returned."""

    act: str
    queries: int
    served_before: int
    queries_after: int
    served_after: int
    last_answer: float
    first_silence: float


def make(folder: Path) -> None:
    """A store in which the question is answered by a source that will be silenced."""
    with Workspace.init(
        folder, source="acme", embedder="hash", chunk_size=200, chunk_overlap=0, passphrase=None
    ) as workspace:
        workspace.add_source("wiki")
        for name, of in (("acme", "ninety"), ("wiki", "thirty")):
            documents = []
            for number in range(PASSAGES):
                text = f"Audit logs number {number} of {name} are kept for {of} days."
                documents.append(Document(f"{name}/{number}", text.encode(), "text/plain", text))
            workspace.ingest_documents(documents, source=name)


def measure(act: str, command: Callable[[Path], list[str]]) -> Heard:
    """Let readers ask while a command silences wiki's passages, and count."""
    with tempfile.TemporaryDirectory(prefix="trustrag-revocation-") as name:
        os.environ["TRUSTRAG_HOME"] = str(Path(name, "home"))
        folder = Path(name, "kb")
        make(folder)
        words = command(folder)
        code = "import sys; from pathlib import Path; from tests.robustness.revocation import read; read(Path(sys.argv[1]))"
        readers = [
            subprocess.Popen(
                [sys.executable, "-c", code, str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                cwd=ROOT,
            )
            for _ in range(READERS)
        ]
        for reader in readers:
            assert reader.stdout is not None
            assert reader.stdout.readline() == b"ready\n"
        time.sleep(1.0)
        subprocess.run([sys.executable, "-m", "trustrag.cli", "-w", str(folder), *words], check=True, cwd=ROOT,
                       stdout=subprocess.DEVNULL)  # fmt: skip
        returned = time.monotonic()
        time.sleep(2.0)
        notes = [note for reader in readers for note in noted(reader)]
    return judged(act, notes, returned)


def noted(reader: "subprocess.Popen[bytes]") -> list[tuple[float, float, int]]:
    """What one reader wrote, once it was told to end."""
    said, _ = reader.communicate()
    assert reader.returncode == 0, f"a reader ended with {reader.returncode}"
    fields = [line.split() for line in said.decode().splitlines()]
    return [(float(begin), float(end), int(heard)) for begin, end, heard in fields]


def judged(act: str, notes: list[tuple[float, float, int]], returned: float) -> Heard:
    """The figures of one silencing."""
    after = [note for note in notes if note[0] >= returned]
    heard = [end for _, end, served in notes if served]
    silent = [begin for begin, _, served in notes if not served]
    assert heard, "wiki was never heard: nothing was measured"
    return Heard(
        act,
        len(notes),
        len(heard),
        len(after),
        sum(served > 0 for _, _, served in after),
        max(heard) - returned,
        min(silent, default=float("nan")) - returned,
    )


def key_of(folder: Path, purpose: str) -> str:
    """The id of the key that speaks for a purpose."""
    with Workspace.open(folder) as workspace:
        facts = workspace.authority.key_facts()
    return next(fact.key for fact in facts if fact.purpose == purpose)


ACTS: dict[str, Callable[[Path], list[str]]] = {
    "revoke the source's key": lambda folder: [
        "keys",
        "revoke",
        key_of(folder, "source wiki"),
        "--reason",
        "stolen",
    ],
    "suspend the source": lambda folder: ["source", "suspend", "wiki"],
    "withdraw the source": lambda folder: ["withdraw", "--source", "wiki", "--reason", "wrong"],
    "revoke the ingest key": lambda folder: [
        "keys",
        "revoke",
        key_of(folder, "ingest"),
        "--reason",
        "stolen",
    ],
    "revoke the screen key": lambda folder: [
        "keys",
        "revoke",
        key_of(folder, "screen"),
        "--reason",
        "stolen",
    ],
}
"""What silences wiki's passages, and the command for it."""


def kept_by_retiring() -> tuple[int, int]:
    """Of two sets of queries, before and after wiki's key was retired: how many served it. All should."""
    with tempfile.TemporaryDirectory(prefix="trustrag-revocation-") as name:
        os.environ["TRUSTRAG_HOME"] = str(Path(name, "home"))
        folder = Path(name, "kb")
        make(folder)
        with Workspace.open(folder) as reader, Workspace.open(folder) as operator:
            before = sum(heard(reader) for _ in range(20))
            operator.keys.rotate(source="wiki")
            return before, sum(heard(reader) for _ in range(20))


def heard(workspace: Workspace) -> bool:
    """Whether an answer holds a passage of wiki."""
    return any(ranked.passage.source == "wiki" for ranked in workspace.search(QUESTION, k=5).passages)


def same_process(queries: int = 200) -> int:
    """In the process that revokes: of so many queries after it returned, how many served the revoked key."""
    with tempfile.TemporaryDirectory(prefix="trustrag-revocation-") as name:
        os.environ["TRUSTRAG_HOME"] = str(Path(name, "home"))
        folder = Path(name, "kb")
        make(folder)
        with Workspace.open(folder) as workspace:
            assert heard(workspace)
            workspace.keys.revoke(key_of(folder, "source wiki"), reason="stolen")
            return sum(heard(workspace) for _ in range(queries))


def main() -> int:
    """Measure each act and print a table; 0 where nothing was heard after its command had returned."""
    print(f"in the same process: {same_process()} of 200 queries after a revocation served the key")
    before, after = kept_by_retiring()
    print(f"retired: {before} of 20 queries served it before, {after} of 20 after")
    wrong = 0
    for act, command in ACTS.items():
        found = measure(act, command)
        wrong += found.served_after
        print(
            f"{found.act:25} {READERS} readers, {found.queries} queries ({found.served_before} served it); after the return: "
            f"{found.queries_after} queries, {found.served_after} served it; last answer {found.last_answer * 1000:+.0f} ms, "
            f"first silence {found.first_silence * 1000:+.0f} ms",
            flush=True,
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    nothing(__doc__)
    sys.exit(main())
