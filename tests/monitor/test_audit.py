"""The audit names each thing that is wrong, and nothing where nothing is."""

import base64
import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from trustrag.index.faiss import FlatIndex
from trustrag.ledger import Ledger
from trustrag.monitor.audit import audit
from trustrag.retrieval.gate import Gate, ShortMemory
from trustrag.retrieval.retriever import Retriever
from trustrag.workspace import Workspace

NOW = 1_800_000_000
ROW = 4 * 256  # bytes of one vector


@pytest.fixture
def ws(tmp_path: Path) -> Iterator[Workspace]:
    docs = tmp_path / "docs"
    docs.mkdir()
    for name, text in (
        ("a", "Audit logs are kept."),
        ("b", "Lunch is at noon."),
        ("c", "Backups run at night."),
    ):
        (docs / f"{name}.md").write_text(text, encoding="utf-8")
    with Workspace.init(tmp_path / "kb", source="acme", embedder="hash", clock=lambda: NOW) as made:
        made.ingest([docs], source="acme")
        yield made


def problems(workspace: Workspace) -> list[str]:
    """What an audit finds that knows nothing of what was read before."""
    with Workspace.open(workspace.folder, clock=lambda: NOW) as opened:
        return [f"{problem.where}: {problem.what}" for problem in opened.audit().problems]


def change(workspace: Workspace, statement: str, *values: object) -> None:
    workspace.close()
    with sqlite3.connect(workspace.folder / "ledger.db") as database:
        assert database.execute(statement, values).rowcount == 1
    database.close()


def test_an_honest_store_has_nothing_wrong(ws: Workspace) -> None:
    seen: list[tuple[int, int | None]] = []
    report = ws.audit(progress=lambda done, total, name: seen.append((done, total)))
    assert (report.problems, report.passages, report.index_rows) == ((), 3, 3)
    assert (
        report.entries == 5
    )  # the first snapshot, a source's word, an ingest, a review, the second snapshot
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_withdrawals_of_one_second_and_reason_are_told_apart(ws: Workspace) -> None:
    for doc_id in ("a.md", "b.md"):
        ws.withdraw(doc_id, reason="out of date")
    ws.rule("restore", doc_id="a.md", reason="still good")
    ws.withdraw("a.md", reason="out of date")  # to the letter what the log has already
    assert problems(ws) == []
    change(ws, "DELETE FROM ruling WHERE doc_id = 'b.md'")
    assert problems(ws) != []


def test_an_edited_text_is_named(ws: Workspace) -> None:
    change(ws, "UPDATE chunk SET text = 'Audit logs are burnt.' WHERE id = 0")
    assert problems(ws) == ["'a.md' version 1 chunk 0: its text was changed: TAMPERED_TEXT"]


def test_a_swapped_vector_is_named(ws: Workspace) -> None:
    ws.close()
    file = ws.folder / "vectors.f32"
    rows = file.read_bytes()
    file.write_bytes(rows[ROW : 2 * ROW] + rows[:ROW] + rows[2 * ROW :])
    assert problems(ws) == [
        f"'{name}' version 1 chunk 0: its vector was changed: TAMPERED_VECTOR" for name in ("a.md", "b.md")
    ]


def test_edited_metadata_is_named(ws: Workspace) -> None:
    change(ws, "UPDATE version SET metadata = ? WHERE doc_id = 'b.md'", b'{"trusted":true}')
    assert problems(ws) == ["'b.md' version 1: its metadata was changed: TAMPERED_METADATA"]


@pytest.mark.parametrize("index", range(5))
def test_a_forged_signature_is_named_wherever_it_stands_in_the_log(ws: Workspace, index: int) -> None:
    with sqlite3.connect(ws.folder / "ledger.db") as database:
        (data,) = database.execute("SELECT envelope FROM entry WHERE idx = ?", (index,)).fetchone()
    database.close()
    envelope = json.loads(data)
    signature = bytearray(base64.b64decode(envelope["signatures"][0]["sig"]))
    signature[0] ^= 1
    envelope["signatures"][0]["sig"] = base64.b64encode(signature).decode()
    forged = json.dumps(envelope, separators=(",", ":"), sort_keys=True).encode()
    change(ws, "UPDATE entry SET envelope = ? WHERE idx = ?", forged, index)
    found = problems(ws)
    assert [line for line in found if line.startswith("log entry")] == [
        f"log entry {index}: its envelope was changed"
    ]


def test_a_lost_chunk_and_a_lost_entry_are_named(ws: Workspace) -> None:
    change(ws, "DELETE FROM chunk WHERE id = 1")
    assert any("b.md" in line for line in problems(ws))
    change(ws, "DELETE FROM entry WHERE idx = 2")
    assert any("log" in line for line in problems(ws))


def test_a_revoked_key_is_told_by_what_stands_of_it(ws: Workspace) -> None:
    ws.authority.set_active("acme", False)
    assert [line.split(":")[2].strip() for line in problems(ws)] == ["REVOKED_KEY"] * 3


# ---- the index


@pytest.fixture
def audited(ws: Workspace) -> Iterator[tuple[FlatIndex, Callable[[], list[str]]]]:
    """An index in reach of whoever runs it, and an audit of the store that searches with it."""
    policy = ws.policy
    gate = Gate(policy, policy.context, ShortMemory())
    index = FlatIndex(256)
    with Ledger.open(ws.folder) as ledger:
        retriever = Retriever(ledger, ws.folder / "other-index", ws.embedder, gate, index=index)
        retriever.sync()

        def run() -> list[str]:
            found = audit(ledger, gate, retriever, now=NOW).problems
            return [f"{problem.where}: {problem.what}" for problem in found]

        assert run() == []
        yield index, run


def test_a_missing_index_row_is_named(audited: tuple[FlatIndex, Callable[[], list[str]]]) -> None:
    index, run = audited
    index.remove(np.array([1], np.int64))
    assert run() == ["index row 1: is missing: this passage stands and cannot be found"]


def test_an_extra_index_row_is_named(audited: tuple[FlatIndex, Callable[[], list[str]]]) -> None:
    index, run = audited
    index.add(np.array([77], np.int64), np.eye(1, 256, dtype=np.float32))
    assert run() == ["index row 77: is of no passage that stands"]


def test_an_index_that_names_a_row_twice_is_named(ws: Workspace) -> None:
    class Twice:
        def indexed(self) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
            return np.array([0, 1, 1, 2], np.int64)

    policy = ws.policy
    with Ledger.open(ws.folder) as ledger:
        gate = Gate(policy, policy.context, ShortMemory())
        found = audit(ledger, gate, Twice(), now=NOW).problems
    assert [problem.what for problem in found] == ["holds 1 rows twice"]


def test_a_damaged_index_cache_costs_nothing(ws: Workspace) -> None:
    ws.search("anything")
    ws.close()
    (cache,) = (ws.folder / "index").iterdir()
    cache.write_bytes(cache.read_bytes()[:-8])
    assert problems(ws) == []
