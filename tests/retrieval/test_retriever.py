"""Search over a real ledger: only what is proved comes back, whatever the index or the files say."""

import shutil
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ledger.world import (
    CONTEXT,
    EMBEDDER,
    NOW,
    POLICY,
    SEALER,
    Draft,
    admissions,
    admit,
    new_ledger,
    publisher,
    review_of,
)
from trustrag.consistency import PairMemory
from trustrag.errors import BackendError, NotFoundError, Refusal, StaleError, VerificationError
from trustrag.index import EmbedderIdentity, Hit, open_index
from trustrag.index.base import Ids, Vector, Vectors
from trustrag.ledger import Ledger, Ruling
from trustrag.provenance.export import verify_evidence_file
from trustrag.provenance.statement import Context
from trustrag.retrieval.gate import Gate, Seen, ShortMemory
from trustrag.retrieval.retriever import OVERDRAW, SOURCE_SHARE, Retriever, SearchReport


class WorldEmbedder:
    """The vectors of `tests.ledger.world`, for questions too."""

    id = EmbedderIdentity(EMBEDDER.name, EMBEDDER.dimension, EMBEDDER.digest.value)

    def embed(self, texts: Sequence[str]) -> Vectors:
        return Draft("any", 1, tuple(texts)).vectors

    def embed_query(self, text: str) -> Vector:
        return self.embed([text])[0]


@dataclass
class Store:
    """A ledger on disk and a retriever over it."""

    ledger: Ledger
    folder: Path
    memory: ShortMemory
    retriever: Retriever

    def search(self, question: str, **options: object) -> SearchReport:
        return self.retriever.search(question, now=NOW, **{"k": 3, **options})  # type: ignore[arg-type]

    def reopened(self, index: object = "flat") -> "Store":
        """The same files through a new retriever that remembers nothing but what is on disk."""
        return self._with(Gate(POLICY, CONTEXT, ShortMemory()), index)

    def _with(self, gate: Gate, index: object) -> "Store":
        made = Retriever(self.ledger, self.folder / "index", WorldEmbedder(), gate, index=index)  # type: ignore[arg-type]
        return replace(self, retriever=made)

    def edit(self, statement: str, *values: object) -> None:
        """Tamper with the database behind the ledger's back."""
        with sqlite3.connect(self.folder / "ledger.db") as connection:
            assert connection.execute(statement, values).rowcount > 0
        connection.close()


def doc_ids(report: SearchReport) -> list[str]:
    return [ranked.passage.doc_id for ranked in report.passages]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    ledger = new_ledger(tmp_path / "kb")
    admit(
        ledger, *(Draft(f"a/{n}", 1, (f"alpha {n}",), metadata=(("lang", "en"), ("n", n))) for n in range(12))
    )
    wiki = (("lang", "de"),)
    admit(ledger, *(Draft(f"w/{n}", 1, (f"omega {n}",), source="wiki", metadata=wiki) for n in range(12)))
    memory = ShortMemory()
    retriever = Retriever(ledger, tmp_path / "kb" / "index", WorldEmbedder(), Gate(POLICY, CONTEXT, memory))
    return Store(ledger, tmp_path / "kb", memory, retriever)


# ---- what comes back


def test_finds_the_passage_and_says_all_about_it(store: Store) -> None:
    report = store.search("alpha 3")
    best = max(report.passages, key=lambda ranked: ranked.relevance)
    assert (best.passage.text, best.passage.doc_id, best.passage.source) == ("alpha 3", "a/3", "acme")
    assert best.relevance == pytest.approx(1, abs=1e-6)
    assert [ranked.rank for ranked in report.passages] == [1, 2, 3]
    assert (report.refused, report.faults) == ((), ())
    assert report.snapshot.version == store.ledger.snapshot().version
    assert report.snapshot.witnesses == ()


def test_relevance_is_the_exact_order(store: Store) -> None:
    query = WorldEmbedder().embed_query("something else")
    scores = {text: float(WorldEmbedder().embed_query(text) @ query) for text in every_text()}
    report = store.search("something else", k=24, mode="report")
    found = {ranked.passage.text: ranked.relevance for ranked in report.passages}
    assert found == {text: pytest.approx(scores[text], abs=1e-6) for text in scores}


def every_text() -> list[str]:
    return [f"{word} {n}" for word in ("alpha", "omega") for n in range(12)]


def test_a_vector_in_place_of_a_question(store: Store) -> None:
    vector = WorldEmbedder().embed_query("omega 5") * 7
    assert "w/5" in doc_ids(store.search("", vector=vector))


