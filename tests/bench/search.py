"""Verified search beside the same FAISS index called bare, at 10,000 and 100,000 chunks of 384 dimensions.

python -m tests.bench.search [CHUNKS ...]
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

from tests.arguments import numbers
from tests.bench.store import CONTEXT, DIMENSION, NOW, RandomEmbedder, fill, policy, unit_vectors
from trustrag.index import open_index
from trustrag.ledger import Ledger
from trustrag.retrieval.gate import Gate, ShortMemory
from trustrag.retrieval.retriever import Retriever, SearchReport

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


def measure(ledger: Ledger, sources: int, kind: str, k: int = 5) -> None:
    questions = unit_vectors(QUESTIONS, 99)
    index = open_index(kind, DIMENSION)
    gate = Gate(policy(sources), CONTEXT, ShortMemory())
    retriever = Retriever(ledger, ledger.folder / "index", RandomEmbedder(), gate, index=index)

    def search(number: int) -> SearchReport:
        return retriever.search("", k=k, now=NOW, vector=questions[number], mode="report")

    start = time.perf_counter()
    retriever.sync()
    synced = time.perf_counter() - start
    bare = timed(lambda number: index.search(questions[number], k))
    proved = timed(search)
    report = search(0)
    assert len(report.passages) == k
    assert not report.refused
    print(
        f"{len(index):>7} chunks {sources:>3} sources {kind:>4}: bare {bare:6.2f} ms, proved {proved:6.2f} ms, "
        f"ratio {proved / bare:5.2f}, +{proved - bare:.2f} ms for {report.considered} proved candidates "
        f"(synced in {synced:.2f} s)",
        flush=True,
    )


def main(*sizes: int) -> None:
    for chunks in sizes or (10_000, 100_000):
        for sources, kinds in ((1, ("flat",)), (3, ("flat",)), (100, ("flat", "hnsw"))):
            with tempfile.TemporaryDirectory() as name, fill(Path(name), chunks, sources) as ledger:
                for kind in kinds:
                    measure(ledger, sources, kind)


if __name__ == "__main__":
    main(*numbers(__doc__, "CHUNKS"))
