"""What the ranking stops and costs, tier by tier, beside no defence and the known ones.

    python -m tests.robustness.ranking [--sets nq,rtqa] [--tiers clean,T3i5] [--peers vote1,trustrag10,ragdef10]

Needs the shared evaluation data (TRUSTRAG_SHARED) with its bench/poisonbench.py, whose kept vectors are used. Measured is
the adapter for outside benchmarks as it stands: all keys equal, once without the benchmark's vectors, and with the keys
M, M0, M1 and M2 on probation. A cell is p@5 / any poison / attacker-majority / correct-majority / gold kept, and the share
that was called contested. Below each tier stands how all keys equal differs from each other column, paired by question,
with 95% intervals. Some tiers are taken again with the retriever's cap of four passages a source, T8 with it alone. At
last each quarter of the honest publishers is on probation in turn: what probation costs them on clean questions.
"""

import argparse
import json
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from tests.robustness.ablation import NEW, poisonbench
from trustrag.redteam.adapter import STANDING, rerank
from trustrag.redteam.metrics import paired

Rerank = Callable[[str, Sequence[Mapping[str, Any]]], tuple[list[int], bool]]
MEASURES = ("p5", "any", "att", "cor", "gold")
PAIRED = ("att", "cor", "gold")
EQUAL, PROBATION = "all keys equal", "new keys on probation"
CAPPED = ("clean", "T8", "T3i5", "T4i3")
CAP = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Print a row for each set and tier, and the differences."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default="nq,rtqa")
    parser.add_argument("--tiers", default="", help="all by default")
    parser.add_argument("--peers", default="", help="poisonbench's own baselines, beside none")
    asked = parser.parse_args(argv)
    bench, peers = poisonbench(), ["none", *filter(None, asked.peers.split(","))]
    for name in asked.sets.split(","):
        tiers = [one for one in bench.TIERS[name] if not asked.tiers or one in asked.tiers.split(",")]
        rows: list[tuple[str, int | None]] = [(tier, None) for tier in tiers if tier != "T8"]
        rows += [(tier, CAP) for tier in CAPPED if tier in tiers]
        for tier, cap in rows:
            found = dict(columns(bench, name, tier, cap, peers))
            print(f"{name} {tier}{f', cap {cap}' if cap else ''}: " + " | ".join(map(shown, found.items())))
            for line in differences(found):
                print(f"    {line}", flush=True)
        if "clean" in tiers:
            print(f"{name} clean, a quarter of the honest publishers on probation: {newcomers(bench, name)}")
    return 0


def columns(
    bench: ModuleType, name: str, tier: str, cap: int | None, peers: Sequence[str]
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What poisonbench says of each defence, by its name."""
    for peer in peers:
        yield peer, bench.run(name, tier, peer, bench.BASELINES[peer], cap)
    yield EQUAL, bench.run(name, tier, EQUAL, adapter(vectors=True), cap)
    yield "no vectors given", bench.run(name, tier, "texts", adapter(vectors=False), cap)
    with probation(NEW):
        yield PROBATION, bench.run(name, tier, PROBATION, adapter(vectors=True), cap)


def adapter(*, vectors: bool) -> Rerank:
    """The adapter with what poisonbench hands to anybody else's: nothing says which rows are poison."""
    keys = ("text", "publisher", "title", "relevance", *(("emb",) if vectors else ()))
    return lambda question, rows: rerank(question, [{key: row[key] for key in keys} for row in rows])  # type: ignore[misc]


@contextmanager
def probation(keys: Collection[str]) -> Iterator[None]:
    """These keys are on probation, by the file that the adapter reads."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "standing.json"
        file.write_text(json.dumps({key: {"probation": True} for key in keys}), encoding="utf-8")
        os.environ[STANDING] = str(file)
        try:
            yield
        finally:
            del os.environ[STANDING]


def newcomers(bench: ModuleType, name: str) -> str:
    """Correct-majority and gold of clean questions, each quarter of the publishers in turn, and their means."""
    publishers = [who for who, _ in Counter(doc.pub for doc in bench.benign(name)).most_common()]
    found = []
    for quarter in range(4):
        with probation(publishers[quarter::4]):
            clean = bench.run(name, "clean", PROBATION, adapter(vectors=True))
        found.append([clean[measure][0] for measure in ("cor", "gold")])
    return ", ".join(f"{cor:.2f} / {gold:.2f}" for cor, gold in [*found, np.mean(found, axis=0)])


def shown(column: tuple[str, Mapping[str, Any]]) -> str:
    """One cell, with its name, the share called contested and the milliseconds of a call."""
    label, found = column
    cell = " / ".join(f"{found[measure][0]:.2f}" for measure in MEASURES)
    return f"{label} {cell} (contested {found['cont'][0]:.2f}, {found['ms']:.0f} ms)"


def differences(found: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """How ours, all keys equal, differs from every other column."""
    ours = found[EQUAL]["questions"]
    for label, other in found.items():
        if label != EQUAL:
            both = [(a, b) for a, b in zip(other["questions"], ours, strict=True) if a["usable"]]
            parts = []
            for measure in PAIRED:
                change = paired([a[measure] for a, _ in both], [b[measure] for _, b in both])
                parts.append(f"{measure} {change.mean:+.2f} [{change.low:+.2f}, {change.high:+.2f}]")
            yield f"{EQUAL} against {label}: " + ", ".join(parts)


if __name__ == "__main__":
    sys.exit(main())
