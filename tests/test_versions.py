"""A page that is quietly changed, through a real workspace: keys, ledger, index, gate."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from trustrag.cli.main import app
from trustrag.ingest.document import Document
from trustrag.ingest.report import IngestReport
from trustrag.workspace import Workspace

REFUNDS = "Refunds are paid within 14 days of the return of an order.\n\nThe office is closed on Sundays."
CHANGED = REFUNDS.replace("14 days", "90 days")
HANDBOOK = (
    "Staff handbook. For every return of an order, refunds are paid within 14 days by the accounts desk."
)
QUESTION = "Within how many days are refunds paid?"


def page(text: str, name: str = "policy.md") -> Document:
    return Document(name, text.encode(), "text/markdown", text)


def publish(ws: Workspace, text: str, *, name: str = "policy.md", source: str = "acme") -> IngestReport:
    return ws.ingest_documents([page(text, name)], source=source)


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    """One source, one page."""
    with Workspace.init(tmp_path / "kb", source="acme", embedder="hash") as made:
        publish(made, REFUNDS)
        yield made


@pytest.fixture
def two(ws: Workspace) -> Workspace:
    """A second source that states the same."""
    ws.add_source("staff")
    publish(ws, HANDBOOK, name="handbook.md", source="staff")
    return ws


def shown(ws: Workspace) -> list[str]:
    return [ranked.passage.text for ranked in ws.search(QUESTION).passages if ranked.passage.source == "acme"]


def test_a_quiet_change_that_others_contradict_waits_until_it_is_approved(two: Workspace) -> None:
    report = publish(two, CHANGED)
    (held,) = report.quarantined
    assert held.reason == 'CHANGED_VALUE: "14" became "90"; staff still states the old value'
    assert shown(two) == [REFUNDS]
    old, new = two.history.document("policy.md")
    assert (old.standing, new.standing) == ("active", "quarantined")
    assert new.findings[0].startswith("CHANGED_VALUE hold at 0-58:")
    assert [each.doc_id for each in publish(two, CHANGED).unchanged] == ["policy.md"]

    assert two.reviews.approve("policy.md", reason="it was read").settled
    assert shown(two) == [CHANGED]
    assert [row.standing for row in two.history.document("policy.md")] == ["superseded", "active"]
    assert two.audit().problems == ()
    # Now the handbook is what differs, and its update agrees with what stands.
    (outcome,) = publish(two, HANDBOOK.replace("14", "90"), name="handbook.md", source="staff").admitted
    assert 'CHANGED_VALUE: "14" became "90"' in outcome.reason


def test_a_single_source_is_told_and_admitted(ws: Workspace) -> None:
    (outcome,) = publish(ws, CHANGED).admitted
    assert outcome.reason.startswith('version 2, 1 passage; CHANGED_VALUE: "14" became "90" in: "Refunds are')
    assert shown(ws) == [CHANGED]
    assert "CHANGED_VALUE warn" in ws.history.document("policy.md")[1].findings[0]


def test_sources_of_one_owner_and_sources_on_probation_hold_nobody_up(tmp_path: Path) -> None:
    with Workspace.init(tmp_path / "kb", source="acme", embedder="hash") as ws:
        ws.add_source("acme-eu", owner="acme")
        ws.add_source("stranger", probation=True)
        publish(ws, REFUNDS)
        for name in ("acme-eu", "stranger"):
            publish(ws, HANDBOOK, name=f"{name}.md", source=name)
        assert len(publish(ws, CHANGED).admitted) == 1


def test_an_honest_edit_and_a_new_claim_go_in(two: Workspace) -> None:
    text = REFUNDS.replace("closed", "closd")
    (outcome,) = publish(two, text).admitted
    assert "CHANGED" not in outcome.reason
    (outcome,) = publish(two, f"{REFUNDS}\n\nMembers are paid within 2 days.").admitted
    assert "CHANGED" not in outcome.reason
    assert any("NEW_CLAIM note" in finding for finding in two.history.document("policy.md")[-1].findings)


def test_a_witness_edited_into_the_database_has_no_voice(two: Workspace) -> None:
    with sqlite3.connect(two.folder / "ledger.db") as db:
        (forged,) = db.execute("SELECT max(id) FROM chunk").fetchone()
        db.execute("UPDATE chunk SET text = ? WHERE id = ?", (HANDBOOK.replace("14", "30"), forged))
    db.close()
    (outcome,) = publish(two, CHANGED).admitted
    assert "CHANGED_VALUE" in outcome.reason


def test_what_is_hidden_waits_and_can_be_approved_as_well(ws: Workspace) -> None:
    text = f"{REFUNDS}\U000e0069\U000e0067"
    assert len(publish(ws, text).quarantined) == 1
    assert ws.reviews.approve("policy.md", reason="it was read").settled
    assert shown(ws) == [text]


def test_the_history_tells_what_was_noticed(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    publish(ws, CHANGED)
    with pytest.raises(SystemExit) as ended:
        app(["-w", str(ws.folder), "history", "policy.md"])
    assert ended.value.code == 0
    assert 'CHANGED_VALUE warn at 0-58: "14" became "90"' in capsys.readouterr().out


def test_a_flood_near_the_lie_does_not_drown_the_witness(two: Workspace) -> None:
    two.add_source("loud")
    flood = [
        page(f"Refunds are paid within {n} weeks of the return of an order.", f"{n}.md")
        for n in range(100, 130)
    ]
    two.ingest_documents(flood, source="loud")
    (held,) = publish(two, CHANGED).quarantined
    assert held.reason.endswith("; staff still states the old value")
