"""Ruling on a whole source, going back and looking back, at 1,000, 10,000 and 100,000 documents of one passage each.

python -m tests.bench.rulings [DOCUMENTS ...]

Each size runs in a process of its own, so that its memory can be told. Vectors are those of the hash embedder.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.arguments import numbers
from tests.ledger.world import CHUNKER, CONTEXT, NOW, POLICY, SEALER, key, proposed, publisher, review_of
from trustrag.index.embedding import HashEmbedder
from trustrag.ledger import Admission, Ledger, Ruling, StoredText
from trustrag.monitor.custody import chain_of
from trustrag.monitor.history import difference, snapshots
from trustrag.monitor.rollback import planned_step
from trustrag.provenance.canonical import Digest
from trustrag.provenance.envelope import sign
from trustrag.provenance.standing import chunk_leaves, chunk_root
from trustrag.provenance.statement import (
    DocumentClaim,
    EmbedderId,
    IngestedDocument,
    IngestStatement,
    SourceStatement,
)
from trustrag.retrieval.gate import Gate, ShortMemory
from trustrag.retrieval.retriever import Retriever

SIZES = (1_000, 10_000, 100_000)
BATCH, TOGETHER = 16, 64  # documents under one signature, such batches in one snapshot
METADATA = b'{"lang":"en"}'
QUESTION = "retention of audit records"


def main(*sizes: int) -> None:
    for size in sizes or SIZES:
        subprocess.run([sys.executable, "-m", "tests.bench.rulings", "--one", str(size)], check=True)


def one(size: int) -> None:
    embedder = HashEmbedder()
    identity = EmbedderId(embedder.id.name, embedder.id.dimension, Digest(embedder.id.digest))
    with tempfile.TemporaryDirectory() as name:
        with Ledger.create(Path(name), CONTEXT, identity) as ledger:
            filled = timed("fill", lambda: fill(ledger, embedder, identity, size))
            print(f"{size:>7} documents, {ledger.snapshot().version} snapshots (filled in {filled:.1f} s)")
        with Ledger.open(Path(name), write=True) as ledger:
            measure(ledger, embedder, Path(name))
    print(f"        most memory of this process: {peak():.0f} MB", flush=True)


def measure(ledger: Ledger, embedder: HashEmbedder, folder: Path) -> None:
    gate = Gate(POLICY, CONTEXT, ShortMemory())
    retriever = Retriever(ledger, folder / "index", embedder, gate)
    full = ledger.snapshot()
    found = retriever.search(QUESTION, now=NOW).passages
    assert found

    def rule(action: str) -> None:
        before, memory = ledger.snapshot(), peak()
        ruling = Ruling(action, "it was sold", source="acme")  # type: ignore[arg-type]
        spent = timed(action, lambda: ledger.rule([ruling], SEALER, NOW, publisher=publisher))
        after = ledger.snapshot()
        told(f"{action} --source", spent, f"{after.log_size - before.log_size} log entries, "
             f"{after.version - before.version} snapshot, +{peak() - memory:.0f} MB at most")  # fmt: skip

    rule("withdraw")
    spent = timed("next", lambda: check(retriever, 0))
    told("the very next query", spent, "nothing served")
    rule("restore")
    told("the very next query", timed("next", lambda: check(retriever, len(found))), "as before")
    ledger.rule([Ruling("withdraw", "one", doc_id="doc/0")], SEALER, NOW)
    for which in ("first", "second"):
        spent = timed("at", lambda: retriever.search(QUESTION, now=NOW, at=full.version))
        told(f"{which} search --at", spent, "every vector of then is scored")
    look(ledger, gate, full.version)


def look(ledger: Ledger, gate: Gate, full: int) -> None:
    """What reads the past, and going back to it."""
    with gate.opened(ledger, NOW) as (view, head):
        told("snapshots", timed("s", lambda: list(snapshots(view, gate, head, NOW))), "all of history")
        told(
            "diff of the last two", timed("d", lambda: difference(view, gate, head, full, head.version, NOW))
        )
        told("chain", timed("c", lambda: chain_of(view, gate, head, "doc/1", 0, NOW)), "all of history")
    ledger.rule([Ruling("withdraw", "all", source="acme")], SEALER, NOW, publisher=publisher)
    ledger.rule([Ruling("restore", "all", source="acme")], SEALER, NOW, publisher=publisher)
    with gate.opened(ledger, NOW) as (view, head):
        empty = 1
        start = time.process_time()
        step = planned_step(view, gate, head, empty, NOW)
        told("plan a rollback to nothing", time.process_time() - start, f"{len(step.gone)} documents go")
    undo = ledger.snapshot().version
    spent = timed("r", lambda: ledger.roll_back(step.plan, [proposed(step.plan)], "reason", SEALER, NOW))
    told("roll back to nothing", spent, "one snapshot")
    with gate.opened(ledger, NOW) as (view, head):
        start = time.process_time()
        step = planned_step(view, gate, head, undo, NOW)
        told("plan to bring all back", time.process_time() - start, f"{len(step.back)} proved by the gate")
    spent = timed("r", lambda: ledger.roll_back(step.plan, [proposed(step.plan)], "reason", SEALER, NOW))
    told("bring all back", spent, "one snapshot")


def check(retriever: Retriever, expected: int) -> None:
    assert len(retriever.search(QUESTION, now=NOW).passages) == expected


def timed(_: str, call: Callable[[], object]) -> float:
    """Seconds of processor time."""
    start = time.process_time()
    call()
    return time.process_time() - start


def told(what: str, seconds: float, more: str = "") -> None:
    print(f"        {what:28} {seconds:8.3f} s CPU  {more}".rstrip(), flush=True)


def peak() -> float:
    """The most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def fill(ledger: Ledger, embedder: HashEmbedder, identity: EmbedderId, size: int) -> None:
    ledger.reseal(SEALER, NOW)
    for start in range(0, size, BATCH * TOGETHER):
        numbers = range(start, min(start + BATCH * TOGETHER, size))
        batches = [numbers[at : at + BATCH] for at in range(0, len(numbers), BATCH)]
        admissions = [item for batch in batches for item in batch_of(batch, embedder, identity)]
        ledger.admit(admissions, SEALER, NOW)


