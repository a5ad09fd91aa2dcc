"""Publishing: what is there proves itself, the next one writes what is new, and dying anywhere leaves the last one."""

import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.ledger.world import DIMENSION, NOW, POLICY, SEALER, Draft, accepted, admit, new_ledger, prove
from trustrag.errors import ConfigError, LedgerError, MalformedError, ProofError, Refusal, StaleError
from trustrag.ledger import Ledger, Ruling, StoredPassage
from trustrag.provenance.evidence import VerifiedPassage, accept_head
from trustrag.published import writer
from trustrag.published.store import PublishedStore, PublishedView
from trustrag.published.tiles import parts
from trustrag.published.writer import KEPT_STATES, PublishReport, publish
from trustrag.stored import UnprovedPassage

DRAFTS = [
    Draft(f"doc/{number}", 1, (f"text {number}", f"more of {number}"), metadata=(("n", number % 3),))
    for number in range(12)
]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    (tmp_path / "keys" / "metadata").mkdir(parents=True)
    (tmp_path / "keys" / "metadata" / "timestamp.json").write_text("{}")
    with new_ledger(tmp_path / "kb") as made:
        admit(made, *DRAFTS)
        admit(made, Draft("held", 1, ("kept back",), quarantined=True))
        yield made


def published(ledger: Ledger, *, accepts: Callable[[bytes], bool] = lambda note: True) -> PublishReport:
    return publish(ledger, out_of(ledger), ledger.folder.parent / "keys", accepts)


def out_of(ledger: Ledger) -> Path:
    return ledger.folder.parent / "out"


def proved(view: PublishedView) -> list[VerifiedPassage]:
    """All that stands in a publication, through the gate."""
    snapshot = accept_head(view.head(), POLICY, now=NOW)
    found = view.passages(view.select())
    return [prove(view, item, snapshot) for item in found if isinstance(item, StoredPassage)]  # type: ignore[arg-type]


def texts(ledger: Ledger) -> list[str]:
    with PublishedStore(out_of(ledger)).view() as view:
        return [passage.text for passage in proved(view)]


def test_all_that_stands_proves_itself_as_in_the_ledger(ledger: Ledger) -> None:
    report = published(ledger)
    assert (report.snapshot, report.pending) == (ledger.snapshot().version, None)
    with PublishedStore(out_of(ledger)).view() as view, ledger.view() as here:
        ids = here.select()
        assert view.select().tolist() == ids.tolist()
        assert view.passages(ids) == here.passages(ids)
        assert view.head() == here.head()
        assert np.array_equal(view.vectors(ids), here.vectors(ids))
        assert view.chunk_total() == here.chunk_total()
        assert [passage.text for passage in proved(view)] == [
            prove(here, item, accepted(here)).text
            for item in here.passages(ids)
            if isinstance(item, StoredPassage)
        ]
        for old in range(1, view.head().snapshot.index + 1):
            assert view.consistency(old, view.head().snapshot.index + 1) == here.consistency(
                old, view.head().snapshot.index + 1
            )


def test_filters_select_what_they_select_in_the_ledger(ledger: Ledger) -> None:
    admit(ledger, Draft("wiki/one", 1, ("of the wiki",), source="wiki", metadata=(("n", 1),)))
    published(ledger)
    with PublishedStore(out_of(ledger)).view() as view, ledger.view() as here:
        for where in (None, {"n": 1}, {"n": 7}, {"m": 1}):
            for sources in (None, ["acme"], ["wiki"], ["acme", "wiki"], []):
                assert view.select(where, sources).tolist() == here.select(where, sources).tolist()
        for doc_id in ("doc/3", "held", "nobody"):
            mine, theirs = view.active(doc_id), here.active(doc_id)
            assert (mine and (mine.first_chunk, mine.chunk_count)) == (
                theirs and (theirs.first_chunk, theirs.chunk_count)
            )


