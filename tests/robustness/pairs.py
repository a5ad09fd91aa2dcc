"""Is a pair found by its own question, and does a lie gain by calling itself one?

    python -m tests.robustness.pairs [--sets nq,rtqa]

Needs the shared evaluation data (TRUSTRAG_SHARED) with its bench/poisonbench.py. First, of every question an honest passage
that answers becomes a pair of a source of its own, the question before it, among the other clean candidates: how often it
is among the five, as a pair and as any text. Then the attack: echoed texts as they are, the same as pairs, and the texts
without the echo, which an attacker can always write; all keys equal.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType

import numpy as np

from tests.robustness.ablation import poisonbench
from trustrag.retrieval.ranking import Candidate, rerank

Row = Mapping[str, object]
SILENT = {"T3n1": "T3i1", "T3b1": "T3c1", "T3n5": "T3i5", "T3b5": "T3c5", "T4k3": "T4i3"}
MEASURES = ("p5", "att", "cor")


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row for each set, and one for each tier."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default="nq,rtqa")
    asked = parser.parse_args(argv)
    bench = poisonbench()
    for name in asked.sets.split(","):
        found = {pair: honest(bench, name, pair) for pair in (False, True)}
        print(
            f"{name:5s} among the five: any text {found[False]:.2f}, as a pair {found[True]:.2f}", flush=True
        )
        for tier, silent in SILENT.items():
            cells = [("echo", tier, False), ("pair", tier, True), ("silent", silent, False)]
            row = ", ".join(f"{label} {attacked(bench, name, what, pair)}" for label, what, pair in cells)
            print(f"{name:5s} {tier} {' / '.join(MEASURES)}: {row}", flush=True)
    return 0


def honest(bench: ModuleType, name: str, pair: bool) -> float:
    """The share of questions whose answer, published as a question with its answer, is handed on."""
    questions, usable, lists = bench.candidates(name, "clean", None)
    cases = [(q, rows) for q, rows, counts in zip(questions, lists, usable, strict=True) if counts]
    answers = [next(row for row in rows if bench.has(row["text"], q["correct"])) for q, rows in cases]
    texts = [
        f"{q['question'].rstrip('?')}?\n\n{row['text']}" for (q, _), row in zip(cases, answers, strict=True)
    ]
    vectors, asked = bench.embed(texts), bench.embed([q["question"] for q, _ in cases])
    hits = []
    for (question, rows), answer, text, vector, query in zip(
        cases, answers, texts, vectors, asked, strict=True
    ):
        others = [candidate(row, False) for row in rows if row is not answer]
        own = Candidate(text, "pairs", float(vector @ query), vector, pair=pair)
        hits.append(
            any(one.candidate is own for one in rerank(question["question"], [own, *others]).passages)
        )
    return float(np.mean(hits))


def attacked(bench: ModuleType, name: str, tier: str, pair: bool) -> str:
    """The measures of one tier; `pair`: each poisonous text says that it is one."""

    def call(question: str, rows: Sequence[Row]) -> tuple[list[int], bool]:
        ranking = rerank(question, [candidate(row, pair and bool(row["_poison"])) for row in rows])
        return [one.index for one in ranking.passages], bool(ranking.contested)

    found = bench.run(name, tier, "pairs", call)
    return " / ".join(f"{found[measure][0]:.2f}" for measure in MEASURES)


def candidate(row: Row, pair: bool) -> Candidate:
    """A benchmark's row, all keys equal."""
    vector = np.asarray(row["emb"], dtype=np.float32)
    return Candidate(str(row["text"]), str(row["publisher"]), float(str(row["relevance"])), vector, pair=pair)


if __name__ == "__main__":
    sys.exit(main())