def batch_of(numbers: range, embedder: HashEmbedder, identity: EmbedderId) -> Iterator[Admission]:
    texts = [f"The retention of audit records under section {number} is 90 days." for number in numbers]
    vectors = embedder.embed(texts)
    digests = [Digest.of(text.encode()) for text in texts]
    claims = tuple(
        DocumentClaim(f"doc/{number}", 1, digest, None, "text/plain", None, Digest.of(METADATA))
        for number, digest in zip(numbers, digests, strict=True)
    )
    sourced = sign(SourceStatement(CONTEXT, claims, NOW, None).encode(), key("acme"))
    roots = [
        chunk_root(chunk_leaves(digest, [text], [row.tobytes()], METADATA, [(0, len(text))]))
        for digest, text, row in zip(digests, texts, vectors, strict=True)
    ]
    done = tuple(
        IngestedDocument(claim.doc_id, 1, claim.digest, sourced.digest, root, 1)
        for claim, root in zip(claims, roots, strict=True)
    )
    statement = IngestStatement(CONTEXT, done, CHUNKER, identity, "urn:trustrag:bench", NOW)
    ingested = sign(statement.encode(), key("ingest"))
    review = review_of(ingested)
    for claim, text, row in zip(claims, texts, vectors, strict=True):
        stored = (StoredText(text, 0, len(text)),)
        yield Admission(claim, sourced, ingested, (review,), METADATA, stored, row[None, :], "acme")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        one(int(sys.argv[2]))
    else:
        main(*numbers(__doc__, "DOCUMENTS"))
