"""`ws.history`: what stood when, going back, and where a passage came from; on real folders with real keys."""

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from prov.model import ProvDocument

from tests.attacks.scene import at_home
from tests.reviewing import appoint, approve
from trustrag.cli.show import print_report
from trustrag.errors import (
    AuthorityError,
    ConfigError,
    ConflictError,
    MalformedError,
    NotFoundError,
    Refusal,
    SignatureError,
)
from trustrag.ingest.document import Document
from trustrag.langchain import ProvenanceRetriever, TrustedVectorStore
from trustrag.ledger import StoredPassage
from trustrag.provenance.envelope import sign
from trustrag.provenance.keys import PrivateKey
from trustrag.workspace import Workspace, approve_rollback, openlineage_of, prov_of
from trustrag.workspace.wiring import unix_now

DAY = 86_400
OLD, NEW = "Audit logs are kept for 30 days.", "Audit logs are kept for 90 days."


def document(doc_id: str, text: str) -> Document:
    return Document(doc_id, text.encode(), "text/plain", text, doc_id, {"title": doc_id})


def take_in(workspace: Workspace, source: str = "acme", **texts: str) -> None:
    documents = [document(f"{name}.txt", text) for name, text in texts.items()]
    report = workspace.ingest_documents(documents, source=source)
    assert len(report.admitted) + len(report.quarantined) == len(texts), report


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000

    def __call__(self) -> int:
        return self.now


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Snapshot 2 has logs, lunch and tea; 3 corrects logs, and adds coffee; 4 withdraws lunch."""
    root = tmp_path_factory.mktemp("built")
    with (
        at_home(root / "home"),
        Workspace.init(root / "kb", source="acme", embedder="hash", clock=Clock()) as made,
    ):
        take_in(made, logs=OLD, lunch="Lunch is at noon.", tea="Tea is green.")
        take_in(made, logs=NEW, coffee="Coffee is black.")
        made.rule("withdraw", doc_id="lunch.txt", reason="noon was wrong")
    return root


@pytest.fixture
def ws(built: Path, home: Path, tmp_path: Path) -> Iterator[Workspace]:
    """A copy of it that may be changed."""
    shutil.copytree(built / "home", home, dirs_exist_ok=True)
    shutil.copytree(built / "kb", tmp_path / "kb")
    with Workspace.open(tmp_path / "kb", clock=Clock()) as made:
        yield made


def standing(workspace: Workspace) -> dict[str, int]:
    return {row.doc_id: row.version for row in workspace.standing_documents()}


# ---- looking


def test_snapshots_say_what_was_done(ws: Workspace) -> None:
    facts = ws.history.snapshots()
    told = [
        (one.version, one.action, one.standing, one.added, one.removed, one.replaced, one.reason)
        for one in facts
    ]
    assert told == [
        (1, "publish", 0, 0, 0, 0, None),
        (2, "publish", 3, 3, 0, 0, None),
        (3, "publish", 4, 1, 0, 1, None),
        (4, "withdraw", 3, 0, 1, 0, "noon was wrong"),
    ]
    assert {one.refusal for one in facts} == {""}


def test_diff_names_what_differs_in_both_directions(ws: Workspace) -> None:
    found = ws.history.diff(2, 4)
    assert [(one.doc_id, one.kind, one.old, one.new) for one in found.changes] == [
        ("coffee.txt", "added", None, 1),
        ("logs.txt", "replaced", 1, 2),
        ("lunch.txt", "removed", 1, None),
    ]
    assert found.unchanged == 1
    back = ws.history.diff(4, 2)
    kinds = {"added": "removed", "removed": "added", "replaced": "replaced"}
    assert [(one.doc_id, kinds[one.kind], one.new, one.old) for one in back.changes] == [
        (one.doc_id, one.kind, one.old, one.new) for one in found.changes
    ]
    assert ws.history.diff(3, 3).changes == ()
    for wrong in ((0, 2), (2, 9)):
        with pytest.raises(NotFoundError):
            ws.history.diff(*wrong)


def test_text_diff_compares_proved_passages(ws: Workspace) -> None:
    lines = ws.history.text_diff(2, 4, "logs.txt")
    assert lines == ["--- logs.txt version 1", "+++ logs.txt version 2", "@@ -1 +1 @@", f"-{OLD}", f"+{NEW}"]
    assert f"-{'Lunch is at noon.'}" in ws.history.text_diff(3, 4, "lunch.txt")
    assert ws.history.text_diff(2, 3, "tea.txt") == []
    with pytest.raises(NotFoundError, match="stood in snapshot 1 or 2"):
        ws.history.text_diff(1, 2, "coffee.txt")


def test_events_are_every_snapshot_that_touched_a_document(ws: Workspace) -> None:
    told = [(one.snapshot, one.action, one.ended, one.began) for one in ws.history.events("logs.txt")]
    assert told == [(2, "publish", None, 1), (3, "publish", 1, 2)]
    assert [one.action for one in ws.history.events("lunch.txt")] == ["publish", "withdraw"]
    assert ws.history.events("never seen") == ()


# ---- searching the past


def test_a_search_of_the_past_says_so(ws: Workspace) -> None:
    report = ws.search("audit logs", at=2)
    first = report.passages[0].passage
    assert (first.text, first.version, first.snapshot_version) == (OLD, 1, 2)
    assert report.as_of == first.as_of == report.snapshot.issued_at == 1_800_000_000
    assert {one.passage.doc_id for one in report.passages} == {"logs.txt", "lunch.txt", "tea.txt"}
    now = ws.search("audit logs")
    assert (now.as_of, now.passages[0].passage.as_of) == (None, None)
    assert now.passages[0].passage.text == NEW
    with pytest.raises(ValueError, match="are of the past"):
        report.evidence()
    with pytest.raises(NotFoundError, match="no snapshot 9"):
        ws.search("audit logs", at=9)
    assert ws.search("audit logs", at=1).passages == ()


def test_filters_hold_in_the_past_too(ws: Workspace) -> None:
    ws.add_source("wiki", scope="default/default")
    take_in(ws, "wiki", wiki="Audit logs are on the wiki.")
    take_in(ws, "wiki", wiki="Audit logs are not on the wiki.")
    report = ws.search("audit logs", at=5, sources="wiki")
    assert [one.passage.text for one in report.passages] == ["Audit logs are on the wiki."]
    report = ws.search("audit logs", at=5, where={"title": "tea.txt"})
    assert [one.passage.doc_id for one in report.passages] == ["tea.txt"]
    assert report.faults == ()


def test_a_source_that_was_suspended_since_is_silent_about_the_past(ws: Workspace) -> None:
    ws.authority.set_active("acme", False)
    report = ws.search("audit logs", at=2)
    assert report.passages == ()
    assert {one.refusal for one in report.refused} == {Refusal.REVOKED_KEY}


def test_langchain_tells_the_past_from_the_present(ws: Workspace) -> None:
    (then, *_) = ProvenanceRetriever(workspace=ws, k=1, at=2).invoke("audit logs")
    (now, *_) = ProvenanceRetriever(workspace=ws, k=1).invoke("audit logs")
    assert (then.page_content, then.metadata["trustrag"]["as_of"]) == (OLD, 1_800_000_000)
    assert (now.page_content, now.metadata["trustrag"]["as_of"]) == (NEW, None)
    store = TrustedVectorStore(ws)
    assert store.similarity_search("audit logs", k=1, at=2)[0].metadata["trustrag"]["snapshot"] == 2


# ---- going back


def test_a_rollback_is_a_new_snapshot_and_undoes_no_withdrawal(ws: Workspace) -> None:
    plan = ws.history.plan(2)
    assert [(one.doc_id, one.version) for one in plan.back] == [("logs.txt", 1)]
    assert plan.gone == ("coffee.txt",)
    assert [(one.doc_id, one.version) for one in plan.left_out] == [("lunch.txt", 1)]
    assert "snapshot 4 took it out since (withdraw)" in plan.left_out[0].reason
    assert standing(ws) == {"logs.txt": 2, "tea.txt": 1, "coffee.txt": 1}

    done = ws.history.rollback(2, reason="a bad batch")
    assert (done.snapshot.version, done.snapshot.action, done.step) == (5, "rollback", plan)
    assert standing(ws) == {"logs.txt": 1, "tea.txt": 1}
    assert ws.search("audit logs").passages[0].passage.text == OLD
    assert {one.passage.doc_id for one in ws.search("lunch coffee").passages} == {"logs.txt", "tea.txt"}
    assert ws.audit().problems == ()
    newest = ws.history.snapshots()[-1]
    assert (newest.action, newest.target, newest.reason, newest.approved_by) == (
        "rollback",
        2,
        "a bad batch",
        (),
    )
    with pytest.raises(ConflictError, match="nothing to roll back"):
        ws.history.rollback(2, reason="again")


def test_a_rollback_can_be_rolled_back(ws: Workspace) -> None:
    ws.history.rollback(2, reason="a bad batch")
    ws.history.rollback(4, reason="it was not")
    assert standing(ws) == {"logs.txt": 2, "tea.txt": 1, "coffee.txt": 1}
    take_in(ws, logs="Audit logs are kept for 60 days.")
    assert standing(ws)["logs.txt"] == 3
    assert ws.audit().problems == ()


def test_what_was_restored_by_name_since_comes_back(ws: Workspace) -> None:
    ws.rule("restore", doc_id="lunch.txt", reason="it was right")
    take_in(ws, lunch="Lunch is at one.")
    ws.history.rollback(2, reason="a bad batch")
    assert standing(ws)["lunch.txt"] == 1


def test_a_version_published_after_a_withdrawal_does_not_bring_the_withdrawn_one_back(ws: Workspace) -> None:
    take_in(ws, lunch="Lunch is at one.")
    done = ws.history.rollback(2, reason="a bad batch")
    assert "lunch.txt" in done.step.gone
    assert [one.doc_id for one in done.step.left_out] == ["lunch.txt"]
    assert "lunch.txt" not in standing(ws)


def test_what_the_gate_refuses_today_is_left_out_by_name(ws: Workspace) -> None:
    ws.add_source("wiki", scope="default/default")
    take_in(ws, "wiki", wiki="One.", page="Two.")
    take_in(ws, "wiki", wiki="Three.")
    ws.authority.set_active("wiki", False)
    done = ws.history.rollback(5, reason="x")
    assert [(one.doc_id, one.version) for one in done.step.left_out] == [("wiki.txt", 1)]
    assert "source wiki is suspended" in done.step.left_out[0].reason
    assert done.step.gone == ("wiki.txt",)
    # What stood then and stands now was not touched: it speaks again when its source does.
    assert "page.txt" in standing(ws)


def test_only_the_past_can_be_gone_back_to(ws: Workspace) -> None:
    for wrong in (0, 4, 9):
        with pytest.raises(NotFoundError, match="to go back to"):
            ws.history.plan(wrong)
    with pytest.raises(MalformedError, match="reason"):
        ws.history.rollback(2, reason="")
    assert ws.history.snapshots()[-1].version == 4


def reviewed(ws: Workspace) -> list[object]:
    """Two of three people have to agree; they agreed to the logs in two versions: snapshots 7 and 10."""
    people = appoint(ws, "anna", "ben", "cleo", threshold=2)
    for text in ("Audit logs are kept for 10 days.", "Audit logs are kept for 20 days."):
        take_in(ws, logs=text)
        approve(ws, "logs.txt", "anna", "ben")
    return list(people)


def test_reviewers_approve_a_rollback_somewhere_else(ws: Workspace, tmp_path: Path) -> None:
    anna, _ben, cleo = reviewed(ws)
    with pytest.raises(AuthorityError, match="0 of 2 reviewers approve") as caught:
        ws.history.rollback(7, reason="wrong")
    assert caught.value.refusal is Refusal.BELOW_THRESHOLD
    proposal = ws.history.propose(7, reason="wrong")
    file = tmp_path / "approvals.jsonl"
    given = [approve_rollback(ws.authority, proposal, key=who.public_key.key_id)[0] for who in (anna, cleo)]  # type: ignore[attr-defined]
    file.write_bytes(given[0].encode() + b"\n\n" + given[1].encode())
    done = ws.history.rollback(7, reason="wrong", approvals=file)
    assert done.snapshot.reason == "wrong"
    assert ws.search("audit logs").passages[0].passage.text == "Audit logs are kept for 10 days."
    newest = ws.history.snapshots()[-1]
    assert newest.approved_by == tuple(who.public_key.key_id for who in (anna, cleo))  # type: ignore[attr-defined]
    # Documents that only the screens approved stand in the ledger and are refused, as they were before.
    assert all("of 2 reviewers" in one.what for one in ws.audit().problems)


def test_approvals_that_are_not_enough(ws: Workspace, tmp_path: Path) -> None:
    anna, ben, _ = reviewed(ws)
    proposal = ws.history.propose(7, reason="wrong")
    one = sign(proposal, anna)  # type: ignore[arg-type]
    stranger = sign(proposal, PrivateKey.generate())
    seal = sign(proposal, ws._opened.sealer().seal)
    for approvals, refusal in (
        ([one], Refusal.BELOW_THRESHOLD),
        ([one, one], Refusal.BELOW_THRESHOLD),
        ([one, seal], Refusal.BELOW_THRESHOLD),
        ([one, stranger], Refusal.UNKNOWN_KEY),
        ([one, sign(ws.history.propose(4, reason="wrong"), ben)], Refusal.BELOW_THRESHOLD),  # type: ignore[arg-type]
    ):
        with pytest.raises(AuthorityError) as caught:
            ws.history.rollback(7, reason="wrong", approvals=approvals)
        assert caught.value.refusal is refusal, approvals
    forged = replace(sign(proposal, ben), signature=one.signature)  # type: ignore[arg-type]
    with pytest.raises(SignatureError):
        ws.history.rollback(7, reason="wrong", approvals=[one, forged])
    both = [one, sign(proposal, ben)]  # type: ignore[arg-type]
    for target, reason in ((4, "wrong"), (7, "another reason")):
        with pytest.raises(AuthorityError, match="another step"):
            ws.history.rollback(target, reason=reason, approvals=both)
    with pytest.raises(MalformedError, match="is a ReviewStatement"):
        ws.history.rollback(7, reason="wrong", approvals=[ws_review(ws)])
    take_in(ws, tea="Tea is black.")
    with pytest.raises(AuthorityError, match="another step"):
        ws.history.rollback(7, reason="wrong", approvals=both)
    (tmp_path / "bad").write_text("nonsense\n")
    with pytest.raises(MalformedError, match="bad:1 is not an approval"):
        ws.history.rollback(7, reason="wrong", approvals=tmp_path / "bad")
    with pytest.raises(ConfigError, match="cannot be read"):
        ws.history.rollback(7, reason="wrong", approvals=tmp_path / "none")


def ws_review(ws: Workspace) -> object:
    """Some review that lies in the log."""
    with ws._opened.reader().view() as view:
        return next(
            envelope
            for envelope in map(view.envelope, range(view.snapshot().log_size))
            if b"svr/v0.2" in envelope.payload
        )


def test_a_reviewer_signs_only_a_rollback_of_this_store(ws: Workspace, tmp_path: Path) -> None:
    appoint(ws, "anna", threshold=0)
    proposal = ws.history.propose(2, reason="x")
    with pytest.raises(ConfigError, match="no key that may approve"):
        ws.history.approve(proposal, key="ffff")
    with pytest.raises(MalformedError):
        ws.history.approve(b"{}")
    with (
        Workspace.init(tmp_path / "two", source="acme", embedder="hash") as two,
        pytest.raises(AuthorityError, match="another store"),
    ):
        two.history.approve(proposal)


# ---- where a passage came from


def test_a_chain_goes_from_the_file_to_the_answer(ws: Workspace) -> None:
    chain = ws.history.chain("logs.txt:0")
    assert chain.holds
    assert (chain.standing, chain.version, chain.text) == (True, 2, NEW)
    names = [link.name for link in chain.links]
    assert names == [
        *("file", "attestation", "ingest", "review", "approval", "findings", "chunk", "touched", "touched"),
        *("standing", "snapshot", "checkpoint", "witnesses", "policy", "answer"),
    ]
    assert chain.named("attestation")[0].facts["source"] == "acme"
    assert chain.named("witnesses")[0].verdict == "none"
    assert {link.verdict for link in chain.links} == {"verified", "none", "unsigned"}
    for passage in ("logs.txt", "logs.txt:0"):
        assert ws.history.chain(passage) == chain


def test_a_chain_of_what_stands_no_more_ends_where_it_stood(ws: Workspace) -> None:
    chain = ws.history.chain("lunch.txt")
    assert (chain.standing, chain.snapshot, chain.holds) == (False, 3, True)
    assert [link.facts["action"] for link in chain.named("touched")] == ["publish", "withdraw"]
    then = ws.history.chain("logs.txt:0", at=2)
    assert (then.version, then.text, then.standing) == (1, OLD, False)


@pytest.mark.parametrize(
    "passage", ["nothing", "logs.txt:1", "logs.txt:99999999999", ":0", "", "logs.txt:-1"]
)
def test_a_chain_of_nothing(ws: Workspace, passage: str) -> None:
    with pytest.raises(NotFoundError):
        ws.history.chain(passage)


def test_a_document_may_be_called_like_a_chunk_and_takes_no_name_from_one(ws: Workspace) -> None:
    texts = {
        "logs.txt:0": "A name of its own.",
        "urn:x:7": "A name with colons.",
        "plans.csv#1": "A row of a table.",
    }
    documents = [document(doc_id, text) for doc_id, text in texts.items()]
    assert len(ws.ingest_documents(documents, source="acme").admitted) == 3
    assert ws.history.chain("logs.txt:0").text == NEW
    for doc_id, text in texts.items():
        assert ws.history.chain(f"{doc_id}:0").text == text
    assert ws.history.chain("urn:x:7").text == texts["urn:x:7"], (
        "no document urn:x, so the name is meant whole"
    )
    assert ws.history.chain("plans.csv#1").text == texts["plans.csv#1"]


def test_what_a_search_prints_is_taken_by_chain(ws: Workspace, capsys: pytest.CaptureFixture[str]) -> None:
    ws.ingest_documents([document("a b.csv#1", "Lunch is at noon, row by row.")], source="acme")
    print_report(ws.search("lunch at noon", k=1))
    shown = capsys.readouterr().out.splitlines()[0].removeprefix("1. ")
    assert shown == "a b.csv#1:0"
    assert ws.history.chain(shown).text == "Lunch is at noon, row by row."


def test_a_broken_link_is_named_and_the_others_are_still_told(ws: Workspace) -> None:
    ws.authority.set_active("acme", False)
    chain = ws.history.chain("logs.txt")
    assert not chain.holds
    broken = {link.name: link.verdict for link in chain.links if link.verdict.isupper()}
    assert broken == dict.fromkeys(("attestation", "approval", "answer"), "REVOKED_KEY")


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        ("UPDATE chunk SET text = 'x' WHERE id = {chunk}", {"chunk": "TAMPERED_TEXT"}),
        ("UPDATE chunk SET text_digest = zeroblob(32) WHERE id = {chunk}", {"chunk": "TAMPERED_TEXT"}),
        ("UPDATE chunk SET span_end = 5 WHERE id = {chunk}", {"chunk": "NOT_IN_SNAPSHOT"}),
        ("UPDATE version SET metadata = X'7B7D' WHERE {version}", {"chunk": "TAMPERED_METADATA"}),
        (
            "UPDATE version SET document = zeroblob(32) WHERE {version}",
            {"file": "NOT_IN_SNAPSHOT", "chunk": "NOT_IN_SNAPSHOT"},
        ),
        (
            "UPDATE entry SET envelope = (SELECT envelope FROM entry WHERE idx = 1) WHERE idx = {source}",
            {"attestation": "NOT_IN_SNAPSHOT"},
        ),
        (
            "UPDATE entry SET envelope = (SELECT envelope FROM entry WHERE idx = {source}) WHERE idx = {ingest}",
            {"ingest": "UNKNOWN_KEY", "review": "NOT_IN_SNAPSHOT", "approval": "UNKNOWN_KEY"},
        ),
    ],
)
def test_each_link_is_held_against_what_was_signed(
    ws: Workspace, statement: str, broken: dict[str, str]
) -> None:
    (newest,) = [row for row in ws.history.document("logs.txt") if row.standing == "active"]
    with ws._opened.reader().view() as view:
        stored = view.passages([newest.first_chunk])[0]
    assert isinstance(stored, StoredPassage)
    entry = stored.evidence.entry
    with closing(sqlite3.connect(ws.folder / "ledger.db")) as database, database:
        made = statement.format(
            chunk=newest.first_chunk,
            version=f"id = {newest.row}",
            source=entry.source_index,
            ingest=entry.ingest_index,
        )
        assert database.execute(made).rowcount == 1
    chain = ws.history.chain("logs.txt")
    found = {link.name: link.verdict for link in chain.links if link.verdict.isupper()}
    assert found.pop("answer") in found.values()
    assert found == broken
    assert not chain.holds
    assert all(link.reason for link in chain.links if link.verdict.isupper())


def test_the_past_as_of_now_is_what_an_exact_search_finds(ws: Workspace) -> None:
    now, then = ws.search("audit logs coffee"), ws.search("audit logs coffee", at=4)
    assert [(one.passage.text, one.score) for one in now.passages] == [
        (one.passage.text, pytest.approx(one.score, abs=1e-6)) for one in then.passages
    ]
    assert then.as_of is not None


def test_what_was_gone_back_from_is_not_taken_in_again_by_a_nightly_run(ws: Workspace) -> None:
    ws.history.rollback(2, reason="a bad batch")
    report = ws.ingest_documents(
        [document("logs.txt", NEW), document("coffee.txt", "Coffee is black.")], source="acme"
    )
    told = {outcome.doc_id: outcome.reason for outcome in report.refused}
    assert "trustrag rollback goes forward again" in told["logs.txt"]
    assert "restore that one" in told["coffee.txt"]
    ws.rule("restore", doc_id="coffee.txt", reason="it is black")
    assert standing(ws) == {"logs.txt": 1, "tea.txt": 1, "coffee.txt": 1}


@pytest.mark.parametrize("passage", ["logs.txt", "lunch.txt"])
def test_the_exports_are_what_they_say(ws: Workspace, passage: str) -> None:
    chain = ws.history.chain(passage)
    written = json.dumps(prov_of(chain, ws.policy.context))
    document = ProvDocument.deserialize(content=written, format="json")
    kinds = {str(record.get_type()) for record in document.get_records()}
    assert {"prov:Entity", "prov:Activity", "prov:Agent", "prov:Generation", "prov:Derivation"} <= kinds
    again = StringIO()
    document.serialize(again, format="json")
    assert json.loads(again.getvalue()).keys() == json.loads(written).keys()
    document.get_provn()

    events = openlineage_of(chain, ws.policy.context)
    assert [event["job"]["name"] for event in events] == ["attest", "ingest", "review", "seal"]  # type: ignore[index]
    for event in events:
        as_their_client_reads_it(json.loads(json.dumps(event)))
    assert openlineage_of(chain, ws.policy.context) == events


def as_their_client_reads_it(event: dict[str, object]) -> None:
    """Build the event again with OpenLineage's own classes, which check what they are given."""
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
    from openlineage.client.serde import Serde

    run, job = event["run"], event["job"]
    assert isinstance(run, dict)
    assert isinstance(job, dict)
    made = RunEvent(
        eventType=RunState[str(event["eventType"])],
        eventTime=str(event["eventTime"]),
        run=Run(run["runId"]),
        job=Job(**job),
        producer=str(event["producer"]),
        inputs=[InputDataset(**one) for one in event["inputs"]],  # type: ignore[attr-defined]
        outputs=[OutputDataset(**one) for one in event["outputs"]],  # type: ignore[attr-defined]
    )
    theirs = json.loads(Serde.to_json(made))
    for name in ("eventTime", "eventType", "producer"):
        assert theirs[name] == event[name]
    assert theirs["run"]["runId"] == run["runId"]
    assert [one["name"] for one in theirs["inputs"]] == [one["name"] for one in event["inputs"]]  # type: ignore[attr-defined]
    assert theirs["schemaURL"].partition("#")[2] == str(event["schemaURL"]).partition("#")[2]


# ---- rulings in every process

_ASK = """
import sys
from trustrag.workspace import Workspace
with Workspace.open(sys.argv[1]) as ws:
    for line in sys.stdin:
        print(*sorted({one.passage.source for one in ws.search("audit logs", k=10).passages}), flush=True)
"""


def test_a_whole_source_is_silent_at_the_next_query_of_another_process(tmp_path: Path) -> None:
    with Workspace.init(tmp_path / "kb", source="acme", embedder="hash", clock=unix_now) as ws:
        ws.add_source("wiki", scope="default/default")
        take_in(ws, logs=NEW)
        take_in(ws, "wiki", **{f"page{number}": f"Audit logs, page {number}." for number in range(40)})
        command = [sys.executable, "-c", _ASK, str(ws.folder)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdin is not None
            assert other.stdout is not None

            def asked() -> str:
                print(file=other.stdin, flush=True)
                return other.stdout.readline().strip()  # type: ignore[union-attr]

            assert asked() == "acme wiki"
            before = ws.history.snapshots()[-1]
            sealed = ws.rule("withdraw", source="wiki", reason="it was sold")
            assert asked() == "acme"
            other.stdin.close()
    assert (sealed.version, sealed.log_size) == (before.version + 1, before.log_index + 3)