def test_what_does_not_stand_is_nowhere_in_the_folder(ledger: Ledger) -> None:
    published(ledger)
    ledger.rule([Ruling("withdraw", "wrong", doc_id="doc/3")], SEALER, NOW)
    vector = DRAFTS[3].vectors[0].astype("<f4").tobytes()
    assert vector in everything(ledger)
    for number in range(KEPT_STATES + 1):
        admit(ledger, Draft("other", number + 1, (f"other {number}",)))
        published(ledger)
    data = everything(ledger)
    assert b"kept back" not in data
    assert b"text 3" not in data
    assert vector not in data
    assert "text 4" in texts(ledger)


def test_what_is_restored_is_there_again(ledger: Ledger) -> None:
    ledger.rule([Ruling("withdraw", "wrong", doc_id="doc/3")], SEALER, NOW)
    published(ledger)
    assert "text 3" not in texts(ledger)
    ledger.rule([Ruling("restore", "right", doc_id="doc/3")], SEALER, NOW)
    published(ledger)
    assert "text 3" in texts(ledger)


def test_again_writes_what_is_new_only(ledger: Ledger) -> None:
    published(ledger)
    again = published(ledger)
    assert (again.files, again.shards, again.removed) == (0, 0, 0)
    before = {path: path.stat().st_mtime_ns for path in out_of(ledger).rglob("*") if path.is_file()}
    admit(ledger, Draft("doc/5", 2, ("text 5 anew",)))
    report = published(ledger)
    assert report.shards == 1
    changed = {path for path, time in before.items() if path.exists() and path.stat().st_mtime_ns != time}
    assert changed == {out_of(ledger) / "checkpoint", out_of(ledger) / "vectors" / "0.f32"}
    assert "text 5 anew" in texts(ledger)
    assert "text 5" not in texts(ledger)


def test_the_tiles_are_those_of_the_specification(ledger: Ledger) -> None:
    for number in range(90):
        admit(ledger, Draft("grows", number + 1, (f"grown {number}",)))
        if number % 9 == 0:
            published(ledger)
    published(ledger)
    size = ledger.snapshot().log_size
    assert size > 256
    there = {
        path.relative_to(out_of(ledger)).as_posix()
        for path in (out_of(ledger) / "tile").rglob("*")
        if path.is_file()
    }
    assert {part.path for part in parts(0, size)} <= there
    assert not [name for name in there if "000.p" in name and "tile/1" not in name]
    assert len(texts(ledger)) == 25


def test_a_reader_follows_while_it_is_published_anew(ledger: Ledger) -> None:
    published(ledger)
    store = PublishedStore(out_of(ledger))
    with store.view() as before:
        admit(ledger, Draft("new", 1, ("something new",)))
        published(ledger)
        with store.view() as after:
            assert len(proved(after)) == len(proved(before)) + 1
            first = before.changes(0)
            moved = after.changes(first.version)
            assert (len(moved.added), len(moved.removed)) == (1, 0)
            with pytest.raises(LedgerError, match="not known any more"):
                after.changes(99)


def test_readers_in_threads_never_see_a_half(ledger: Ledger) -> None:
    published(ledger)
    store, wrong, done = PublishedStore(out_of(ledger)), [], threading.Event()

    def read() -> None:
        while not done.is_set():
            with store.view() as view:
                found = view.passages(view.select())
                if any(isinstance(item, UnprovedPassage) for item in found) or len(proved(view)) != len(
                    found
                ):
                    wrong.append(found)

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    for number in range(6):
        admit(ledger, Draft("doc/1", number + 2, (f"text 1, {number}", f"more, {number}")))
        published(ledger)
    done.set()
    for thread in threads:
        thread.join()
    assert not wrong


