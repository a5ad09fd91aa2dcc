"""Taking documents in: what hashing, signing, cutting, logging and storing cost beside embedding.

    python -m tests.bench.ingest

The same documents go in twice: once with an embedder that costs nothing, so that what is left is ours, and
once with the default one. Processor time of one core, so that a busy machine changes it little.
"""

import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.arguments import nothing
from trustrag.index.embedding import Embedder, EmbedderIdentity, open_embedder
from trustrag.workspace import Document, Workspace

DOCUMENTS = 400
EMBEDDED = 60  # of them, with the real model: it costs a hundred times as much
SENTENCE = "Section {n} of handbook {d} says that record {n} is kept for {days} days and then removed by team {team}. "


class NoEmbedder:
    """Gives every text one and the same vector, at once."""

    id = EmbedderIdentity("none", 384, bytes(32))

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = np.zeros((len(texts), 384), "<f4")
        rows[:, 0] = 1.0
        return rows

    def embed_query(self, text: str) -> NDArray[np.float32]:
        return self.embed([text])[0]


def documents(count: int) -> list[Document]:
    """Handbooks of some ten passages each, all different."""
    made = []
    for d in range(count):
        text = "".join(SENTENCE.format(n=n, d=d, days=(7 * n + d) % 365, team=n % 9) for n in range(55))
        made.append(Document(f"handbook-{d}.txt", text.encode(), "text/plain", text))
    return made


def seconds_a_passage(embedder: Embedder, count: int) -> float:
    """Processor seconds for each passage taken in."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["TRUSTRAG_HOME"] = str(Path(name) / "home")
        with Workspace.init(
            Path(name) / "kb", source="acme", embedder=embedder, passphrase=None
        ) as workspace:
            embedder.embed(["so that loading the model is not counted"] * 20)
            given = documents(count)
            start = time.process_time()
            report = workspace.ingest_documents(given, source="acme")
            spent = time.process_time() - start
    return spent / sum(outcome.passages for outcome in report.admitted)


def main() -> None:
    without = seconds_a_passage(NoEmbedder(), DOCUMENTS)
    whole = seconds_a_passage(open_embedder("minilm"), EMBEDDED)
    print(
        f"without embedding: {1 / without:.0f} passages a second of one core ({1000 * without:.2f} ms each)"
    )
    print(f"with all-MiniLM-L6-v2: {1 / whole:.0f} a second of one core ({1000 * whole:.1f} ms each)")
    print(f"hash, sign, cut, screen, log and store are {without / (whole - without):.1%} of embedding time")


if __name__ == "__main__":
    nothing(__doc__)
    main()
