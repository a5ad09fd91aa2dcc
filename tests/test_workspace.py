"""The composition root: what `Workspace` promises its callers, on real folders with real keys."""

import shutil
import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding

from trustrag.consistency import Finding
from trustrag.errors import (
    BackendError,
    ConfigError,
    ConflictError,
    MalformedError,
    NotFoundError,
    Refusal,
    StaleError,
    UnencryptedKeysWarning,
    UnsignedDocumentError,
    VerificationError,
)
from trustrag.ingest.document import Document
from trustrag.keyring import home
from trustrag.ledger import Ledger
from trustrag.provenance.evidence import RefusedPassage, VerifiedPassage
from trustrag.publisher import Publisher
from trustrag.workspace import Workspace, verify_evidence

DAY = 86_400
LOGS = "Audit logs are kept for ninety days."
LUNCH = "Lunch is served at noon."


class Clock:
    """A time that the test decides."""

    def __init__(self, now: int = 1_800_000_000) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "logs.md").write_text(LOGS, encoding="utf-8")
    (folder / "lunch.md").write_text(LUNCH, encoding="utf-8")
    return folder


@pytest.fixture
def ws(tmp_path: Path, docs: Path) -> Iterator[Workspace]:
    """Two documents of acme, taken in."""
    with Workspace.init(tmp_path / "kb", source="acme", embedder="hash") as made:
        report = made.ingest([docs], source="acme")
        assert [each.doc_id for each in report.admitted] == ["logs.md", "lunch.md"]
        yield made


def found(workspace: Workspace, question: str = "audit logs lunch") -> set[str]:
    return {ranked.passage.doc_id for ranked in workspace.search(question).passages}


def everything(folder: Path) -> set[Path]:
    return set(folder.rglob("*"))


# ---- init and open


@pytest.mark.parametrize(
    "wrong",
    [
        {"tenant": "a/b"},
        {"source": "a/b"},
        {"source": ""},
        {"index": "bogus"},
        {"embedder": "!!"},
        {"chunk_size": 10, "chunk_overlap": 10},
    ],
    ids=str,
)
def test_init_leaves_nothing_behind_where_it_fails(tmp_path: Path, wrong: dict[str, str]) -> None:
    arguments = {"source": "acme", "embedder": "hash"} | wrong
    with pytest.raises((ConfigError, MalformedError)):
        Workspace.init(tmp_path / "kb", **arguments)  # type: ignore[arg-type]
    assert everything(tmp_path) == set()
    assert not any(home().rglob("*.key"))
    Workspace.init(tmp_path / "kb", source="acme", embedder="hash").close()


def test_init_takes_only_a_new_or_empty_folder(tmp_path: Path, docs: Path, ws: Workspace) -> None:
    for folder in (docs, ws.folder, docs / "logs.md"):
        before = everything(tmp_path)
        with pytest.raises(ConfigError, match=folder.name):
            Workspace.init(folder, source="acme", embedder="hash")
        assert everything(tmp_path) == before
    with pytest.raises(ConfigError, match="one trust root belongs to one store"):
        Workspace.init(tmp_path / "other", source="acme", embedder="hash", keys=ws.folder / "keys")
    (tmp_path / "empty").mkdir()
    Workspace.init(tmp_path / "empty", source="acme", embedder="hash").close()


def test_the_public_keys_may_lie_elsewhere_and_no_private_key_lies_in_the_workspace(
    tmp_path: Path, docs: Path
) -> None:
    with Workspace.init(tmp_path / "kb", source="acme", embedder="hash", keys=tmp_path / "public") as made:
        made.ingest([docs], source="acme")
    assert (tmp_path / "public" / "metadata" / "timestamp.json").exists()
    assert not any(tmp_path.rglob("*.key"))
    assert len(list(home().rglob("*.key"))) == 10
    with Workspace.open(tmp_path / "kb") as opened:
        assert found(opened) == {"logs.md", "lunch.md"}