def test_dying_anywhere_leaves_the_former_publication(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(ledger)
    before = texts(ledger)
    admit(ledger, Draft("doc/2", 2, ("text 2 anew",)), Draft("new", 1, ("something new",)))
    steps = ("write_whole", "_flush")
    for name in steps:
        for after in range(40):
            if not dies(ledger, monkeypatch, name, after):
                break
            assert texts(ledger) in (before, texts_now(ledger))
        else:
            pytest.fail(f"{name} was called without end")
        shutil.rmtree(out_of(ledger))
        published(ledger)
        admit(ledger, Draft("again", ledger.snapshot().version, (name,)))
        before = texts(ledger)
    assert not [path for path in out_of(ledger).rglob(".*") if path.is_file()]


def dies(ledger: Ledger, monkeypatch: pytest.MonkeyPatch, name: str, after: int) -> bool:
    """Publish, and die at the call of this function that comes after so many; whether it came to that."""
    real, calls = getattr(writer, name), [0]

    def call(*args: object, **kwargs: object) -> object:
        calls[0] += 1
        if calls[0] > after:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(writer, name, call)
        try:
            published(ledger)
        except KeyboardInterrupt:
            return True
    return False


def texts_now(ledger: Ledger) -> list[str]:
    """What stands, by the ledger."""
    with ledger.view() as view:
        return [item.text for item in view.passages(view.select()) if isinstance(item, StoredPassage)]


def test_what_a_dead_publisher_left_is_cleared_away(ledger: Ledger) -> None:
    published(ledger)
    stray = out_of(ledger) / "standing" / "000" / ".abc.0011"
    stray.parent.mkdir(exist_ok=True)
    stray.write_text("half")
    admit(ledger, Draft("new", 1, ("something new",)))
    published(ledger)
    assert not stray.exists()


def test_what_waits_for_witnesses_is_not_shown(ledger: Ledger) -> None:
    report = published(ledger, accepts=lambda note: False)
    assert (report.snapshot, report.pending) == (None, ledger.snapshot().version)
    with pytest.raises(ConfigError, match="no publication"):
        PublishedStore(out_of(ledger))
    published(ledger)
    shown, before = ledger.snapshot().version, texts(ledger)
    checkpoint = ledger.head().checkpoint
    admit(ledger, Draft("new", 1, ("something new",)))
    report = published(ledger, accepts=lambda note: note == checkpoint)
    assert (report.snapshot, report.pending) == (shown, shown + 1)
    assert texts(ledger) == before
    report = published(ledger)
    assert (report.snapshot, report.pending) == (shown + 1, None)
    assert "something new" in texts(ledger)


def test_what_is_taken_out_is_silent_before_witnesses_see_it(ledger: Ledger) -> None:
    published(ledger)
    store, checkpoint = PublishedStore(out_of(ledger)), ledger.head().checkpoint
    ledger.rule([Ruling("withdraw", "wrong", doc_id="doc/3")], SEALER, NOW)
    admit(ledger, Draft("doc/4", 2, ("text 4 anew",)))
    published(ledger, accepts=lambda note: note == checkpoint)
    with store.view() as view:
        found = view.passages(view.select())
        refused = [item for item in found if isinstance(item, UnprovedPassage)]
        assert {(item.doc_id, item.refusal) for item in refused} == {("doc/3", Refusal.NOT_IN_SNAPSHOT)}
        assert "text 4" in [item.text for item in found if isinstance(item, StoredPassage)]


def test_many_withheld_seals_keep_what_is_shown(ledger: Ledger) -> None:
    published(ledger)
    before, checkpoint = texts(ledger), ledger.head().checkpoint
    for number in range(KEPT_STATES + 3):
        admit(ledger, Draft("doc/1", number + 2, (f"anew {number}",)))
        published(ledger, accepts=lambda note: note == checkpoint)
    assert texts(ledger) == before


# ---- refusals


def test_an_older_ledger_does_not_publish_over_a_newer_one(ledger: Ledger, tmp_path: Path) -> None:
    published(ledger)
    shutil.copytree(ledger.folder, tmp_path / "old")
    admit(ledger, Draft("new", 1, ("something new",)))
    published(ledger)
    with Ledger.open(tmp_path / "old") as old, pytest.raises(StaleError) as caught:
        publish(old, out_of(ledger), tmp_path / "keys", lambda note: True)
    assert caught.value.refusal is Refusal.ROLLBACK
    assert "something new" in texts(ledger)


def test_a_fork_does_not_publish_over_its_other_half(ledger: Ledger, tmp_path: Path) -> None:
    shutil.copytree(ledger.folder, tmp_path / "fork")
    admit(ledger, Draft("new", 1, ("one half",)))
    published(ledger)
    with Ledger.open(tmp_path / "fork", write=True) as fork:
        admit(fork, Draft("new", 1, ("the other half",)))
        with pytest.raises(ProofError) as caught:
            publish(fork, out_of(ledger), tmp_path / "keys", lambda note: True)
    assert caught.value.refusal is Refusal.FORK
    assert "one half" in texts(ledger)


def test_a_folder_of_something_else_is_left_alone(ledger: Ledger) -> None:
    out_of(ledger).mkdir()
    (out_of(ledger) / "letter.txt").write_text("mine")
    with pytest.raises(ConfigError, match="something else"):
        published(ledger)
    assert [path.name for path in out_of(ledger).iterdir()] == ["letter.txt"]


def test_a_publication_of_another_log_is_left_alone(ledger: Ledger) -> None:
    published(ledger)
    path = out_of(ledger) / "checkpoint"
    path.write_bytes(path.read_bytes().replace(b"example.org/log", b"example.org/elsewhere"))
    with pytest.raises(ConfigError, match=r"publication of example.org/elsewhere"):
        published(ledger)


def test_rows_that_were_changed_are_not_published(ledger: Ledger) -> None:
    published(ledger)
    admit(ledger, Draft("new", 1, ("something new",)))
    before = texts(ledger)
    database = sqlite3.connect(ledger.folder / "ledger.db")
    bent = "CAST(replace(CAST(entry AS TEXT), '\"version\":1', '\"version\":2') AS BLOB)"
    database.execute(f"UPDATE standing SET entry = {bent} WHERE doc_id = 'new'")
    database.commit()
    database.close()
    with pytest.raises((LedgerError, MalformedError)):
        published(ledger)
    assert texts(ledger) == before


def test_vectors_that_are_cut_off_are_not_published(ledger: Ledger) -> None:
    path = ledger.folder / "vectors.f32"
    path.write_bytes(path.read_bytes()[:-3])
    with ledger.view() as view:
        last = int(view.select().max())
    os.truncate(path, last * 4 * DIMENSION + 5)
    with pytest.raises(LedgerError, match="cut off"):
        published(ledger)
    assert not (out_of(ledger) / "checkpoint").exists()


def test_a_file_that_was_bent_is_written_anew_when_its_shard_is(ledger: Ledger) -> None:
    published(ledger)
    for path in (out_of(ledger) / "tile" / "entries").rglob("*.p/*"):
        path.write_bytes(b"bent")
    admit(ledger, Draft("new", 1, ("something new",)))
    published(ledger)
    assert "something new" in texts(ledger)


def test_an_empty_store_is_published_too(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    with new_ledger(tmp_path / "kb") as ledger:
        published(ledger)
        with PublishedStore(out_of(ledger)).view() as view:
            assert proved(view) == []
            assert view.select(None, ["acme"]).tolist() == []
            assert view.passages([0]) == [
                UnprovedPassage(0, "", -1, Refusal.NOT_IN_SNAPSHOT, "no document that stands has chunk 0")
            ]


def test_vectors_lie_in_packs(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    from trustrag.published import vectors

    monkeypatch.setattr(vectors, "PACK_ROWS", 5)
    published(ledger)
    assert len(list((out_of(ledger) / "vectors").iterdir())) == 5
    with PublishedStore(out_of(ledger)).view() as view, ledger.view() as here:
        ids = here.select()
        assert np.array_equal(view.vectors(ids), here.vectors(ids))
        assert view.passages(ids) == here.passages(ids)
        with pytest.raises(LedgerError, match="outside the 25 chunks"):
            view.vectors(np.array([25]))


def everything(ledger: Ledger) -> bytes:
    return b"\0".join(path.read_bytes() for path in out_of(ledger).rglob("*") if path.is_file())
