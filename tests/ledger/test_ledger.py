"""The ledger from outside: what goes in comes out with evidence that the gate believes, and nothing else does."""

import os
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.ledger.world import (
    CONTEXT,
    EMBEDDER,
    NOW,
    POLICY,
    SEALER,
    Draft,
    accepted,
    admissions,
    admit,
    key,
    new_ledger,
    prove,
    publisher,
    review_of,
)
from trustrag.errors import (
    BackendError,
    ConfigError,
    ConflictError,
    LedgerError,
    MalformedError,
    NotFoundError,
    Refusal,
)
from trustrag.ledger import Ledger, Ruling, StoredPassage, UnprovedPassage, check, matches
from trustrag.provenance import merkle
from trustrag.provenance.canonical import parse_metadata
from trustrag.provenance.checkpoint import Checkpoint, Note
from trustrag.provenance.evidence import accept_head
from trustrag.provenance.statement import Context


@pytest.fixture
def ledger(tmp_path: Path):
    with new_ledger(tmp_path / "kb") as ledger:
        yield ledger


def texts(ledger: Ledger) -> set[str]:
    """The texts of all standing chunks, each through the gate."""
    with ledger.view() as view:
        snapshot = accepted(view)
        found = view.passages(view.select())
        return {prove(view, item, snapshot).text for item in found if isinstance(item, StoredPassage)}


def test_what_is_admitted_is_proved(ledger: Ledger) -> None:
    admit(ledger, Draft("a", 1, ("one", "two", "three"), metadata=(("year", 2026), ("share", 0.5))))
    with ledger.view() as view:
        _, second, _ = view.passages(view.select())
        assert isinstance(second, StoredPassage)
        proved = prove(view, second)
    assert (proved.text, proved.doc_id, proved.version, proved.index) == ("two", "a", 1, 1)
    assert proved.metadata == {"year": 2026, "share": 0.5}
    assert second.vector == Draft("a", 1, ("one", "two", "three")).vectors[1].tobytes()
    assert second.source_name == "acme"


def test_a_new_version_supersedes_the_old(ledger: Ledger) -> None:
    admit(ledger, Draft("a", 1, ("old", "older")), Draft("b", 1, ("other",)))
    before = ledger.snapshot().version
    admit(ledger, Draft("a", 2, ("new",)))
    assert texts(ledger) == {"new", "other"}
    assert [row.standing for row in ledger.versions("a")] == ["superseded", "active"]
    changes = ledger.changes(before)
    assert (changes.added.tolist(), changes.removed.tolist()) == ([3], [0, 1])
    (old,) = ledger.passages([0])
    assert isinstance(old, UnprovedPassage)
    assert (old.refusal, old.doc_id, old.index) == (Refusal.NOT_IN_SNAPSHOT, "a", 0)


def test_an_older_or_equal_version_is_refused_and_nothing_written(ledger: Ledger) -> None:
    admit(ledger, Draft("a", 2, ("two",)))
    snapshot, length = ledger.snapshot(), (ledger.folder / "vectors.f32").stat().st_size
    with pytest.raises(ConflictError, match="version 2"):
        admit(ledger, Draft("b", 1, ("fine",)), Draft("a", 2, ("again",)))
    assert ledger.snapshot() == snapshot
    assert ledger.version_of("b") is None
    assert (ledger.folder / "vectors.f32").stat().st_size == length
    assert list(check(ledger)) == []


def test_a_quarantined_version_leaves_the_active_one_standing(ledger: Ledger) -> None:
    admit(ledger, Draft("a", 1, ("good",)))
    admit(ledger, Draft("a", 2, ("doubtful",), quarantined=True))
    assert texts(ledger) == {"good"}
    newest = ledger.version_of("a")
    assert newest is not None
    assert (newest.version, newest.standing, newest.findings) == (2, "quarantined", ("odd",))
    active = ledger.active("a")
    assert active is not None
    assert active.version == 1


def test_restoring_needs_an_approval(ledger: Ledger) -> None:
    (admission,) = admissions([Draft("a", 1, ("doubtful",), quarantined=True)])
    ledger.admit([admission], SEALER, NOW)
    with pytest.raises(LedgerError, match="nobody approved"):
        ledger.rule([Ruling("restore", "looked at it", doc_id="a")], SEALER, NOW)
    other = admissions([Draft("b", 1, ("other",))])[0]
    with pytest.raises(LedgerError, match="something else"):
        ledger.rule([Ruling("restore", "x", doc_id="a", reviews=(review_of(other.ingest),))], SEALER, NOW)
    ledger.rule([Ruling("restore", "x", doc_id="a", reviews=(review_of(admission.ingest),))], SEALER, NOW)
    assert texts(ledger) == {"doubtful"}


