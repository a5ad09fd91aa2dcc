"""What an audit costs, whole and with what the last one proved, from 10,000 to 100,000 chunks.

    python -m tests.bench.audit [CHUNKS ...]

Processor seconds of one core, the better of two runs. A remembering audit is measured twice: with nothing new, and with
a hundredth more documents. Growth is the exponent of time over chunks between the sizes given: 1.0 is linear.
"""

import math
import tempfile
import time
from pathlib import Path

from tests.arguments import numbers
from tests.bench.store import CONTEXT, NOW, RandomEmbedder, fill, more, policy
from trustrag.ledger import Ledger
from trustrag.monitor.audit import AuditReport, audit
from trustrag.monitor.audited import Audited
from trustrag.retrieval.gate import Gate, ShortMemory
from trustrag.retrieval.retriever import Retriever

SOURCES = 3


class Kept:
    """The memory of an audit, in this process."""

    def __init__(self, audited: Audited | None = None) -> None:
        self.audited = audited

    def read(self) -> Audited | None:
        return self.audited

    def write(self, audited: Audited) -> None:
        self.audited = audited


def timed(ledger: Ledger, kept: Audited | None) -> tuple[float, AuditReport, Audited | None]:
    """One audit by a gate that knows nothing yet."""
    gate, memory = Gate(policy(SOURCES), CONTEXT, ShortMemory()), Kept(kept)
    retriever = Retriever(ledger, ledger.folder / "index", RandomEmbedder(), gate)
    retriever.sync()
    start = time.process_time()
    report = audit(ledger, gate, retriever, now=NOW, memory=memory)
    spent = time.process_time() - start
    assert not report.problems, report.problems[0]
    return spent, report, memory.audited


def best(ledger: Ledger, kept: Audited | None) -> tuple[float, AuditReport, Audited | None]:
    return min((timed(ledger, kept) for _ in range(2)), key=lambda run: run[0])


def measure(chunks: int) -> float:
    with tempfile.TemporaryDirectory() as name, fill(Path(name), chunks, SOURCES) as ledger:
        whole, report, audited = best(ledger, None)
        known, _, _ = best(ledger, audited)
        more(ledger, chunks, chunks // 100)
        grown, after, _ = best(ledger, audited)
        print(
            f"{report.passages:>7} chunks, {report.entries} entries: whole {whole:6.2f} s ({report.passages / whole:,.0f} "
            f"chunks/s/core); remembering {known:5.2f} s ({whole / known:.1f} times faster); "
            f"{after.passages - after.remembered} chunks later {grown:5.2f} s",
            flush=True,
        )
    return whole


def main(*sizes: int) -> None:
    measured = [(chunks, measure(chunks)) for chunks in sizes or (10_000, 30_000, 100_000)]
    (small, first), (large, last) = measured[0], measured[-1]
    if large > small:
        print(
            f"growth from {small} to {large} chunks: exponent {math.log(last / first) / math.log(large / small):.2f}"
        )


if __name__ == "__main__":
    main(*numbers(__doc__, "CHUNKS"))
