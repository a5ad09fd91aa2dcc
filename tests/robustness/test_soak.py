"""The short form of `make soak`: a few seconds in the whole test suite."""

from pathlib import Path

from tests.robustness.soak import run
from trustrag.workspace import Workspace


def test_a_few_seconds_of_writing_reading_and_killing(tmp_path: Path) -> None:
    soak = run(tmp_path / "kb", seconds=7, seed=3)
    assert soak.problems == []
    assert soak.kills["write"]
    assert soak.kills["read"]
    assert soak.seen
    assert len(soak.held) > 1
    with Workspace.open(tmp_path / "kb") as workspace:
        assert workspace.audit().problems == ()
