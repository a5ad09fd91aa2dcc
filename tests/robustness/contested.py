"""Is a question called contested for a conflict, and only for one?

    python -m tests.robustness.contested [--sets nq,rtqa,ramdocs] [--cap 4] [--questions N]
                                         [--judge values|answers|MODEL] [--keep FOLDER]

Needs the shared evaluation data (TRUSTRAG_SHARED) with its bench/poisonbench.py. Of every question three lists of twenty
candidates are ranked: clean; with one text by one new key that states the attacker's answer; and with the very same text,
the true answer in its place (agree): a judge that flags the last has noticed company, not conflict. `one source each` are
the questions for which one publisher alone states the truth. Of RAMDocs the lists hold one correct document and one of
misinformation, or two correct ones of one answer, among the correct documents of the other questions; nothing was set
on it. Questions of even and odd number are told apart, for constants were set on the even ones. `MODEL` names a
sentence-transformers CrossEncoder for NLI (hub name or path); `answers` asks SmolLM2-135M, two seconds a passage, and `--keep`
keeps what it answered.
"""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np

from tests.robustness.ablation import poisonbench
from tests.robustness.remembering import Remembering
from trustrag.consistency import AnswerJudge, Judge, ValueJudge, open_entailment_judge
from trustrag.redteam.reader import SmolReader
from trustrag.retrieval.ranking import Candidate, rerank

Rows = Sequence[Mapping[str, object]]
KINDS = ("clean", "attack", "agree")
CANDIDATES = 20


@dataclass(frozen=True, slots=True)
class Case:
    """One question's lists: `lists` by kind, some may be missing; `alone`: truth and lie have one source each."""

    number: int
    question: str
    lists: Mapping[str, Rows]
    alone: bool


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row for each set and half."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default="nq,rtqa,ramdocs")
    parser.add_argument("--judge", default="values")
    parser.add_argument("--questions", type=int, default=500, help="at most so many of a set")
    parser.add_argument("--no-vectors", action="store_true")
    parser.add_argument("--cap", type=int, help="candidates of a source, as the retriever draws them")
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args(argv)
    bench, judge = poisonbench(), judge_of(asked.judge, asked.keep)
    for name in asked.sets.split(","):
        cases = list(ramdocs(bench) if name == "ramdocs" else poisoned(bench, name, asked.cap))[
            : asked.questions
        ]
        found = [flags(case, judge, vectors=not asked.no_vectors) for case in cases]
        for label, half in (("all", (0, 1)), ("even", (0,)), ("odd", (1,))):
            print(f"{name:8s} {label:5s} {table(cases, found, half)}", flush=True)
    return 0


def judge_of(name: str, keep: Path | None = None) -> Judge:
    """A judge by name. What a model answers is kept in the folder."""
    if name == "values":
        return ValueJudge()
    if name == "answers":
        return AnswerJudge(Remembering(SmolReader(max_tokens=16), keep), "smollm2-135m")
    return open_entailment_judge(name)


def poisoned(bench: ModuleType, name: str, cap: int | None) -> Iterator[Case]:
    """poisonbench's questions, the first attack text of each, and that text with the true answer in it."""
    questions, usable, clean = bench.candidates(name, "clean", cap)
    lies = [str(question["attack_texts"][0]) for question in questions]
    truths = [
        re.sub(
            rf"(?<!\w){re.escape(q['incorrect'])}(?!\w)", lambda _, q=q: str(q["correct"][0]), lie, flags=re.I
        )
        for q, lie in zip(questions, lies, strict=True)
    ]
    vectors = {"attack": bench.embed(lies), "agree": bench.embed(truths)}
    asked = bench.embed([question["question"] for question in questions])
    for number, (question, rows, counts) in enumerate(zip(questions, clean, usable, strict=True)):
        lists = {"clean": rows}
        text = {"attack": lies[number], "agree": truths[number]}
        stated = bench.has(text["agree"], question["correct"]) and text["agree"] != text["attack"]
        for kind in ("attack", "agree") if counts and stated else ():
            vector = vectors[kind][number]
            lists[kind] = with_one(rows, text[kind], vector, float(vector @ asked[number]))
        if any(not any(row["publisher"] == "M" for row in lists[kind]) for kind in lists if kind != "clean"):
            lists = {"clean": rows}  # the text is not found at all
        publishers = {row["publisher"] for row in rows if bench.has(row["text"], question["correct"])}
        yield Case(number, str(question["question"]), lists, len(publishers) == 1)


