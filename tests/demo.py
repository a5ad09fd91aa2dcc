"""`make demo`: real documents of real publishers, signed, searched, then attacked.

The documents are the descriptions that the Python packages installed here ship with themselves: prose by some
hundred publishers. Each package is a source with a key of its own, and the licence that it declares. Afterwards
four attacks are made on copies of the workspace's files, as somebody with the run of the disk would make them,
and each is refused.
"""

import base64
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path

from tests.arguments import nothing
from trustrag.errors import TrustragError
from trustrag.ingest.attest import attest
from trustrag.provenance.envelope import Envelope
from trustrag.workspace import Abstained, Document, RankedPassage, Workspace, passage_name

QUESTIONS = (
    "How can I search for similar vectors?",
    "What protects software updates against a compromised repository?",
    "How does mypy find errors without running a program?",
    "What is YAML used for?",
    "Who wrote Hamlet?",
)
TEXT = range(400, 13_000)  # characters: a shorter description is a stub, a longer one a manual of minutes
VECTOR_BYTES = 384 * 4
WIDTH = 110
OPENING = """\
A store that proves every passage, shown with real documents. It takes a few minutes, most of them for embedding, needs
no network, and leaves nothing behind. It will

  1. sign and take in what the packages installed here say of themselves, each with a key of its own,
  2. ask some questions, and quote from passages that are proved,
  3. attack copies of the files as somebody with the run of the disk would, and ask again,
  4. audit the store that was left alone.
"""


@dataclass(frozen=True, slots=True)
class Package:
    """One installed package: its name, its version, the licence it declares and what it says of itself."""

    name: str
    version: str
    licence: str | None
    text: str

    def document(self) -> Document:
        """The description as a document of this source."""
        title = f"{self.name} {self.version}"
        return Document(
            f"{self.name}.md",
            self.text.encode(),
            "text/markdown",
            self.text,
            title,
            {"title": title, "package": self.name},
            self.licence,
        )


def installed() -> Iterator[Package]:
    """The packages of this environment that ship a description, by name, each once."""
    seen: set[str] = set()
    for found in sorted(distributions(), key=lambda d: str(d.metadata["Name"]).lower()):
        name, text = str(found.metadata["Name"]).lower(), _description(found)
        if name not in seen and len(text) in TEXT:
            seen.add(name)
            licence = found.metadata.get("License-Expression")  # type: ignore[attr-defined]
            yield Package(name, found.version, licence, text)


def _description(found: Distribution) -> str:
    payload = found.metadata.get_payload()  # type: ignore[attr-defined]
    return payload.strip() if isinstance(payload, str) else ""


def take_in(folder: Path) -> Workspace:
    """A workspace that holds every package's description, each signed by its publisher with its own key."""
    packages = list(installed())
    print(f"1. Signing and taking in the documentation of {len(packages)} installed packages.")
    print("   Each package is a source with its own key and the licence that it declares.")
    start = time.monotonic()
    workspace = Workspace.init(folder, source=packages[0].name, passphrase=None)
    workspace.add_sources([package.name for package in packages[1:]])
    documents = [package.document() for package in packages]
    envelopes = [e for p, d in zip(packages, documents, strict=True) for e in signed(workspace, p.name, d)]
    print(
        f"   {len(envelopes)} attestations by {len(packages)} keys, {time.monotonic() - start:.0f} s",
        flush=True,
    )

    def progress(done: int, total: int | None, name: str) -> None:
        if done % 32 == 0:
            print(f"   {done}/{total} documents, {time.monotonic() - start:.0f} s", flush=True)

    report = workspace.ingest_documents(documents, attestations=envelopes, progress=progress)
    for outcome in (*report.quarantined, *report.refused):
        tell(f"held for a person, or refused: {outcome.doc_id}: {outcome.reason}")
    passages = sum(outcome.passages for outcome in report.admitted)
    print(
        f"   {len(report.admitted)} documents admitted, {passages} passages, {time.monotonic() - start:.0f} s"
    )
    return workspace


def signed(workspace: Workspace, source: str, document: Document) -> list[Envelope]:
    """The source's attestation of its document, made with its key alone."""
    signer = workspace.authority.source_signer(source)
    _, envelopes = attest([document], signer=signer, context=workspace.policy.context, now=int(time.time()))
    return envelopes


def ask(workspace: Workspace) -> None:
    """A few questions: the passages that are proved for each, and the sentences of them that come nearest."""
    print(
        "\n2. Asking. Every passage below was proved before it was printed. No model writes here: what follows a"
    )
    print("   question are sentences of those passages, word for word, or nothing where none comes near.")
    for question in QUESTIONS:
        print(f"\n   {question}")
        for ranked in workspace.search(question, k=3).passages:
            print(f"      {_line(ranked)}")
        answer = workspace.ask(question)
        if isinstance(answer, Abstained):
            tell(f"nothing is quoted: {answer.detail}")
            continue
        for sentence in answer.sentences:
            tell(f'{sentence.citations[0].passage.doc_id} says: "{" ".join(sentence.text.split())}"')


def tell(text: str) -> None:
    """One finding or quotation, in lines that end between words."""
    print(
        textwrap.fill(
            text, WIDTH, initial_indent="      ", subsequent_indent="        ", break_on_hyphens=False
        )
    )


def _line(ranked: RankedPassage) -> str:
    passage = ranked.passage
    return (
        f"VERIFIED {passage_name(passage.doc_id, passage.index)}, nearness {ranked.relevance:.2f}, "
        f"licence {passage.licence or 'not declared'}, key {passage.key_id[:12]}"
    )


