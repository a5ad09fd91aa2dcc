"""What one changed document costs in the standing tree, at 10 thousand, 100 thousand and a million documents.

    python -m tests.bench.standing_tree [--sizes 10000 100000 1000000] [--json]

Works on the storage itself, with synthetic entries of real size: one change reads a document's bucket and the 16
nodes beside its path, checks that they lead to the signed root, alters the bucket, and writes 17 nodes. The cost
grows with the bucket (documents / 65,536) alone. The commit, which waits for the disk, is measured apart.
"""

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from trustrag.ledger.connection import connect
from trustrag.ledger.schema import migrate
from trustrag.ledger.sqlite import Session
from trustrag.ledger.standing import EMPTY_TREE, StandingChange, StandingTree
from trustrag.provenance.canonical import Digest
from trustrag.provenance.standing import BUCKETS, StandingEntry, bucket_of

REPEATS = 300


def entry(doc_id: str, version: int) -> bytes:
    """A standing entry as large as a real one: three envelopes, one review among them."""
    digest = Digest(sha256(f"{doc_id} {version}".encode()).digest())
    return StandingEntry(
        doc_id, version, digest, digest, 12345, digest, 12346, ((digest, 12347),), digest, 12, None
    ).encode()


def build(session: Session, size: int) -> Digest:
    """A tree of `size` documents, in one change."""
    names = [f"documents/{number}.md" for number in range(size)]
    with session.writing():
        change = StandingChange(session, names, EMPTY_TREE)
        for row, name in enumerate(names):
            encoded = entry(name, 1)
            session.add_standing(row, bucket_of(name), name, 1, encoded)
            change.put(name, encoded)
        return change.store()


def changed(session: Session, names: list[str], version: int, signed: Digest) -> Digest:
    """The tree's part of taking in a new version of these documents."""
    change = StandingChange(session, names, signed)
    for name in names:
        encoded = entry(name, version)
        session.end_standing([int(name.split("/")[1][:-3])], version)
        session.add_standing(10_000_000 + version, bucket_of(name), name, version, encoded)
        change.put(name, encoded)
    return change.store()


def cpu_of(work: Callable[[], object]) -> float:
    """CPU seconds of this process: other work on the machine does not count."""
    start = time.process_time()
    work()
    return time.process_time() - start


def measure(size: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        db = connect(Path(folder) / "ledger.db", write=True)
        migrate(db)
        session = Session(db)
        start = time.process_time()
        root = build(session, size)
        building = time.process_time() - start
        result = {"documents": float(size), "per_bucket": size / BUCKETS, "build_seconds": building}
        names = [f"documents/{number}.md" for number in random.Random(1).sample(range(size), REPEATS * 33)]
        spent, committing, version = 0.0, 0.0, 1
        for name in names[:REPEATS]:
            version += 1
            begun = time.perf_counter()
            with session.writing():
                start = time.process_time()
                root = changed(session, [name], version, root)
                spent += time.process_time() - start
                begun = time.perf_counter()
            committing += time.perf_counter() - begun
        result["one_document_us"] = spent / REPEATS * 1e6
        result["commit_ms"] = committing / REPEATS * 1e3
        spent, rounds = 0.0, REPEATS // 10
        for batch in range(rounds):
            version += 1
            chosen = names[REPEATS + 32 * batch : REPEATS + 32 * (batch + 1)]
            with session.writing():
                start = time.process_time()
                root = changed(session, chosen, version, root)
                spent += time.process_time() - start
        result["in_batch_of_32_us"] = spent / (rounds * 32) * 1e6
        result["proof_us"] = (
            cpu_of(lambda: [StandingTree(session).proof(name) for name in names[:REPEATS]] and None)
            / REPEATS
            * 1e6
        )
        session.close()
        return result


def main() -> None:
    parser = argparse.ArgumentParser(description="cost of one changed document in the standing tree")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = [measure(size) for size in options.sizes]
    if options.json:
        print(json.dumps(results))
        return
    print(
        f"{'documents':>10} {'per bucket':>10} {'one change':>12} {'in a batch':>12} {'proof':>10} {'commit':>10}"
    )
    for item in results:
        print(
            f"{item['documents']:>10,.0f} {item['per_bucket']:>10.2f} {item['one_document_us']:>9.0f} us"
            f" {item['in_batch_of_32_us']:>9.0f} us {item['proof_us']:>7.0f} us {item['commit_ms']:>7.2f} ms"
        )


if __name__ == "__main__":
    main()
