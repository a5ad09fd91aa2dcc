"""Attacks on going back: approvals that are too few or of something else, forged pasts, rows edited beforehand, death."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from nacl.signing import SigningKey

from tests.attacks.envelopes import canonical, envelope, payload_of
from tests.attacks.scene import NOW, OLD_RETENTION, QUESTION, Scene, attack, document, not_stopped
from tests.reviewing import appoint
from trustrag.errors import (
    AuthorityError,
    LedgerError,
    NotFoundError,
    Refusal,
    TrustragError,
    VerificationError,
)
from trustrag.workspace import SearchReport, Workspace, approve_rollback

THEN = 4  # the snapshot of last week: one retention, nothing recalled, nothing doubted


def roll_back(scene: Scene, *approvals: str, to: int = THEN, reason: str = "a bad week") -> object:
    """The operator goes back, with what lies in these files."""
    with scene.open() as operator:
        file = scene.root / "given.jsonl"
        file.write_text("".join((scene.root / name).read_text() for name in approvals))
        return operator.history.rollback(to, reason=reason, approvals=file if approvals else ())


def proposed(scene: Scene, to: int = THEN) -> bytes:
    with scene.open() as operator:
        return operator.history.propose(to, reason="a bad week")


def signed_by(scene: Scene, name: str, proposal: bytes, key_id: str) -> str:
    """A reviewer's approval, in a file of its own."""
    with scene.open() as reviewer:
        given, _ = approve_rollback(reviewer.authority, proposal, key=key_id)
    (scene.root / name).write_bytes(given.encode() + b"\n")
    return name


def people(scene: Scene, threshold: int) -> list[str]:
    """The key ids of three reviewers, so many of whom have to agree."""
    with scene.open() as operator:
        made = appoint(operator, "anna", "ben", "cleo", threshold=threshold)
    return [signer.public_key.key_id for signer in made]


def search_then(scene: Scene, at: int = THEN) -> SearchReport:
    """Ask for what stood; nothing that comes back may be anything but what stood."""
    with scene.open() as client:
        report = client.search(QUESTION, at=at, k=10)
    texts = {one.passage.text for one in report.passages if one.passage.doc_id == "retention.txt"}
    assert texts <= {OLD_RETENTION}
    assert all(one.passage.as_of is not None for one in report.passages)
    return report


def last(scene: Scene) -> int:
    ((version,),) = scene.ask_sql("SELECT max(version) FROM snapshot")
    return int(str(version))


@attack(
    "roll back below the reviewers' threshold, also with one reviewer twice, or a reviewer's name on another key",
    "distinct raw keys of the policy's reviewers, over the same bytes",
)
def test_rollback_below_threshold(scene: Scene) -> None:
    anna, _, _ = people(scene, 2)
    before, proposal = last(scene), proposed(scene)
    one = signed_by(scene, "anna", proposal, anna)
    scene.fails(AuthorityError, "0 of 2", lambda: roll_back(scene))
    scene.fails(AuthorityError, "1 of 2", lambda: roll_back(scene, one))
    scene.fails(AuthorityError, "1 of 2", lambda: roll_back(scene, one, one))
    key = SigningKey.generate()
    for key_id in (None, anna):
        (scene.root / "stranger").write_bytes(canonical(envelope(proposal, key, key_id=key_id)) + b"\n")
        scene.fails(VerificationError, "", lambda: roll_back(scene, one, "stranger"))
    assert last(scene) == before