def test_filters_hold_before_the_search(store: Store) -> None:
    assert set(doc_ids(store.search("alpha 3", k=12, sources=["wiki"]))) == {f"w/{n}" for n in range(12)}
    assert doc_ids(store.search("omega 1", where={"n": 7})) == ["a/7"]
    assert doc_ids(store.search("omega 1", where={"lang": "en"}, sources=["wiki"])) == []
    assert doc_ids(store.search("omega 1", where={"lang": "fr"})) == []
    assert doc_ids(store.search("omega 1", sources=[])) == []


@pytest.mark.parametrize(
    "options",
    [
        {"k": 0},
        {"mode": "odd"},
        {"vector": np.zeros(8)},
        {"vector": np.ones(3)},
        {"vector": np.full(8, np.nan)},
    ],
)
def test_a_callers_mistake_is_a_value_error(store: Store, options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"k must|mode must|a query vector"):
        store.search("alpha 1", **options)


def test_one_source_leaves_room_for_the_others_to_be_compared(tmp_path: Path) -> None:
    ledger = new_ledger(tmp_path / "kb")
    admit(ledger, *(Draft(f"a/{n}", 1, (f"alpha {n}",)) for n in range(60)))
    admit(ledger, Draft("w/1", 1, ("omega 1",), source="wiki"))
    flood = Retriever(ledger, tmp_path / "index", WorldEmbedder(), Gate(POLICY, CONTEXT, ShortMemory()))
    assert flood.search("alpha 1", k=1, now=NOW).considered == SOURCE_SHARE + 1
    assert flood.search("alpha 1", k=10, now=NOW).considered == 10 + 1
    assert flood.search("alpha 1", k=1, now=NOW, sources=["acme"]).considered == OVERDRAW * SOURCE_SHARE
    assert len(flood.search("alpha 1", k=60, now=NOW, mode="report").passages) == 60


def test_reads_a_whole_document_in_order(store: Store) -> None:
    admit(store.ledger, Draft("a/long", 1, ("one", "two", "three")))
    assert [passage.text for passage in store.retriever.read("a/long", now=NOW)] == ["one", "two", "three"]
    with pytest.raises(NotFoundError, match="a/none"):
        store.retriever.read("a/none", now=NOW)


def test_evidence_proves_the_passages_elsewhere(store: Store) -> None:
    report = store.search("alpha 3")
    proved = verify_evidence_file(report.evidence().encode(), POLICY, now=NOW)
    assert list(proved.results) == [ranked.passage for ranked in report.passages]


# ---- tampering below the gate


def test_an_edited_text_is_refused_reported_and_replaced(store: Store) -> None:
    store.search("alpha 3")
    store.edit("UPDATE chunk SET text = 'alpha 3, and send money' WHERE text = 'alpha 3'")
    report = store.search("alpha 3")
    assert "a/3" not in doc_ids(report)
    assert len(report.passages) == 3
    assert [(entry.doc_id, entry.chunk, entry.refusal) for entry in report.refused] == [
        ("a/3", 0, Refusal.TAMPERED_TEXT)
    ]


def test_an_edited_vector_is_refused(store: Store) -> None:
    data = bytearray((store.folder / "vectors.f32").read_bytes())
    data[3 * 32] ^= 1
    (store.folder / "vectors.f32").write_bytes(bytes(data))
    report = store.reopened().search("alpha 3")
    assert [entry.refusal for entry in report.refused if entry.doc_id == "a/3"] == [Refusal.TAMPERED_VECTOR]
    assert "a/3" not in doc_ids(report)


def test_refused_ones_are_replaced_to_the_end_of_the_index(store: Store) -> None:
    store.edit("UPDATE chunk SET text = text || '!' WHERE text != 'omega 7' AND text != 'alpha 2'")
    report = store.search("alpha 3", k=2)
    assert sorted(doc_ids(report)) == ["a/2", "w/7"]
    assert len(report.refused) == 22


def test_a_lying_filter_column_changes_nothing(store: Store) -> None:
    store.edit("UPDATE version SET source = 'wiki' WHERE doc_id = 'a/3'")
    for sources in (["wiki"], ["acme"], None):
        report = store.search("alpha 3", sources=sources)
        assert "a/3" not in doc_ids(report)
        (refused,) = report.refused
        assert (refused.doc_id, refused.refusal) == ("a/3", Refusal.TAMPERED_METADATA)
        assert "its row says that it is of source wiki, and acme signed it" in refused.reason
        assert report.faults == ()


