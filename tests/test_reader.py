"""A reader with nothing but the published folder says what the workspace says, and refuses what it would refuse."""

import json
import multiprocessing
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from trustrag import Reader
from trustrag.errors import AuthorityError, ConfigError, NotFoundError, Refusal, StaleError, VerificationError
from trustrag.provenance.export import verify_evidence_file
from trustrag.workspace import Document, Workspace

NOW = 1_795_000_000
QUESTION = "How long are audit logs of kind 7 kept?"


def document(doc_id: str, text: str, **metadata: object) -> Document:
    return Document(doc_id, text.encode(), "text/plain", text, doc_id, {"title": doc_id, **metadata})  # type: ignore[dict-item]


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.init(tmp_path / "kb", source="acme", embedder="hash", clock=lambda: NOW) as made:
        made.add_source("wiki", trust=0.5)
        made.ingest_documents(
            [
                document(f"d{n}", f"Audit logs of kind {n} are kept for {n + 10} days.", kind=n % 2)
                for n in range(12)
            ],
            source="acme",
        )
        made.ingest_documents(
            [document("w7", "The wiki keeps audit logs of kind 7 for 17 days.")], source="wiki"
        )
        made.log.publish(tmp_path / "out")
        yield made


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """From here on, somebody with a home of their own."""
    monkeypatch.setenv("TRUSTRAG_HOME", str(tmp_path / "reader"))
    return tmp_path / "reader"