@attack(
    "replay approvals for another target, another reason, or once something else was sealed",
    "an approval names both snapshots by their roots, and the reason",
)
def test_replayed_approvals(scene: Scene) -> None:
    anna, ben, _ = people(scene, 2)
    proposal = proposed(scene)
    both = [signed_by(scene, name, proposal, key) for name, key in (("anna", anna), ("ben", ben))]
    before = last(scene)
    scene.fails(AuthorityError, "another step", lambda: roll_back(scene, *both, to=THEN - 1))
    scene.fails(AuthorityError, "another step", lambda: roll_back(scene, *both, reason="another"))
    bent = payload_of((scene.root / "anna").read_bytes()).replace(b'"target":4', b'"target":3')
    forged = json.loads((scene.root / "anna").read_bytes())
    forged["payload"] = envelope(bent, SigningKey.generate())["payload"]
    (scene.root / "forged").write_bytes(canonical(forged) + b"\n")
    scene.fails(TrustragError, "", lambda: roll_back(scene, "forged", both[1], to=THEN - 1))
    assert last(scene) == before
    with scene.open() as operator:
        operator.rule("quarantine", doc_id="travel.txt", reason="somebody asked")
    scene.fails(AuthorityError, "another step", lambda: roll_back(scene, *both))
    assert last(scene) == before + 1


@attack(
    "show a forged snapshot to whoever asks for the past",
    "it is in today's log, by a seal key, under its own version, or it is none",
)
def test_forged_past(scene: Scene) -> None:
    assert search_then(scene).passages
    root = os.urandom(32)
    ((honest,),) = scene.ask_sql("SELECT root FROM snapshot WHERE version = ?", THEN)
    # A row that says another root is not asked; one that points elsewhere shows another entry.
    scene.sql("UPDATE snapshot SET root = ? WHERE version = ?", root, THEN)
    assert search_then(scene).passages
    scene.sql("UPDATE snapshot SET root = ? WHERE version = ?", honest, THEN)
    ((index,),) = scene.ask_sql("SELECT log_index FROM snapshot WHERE version = ?", THEN)
    ((other,),) = scene.ask_sql("SELECT log_index FROM snapshot WHERE version = 2")
    scene.sql("UPDATE snapshot SET log_index = ? WHERE version = ?", other, THEN)
    scene.fails(VerificationError, "NOT_IN_SNAPSHOT", lambda: search_then(scene))
    scene.sql("UPDATE snapshot SET log_index = ? WHERE version = ?", index, THEN)
    # A whole snapshot of its own making, by a key of its own, or under the honest one's signature.
    ((data,),) = scene.ask_sql("SELECT envelope FROM entry WHERE idx = ?", index)
    statement = json.loads(payload_of(data))  # type: ignore[arg-type]
    statement["subject"][0]["digest"]["sha256"] = root.hex()
    own = envelope(canonical(statement), SigningKey.generate())
    borrowed = json.loads(data)  # type: ignore[arg-type]
    borrowed["payload"] = own["payload"]
    for made in (own, borrowed):
        scene.sql("UPDATE entry SET envelope = ? WHERE idx = ?", canonical(made), index)
        scene.fails(VerificationError, "", lambda: search_then(scene))


@attack(
    "have a snapshot of the past shown as what stands",
    "what stands is its tree's last entry; the past is a type of its own",
)
def test_past_for_present(scene: Scene) -> None:
    scene.sql("UPDATE standing SET until = NULL WHERE doc_id = 'recalled.txt'")
    scene.sql("UPDATE version SET standing = 'active' WHERE doc_id = 'recalled.txt'")
    scene.refuses_passage(Refusal.NOT_IN_SNAPSHOT, "recalled.txt", "What does the blue filter hold back?")
    with scene.open() as client:
        then = client.search("What does the blue filter hold back?", at=THEN)
    assert "recalled.txt" in {one.passage.doc_id for one in then.passages}
    assert then.as_of is not None