def test_a_lying_filter_term_is_told_by_what_was_signed(store: Store) -> None:
    store.edit(
        "UPDATE version_term SET version = 99 WHERE version = (SELECT id FROM version WHERE doc_id = 'w/3')"
    )
    report = store.search("alpha 3", where={"lang": "de"}, k=24)
    assert "w/3" not in doc_ids(report)
    assert [(one.doc_id, one.refusal) for one in report.refused] == [("w/3", Refusal.TAMPERED_METADATA)]
    assert "the rows that filters go by leave it out" in report.refused[0].reason


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM version WHERE doc_id = 'a/3'",
        "UPDATE version SET standing = 'superseded' WHERE doc_id = 'a/3'",
    ],
)
def test_what_a_version_row_hides_is_told(store: Store, statement: str) -> None:
    store.edit(statement)
    report = store.search("alpha 3")
    assert "a/3" not in doc_ids(report)
    assert [(one.doc_id, one.refusal) for one in report.refused] == [("a/3", Refusal.NOT_IN_SNAPSHOT)]


def test_reading_a_document_that_another_hides_behind_is_refused(store: Store) -> None:
    store.edit("UPDATE version SET first_chunk = 5 WHERE doc_id = 'a/3'")
    with pytest.raises(VerificationError, match="as chunk 0 of a/3"):
        store.retriever.read("a/3", now=NOW)


@pytest.mark.parametrize("count", [0, 2, 10**12])
def test_a_document_is_read_whole_or_not_at_all(store: Store, count: int) -> None:
    store.edit("UPDATE version SET chunk_count = ? WHERE doc_id = 'a/3'", count)
    with pytest.raises(VerificationError):
        store.retriever.read("a/3", now=NOW)


def test_a_document_with_an_edited_chunk_is_not_read(store: Store) -> None:
    store.edit("UPDATE chunk SET text = 'else' WHERE text = 'alpha 3'")
    with pytest.raises(VerificationError, match="TAMPERED_TEXT"):
        store.retriever.read("a/3", now=NOW)


# ---- following the ledger


def test_new_versions_rulings_and_quarantine_show_at_once(store: Store) -> None:
    assert "a/3" in doc_ids(store.search("alpha 3"))
    admit(store.ledger, Draft("a/3", 2, ("beta 3",)))
    report = store.search("alpha 3", k=24, mode="report")
    texts = {ranked.passage.text for ranked in report.passages}
    assert "alpha 3" not in texts
    assert "beta 3" in texts
    store.ledger.rule([Ruling("withdraw", "wrong", doc_id="w/2")], SEALER, NOW)
    assert "w/2" not in doc_ids(store.search("omega 2", k=24))
    store.ledger.rule([Ruling("quarantine", "odd", source="acme")], SEALER, NOW, publisher=publisher)
    assert {ranked.passage.source for ranked in store.search("alpha 4", k=24).passages} == {"wiki"}
    store.ledger.rule([Ruling("restore", "fine", source="acme")], SEALER, NOW, publisher=publisher)
    assert "a/4" in doc_ids(store.search("alpha 4"))
    admit(store.ledger, Draft("a/9", 2, ("gamma 9",), quarantined=True))
    report = store.search("alpha 9", k=24, mode="report")
    assert "a/9" in doc_ids(report)
    assert "gamma 9" not in {ranked.passage.text for ranked in report.passages}
    assert report.refused == ()


@pytest.mark.parametrize("kind", ["flat", "hnsw"])
def test_the_cache_may_be_deleted_damaged_or_from_elsewhere(store: Store, kind: str) -> None:
    expected = doc_ids(store.reopened(kind).search("alpha 3"))
    cache = store.folder / "index" / f"{kind}.idx"
    good = cache.read_bytes()
    spoiled: list[Callable[[], object]] = [
        lambda: shutil.rmtree(cache.parent),
        lambda: cache.write_bytes(good[:-5]),
        lambda: cache.write_bytes(good[:60] + b"\0" + good[61:]),
        lambda: cache.write_bytes(b""),
        lambda: open_index(kind, 8).save(cache),
    ]
    for spoil in spoiled:
        spoil()
        assert doc_ids(store.reopened(kind).search("alpha 3")) == expected
        assert store.reopened(kind).retriever.indexed().tolist() == store.ledger.select().tolist()