def test_rulings_by_document(ledger: Ledger) -> None:
    admit(ledger, Draft("a", 1, ("one",)), Draft("b", 1, ("two",)))
    ledger.rule([Ruling("quarantine", "doubt", doc_id="a")], SEALER, NOW)
    assert texts(ledger) == {"two"}
    ledger.rule([Ruling("restore", "no doubt", doc_id="a")], SEALER, NOW)
    assert texts(ledger) == {"one", "two"}
    snapshot = ledger.rule([Ruling("withdraw", "wrong", doc_id="a")], SEALER, NOW)
    assert texts(ledger) == {"two"}
    assert (snapshot.action, snapshot.reason) == ("withdraw", "wrong")
    with pytest.raises(NotFoundError, match="nothing to quarantine"):
        ledger.rule([Ruling("quarantine", "x", doc_id="a")], SEALER, NOW)
    with pytest.raises(NotFoundError, match="nothing to withdraw"):
        ledger.rule([Ruling("withdraw", "x", doc_id="nobody")], SEALER, NOW)


def test_an_older_version_can_be_restored_by_its_number(ledger: Ledger) -> None:
    admit(ledger, Draft("a", 1, ("one",)))
    admit(ledger, Draft("a", 2, ("two",)))
    ledger.rule([Ruling("restore", "two was wrong", doc_id="a", version=1)], SEALER, NOW)
    assert texts(ledger) == {"one"}
    assert [row.standing for row in ledger.versions("a")] == ["active", "superseded"]
    with pytest.raises(NotFoundError):
        ledger.rule([Ruling("restore", "x", doc_id="a", version=1)], SEALER, NOW)
    assert list(check(ledger)) == []


def test_a_source_goes_and_comes_back_in_one_snapshot_each(ledger: Ledger) -> None:
    admit(ledger, Draft("a", 1, ("one",)), Draft("b", 1, ("two",)), Draft("c", 1, ("three",)))
    admit(ledger, Draft("w", 1, ("wiki",), source="wiki"))
    ledger.rule([Ruling("withdraw", "false", doc_id="c")], SEALER, NOW)
    before = ledger.snapshot().version
    ledger.rule([Ruling("withdraw", "broken into", source="acme")], SEALER, NOW, publisher=publisher)
    assert texts(ledger) == {"wiki"}
    assert ledger.snapshot().version == before + 1
    ledger.rule([Ruling("restore", "all good", source="acme")], SEALER, NOW, publisher=publisher)
    # c was withdrawn for its own sake, and stays so.
    assert texts(ledger) == {"one", "two", "wiki"}
    assert list(check(ledger)) == []


def test_restoring_a_source_leaves_what_was_never_approved(ledger: Ledger) -> None:
    admit(ledger, Draft("a", 1, ("one",)))
    admit(ledger, Draft("b", 1, ("two",), quarantined=True))
    ledger.rule([Ruling("withdraw", "x", source="acme")], SEALER, NOW, publisher=publisher)
    ledger.rule([Ruling("restore", "y", source="acme")], SEALER, NOW, publisher=publisher)
    assert texts(ledger) == {"one"}


@pytest.mark.parametrize(
    "fields",
    [
        {"action": "restore"},
        {"action": "restore", "doc_id": "a", "source": "b"},
        {"action": "withdraw", "doc_id": "a", "version": 1},
        {"action": "restore", "source": "a", "version": 1},
    ],
)
def test_a_ruling_that_says_nothing_clear_is_refused(fields: dict) -> None:
    with pytest.raises(ValueError, match=r"ruling|restoring"):
        Ruling(reason="x", **fields)


def test_rulings_of_two_kinds_are_two_snapshots(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="one action"):
        ledger.rule([Ruling("withdraw", "x", doc_id="a"), Ruling("quarantine", "x", doc_id="b")], SEALER, NOW)


