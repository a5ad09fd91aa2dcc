"""What two passages say of each other: how often honest ones are said to differ, and how often a lie is.

    TRUSTRAG_SHARED=../shared OMP_NUM_THREADS=1 python -m tests.robustness.testimony

Honest: passages of the two public pools, against their eight nearest of other publishers. Lies: copies of them in which
one number, or one name, is another; and RAMDocs' wrong documents against the right ones of the same question, beside
right ones against each other. Then the contradiction screen over the descriptions of installed packages, each published
by its package, every one against all others.
"""

import argparse
import random
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from tests.bench.versions import SETS, Pool, known_vectors
from tests.demo import installed
from tests.ingest.world import source
from tests.robustness.poison import lines_of, rate
from tests.shared import shared_path
from trustrag.consistency.reading import NAME, NUMBER, read
from trustrag.consistency.testimony import said_of
from trustrag.index.embedding import Embedder, open_embedder
from trustrag.ingest.chunking import Chunker
from trustrag.ingest.screening import Severity
from trustrag.ingest.screening.base import shown
from trustrag.ingest.screening.company import Arrival
from trustrag.ingest.screening.contradiction import ContradictionScreen
from trustrag.ingest.screening.versions import Witness
from trustrag.provenance.policy import Source
from trustrag.retrieval.retriever import SOURCE_SHARE
from trustrag.workspace.wiring import BESIDE, NEIGHBOURS, slug

DRAWN = 500
"""Passages of each pool."""


def pools(embedder: Embedder) -> None:
    """Honest passages beside each other, and copies with one value changed."""
    draw, kept = random.Random(20261127), known_vectors()
    false: list[bool] = []
    found: dict[str, list[bool]] = {NUMBER: [], NAME: []}
    for name in SETS:
        pool = Pool(name, embedder, kept)
        names = [value for one in pool.passages[::20] for value in _values(one.text, NAME)]
        for place in draw.sample(range(len(pool.passages)), DRAWN):
            mine = pool.passages[place]
            near = [pool.passages[at] for at in _nearest(pool, place)]
            said = [said_of(mine.text, one.text, (mine.title, one.title)) for one in near]
            false.append("differs" in said)
            for kind, told in found.items():
                bent = _bent(mine.text, kind, names, draw)
                if bent is not None:
                    told.append(said_of(mine.text, bent, (mine.title, mine.title)) == "differs")
    print(f"honest passages contradicted {rate(sum(false), len(false))}")
    for kind, told in found.items():
        print(f"copies with one {kind} changed, found {rate(sum(told), len(told))}", flush=True)


def _nearest(pool: Pool, place: int) -> list[int]:
    scores = pool.vectors @ pool.vectors[place]
    scores[[other.publisher == pool.passages[place].publisher for other in pool.passages]] = -2.0
    return [int(at) for at in np.argsort(-scores, kind="stable")[:NEIGHBOURS]]


def _values(text: str, kind: str) -> list[str]:
    reading = read(text)
    return [reading.words[value.place] for value in reading.values if value.kind == kind]


def _bent(text: str, kind: str, names: Sequence[str], draw: random.Random) -> str | None:
    """A copy in which one value, wherever it stands, is another of its kind; None where there is none."""
    own = _values(text, kind)
    if not own:
        return None
    old = draw.choice(own)
    new = str(draw.randrange(2, 1000)) if kind == NUMBER else draw.choice(names)
    bent = re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", new, text)
    return bent if bent != text else None


def ramdocs() -> None:
    """Wrong documents against right ones of their question, and right ones that give one answer against each other."""
    path = shared_path("data", "ramdocs", "RAMDocs_test.jsonl")
    assert path is not None
    lies: list[bool] = []
    honest: list[bool] = []
    for row in lines_of(path):
        documents: list[dict[str, str]] = row["documents"]  # type: ignore[assignment]
        right = [one for one in documents if one["type"] == "correct"]
        wrong = [one for one in documents if one["type"] == "misinfo"]
        lies += [any(said_of(one["text"], other["text"]) == "differs" for other in right) for one in wrong]
        honest += [
            said_of(one["text"], other["text"]) == "differs"
            for one, other in combinations(right, 2)
            if one["answer"] == other["answer"]
        ]
    print(f"RAMDocs, wrong against right, found {rate(sum(lies), len(lies))}")
    print(f"RAMDocs, right against right, contradicted {rate(sum(honest), len(honest))}", flush=True)


@dataclass
class Others:
    """All passages of the packages, as the store would give them: nearest first, of one source a share."""

    witnesses: list[Witness]
    vectors: NDArray[np.float32]
    asked: dict[str, int] = field(default_factory=dict)

    def others(self, vector: NDArray[np.float32], source: Source) -> list[Witness]:
        taken: dict[str, int] = {}
        heard: list[Witness] = []
        for at in np.argsort(-(self.vectors @ vector), kind="stable"):
            witness = self.witnesses[at]
            taken[witness.source] = taken.get(witness.source, 0) + 1
            if witness.source != source.name and taken[witness.source] <= SOURCE_SHARE:
                heard.append(witness)
            if len(heard) == BESIDE:
                break
        return heard


def packages(embedder: Embedder) -> None:
    """The contradiction screen over descriptions, each beside all others."""
    chunker, arrivals, witnesses = Chunker(), [], []
    for package in installed():
        document = package.document()
        texts = tuple(chunk.text for chunk in chunker.cut(package.text, "markdown"))
        publisher = source(slug(package.name))
        arrivals.append(Arrival(document, publisher, texts, embedder.embed(texts)))
        witnesses += [Witness(publisher.name, publisher.name, text, 0, document.title) for text in texts]
    around = Others(witnesses, np.concatenate([arrival.vectors for arrival in arrivals]))
    screen = ContradictionScreen().among(arrivals, around)  # type: ignore[arg-type]
    held = warned = 0
    for arrival in arrivals:
        found = list(screen.check(arrival.document))
        for finding in found:
            at = arrival.document.text[finding.start : finding.end]
            print(f"  {finding.severity.name} {arrival.document.doc_id}: {finding.reason}: {shown(at)}")
        held += any(finding.severity is Severity.HOLD for finding in found)
        warned += bool(found)
    print(f"descriptions held {rate(held, len(arrivals))}")
    print(f"descriptions held or warned of {rate(warned, len(arrivals))}")


def main(argv: Sequence[str] | None = None) -> int:
    """Print each share; the exit status is 2 where the data is not there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=("pools", "ramdocs", "packages"))
    asked = parser.parse_args(argv)
    if shared_path("data", "bench") is None:
        print("the evaluation data is not here: set TRUSTRAG_SHARED to its folder", file=sys.stderr)
        return 2
    embedder = open_embedder("minilm")
    if asked.only in (None, "pools"):
        pools(embedder)
    if asked.only in (None, "ramdocs"):
        ramdocs()
    if asked.only in (None, "packages"):
        packages(embedder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
