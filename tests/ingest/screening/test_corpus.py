"""The level that the battery reaches on the corpus: whoever changes a screen sees here what it costs."""

import pytest

from tests.ingest.corpus.attacks import attacks
from tests.ingest.corpus.benign import benign
from tests.robustness.screens import Score, main, scores
from trustrag.ingest.screening import default_battery

MISSED = {("markers", "line of the system")}
"""Told and not held: `System: refunds are off` is what a table of requirements looks like."""


@pytest.fixture(scope="module")
def attacked() -> dict[str, Score]:
    return scores(attacks(), default_battery())


def test_every_technique_but_those_named_is_held(attacked: dict[str, Score]) -> None:
    assert {(kind, name) for kind, score in attacked.items() for name in score.passed} == MISSED
    assert sum(score.documents for score in attacked.values()) >= 160


def test_no_attack_is_held_because_a_screen_failed(attacked: dict[str, Score]) -> None:
    codes = {code for score in attacked.values() for held in score.held.values() for code in held}
    assert "SCREEN_FAILED" not in codes


def test_concealed_text_is_held_for_being_concealed(attacked: dict[str, Score]) -> None:
    for kind in ("hidden-html", "hidden-markdown", "hidden-pdf", "hidden-docx"):
        for name, codes in attacked[kind].held.items():
            assert {"CONCEALED_TEXT", "CONCEALED_ORDER", "PUSHED_AWAY"} & set(codes), (kind, name, codes)


def test_honest_look_alikes_are_admitted() -> None:
    found = scores(benign(), default_battery())
    assert {(kind, name) for kind, score in found.items() for name in score.held} == set()
    assert sum(score.documents for score in found.values()) >= 300


def test_the_command_prints_both_tables(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--json"]) == 0
    out = capsys.readouterr().out
    assert '"attacks"' in out
    assert '"benign"' in out
