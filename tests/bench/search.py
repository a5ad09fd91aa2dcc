"""Verified search beside the same FAISS index called bare, at 10,000 and 100,000 chunks of 384 dimensions.

python -m tests.bench.search [CHUNKS ...]
"""

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from tests.bench.store import CONTEXT, NOW, RandomEmbedder, fill, policy, unit_vectors
from trustrag.index import open_index
from trustrag.retrieval.gate import Gate, ShortMemory
from trustrag.retrieval.retriever import Retriever

QUESTIONS = 40
ROUNDS = 3


def timed(call: Callable[[int], object]) -> float:
    """Milliseconds of processor time of one call: the best of the rounds' medians, against noisy neighbours."""
    medians = []
    for _ in range(ROUNDS):
        spans = []
        for number in range(QUESTIONS):
            start = time.process_time()
            call(number)
            spans.append(time.process_time() - start)
        medians.append(median(spans))
    return 1000 * min(medians)


def measure(chunks: int, sources: int, kind: str, k: int = 5) -> None:
    questions = unit_vectors(QUESTIONS, 99)
    with tempfile.TemporaryDirectory() as name:
        start = time.perf_counter()
        with fill(Path(name), chunks, sources) as ledger:
            filled = time.perf_counter() - start
            gate = Gate(policy(sources), CONTEXT, ShortMemory())
            retriever = Retriever(ledger, Path(name) / "index", RandomEmbedder(), gate, index=kind)
            start = time.perf_counter()
            retriever.sync()
            synced = time.perf_counter() - start
            bare = open_index(kind, 384)
            ids = ledger.select()
            bare.add(ids, ledger.vectors(ids))
            alone = timed(lambda number: bare.search(questions[number], k))
            proved = timed(
                lambda number: retriever.search("", k=k, now=NOW, vector=questions[number], mode="report")
            )
            report = retriever.search("", k=k, now=NOW, vector=questions[0])
            assert len(report.passages) == k
            assert not report.refused
    print(
        f"{chunks:>7} chunks {sources:>3} sources {kind:>4}: bare {alone:6.2f} ms, proved {proved:6.2f} ms, "
        f"ratio {proved / alone:5.2f}, +{proved - alone:.2f} ms for {report.considered} proved candidates "
        f"(filled in {filled:.1f} s, synced in {synced:.2f} s)"
    )


def main(*sizes: int) -> None:
    for chunks in sizes or (10_000, 100_000):
        for kind, sources in (("flat", 1), ("flat", 3), ("flat", 100), ("hnsw", 100)):
            measure(chunks, sources, kind)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
