"""What the ledger remembers of one source: what stands, what waits, what was ruled against."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger.world import NOW, SEALER, Draft, admit, new_ledger, publisher, review_of
from trustrag.ledger import Ledger, Ruling, SourceRows


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with new_ledger(tmp_path) as made:
        admit(made, Draft("a", 1, ("one", "two")), Draft("b", 1, ("three",)))
        admit(made, Draft("w", 1, ("elsewhere",), source="wiki"))
        admit(made, Draft("c", 1, ("four",)))
        yield made


def record(ledger: Ledger, source: str = "acme") -> SourceRows:
    with ledger.view() as view:
        return view.record(source)


def rule(ledger: Ledger, action: str, **target: object) -> None:
    ledger.rule([Ruling(action, "because", **target)], SEALER, NOW, publisher=publisher)  # type: ignore[arg-type]


def test_what_stands_is_in_the_order_of_admission(ledger: Ledger) -> None:
    rows = record(ledger)
    assert rows.documents.tolist() == [[0, 2], [2, 1], [4, 1]]
    assert (rows.superseded, rows.withdrawn, rows.held, rows.ruled) == (0, 0, (), ())
    admit(ledger, Draft("a", 2, ("new",)))
    rows = record(ledger)
    assert rows.documents.tolist() == [[2, 1], [4, 1], [5, 1]]
    assert rows.superseded == 1


def test_nobody_has_no_record(ledger: Ledger) -> None:
    rows = record(ledger, "nobody")
    assert rows.documents.shape == (0, 2)
    assert (rows.superseded, rows.withdrawn, rows.held, rows.ruled) == (0, 0, (), ())


def test_what_was_held_at_the_door_waits_and_was_not_ruled_on(ledger: Ledger) -> None:
    admit(ledger, Draft("d", 1, ("odd",), quarantined=True))
    assert (record(ledger).held, record(ledger).ruled) == (("d",), ())
    rule(ledger, "withdraw", doc_id="d")
    assert (record(ledger).held, record(ledger).ruled, record(ledger).withdrawn) == ((), (), 1)


def test_a_held_version_no_longer_waits_when_a_newer_one_stands(ledger: Ledger) -> None:
    admit(ledger, Draft("a", 2, ("odd",), quarantined=True))
    assert record(ledger).held == ("a",)
    admit(ledger, Draft("a", 3, ("good",)))
    assert record(ledger).held == ()


def test_a_quarantine_is_a_doubt_until_it_is_restored(ledger: Ledger) -> None:
    rule(ledger, "quarantine", doc_id="a")
    assert (record(ledger).held, record(ledger).ruled) == (("a",), ("a",))
    rule(ledger, "withdraw", doc_id="a")
    assert (record(ledger).held, record(ledger).ruled) == ((), ("a",))
    rule(ledger, "restore", doc_id="a")
    assert (record(ledger).held, record(ledger).ruled) == ((), ())
    rule(ledger, "withdraw", doc_id="a")
    assert record(ledger).ruled == ()
    assert record(ledger, "wiki").ruled == ()


def test_a_ruling_on_a_source_is_on_each_of_its_documents(ledger: Ledger) -> None:
    rule(ledger, "quarantine", source="acme")
    assert record(ledger).ruled == ("a", "b", "c")
    assert record(ledger, "wiki").ruled == ()
    rule(ledger, "restore", source="acme")
    assert record(ledger).ruled == ()


def test_restoring_another_version_clears_no_doubt(ledger: Ledger) -> None:
    admit(ledger, Draft("a", 2, ("worse",)))
    rule(ledger, "quarantine", doc_id="a")
    rule(ledger, "restore", doc_id="a", version=1)
    rows = record(ledger)
    assert (rows.held, rows.ruled) == (("a",), ("a",))


def test_an_approval_that_came_later_is_a_restoration(ledger: Ledger) -> None:
    admit(ledger, Draft("d", 1, ("odd",), quarantined=True))
    with ledger.view() as view:
        ingest = view.envelope(view.snapshot().log_index - 1)
    rule(ledger, "restore", doc_id="d", reviews=(review_of(ingest),))
    assert (record(ledger).held, record(ledger).ruled) == ((), ())
    assert len(record(ledger).documents) == 4