def test_a_past_view_proves_what_stood_then(ledger: Ledger) -> None:
    admit(ledger, Draft("a", 1, ("one",)), Draft("b", 1, ("two",)))
    then = ledger.snapshot().version
    admit(ledger, Draft("a", 2, ("new one",)))
    ledger.rule([Ruling("withdraw", "x", doc_id="b")], SEALER, NOW)
    with ledger.view(at=then) as view:
        head = view.head()
        snapshot = accept_head(head, POLICY, now=NOW)
        found = view.passages(view.select())
        assert [prove(view, item, snapshot).text for item in found] == ["one", "two"]
        (later,) = view.passages([2])
        assert isinstance(later, UnprovedPassage)
    with ledger.view(at=99) as view, pytest.raises(NotFoundError):
        view.head()


def test_select_by_metadata_and_source(ledger: Ledger) -> None:
    admit(
        ledger,
        Draft("a", 1, ("a",), metadata=(("lang", "en"), ("n", 1), ("tags", ["x", "y"]))),
        Draft("b", 1, ("b",), metadata=(("lang", "en"), ("n", True), ("long", "z" * 2000))),
        Draft("c", 1, ("c",), metadata=(("lang", "de"), ("n", 1.5), ("none", None))),
    )
    admit(ledger, Draft("d", 1, ("d",), source="wiki", metadata=(("lang", "en"),)))
    cases = [
        ({"lang": "en"}, None, [0, 1, 3]),
        ({"lang": "en"}, ["acme"], [0, 1]),
        ({"lang": "en", "n": 1}, None, [0]),
        ({"n": 1.0}, None, [0]),
        ({"n": True}, None, [1]),
        ({"n": "1"}, None, []),
        ({"tags": ["x", "y"]}, None, [0]),
        ({"tags": "x"}, None, []),
        ({"long": "z" * 2000}, None, [1]),
        ({"long": "z" * 1999}, None, []),
        ({"none": None}, None, [2]),
        ({"missing": None}, None, []),
        (None, ["wiki", "nobody"], [3]),
        (None, [], []),
        ({}, None, [0, 1, 2, 3]),
    ]
    metadata = {row.first_chunk: row.metadata for row in ledger.documents()}
    for where, sources, expected in cases:
        assert ledger.select(where, sources).tolist() == expected, (where, sources)
        if sources is None:
            told = [at for at in sorted(metadata) if matches(parse_metadata(metadata[at]), where or {})]
            assert told == expected
    with pytest.raises(MalformedError):
        ledger.select({"n": float("nan")})


def test_documents_and_vectors(ledger: Ledger) -> None:
    draft = Draft("a", 1, ("one", "two"))
    admit(ledger, draft, Draft("B/c", 1, ("x",)))
    admit(ledger, Draft("a", 2, ("three",)))
    assert [(row.doc_id, row.version) for row in ledger.documents()] == [("B/c", 1), ("a", 2)]
    vectors = ledger.vectors(np.array([1, 0], dtype=np.int64))
    assert vectors.dtype == np.float32
    assert vectors.tobytes() == draft.vectors[::-1].tobytes()
    assert ledger.vectors(np.empty(0, dtype=np.int64)).shape == (0, EMBEDDER.dimension)
    for outside in (-1, 4):
        with pytest.raises(LedgerError):
            ledger.vectors(np.array([outside], dtype=np.int64))
    assert ledger.chunk_total() == 4


def test_one_envelope_is_one_entry(ledger: Ledger) -> None:
    size = ledger.snapshot().log_size
    admit(ledger, *(Draft(f"d{at}", 1, ("x",)) for at in range(20)))
    assert ledger.snapshot().log_size == size + 4  # source, ingest, review, snapshot
    with ledger.view() as view:
        assert view.envelope(size + 3) == view.head().snapshot.envelope
        with pytest.raises(LedgerError, match="missing"):
            view.envelope(size + 4)


def test_consistency_proofs_lead_from_every_size_to_the_last(ledger: Ledger) -> None:
    for at in range(5):
        admit(ledger, Draft(f"d{at}", 1, ("x",)))
    sizes = [snapshot.log_size for snapshot in ledger.snapshots()]
    with ledger.view() as view:
        last = Checkpoint.parse(Note.parse(view.head().checkpoint).text)
        for version, size in enumerate(sizes, start=1):
            with ledger.view(at=version) as past:
                old = Checkpoint.parse(Note.parse(past.head().checkpoint).text)
            proof = view.consistency(size, last.size)
            merkle.verify_consistency(size, last.size, old.root.value, last.root.value, proof)
        assert view.consistency(0, last.size) == []
        for old_size, new_size in ((3, last.size + 1), (3, 2), (-1, 2)):
            with pytest.raises(LedgerError):
                view.consistency(old_size, new_size)


