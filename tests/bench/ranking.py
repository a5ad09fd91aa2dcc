"""How long ranking takes: 20 candidates, one core, no model unless one is named.

    OMP_NUM_THREADS=1 python -m tests.bench.ranking [--lists N] [--judge MODEL|answers]

Cold: texts never seen before. Warm: the same texts again under another question, so that all pairwise work on texts is
recalled. Restart: the same, in a process that has nothing but the file of pairs. Ingest: the file knows of each text what
ingest compares ahead, its nearest neighbours. The texts are made of a vocabulary of 4,000 words, frequent ones first as in
language, 120 words each, with unit vectors of 384 dimensions; each list has swarms and copies among them, so that no
shortcut is taken. Prints p50 and p95 in CPU milliseconds (on a core of one's own, the same as on the clock); --fail-above
makes it a gate. `MODEL` names an NLI cross-encoder (hub name or folder), `answers` asks SmolLM2-135M.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from tests.robustness.contested import judge_of
from trustrag.consistency import Judge, PairMemory, foresee
from trustrag.consistency.reading import read
from trustrag.retrieval.pairfile import PairFile
from trustrag.retrieval.ranking import Candidate, rerank
from trustrag.retrieval.retriever import NEIGHBOURS

SYLLABLES = [a + b for a in "bdfgklmnprstv" for b in ("a", "en", "ir", "o", "ust")]
VOCABULARY = [a + b + c for a in SYLLABLES for b in SYLLABLES for c in ("", "n")][:4000]
CANDIDATES, WORDS, DIMENSIONS = 20, 120, 384


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; the exit status is 1 where a p50 is above its limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lists", type=int, default=100, help="how many lists of candidates")
    parser.add_argument("--judge", help="an NLI model, or `answers`")
    parser.add_argument("--fail-above", type=float, nargs=2, metavar=("COLD", "WARM"), help="limits in ms")
    asked = parser.parse_args(argv)
    found = measure(asked.lists, None if asked.judge is None else judge_of(asked.judge))
    for name, times in found.items():
        p95 = statistics.quantiles(times, n=20)[-1]
        print(f"{name}: p50 {statistics.median(times):.1f} ms, p95 {p95:.1f} ms over {len(times)} lists")
    limits = asked.fail_above or (float("inf"), float("inf"))
    return int(statistics.median(found["cold"]) > limits[0] or statistics.median(found["warm"]) > limits[1])


def measure(lists: int, judge: Judge | None = None) -> dict[str, list[float]]:
    """Milliseconds of each list: cold, warm, restart, ingest."""
    random = np.random.default_rng(7)
    rows = [made(random) for _ in range(lists)]
    questions = ["how many " + " ".join(_words(random, 6)) for _ in range(4 * lists)]
    times: dict[str, list[float]] = {}
    with TemporaryDirectory() as folder:
        kept, ahead = PairFile(Path(folder) / "kept.db"), PairFile(Path(folder) / "ahead.db")
        for candidates in rows:
            foresee_all(candidates, PairMemory(store=ahead))
        live = PairMemory(store=kept)
        for candidates in rows:
            for name, memory, forget in (
                ("cold", live, True),
                ("warm", live, False),
                ("restart", PairMemory(store=kept), True),
                ("ingest", PairMemory(store=ahead), True),
            ):
                spent = one(questions.pop(), candidates, memory, judge, forget)
                times.setdefault(name, []).append(spent)
    return times


def one(
    question: str, candidates: Sequence[Candidate], memory: PairMemory, judge: Judge | None, forget: bool
) -> float:
    """Milliseconds of one ranking; `forget` the readings, as a new process has none."""
    if forget:
        read.cache_clear()
    start = time.process_time()
    rerank(question, candidates, memory=memory, judge=judge)
    return 1000 * (time.process_time() - start)


def foresee_all(candidates: Sequence[Candidate], memory: PairMemory) -> None:
    """What ingest does: each text against its nearest."""
    vectors = np.stack([candidate.vector for candidate in candidates if candidate.vector is not None])
    near = np.argsort(-(vectors @ vectors.T), axis=1)[:, 1 : NEIGHBOURS + 1]
    pairs = [(i, int(j)) for i, row in enumerate(near) for j in row]
    foresee([candidate.text for candidate in candidates], pairs, memory)


def made(random: np.random.Generator) -> list[Candidate]:
    """One list: eight sources on one topic, of which one rewords a claim five times and one copies another."""
    topic, heart = _words(random, 60), random.normal(size=DIMENSIONS)
    claim = " ".join(_words(random, 25))
    texts = [_text(random, topic) for _ in range(CANDIDATES)]
    texts[:5] = [claim + ". " + " ".join(_words(random, 4)) for _ in range(5)]
    texts[6] = texts[7]
    return [
        Candidate(
            text,
            "new" if place < 5 else f"source{place % 7}",
            0.9 - 0.02 * place,
            _unit(random, heart),
            position=place,
        )
        for place, text in enumerate(texts)
    ]


def _text(random: np.random.Generator, topic: Sequence[str]) -> str:
    words = [*random.choice(topic, WORDS // 2), *_words(random, WORDS // 2 - 2), "1984", "42"]
    random.shuffle(words)
    sentences = [words[start : start + 15] for start in range(0, WORDS, 15)]
    return " ".join(" ".join(sentence).capitalize() + "." for sentence in sentences)


def _words(random: np.random.Generator, count: int) -> list[str]:
    ranks = np.minimum(random.zipf(1.2, count), len(VOCABULARY)) - 1
    return [VOCABULARY[rank] for rank in ranks]


def _unit(random: np.random.Generator, heart: NDArray[np.float64]) -> NDArray[np.float32]:
    vector = (heart + random.normal(size=DIMENSIONS)).astype(np.float32)
    return np.asarray(vector / np.linalg.norm(vector), dtype=np.float32)


if __name__ == "__main__":
    sys.exit(main())