def opened(ws: Workspace, **options: object) -> Reader:
    return Reader.open(ws.folder.parent / "out", clock=lambda: NOW, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("index", ["mapped", "flat"])
def test_it_says_what_the_workspace_says(ws: Workspace, index: str) -> None:
    reader = opened(ws, index=index)
    for options in (
        {},
        {"k": 3, "mode": "strict"},
        {"sources": "wiki"},
        {"sources": ["acme", "wiki"]},
        {"where": {"kind": 1}},
        {"where": {"kind": 1, "title": "d7"}},
        {"mode": "report", "min_support": 1},
    ):
        assert reader.search(QUESTION, **options) == ws.search(QUESTION, **options), options  # type: ignore[arg-type]
    assert reader.ask(QUESTION) == ws.ask(QUESTION)
    assert reader.read("d3") == ws.read("d3")


def test_it_follows_what_is_published_anew(ws: Workspace) -> None:
    reader = opened(ws)
    reader.search(QUESTION)
    ws.withdraw("d7", reason="wrong")
    ws.ingest_documents([document("d8", "Audit logs of kind 8 are kept for ever.")], source="acme")
    ws.log.publish(ws.folder.parent / "out")
    found = {
        ranked.passage.doc_id: ranked.passage.version for ranked in reader.search(QUESTION, k=12).passages
    }
    assert "d7" not in found
    assert found["d8"] == 2
    with pytest.raises(NotFoundError):
        reader.read("d7")


def test_a_suspended_source_is_silent_once_the_policy_is_published(ws: Workspace) -> None:
    reader = opened(ws)
    assert reader.search(QUESTION, sources="wiki").passages
    ws.authority.set_active("wiki", False)
    ws.log.publish(ws.folder.parent / "out")
    assert not reader.search(QUESTION, sources="wiki").passages
    with pytest.raises(NotFoundError, match="no source 'nobody'"):
        reader.search(QUESTION, sources="nobody")


def test_its_evidence_proves_itself_elsewhere(ws: Workspace) -> None:
    report = opened(ws).search(QUESTION)
    proved = verify_evidence_file(report.evidence().encode(), ws.policy, now=NOW)
    assert [one.text for one in proved.results] == [ranked.passage.text for ranked in report.passages]  # type: ignore[union-attr]


def test_an_older_publication_is_refused_by_the_next_process_too(ws: Workspace, elsewhere: Path) -> None:
    out = ws.folder.parent / "out"
    shutil.copytree(out, out.parent / "old")
    with_operator(ws, lambda: ws.withdraw("d7", reason="wrong"))
    opened(ws).search(QUESTION)
    shutil.rmtree(out)
    shutil.copytree(out.parent / "old", out)
    with pytest.raises(StaleError) as caught:
        opened(ws).search(QUESTION)
    assert caught.value.refusal is Refusal.ROLLBACK
    assert elsewhere.is_dir()


def with_operator(ws: Workspace, act: object) -> None:
    """Do this as the operator, and publish it."""
    here = os.environ["TRUSTRAG_HOME"]
    os.environ["TRUSTRAG_HOME"] = str(ws.authority.keyring.folder.parent.parent)
    try:
        act()  # type: ignore[operator]
        ws.log.publish(ws.folder.parent / "out")
    finally:
        os.environ["TRUSTRAG_HOME"] = here


def test_a_reader_that_stays_open_refuses_an_older_publication(ws: Workspace) -> None:
    out = ws.folder.parent / "out"
    shutil.copytree(out, out.parent / "old")
    reader = opened(ws)
    ws.withdraw("d7", reason="wrong")
    ws.log.publish(out)
    reader.search(QUESTION)
    shutil.copyfile(out.parent / "old" / "checkpoint", out / "checkpoint")
    with pytest.raises(StaleError) as caught:
        reader.search(QUESTION)
    assert caught.value.refusal is Refusal.ROLLBACK


def test_a_publication_that_stands_still_ends(ws: Workspace) -> None:
    later = Reader.open(ws.folder.parent / "out", clock=lambda: NOW + 80 * 86_400)
    assert later.search(QUESTION).passages
    frozen = Reader.open(ws.folder.parent / "out", clock=lambda: NOW + 80 * 86_400)
    frozen._clock = lambda: NOW + 400 * 86_400
    with pytest.raises(VerificationError) as caught:
        frozen.search(QUESTION)
    assert caught.value.refusal is Refusal.STALE_SNAPSHOT
    with pytest.raises(StaleError) as caught:
        Reader.open(ws.folder.parent / "out", clock=lambda: NOW + 400 * 86_400)
    assert caught.value.refusal is Refusal.EXPIRED


def test_keys_from_elsewhere_are_believed_instead(ws: Workspace, tmp_path: Path) -> None:
    shutil.move(ws.folder.parent / "out" / "keys", tmp_path / "keys")
    with pytest.raises(ConfigError, match="no trust root"):
        opened(ws)
    assert opened(ws, keys=tmp_path / "keys").search(QUESTION).passages


def test_the_keys_of_another_store_are_refused(ws: Workspace, tmp_path: Path) -> None:
    with (
        Workspace.init(tmp_path / "other", source="acme", embedder="hash", clock=lambda: NOW) as other,
        pytest.raises(AuthorityError) as caught,
    ):
        opened(ws, keys=other.authority.keys_folder)
    assert caught.value.refusal is Refusal.WRONG_CONTEXT


def test_a_publication_has_no_past(ws: Workspace) -> None:
    with pytest.raises(ConfigError, match="no past"):
        opened(ws).search(QUESTION, at=1)


def test_a_field_that_nobody_has_is_named(ws: Workspace) -> None:
    reader = opened(ws)
    assert reader.search(QUESTION, where={"knid": 1}).unknown_fields == ("knid",)
    assert reader.search(QUESTION, where={"kind": 9}).unknown_fields == ()


def test_another_embedder_is_refused(ws: Workspace) -> None:
    with pytest.raises(ConfigError, match="vectors were made by"):
        opened(ws, embedder="hash-128").search(QUESTION)


def test_no_model_is_fetched_because_a_folder_says_so(ws: Workspace) -> None:
    (state,) = (ws.folder.parent / "out" / "state").iterdir()
    state.write_bytes(state.read_bytes().replace(b'"hash-256"', b'"evil/model"'))
    with pytest.raises(ConfigError, match="made with evil/model: give it"):
        opened(ws).search(QUESTION)


def test_what_is_no_publication_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no publication"):
        Reader.open(tmp_path)


def test_there_is_no_database_on_its_path(ws: Workspace) -> None:
    program = (
        "import json, sys\n"
        "from trustrag import Reader\n"
        f"reader = Reader.open({str(ws.folder.parent / 'out')!r}, clock=lambda: {NOW})\n"
        f"assert reader.search({QUESTION!r}).passages and reader.ask({QUESTION!r})\n"
        "print(json.dumps([m for m in sys.modules if 'sqlite' in m or m.startswith('trustrag.ledger')]))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


def _asks(folder: Path, times: int) -> None:
    reader = Reader.open(folder, clock=lambda: NOW)
    for _ in range(times):
        report = reader.search(QUESTION, k=12)
        if report.refused or not report.passages:
            sys.exit(f"refused: {report.refused}")


def test_it_may_lag_the_workspace_of_the_same_user_and_never_itself(ws: Workspace, tmp_path: Path) -> None:
    reader, out = opened(ws), tmp_path / "out"
    ws.ingest_documents([document("d1", "Audit logs of kind 1: changed.")], source="acme")
    assert ws.search(QUESTION, k=12).passages  # from here on, this user has seen the next snapshot
    assert reader.search(QUESTION, k=12).passages
    assert opened(ws).search(QUESTION, k=12).passages
    shutil.copytree(out, tmp_path / "old")
    ws.log.publish(out)
    assert opened(ws).search(QUESTION, k=12).passages
    shutil.rmtree(out)
    (tmp_path / "old").rename(out)
    with pytest.raises(StaleError) as caught:
        opened(ws).search(QUESTION, k=12)
    assert caught.value.refusal is Refusal.ROLLBACK


def test_many_processes_read_while_it_is_published_anew(ws: Workspace) -> None:
    readers = [
        multiprocessing.get_context("spawn").Process(target=_asks, args=(ws.folder.parent / "out", 25))
        for _ in range(2)
    ]
    for process in readers:
        process.start()
    for number in range(4):
        ws.ingest_documents([document("d1", f"Audit logs of kind 1: {number}.")], source="acme")
        ws.log.publish(ws.folder.parent / "out")
    for process in readers:
        process.join()
        assert process.exitcode == 0
