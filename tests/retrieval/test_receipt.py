"""Receipts: what is signed is what was found, and a replay finds out what an index hid."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.errors import MalformedError, Refusal, TrustragError, VerificationError
from trustrag.index.base import Hit
from trustrag.index.faiss import FlatIndex
from trustrag.provenance.canonical import Digest, encode
from trustrag.provenance.envelope import Envelope, sign
from trustrag.provenance.policy import Role
from trustrag.retrieval.receipt import Receipt, ReceiptFile, receipt_of
from trustrag.retrieval.replay import Replay
from trustrag.retrieval.retriever import Retriever, SearchReport
from trustrag.workspace import Document, Workspace

NOW = 1_800_000_000
QUESTION = "How long are audit logs kept?"
PAGES = {
    "a": "Audit logs are kept for 90 days.",
    "b": "Audit logs are kept in Zurich.",
    "c": "Backups of audit logs are made at night.",
    "d": "Lunch is at noon.",
    "e": "The audit of logs is kept short.",
    "f": "Holidays are kept for the summer.",
    "g": "Old audit logs are deleted.",
}


def documents(pages: dict[str, str]) -> list[Document]:
    return [
        Document(name, text.encode(), "text/plain", text, metadata={"public": True})
        for name, text in pages.items()
    ]


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workspace]:
    folder = tmp_path_factory.mktemp("receipts")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRUSTRAG_HOME", str(folder / "home"))
        with Workspace.init(folder / "kb", source="acme", embedder="hash", clock=lambda: NOW) as made:
            made.ingest_documents(documents(PAGES), source="acme")
            yield made


@pytest.fixture(scope="module")
def honest(ws: Workspace) -> bytes:
    return ws.receipts.of(ws.search(QUESTION, k=4))


class Lying(FlatIndex):
    """An index whose answers are bent on their way out."""

    def __init__(self, bend: Callable[[list[Hit]], list[Hit]]) -> None:
        super().__init__(256)
        self._bend = bend

    def search(self, vector: Any, k: int, allowed: Any = None) -> list[Hit]:
        return self._bend(super().search(vector, k, allowed))


def searched(ws: Workspace, bend: Callable[[list[Hit]], list[Hit]], **limits: Any) -> SearchReport:
    """A search with an index that lies."""
    gate = ws._opened.gate()
    retriever = Retriever(ws._opened.reader(), ws.folder / "elsewhere", ws.embedder, gate, index=Lying(bend))
    return retriever.search(QUESTION, k=4, now=NOW, **limits)


def replayed(ws: Workspace, report: SearchReport) -> Replay:
    return ws.receipts.replay(ws.receipts.of(report))


# ---- an honest search, and others


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"k": 1},
        {"k": 20},
        {"mode": "strict"},
        {"mode": "report", "min_support": 2},
        {"where": {"public": True}},
        {"where": {"public": False}},
        {"sources": ["acme"]},
    ],
)
def test_an_honest_search_is_found_again(ws: Workspace, limits: dict[str, Any]) -> None:
    report = ws.search(QUESTION, **limits)
    found = replayed(ws, report)
    assert (found.same, found.notes) == (True, ())
    assert [one.doc_id for one in found.receipt.results] == [
        ranked.passage.doc_id for ranked in report.passages
    ]


def test_a_passage_that_an_index_hid_is_named(ws: Workspace) -> None:
    found = replayed(ws, searched(ws, lambda hits: hits[1:]))
    assert not found.same
    assert [one.doc_id for one in found.missing] == [ws.search(QUESTION, k=4).passages[0].passage.doc_id]
    assert len(found.extra) == 1


def test_an_index_that_shows_only_what_is_far_is_named(ws: Workspace) -> None:
    found = replayed(ws, searched(ws, lambda hits: hits[::-1][:3]))
    assert found.missing
    assert not found.same


def test_another_order_is_named(ws: Workspace) -> None:
    report = ws.search(QUESTION, k=4)
    turned = replace(report, passages=report.passages[::-1], stored=report.stored[::-1])
    found = replayed(ws, turned)
    assert (found.reordered, found.missing, found.extra) == (True, (), ())
    assert not found.same


def test_what_was_found_is_found_again_after_the_store_went_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRUSTRAG_HOME", str(tmp_path / "home"))
    with Workspace.init(tmp_path / "kb", source="acme", embedder="hash", clock=lambda: NOW) as ws:
        ws.ingest_documents(documents(PAGES), source="acme")
        data = ws.receipts.of(ws.search(QUESTION, k=4))
        hidden = ws.receipts.of(searched(ws, lambda hits: hits[1:]))
        ws.withdraw("a", reason="out of date")
        ws.ingest_documents(documents({"h": "How long are audit logs kept? For ever."}), source="acme")
        assert ws.receipts.replay(data).same
        assert [one.doc_id for one in ws.receipts.replay(hidden).missing] == [
            ws.search(QUESTION, k=4, at=2).passages[0].passage.doc_id
        ]
        ws.add_source("wiki")
        found = ws.receipts.replay(data)
        assert found.same
        assert any("policy has changed" in note for note in found.notes)


def test_a_passage_that_was_edited_since_is_refused_by_name(ws: Workspace) -> None:
    data = ws.receipts.of(ws.search(QUESTION, k=1))
    ws.close()
    with closing(sqlite3.connect(ws.folder / "ledger.db")) as database, database:
        database.execute("UPDATE chunk SET text = text || ' Not so.'")
    found = ws.receipts.replay(data)
    assert not found.same
    assert {one.refusal for one in found.refused} == {Refusal.TAMPERED_TEXT}
    assert {one.doc_id for one in found.extra} <= {one.doc_id for one in found.refused}


def test_a_search_of_the_past_has_no_receipt(ws: Workspace) -> None:
    with pytest.raises(ValueError, match="in the past"):
        ws.receipts.of(ws.search(QUESTION, at=1))


def test_an_approximate_index_is_said_to_be_one(ws: Workspace) -> None:
    signer = ws.authority.signer(ws.policy.answer.keys, "sign receipts")
    data = receipt_of(ws.search(QUESTION), ws.policy, signer, "hnsw", NOW).encode()
    found = ws.receipts.replay(data)
    assert found.same
    assert any("approximate" in note for note in found.notes)


# ---- what is no receipt of this store


def opened(data: bytes) -> tuple[Envelope, dict[str, Any]]:
    value = json.loads(data)
    return Envelope.parse(value["envelope"].encode()), value


def told(receipt: Receipt, **changes: Any) -> Receipt:
    return replace(receipt, **changes)


def signed(ws: Workspace, honest: bytes, **changes: Any) -> bytes:
    """The honest receipt with something else in it, signed by the honest key: a searcher that lies about its state."""
    receipt, asked = ReceiptFile.open(honest, ws.policy)
    signer = ws.authority.signer(ws.policy.answer.keys, "sign receipts")
    return ReceiptFile(sign(told(receipt, **changes).encode(), signer), asked).encode()


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"root": Digest.of(b"another")}, Refusal.FORK),
        ({"log_root": Digest.of(b"another")}, Refusal.FORK),
        ({"log_size": 1}, Refusal.FORK),
        ({"log_size": 10_000}, Refusal.ROLLBACK),
        ({"snapshot": 1}, Refusal.FORK),
    ],
)
def test_a_receipt_of_another_history_is_refused(
    ws: Workspace, honest: bytes, changes: dict[str, Any], refusal: Refusal
) -> None:
    with pytest.raises(VerificationError) as caught:
        ws.receipts.replay(signed(ws, honest, **changes))
    assert caught.value.refusal is refusal


def test_a_receipt_of_another_collection_is_refused(ws: Workspace, honest: bytes) -> None:
    with pytest.raises(VerificationError) as caught:
        ws.receipts.replay(signed(ws, honest, context=replace(ws.policy.context, collection="other")))
    assert caught.value.refusal is Refusal.WRONG_CONTEXT


def test_other_bounds_than_ours_are_refused(ws: Workspace, honest: bytes) -> None:
    receipt, _ = ReceiptFile.open(honest, ws.policy)
    for change in ({"candidates": 1000}, {"share": 1}, {"depth": 1}):
        with pytest.raises(MalformedError, match="other bounds"):
            ws.receipts.replay(signed(ws, honest, procedure=replace(receipt.procedure, **change)))


@pytest.mark.parametrize("name", ["ingest", "screen", "seal", "log"])
def test_only_an_answer_key_signs_receipts(ws: Workspace, honest: bytes, name: str) -> None:
    receipt, asked = ReceiptFile.open(honest, ws.policy)
    stranger = ws.authority.keyring.signer(name)
    with pytest.raises(VerificationError) as caught:
        ReceiptFile.open(ReceiptFile(sign(receipt.encode(), stranger), asked).encode(), ws.policy)
    assert caught.value.refusal is Refusal.UNKNOWN_KEY


def test_an_answer_key_speaks_within_its_time(ws: Workspace, honest: bytes) -> None:
    size, (key,) = ReceiptFile.open(honest, ws.policy)[0].log_size, ws.policy.answer.keys
    for changes, refusal in (
        ({"first_valid_index": size}, Refusal.UNKNOWN_KEY),
        ({"last_valid_index": size - 2}, Refusal.REVOKED_KEY),
        ({"revoked": True}, Refusal.REVOKED_KEY),
    ):
        policy = replace(ws.policy, answer=Role((replace(key, **changes),)))
        with pytest.raises(VerificationError) as caught:
            ReceiptFile.open(honest, policy)
        assert caught.value.refusal is refusal
    within = replace(
        ws.policy, answer=Role((replace(key, first_valid_index=size - 1, last_valid_index=size - 1),))
    )
    assert ReceiptFile.open(honest, within)[0].log_size == size


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("question", "How short are audit logs kept?"),
        ("vector", "AAAAAA=="),
        ("vector", ""),
        ("where", '{"public":false}'),
        ("format", "urn:trustrag:receipt-file/v2"),
        ("more", 1),
        ("envelope", "{}"),
    ],
)
def test_a_file_that_was_put_together_is_refused(
    ws: Workspace, honest: bytes, field: str, value: object
) -> None:
    bent = json.loads(honest) | {field: value}
    with pytest.raises(MalformedError):
        ReceiptFile.open(encode(bent), ws.policy)


def test_a_statement_that_contradicts_itself_is_refused(ws: Workspace, honest: bytes) -> None:
    receipt, _ = ReceiptFile.open(honest, ws.policy)
    for path, value in (
        (("predicate", "procedureDigest"), Digest.of(b"").hex),
        (("predicate", "procedure", "mode"), "loose"),
        (("predicate", "procedure", "k"), 0),
        (("predicate", "results"), [{}]),
        (("subject",), []),
        (("predicateType",), "urn:trustrag:source/v1"),
        (("predicate", "issuedAt"), "yesterday"),
    ):
        bent = json.loads(receipt.encode())
        place = bent
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        with pytest.raises(MalformedError):
            Receipt.parse(encode(bent))


@given(st.data())
def test_one_changed_byte_is_no_receipt_or_the_same_refused(
    honest: bytes, ws: Workspace, data: st.DataObject
) -> None:
    bent = bytearray(honest)
    place = data.draw(st.integers(0, len(bent) - 1))
    bent[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(TrustragError):
        ws.receipts.replay(bytes(bent))
