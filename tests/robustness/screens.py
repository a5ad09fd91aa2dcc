"""The battery against a corpus of attacks and of honest look-alikes: recall and false positives of each class.

    python -m tests.robustness.screens [--all] [--json]        make screens

Both were written for this project, by people who knew the screens (tests/ingest/corpus): the figures say what the
screens do with these techniques, and not how many others there are. Where the shared evaluation data is
(TRUSTRAG_SHARED), `--all` goes on with PoisonedRAG's texts among clean passages: see `tests.robustness.poison`.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.ingest.corpus import Sample
from tests.ingest.corpus.attacks import attacks
from tests.ingest.corpus.benign import benign
from tests.robustness import poison
from trustrag.ingest.screening import Battery, default_battery


@dataclass
class Score:
    """One class: its documents, and those that were held, each with the codes that held it."""

    documents: int = 0
    held: dict[str, tuple[str, ...]] = field(default_factory=dict)
    passed: list[str] = field(default_factory=list)


def scores(samples: Iterable[Sample], battery: Battery) -> dict[str, Score]:
    """What becomes of each class. Embedding and company are not needed: one document is looked at alone."""
    found: dict[str, Score] = {}
    for one in samples:
        score = found.setdefault(one.kind, Score())
        score.documents += 1
        deciding = [item for item in battery.review(one.document).findings if item.severity.decides]
        if deciding:
            score.held[one.name] = tuple(sorted({item.code for item in deciding}))
        else:
            score.passed.append(one.name)
    return found


def show(title: str, found: dict[str, Score], *, wrong_is_held: bool) -> None:
    """One line a class, one for all, and by name what went wrong."""
    print(title)
    for kind, score in found.items():
        print(f"  {kind:20s} {poison.rate(len(score.held), score.documents)}")
        wrong = (
            [f"{name} ({', '.join(codes)})" for name, codes in score.held.items()]
            if wrong_is_held
            else score.passed
        )
        for name in wrong:
            print(f"      {'held' if wrong_is_held else 'missed'}: {name}")
    held, documents = sum(len(s.held) for s in found.values()), sum(s.documents for s in found.values())
    print(f"  {'all':20s} {poison.rate(held, documents)}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Print both tables, with 95% intervals (Wilson)."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--all", action="store_true", help="go on with the shared evaluation data (a quarter of an hour)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    asked = parser.parse_args(argv)
    battery = default_battery()
    for notice in battery.notices:
        print(notice, file=sys.stderr)
    attacked, honest = scores(attacks(), battery), scores(benign(), battery)
    if asked.json:
        tables = {
            name: {
                kind: {"documents": s.documents, "held": s.held, "passed": s.passed}
                for kind, s in found.items()
            }
            for name, found in (("attacks", attacked), ("benign", honest))
        }
        print(json.dumps(tables, ensure_ascii=False, indent=2))
    else:
        show("techniques held", attacked, wrong_is_held=False)
        show("honest look-alikes held", honest, wrong_is_held=True)
    return poison.main([]) if asked.all else 0


if __name__ == "__main__":
    sys.exit(main())
