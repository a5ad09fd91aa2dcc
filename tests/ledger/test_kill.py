"""A writer killed at any moment: what it acknowledged is all there, what it did not is not half there."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.ledger.world import NOW, SEALER, Draft, accepted, admit, new_ledger, prove
from trustrag.ledger import Ledger, Ruling, StoredPassage, check

CHUNKS = 5


def draft(number: int) -> Draft:
    """Every third document is a new version of an earlier one."""
    doc_id, version = (f"d{number // 3}", 2) if number % 3 == 2 else (f"d{number // 3}/{number % 3}", 1)
    return Draft(doc_id, version, tuple(f"{number} chunk {at}" for at in range(CHUNKS)))


def write_until_killed(folder: Path, start: int) -> None:
    """The child: admits one document after another and says so once each is in."""
    with Ledger.open(folder, write=True) as ledger:
        for number in range(start, start + 10_000):
            admit(ledger, draft(number))
            if number % 7 == 0:
                ledger.rule([Ruling("quarantine", "x", doc_id=draft(number).doc_id)], SEALER, NOW)
                ledger.rule([Ruling("restore", "x", doc_id=draft(number).doc_id)], SEALER, NOW)
            print(number, flush=True)


def killed_after(folder: Path, start: int, seconds: float) -> list[int]:
    """Runs the child, kills it `seconds` after its first word, and returns what it acknowledged."""
    code = (
        "import sys; from pathlib import Path; from tests.ledger.test_kill import write_until_killed as w; "
    )
    code += "w(Path(sys.argv[1]), int(sys.argv[2]))"
    command = [sys.executable, "-c", code, str(folder), str(start)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]) as child:
        assert child.stdout is not None
        first = child.stdout.readline()
        time.sleep(seconds)
        os.kill(child.pid, signal.SIGKILL)
        rest = child.stdout.read()
    # A line may be cut in the middle of a number only where there is no newline at its end.
    return [int(line) for line in (first + rest).split(b"\n")[:-1]]


@pytest.mark.parametrize("seed", range(6))
def test_nothing_acknowledged_is_lost_and_nothing_is_half_there(tmp_path: Path, seed: int) -> None:
    folder = tmp_path / "kb"
    new_ledger(folder).close()
    moment = random.Random(seed)
    acknowledged: list[int] = []
    for _ in range(2):
        start = 3 * (max(acknowledged, default=-1) // 3 + 2)
        acknowledged += killed_after(folder, start, moment.uniform(0.0, 0.3))
    with Ledger.open(folder, write=True) as ledger:
        assert (folder / "vectors.f32").stat().st_size == ledger.chunk_total() * ledger.embedder.dimension * 4
        assert list(check(ledger)) == []
        with ledger.view() as view:
            snapshot = accepted(view)
            texts = {
                prove(view, item, snapshot).text
                for item in view.passages(view.select())
                if isinstance(item, StoredPassage)
            }
            for number in acknowledged:
                version = view.versions(draft(number).doc_id)[-1]
                assert version.version == draft(number).version
                if version.standing == "active":
                    assert set(draft(number).texts) <= texts
            assert all(version.chunk_count == CHUNKS for version in view.documents())
        admit(ledger, draft(100_000))
