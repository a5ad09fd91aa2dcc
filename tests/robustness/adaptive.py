"""Attackers that know this ranking: unlike texts between sentences copied from honest passages.

    python -m tests.robustness.adaptive [--sets nq,rtqa]

Needs the shared evaluation data (TRUSTRAG_SHARED) with its bench/poisonbench.py. Each of five attack texts a question stands
between two sentences copied from honest passages on it that don't give the answer, under five keys or under one. The log
knows that the honest passages came first. The first run embeds the attack texts: minutes.
"""

import argparse
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType

import numpy as np

from tests.robustness.ablation import poisonbench
from trustrag.consistency.reading import read
from trustrag.retrieval.ranking import Candidate, rerank

Rows = Sequence[Mapping[str, object]]
MEASURES = ("p5", "any", "att", "cor", "gold")


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row for each set, number of keys, and defence."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default="nq,rtqa")
    asked = parser.parse_args(argv)
    bench = poisonbench()
    for name in asked.sets.split(","):
        for keys in (5, 1):
            for defence, probation, known in (
                ("keys equal", False, True),
                ("new keys on probation", True, True),
                ("the same, order of publication unknown", True, False),
            ):
                print(
                    f"{name:5s} {keys} keys, {defence:40s} {measure(bench, name, keys, ranked(probation, known))}"
                )
            print(
                f"{name:5s} {keys} keys, {'none':40s} {measure(bench, name, keys, bench.d_none)}", flush=True
            )
    return 0


def measure(
    bench: ModuleType, name: str, keys: int, call: Callable[[str, Rows], tuple[list[int], bool]]
) -> str:
    """Means over the questions that have an answer in the clean list."""
    questions, usable, lists = attacked(bench, name, keys)
    found = [
        bench.score(question, rows, call(str(question["question"]), rows)[0])
        for question, rows, counts in zip(questions, lists, usable, strict=True)
        if counts
    ]
    return " ".join(f"{key}={np.mean([one[key] for one in found]):.2f}" for key in MEASURES)


def attacked(
    bench: ModuleType, name: str, keys: int
) -> tuple[list[dict[str, object]], list[bool], list[Rows]]:
    """Questions, whether each counts, and the candidates under attack."""
    questions, usable, clean = bench.candidates(name, "clean", None)
    lies = []
    for number, (question, rows) in enumerate(zip(questions, clean, strict=True)):
        honest = [sentence for row in rows[:10] for sentence in read(row["text"]).sentences]
        honest = [
            one for one in honest if 6 <= len(one.split()) <= 40 and not bench.has(one, question["correct"])
        ]
        random.Random(number).shuffle(honest)
        for place, lie in enumerate(question["attack_texts"][:5]):
            around = [*honest[2 * place : 2 * place + 2], "", ""]
            text = " ".join(part for part in (around[0], lie, around[1]) if part)
            lies.append(bench.Doc(text, f"M{place}" if keys > 1 else "M", poison=True))
    return questions, usable, bench.retrieve(questions, [*bench.benign(name), *lies])


def ranked(probation: bool, known: bool) -> Callable[[str, Rows], tuple[list[int], bool]]:
    """The product's ranking; `known`: the log says that the attacker's keys came later."""

    def call(question: str, rows: Rows) -> tuple[list[int], bool]:
        candidates = []
        for row in rows:
            bad = bool(row["_poison"])
            candidates.append(
                Candidate(
                    str(row["text"]),
                    str(row["publisher"]),
                    float(str(row["relevance"])),
                    np.asarray(row["emb"], dtype=np.float32),
                    probation=probation and bad,
                    position=int(bad) if known else None,
                )
            )
        found = rerank(question, candidates)
        return [one.index for one in found.passages], bool(found.contested)

    return call


if __name__ == "__main__":
    sys.exit(main())