@attack(
    "edit texts, vectors or what stood, and wait until somebody asks for the past",
    "hashed on every query, under the root of then",
)
def test_edited_past(scene: Scene) -> None:
    chunk = scene.chunk("retention.txt", version=1)
    scene.sql("UPDATE chunk SET text = 'Audit logs are kept for ever.' WHERE id = ?", chunk)
    refused = {(one.doc_id, one.refusal) for one in search_then(scene).refused}
    assert ("retention.txt", Refusal.TAMPERED_TEXT) in refused
    scene.say(Refusal.TAMPERED_TEXT)
    newer = "(SELECT id FROM version WHERE doc_id = 'retention.txt' AND version = 2)"
    older = "(SELECT id FROM version WHERE doc_id = 'retention.txt' AND version = 1)"
    scene.sql(f"UPDATE standing SET since = 2 WHERE version = {newer}")
    scene.sql(f"UPDATE standing SET since = 6, until = 7 WHERE version = {older}")
    report = search_then(scene)
    assert not report.passages
    assert {one.refusal for one in report.refused} >= {Refusal.NOT_IN_SNAPSHOT}
    scene.say(Refusal.NOT_IN_SNAPSHOT)


@attack(
    "ask for the past to hear a source that was suspended since",
    "who may speak is asked of today's policy, about the past as well",
)
def test_suspended_source_in_the_past(scene: Scene) -> None:
    report = search_then(scene)
    assert "lab" not in {one.passage.source for one in report.passages}
    assert ("lab/logs.txt", Refusal.REVOKED_KEY) in {(one.doc_id, one.refusal) for one in report.refused}
    scene.say(Refusal.REVOKED_KEY)


EDITS: dict[str, str] = {
    "what stood is said to have begun later": "UPDATE standing SET since = 6 WHERE doc_id = 'travel.txt'",
    "what stood is said to have ended": "UPDATE standing SET until = 5 WHERE doc_id = 'travel.txt'",
    "what was taken out is said to stand": "UPDATE standing SET until = NULL WHERE doc_id = 'recalled.txt'",
    "another entry is filed": "UPDATE standing SET entry = (SELECT entry FROM standing WHERE"
    " doc_id = 'recalled.txt') WHERE doc_id = 'travel.txt'",
    "a snapshot is missing": "DELETE FROM snapshot WHERE version = 5",
    "a snapshot is another": "UPDATE snapshot SET log_index = (SELECT log_index FROM snapshot WHERE version = 4)"
    " WHERE version = 5",
}


@attack(
    "edit what the rows say stood, before a difference is told or a rollback made",
    "each step has to lead from one signed root to the next",
)
def test_edited_rows_before_going_back(scene: Scene) -> None:
    pristine = (scene.folder / "ledger.db").read_bytes()
    for statement in EDITS.values():
        scene.sql(statement)
        before = last(scene)
        with scene.open() as client:
            looks: list[Callable[[], object]] = [
                lambda client=client: client.history.diff(THEN, 7),  # type: ignore[misc]
                lambda client=client: client.history.snapshots(),  # type: ignore[misc]
                lambda client=client: client.history.chain("travel.txt"),  # type: ignore[misc]
                lambda client=client: client.history.plan(THEN),  # type: ignore[misc]
            ]
            for look in looks:
                scene.fails(LedgerError, "ledger.db", look)
        scene.fails(LedgerError, "ledger.db", lambda: roll_back(scene))
        assert last(scene) == before
        for path in scene.folder.glob("ledger.db*"):
            path.unlink()
        (scene.folder / "ledger.db").write_bytes(pristine)


@attack(
    "say in rows that nobody withdrew it, and wait for a rollback to bring it back",
    "what was done since is read from the signed snapshots",
)
def test_rollback_brings_no_withdrawn_document_back(scene: Scene) -> None:
    scene.sql("DELETE FROM ruling")
    scene.sql("UPDATE snapshot SET action = 'publish', reason = NULL WHERE version > 4")
    scene.sql("UPDATE version SET standing = 'superseded' WHERE doc_id = 'recalled.txt'")
    with scene.open() as operator:
        done = operator.history.rollback(THEN, reason="a bad week")
    assert {one.doc_id for one in done.step.left_out} == {"recalled.txt", "doubtful.txt"}
    with scene.open() as client:
        assert [one.text for one in client.read("retention.txt")] == [OLD_RETENTION]
        for name in ("recalled.txt", "doubtful.txt"):
            scene.fails(NotFoundError, "", lambda name=name: client.read(name))  # type: ignore[misc]


