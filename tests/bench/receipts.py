"""What a receipt costs beside the search that it is of, and what its replay costs, at 10,000 and 100,000 chunks.

    python -m tests.bench.receipts [CHUNKS ...]

Processor milliseconds of one core, medians. The first replay after a start reads every vector from the disk once.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median

from tests.arguments import numbers
from tests.bench.store import CONTEXT, NOW, RandomEmbedder, fill, key, more, policy, unit_vectors
from trustrag.ledger import Ledger
from trustrag.provenance.policy import PolicyKey, Role
from trustrag.retrieval.gate import Gate, ShortMemory
from trustrag.retrieval.receipt import ReceiptFile, receipt_of
from trustrag.retrieval.replay import replay
from trustrag.retrieval.retriever import Retriever

ROUNDS = 20
SOURCES = 3


def milliseconds(call: Callable[[int], object]) -> float:
    spans = []
    for number in range(ROUNDS):
        start = time.process_time()
        call(number)
        spans.append(time.process_time() - start)
    return 1000 * median(spans)


def measure(ledger: Ledger, chunks: int) -> None:
    believed = replace(policy(SOURCES), answer=Role((PolicyKey(key("answer").public_key),)))
    gate = Gate(believed, CONTEXT, ShortMemory())
    retriever = Retriever(ledger, ledger.folder / "index", RandomEmbedder(), gate)
    questions = unit_vectors(ROUNDS, 99)
    reports = [retriever.search("", k=5, now=NOW, vector=question) for question in questions]
    searched = milliseconds(lambda number: retriever.search("", k=5, now=NOW, vector=questions[number]))
    made = milliseconds(lambda number: receipt_of(reports[number], believed, key("answer"), "flat", NOW))
    files = [receipt_of(report, believed, key("answer"), "flat", NOW).encode() for report in reports]

    def again(number: int) -> None:
        receipt, asked = ReceiptFile.open(files[number], believed)
        assert replay(receipt, asked, retriever, ledger, now=NOW).same

    start = time.perf_counter()
    again(0)
    first = 1000 * (time.perf_counter() - start)
    print(
        f"{len(retriever.indexed()):>7} chunks: search {searched:6.2f} ms, receipt {made:5.2f} ms ({len(files[0])} bytes), "
        f"replay {milliseconds(again):6.1f} ms, the first {first:6.1f} ms",
        end="; ",
        flush=True,
    )
    more(ledger, chunks, 100)
    print(f"of a snapshot that others followed {milliseconds(again):6.1f} ms", flush=True)


def main(*sizes: int) -> None:
    for chunks in sizes or (10_000, 100_000):
        with tempfile.TemporaryDirectory() as name, fill(Path(name), chunks, SOURCES) as ledger:
            measure(ledger, chunks)


if __name__ == "__main__":
    main(*numbers(__doc__, "CHUNKS"))