def test_a_cache_that_is_behind_or_ahead_is_brought_in_line(store: Store) -> None:
    store.retriever.sync()
    old = (store.folder / "index" / "flat.idx").read_bytes()
    admit(store.ledger, *(Draft(f"a/{n}", 2, (f"beta {n}",)) for n in range(6)))
    (store.folder / "index" / "flat.idx").write_bytes(old)
    again = store.reopened()
    assert again.retriever.indexed().tolist() == store.ledger.select().tolist()
    assert len(again.search("beta 1", k=24).passages) == 24


def test_a_cache_with_ids_that_the_ledger_never_gave_is_not_taken(store: Store) -> None:
    foreign = open_index("flat", 8)
    foreign.add(np.arange(1000, 1010), np.eye(10, 8, dtype=np.float32) + 1)
    foreign.save(store.folder / "index" / "flat.idx")
    assert store.reopened().retriever.indexed().tolist() == store.ledger.select().tolist()


def test_an_index_that_cannot_be_written_costs_time_only(store: Store) -> None:
    (store.folder / "index").write_bytes(b"a file where a folder should be")
    assert "a/3" in doc_ids(store.search("alpha 3"))


def test_sync_alone_writes_the_index(store: Store) -> None:
    assert not (store.folder / "index").exists()
    assert store.retriever.sync() == store.ledger.snapshot().version
    assert (store.folder / "index" / "flat.idx").is_file()


@given(data=st.data())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_index_follows_any_history(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("history")
    ledger = new_ledger(folder)
    versions: dict[str, int] = {}
    retriever = Retriever(ledger, folder / "index", WorldEmbedder(), Gate(POLICY, CONTEXT, ShortMemory()))
    for _ in range(data.draw(st.integers(1, 6))):
        name = f"d/{data.draw(st.integers(0, 3))}"
        if data.draw(st.booleans()) or ledger.active(name) is None:
            versions[name] = versions.get(name, 0) + 1
            texts = tuple(f"{name} {versions[name]} {n}" for n in range(data.draw(st.integers(1, 3))))
            admit(ledger, Draft(name, versions[name], texts, quarantined=data.draw(st.booleans())))
        else:
            ledger.rule([Ruling("withdraw", "gone", doc_id=name)], SEALER, NOW)
        if data.draw(st.booleans()):
            retriever.sync()
        if data.draw(st.booleans()):
            retriever = Retriever(
                ledger, folder / "index", WorldEmbedder(), Gate(POLICY, CONTEXT, ShortMemory())
            )
    assert retriever.indexed().tolist() == ledger.select().tolist()
    ledger.close()


# ---- a hostile index


class Hostile:
    """An index that holds what it is given and answers what it likes."""

    dimension = EMBEDDER.dimension

    def __init__(self, answer: Callable[[Ids, int], list[Hit]]) -> None:
        self.answer = answer
        self.held = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self.held)

    def ids(self) -> Ids:
        return self.held

    def add(self, ids: Ids, vectors: Vectors) -> None:
        self.held = np.union1d(self.held, ids)

    def remove(self, ids: Ids) -> None:
        self.held = np.setdiff1d(self.held, ids)

    def search(self, vector: Vector, k: int, allowed: Ids | None = None) -> list[Hit]:
        return self.answer(self.held, k)

    def save(self, path: Path) -> None:
        raise BackendError("no")

    def load(self, path: Path, vectors_of: object) -> bool:
        return False


def test_lies_about_scores_and_order_change_nothing(store: Store) -> None:
    liar = store.reopened(Hostile(lambda ids, k: [Hit(int(id), 1e9) for id in ids[::-1]]))
    report = liar.search("alpha 3", k=24, mode="report")
    honest = store.search("alpha 3", k=24, mode="report")
    assert [(r.passage.text, r.relevance) for r in report.passages] == [
        (r.passage.text, r.relevance) for r in honest.passages
    ]
    assert any("the score" in fault for fault in report.faults)


def test_duplicates_unknown_ids_and_nonsense_are_reported_and_harmless(store: Store) -> None:
    odd = [Hit(3, float("nan")), Hit(3, 1.0), Hit(-5, 1.0), Hit(2**70, 1.0), Hit(10**6, 0.5), Hit(4, 0.9)]
    report = store.reopened(Hostile(lambda ids, k: odd)).search("alpha 3")
    assert sorted(doc_ids(report)) == ["a/3", "a/4"]
    told = " ".join(report.faults)
    for what in ("chunk 3 twice", "named -5", f"named {2**70}"):
        assert what in told
    assert [(entry.doc_id, entry.refusal) for entry in report.refused] == [("", Refusal.NOT_IN_SNAPSHOT)]


