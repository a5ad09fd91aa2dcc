"""What each screen costs beside embedding: its share of the time that MiniLM takes for a passage, on one core.

    OMP_NUM_THREADS=1 python -m tests.bench.screens [--fail-above 0.2]

The passages are the descriptions that installed packages ship with: technical text, each passage a document of its own,
so that what a screen spends on a document is counted for every passage. The store holds as many before, of another
publisher: what batch screens ask of it is part of their time. Processor time, all threads.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path

from trustrag.index.embedding import open_embedder
from trustrag.ingest.around import LedgerAround
from trustrag.ingest.chunking import Chunker
from trustrag.ingest.screening import default_battery
from trustrag.ingest.screening.company import Arrival, Vectors
from trustrag.ledger import Ledger
from trustrag.workspace import Document, Workspace
from trustrag.workspace.wiring import BESIDE, witnesses_beside

PASSAGES, BATCH = 800, 16


def texts(count: int) -> list[str]:
    """Passages of installed packages' descriptions, a few of each."""
    found: list[str] = []
    for distribution in sorted(distributions(), key=lambda one: one.name):
        text = str(distribution.metadata.get_payload() or "")  # type: ignore[attr-defined]
        found += [chunk.text for chunk in Chunker().cut(text, "markdown")[:12]]
    return list(dict.fromkeys(found))[:count]


def main(argv: Sequence[str] | None = None) -> int:
    """Print one line a screen and their sum; with --fail-above the exit status is 1 where the sum is above it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fail-above", type=float)
    asked = parser.parse_args(argv or [])
    passages = texts(PASSAGES)
    half = len(passages) // 2
    embedder = open_embedder("minilm")
    embedder.embed(passages[:32])
    start = time.process_time()
    vectors = embedder.embed(passages)
    embedding = (time.process_time() - start) / len(passages)
    print(
        f"embedding: {1000 * embedding:.2f} ms a passage of {sum(map(len, passages)) / len(passages):.0f} characters"
    )
    battery = default_battery()
    documents = [Document(f"p{at}", text.encode(), "text/markdown", text) for at, text in enumerate(passages)]
    loading = Document("all", b"", "text/markdown", "\n\n".join(passages[:half]))
    spent: dict[str, float] = {}
    for screen in battery.screens:
        list(screen.check(loading))  # loads what it needs
        start = time.process_time()
        for document in documents[half:]:
            list(screen.check(document))
        spent[screen.name] = (time.process_time() - start) / (len(passages) - half)
    spent |= in_company(documents, vectors, half)
    for name, seconds in spent.items():
        print(f"  {name:18s} {1000 * seconds:.3f} ms {seconds / embedding:6.1%}")
    whole = sum(spent.values()) / embedding
    print(f"  {'all':18s} {1000 * sum(spent.values()):.3f} ms {whole:6.1%} of embedding")
    return int(asked.fail_above is not None and whole > asked.fail_above)


def in_company(documents: Sequence[Document], vectors: Vectors, half: int) -> dict[str, float]:
    """Seconds a passage of each batch screen, over batches that meet a store of the other half."""
    spent: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        os.environ["TRUSTRAG_HOME"] = str(Path(name) / "home")
        with Workspace.init(
            Path(name) / "kb", source="other", embedder=open_embedder("minilm"), passphrase=None
        ) as workspace:
            own = workspace.add_source("acme")
            battery = default_battery()
            workspace.ingest_documents(
                documents[:half], source="other", advisory=[s.name for s in battery.batch]
            )
            workspace.search("so that the index is made")
            beside = witnesses_beside(workspace._opened.searcher, workspace._opened.clock, most=BESIDE)
            with Ledger.open(workspace.folder) as ledger:
                around = LedgerAround(ledger, workspace.policy, beside)
                for first in range(half, len(documents), BATCH):
                    arrivals = [
                        Arrival(document, own, (document.text,), vectors[at : at + 1])
                        for at, document in enumerate(documents[first : first + BATCH], first)
                    ]
                    for screen in battery.batch:
                        start = time.process_time()
                        screen.among(arrivals, around)
                        spent[screen.name] = spent.get(screen.name, 0.0) + time.process_time() - start
    return {name: seconds / (len(documents) - half) for name, seconds in spent.items()}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
