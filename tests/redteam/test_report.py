import json
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.redteam.campaign import Question
from trustrag.redteam.metrics import Interval, Outcome
from trustrag.redteam.plots import Row, bars
from trustrag.redteam.report import FORMAT, RedTeamReport
from trustrag.redteam.results import Defence, Placed, Trial

_GOOD = Outcome(0.0, False, False, True, True, False)
_BAD = Outcome(1.0, True, True, False, False, True)


def _trial(name: str, gate: list[Outcome]) -> Trial:
    taken = {Defence.NONE: (_BAD,) * 4, Defence.SIGNATURES: (_BAD,) * 4, Defence.GATE: tuple(gate)}
    return Trial(name, ("AML.T0070",), f"{name} <b>.", (("texts", 5),), Placed(5, 4, 1, 0), taken)


def _report(*trials: Trial, reader: str = "") -> RedTeamReport:
    clean = Trial("clean", (), "Nobody attacks.", (), Placed(), dict.fromkeys(Defence, (_GOOD,) * 4))
    return RedTeamReport("kb <&>", "hash", reader, 7, (Question("Who <i>?", ("A",), "B"),), clean, trials)


_TWO = _report(_trial("mild", [_GOOD] * 4), _trial("strong", [_BAD, _BAD, _GOOD, _GOOD]))


def test_the_worst_is_what_comes_furthest_through_the_full_gate() -> None:
    worst = _TWO.worst()
    assert worst is not None
    assert (worst.attack, worst.measure, worst.success.mean) == ("strong", "attacker", 0.5)
    assert _report().worst() is None


def test_attacks_that_came_as_far_are_named_beside_the_worst() -> None:
    worst = _report(_trial("a", [_BAD] * 4), _trial("b", [_BAD] * 4), _trial("mild", [_GOOD] * 4)).worst()
    assert worst is not None
    assert (worst.attack, worst.tied) == ("b", ("a",))
    assert (worst.success.mean, worst.success.n) == (1.0, 4)
    assert worst.success.low < 0.6, "four of four are no certainty"
    assert "as far came a" in _report(_trial("a", [_BAD] * 4), _trial("b", [_BAD] * 4)).to_html()


def test_the_ci_gate_opens_above_its_limit_only() -> None:
    assert _TWO.exceeds(0.49)
    assert not _TWO.exceeds(0.5)
    assert not _report().exceeds(0.0)
    with pytest.raises(ValueError, match="between 0 and 1"):
        _TWO.exceeds(50)


def test_where_a_reader_was_asked_its_answer_counts() -> None:
    assert _report(reader="smol").success_measure == "deceived"


def test_whoever_wants_a_refusal_is_measured_by_refusals() -> None:
    silenced = replace(_GOOD, deceived=False, answered=False, refused=True)
    lying = replace(_trial("lying", [_GOOD] * 4), outcomes={Defence.GATE: (silenced,) * 4})
    jamming = replace(lying, name="jamming", goal="refused")
    worst = _report(lying, jamming, reader="smol").worst()
    assert worst is not None
    assert (worst.attack, worst.measure, worst.success.mean) == ("jamming", "refused", 1.0)


def test_change_is_paired_by_question() -> None:
    assert _TWO.trials[0].change("attacker").mean == -1.0
    assert _TWO.trials[1].change("correct").mean == 0.5


def test_json_holds_every_outcome_and_is_the_same_twice() -> None:
    text = _TWO.to_json()
    assert text == _TWO.to_json()
    whole = json.loads(text)
    assert whole["format"] == FORMAT
    assert [trial["attack"] for trial in whole["trials"]] == ["clean", "mild", "strong"]
    assert len(whole["trials"][2]["outcomes"]["gate"]) == 4
    assert whole["trials"][2]["measures"]["gate"]["attacker"]["mean"] == 0.5
    assert whole["worst"]["attack"] == "strong"
    assert json.loads(_report().to_json())["worst"] is None


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_the_page_needs_nothing_from_outside_and_escapes_what_it_shows() -> None:
    html = _TWO.to_html()
    page = _Page()
    page.feed(html)
    assert not page.tags & {"script", "link", "img", "iframe"}
    assert not page.attributes & {"src", "href", "onload"}
    assert "kb &lt;&amp;&gt;" in html
    assert "strong &lt;b&gt;" in html
    assert "attacker majority on 50% of 4 questions" in html
    assert "No attack was run" in _report().to_html()


_shares = st.floats(0, 1, allow_nan=False)


@given(st.text(max_size=30), st.lists(st.tuples(st.text(max_size=20), _shares, _shares, _shares), max_size=4))
def test_a_chart_is_well_formed_whatever_it_is_called(
    title: str, rows: list[tuple[str, float, float, float]]
) -> None:
    made = [Row(label, (Interval(mean, min(a, mean), max(b, mean), 3),)) for label, mean, a, b in rows]
    printable = "".join(sign for sign in bars(title, ["s"], made) if sign.isprintable() or sign == "\n")
    tree = ElementTree.fromstring(printable)
    assert len(tree.findall("rect")) == len(rows)
