"""The desk of a workspace: what a reviewer is shown, what is handed from machine to machine, what a decision changes."""

import json
import stat
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.provenance.forge import places
from trustrag.errors import ConfigError, MalformedError, NotFoundError, TrustragError, VerificationError
from trustrag.ingest.desk.casefile import read_case
from trustrag.ingest.document import Document
from trustrag.keyring import RecentQuestions
from trustrag.provenance.canonical import encode
from trustrag.publisher import Publisher
from trustrag.workspace import Workspace

PAGE = "Refunds are paid within {days} days after the letter has arrived. The accounts office signs each one."
HOUSE = "Refunds of the house are paid within 30 days after the letter has arrived. The accounts office signs each one."
LUNCH = "Lunch is served in the canteen at noon, and nobody pays for it."


def paper(doc_id: str, text: str) -> Document:
    return Document(doc_id, text.encode(), "text/plain", text)


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    """The house and a wiki say 30 days; the wiki's new version says 90, and waits for two of ann, bob and cid."""
    with Workspace.init(tmp_path / "kb", source="acme", embedder="hash") as made:
        made.add_source("wiki", owner="The Wiki")
        for name in ("ann", "bob", "cid"):
            made.reviews.add_reviewer(name)
        made.reviews.require(2, "wiki")
        made.ingest_documents([paper("house", HOUSE), paper("lunch", LUNCH)], source="acme")
        assert made.ingest_documents([paper("refunds", PAGE.format(days=30))], source="wiki").admitted
        assert made.ingest_documents([paper("refunds", PAGE.format(days=90))], source="wiki").quarantined
        yield made


def test_a_reviewer_is_shown_what_changed_and_who_disagrees(ws: Workspace) -> None:
    details = ws.reviews.show("refunds")
    assert (details.case.needed, details.case.shown.text) == (2, PAGE.format(days=90))
    assert [finding.code for finding in details.case.findings if finding.severity.decides] == [
        "CHANGED_VALUE"
    ]
    assert (details.stands, [(p.kind, p.text) for p in details.diff if p.kind != "same"]) == (
        1,
        [("gone", "30"), ("new", "90")],
    )
    assert [(near.says, near.doc_id) for near in details.neighbours] == [("differs", "house")]
    assert details.effect is None, "no questions are kept unless somebody says so"


def test_the_effect_counts_the_questions_that_would_change(ws: Workspace) -> None:
    ws.reviews.keep_questions(10)
    ws.search("Who pays for lunch in the canteen at noon?")
    ws.search("Refunds are paid within how many days after the letter has arrived?")
    effect = ws.reviews.show("refunds").effect
    assert effect is not None
    assert effect.asked == 2
    assert effect.changed == ("Refunds are paid within how many days after the letter has arrived?",)


def test_questions_are_few_and_nobody_elses(ws: Workspace) -> None:
    kept = RecentQuestions(ws.settings.store)
    ws.search("before")
    assert not kept.path.exists()
    ws.reviews.keep_questions(2)
    for question in ("one", "two", "three", "two"):
        ws.search(question)
    assert ws.reviews.questions() == ["three", "two"]
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o600
    assert not kept.path.is_relative_to(ws.folder)
    kept.path.write_text("{")
    ws.search("answered all the same")
    with pytest.raises(MalformedError, match="delete it"):
        ws.reviews.questions()
    ws.reviews.keep_questions(0)
    assert (ws.reviews.questions(), kept.path.exists()) == ([], False)
    with pytest.raises(ValueError, match="0 or more"):
        ws.reviews.keep_questions(-1)


def test_two_minds_wait_for_a_third(ws: Workspace) -> None:
    assert not ws.reviews.approve("refunds", by="ann", reason="it was read").settled
    assert not ws.reviews.reject("refunds", by="bob", reason="the house says 30").settled
    (case,), damaged = ws.reviews.waiting()
    assert (case.names(True), case.names(False), damaged) == (("ann",), ("bob",), ())
    decided = ws.reviews.reject("refunds", by="cid", reason="nobody announced it")
    assert (decided.settled, decided.have, decided.needed) == (True, 2, 2)
    assert [one.reason for one in ws.reviews.history("refunds")[2]] == [
        "it was read",
        "the house says 30",
        "nobody announced it",
    ]
    assert ws.read("refunds")[0].version == 1
    assert ws.audit().problems == ()


def test_what_two_approve_stands_under_their_names(ws: Workspace) -> None:
    ws.reviews.approve("refunds", by="ann", reason="it was read")
    assert ws.reviews.approve("refunds", by="cid", reason="it was read").settled
    (passage,) = ws.read("refunds")
    assert (passage.version, passage.reviewers) == (2, ("ann", "cid"))
    assert [row.standing for row in ws.history.document("refunds")] == ["superseded", "active"]
    assert ws.reviews.approvals("wiki") == 1
    assert ws.read("lunch")[0].reviewers == ()
    with pytest.raises(NotFoundError):
        ws.reviews.approve("refunds", by="bob", reason="it was read")


def test_whoever_holds_several_keys_says_who_decides(ws: Workspace) -> None:
    with pytest.raises(ConfigError, match=r"several reviewers \(ann, bob, cid\)"):
        ws.reviews.approve("refunds", reason="it was read")
    with pytest.raises(NotFoundError, match="no reviewer 'dan'"):
        ws.reviews.approve("refunds", by="dan", reason="it was read")


def test_who_left_has_said_what_they_said(ws: Workspace) -> None:
    ws.reviews.approve("refunds", by="ann", reason="it was read")
    ws.reviews.remove_reviewer("ann")
    assert ws.reviews.approve("refunds", by="bob", reason="it was read").settled
    assert ws.read("refunds")[0].reviewers == ("ann", "bob")