@attack(
    "edit a version's row, or a text, and wait for a rollback to bring it back",
    "the row has to be the one that was signed; the gate proves what comes back",
)
def test_rollback_brings_back_what_was_signed(scene: Scene) -> None:
    chunk = scene.chunk("retention.txt", version=1)
    scene.sql("UPDATE chunk SET text = 'Audit logs are kept for ever.' WHERE id = ?", chunk)
    with scene.open() as operator:
        step = operator.history.plan(THEN)
    assert ("retention.txt", 1) in {(one.doc_id, one.version) for one in step.left_out}
    assert any("TAMPERED_TEXT" in one.reason for one in step.left_out)
    scene.sql("UPDATE chunk SET text = ? WHERE id = ?", OLD_RETENTION, chunk)
    scene.sql(
        "UPDATE version SET document = ? WHERE doc_id = 'retention.txt' AND version = 1", os.urandom(32)
    )
    before = last(scene)
    scene.fails(TrustragError, "", lambda: nothing_or_named(scene, before))


def nothing_or_named(scene: Scene, before: int) -> None:
    """A rollback that leaves the bent version out, and says so; else it fails and nothing is sealed."""
    with scene.open() as operator:
        try:
            done = operator.history.rollback(THEN, reason="a bad week")
        except LedgerError:
            assert last(scene) == before
            raise
    assert "retention.txt" in {one.doc_id for one in done.step.left_out}
    raise VerificationError(Refusal.NOT_IN_SNAPSHOT, done.step.left_out[-1].reason)


_CHILD = """
import sys, time
from trustrag.workspace import Workspace
with Workspace.open(sys.argv[1], clock=lambda: int(sys.argv[2])) as ws:
    while True:
        done = ws.history.rollback(ws.history.snapshots()[-1].version - 1, reason="back and forth")
        print(done.snapshot.version, flush=True)
"""


@attack(
    "kill -9 during a rollback, again and again",
    "one transaction from the first row to the signed checkpoint",
)
def test_killed_rollback(scene: Scene) -> None:
    with scene.open() as operator:
        old = {row.doc_id for row in operator.standing_documents()}
        operator.ingest_documents([document("new.txt", "Something new.", audience="staff")], source="acme")
    root = Path(__file__).resolve().parents[2]
    for seconds in (0.0, 0.013, 0.031):
        command = [sys.executable, "-c", _CHILD, str(scene.folder), str(NOW)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=root) as child:
            assert child.stdout is not None
            first = child.stdout.readline()
            time.sleep(seconds)
            os.kill(child.pid, signal.SIGKILL)
            said = [int(line) for line in (first + child.stdout.read()).split(b"\n")[:-1]]
        assert said
        with Workspace.open(scene.folder, clock=lambda: NOW) as client:
            facts = client.history.snapshots()
            assert facts[-1].version >= said[-1]
            stands = {row.doc_id for row in client.standing_documents()}
            # Back and forth: with what was new, or without it, and never with half of it.
            assert stands - {"new.txt"} == old
            assert len(stands) == facts[-1].standing
        scene.audit_is_clean()
    scene.say("whole or not at all")


@not_stopped(
    "an operator's own tools seal any of the older versions, and ask no reviewer",
    "each document still needs its approvals; a missing proposal shows in `trustrag snapshots`",
)
def test_operator_seals_without_asking(scene: Scene) -> None:
    people(scene, 0)
    with scene.open() as operator:
        opened = operator._opened
        with opened.writing() as ledger:
            from trustrag.ledger import planned
            from trustrag.provenance.evidence import accept_head

            with ledger.view() as view:
                head = accept_head(view.head(), opened.policy, now=NOW)
                plan = planned(view.course(THEN, head))
            ledger.roll_back(plan, [], "nobody was asked", opened.sealer(), NOW)
        newest = operator.history.snapshots()[-1]
    assert (newest.action, newest.target, newest.approved_by) == ("rollback", None, ())
    scene.say("sealed, and seen to be without a proposal")
