"""What each ingredient of the ranking buys and costs, on poisonbench's sets.

    python -m tests.robustness.ablation [--sets nq,rtqa] [--tiers clean,T3i5] [--out ablation.json]

Needs the shared evaluation data (TRUSTRAG_SHARED) with its bench/poisonbench.py, which is loaded as it is; the first run
embeds its passages. Each row takes one ingredient away from the product's defaults. p5: share of poison in the top five;
cor: more passages state the correct answer than the attacker's; gold: an honest passage with the answer is there.
"""

import argparse
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from tests.shared import shared_path
from trustrag.consistency import Likeness, Passage
from trustrag.retrieval import ranking
from trustrag.retrieval.ranking import Candidate, rerank

Row = Mapping[str, object]
Weights = NDArray[np.float64]
Rerank = Callable[[str, Sequence[Row]], tuple[list[int], bool]]
TIERS = ("clean", "T3n1", "T3n5", "T3i1", "T3i5", "T3c5", "T4k3", "T4i3")
NEW = ("M", "M0", "M1", "M2")


def _nothing(alike: Likeness) -> Weights:
    return np.zeros(len(alike.owners))


def _no_echo(question: str, readings: Sequence[object], texts: Sequence[str]) -> Weights:
    return np.zeros(len(texts))


def _no_findings(*_: object) -> list[object]:
    return []


def _as_is(passages: Sequence[Passage]) -> list[Passage]:
    return list(passages)


INGREDIENTS: Mapping[str, Mapping[str, object]] = {
    "all": {},
    "without repetition": {"repetition": _nothing},
    "without collusion": {"collusion": _nothing},
    "without echo": {"echo": _no_echo},
    "without copies counted once": {"COPIED": 1.0, "REPRINTED": 1.0},
    "without support": {"SUPPORT": 0.0},
    "without the judge": {
        "ValueJudge": type("Silent", (), {"name": "silent", "certain": 1.0, "judge": _no_findings})
    },
    "without originals": {"originals": _as_is},
}
PROBATION: Mapping[str, Mapping[str, object]] = {
    "all, new keys on probation": {},
    "probation: the quota alone": {"UNPROVEN": 1.0, "CONTRADICTED": 1.0},
    "probation: without unproven": {"UNPROVEN": 1.0},
    "probation: without contradicted": {"CONTRADICTED": 1.0},
}


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row for each set, ingredient and tier."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default="nq,rtqa")
    parser.add_argument("--tiers", default=",".join(TIERS))
    parser.add_argument("--out", type=Path, help="JSON lines")
    asked = parser.parse_args(argv)
    bench = poisonbench()
    rows = list(measure(bench, asked.sets.split(","), asked.tiers.split(",")))
    if asked.out:
        asked.out.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return 0


def poisonbench() -> ModuleType:
    """The shared benchmark, as a module."""
    path = shared_path("bench", "poisonbench.py")
    spec = importlib.util.spec_from_file_location("poisonbench", path) if path is not None else None
    if spec is None or spec.loader is None:
        raise SystemExit("the shared folder has no bench/poisonbench.py: name it in TRUSTRAG_SHARED")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measure(bench: ModuleType, sets: Sequence[str], tiers: Sequence[str]) -> Iterator[dict[str, object]]:
    """Rows with the means of p5, att, cor, gold and cont."""
    variants = [(name, swaps, False) for name, swaps in INGREDIENTS.items()]
    variants += [(name, swaps, True) for name, swaps in PROBATION.items()]
    for name in sets:
        for label, swaps, probation in [*variants, ("all, without vectors", {}, False)]:
            cells = []
            for tier in tiers:
                with swapped(ranking, swaps):
                    found = bench.run(name, tier, label, reranker(probation, "vectors" not in label))
                row: dict[str, object] = {"set": name, "variant": label, "tier": tier}
                row |= {measure: found[measure][0] for measure in ("p5", "att", "cor", "gold", "cont")}
                yield row
                cells.append(f"{tier} " + " ".join(f"{found[key][0]:.2f}" for key in ("p5", "cor", "gold")))
            print(f"{name:5s} {label:32s} p5 cor gold: " + " | ".join(cells), flush=True)


def reranker(probation: bool, vectors: bool, *, limit: int = 5) -> Rerank:
    """The product's ranking behind the benchmark's call."""

    def call(question: str, rows: Sequence[Row]) -> tuple[list[int], bool]:
        found = rerank(question, [_candidate(row, probation, vectors) for row in rows], limit=limit)
        return [ranked.index for ranked in found.passages], bool(found.contested)

    return call


def _candidate(row: Row, probation: bool, vectors: bool) -> Candidate:
    text, publisher, relevance, vector = row["text"], row["publisher"], row["relevance"], row["emb"]
    if not (isinstance(text, str) and isinstance(publisher, str) and isinstance(relevance, float)):
        raise TypeError("a row has a text, a publisher and a relevance")
    return Candidate(
        text,
        publisher,
        relevance,
        np.asarray(vector, dtype=np.float32) if vectors else None,
        probation=probation and publisher in NEW,
    )


@contextmanager
def swapped(module: ModuleType, values: Mapping[str, object]) -> Iterator[None]:
    """Names of a module replaced for a while."""
    with ExitStack() as stack:
        for name, value in values.items():
            stack.callback(setattr, module, name, getattr(module, name))
            setattr(module, name, value)
        yield


if __name__ == "__main__":
    sys.exit(main())