def test_a_view_does_not_see_what_is_committed_after_it_began(ledger: Ledger) -> None:
    admit(ledger, Draft("a", 1, ("one",)))
    with ledger.view() as view:
        before = view.head()
        admit(ledger, Draft("a", 2, ("two",)))
        assert view.head() == before
        (passage,) = view.passages(view.select())
        assert isinstance(passage, StoredPassage)
        assert prove(view, passage).text == "one"
    assert texts(ledger) == {"two"}


def test_readers_in_other_connections_see_commits_at_once(ledger: Ledger) -> None:
    with Ledger.open(ledger.folder) as reader:
        for version in range(1, 4):
            admit(ledger, Draft("a", version, (f"version {version}",)))
            assert texts(reader) == {f"version {version}"}
        with pytest.raises(ConfigError, match="not open for writing"):
            reader.reseal(SEALER, NOW)


def test_threads_read_while_one_writes(ledger: Ledger) -> None:
    admit(ledger, Draft("a", 1, ("version 1",)))
    wrong: list[object] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            found = texts(ledger)
            if len(found) != 1:
                wrong.append(found)

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    for version in range(2, 12):
        admit(ledger, Draft("a", version, (f"version {version}",)))
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []


def test_the_second_writer_is_refused_by_name(ledger: Ledger) -> None:
    with pytest.raises(ConflictError, match=f"process {os.getpid()}"):
        Ledger.open(ledger.folder, write=True)
    ledger.close()
    with Ledger.open(ledger.folder, write=True) as next_writer:
        next_writer.reseal(SEALER, NOW)
    with pytest.raises(ConfigError, match="closed"):
        ledger.head()


def test_create_and_open_refuse_what_is_not_theirs(ledger: Ledger, tmp_path: Path) -> None:
    with pytest.raises(ConflictError):
        Ledger.create(ledger.folder, CONTEXT, EMBEDDER)
    ledger.close()
    with pytest.raises(ConflictError, match="already"):
        Ledger.create(ledger.folder, CONTEXT, EMBEDDER)
    with pytest.raises(ConfigError, match="no ledger"):
        Ledger.open(tmp_path)
    with Ledger.open(ledger.folder) as reopened:
        assert (reopened.context, reopened.embedder) == (CONTEXT, EMBEDDER)
    with Ledger.create(tmp_path / "new", CONTEXT, EMBEDDER) as empty:
        assert empty.changes(0).version == 0
        assert empty.version_of("a") is None
        with pytest.raises(NotFoundError):
            empty.head()
        with pytest.raises(NotFoundError):
            empty.passages([0])
        admit(empty, Draft("a", 1, ("first",)))
        assert empty.snapshot().version == 1
        assert texts(empty) == {"first"}


def test_creation_that_was_cut_short_can_be_done_again(tmp_path: Path) -> None:
    folder = tmp_path / "kb"
    Ledger.create(folder, CONTEXT, EMBEDDER).close()
    with sqlite3.connect(folder / "ledger.db") as db:
        db.execute("DELETE FROM setting")
    db.close()
    with pytest.raises(ConfigError, match="never finished"):
        Ledger.open(folder)
    Ledger.create(folder, CONTEXT, EMBEDDER).close()


def test_a_write_builds_on_the_snapshot_it_was_made_for(ledger: Ledger) -> None:
    with ledger.view() as view:
        base = accepted(view)
    ledger.admit(admissions([Draft("a", 1, ("one",))]), SEALER, NOW, base=base)
    with pytest.raises(ConflictError, match="another snapshot"):
        ledger.admit(admissions([Draft("b", 1, ("two",))]), SEALER, NOW, base=base)


def test_other_keys_do_not_seal_over_what_they_did_not_sign(ledger: Ledger) -> None:
    stranger = replace(SEALER, seal=key("stranger"))
    with pytest.raises(LedgerError, match="not signed by the keys"):
        ledger.reseal(stranger, NOW)
    with pytest.raises(LedgerError, match="not signed by the keys"):
        ledger.reseal(replace(SEALER, log=key("stranger")), NOW)
    with ledger.view() as view:
        base = accepted(view)
    assert ledger.reseal(stranger, NOW, base=base).version == 2  # after a rotation the policy vouches for it


