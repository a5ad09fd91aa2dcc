"""Does ranking cost ordinary retrieval anything? nDCG@10 with the defence on against off, on clean questions.

    python -m tests.robustness.quality [--without-vectors]

Two sets with publishers: Wikipedia passages for Natural Questions, and web snippets for RealTimeQA. A passage is
judged relevant when it states one of the question's accepted answers, which is the judgment that these sets carry.
The difference is paired, question by question, with a 95% bootstrap interval. Needs the shared evaluation data
(TRUSTRAG_SHARED) with its bench/poisonbench.py, whose kept vectors are used; without them embedding takes minutes.
"""

import argparse
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType

import numpy as np

from tests.robustness.ablation import poisonbench, reranker

SETS = ("nq", "rtqa")
CANDIDATES = 40
DEPTH = 10


def plain(text: str) -> str:
    """Lower case, single spaces, no punctuation: how answers are looked for."""
    return re.sub(r"\s+", " ", re.sub(r"[^\w\s%.$]", " ", text.lower())).strip().rstrip(".")


def states(text: str, answers: Iterable[str]) -> bool:
    """Whether one of the answers stands in the text, at word boundaries."""
    said = plain(text)
    return any(a and re.search(rf"(?<!\w){re.escape(a)}(?!\w)", said) for a in map(plain, answers))


def ndcg(found: Sequence[bool], relevant: int) -> float:
    """nDCG@10 with binary gains; `relevant` is how many of all candidates are."""
    gain = sum(hit / math.log2(place + 2) for place, hit in enumerate(found[:DEPTH]))
    best = sum(1 / math.log2(place + 2) for place in range(min(DEPTH, relevant)))
    return gain / best


def measure(bench: ModuleType, name: str, vectors: bool) -> None:
    """Print both scores of one set and their paired difference."""
    questions: Sequence[Mapping[str, object]] = bench.load(f"{name}_questions.jsonl")
    lists = bench.retrieve(questions, list(bench.benign(name)), k=CANDIDATES)
    call = reranker(False, vectors, limit=DEPTH)
    pairs = []
    for question, rows in zip(questions, lists, strict=True):
        asked, answers = str(question["question"]), [str(a) for a in question["correct"]]  # type: ignore[attr-defined]
        judged = [states(row["text"], answers) for row in rows]
        if not any(judged) or {"yes", "no"} & set(map(plain, answers)):
            continue
        order, _ = call(asked, rows)
        pairs.append((ndcg(judged, sum(judged)), ndcg([judged[i] for i in order], sum(judged))))
    off, on = np.asarray(pairs).T
    drawn = np.random.default_rng(0).integers(0, len(off), (2000, len(off)))
    low, high = np.percentile((on - off)[drawn].mean(1), [2.5, 97.5])
    print(
        f"{name}: {len(off)} questions, nDCG@10 off {off.mean():.3f}, on {on.mean():.3f}, "
        f"difference {(on - off).mean():+.3f} (95% {low:+.3f} to {high:+.3f})",
        flush=True,
    )


def main(argv: Sequence[str] | None = None) -> None:
    """Print a row for each set."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--without-vectors", action="store_true", help="texts alone, as from a plain retriever"
    )
    asked = parser.parse_args(argv)
    bench = poisonbench()
    for name in SETS:
        measure(bench, name, not asked.without_vectors)


if __name__ == "__main__":
    main()