def test_what_is_no_workspace_is_not_opened(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not a workspace"):
        Workspace.open(tmp_path)


def test_private_keys_inside_the_workspace_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUSTRAG_HOME", str(tmp_path / "kb"))
    with pytest.raises(ConfigError, match="move TRUSTRAG_HOME"):
        Workspace.init(tmp_path / "kb", source="acme", embedder="hash")
    assert everything(tmp_path) == set()


# ---- embedders


def test_another_embedder_is_refused(ws: Workspace, docs: Path) -> None:
    (docs / "new.md").write_text("Something new.", encoding="utf-8")
    for other in ("hash-64", DeterministicFakeEmbedding(size=256)):
        with Workspace.open(ws.folder, embedder=other) as opened:
            with pytest.raises(ConfigError, match="not by"):
                opened.search("audit logs")
            with pytest.raises((ConfigError, ConflictError)):
                opened.ingest([docs], source="acme")
    assert found(ws) == {"logs.md", "lunch.md"}


def test_a_langchain_embeddings_object_is_an_embedder(tmp_path: Path, docs: Path) -> None:
    mine = DeterministicFakeEmbedding(size=32)
    with Workspace.init(tmp_path / "kb", source="acme", embedder=mine) as made:
        made.ingest([docs], source="acme")
        assert found(made) == {"logs.md", "lunch.md"}
    with Workspace.open(tmp_path / "kb") as opened, pytest.raises(ConfigError, match="give it as embedder="):
        opened.search(LOGS)
    with Workspace.open(tmp_path / "kb", embedder=mine) as opened:
        assert found(opened) == {"logs.md", "lunch.md"}


# ---- in


def test_the_same_twice_changes_nothing(ws: Workspace, docs: Path) -> None:
    before = ws.search("x").snapshot
    again = ws.ingest([docs], source="acme")
    assert (len(again.unchanged), len(again.admitted), again.snapshot) == (2, 0, None)
    assert ws.search("x").snapshot == before


def test_a_changed_file_is_a_new_version_that_supersedes_the_old_one(ws: Workspace, docs: Path) -> None:
    (docs / "logs.md").write_text("Audit logs are kept for one year.", encoding="utf-8")
    report = ws.ingest([docs], source="acme")
    assert [(each.doc_id, each.version) for each in report.admitted] == [("logs.md", 2)]
    assert [row.standing for row in ws.history.document("logs.md")] == ["superseded", "active"]
    (proved,) = ws.read("logs.md")
    assert (proved.text, proved.version) == ("Audit logs are kept for one year.", 2)


def test_what_nobody_signs_raises_and_writes_nothing(ws: Workspace, docs: Path) -> None:
    before = (ws.folder / "vectors.f32").read_bytes(), ws.search("x").snapshot
    (docs / "new.md").write_text("Who wrote this?", encoding="utf-8")
    with pytest.raises(UnsignedDocumentError):
        ws.ingest([docs])
    with pytest.raises(UnsignedDocumentError):
        ws.ingest_documents([Document(doc_id="new", data=b"x", media_type="text/plain", text="x")])
    assert ((ws.folder / "vectors.f32").read_bytes(), ws.search("x").snapshot) == before


def test_a_second_writer_is_refused_and_a_reader_is_not(ws: Workspace, docs: Path) -> None:
    (docs / "new.md").write_text("Something new.", encoding="utf-8")
    with Ledger.open(ws.folder, write=True), Workspace.open(ws.folder) as other:
        with pytest.raises(ConflictError, match="writ"):
            other.ingest([docs], source="acme")
        assert found(other) == {"logs.md", "lunch.md"}
    assert [each.doc_id for each in ws.ingest([docs], source="acme").admitted] == ["new.md"]


def test_reading_needs_no_private_key_and_writing_does(
    ws: Workspace, docs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUSTRAG_HOME", str(tmp_path / "somebody-else"))
    (docs / "new.md").write_text("Something new.", encoding="utf-8")
    with Workspace.open(ws.folder) as opened:
        assert found(opened) == {"logs.md", "lunch.md"}
        assert not opened.audit().problems
        assert opened.ask("How long are audit logs kept?").question
        for write in (
            lambda: opened.ingest([docs], source="acme"),
            lambda: opened.withdraw(reason="mine"),
            lambda: opened.add_source("mine"),
            lambda: opened.refresh(),
        ):
            with pytest.raises(ConfigError):
                write()
    assert found(ws) == {"logs.md", "lunch.md"}


def test_a_wrong_passphrase_signs_nothing(tmp_path: Path, docs: Path) -> None:
    Workspace.init(tmp_path / "kb", source="acme", embedder="hash", passphrase=b"horse").close()
    asked = []

    def ask(answer: bytes) -> bytes:
        asked.append(answer)
        return answer

    with Workspace.open(tmp_path / "kb", ask_passphrase=lambda: ask(b"mule")) as opened:
        with pytest.raises(ConfigError, match="passphrase"):
            opened.ingest([docs], source="acme")
        assert opened.standing_documents() == []
    with Workspace.open(tmp_path / "kb", ask_passphrase=lambda: ask(b"horse")) as opened:
        assert len(opened.ingest([docs], source="acme").admitted) == 2
        opened.add_source("wiki")
    assert asked == [b"mule", b"horse"]


# ---- rulings


def test_withdraw_of_these_and_of_all(ws: Workspace) -> None:
    assert ws.withdraw(["never seen"], reason="tidy") is None
    assert ws.withdraw([], reason="tidy") is None
    assert ws.withdraw(["logs.md", "logs.md", "never seen"], reason="wrong") is not None
    assert found(ws) == {"lunch.md"}
    assert ws.withdraw(reason="all of it") is not None
    assert found(ws) == set()
    assert ws.withdraw(reason="again") is None
    with pytest.raises(NotFoundError):
        ws.read("logs.md")
    ws.rule("restore", reason="after all", doc_id="logs.md")
    assert found(ws) == {"logs.md"}


def test_a_ruling_on_a_source_needs_one_that_exists(ws: Workspace) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        ws.rule("quarantine", reason="a doubt", source="nobody")
    ws.rule("quarantine", reason="a doubt", source="acme")
    assert found(ws) == set()


def test_a_suspended_source_can_still_be_ruled_on(ws: Workspace) -> None:
    ws.authority.set_active("acme", False)
    ws.rule("withdraw", reason="broken into", source="acme")
    ws.authority.set_active("acme", True)
    assert found(ws) == set()
    ws.rule("restore", reason="it was not", source="acme")
    assert found(ws) == {"logs.md", "lunch.md"}


# ---- sources and policies


def test_a_suspended_source_is_silent_at_the_next_query_in_every_open_workspace(ws: Workspace) -> None:
    with Workspace.open(ws.folder) as other:
        assert found(other) == {"logs.md", "lunch.md"}
        ws.authority.set_active("acme", False)
        for reader in (ws, other):
            report = reader.search("audit logs lunch")
            assert report.passages == ()
            assert {entry.refusal for entry in report.refused} == {Refusal.REVOKED_KEY}
        ws.authority.set_active("acme", True)
        assert found(other) == {"logs.md", "lunch.md"}


def test_a_source_added_elsewhere_is_known_without_opening_anew(ws: Workspace, docs: Path) -> None:
    with Workspace.open(ws.folder) as other:
        assert len(other.policy.sources) == 1
        ws.add_source("wiki", trust=0.25, scope="default/default/wiki", owner="The Wiki", probation=True)
        added = other.authority.source("wiki")
        assert (added.trust, added.scope, added.owner, added.probation) == (
            250,
            ("default/default/wiki",),
            "The Wiki",
            True,
        )
        other.ingest([docs / "logs.md"], source="wiki", prefix="wiki/")
        assert "wiki/logs.md" not in found(ws), "on probation, it waits"
        other.reviews.approve("wiki/logs.md", reason="it was read")
    assert "wiki/logs.md" in found(ws)


def test_an_unknown_source_is_an_error_and_no_empty_answer(ws: Workspace) -> None:
    with pytest.raises(NotFoundError, match="nobody"):
        ws.search("audit logs", sources=["acme", "nobody"])
    with pytest.raises(NotFoundError, match="nobody"):
        ws.ingest([], source="nobody")


# ---- memory and time


def test_an_old_copy_put_back_is_noticed(ws: Workspace, docs: Path, tmp_path: Path) -> None:
    ws.close()
    shutil.copytree(ws.folder, tmp_path / "last-week")
    ws.withdraw(["logs.md"], reason="wrong")
    assert found(ws) == {"lunch.md"}
    ws.close()
    shutil.rmtree(ws.folder)
    shutil.copytree(tmp_path / "last-week", ws.folder)
    (docs / "new.md").write_text("Something new.", encoding="utf-8")
    with Workspace.open(ws.folder) as opened:
        for use in (lambda: opened.search("audit logs"), lambda: opened.ingest([docs], source="acme")):
            with pytest.raises(StaleError) as caught:
                use()
            assert caught.value.refusal is Refusal.ROLLBACK


def test_an_old_policy_put_back_is_noticed(ws: Workspace, tmp_path: Path) -> None:
    shutil.copytree(ws.folder / "keys", tmp_path / "old-keys")
    ws.authority.set_active("acme", False)
    shutil.rmtree(ws.folder / "keys")
    shutil.copytree(tmp_path / "old-keys", ws.folder / "keys")
    with Workspace.open(ws.folder) as opened, pytest.raises(StaleError) as caught:
        opened.search("audit logs")
    assert caught.value.refusal is Refusal.ROLLBACK


def test_what_expires_says_which_command_renews_it(tmp_path: Path, docs: Path) -> None:
    clock = Clock()
    with Workspace.init(tmp_path / "kb", source="acme", embedder="hash", clock=clock) as made:
        made.ingest([docs], source="acme")
        clock.now += 100 * DAY  # the timestamp role holds for 90 days
        with pytest.raises(StaleError, match="trustrag keys refresh") as caught:
            made.search("audit logs")
        assert caught.value.refusal is Refusal.EXPIRED
        made.refresh()
        assert found(made) == {"logs.md", "lunch.md"}
        clock.now += 80 * DAY  # an ingest renews what is past half of its life
        assert any("expires within two weeks" in notice for notice in made.authority.notices())
        made.ingest([docs], source="acme")
        assert not any("expires" in notice for notice in made.authority.notices())


def test_a_store_left_alone_for_years_can_be_renewed(tmp_path: Path, docs: Path) -> None:
    clock = Clock()
    with Workspace.init(tmp_path / "kb", source="acme", embedder="hash", clock=clock) as made:
        made.ingest([docs], source="acme")
        clock.now += 11 * 365 * DAY
        with pytest.raises(StaleError, match="keys refresh --root"):
            made.search("audit logs")
        assert min(made.refresh(root=True).values()) > clock.now
        assert found(made) == {"logs.md", "lunch.md"}


# ---- out


def test_evidence_proves_itself_in_another_folder(
    ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = ws.search("audit logs", k=2).evidence().encode()
    shutil.copytree(ws.folder / "keys", tmp_path / "public")
    ws.close()
    shutil.rmtree(ws.folder)
    monkeypatch.setenv("TRUSTRAG_HOME", str(tmp_path / "nobody"))
    report = verify_evidence(data, tmp_path / "public")
    assert [type(result) for result in report.results] == [VerifiedPassage, VerifiedPassage]
    bent = data.replace(b"ninety", b"twenty")
    (refused, *_) = [
        r for r in verify_evidence(bent, tmp_path / "public").results if isinstance(r, RefusedPassage)
    ]
    assert (refused.doc_id, refused.chunk, refused.refusal) == ("logs.md", 0, Refusal.TAMPERED_TEXT)
    with (
        Workspace.init(tmp_path / "other", source="acme", embedder="hash") as other,
        pytest.raises(VerificationError),
    ):
        verify_evidence(data, other.authority.keys_folder)
    with pytest.raises(MalformedError):
        verify_evidence(b"garbage", tmp_path / "public")


def test_an_edited_text_is_refused_in_search_and_in_read(ws: Workspace) -> None:
    with sqlite3.connect(ws.folder / "ledger.db") as database:
        database.execute("UPDATE chunk SET text = replace(text, 'ninety', 'nine')")
    report = ws.search("audit logs")
    assert [(entry.doc_id, entry.refusal) for entry in report.refused] == [("logs.md", Refusal.TAMPERED_TEXT)]
    assert {ranked.passage.doc_id for ranked in report.passages} == {"lunch.md"}
    with pytest.raises(VerificationError):
        ws.read("logs.md")


def test_a_closed_workspace_opens_its_files_again(ws: Workspace) -> None:
    ws.close()
    ws.close()
    assert found(ws) == {"logs.md", "lunch.md"}


def test_documents_that_stand_are_listed_by_source(ws: Workspace) -> None:
    ws.add_source("wiki")
    assert [row.doc_id for row in ws.standing_documents("acme")] == ["logs.md", "lunch.md"]
    assert ws.standing_documents("wiki") == []
    assert ws.history.document("never seen") == []


def test_the_database_file_is_whole_by_itself_while_readers_stay_open(tmp_path: Path) -> None:
    with Workspace.init(tmp_path / "kb", source="acme", embedder="hash") as workspace:
        workspace.search("opens a reader that stays")
        workspace.ingest_documents(
            [SimpleNamespace(page_content="Kept.", metadata={}, id="a")], source="acme"
        )
        alone = tmp_path / "alone.db"
        alone.write_bytes((workspace.folder / "ledger.db").read_bytes())
    with closing(sqlite3.connect(alone)) as copied:
        assert copied.execute("SELECT doc_id FROM version").fetchall() == [("a",)]


def test_one_path_is_one_path_and_no_row_of_letters(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "a.txt").write_text("Kept for 90 days.")
    with Workspace.init(tmp_path / "kb", source="acme", embedder="hash") as workspace:
        report = workspace.ingest(str(tmp_path / "docs"), source="acme")
        assert [outcome.doc_id for outcome in report.admitted] == ["a.txt"]
        assert len(workspace.search("kept", sources="acme").passages) == 1
        assert workspace.withdraw("a.txt", reason="by its name") is not None
        assert workspace.standing_documents() == []


def test_a_judge_is_an_object_or_a_name(ws: Workspace, tmp_path: Path) -> None:
    class Watching:
        name, certain, asked = "watching", 1.0, 0

        def judge(self, question: str, *_: object) -> tuple[Finding, ...]:
            self.asked += 1
            return ()

    judge = Watching()
    with Workspace.open(ws.folder, judge=judge) as judged:
        judged.search("audit logs")
    assert judge.asked > 0
    with pytest.raises(BackendError, match=r"the judge .*nothing. cannot be opened") as caught:
        Workspace.open(ws.folder, judge=str(tmp_path / "nothing"))
    assert "\n" not in str(caught.value)


def test_comparisons_outlive_the_process_in_the_users_folder(ws: Workspace, tmp_path: Path) -> None:
    before = [one.score for one in ws.search("audit logs").passages]
    ws.close()
    (kept,) = (home() / "pairs").glob("*.db")
    assert kept.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(kept)) as database:
        assert database.execute("SELECT count(*) FROM pairs").fetchone() == (1,)
    kept.write_bytes(b"noise")
    with Workspace.open(ws.folder) as again:
        assert [one.score for one in again.search("audit logs").passages] == before


def test_ingest_compares_ahead(ws: Workspace) -> None:
    with closing(sqlite3.connect(home() / "pairs" / f"{ws.settings.store}.db")) as database:
        assert database.execute("SELECT count(*) FROM pairs").fetchone() == (1,)  # logs.md with lunch.md


def test_a_question_is_a_text(ws: Workspace) -> None:
    for ask in (ws.search, ws.ask):
        with pytest.raises(TypeError, match="a question is a str, not NoneType"):
            ask(None)  # type: ignore[arg-type]


# ---- the passphrase of its keys


def test_keys_without_a_passphrase_are_warned_of_unless_that_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.warns(UnencryptedKeysWarning, match="whoever reads your files can sign as you") as told:
        assert not Workspace.init(tmp_path / "a", source="acme", embedder="hash").authority.keyring.encrypted
    assert told[0].filename == __file__, "the line that made them is the one that is shown"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        meant = Workspace.init(tmp_path / "b", source="acme", embedder="hash", passphrase=None)
        assert not meant.authority.keyring.encrypted
        (tmp_path / "passphrase").write_text("horse\n", encoding="utf-8")
        monkeypatch.setenv("TRUSTRAG_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
        assert Workspace.init(tmp_path / "c", source="acme", embedder="hash").authority.keyring.encrypted
    (tmp_path / "passphrase").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="empty"):
        Workspace.init(tmp_path / "d", source="acme", embedder="hash")


def test_who_signs_elsewhere_is_warned_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ws = Workspace.init(tmp_path / "kb", source="acme", embedder="hash", passphrase=b"horse")
    monkeypatch.setenv("TRUSTRAG_HOME", str(tmp_path / "elsewhere"))
    with pytest.warns(UnencryptedKeysWarning) as told:
        Publisher.open(ws.authority.keys_folder).new_key("wiki")
    assert told[0].filename == __file__
