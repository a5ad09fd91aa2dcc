"""The command in states that no script can write down: a clock that went on, a writer who is busy, an old copy."""

import shutil
import time
from pathlib import Path

import pytest

from tests.cli.script import trustrag
from trustrag.ledger import Ledger
from trustrag.workspace import Workspace

DAY = 86_400


@pytest.fixture(autouse=True)
def docs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "logs.md").write_text("Audit logs are kept for ninety days.", encoding="utf-8")
    return folder


def made(docs: Path, days_ago: int = 0) -> None:
    """A workspace `kb` with one document, made so many days ago."""
    then = int(time.time()) - days_ago * DAY
    with Workspace.init("kb", source="acme", embedder="hash", clock=lambda: then) as workspace:
        workspace.ingest([docs], source="acme")


@pytest.mark.parametrize(
    ("days", "command"),
    [(120, ("keys", "refresh")), (500, ("keys", "refresh")), (4000, ("keys", "refresh", "--root"))],
)
def test_what_has_expired_names_the_command_that_renews_it(
    docs: Path, days: int, command: tuple[str, ...]
) -> None:
    made(docs, days)
    for question in (("search", "audit logs"), ("ask", "audit logs?"), ("source", "list"), ("keys", "list")):
        run = trustrag("-w", "kb", *question)
        assert run.status == 1
        assert f"`trustrag {' '.join(command)}`" in run.err
        assert len(run.err.splitlines()) == 1
    assert trustrag("-w", "kb", *command).status == 0
    assert trustrag("-w", "kb", "search", "audit logs").status == 0
    assert trustrag("-w", "kb", "audit").status == 0


def test_what_is_about_to_expire_is_told_and_an_ingest_renews_it(docs: Path) -> None:
    made(docs, 80)
    told = trustrag("-w", "kb", "search", "audit logs", "--json")
    assert told.status == 0
    assert "note: the trust root's timestamp expires within two weeks: trustrag keys refresh" in told.err
    assert trustrag("-w", "kb", "ingest", "docs", "--sign").status == 0
    assert trustrag("-w", "kb", "search", "audit logs").err == ""


def test_a_reader_cannot_renew_and_is_told_who_can(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(docs, 120)
    monkeypatch.setenv("TRUSTRAG_HOME", str(docs.parent / "reader"))
    assert "whoever holds its key runs" in trustrag("-w", "kb", "search", "audit logs").err
    assert trustrag("-w", "kb", "keys", "refresh").status == 2


def test_a_second_writer_is_told_to_wait(docs: Path) -> None:
    made(docs)
    (docs / "new.md").write_text("Something new.", encoding="utf-8")
    with Ledger.open(Path("kb"), write=True):
        run = trustrag("-w", "kb", "ingest", "docs", "--sign")
        assert run.status == 1
        assert len(run.err.splitlines()) == 1
        assert trustrag("-w", "kb", "search", "audit logs").status == 0
    assert trustrag("-w", "kb", "ingest", "docs", "--sign").status == 0


def test_an_old_copy_is_refused_by_every_verb_that_answers_or_seals(docs: Path) -> None:
    made(docs)
    shutil.copytree("kb", "old")
    assert trustrag("-w", "kb", "withdraw", "logs.md", "--reason", "wrong").status == 0
    shutil.rmtree("kb")
    shutil.copytree("old", "kb")
    (docs / "new.md").write_text("Something new.", encoding="utf-8")
    for verb in (
        ("search", "audit logs"),
        ("ask", "audit logs?"),
        ("ingest", "docs", "--sign"),
        ("quarantine", "logs.md", "--reason", "x"),
    ):
        run = trustrag("-w", "kb", *verb)
        assert (run.status, run.out) == (1, "")
        assert "ROLLBACK" in run.err
        assert len(run.err.splitlines()) == 1
    audited = trustrag("-w", "kb", "audit")
    assert audited.status == 1
    assert "ROLLBACK" in audited.out


def test_the_workspace_is_found_from_within(docs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(docs)
    inside = Path("kb") / "some" / "where"
    inside.mkdir(parents=True)
    monkeypatch.chdir(inside)
    assert trustrag("search", "audit logs").status == 0