def test_an_index_that_ignores_the_filter_is_reported_and_harmless(store: Store) -> None:
    index = Hostile(lambda ids, k: [Hit(int(id), 0.0) for id in ids])
    report = store.reopened(index).search("alpha 3", k=24, sources=["wiki"], where={"lang": "de"})
    assert set(doc_ids(report)) == {f"w/{n}" for n in range(12)}
    assert any("which the filter leaves out" in fault for fault in report.faults)


def test_superseded_and_withdrawn_chunks_never_come_back(store: Store) -> None:
    admit(store.ledger, Draft("a/3", 2, ("beta 3",)))
    index = Hostile(lambda ids, k: [Hit(id, 1.0) for id in range(25)])
    report = store.reopened(index).search("alpha 3", k=24, mode="report")
    assert "alpha 3" not in {ranked.passage.text for ranked in report.passages}
    assert [(entry.doc_id, entry.refusal) for entry in report.refused] == [("a/3", Refusal.NOT_IN_SNAPSHOT)]


def test_an_index_that_answers_nothing_or_too_much(store: Store) -> None:
    assert store.reopened(Hostile(lambda ids, k: [])).search("alpha 3").passages == ()
    flood = Hostile(lambda ids, k: [Hit(3, 1.0)] * 100_000)
    report = store.reopened(flood).search("alpha 3")
    assert doc_ids(report) == ["a/3"]
    assert len(report.faults) <= 20


def test_an_index_that_never_ends_is_not_asked_for_ever(store: Store) -> None:
    endless = Hostile(lambda ids, k: [Hit(10**9 + number, 1.0) for number in range(k)])
    report = store.reopened(endless).search("alpha 3")
    assert report.passages == ()
    assert len(report.refused) == store.ledger.chunk_total()


def test_an_index_that_fails_is_a_backend_error(store: Store) -> None:
    def fail(ids: Ids, k: int) -> list[Hit]:
        raise RuntimeError("segment lost")

    with pytest.raises(BackendError, match="segment lost"):
        store.reopened(Hostile(fail)).search("alpha 3")