def test_an_admission_must_agree_with_its_statements(ledger: Ledger) -> None:
    (good,) = admissions([Draft("a", 1, ("one", "two"), metadata=(("k", "v"),))])
    (other,) = admissions([Draft("b", 1, ("one", "two"))])
    swapped = good.vectors[::-1].copy()
    bad = [
        replace(good, metadata=b'{"k":"w"}'),
        replace(good, vectors=swapped),
        replace(good, chunks=(good.chunks[0], replace(good.chunks[1], text="three"))),
        replace(good, chunks=(good.chunks[0], replace(good.chunks[1], end=99))),
        replace(good, claim=replace(good.claim, version=2)),
        replace(good, source=other.source),
        replace(good, source=good.ingest),
        replace(good, ingest=other.ingest),
        replace(good, ingest=good.source),
        replace(good, reviews=()),
        replace(good, reviews=other.reviews),
        replace(good, reviews=(good.source,)),
    ]
    for admission in bad:
        with pytest.raises(LedgerError):
            ledger.admit([admission], SEALER, NOW)
    nan = good.vectors.copy()
    nan[0, 0] = np.nan
    surrogate = replace(good, chunks=(good.chunks[0], replace(good.chunks[1], text="\ud800")))
    for admission in (replace(good, vectors=nan), surrogate, replace(good, findings=("\ud800",))):
        with pytest.raises(MalformedError):
            ledger.admit([admission], SEALER, NOW)
    for caller in (
        replace(good, vectors=good.vectors.astype(np.float64)),
        replace(good, vectors=good.vectors[:1]),
        replace(good, chunks=(), vectors=good.vectors[:0]),
        replace(good, chunks=(good.chunks[0], replace(good.chunks[1], start=-1))),
    ):
        with pytest.raises(ValueError, match="a:"):
            ledger.admit([caller], SEALER, NOW)
    with pytest.raises(ValueError, match="at least one"):
        ledger.admit([], SEALER, NOW)
    with pytest.raises(ValueError, match="once"):
        ledger.admit([good, good], SEALER, NOW)
    assert ledger.snapshot().version == 1
    assert list(check(ledger)) == []


def test_another_context_is_refused(tmp_path: Path) -> None:
    context = Context("example.org", "main", "other")
    with (
        Ledger.create(tmp_path / "kb", context, EMBEDDER) as ledger,
        pytest.raises(LedgerError, match="another store"),
    ):
        admit(ledger, Draft("a", 1, ("one",)))


def test_another_embedder_is_refused(tmp_path: Path) -> None:
    embedder = replace(EMBEDDER, name="other")
    with (
        Ledger.create(tmp_path / "kb", CONTEXT, embedder) as ledger,
        pytest.raises(LedgerError, match="not other"),
    ):
        admit(ledger, Draft("a", 1, ("one",)))


def test_a_dead_writers_tail_is_cut_off(ledger: Ledger) -> None:
    admit(ledger, Draft("a", 1, ("one",)))
    ledger.close()
    vectors = ledger.folder / "vectors.f32"
    honest = vectors.read_bytes()
    vectors.write_bytes(honest + b"\x01" * 1001)
    with Ledger.open(ledger.folder) as reader:
        assert texts(reader) == {"one"}
        assert list(check(reader)) == []
    with Ledger.open(ledger.folder, write=True) as writer:
        assert vectors.read_bytes() == honest
        admit(writer, Draft("b", 1, ("two",)))
        assert texts(writer) == {"one", "two"}


def test_a_vector_file_that_lost_its_end_is_named(ledger: Ledger) -> None:
    admit(ledger, Draft("a", 1, ("one", "two")))
    vectors = ledger.folder / "vectors.f32"
    vectors.write_bytes(vectors.read_bytes()[:-4])
    with pytest.raises(LedgerError, match="shorter"):
        ledger.vectors(np.array([0], dtype=np.int64))
    assert any("shorter" in problem.what for problem in check(ledger))
    ledger.close()
    with pytest.raises(LedgerError, match="4 bytes shorter"):
        Ledger.open(ledger.folder, write=True)


def test_a_read_only_folder_can_be_read(ledger: Ledger) -> None:
    admit(ledger, Draft("a", 1, ("one",)))
    ledger.close()
    for path in ledger.folder.iterdir():
        path.chmod(0o444)
    ledger.folder.chmod(0o555)
    try:
        with Ledger.open(ledger.folder) as reader:
            assert texts(reader) == {"one"}
    finally:
        ledger.folder.chmod(0o755)


def test_noise_instead_of_a_database_is_a_backend_error(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"noise" * 1000)
    for write in (False, True):
        with pytest.raises(BackendError):
            Ledger.open(tmp_path, write=write)