def with_one(rows: Rows, text: str, vector: object, relevance: float) -> Rows:
    """The list with one more text, by a new key, in its place."""
    row = {"text": text, "publisher": "M", "relevance": relevance, "emb": vector}
    return sorted([*rows, row], key=lambda one: -float(str(one["relevance"])))[:CANDIDATES]


def ramdocs(bench: ModuleType) -> Iterator[Case]:
    """RAMDocs' questions that have a correct document and misinformation; other questions' documents around them."""
    root = Path(os.environ.get("TRUSTRAG_SHARED", Path(__file__).resolve().parent.parent.parent / "shared"))
    lines = (root / "data" / "ramdocs" / "RAMDocs_test.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    texts = list(dict.fromkeys(one["text"] for question in questions for one in question["documents"]))
    place = {text: number for number, text in enumerate(texts)}
    vectors, asked = bench.embed(texts), bench.embed([question["question"] for question in questions])
    honest = {one["text"] for q in questions for one in q["documents"] if one["type"] == "correct"}
    around = np.array([text in honest for text in texts])
    for number, question in enumerate(questions):
        kinds: dict[str, list[Mapping[str, str]]] = {}
        for one in question["documents"]:
            kinds.setdefault(one["type"], []).append(one)
        right, wrong = kinds.get("correct", []), kinds.get("misinfo", [])
        if not right or not wrong:
            continue
        own = {place[one["text"]] for one in question["documents"]}
        others = np.array([around[i] and i not in own for i in range(len(texts))])
        relevance = vectors @ asked[number]
        again = next((one for one in right[1:] if one["answer"] == right[0]["answer"]), None)
        chosen = {"clean": right[:1], "attack": [right[0], wrong[0]]} | (
            {"agree": [right[0], again]} if again else {}
        )
        lists = {}
        for kind, documents in chosen.items():
            ids = [
                *(place[one["text"]] for one in documents),
                *np.flatnonzero(others)[np.argsort(-relevance[others])],
            ]
            named = [
                (i, f"own{n}" if n < len(documents) else f"pub{i % 8}")
                for n, i in enumerate(ids[:CANDIDATES])
            ]
            rows = [
                {"text": texts[i], "publisher": who, "relevance": float(relevance[i]), "emb": vectors[i]}
                for i, who in named
            ]
            lists[kind] = sorted(rows, key=lambda row: -float(str(row["relevance"])))
        yield Case(number, str(question["question"]), lists, True)


def flags(case: Case, judge: Judge, *, vectors: bool) -> dict[str, tuple[bool, float]]:
    """By kind: whether it was called contested, and the milliseconds of the call."""
    found = {}
    for kind, rows in case.lists.items():
        candidates = [
            Candidate(
                str(row["text"]),
                str(row["publisher"]),
                float(str(row["relevance"])),
                np.asarray(row["emb"], dtype=np.float32) if vectors else None,
            )
            for row in rows
        ]
        start = time.perf_counter()
        contested = bool(rerank(case.question, candidates, judge=judge).contested)
        found[kind] = contested, 1000 * (time.perf_counter() - start)
    return found


def table(
    cases: Sequence[Case], found: Sequence[Mapping[str, tuple[bool, float]]], half: Sequence[int]
) -> str:
    """Shares with the number of questions: clean over all, the others where lie and truth stand alone, and over all."""
    cells = []
    for label, keep in (("one source each", lambda case: case.alone), ("any", lambda case: True)):
        for kind in KINDS:
            keeps: Callable[[Case], bool] = (lambda case: True) if kind == "clean" else keep
            hits = [
                one[kind][0]
                for case, one in zip(cases, found, strict=True)
                if case.number % 2 in half and kind in one and keeps(case)
            ]
            if hits and (kind != "clean" or label == "any"):
                cells.append(f"{kind} ({label}) {np.mean(hits):.2f} of {len(hits)}")
    times = [ms for one in found for _, ms in one.values()]
    return ", ".join(cells) + f"; {np.median(times):.0f} ms p50"


if __name__ == "__main__":
    sys.exit(main())
