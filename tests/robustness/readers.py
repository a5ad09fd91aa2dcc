"""Does a reader repeat the lie? Ours through real workspaces with real keys, beside two defences and none.

    python -m tests.robustness.readers [--sets nq,rtqa] [--count 60] [--peers none] [--keep FOLDER]

Needs the shared evaluation data (TRUSTRAG_SHARED) with its bench/poisonbench.py, and nltk and scikit-learn for the two
other defences, which work on the plain top twenty. The reader is SmolLM2-135M-Instruct. `--keep` keeps each set's workspace
and every answer there, and takes them from there the next time. Prints accuracy / attack success, and how ours differs from
each other defence on the same questions, with 95% intervals. An answer takes five seconds of a core; a set asks for a thousand.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

from tests.robustness.ablation import poisonbench
from tests.robustness.redteam import build, placed, tell
from tests.robustness.remembering import Remembering
from trustrag.redteam.attacks import select
from trustrag.redteam.campaign import Question
from trustrag.redteam.metrics import interval, paired, states
from trustrag.redteam.questions import load_poisonedrag
from trustrag.redteam.reader import Reader, SmolReader, answer
from trustrag.redteam.results import Defence
from trustrag.redteam.simulator import run

TIERS = {"clean": "clean", "poisonedrag": "T3n5", "poisonedrag-silent": "T3i5", "single": "T3i1"}
NAMES = {"none": "none", "trustrag10": "TrustRAG stage 1", "ragdef10": "RAGDefender"}

Answers: TypeAlias = list[tuple[float, float]]
"""For each question whether the reader said the truth, and whether it said the lie."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row for each set and tier, then the differences."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default="nq,rtqa")
    parser.add_argument("--count", type=int, default=60, help="questions of each set")
    parser.add_argument("--peers", default="none,trustrag10,ragdef10", help="beside ours; each takes as long")
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args(argv)
    bench, reader = poisonbench(), Remembering(SmolReader(), asked.keep)
    for name in asked.sets.split(","):
        questions, ours = through_workspace(bench, name, asked.count, reader, asked.keep)
        for attack, tier in TIERS.items():
            said = {
                NAMES[key]: peers(bench, name, tier, questions, reader, key) for key in asked.peers.split(",")
            }
            said["ours"] = ours[attack]
            print(f"{name} {tier}: " + ", ".join(f"{who} {shown(found)}" for who, found in said.items()))
            for line in differences(said):
                print(f"    {line}", flush=True)
    return 0


def through_workspace(
    bench: ModuleType, name: str, count: int, reader: Reader, keep: Path | None
) -> tuple[Sequence[Question], Mapping[str, Answers]]:
    """The questions that were asked, and what the reader answered behind the full gate, attack by attack."""
    pool = bench.DATA / ("wiki_pool.jsonl" if name == "nq" else f"{name}_pool.jsonl")
    with placed(None if keep is None else keep / name) as place:
        if not (place / "kb").exists():
            build(place / "kb", pool, "minilm")
        report = run(
            place / "kb",
            attacks=select([attack for attack in TIERS if attack != "clean"]),
            questions=load_poisonedrag(bench.DATA / f"{name}_questions.jsonl"),
            per_tier=count,
            reader=reader,
            progress=tell,
        )
    return report.questions, {
        trial.name: [
            (float(bool(one.answered)), float(bool(one.deceived))) for one in trial.outcomes[Defence.GATE]
        ]
        for trial in report.everything()
    }


def peers(
    bench: ModuleType, name: str, tier: str, questions: Sequence[Question], reader: Reader, key: str
) -> Answers:
    """What the reader answers behind another defence, on the plain top twenty."""
    known, _, lists = bench.candidates(name, tier, None)
    rows = {str(one["question"]): found for one, found in zip(known, lists, strict=True)}
    defence: Callable[[str, object], tuple[list[int], bool]] = bench.BASELINES[key]
    return [
        heard(
            question,
            [rows[question.text][at]["text"] for at in defence(question.text, rows[question.text])[0][:5]],
            reader,
        )
        for question in questions
    ]


def heard(question: Question, texts: Sequence[str], reader: Reader) -> tuple[float, float]:
    """Whether the answer is right, and whether it is the attacker's and not right."""
    said = answer(reader, question.text, texts)
    right = states(said, question.correct)
    return float(right), float(not right and states(said, (question.wrong,)))


def shown(found: Answers) -> str:
    """Accuracy / attack success."""
    right, wrong = (interval(column).mean for column in zip(*found, strict=True))
    return f"{right:.2f} / {wrong:.2f}"


def differences(said: Mapping[str, Answers]) -> Iterator[str]:
    """How ours differs from each of the others, paired by question."""
    for who in [peer for peer in said if peer != "ours"]:
        parts = []
        for at, what in enumerate(("accuracy", "attack success")):
            found = paired([one[at] for one in said[who]], [one[at] for one in said["ours"]])
            parts.append(f"{what} {found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]")
        yield f"ours against {who}: " + ", ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
