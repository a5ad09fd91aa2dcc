"""Somebody edits the files behind the ledger's back: nothing altered is proved, and nothing crashes.

Each edit ends in one of three ways: the gate refuses what comes out, the ledger says what is wrong, or what comes
out is still the truth. And the audit finds it.
"""

import contextlib
import gc
import re
import sqlite3
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ledger.world import (
    NOW,
    POLICY,
    SEALER,
    Draft,
    admit,
    key,
    new_ledger,
    prove,
)
from trustrag.errors import LedgerError, MalformedError, Refusal, TrustragError, VerificationError
from trustrag.ledger import Ledger, Ruling, UnprovedPassage, View, check
from trustrag.provenance.evidence import accept_head


class Files(dict[str, bytes]):
    """Files by name, with a repr that fits a failing test's report."""

    def __repr__(self) -> str:
        return f"Files({sorted(self)})"


TRUTH = {"one", "two", "three", "four", "wiki one"}


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a ledger with every kind of row."""
    folder = tmp_path_factory.mktemp("honest") / "kb"
    with new_ledger(folder) as ledger:
        admit(ledger, Draft("a", 1, ("old one", "old two"), metadata=(("lang", "en"),)))
        admit(
            ledger,
            Draft("a", 2, ("one", "two", "three"), metadata=(("lang", "en"),)),
            Draft("b", 1, ("four",)),
        )
        admit(ledger, Draft("w", 1, ("wiki one",), source="wiki"))
        admit(ledger, Draft("q", 1, ("in quarantine",), quarantined=True))
        admit(ledger, Draft("gone", 1, ("withdrawn",)))
        ledger.rule([Ruling("withdraw", "wrong", doc_id="gone")], SEALER, NOW)
    return Files({path.name: path.read_bytes() for path in folder.iterdir()})


@pytest.fixture
def folder(honest: dict[str, bytes], tmp_path: Path) -> Path:
    return laid_out(honest, tmp_path)


def laid_out(files: dict[str, bytes], folder: Path) -> Path:
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def edit(folder: Path, *statements: str) -> None:
    db = sqlite3.connect(folder / "ledger.db")
    with db:
        for statement in statements:
            db.execute(statement)
    db.close()


def served(view: View) -> tuple[set[str], set[Refusal]]:
    """What gets through the gate out of everything there could be, and why the rest does not."""
    texts, refusals = set(), set()
    snapshot = accept_head(view.head(), POLICY, now=NOW)
    for item in view.passages(range(-1, 12)):
        if isinstance(item, UnprovedPassage):
            refusals.add(item.refusal)
            continue
        try:
            texts.add(prove(view, item, snapshot).text)
        except VerificationError as error:
            refusals.add(error.refusal)
        except MalformedError:
            refusals.add(Refusal.MALFORMED)
    return texts, refusals


def test_nothing_is_wrong_before(folder: Path) -> None:
    with Ledger.open(folder) as ledger, ledger.view() as view:
        assert served(view) == (TRUTH, {Refusal.NOT_IN_SNAPSHOT})
        assert list(check(ledger)) == []


# An edit, what the gate says of what it touched, and what the audit says.
EDITS = [
    ("UPDATE chunk SET text = 'lies' WHERE text = 'two'", Refusal.TAMPERED_TEXT, "text was changed"),
    ("UPDATE chunk SET text = 'li' || char(0) || 'es' WHERE text = 'two'", Refusal.TAMPERED_TEXT, "text was changed"),
    ("UPDATE chunk SET text_digest = zeroblob(32) WHERE text = 'two'", Refusal.TAMPERED_TEXT, "text was changed"),
    ("UPDATE chunk SET vector_digest = zeroblob(32) WHERE text = 'two'", Refusal.TAMPERED_VECTOR, "vector was"),
    ("UPDATE chunk SET vector_digest = x'00' WHERE text = 'two'", Refusal.MALFORMED, "not 32 bytes"),
    ("UPDATE chunk SET span_end = 7 WHERE text = 'two'", Refusal.NOT_IN_SNAPSHOT, "chunk root"),
    ("UPDATE chunk SET span_end = -7 WHERE text = 'two'", Refusal.MALFORMED, "no number"),
    ("UPDATE chunk SET nodes = zeroblob(32) WHERE text = 'one'", Refusal.NOT_IN_SNAPSHOT, "tree nodes"),
    ("UPDATE chunk SET nodes = x'' WHERE text = 'one'", Refusal.MALFORMED, "tree nodes"),
    ("UPDATE chunk SET text = CAST(x'ff' AS TEXT) WHERE text = 'two'", Refusal.MALFORMED, "cannot be read"),
    ("UPDATE chunk SET version = 1 WHERE text = 'two'", Refusal.NOT_IN_SNAPSHOT, "belongs to another"),
    ("UPDATE chunk SET version = 99 WHERE text = 'two'", Refusal.MALFORMED, "belongs to another"),
    ("DELETE FROM chunk WHERE text = 'two'", Refusal.MALFORMED, "chunks"),
    ("UPDATE version SET metadata = CAST('{}' AS BLOB) WHERE doc_id = 'a'", Refusal.TAMPERED_METADATA, "metadata"),
    ("UPDATE version SET metadata_digest = zeroblob(32) WHERE doc_id = 'a'", Refusal.TAMPERED_METADATA, "metadata"),
    ("UPDATE version SET first_chunk = 0 WHERE doc_id = 'a'", Refusal.NOT_IN_SNAPSHOT, "follow"),
    ("UPDATE version SET chunk_count = 9007199254740992 WHERE doc_id = 'a'", Refusal.MALFORMED, "differs"),
    ("UPDATE version SET chunk_count = 9223372036854775807 WHERE doc_id = 'a'", Refusal.MALFORMED, "no number"),
    ("UPDATE version SET document = zeroblob(32) WHERE doc_id = 'b'", Refusal.NOT_IN_SNAPSHOT, "differs"),
    ("UPDATE version SET doc_id = 'c' WHERE doc_id = 'b'", Refusal.NOT_IN_SNAPSHOT, "differs"),
    ("UPDATE version SET standing = 'great' WHERE doc_id = 'b'", Refusal.MALFORMED, "none of"),
    ("UPDATE version SET findings = '[' WHERE doc_id = 'b'", Refusal.MALFORMED, "no list"),
    ("DELETE FROM version WHERE doc_id = 'b'", Refusal.MALFORMED, "follow"),
    ("UPDATE version SET standing = 'active'", Refusal.NOT_IN_SNAPSHOT, "called active"),
    ("UPDATE standing SET until = NULL WHERE doc_id = 'gone'", Refusal.NOT_IN_SNAPSHOT, "does not lead"),
    ("UPDATE standing SET since = 1 WHERE doc_id = 'q'", Refusal.NOT_IN_SNAPSHOT, "does not lead"),
    ("UPDATE standing SET entry = zeroblob(9) WHERE doc_id = 'b'", Refusal.MALFORMED, "table standing"),
    ("UPDATE standing SET version = 1 WHERE doc_id = 'b'", Refusal.NOT_IN_SNAPSHOT, "called"),
    ("DELETE FROM standing WHERE doc_id = 'b'", Refusal.NOT_IN_SNAPSHOT, "no standing entry"),
    ("UPDATE node SET hash = zeroblob(32)", Refusal.NOT_IN_SNAPSHOT, "standing node"),
    ("UPDATE node SET hash = zeroblob(31)", Refusal.MALFORMED, "not 32 bytes"),
    ("DELETE FROM node", Refusal.NOT_IN_SNAPSHOT, "standing node"),
    ("UPDATE entry SET envelope = x'7b7d' WHERE idx = 5", Refusal.MALFORMED, "log entry 5"),
    ("UPDATE entry SET envelope = (SELECT envelope FROM entry WHERE idx = 1) WHERE idx = 5",
     Refusal.NOT_IN_SNAPSHOT, "log entry 5"),
    ("UPDATE entry SET nodes = zeroblob(320) WHERE idx = 1", Refusal.NOT_IN_SNAPSHOT, "tree nodes"),
    ("UPDATE entry SET nodes = x'' WHERE idx = 3", Refusal.MALFORMED, "tree nodes"),
    ("DELETE FROM version_term", None, "filter terms"),
    ("UPDATE term SET value = '\"de\"'", None, "filter terms"),
    ("INSERT INTO version_term SELECT id, 3 FROM term", None, "filter terms"),
    ("DELETE FROM entry WHERE idx = 8", None, "gap"),
    ("UPDATE snapshot SET reason = 'because'", None, "differs from what was signed"),
    ("DELETE FROM snapshot WHERE version = 2", None, "does not follow"),
    ("UPDATE setting SET value = '3' WHERE name = 'vectors'", None, "rows that count"),
]  # fmt: skip


@pytest.mark.parametrize(("statement", "refusal", "finding"), EDITS)
def test_an_edited_row_is_refused_and_found(
    folder: Path, statement: str, refusal: Refusal | None, finding: str
) -> None:
    edit(folder, statement)
    with Ledger.open(folder) as ledger:
        with ledger.view() as view:
            texts, refusals = served(view)
        assert texts <= TRUTH
        assert refusal is None or refusal in refusals
        assert finding in "\n".join(f"{problem.where}: {problem.what}" for problem in check(ledger))


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM snapshot WHERE version = (SELECT max(version) FROM snapshot)",
        "UPDATE snapshot SET checkpoint = (SELECT checkpoint FROM snapshot WHERE version = 2)",
        "UPDATE snapshot SET checkpoint = zeroblob(100)",
        "UPDATE snapshot SET log_index = 4",
        "UPDATE snapshot SET log_index = 9007199254740992",
        "UPDATE snapshot SET root = zeroblob(7)",
        "DELETE FROM entry WHERE idx = (SELECT max(idx) FROM entry)",
        "INSERT INTO entry SELECT idx + 100, zeroblob(32), nodes, envelope FROM entry WHERE idx = 3",
        "DELETE FROM snapshot",
        "DELETE FROM entry",
    ],
)
def test_an_edited_head_is_refused_and_found_and_never_sealed_over(folder: Path, statement: str) -> None:
    edit(folder, statement)
    with Ledger.open(folder, write=True) as ledger:
        with contextlib.suppress(TrustragError), ledger.view() as view:
            texts, _ = served(view)
            assert texts <= TRUTH
        assert list(check(ledger)) != []
        with pytest.raises(TrustragError):
            admit(ledger, Draft("new", 1, ("new",)))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE standing SET until = NULL WHERE doc_id = 'gone'",
        "UPDATE standing SET since = 1 WHERE doc_id = 'q'",
        "UPDATE standing SET entry = entry || x'20' WHERE doc_id = 'gone' AND until IS NULL",
        "DELETE FROM standing WHERE doc_id = 'b'",
    ],
)
def test_what_was_slipped_in_is_not_sealed_by_the_next_writer(folder: Path, statement: str) -> None:
    edit(folder, statement)
    with Ledger.open(folder, write=True) as ledger:
        for doc_id in ("gone", "q", "b"):
            before = ledger.snapshot()
            try:
                admit(ledger, Draft(doc_id, 7, (f"new {doc_id}",)))
            except LedgerError:
                assert ledger.snapshot() == before
        with ledger.view() as view:
            texts, _ = served(view)
        assert "withdrawn" not in texts
        assert "in quarantine" not in texts


@pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")
def test_who_stops_reading_halfway_leaves_nothing_behind(folder: Path) -> None:
    ledger = Ledger.open(folder)
    with ledger.reading() as (session, _):
        entries = session.entries()
        next(entries)
    ledger.close()
    del entries
    gc.collect()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="asks Linux which files are open")
@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    "edit_of",
    [
        "DELETE FROM setting",
        "UPDATE setting SET value = 'x'",
        "DELETE FROM _sqlite_migrations",
        "DROP TABLE node",
        None,
    ],
)
def test_a_ledger_that_cannot_be_opened_leaves_no_file_open(
    folder: Path, edit_of: str | None, write: bool
) -> None:
    """A service that asks a broken store again and again would run out of files else."""
    if edit_of is None:
        (folder / "ledger.db").write_bytes(b"SQLite format 3\x00" + bytes(4096))
    else:
        edit(folder, edit_of)
    gc.disable()  # what only the collector closes stays open for as long as it likes
    try:
        with pytest.raises(TrustragError):
            Ledger.open(folder, write=write).close()
        still = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    finally:
        gc.enable()
    assert [path.name for path in still if path.is_relative_to(folder)] == []


def test_somebody_elses_keys_make_no_head(folder: Path) -> None:
    """A thief with the whole folder and keys of his own seals what he likes: nobody believes it."""
    with Ledger.open(folder, write=True) as ledger, pytest.raises(LedgerError, match="not signed"):
        ledger.rule(
            [Ruling("restore", "x", doc_id="gone")], replace(SEALER, seal=key("thief"), log=key("thief")), NOW
        )


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TRIGGER t AFTER INSERT ON chunk BEGIN UPDATE chunk SET text = 'lies'; END",
        "CREATE VIEW v AS SELECT * FROM chunk",
        "CREATE TABLE extra (x)",
        "DROP INDEX standing_now",
        "ALTER TABLE term ADD COLUMN x TEXT",
        "ALTER TABLE chunk RENAME TO chunks",
    ],
)
def test_changed_tables_are_refused_at_the_door(folder: Path, statement: str) -> None:
    edit(folder, statement)
    for write in (False, True):
        with pytest.raises(LedgerError, match="by hand"):
            Ledger.open(folder, write=write)


def test_tables_changed_under_an_open_ledger_are_found(folder: Path) -> None:
    with Ledger.open(folder) as ledger:
        edit(folder, "CREATE VIEW v AS SELECT 1")
        assert any("view v" in problem.what for problem in check(ledger))


@pytest.mark.parametrize("name", ["context", "embedder", "vectors"])
@pytest.mark.parametrize("value", ["", "{}", "-1", "9" * 5000, "[" * 5000, "null"])
def test_edited_settings_are_refused(folder: Path, name: str, value: str) -> None:
    edit(folder, f"UPDATE setting SET value = '{value}' WHERE name = '{name}'")
    with pytest.raises(TrustragError), Ledger.open(folder, write=True) as ledger:
        ledger.vectors(ledger.select())


VECTOR_EDITS: list[Callable[[bytes], bytes]] = [
    lambda data: data[32:64] + data[:32] + data[64:],
    lambda data: bytes([data[0] ^ 1]) + data[1:],
    lambda data: bytes(len(data)),
    lambda data: data[: len(data) // 2],
    lambda data: b"",
]


@pytest.mark.parametrize("change", VECTOR_EDITS)
def test_edited_vectors_are_refused_and_found(folder: Path, change: Callable[[bytes], bytes]) -> None:
    path = folder / "vectors.f32"
    with Ledger.open(folder) as ledger:
        path.write_bytes(change(path.read_bytes()))
        with ledger.view() as view:
            texts, refusals = served(view)
        # The first chunks are of a superseded version: the whole file has to be bent to touch what stands.
        assert texts <= TRUTH
        assert texts == TRUTH or Refusal.TAMPERED_VECTOR in refusals
        assert any(re.search("vector was changed|are cut off", problem.what) for problem in check(ledger))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_any_byte_of_the_database_may_change(honest: dict[str, bytes], data: st.DataObject) -> None:
    """A hex editor on the closed file: the truth, a refusal, or a clear error; never anything else."""
    original = honest["ledger.db"]
    at = data.draw(st.integers(0, len(original) - 1))
    byte = data.draw(st.integers(0, 255))
    files = {**honest, "ledger.db": original[:at] + bytes([byte]) + original[at + 1 :]}
    with tempfile.TemporaryDirectory() as name:
        folder = laid_out(files, Path(name))
        try:
            with Ledger.open(folder) as ledger:
                for _ in check(ledger):
                    pass
                with ledger.view() as view:
                    texts, _ = served(view)
                    assert texts <= TRUTH
                    view.changes(0)
                    view.select({"lang": "en"})
                    view.vectors(view.select())
                    list(view.documents())
        except TrustragError:
            pass
