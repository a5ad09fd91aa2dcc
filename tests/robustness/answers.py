"""Does an extractive answer quote the sentence that answers, and is it silent where none does?

    TRUSTRAG_SHARED=../shared OMP_NUM_THREADS=1 python -m tests.robustness.answers [--out FILE] [--against FILE]

Questions of the two public sets whose accepted answer stands in one of the twenty nearest passages; five of those, as
ranking orders them, are quoted from. Right: an accepted answer stands in the quoted sentences, or in the first of them.
Then the same with every passage taken away in which it stands. `--out` keeps what was right of each question, and
`--against` compares with what was kept, question by question (95% bootstrap).
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np

from tests.robustness.ablation import Row, _candidate, poisonbench
from tests.robustness.quality import SETS, plain, states
from trustrag.index.embedding import Embedder, open_embedder
from trustrag.provenance import evidence
from trustrag.provenance.evidence import VerifiedPassage
from trustrag.retrieval.answer import Grounded, compose
from trustrag.retrieval.ranking import rerank
from trustrag.workspace import Workspace

CANDIDATES, PASSAGES = 20, 5


@dataclass(frozen=True)
class Outcome:
    """One question: whether it was answered, whether rightly, at once, in how many sentences; and without its answer."""

    question: str
    answered: bool
    right: bool
    first: bool
    sentences: int
    away: bool


@contextmanager
def proved() -> Iterator[VerifiedPassage]:
    """One passage that went through a real gate. The texts that are measured take its place: what is quoted depends on
    text alone, and a store of 13,000 sources for each question would measure the gate.
    """
    with tempfile.TemporaryDirectory() as name:
        os.environ["TRUSTRAG_HOME"] = str(Path(name) / "home")
        with Workspace.init(Path(name) / "kb", source="acme", embedder="hash") as workspace:
            document = SimpleNamespace(id="one", page_content="One passage.", metadata={})
            workspace.ingest_documents([document], source="acme")
            yield workspace.read("one")[0]


def asked(question: str, rows: Sequence[Row], real: VerifiedPassage, embedder: Embedder) -> Grounded | None:
    """What is quoted from the best of these passages."""
    found = rerank(question, [_candidate(row, False, True) for row in rows], limit=PASSAGES).passages
    passages = [
        replace(real, text=str(rows[one.index]["text"]), doc_id=f"p{one.index}", seal=evidence._SEAL)
        for one in found
    ]
    answer = compose(
        question,
        passages,
        weights=[one.score for one in found],
        nearness=lambda sentences: embedder.embed(sentences) @ embedder.embed_query(question),
    )
    return answer if isinstance(answer, Grounded) else None


def measure(bench: ModuleType, name: str, real: VerifiedPassage, embedder: Embedder) -> list[Outcome]:
    """Every question of a set that can be answered from its passages."""
    questions: Sequence[Mapping[str, object]] = bench.load(f"{name}_questions.jsonl")
    lists = bench.retrieve(questions, list(bench.benign(name)), k=CANDIDATES)
    outcomes = []
    for question, rows in zip(questions, lists, strict=True):
        text, right = str(question["question"]), [str(one) for one in question["correct"]]  # type: ignore[attr-defined]
        without = [row for row in rows if not states(row["text"], right)]
        if len(without) == len(rows) or {"yes", "no"} & set(map(plain, right)):
            continue
        answer = asked(text, rows, real, embedder)
        told = [sentence.text for sentence in answer.sentences] if answer else []
        away = asked(text, without, real, embedder) is not None
        outcomes.append(
            Outcome(
                text,
                bool(told),
                states(" ".join(told), right),
                states("".join(told[:1]), right),
                len(told),
                away,
            )
        )
    return outcomes


def show(name: str, outcomes: Sequence[Outcome]) -> None:
    """One line a set."""
    fields = ("answered", "right", "first", "sentences", "away")
    means = {field: float(np.mean([getattr(one, field) for one in outcomes])) for field in fields}
    print(
        f"{name}: {len(outcomes)} questions, answered {means['answered']:.2f}, right {means['right']:.3f}, right in the "
        f"first of {means['sentences']:.2f} sentences {means['first']:.3f}; answer taken away: answered {means['away']:.2f}",
        flush=True,
    )


def compare(before: Mapping[str, Sequence[bool]], outcomes: Sequence[Outcome]) -> None:
    """The paired differences to an earlier run."""
    for place, field in enumerate(("right", "first")):
        pairs = [
            getattr(one, field) - before[one.question][place] for one in outcomes if one.question in before
        ]
        drawn = np.random.default_rng(0).integers(0, len(pairs), (2000, len(pairs)))
        low, high = np.percentile(np.asarray(pairs)[drawn].mean(1), [2.5, 97.5])
        print(f"  {field}: {np.mean(pairs):+.3f} [{low:+.3f}, {high:+.3f}] of {len(pairs)} questions")


def main(argv: Sequence[str] | None = None) -> None:
    """Print a row for each set, and for both together what changed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--against", type=Path)
    given = parser.parse_args(argv)
    bench, embedder = poisonbench(), open_embedder("minilm")
    every: list[Outcome] = []
    with proved() as real:
        for name in SETS:
            outcomes = measure(bench, name, real, embedder)
            show(name, outcomes)
            every += outcomes
    if given.against is not None:
        compare(json.loads(given.against.read_text(encoding="utf-8")), every)
    if given.out is not None:
        kept = {one.question: (one.right, one.first) for one in every}
        given.out.write_text(json.dumps(kept), encoding="utf-8")


if __name__ == "__main__":
    main()
