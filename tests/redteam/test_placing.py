from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.redteam.world import passages, targets, workspace
from trustrag import Refusal, Workspace
from trustrag.redteam.campaign import KeyKind, Poison
from trustrag.redteam.placing import Placed, place
from trustrag.redteam.scratch import scratch

_ASKED = "When did the Harbour Library of Bexmoor open?"


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Workspace]:
    with scratch(workspace(tmp_path / "kb")) as copies, copies.copy("one") as opened:
        yield opened


def _sources(workspace: Workspace) -> dict[str, bool]:
    return {source.name: source.probation for source in workspace.policy.sources}


def test_new_keys_come_on_probation_and_aged_ones_do_not(copy: Workspace) -> None:
    poisons = [Poison("One text.", key=1), Poison("Another text.", kind=KeyKind.AGED)]
    foothold = place(copy, poisons, targets())
    assert foothold.placed == Placed(2, 2, 0, 0)
    assert _sources(copy) == {
        "gazette": False,
        "almanac": False,
        "redteam-new-1": True,
        "redteam-aged-0": False,
    }


def test_what_is_served_of_the_attacker_is_known_and_copies_are_not_counted(copy: Workspace) -> None:
    lie = "The Harbour Library of Bexmoor did open in the year of the lie."
    foothold = place(copy, [Poison(lie), Poison(passages()[2].text, innocent=True)], targets())
    assert foothold.placed.brought == 1
    report = copy.search(_ASKED, k=20, mode="report")
    wrote = [one.passage.text for one in report.passages if foothold.wrote(one.passage)]
    assert wrote == [lie]
    assert [one.passage.text for one in report.passages].count(passages()[2].text) == 2


def test_nothing_unsigned_gets_in(copy: Workspace) -> None:
    before = len(copy.standing_documents())
    foothold = place(copy, [Poison("Nobody signed this.", kind=KeyKind.NONE)], targets())
    assert foothold.placed == Placed(1, 0, 0, 1)
    assert len(copy.standing_documents()) == before


def test_overwritten_bytes_are_refused_by_the_gate(copy: Workspace) -> None:
    original = passages()[2]
    poison = Poison(
        original.text.replace("1902", "1602"),
        kind=KeyKind.NONE,
        replaces=original.doc_id,
        original=original.text,
    )
    foothold = place(copy, [poison], targets())
    assert foothold.placed == Placed(1, 1, 0, 0)
    report = copy.search(_ASKED, k=5)
    assert not any(foothold.wrote(one.passage) for one in report.passages)
    assert [(one.doc_id, one.refusal) for one in report.refused] == [(original.doc_id, Refusal.TAMPERED_TEXT)]


def test_a_stolen_key_replaces_its_own_document_with_the_passage_exchanged(copy: Workspace) -> None:
    original = passages()[2]
    changed = original.text + " The Bexmoor library has since been renamed."
    poison = Poison(changed, kind=KeyKind.STOLEN, replaces=original.doc_id, original=original.text)
    foothold = place(copy, [poison], targets())
    assert foothold.versions == {original.doc_id: 1}
    [latest] = [row for row in copy.history.document(original.doc_id) if row.version == 2]
    assert latest.source_name == original.source
    if foothold.placed.admitted:
        assert [one.text for one in copy.read(original.doc_id)] == [changed]
        assert foothold.wrote(copy.read(original.doc_id)[0])


def test_a_stolen_key_is_that_of_the_source_that_answers_most(copy: Workspace) -> None:
    place(copy, [Poison("Stolen words.", kind=KeyKind.STOLEN)], targets())
    assert {row.source_name for row in copy.standing_documents() if row.doc_id.startswith("redteam")} == {
        "gazette"
    }


def test_where_there_is_no_key_to_steal_nothing_is_placed(copy: Workspace) -> None:
    assert place(copy, [Poison("Stolen words.", kind=KeyKind.STOLEN)], []).placed == Placed(1, 0, 0, 1)


def test_weeks_are_brought_in_their_order(copy: Workspace) -> None:
    poisons = [Poison("Early words.", week=0), Poison("Later words.", week=3)]
    place(copy, poisons, targets())
    admitted = {
        row.doc_id: row.admitted for row in copy.standing_documents() if row.doc_id.startswith("redteam")
    }
    assert admitted == {"redteam-1": 4, "redteam-2": 5}
