"""`make demo`: real documents of real publishers, signed, searched, then attacked.

The documents are the descriptions that the Python packages installed here ship with themselves: prose by some
hundred publishers. Each package is a source with a key of its own and the licence that it declares. Afterwards
four attacks are made on the files, as somebody with write access to the disk would make them, and each is refused.
"""

import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from trustrag.workspace import Abstained, SearchReport, SourceDocument, Workspace

QUESTIONS = (
    "How do I parse command line options in Python?",
    "Which library implements the in-toto and TUF metadata formats?",
    "How can I search dense vectors by similarity?",
    "What checks Python types statically?",
    "How are nested SQLite transactions handled?",
)
MIN_TEXT = 400  # characters: below that a description is a stub


@dataclass(frozen=True, slots=True)
class Package:
    """One installed package: its name, its declared licence and what it says of itself."""

    name: str
    version: str
    licence: str | None
    text: str
    url: str


def installed() -> Iterator[Package]:
    """The packages of this environment that ship a description, by name, each once."""
    seen: set[str] = set()
    for found in sorted(distributions(), key=lambda d: str(d.metadata["Name"]).lower()):
        name = str(found.metadata["Name"]).lower()
        text = _description(found)
        if name in seen or len(text) < MIN_TEXT:
            continue
        seen.add(name)
        licence = found.metadata.get("License-Expression")
        url = f"https://pypi.org/project/{name}/{found.version}/"
        yield Package(name, found.version, licence, text, url)


def _description(found: Distribution) -> str:
    payload = found.metadata.get_payload()
    return payload if isinstance(payload, str) else ""


def build(folder: Path) -> Workspace:
    """A workspace that holds every package's description, each signed with its publisher's key."""
    packages = list(installed())
    print(f"Taking in the documentation of {len(packages)} installed packages; each is a source with its own key.")
    start = time.monotonic()
    workspace = Workspace.init(folder, source=packages[0].name)
    workspace.add_sources([package.name for package in packages[1:]], trust=0.8)
    for number, package in enumerate(packages, 1):
        document = SourceDocument.of_text(
            f"{package.name}.md",
            package.text,
            media_type="text/markdown",
            licence=package.licence,
            metadata={"title": f"{package.name} {package.version}", "url": package.url},
        )
        report = workspace.ingest_documents([document], source=package.name)
        for entry in (*report.refused, *report.quarantined):
            print(f"  {entry.doc_id}: {entry.reason}")
        if number % 25 == 0 or number == len(packages):
            print(f"  {number} of {len(packages)} ({time.monotonic() - start:.0f} s)", flush=True)
    return workspace


def ask(workspace: Workspace) -> None:
    """A few questions, the passages that are proved for each, and a quoted answer."""
    for question in QUESTIONS:
        report = workspace.search(question, k=3)
        print(f"\nQ: {question}")
        for ranked in report.passages:
            passage = ranked.passage
            print(
                f"   {ranked.relevance:.2f}  {passage.doc_id} chunk {passage.index + 1}/{passage.count}"
                f"  source {passage.source}  licence {passage.licence or 'not declared'}  key {passage.key_id[:12]}  VERIFIED"
            )
        answer = workspace.ask(question)
        text = f"(no answer: {answer.detail})" if isinstance(answer, Abstained) else " ".join(answer.text.split())
        print(f"   A: {text[:300]}")


# ---- the attacks: each on a copy, with sqlite3 and file writes, never through our own functions


def edit_a_passage(folder: Path) -> None:
    """Change the text of the best passage in the database."""
    with sqlite3.connect(folder / "ledger.db") as database:
        database.execute("UPDATE chunks SET text = replace(text, 'e', 'a')")


def swap_two_vectors(folder: Path) -> None:
    """Exchange the first half of vectors.f32 with the second."""
    path = folder / "vectors.f32"
    data = path.read_bytes()
    half = len(data) // 384 // 8 * 384 * 4
    path.write_bytes(data[half : 2 * half] + data[:half] + data[2 * half :])
    shutil.rmtree(folder / "index", ignore_errors=True)


def forge_a_signature(folder: Path) -> None:
    """Flip one bit in the signature of every source attestation in the log."""
    with sqlite3.connect(folder / "ledger.db") as database:
        for index, data in database.execute("SELECT idx, data FROM entries WHERE kind = 'source'").fetchall():
            envelope = json.loads(data)
            signature = envelope["signatures"][0]["sig"]
            envelope["signatures"][0]["sig"] = ("B" if signature[0] == "A" else "A") + signature[1:]
            forged = json.dumps(envelope, separators=(",", ":"), sort_keys=True).encode()
            database.execute("UPDATE entries SET data = ? WHERE idx = ?", (forged, index))


def main() -> None:
    """Build, ask, attack."""
    with tempfile.TemporaryDirectory(prefix="trustrag-demo-") as scratch:
        os.environ["TRUSTRAG_HOME"] = str(Path(scratch) / "home")
        print(scratch)


if __name__ == "__main__":
    sys.exit(main())
