"""A publication beside the ledger it was made from: opening, the first question, further ones; and what publishing costs.

Processor time of one core for questions, wall time for what waits for the disk.

python -m tests.bench.reader [CHUNKS ...]
"""

import resource
import shutil
import tempfile
import time
from collections.abc import Callable
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median

from tests.arguments import numbers
from tests.bench.store import (
    BATCH,
    CONTEXT,
    DIMENSION,
    NOW,
    RandomEmbedder,
    admissions,
    fill,
    policy,
    unit_vectors,
)
from tests.ledger.world import SEALER
from trustrag.index.mapped import MappedIndex
from trustrag.ledger import Ledger
from trustrag.published.store import PublishedStore
from trustrag.published.writer import PublishReport, publish
from trustrag.retrieval.gate import Gate, ShortMemory
from trustrag.retrieval.retriever import Retriever

QUESTIONS = 40
SOURCES = 3


def asked(retriever: Retriever, number: int) -> None:
    """One question of the set; five passages have to come back, all of them proved."""
    vector = unit_vectors(QUESTIONS, 99)[number]
    report = retriever.search("", k=5, now=NOW, vector=vector, mode="report")
    assert len(report.passages) == 5
    assert not report.refused


def of_ledger(folder: Path, cache: bool) -> Retriever:
    gate = Gate(policy(SOURCES), CONTEXT, ShortMemory())
    if not cache:
        shutil.rmtree(folder / "index", ignore_errors=True)
    return Retriever(Ledger.open(folder), folder / "index", RandomEmbedder(), gate)


def of_publication(folder: Path) -> Retriever:
    store = PublishedStore(folder)
    index = MappedIndex(DIMENSION, store.packs.blocks)
    return Retriever(
        store, None, RandomEmbedder(), Gate(policy(SOURCES), CONTEXT, ShortMemory()), index=index
    )


def measure(name: str, opening: Callable[[], Retriever]) -> None:
    """In a process of its own, so that nothing is warm but the cache of the system."""
    child = get_context("fork").Process(target=_told, args=(name, opening))
    child.start()
    child.join()
    assert child.exitcode == 0


def _told(name: str, opening: Callable[[], Retriever]) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    retriever = opening()
    opened = time.process_time() - start
    start = time.process_time()
    asked(retriever, 0)
    first = time.process_time() - start
    rounds = []
    for _ in range(2):
        spans = []
        for number in range(1, QUESTIONS):
            start = time.process_time()
            asked(retriever, number)
            spans.append(time.process_time() - start)
        rounds.append(1000 * median(spans))
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    print(
        f"  {name:34} opened {1000 * opened:6.1f} ms, first question {1000 * first:7.1f} ms, new ones {rounds[0]:6.1f} ms, "
        f"asked again {rounds[1]:6.1f} ms; memory +{grown:.0f} MB (with pages that processes share)",
        flush=True,
    )


def published(ledger: Ledger, out: Path, keys: Path, what: str) -> PublishReport:
    start = time.perf_counter()
    report = publish(ledger, out, keys, lambda note: True)
    spent = time.perf_counter() - start
    print(
        f"  {what:34} {spent:6.2f} s, {report.files} files, {report.bytes / 1e6:.2f} MB without vectors, "
        f"{report.shards} shards, {report.removed} removed",
        flush=True,
    )
    return report


def main(*sizes: int) -> None:
    for chunks in sizes or (10_000, 100_000):
        with tempfile.TemporaryDirectory() as name:
            folder, out, keys = Path(name) / "kb", Path(name) / "published", Path(name) / "keys"
            keys.mkdir()
            with fill(folder, chunks, SOURCES) as ledger:
                print(f"{chunks} chunks, {SOURCES} sources")
                published(ledger, out, keys, "published whole")
                published(ledger, out, keys, "published again, nothing new")
                start = chunks // 10
                more = unit_vectors(chunks + 160, 8)
                ledger.admit(list(admissions(range(start, start + BATCH), "s0", more)), SEALER, NOW)
                published(ledger, out, keys, f"published with {BATCH} more documents")
                files = sum(1 for path in out.rglob("*") if path.is_file())
                held = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
                print(f"  the folder: {files} files, {held / 1e6:.0f} MB", flush=True)
            for label, opening in (
                ("ledger, index built", partial(of_ledger, folder, False)),
                ("ledger, index from its cache", partial(of_ledger, folder, True)),
                ("publication, mapped vectors", partial(of_publication, out)),
            ):
                measure(label, opening)


if __name__ == "__main__":
    main(*numbers(__doc__, "CHUNKS"))