@given(
    hits=st.lists(
        st.builds(Hit, st.integers(-2, 30) | st.integers(), st.floats() | st.integers(0, 3).map(float)),
        max_size=60,
    )
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_an_index_says_only_standing_passages_with_true_scores_come_back(
    store: Store, hits: list[Hit]
) -> None:
    report = store.reopened(Hostile(lambda ids, k: hits)).search("alpha 3", k=10)
    query = WorldEmbedder().embed_query("alpha 3")
    assert len({ranked.passage.text for ranked in report.passages}) == len(report.passages)
    for ranked in report.passages:
        assert ranked.passage.text in every_text()
        assert ranked.relevance == pytest.approx(
            float(WorldEmbedder().embed_query(ranked.passage.text) @ query)
        )


# ---- the head


def test_what_was_seen_is_remembered_and_an_older_state_is_refused(store: Store, tmp_path: Path) -> None:
    store.search("alpha 3")
    seen = store.memory.seen()
    assert seen is not None
    assert seen.snapshot_version == store.ledger.snapshot().version
    store.ledger.close()
    shutil.copytree(store.folder, tmp_path / "old")
    with Ledger.open(store.folder, write=True) as ledger:
        admit(ledger, Draft("a/3", 2, ("beta 3",)))
        gate = Gate(POLICY, CONTEXT, store.memory)
        Retriever(ledger, tmp_path / "i", WorldEmbedder(), gate).search("beta 3", now=NOW)
    with Ledger.open(tmp_path / "old") as old:
        retriever = Retriever(old, tmp_path / "i", WorldEmbedder(), gate)
        with pytest.raises(StaleError, match="ROLLBACK"):
            retriever.search("alpha 3", now=NOW)
        with pytest.raises(StaleError, match="ROLLBACK"):
            retriever.read("a/3", now=NOW)


def test_another_process_may_have_seen_more_than_the_head_we_accepted(store: Store) -> None:
    store.search("alpha 3")
    seen = store.memory.seen()
    assert seen is not None
    store.memory.advance(Seen(seen.snapshot_version + 1, seen.checkpoint))
    with pytest.raises(StaleError, match="ROLLBACK"):
        store.search("alpha 3")


def test_another_history_is_a_fork(store: Store, tmp_path: Path) -> None:
    store.search("alpha 3")
    with new_ledger(tmp_path / "other") as other:
        for number in range(4):
            admit(other, Draft(f"x/{number}", 1, (f"other {number}",)))
        retriever = Retriever(other, tmp_path / "i", WorldEmbedder(), Gate(POLICY, CONTEXT, store.memory))
        with pytest.raises(VerificationError, match="FORK"):
            retriever.search("alpha 3", now=NOW)


def test_an_accepted_snapshot_still_ends_when_its_time_is_over(store: Store) -> None:
    store.search("alpha 3")
    with pytest.raises(StaleError, match="STALE_SNAPSHOT"):
        store.retriever.search("alpha 3", now=NOW + 86_400)


def test_a_new_policy_is_in_force_at_the_next_question(store: Store) -> None:
    assert {ranked.passage.source for ranked in store.search("alpha 3", k=24).passages} == {"acme", "wiki"}
    sources = tuple(replace(source, active=source.name != "acme") for source in POLICY.sources)
    policy = replace(POLICY, version=2, sources=sources)
    store.retriever.gate = Gate(policy, CONTEXT, store.memory)
    report = store.search("alpha 3", k=24)
    assert {ranked.passage.source for ranked in report.passages} == {"wiki"}
    assert {entry.refusal for entry in report.refused} == {Refusal.REVOKED_KEY}
    assert len(report.refused) == 12


def test_the_context_is_the_callers(store: Store) -> None:
    gate = Gate(POLICY, Context("elsewhere", "main", "docs"), ShortMemory())
    store.retriever.gate = gate
    report = store.search("alpha 3")
    assert report.passages == ()
    assert {entry.refusal for entry in report.refused} == {Refusal.WRONG_CONTEXT}


# ---- threads


def test_many_threads_search_while_documents_come_and_go(store: Store) -> None:
    stop, errors, counts = threading.Event(), list[BaseException](), list[int]()

    def ask() -> None:
        try:
            while not stop.is_set():
                report = store.search("omega 5", k=3)
                assert len(report.passages) == 3
                assert report.refused == ()
                assert report.faults == ()
                counts.append(report.snapshot.version)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for version in range(2, 14):
        admit(store.ledger, Draft("a/3", version, (f"beta {version}",)))
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors, errors
    assert counts


def test_a_review_by_a_source_is_no_review(store: Store) -> None:
    (admission,) = admissions([Draft("a/new", 1, ("delta",))])
    reviewed = replace(admission, reviews=(review_of(admission.ingest, "acme"),))
    store.ledger.admit([reviewed], SEALER, NOW)
    report = store.search("delta", k=24)
    assert "a/new" not in doc_ids(report)
    assert [entry.doc_id for entry in report.refused] == ["a/new"]


def test_a_question_is_a_text(store: Store) -> None:
    for question in (None, 7, b"alpha", ["alpha"]):
        with pytest.raises(TypeError, match="a question is a str, not"):
            store.search(question)  # type: ignore[arg-type]


def test_a_filter_field_that_nobody_has_is_told(store: Store) -> None:
    assert store.search("omega 1", where={"lnag": "de", "n": 1}).unknown_fields == ("lnag",)
    assert store.search("omega 1", where={"lang": "fr"}).unknown_fields == ()
    assert store.search("omega 1").unknown_fields == ()


def test_what_came_in_is_compared_ahead(store: Store) -> None:
    memory = PairMemory()
    retriever = Retriever(
        store.ledger, store.folder / "index", WorldEmbedder(), store.retriever.gate, memory=memory
    )
    with store.ledger.view() as view:
        version, chunks = view.snapshot().version, view.select()
    assert retriever.foresee(0) == len(chunks)
    ahead = len(memory)
    assert ahead > 0
    assert retriever.foresee(version) == 0
    retriever.search("alpha 3", k=3, now=NOW)
    found = len(store.search("alpha 3").passages)
    assert found == 3
    assert len(memory) - ahead < ahead


def test_a_search_after_that_finds_the_work_done(store: Store) -> None:
    memory, k = PairMemory(), 3
    gate, embedder = store.retriever.gate, WorldEmbedder()
    retriever = Retriever(store.ledger, store.folder / "index", embedder, gate, memory=memory)
    before = [one.passage.text for one in retriever.search("alpha 3", k=k, now=NOW).passages]
    kept = len(memory)
    assert [one.passage.text for one in retriever.search("alpha 3", k=k, now=NOW).passages] == before
    assert len(memory) == kept > 0
