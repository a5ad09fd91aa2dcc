"""What waits for people: kept out of what stands, decided one signed word at a time, each sealed."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.ledger.world import CONTEXT, EMBEDDER, NOW, SEALER, Draft, admissions, key, review_of
from trustrag.errors import ConflictError, LedgerError, NotFoundError
from trustrag.ledger import Decision, Ledger, Ruling, check
from trustrag.provenance.canonical import Digest
from trustrag.provenance.envelope import Envelope, sign
from trustrag.provenance.statement import RejectionStatement, SnapshotStatement, parse_statement


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.create(tmp_path / "kb", CONTEXT, EMBEDDER) as made:
        made.reseal(SEALER, NOW)
        made.admit(admissions([Draft("a", 1, ("one",))]), SEALER, NOW)
        yield made
        assert list(check(made)) == []


def hold(ledger: Ledger, version: int = 2, doc_id: str = "a", *texts: str) -> Envelope:
    """A version that waits; returns its ingest statement's envelope."""
    (admission,) = admissions([Draft(doc_id, version, texts or ("two", "more"), quarantined=True)])
    ledger.admit([admission], SEALER, NOW)
    return admission.ingest


def decide(ledger: Ledger, envelope: Envelope | None, settles: bool = False, **changes: object) -> int:
    kind = "assign" if envelope is None else changes.pop("action", "approve")
    decision = Decision(kind, "a", 2, "wrong", envelope, settles)  # type: ignore[arg-type]
    return ledger.decide(replace(decision, **changes), SEALER, NOW).version  # type: ignore[arg-type]


def rejection(ingest: Envelope, name: str = "review") -> Envelope:
    return sign(RejectionStatement(Digest.of(ingest.payload), "wrong", NOW).encode(), key(name))


def standings(ledger: Ledger) -> list[str]:
    return [row.standing for row in ledger.versions("a")]


def test_what_waits_is_listed_with_its_chunks(ledger: Ledger) -> None:
    ingest = hold(ledger)
    with ledger.view() as view:
        assert [(row.doc_id, row.version) for row in view.waiting()] == [("a", 2)]
        held = view.held("a")
        assert (held.texts, held.ingest.envelope, held.assigned) == (("two", "more"), ingest, None)
        assert [leaf.text for leaf in held.leaves] == [Digest.of(text.encode()) for text in held.texts]
        assert view.never_stood(held.version)
        assert not view.never_stood(view.versions("a")[0])


@pytest.mark.parametrize(("doc_id", "version"), [("a", 1), ("a", 3), ("b", None)])
def test_what_does_not_wait_is_not_held(ledger: Ledger, doc_id: str, version: int | None) -> None:
    hold(ledger)
    with ledger.view() as view, pytest.raises(NotFoundError):
        view.held(doc_id, version)


def test_approvals_gather_until_one_settles(ledger: Ledger) -> None:
    ingest = hold(ledger)
    decide(ledger, review_of(ingest, "review"))
    assert standings(ledger) == ["active", "quarantined"]
    sealed = decide(ledger, review_of(ingest, "other"), settles=True)
    assert standings(ledger) == ["superseded", "active"]
    with ledger.view() as view:
        said = view.said()
        assert [item.snapshot for item in said] == [sealed - 1, sealed]
        (passage, _) = view.passages(view.changes(sealed - 1).added)
        assert [item.envelope for item in passage.evidence.reviews] == [item.envelope for item in said]  # type: ignore[union-attr]
        assert view.waiting() == []


def test_a_rejection_takes_out_the_version_alone(ledger: Ledger) -> None:
    ingest = hold(ledger)
    decide(ledger, rejection(ingest), action="reject")
    assert standings(ledger) == ["active", "quarantined"]
    decide(ledger, rejection(ingest, "other"), settles=True, action="reject")
    assert standings(ledger) == ["active", "withdrawn"]
    with ledger.view() as view:
        assert view.record("acme").ruled == ("a",)
        assert [parse_statement(item.envelope.payload).reason for item in view.said()] == ["wrong", "wrong"]  # type: ignore[union-attr]
    with pytest.raises(NotFoundError, match="waits for nobody: it is withdrawn"):
        decide(ledger, review_of(ingest, "late"))


def test_an_assignment_is_sealed_by_name(ledger: Ledger) -> None:
    hold(ledger)
    for name in ("ann", "bob"):
        decide(ledger, None, reason=name)
    with ledger.view() as view:
        assert view.held("a").assigned == "bob"
        assert view.said() == []
        statement = parse_statement(view.envelope(view.snapshot().log_index).payload)
    assert isinstance(statement, SnapshotStatement)
    assert (statement.action, statement.reason) == ("review", "assign version 2 of a to bob")


def test_a_decision_is_about_what_waits(ledger: Ledger) -> None:
    ingest, other = hold(ledger), hold(ledger, 1, "b", "three")
    before = ledger.snapshot()
    for envelope, action in (
        (review_of(other, "review"), "approve"),
        (rejection(other), "reject"),
        (rejection(ingest), "approve"),
        (review_of(ingest, "review"), "reject"),
        (ingest, "approve"),
    ):
        with pytest.raises(LedgerError):
            decide(ledger, envelope, action=action, settles=True)
    with pytest.raises(NotFoundError):
        decide(ledger, review_of(ingest, "review"), version=1)
    assert ledger.snapshot() == before


def test_the_same_words_are_entered_once(ledger: Ledger) -> None:
    ingest = hold(ledger)
    decide(ledger, review_of(ingest, "review"))
    with pytest.raises(ConflictError, match="in the log already"):
        decide(ledger, review_of(ingest, "review"), settles=True)


def test_an_older_version_comes_after_no_newer_one(ledger: Ledger) -> None:
    ingest = hold(ledger)
    ledger.admit(admissions([Draft("a", 3, ("three",))]), SEALER, NOW)
    with pytest.raises(ConflictError, match="version 3 of a stands: version 2 is older"):
        decide(ledger, review_of(ingest, "review"), settles=True)
    decide(ledger, rejection(ingest), settles=True, action="reject")
    assert standings(ledger) == ["superseded", "withdrawn", "active"]


def test_what_stood_and_was_quarantined_waits_for_no_review(ledger: Ledger) -> None:
    ledger.rule([Ruling("quarantine", "doubtful", doc_id="a")], SEALER, NOW)
    with ledger.view() as view:
        assert view.waiting() == []
        with pytest.raises(NotFoundError, match="version 1 of a waits for nobody: it is quarantined"):
            view.held("a")


@pytest.mark.parametrize(
    ("action", "signed", "settles"),
    [("approve", False, False), ("assign", True, False), ("assign", False, True)],
)
def test_a_decision_that_is_none(ledger: Ledger, action: str, signed: bool, settles: bool) -> None:
    envelope = review_of(hold(ledger)) if signed else None
    with pytest.raises(ValueError, match="signs it"):
        Decision(action, "a", 2, "", envelope, settles)  # type: ignore[arg-type]