def test_where_every_document_needs_people_all_wait(ws: Workspace) -> None:
    ws.reviews.require(1)
    report = ws.ingest_documents([paper("new", "A new page about the harbour.")], source="acme")
    assert report.quarantined[0].reason == "waits for 1 more signed review"
    assert ws.reviews.approve("new", by="bob", reason="it was read").settled
    assert ws.read("new")[0].reviewers == ("bob",)


# ---- from machine to machine


@pytest.fixture
def case(ws: Workspace, tmp_path: Path) -> Path:
    ws.reviews.export("refunds", tmp_path / "case.json")
    return tmp_path / "case.json"


def test_a_verdict_is_signed_elsewhere(
    ws: Workspace, case: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TRUSTRAG_HOME", str(tmp_path / "dan"))
        key = Publisher.open(ws.authority.keys_folder).new_reviewer_key("dan")
    ws.reviews.add_reviewer("dan", public_key=key.hex)
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TRUSTRAG_HOME", str(tmp_path / "dan"))
        publisher = Publisher.open(ws.authority.keys_folder)
        shown, approval = publisher.approve(case, reason="it was read")
        with pytest.raises(ConfigError, match="review as ann"):
            publisher.approve(case, reason="it was read", by="ann")
    assert shown.text == PAGE.format(days=90)
    decided = ws.reviews.take(approval)
    assert (decided.by, decided.approves, decided.settled) == ("dan", True, False)
    with pytest.raises(TrustragError):
        ws.reviews.take(approval)


BENDS: list[Callable[[dict[str, Any]], object]] = [
    lambda v: v.update(format="urn:trustrag:held/v2"),
    lambda v: v.update(more=1),
    lambda v: v["chunks"].pop(),
    lambda v: v["chunks"].append(v["chunks"][0]),
    lambda v: v["chunks"][0].update(text="Refunds are paid within 30 days."),
    lambda v: v["chunks"][0].update(more=1),
    lambda v: v["source"].update(index=0),
    lambda v: v["source"].update(envelope=v["ingest"]["envelope"]),
    lambda v: v["ingest"].update(envelope=v["source"]["envelope"]),
    lambda v: v["ingest"].update(envelope="{}"),
]


@pytest.mark.parametrize("bend", BENDS)
def test_a_bent_case_is_not_shown(
    ws: Workspace, case: Path, bend: Callable[[dict[str, Any]], object]
) -> None:
    value = json.loads(case.read_bytes())
    bend(value)
    with pytest.raises((VerificationError, MalformedError)):
        read_case(encode(value), ws.policy)


def test_no_place_of_a_case_can_hold_something_else(ws: Workspace, case: Path) -> None:
    value = json.loads(case.read_bytes())
    for at in range(len(list(places(value)))):
        bent = json.loads(case.read_bytes())
        holder, name = list(places(bent))[at]
        if "findings" in (name,) or holder is bent["findings"]:
            continue  # what the screens noticed is not signed, and is shown as such
        holder[name] = None
        with pytest.raises((VerificationError, MalformedError)):
            read_case(encode(bent), ws.policy)


def test_another_policy_does_not_show_it(ws: Workspace, case: Path) -> None:
    read_case(case.read_bytes(), ws.policy)
    wiki = ws.authority.source("wiki")
    revoked = replace(wiki, keys=(replace(wiki.keys[0], revoked=True),))
    policy = replace(ws.policy, sources=(ws.policy.sources[0], revoked))
    with pytest.raises(VerificationError, match="REVOKED_KEY"):
        read_case(case.read_bytes(), policy)


def test_what_cannot_be_written_is_told(ws: Workspace, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"):
        ws.reviews.export("refunds", tmp_path / "no" / "such" / "case.json")


# ---- contracts


def test_a_signed_contract_is_in_force(ws: Workspace, tmp_path: Path) -> None:
    path = ws.contracts.init("wiki", tmp_path / "wiki.yaml")
    assert ws.contracts.of("wiki") is None
    signed = ws.contracts.sign(path)
    assert (signed.reviewers, ws.contracts.of("wiki")) == (2, signed)
    assert (ws.authority.source("wiki").contract, ws.authority.source("wiki").probation) == (
        signed.digest,
        False,
    )
    with pytest.raises(ConfigError, match="the contract of wiki says how many"):
        ws.reviews.require(0, "wiki")


def test_a_contract_begins_a_probation_once(ws: Workspace, tmp_path: Path) -> None:
    path = tmp_path / "wiki.yaml"
    ws.contracts.init("wiki", path)
    path.write_text(path.read_text().replace("# probation: 10", "probation: 1"))
    ws.reviews.approve("refunds", by="ann", reason="it was read")
    ws.contracts.sign(path)
    assert ws.authority.source("wiki").probation
    ws.reviews.approve("refunds", by="bob", reason="it was read")
    ws.authority.set_standing("wiki", probation=False)
    ws.contracts.sign(path)
    assert not ws.authority.source("wiki").probation, "enough of its documents were approved"


def test_a_contract_that_cannot_be_signed_changes_nothing(
    ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = ws.contracts.init("wiki", tmp_path / "wiki.yaml")
    kept = ws.folder / "contracts" / "wiki.yaml"

    def fails(*_: object, **__: object) -> None:
        raise ConfigError("no key here")

    for signed_before in (False, True):
        with monkeypatch.context() as broken:
            broken.setattr(type(ws.authority), "publish", fails)
            with pytest.raises(ConfigError, match="no key here"):
                ws.contracts.sign(path)
        assert kept.exists() is signed_before
        signed = ws.contracts.sign(path)
        path.write_text(path.read_text() + "# a line more\n")
    assert ws.contracts.of("wiki") is not None
    assert signed.digest == ws.authority.source("wiki").contract
