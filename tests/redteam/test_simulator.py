from pathlib import Path

import pytest

from tests.redteam.world import questions, workspace
from trustrag.errors import ConfigError
from trustrag.redteam.attacks import select
from trustrag.redteam.campaign import Question
from trustrag.redteam.report import RedTeamReport
from trustrag.redteam.results import Defence
from trustrag.redteam.simulator import run

_SOME = ("unsigned", "tampered", "poisonedrag", "hidden-injection", "trigger")


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> RedTeamReport:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRUSTRAG_HOME", str(tmp_path_factory.mktemp("home")))
        folder = workspace(tmp_path_factory.mktemp("place") / "kb")
        return run(folder, attacks=select(_SOME), questions=questions(), seed=1)


def _mean(report: RedTeamReport, name: str, defence: Defence, measure: str) -> float:
    [trial] = [trial for trial in report.everything() if trial.name == name]
    return trial.measure(measure, defence).mean


def test_every_attack_is_measured_under_every_defence(report: RedTeamReport) -> None:
    assert [trial.name for trial in report.everything()] == ["clean", *_SOME]
    for trial in report.everything():
        assert set(trial.outcomes) == set(Defence)
        assert all(len(outcomes) == 8 for outcomes in trial.outcomes.values())


def test_a_clean_workspace_shows_no_poison_and_keeps_its_answers(report: RedTeamReport) -> None:
    for defence in Defence:
        assert _mean(report, "clean", defence, "poison_share") == 0.0
        assert _mean(report, "clean", defence, "gold") == 1.0
    assert _mean(report, "clean", Defence.SIGNATURES, "correct") == 1.0


@pytest.mark.parametrize("name", ["unsigned", "tampered"])
def test_signatures_alone_stop_who_has_no_key(report: RedTeamReport, name: str) -> None:
    assert _mean(report, name, Defence.NONE, "poisoned") == 1.0
    assert _mean(report, name, Defence.SIGNATURES, "poisoned") == 0.0
    assert _mean(report, name, Defence.GATE, "poisoned") == 0.0


def test_signatures_alone_do_not_stop_who_has_one(report: RedTeamReport) -> None:
    assert _mean(report, "poisonedrag", Defence.SIGNATURES, "attacker") == 1.0
    assert _mean(report, "poisonedrag", Defence.GATE, "attacker") == 0.0


def test_what_people_cannot_see_is_quarantined(report: RedTeamReport) -> None:
    [trial] = [trial for trial in report.trials if trial.name == "hidden-injection"]
    assert trial.placed.quarantined == trial.placed.brought == 8
    assert trial.measure("poisoned", Defence.SIGNATURES).mean == 0.0


class _Credulous:
    """Answers with the first passage."""

    def invoke(self, input: str, /) -> str:
        return input.split("Context:\n")[1].split("\n\n")[0]


def test_the_same_seed_gives_the_same_report_and_a_reader_is_asked(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "kb")
    told: list[tuple[str, int, int]] = []

    def once() -> RedTeamReport:
        return run(
            folder, attacks=select(["single"]), per_tier=4, seed=5, reader=_Credulous(),
            progress=lambda what, done, total: told.append((what, done, total)),
        )  # fmt: skip

    one, again = once(), once()
    assert one.to_json() == again.to_json()
    assert one.success_measure == "deceived"
    assert len(one.questions) == 4
    assert one.clean.measure("answered", Defence.GATE).n == 4
    assert ("single: bringing texts", 4, 4) in told
    assert ("single: asking, gate", 4, 4) in told
    assert ("reading", 16, 16) in told


def test_questions_that_the_workspace_cannot_answer_are_left_out(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "kb")
    unknown = Question("Who swam to the moon?", ("Zebedee Quill",), "Ann Marl")
    assert len(run(folder, attacks=(), questions=[*questions()[:2], unknown]).questions) == 2
    with pytest.raises(ConfigError, match="answers no question"):
        run(folder, attacks=(), questions=[unknown])
