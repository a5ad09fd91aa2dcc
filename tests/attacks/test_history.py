"""Attacks on time: old copies, forks, frozen policies, keys that were taken away, what was ruled."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from tests.attacks.scene import (
    NOW,
    QUESTION,
    RETENTION,
    Scene,
    at_home,
    attack,
    document,
    not_stopped,
    told,
)
from trustrag import trustroot
from trustrag.errors import ConfigError, LedgerError, NotFoundError, Refusal, VerificationError
from trustrag.keyring import UserState
from trustrag.provenance.keys import PrivateKey
from trustrag.provenance.policy import Policy, PolicyKey, Source, Witness
from trustrag.workspace import Workspace

DAY = 86_400


def publish(workspace: Workspace, change: Callable[[Policy], Policy]) -> None:
    """The operator puts a changed policy in force, with the keys of the trust root."""
    policy = workspace.policy
    changed = change(replace(policy, version=policy.version + 1))
    memory = workspace.authority.memory.read()
    assert memory is not None
    trustroot.publish_policy(
        workspace.authority.keys_folder,
        changed,
        workspace.authority.keyring,
        now=NOW,
        pinned=memory.root,
        seen=memory.trust,
    )


def with_key(policy: Policy, name: str, **changes: object) -> Policy:
    """The policy with something changed about every key of one source."""

    def changed(source: Source) -> Source:
        keys = tuple(replace(key, **changes) for key in source.keys)  # type: ignore[arg-type]
        return replace(source, keys=keys) if source.name == name else source

    return replace(policy, sources=tuple(changed(source) for source in policy.sources))


@attack("restore last week's database", "the newest checkpoint seen is remembered outside the workspace")
def test_restore_database(scene: Scene) -> None:
    scene.put_back("ledger.db", "vectors.f32")
    scene.refuses_store(Refusal.ROLLBACK)
    scene.audit_names("ROLLBACK")


@attack("restore last week's database and write on top of it", "a writer accepts the head before it seals")
def test_write_over_restored_database(scene: Scene) -> None:
    scene.put_back("ledger.db", "vectors.f32")

    def write() -> object:
        with scene.open() as workspace:
            return workspace.ingest_documents([document("new.txt", "Something new.")], source="acme")

    scene.fails(VerificationError, "ROLLBACK", write)


@attack(
    "restore last week's whole workspace, keys/ and all", "policy and checkpoint seen are remembered outside"
)
def test_restore_workspace(scene: Scene) -> None:
    shutil.rmtree(scene.folder)
    shutil.copytree(scene.world.last_week, scene.folder)
    scene.refuses_store(Refusal.ROLLBACK)
    scene.audit_names("ROLLBACK")


@attack(
    "restore last week's workspace under another store id",
    "trustrag.toml must name the store the trust root is of",
)
def test_restore_workspace_under_another_name(scene: Scene) -> None:
    shutil.rmtree(scene.folder)
    shutil.copytree(scene.world.last_week, scene.folder)
    path = scene.folder / "trustrag.toml"
    with scene.open() as workspace:
        store = workspace.settings.store
    path.write_text(path.read_text().replace(store, "another-store"))
    scene.refuses_store(Refusal.WRONG_CONTEXT)


@attack(
    "restore last week's database beside today's snapshot rows", "the snapshot must be its tree's last entry"
)
def test_old_snapshot_in_todays_log(scene: Scene) -> None:
    with scene.database() as database:
        for name in (
            "version",
            "log_index",
            "root",
            "action",
            "reason",
            "issued_at",
            "expires",
            "checkpoint",
        ):
            if name != "version":
                database.execute(
                    f"UPDATE snapshot SET {name} = (SELECT {name} FROM snapshot WHERE version = 4)"
                    " WHERE version = (SELECT max(version) FROM snapshot)"
                )
    scene.refuses_store(Refusal.ROLLBACK)
    scene.audit_names("snapshot")


@attack("cut the log back", "a shorter log than was seen is a rollback")
def test_cut_the_log(scene: Scene) -> None:
    with scene.database() as database:
        ((size,),) = database.execute("SELECT log_index + 1 FROM snapshot WHERE version = 4").fetchall()
        database.execute("DELETE FROM snapshot WHERE version > 4")
        database.execute("DELETE FROM entry WHERE idx >= ?", (size,))
    scene.refuses_store(Refusal.ROLLBACK)
    scene.audit_names("ROLLBACK")


@attack(
    "delete a withdrawal from the log",
    "the tree above it no longer leads to the signed root; approval is positive",
)
def test_delete_withdrawal(scene: Scene) -> None:
    from tests.attacks.envelopes import payload_of

    scene.sql("DELETE FROM ruling WHERE action = 'withdraw'")
    assert "recalled.txt" not in scene.served("What does the blue filter hold back?")
    with scene.open() as workspace:
        scene.fails(NotFoundError, "no version of 'recalled.txt'", lambda: workspace.read("recalled.txt"))
    entries = scene.ask_sql("SELECT idx, envelope FROM entry ORDER BY idx")
    (index,) = (at for at, data in entries if b"urn:trustrag:withdrawal/v1" in payload_of(data))  # type: ignore[arg-type]
    scene.sql("DELETE FROM entry WHERE idx = ?", index)
    scene.fails(LedgerError, f"log entry {index} is missing", scene.search)
    scene.audit_names("the log has a gap")


@attack(
    "delete a withdrawal and everything that came after it",
    "today's checkpoint was seen, and this one is older",
)
def test_delete_withdrawal_and_its_snapshots(scene: Scene) -> None:
    with scene.database() as database:
        ((version, index),) = database.execute(
            "SELECT version, log_index FROM snapshot WHERE action = 'withdraw'"
        ).fetchall()
        database.execute("DELETE FROM snapshot WHERE version >= ?", (version,))
        database.execute("DELETE FROM entry WHERE idx >= ? - 1", (index,))
        database.execute(
            "UPDATE version SET standing = 'active' WHERE doc_id IN ('recalled.txt', 'doubtful.txt')"
        )
        database.execute("UPDATE standing SET until = NULL WHERE until >= ?", (version,))
    scene.refuses_store(Refusal.ROLLBACK)


@attack(
    "wait for an operator's restore, and have an older version restored",
    "the newest comes back, by its own entry",
)
def test_restore_means_the_newest(scene: Scene) -> None:
    def restore() -> object:
        with scene.open() as operator:
            return operator.rule("restore", doc_id="retention.txt", reason="it was right after all")

    with scene.open() as workspace:
        workspace.rule("quarantine", doc_id="retention.txt", reason="somebody asked")
    rows = "doc_id = 'retention.txt' AND version ="
    of_row = f"version = (SELECT id FROM version WHERE {rows} %d)"
    ((signed,),) = scene.ask_sql(f"SELECT entry FROM standing WHERE {of_row % 2}")
    older = f"(SELECT entry FROM standing WHERE {of_row % 1})"
    scene.sql(f"UPDATE standing SET entry = {older} WHERE {of_row % 2}")
    scene.fails(LedgerError, "is of another document", restore)
    scene.sql(f"UPDATE standing SET entry = ? WHERE {of_row % 2}", signed)
    scene.sql(f"UPDATE version SET standing = 'superseded' WHERE {rows} 2")
    scene.sql(f"UPDATE version SET standing = 'quarantined' WHERE {rows} 1")
    scene.fails(NotFoundError, "has nothing to restore", restore)
    scene.audit_names(
        "'retention.txt' version 1: is called quarantined, and what was signed makes it superseded"
    )


@attack(
    "misfile what stands, so that the next withdrawal or correction misses it",
    "a writer reads names off the entries",
)
def test_misfiled_entry_is_not_sealed_again(scene: Scene) -> None:
    scene.sql("UPDATE standing SET doc_id = 'zzz' WHERE doc_id = 'retention.txt' AND until IS NULL")

    def withdraw() -> object:
        with scene.open() as operator:
            return operator.rule("withdraw", doc_id="retention.txt", reason="it was wrong")

    scene.fails(LedgerError, "an entry of another document is filed", withdraw)
    new = document("retention.txt", "Audit logs are not kept.", audience="public")
    with (
        scene.open() as operator,
        suppress(LedgerError),
    ):  # or it waits, since nothing proved is there to compare it with
        assert not operator.ingest_documents([new], source="acme").admitted
    assert "retention.txt" not in scene.served()
    scene.audit_names("standing of 'zzz': its row is filed under another document")


@attack(
    "say that it does not stand, so that a withdrawal takes nothing out",
    "what was signed decides, not a column",
)
def test_withdrawal_takes_out_what_was_signed(scene: Scene) -> None:
    for doc_id, ruled_on in (
        (
            "wiki/logs.txt",
            {"source": "wiki"},
        ),  # first: it reads all that stands, and would find the other bent
        ("retention.txt", {"doc_id": "retention.txt"}),
    ):
        newest = "id = (SELECT max(id) FROM version WHERE doc_id = ?)"
        scene.sql(f"UPDATE version SET standing = 'quarantined' WHERE {newest}", doc_id)
        with scene.open() as operator:
            operator.rule("withdraw", reason="it was wrong", **ruled_on)
        scene.honest = {fact for fact in scene.honest if fact[0] != doc_id}
        scene.sql(f"UPDATE version SET standing = 'active' WHERE {newest}", doc_id)
        scene.sql(
            "UPDATE standing SET until = NULL WHERE id = (SELECT max(id) FROM standing WHERE doc_id = ?)",
            doc_id,
        )
        shutil.rmtree(scene.folder / "index")
        scene.refuses_passage(Refusal.NOT_IN_SNAPSHOT, doc_id)
    scene.audit_names("what stands does not lead to the root of snapshot")


@attack(
    "say that it was superseded, so that a withdrawal passes for one of nothing",
    "what was signed is asked, too",
)
def test_withdrawal_of_nothing_is_told(scene: Scene) -> None:
    scene.sql("UPDATE version SET standing = 'superseded' WHERE doc_id = 'travel.txt'")
    with scene.open() as operator:
        scene.fails(NotFoundError, "", lambda: operator.withdraw(["travel.txt"], reason="it was wrong"))
        assert operator.withdraw(["nowhere.txt"], reason="it was wrong") is None
    scene.audit_names("'travel.txt' version 1: is called superseded")


@attack(
    "give a document another source in its row, so that a ruling on its source misses it",
    "whose key signed what stands is asked of all that stands",
)
def test_ruling_on_a_source_goes_by_its_keys(scene: Scene) -> None:
    scene.sql("UPDATE version SET source = 'wiki' WHERE doc_id = 'travel.txt'")
    scene.sql("UPDATE version SET source = 'acme' WHERE doc_id = 'wiki/logs.txt'")
    scene.sql("UPDATE version SET standing = 'superseded' WHERE doc_id = 'handbook.txt'")
    with scene.open() as operator:
        operator.rule("withdraw", source="acme", reason="it was broken into")
    newest = "(SELECT max(id) FROM standing GROUP BY doc_id)"
    for doc_id in ("travel.txt", "handbook.txt", "retention.txt"):
        scene.sql(f"UPDATE standing SET until = NULL WHERE doc_id = ? AND id IN {newest}", doc_id)
        scene.sql(
            "UPDATE version SET standing = 'active', source = 'acme' WHERE id ="
            " (SELECT max(id) FROM version WHERE doc_id = ?)",
            doc_id,
        )
    scene.sql("UPDATE version SET source = 'wiki' WHERE doc_id = 'wiki/logs.txt'")
    shutil.rmtree(scene.folder / "index")
    report = scene.search()
    assert {ranked.passage.doc_id for ranked in report.passages} == {"wiki/logs.txt"}
    scene.refuses_passage(Refusal.NOT_IN_SNAPSHOT, "travel.txt")


@attack(
    "take a document's rows away while its source is ruled on, and put them back",
    "all that stands is read, and has to lead to the signed root",
)
def test_ruling_on_a_source_misses_nothing(scene: Scene) -> None:
    scene.sql("UPDATE standing SET until = 1 WHERE doc_id = 'travel.txt' AND until IS NULL")
    with scene.open() as operator:
        scene.fails(
            LedgerError, "does not lead to the signed snapshot",
            lambda: operator.rule("withdraw", source="acme", reason="it was broken into"),
        )  # fmt: skip
    scene.audit_names("standing of 'travel.txt'")


def restore_acme(scene: Scene) -> object:
    """The operator lets all of acme stand again."""
    with scene.open() as operator:
        return operator.rule("restore", source="acme", reason="it was all a mistake")


@attack(
    "wait for a source to be restored, and have other versions of its documents restored",
    "what comes back stood under a signed root until its source was ruled on, and never since",
)
def test_restored_source_is_what_stood(scene: Scene) -> None:
    with scene.open() as operator:
        operator.rule("withdraw", source="acme", reason="it was broken into")
    rows = "doc_id = 'retention.txt' AND version ="
    scene.sql(f"UPDATE version SET standing = 'superseded' WHERE {rows} 2")
    scene.sql(f"UPDATE version SET standing = 'withdrawn' WHERE {rows} 1")
    scene.sql(
        "INSERT INTO ruling (snapshot, action, source, reason) SELECT snapshot, action, 'acme', 'x' FROM ruling"
    )
    restore_acme(scene)
    with scene.open() as client:
        assert [passage.text for passage in client.read("retention.txt")] == [RETENTION]
        for doc_id in ("recalled.txt", "doubtful.txt"):
            scene.fails(NotFoundError, "", lambda doc_id=doc_id: client.read(doc_id))


@attack(
    "rewrite when a document stood, so that restoring its source brings it back",
    "the rows of the past are held against every root signed since",
)
def test_rewritten_past_is_not_restored(scene: Scene) -> None:
    with scene.open() as operator:
        operator.rule("withdraw", source="acme", reason="it was broken into")
    ruled = "(SELECT max(version) FROM snapshot)"
    scene.sql(f"UPDATE standing SET until = {ruled} WHERE doc_id = 'recalled.txt'")
    scene.fails(LedgerError, "is not what was signed", lambda: restore_acme(scene))
    assert "recalled.txt" not in scene.served("What does the blue filter hold back?")


@attack(
    "say that what stands was superseded, and wait for a new version of it",
    "what was signed to stand has to be what its rows say",
)
def test_new_version_over_a_flipped_row(scene: Scene) -> None:
    scene.sql("UPDATE version SET standing = 'superseded' WHERE doc_id = 'travel.txt'")
    new = document("travel.txt", "Journeys are booked one week ahead, by train.", audience="staff")
    with scene.open() as operator:
        scene.fails(
            LedgerError, "`trustrag audit` names them",
            lambda: operator.ingest_documents([new], source="acme"),
        )  # fmt: skip
    scene.audit_names("'travel.txt' version 1: is called superseded")


@attack(
    "strip a review from what stands", "the entry names its reviews, and the entry is under the signed root"
)
def test_strip_review(scene: Scene) -> None:
    import json

    ((data,),) = scene.ask_sql("SELECT entry FROM standing WHERE doc_id = 'travel.txt' AND until IS NULL")
    entry = json.loads(bytes(data))  # type: ignore[arg-type]
    assert entry["reviews"]
    stripped = json.dumps(entry | {"reviews": []}, sort_keys=True, separators=(",", ":")).encode()
    scene.sql("UPDATE standing SET entry = ? WHERE doc_id = 'travel.txt' AND until IS NULL", stripped)
    scene.refuses_passage(Refusal.NOT_IN_SNAPSHOT, "travel.txt")
    scene.audit_names("what stands does not lead to the root of snapshot")


@attack("delete a review from the log", "what an entry names has to be shown, and to be in the log")
def test_delete_review(scene: Scene) -> None:
    import json

    ((data,),) = scene.ask_sql("SELECT entry FROM standing WHERE doc_id = 'travel.txt' AND until IS NULL")
    index = json.loads(bytes(data))["reviews"][0]["index"]  # type: ignore[arg-type]
    scene.sql("DELETE FROM entry WHERE idx = ?", index)
    scene.refuses_passage(Refusal.MALFORMED, "travel.txt")
    scene.audit_names("the log has a gap")


def fork(scene: Scene) -> tuple[Path, Path]:
    """The operator writes two copies of one store apart; returns them. The client has seen neither half."""
    halves = scene.root / "half-a", scene.root / "half-b"
    for half, text in zip(halves, ("Prices rise in May.", "Prices fall in May."), strict=True):
        home = scene.root / f"home-of-{half.name}"
        shutil.copytree(scene.home, home)
        shutil.copytree(scene.folder, half)
        with at_home(home), scene.open(half) as workspace:
            workspace.ingest_documents([document("prices.txt", text, audience="public")], source="acme")
    return halves


def show(scene: Scene, half: Path) -> str:
    """What a client is told of prices by this copy."""
    with scene.open(half) as workspace:
        return workspace.read("prices.txt")[0].text


@attack(
    "fork the log and show both halves to one client", "a tree that doesn't extend the one seen is a fork"
)
def test_fork(scene: Scene) -> None:
    first, second = fork(scene)
    assert show(scene, first) == "Prices rise in May."
    scene.refuses_store(Refusal.FORK, folder=second)


@attack(
    "fork the log, and let the other half grow past what was seen", "a longer fork has no consistency proof"
)
def test_longer_fork(scene: Scene) -> None:
    first, second = fork(scene)
    assert show(scene, first) == "Prices rise in May."
    with at_home(scene.root / "home-of-half-b"), scene.open(second) as workspace:
        workspace.ingest_documents([document("more.txt", "More of it.", audience="public")], source="acme")
    scene.refuses_store(Refusal.FORK, folder=second)


@attack(
    "a split view, where the policy asks for a witness", "a checkpoint that no witness cosigned is refused"
)
def test_split_view_with_quorum(scene: Scene) -> None:
    witness = Witness("outside.example", PolicyKey(PrivateKey.from_seed(b"w" * 32).public_key))
    with scene.open() as workspace:
        publish(workspace, lambda policy: replace(policy, witnesses=(witness,), quorum=1))
    scene.refuses_store(Refusal.NO_QUORUM)


@attack(
    "freeze the policy: put the old keys/ folder back", "the versions of every trust role seen are remembered"
)
def test_freeze_policy(scene: Scene) -> None:
    scene.put_back("keys")
    scene.refuses_store(Refusal.ROLLBACK)


@attack(
    "freeze the policy in a process that has it open", "the trust root is opened anew when its files change"
)
def test_freeze_policy_while_open(scene: Scene) -> None:
    with scene.open() as workspace:
        assert workspace.search(QUESTION).passages
        scene.put_back("keys")
        scene.fails(VerificationError, "ROLLBACK", lambda: workspace.search(QUESTION))


@attack("mix old and new files of keys/", "each role names the next by version, length and digest")
def test_mixed_trust_root(scene: Scene) -> None:
    old = scene.world.last_week / "keys" / "metadata"
    shutil.copy(old / "timestamp.json", scene.folder / "keys" / "metadata" / "timestamp.json")
    scene.refuses_store(Refusal.ROLLBACK)


@attack("never publish a new trust root", "the timestamp role runs out, and nothing is answered then")
def test_frozen_forever(scene: Scene) -> None:
    scene.refuses_store(Refusal.EXPIRED, now=NOW + 100 * DAY, saying="trustrag keys refresh")


@attack("never publish a new snapshot", "a snapshot has an age past which it is not served")
def test_stale_snapshot(scene: Scene) -> None:
    with scene.open() as workspace:
        publish(workspace, lambda policy: replace(policy, snapshot_age=3600))
    scene.refuses_store(Refusal.STALE_SNAPSHOT, now=NOW + 3601)


@attack(
    "a suspended source goes on speaking", "every query asks today's policy, also in a process that was open"
)
def test_suspended_source(scene: Scene) -> None:
    with scene.open() as open_before:
        assert "wiki/logs.txt" in {r.passage.doc_id for r in open_before.search(QUESTION).passages}
        with scene.open() as operator:
            operator.authority.set_active("wiki", False)
        report = open_before.search(QUESTION)
    assert "wiki/logs.txt" not in {ranked.passage.doc_id for ranked in report.passages}
    scene.honest = {fact for fact in scene.honest if fact[0] != "wiki/logs.txt"}
    scene.refuses_passage(Refusal.REVOKED_KEY, "wiki/logs.txt")


@attack("a revoked key goes on speaking", "every query asks today's policy; nothing has to be indexed again")
def test_revoked_key(scene: Scene) -> None:
    with scene.open() as workspace:
        assert "wiki/logs.txt" in {r.passage.doc_id for r in workspace.search(QUESTION).passages}
        publish(workspace, lambda policy: with_key(policy, "wiki", revoked=True))
        report = workspace.search(QUESTION)
    assert {found.refusal for found in report.refused if found.doc_id == "wiki/logs.txt"} == {
        Refusal.REVOKED_KEY
    }
    scene.honest = {fact for fact in scene.honest if fact[0] != "wiki/logs.txt"}
    scene.refuses_passage(Refusal.REVOKED_KEY, "wiki/logs.txt")
    thief = document("wiki/other.txt", "Audit logs are a myth.", audience="public")
    with scene.open() as workspace:
        scene.fails(
            ConfigError, "no key that may sign as source wiki",
            lambda: workspace.ingest_documents([thief], source="wiki"),
        )  # fmt: skip


@attack(
    "sign with a retired key, back-dated", "a key is valid up to a log index, which no thief can write into"
)
def test_retired_key_back_dated(scene: Scene) -> None:
    paper = scene.root / "wiki" / "news.txt"
    paper.parent.mkdir()
    paper.write_text("Audit logs are a myth.")
    with Workspace.open(scene.folder, clock=lambda: NOW - 30 * DAY) as thief:
        thief.attest([paper], scene.root / "stolen.intoto.jsonl", source="wiki", prefix="wiki/")
    with scene.open() as workspace:
        size = workspace.search(QUESTION).snapshot.log_size
        publish(workspace, lambda policy: with_key(policy, "wiki", last_valid_index=size - 1))
        report = workspace.ingest([paper], attestations=scene.root / "stolen.intoto.jsonl", prefix="wiki/")
        assert not report.admitted
        (refused,) = report.refused
        assert "REVOKED_KEY" in refused.reason
        assert "was retired after log index" in refused.reason
        scene.say("REVOKED_KEY")
    assert "wiki/logs.txt" in scene.served(), "what it signed in time still counts"


@attack(
    "replay an old attestation, to bring an old version back",
    "a version must be above all that were taken in",
)
def test_replayed_attestation(scene: Scene) -> None:
    paper, signed, old = scene.root / "prices.txt", scene.root / "now.jsonl", scene.root / "old.jsonl"
    with scene.open() as workspace:
        for text in ("Prices rise in May.", "Prices fall in May."):
            paper.write_text(text)
            if signed.exists():
                shutil.copy(signed, old)
            workspace.attest([paper], signed, source="wiki", prefix="wiki/")
            assert workspace.ingest([paper], attestations=signed, prefix="wiki/").admitted
        paper.write_text("Prices rise in May.")
        report = workspace.ingest([paper], attestations=old, prefix="wiki/")
        assert not report.admitted
        (refused,) = report.refused
        assert "version 1" in refused.reason, refused.reason
        assert workspace.read("wiki/prices.txt")[0].text == "Prices fall in May."
    scene.say("refused at the door")


@not_stopped(
    "restore last week's workspace and the client's memory with it",
    "a first use: the command says so; keep TRUSTRAG_HOME apart, or ask for a witness",
)
def test_restore_memory_too(scene: Scene) -> None:
    shutil.rmtree(scene.folder)
    shutil.copytree(scene.world.last_week, scene.folder)
    with scene.open() as workspace:
        UserState(workspace.settings.store).path.unlink()
        report = workspace.search(QUESTION)
        assert any("30 days" in ranked.passage.text for ranked in report.passages)
    with at_home(scene.root / "a-new-home"), scene.open() as workspace:
        assert any("seen here for the first time" in notice for notice in workspace.authority.notices())
    scene.say("served, with a notice")


@not_stopped(
    "put a whole other store in the folder, with a store id of its own",
    "a first use: the command says so; compare the root key with the publisher's",
)
def test_another_store(scene: Scene) -> None:
    shutil.rmtree(scene.folder)
    with (
        at_home(scene.root / "attackers-home"),
        Workspace.init(scene.folder, source="acme", embedder="hash", passphrase=None) as forged,
    ):
        forged.ingest_documents([document("retention.txt", "Audit logs are sold.")], source="acme")
    with scene.open() as workspace:
        assert any("seen here for the first time" in notice for notice in workspace.authority.notices())
        assert workspace.search(QUESTION).passages[0].passage.text == "Audit logs are sold."
    scene.say("served, with a notice")


@not_stopped(
    "fork the log and show each half to another client",
    "no client can see it alone; a policy with a witness quorum refuses both halves",
)
def test_split_view(scene: Scene) -> None:
    first, second = fork(scene)
    another = scene.root / "another-client"
    shutil.copytree(scene.home, another)
    assert show(scene, first) == "Prices rise in May."
    with at_home(another):
        assert show(scene, second) == "Prices fall in May."
    scene.say("served to both")


@not_stopped(
    "whoever holds the seal, log, ingest, screen and source keys writes what it likes",
    "it is the store; the log keeps what it did, and it can't be taken back unseen",
)
def test_holder_of_all_keys(scene: Scene) -> None:
    with scene.open() as insider:
        lie = document("retention.txt", "Audit logs are kept for 3 days.", audience="public")
        insider.ingest_documents([lie], source="acme")
        assert [row.version for row in insider.history.document("retention.txt")] == [1, 2, 3]
        assert insider.read("retention.txt")[0].text == "Audit logs are kept for 3 days."
        scene.say("served; three versions stay in the log")
    scene.audit_is_clean()


@not_stopped(
    "a source signs a lie within its scope", "ranking weighs independent sources; a withdrawal takes it out"
)
def test_lying_signer(scene: Scene) -> None:
    with scene.open() as workspace:
        lie = document("wiki/sold.txt", "Audit logs are kept for 3 days and sold.", audience="public")
        workspace.ingest_documents([lie], source="wiki")
        assert "wiki/sold.txt" in {ranked.passage.doc_id for ranked in workspace.search(QUESTION).passages}
        scene.say("served, named as wiki's")
        workspace.rule("withdraw", source="wiki", reason="it lied")
        report = workspace.search(QUESTION)
        assert {told(ranked.passage)[3] for ranked in report.passages} & {RETENTION}
        assert not {r.passage.doc_id for r in report.passages if r.passage.source == "wiki"}
    scene.say("gone after one withdrawal")


@attack(
    "delete a withdrawn document's rows, and wait until its file is taken in again",
    "the log keeps the withdrawal, and is asked about every name that the rows do not know",
)
def test_forgotten_withdrawal(scene: Scene) -> None:
    with scene.database() as database:
        of_document = "IN (SELECT id FROM version WHERE doc_id = 'recalled.txt')"
        for statement in (
            f"DELETE FROM chunk WHERE version {of_document}",
            f"DELETE FROM version_term WHERE version {of_document}",
            "DELETE FROM standing WHERE doc_id = 'recalled.txt'",
            "DELETE FROM ruling WHERE doc_id = 'recalled.txt'",
            "DELETE FROM version WHERE doc_id = 'recalled.txt'",
        ):
            database.execute(statement)
    scene.audit_names("its chunks do not follow those of the version taken in before it")
    again = document("recalled.txt", "The blue filter holds back every virus.", audience="public")

    def take_in() -> object:
        with scene.open() as operator:
            return operator.ingest_documents([again], source="acme")

    scene.fails(LedgerError, "was withdrawn in snapshot", take_in)
    scene.sql("UPDATE snapshot SET action = 'publish' WHERE action = 'withdraw'")
    scene.fails(LedgerError, "was withdrawn in snapshot", take_in)
