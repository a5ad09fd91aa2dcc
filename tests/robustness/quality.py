"""Does ranking cost ordinary retrieval anything? nDCG@10 with the defence on against off, on clean questions.

    TRUSTRAG_SHARED=../shared python -m tests.robustness.quality

Two sets with publishers: Wikipedia passages for Natural Questions, and web snippets for RealTimeQA. A passage is
judged relevant when it states one of the question's accepted answers, which is the judgment that these sets carry.
The difference is paired, question by question, with a 95% bootstrap interval. Needs the shared data; embedding the
13,000 passages takes minutes.
"""

import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from tests.shared import shared_path
from trustrag.index.embedding import open_embedder
from trustrag.retrieval.ranking import Candidate, rerank

SETS = (("nq", "wiki_pool.jsonl", "nq_questions.jsonl"), ("rtqa", "rtqa_pool.jsonl", "rtqa_questions.jsonl"))
CANDIDATES = 40
DEPTH = 10


def rows(path: Path) -> list[dict[str, object]]:
    """The records of a JSON lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


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


def measure(name: str, pool: list[dict[str, object]], questions: list[dict[str, object]]) -> None:
    """Print both scores of one set and their paired difference."""
    embedder = open_embedder("minilm")
    texts = [f"{row['title']}. {row['text']}" if row["title"] else str(row["text"]) for row in pool]
    vectors = embedder.embed(texts)
    pairs = []
    for question in questions:
        asked, answers = str(question["question"]), [str(a) for a in question["correct"]]  # type: ignore[attr-defined]
        scores = vectors @ embedder.embed_query(asked)
        best = np.argsort(-scores, kind="stable")[:CANDIDATES]
        judged = [states(texts[i], answers) for i in best]
        if not any(judged) or {"yes", "no"} & set(map(plain, answers)):
            continue
        given = [
            Candidate(
                texts[i], str(pool[i]["publisher"]), float(scores[i]), vectors[i], str(pool[i]["title"])
            )
            for i in best
        ]
        ranking = rerank(asked, given, limit=DEPTH)
        with_defence = ndcg([judged[ranked.index] for ranked in ranking.passages], sum(judged))
        pairs.append((ndcg(judged, sum(judged)), with_defence))
    off, on = np.asarray(pairs).T
    drawn = np.random.default_rng(0).integers(0, len(off), (2000, len(off)))
    low, high = np.percentile((on - off)[drawn].mean(1), [2.5, 97.5])
    print(
        f"{name}: {len(off)} questions, nDCG@10 off {off.mean():.3f}, on {on.mean():.3f}, "
        f"difference {(on - off).mean():+.3f} (95% {low:+.3f} to {high:+.3f})",
        flush=True,
    )


def main() -> None:
    for name, pool, questions in SETS:
        paths = shared_path("data", "bench", pool), shared_path("data", "bench", questions)
        if None in paths:
            print("the shared data is not here: set TRUSTRAG_SHARED")
            return
        measure(name, *(rows(path) for path in paths if path is not None))


if __name__ == "__main__":
    main()