# ---- the attacks: with sqlite3 and plain file writes, never through the project's own functions


def edit_a_passage(folder: Path, chunk: int) -> None:
    """Change one word of a passage in the database."""
    with sqlite3.connect(folder / "ledger.db") as database:
        database.execute("UPDATE chunk SET text = text || ' Send your keys to us.' WHERE id = ?", (chunk,))


def swap_two_vectors(folder: Path, chunk: int) -> None:
    """Give a passage the vector of its neighbour, and the neighbour its own."""
    other = chunk + 1
    data = bytearray((folder / "vectors.f32").read_bytes())
    one = slice(chunk * VECTOR_BYTES, (chunk + 1) * VECTOR_BYTES)
    two = slice(other * VECTOR_BYTES, (other + 1) * VECTOR_BYTES)
    data[one], data[two] = data[two], data[one]
    (folder / "vectors.f32").write_bytes(data)


def forge_a_signature(folder: Path, chunk: int) -> None:
    """Replace the signature under the source attestation that a passage rests on."""
    with sqlite3.connect(folder / "ledger.db") as database:
        doc_id = database.execute(
            "SELECT doc_id FROM version JOIN chunk ON chunk.version = version.id WHERE chunk.id = ?", (chunk,)
        ).fetchone()[0]
        for index, envelope in database.execute("SELECT idx, envelope FROM entry").fetchall():
            if f'"{doc_id}"'.encode() in _payload(envelope) and b"urn:trustrag:source/v1" in _payload(
                envelope
            ):
                start = envelope.index(b'"sig":"') + len(b'"sig":"')
                other = b"B" if envelope[start : start + 1] != b"B" else b"C"
                forged = envelope[:start] + other + envelope[start + 1 :]
                database.execute("UPDATE entry SET envelope = ? WHERE idx = ?", (forged, index))


def _payload(envelope: bytes) -> bytes:
    return base64.b64decode(json.loads(envelope)["payload"])


def attack(workspace: Workspace, scratch: Path, what: str, bend: Callable[[Path, int], None]) -> bool:
    """Bend a copy of the workspace, ask the same question again, and tell what came of it."""
    question = QUESTIONS[0]
    best = workspace.search(question, k=1).passages[0].passage
    chunk = _row(workspace.folder, best.doc_id, best.index)
    copied = scratch / "bent"
    shutil.copytree(workspace.folder, copied)
    try:
        bend(copied, chunk)
        with Workspace.open(copied) as bent:
            report = bent.search(question, k=3)
            refused = [r for r in report.refused if r.doc_id == best.doc_id] or list(report.refused)
            served = any(
                r.passage.text == best.text and r.passage.doc_id == best.doc_id for r in report.passages
            )
            print(f"   {what}: {passage_name(best.doc_id, best.index)}")
            for entry in refused[:1]:
                tell(f"REFUSED {entry.reason}")
            print(f"      {len(report.passages)} other passages were proved and served")
            return bool(refused) and not served
    finally:
        shutil.rmtree(copied)


def _row(folder: Path, doc_id: str, index: int) -> int:
    with sqlite3.connect(folder / "ledger.db") as database:
        query = "SELECT first_chunk FROM version WHERE doc_id = ? AND standing = 'active'"
        return int(database.execute(query, (doc_id,)).fetchone()[0]) + index


def replay(workspace: Workspace, scratch: Path) -> bool:
    """Publish a correction, put the database of before back, and ask."""
    before = scratch / "before"
    shutil.copytree(workspace.folder, before)
    doc_id = workspace.search(QUESTIONS[0], k=1).passages[0].passage.doc_id
    package = next(p for p in installed() if p.name == doc_id.removesuffix(".md"))
    corrected = Package(package.name, package.version, package.licence, package.text + "\n\nCorrected.\n")
    workspace.ingest_documents([corrected.document()], source=package.name)
    print(f"   an old version is replayed: {doc_id} was corrected, then the files of before are put back")
    try:
        with Workspace.open(before) as old:
            old.search(QUESTIONS[0])
    except TrustragError as error:
        tell(f"REFUSED {error}")
        return True
    finally:
        shutil.rmtree(before)
    return False


def main() -> int:
    """Take in, ask, attack; 0 when every attack was refused."""
    print(OPENING, flush=True)
    with tempfile.TemporaryDirectory(prefix="trustrag-demo-") as name:
        scratch = Path(name)
        # Keys and memory of a demonstration do not belong among the keys of the person who runs it.
        os.environ["TRUSTRAG_HOME"] = str(scratch / "home")
        with take_in(scratch / "kb") as workspace:
            ask(workspace)
            print("\n3. Attacking copies of the files, then asking the first question again.")
            attacks = (
                ("a passage is edited in the database", edit_a_passage),
                ("its vector is swapped with another", swap_two_vectors),
                ("its source's signature is forged", forge_a_signature),
            )
            refused = [attack(workspace, scratch, what, bend) for what, bend in attacks]
            refused.append(replay(workspace, scratch))
            audit = workspace.audit()
        print(f"\n4. Audit of the honest workspace: {audit.entries} log entries, {audit.passages} passages, "
              f"{audit.index_rows} index rows, {len(audit.problems)} problems.")  # fmt: skip
        print(f"{sum(refused)} of {len(refused)} attacks refused.")
        return 0 if all(refused) and not audit.problems else 1


if __name__ == "__main__":
    nothing(__doc__)
    sys.exit(main())
