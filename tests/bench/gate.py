"""The gate on ten passages: with the snapshot's verdict kept (warm), and from nothing (cold).

    python -m tests.bench.gate

The target is at most 0.3 ms of processor time warm and 1.5 ms cold; the hashing of the same bytes is shown
beside it, because no gate can cost less.
"""

import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path

from tests.arguments import nothing
from tests.bench.store import CHUNKS, CONTEXT, NOW, fill, policy
from trustrag.ledger import StoredPassage
from trustrag.provenance.evidence import Head, VerdictCache, accept_head, verify_passage
from trustrag.provenance.policy import Policy, TrustedSnapshot

ROUNDS = 300


def timed(call: Callable[[], object]) -> float:
    """Milliseconds of processor time of one call: the fastest tenth, against noisy neighbours."""
    spans = []
    for _ in range(ROUNDS):
        start = time.process_time()
        call()
        spans.append(time.process_time() - start)
    return 1000 * sorted(spans)[ROUNDS // 10]


@dataclass(frozen=True)
class Case:
    """Ten passages under one head."""

    policy: Policy
    head: Head
    passages: list[StoredPassage]

    def prove(self, snapshot: TrustedSnapshot, cache: VerdictCache) -> None:
        """What the gate does on every search."""
        for passage in self.passages:
            verify_passage(
                passage.text,
                passage.metadata,
                passage.vector,
                passage.evidence,
                self.policy,
                snapshot,
                context=CONTEXT,
                now=NOW,
                cache=cache,
            )

    def cold(self) -> None:
        """What it does first of all, or after a new snapshot under a new policy."""
        self.prove(accept_head(self.head, self.policy, now=NOW), VerdictCache())

    def hash(self) -> None:
        """The part that is never remembered."""
        for passage in self.passages:
            for data in (passage.text.encode(), passage.metadata, passage.vector):
                sha256(data).digest()


def main() -> None:
    trusted = policy(10)
    with tempfile.TemporaryDirectory() as name, fill(Path(name), 10_000, 10) as ledger, ledger.view() as view:
        for label, step in (("ten batches", 97 * CHUNKS), ("one batch", CHUNKS), ("one document", 1)):
            shown = view.passages(range(0, 10 * step, step))
            case = Case(trusted, view.head(), [row for row in shown if isinstance(row, StoredPassage)])
            snapshot, kept = accept_head(case.head, trusted, now=NOW), VerdictCache()
            warm = timed(partial(case.prove, snapshot, kept))
            print(
                f"ten passages of {label}: warm {warm:.3f} ms, cold {timed(case.cold):.3f} ms, "
                f"hashing alone {timed(case.hash):.3f} ms"
            )


if __name__ == "__main__":
    nothing(__doc__)
    main()
