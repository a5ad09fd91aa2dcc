"""The protocol, the registry and plug-ins: what runs, what decides, and what a missing or broken screen costs."""

from collections.abc import Sequence
from importlib.metadata import EntryPoint

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ingest.world import source
from trustrag.errors import ConfigError, MalformedError
from trustrag.ingest.document import Document
from trustrag.ingest.screening import (
    BatchScreen,
    Battery,
    Finding,
    LanguageScreen,
    Rule,
    RuleScreen,
    Screen,
    Severity,
    SizeScreen,
    Verdict,
    choose,
    names,
    registry,
)
from trustrag.ingest.screening.company import Around, Arrival, Found


def document(text: str = "Hello.") -> Document:
    return Document("a", text.encode(), "text/plain", text)


class Units:
    """A plug-in of one class."""

    name, version = "units", 2

    def check(self, document: Document) -> list[Finding]:
        return [Finding("UNITS", Severity.HOLD, 0, 1, "a unit")]


class Pairs:
    """A plug-in that needs company."""

    name, version = "pairs", 1

    def among(self, batch: Sequence[Arrival], around: Around) -> Screen:
        return Found(self.name, self.version, {})


class Broken:
    name, version = "broken", 1

    def __init__(self) -> None:
        raise RuntimeError("no\nlicence")


class Nameless:
    version = 1

    def check(self, document: Document) -> list[Finding]:
        return []


def plugged(monkeypatch: pytest.MonkeyPatch, *points: tuple[str, str]) -> None:
    given = [EntryPoint(name, f"{__name__}:{value}", registry.GROUP) for name, value in points]
    monkeypatch.setattr(registry, "entry_points", lambda group: given)


@given(
    st.from_regex(r"[A-Z_]{1,20}", fullmatch=True),
    st.sampled_from(Severity),
    st.integers(0, 10**9),
    st.integers(1, 10**9),
    st.text(
        st.characters(categories=["L", "N", "P", "Zs"], exclude_characters="[]"), min_size=1, max_size=60
    ),
    st.sampled_from(["", "CWE-150", "OWASP LLM01:2025"]),
)
def test_a_finding_survives_the_ledger(
    code: str, severity: Severity, start: int, length: int, reason: str, standard: str
) -> None:
    finding = Finding(code, severity, start, start + length, reason, standard)
    assert Finding.parse(str(finding)) == finding


@pytest.mark.parametrize("line", ["", "no finding", "CODE hold", "CODE fatal: x", "CODE hold at 1: x"])
def test_other_lines_are_no_findings(line: str) -> None:
    with pytest.raises(MalformedError):
        Finding.parse(line)


def test_the_default_battery_says_what_it_looked_for() -> None:
    battery = choose()
    ran = {screen.name for screen in (*battery.screens, *battery.batch)}
    assert ran == set(names(default=True))
    assert "TRUSTRAG_SCREENED_FLOODS_V1" in battery.properties
    assert len(set(battery.properties)) == len(battery.properties) == len(ran)
    assert battery.notices == ()
    assert {"toxicity", "presidio"} == set(names()) - ran


def test_a_screen_made_by_the_caller_takes_the_place_of_ours() -> None:
    rules = RuleScreen((Rule("x", "forbidden", "hello", severity=Severity.REJECT),))
    battery = choose(["size", "language"], more=[LanguageScreen(allowed=("fr",)), rules])
    assert [screen.name for screen in battery.screens] == ["size", "language", "rules"]
    assert battery.review(document()).verdict is Verdict.REJECT
    assert battery.review(document()).reason == 'RULE_FORBIDDEN: x: "Hello" was found'


def test_what_an_advisory_screen_finds_is_told_and_decides_nothing() -> None:
    review = Battery((Units(),), advisory=["units"]).review(document())
    assert (review.verdict, review.findings[0].severity) == (Verdict.ADMIT, Severity.WARN)
    assert Battery((Units(),)).review(document()).verdict is Verdict.QUARANTINE


@pytest.mark.parametrize("given", [{"wanted": ["sizes"]}, {"required": ["sizes"]}, {"advisory": ["sizes"]}])
def test_an_unknown_screen_is_named(given: dict[str, list[str]]) -> None:
    with pytest.raises(ConfigError, match="there is no screen 'sizes'; there are: size, "):
        choose(**given)  # type: ignore[arg-type]


def test_a_missing_library_is_told_unless_the_screen_is_required(monkeypatch: pytest.MonkeyPatch) -> None:
    real = registry.find_spec
    monkeypatch.setattr(registry, "find_spec", lambda name: None if name == "detect_secrets" else real(name))
    battery = choose()
    assert "secrets" not in {screen.name for screen in battery.screens}
    assert battery.notices == (
        "the screen secrets does not run: detect_secrets is not installed (pip install 'detect-secrets')",
    )
    with pytest.raises(ConfigError, match="requires it: the screen secrets"):
        choose(required=["secrets"])


def test_plug_ins_run_beside_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    plugged(monkeypatch, ("units", "Units"), ("pairs", "Pairs"))
    battery = choose()
    assert "units" in {screen.name for screen in battery.screens}
    assert "pairs" in {screen.name for screen in battery.batch}
    assert battery.review(document()).findings[-1].code == "UNITS"
    assert isinstance(battery.batch[-1], BatchScreen)


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("broken", "Broken", "the plug-in screen broken of .* cannot be loaded .RuntimeError: no licence."),
        ("absent", "Absent", "the plug-in screen absent of .* cannot be loaded"),
        ("nameless", "Nameless", "is no screen: it needs name = 'nameless'"),
        ("other", "Units", "is no screen: it needs name = 'other'"),
        ("size", "Units", "two screens are named size"),
        ("Odd Name", "Units", "is no name for a screen"),
    ],
)
def test_a_broken_plug_in_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, wrong: str
) -> None:
    plugged(monkeypatch, (name, value))
    with pytest.raises(ConfigError, match=wrong) as error:
        choose()
    assert "\n" not in str(error.value)


class Stumbles:
    name, version = "stumbles", 1

    def among(self, batch: Sequence[Arrival], around: Around) -> Screen:
        raise ValueError("a batch too many")


def test_a_batch_screen_that_fails_has_looked_at_nothing() -> None:
    battery = Battery((SizeScreen(),), batch=(Stumbles(),))
    arrival = Arrival(document(), source("acme"), ("Hello.",), np.ones((1, 4), np.float32))
    ((finding,),) = battery.meet([arrival], None)  # type: ignore[arg-type]
    assert (finding.code, finding.severity) == ("SCREEN_FAILED", Severity.HOLD)
