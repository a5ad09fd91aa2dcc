"""The short form of `make kills`: five kills in the whole test suite."""

from pathlib import Path

from tests.robustness.kills import run
from trustrag.workspace import Workspace


def test_five_kills_lose_nothing_and_leave_nothing_half_there(tmp_path: Path) -> None:
    made = run(tmp_path / "kb", kills=5, seed=5)
    assert made.problems == []
    assert made.kills == 5
    assert made.acknowledged
    with Workspace.open(tmp_path / "kb") as workspace:
        for number in made.acknowledged:
            made.read(workspace, number)
        assert workspace.audit().problems == ()
    assert made.problems == []
