"""An audit that remembers takes over signatures, and never a hash: no edited row hides behind what was proved before."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.errors import MalformedError
from trustrag.monitor.audited import Audited
from trustrag.provenance.canonical import Digest, encode, parse
from trustrag.provenance.standing import StandingEntry
from trustrag.workspace import AuditReport, Document, Workspace

NOW = 1_800_000_000
DIGESTS = st.binary(min_size=32, max_size=32).map(Digest)
SOME = Audited(Digest.of(b"policy"), 3, Digest.of(b"root"), {Digest.of(b"a"): 5, Digest.of(b"b"): 7})


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    with Workspace.init(tmp_path / "kb", source="acme", embedder="hash", clock=lambda: NOW) as made:
        publish(made, a="Audit logs are kept.", b="Lunch is at noon.")
        yield made


def publish(workspace: Workspace, **pages: str) -> None:
    documents = [
        Document(name, text.encode(), "text/plain", text, metadata={"title": name})
        for name, text in pages.items()
    ]
    workspace.ingest_documents(documents, source="acme")


def again(workspace: Workspace, *, now: int = NOW, incremental: bool = True) -> AuditReport:
    """An audit by a new process."""
    workspace.close()
    with Workspace.open(workspace.folder, clock=lambda: now) as opened:
        return opened.audit(incremental=incremental)


def change(workspace: Workspace, statement: str, *values: object) -> None:
    workspace.close()
    with sqlite3.connect(workspace.folder / "ledger.db") as database:
        database.execute(statement, values)
    database.close()


def test_only_what_is_new_is_proved(ws: Workspace) -> None:
    assert again(ws).remembered == 0
    assert again(ws).remembered == 2
    publish(ws, a="Audit logs are kept for 90 days.", c="Backups run at night.")
    report = again(ws)
    assert (report.passages, report.remembered, report.problems) == (3, 1, ())
    assert again(ws, incremental=False).remembered == 0
    assert again(ws).remembered == 3


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE chunk SET text = 'Audit logs are burnt.' WHERE id = 0", "its text was changed"),
        ("UPDATE version SET metadata = x'7b7d' WHERE doc_id = 'a'", "its metadata was changed"),
        ("UPDATE chunk SET vector_digest = zeroblob(32) WHERE id = 1", "its vector was changed"),
        ("UPDATE standing SET until = 2 WHERE doc_id = 'a'", "it ended before it began"),
        ("UPDATE entry SET envelope = x'00' WHERE idx = 1", "its envelope was changed"),
        ("DELETE FROM version_term", "filter terms"),
    ],
)
def test_what_was_edited_since_is_named(ws: Workspace, statement: str, said: str) -> None:
    assert again(ws).problems == ()
    change(ws, statement)
    report = again(ws)
    assert any(said in problem.what for problem in report.problems)
    assert report.remembered == 0  # one wrong hash, and everything is proved again


def test_a_standing_row_that_was_slipped_in_hides_no_edited_text(ws: Workspace) -> None:
    """A second, waiting row of the version whose entry names the chunk root of the edited chunks."""
    assert again(ws).problems == ()
    ws.close()
    with sqlite3.connect(ws.folder / "ledger.db") as database:
        row = database.execute(
            "SELECT version, bucket, doc_id, entry FROM standing WHERE doc_id = 'a'"
        ).fetchone()
        forged = parse(row[3])
        assert isinstance(forged, dict)
        forged["chunkRoot"] = Digest.of(b"another root").hex
        StandingEntry.parse(encode(forged))
        database.execute(
            "INSERT INTO standing (version, bucket, doc_id, since, entry) VALUES (?, ?, ?, NULL, ?)",
            (*row[:3], encode(forged)),
        )
    database.close()
    assert any("name different chunks" in problem.what for problem in again(ws).problems)


def test_another_policy_has_everything_proved_again(ws: Workspace) -> None:
    again(ws)
    ws.authority.set_active("acme", False)
    report = again(ws)
    assert report.remembered == 0
    assert [problem.what.split(":")[0] for problem in report.problems] == ["REVOKED_KEY"] * 2


def test_what_has_ended_since_is_proved_again(ws: Workspace) -> None:
    again(ws)
    later = NOW + 366 * 86_400
    with Workspace.open(ws.folder, clock=lambda: later) as opened:
        opened.refresh()
    report = again(ws, now=later)
    assert (report.remembered, report.problems) == (0, ())


def test_what_was_proved_is_kept_when_somebody_interrupts(ws: Workspace) -> None:
    def interrupt(done: int, total: int | None, name: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ws.audit(progress=interrupt)
    assert again(ws).remembered == 1


@pytest.mark.parametrize("damage", [b"", b"{}", SOME.encode()[:-1], SOME.encode().replace(b"v1", b"v2")])
def test_a_memory_that_cannot_be_read_proves_nothing(ws: Workspace, damage: bytes) -> None:
    again(ws)
    (file,) = (Path(ws.authority.memory.path).parent).glob("*.audit")
    assert file.stat().st_mode & 0o077 == 0
    file.write_bytes(damage)
    assert again(ws).remembered == 0
    assert again(ws).remembered == 2


@given(
    DIGESTS,
    st.integers(0, 2**53 - 1),
    DIGESTS,
    st.dictionaries(DIGESTS, st.integers(0, 2**53 - 1), max_size=4),
)
def test_it_reads_what_it_wrote(policy: Digest, size: int, root: Digest, entries: dict[Digest, int]) -> None:
    audited = Audited(policy, size, root, entries)
    assert Audited.parse(audited.encode()) == audited


@given(st.integers(0, len(SOME.encode()) - 1), st.integers(0, 255))
def test_another_byte_is_another_memory_or_none(place: int, byte: int) -> None:
    data = bytearray(SOME.encode())
    data[place] = byte
    with contextlib.suppress(MalformedError):
        assert Audited.parse(bytes(data)).encode() == bytes(data)


def test_one_record_too_short_is_refused() -> None:
    value = parse(SOME.encode())
    assert isinstance(value, dict)
    value["entries"] = str(value["entries"])[:-4]
    with pytest.raises(MalformedError, match="cut off"):
        Audited.parse(encode(value))
