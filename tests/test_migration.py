"""Folders that LangChain's own FAISS class wrote, taken over; and folders that were bent."""

import pickle
import warnings
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from langchain_core.documents import Document as LangChainDocument
from langchain_core.embeddings import Embeddings

from trustrag.errors import ConfigError, MalformedError
from trustrag.index.embedding import HashEmbedder
from trustrag.ingest.moving.faiss_folder import KEPT_TOOL, FaissFolder, KeptVectors
from trustrag.migration import import_faiss
from trustrag.provenance.standing import StandingEntry
from trustrag.provenance.statement import IngestStatement, parse_statement
from trustrag.workspace import Workspace

HASH = HashEmbedder()


class Elsewhere(Embeddings):
    """The same model in another program, which leaves lengths as they come."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [[3.0 * float(number) for number in row] for row in HASH.embed(texts)]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]

    def __call__(self, text: str) -> list[float]:
        return self.embed_query(text)


def saved(folder: Path, count: int = 20, **settings: object) -> Path:
    """A folder as the real class saves it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from langchain_community.vectorstores import FAISS

    texts = [f"Rule {n} says that logs of kind {n} are kept for {n + 7} days." for n in range(count)]
    metadatas = [{"n": n, "tags": ["a", 1.5, None, True]} for n in range(count)]
    ids = [f"rule-{n}" for n in range(count)]
    FAISS.from_texts(texts, Elsewhere(), metadatas=metadatas, ids=ids, **settings).save_local(str(folder))  # type: ignore[arg-type]
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return saved(tmp_path / "old")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace.init(tmp_path / "kb", source="acme", embedder="hash")


def rewritten(folder: Path, change: object) -> None:
    """The folder with its pickle made anew by a function of what was in it."""
    store, places = pickle.loads((folder / "index.pkl").read_bytes())
    assert callable(change)
    (folder / "index.pkl").write_bytes(pickle.dumps(change(store, places)))


def bend(folder: Path, place: int, row: np.ndarray) -> None:
    """Another vector at this place of the index."""
    path = folder / "index.faiss"
    data = bytearray(path.read_bytes())
    start = len(data) - (20 - place) * 4 * HASH.id.dimension
    data[start : start + 4 * HASH.id.dimension] = row.astype("<f4").tobytes()
    path.write_bytes(bytes(data))


def test_a_real_folder_keeps_its_ids_metadata_and_vectors(folder: Path, workspace: Workspace) -> None:
    imported = import_faiss(workspace, folder, source="acme", prefix="old/", licence="MIT")
    assert len(imported.report.admitted) == 20
    assert imported.checked == 20
    assert imported.least > 0.9999
    (passage,) = workspace.read("old/rule-7")
    assert passage.text == "Rule 7 says that logs of kind 7 are kept for 14 days."
    assert passage.metadata == {"n": 7, "tags": ["a", 1.5, None, True]}
    kept = np.frombuffer(passage.vector, "<f4")
    assert np.allclose(kept, HASH.embed([passage.text])[0], atol=1e-6)
    assert not workspace.audit().problems
    again = import_faiss(workspace, folder, source="acme", prefix="old/", licence="MIT")
    assert len(again.report.unchanged) == 20


def test_what_is_signed_says_where_vectors_came_from(folder: Path, workspace: Workspace) -> None:
    import_faiss(workspace, folder, source="acme", prefix="kept/")
    import_faiss(workspace, folder, source="acme", prefix="made/", re_embed=True)
    with workspace._opened.reader().reading() as (session, _):
        entries = {
            name: session.standing_of(next(reversed(session.versions(name))).row)[-1].entry
            for name in ("kept/rule-1", "made/rule-1")
        }
    told = {}
    with workspace._opened.reader().view() as view:
        for name, entry in entries.items():
            statement = parse_statement(view.envelope(StandingEntry.parse(entry).ingest_index).payload)
            assert isinstance(statement, IngestStatement)
            told[name] = statement.tool
    assert told == {"kept/rule-1": KEPT_TOOL, "made/rule-1": "urn:trustrag:ingest:1"}


def test_an_import_that_was_withdrawn_does_not_come_back(folder: Path, workspace: Workspace) -> None:
    import_faiss(workspace, folder, source="acme")
    workspace.withdraw("rule-3", reason="wrong")
    report = import_faiss(workspace, folder, source="acme").report
    assert [outcome.doc_id for outcome in report.refused] == ["rule-3"]
    assert len(report.unchanged) == 19


def test_an_interrupted_import_goes_on(folder: Path, workspace: Workspace) -> None:
    def stop(stage: str, done: int, total: int) -> None:
        assert total == 20
        if stage == "taking over" and done == 16:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_faiss(workspace, folder, source="acme", progress=stop)
    report = import_faiss(workspace, folder, source="acme").report
    assert (len(report.unchanged), len(report.admitted)) == (16, 4)


@pytest.mark.parametrize("row", [np.ones(256), np.zeros(256), np.full(256, np.nan)])
def test_a_vector_that_is_not_its_texts_stops_the_import(
    folder: Path, workspace: Workspace, row: np.ndarray
) -> None:
    bend(folder, 4, row)
    with pytest.raises(ConfigError, match="say --re-embed"):
        import_faiss(workspace, folder, source="acme")
    assert workspace.standing_documents() == []
    assert len(import_faiss(workspace, folder, source="acme", re_embed=True).report.admitted) == 20
    (passage,) = workspace.read("rule-4")
    assert np.allclose(np.frombuffer(passage.vector, "<f4"), HASH.embed([passage.text])[0], atol=1e-6)


def test_one_text_has_one_vector(folder: Path) -> None:
    def same(store: object, places: object) -> object:
        store._dict["rule-5"] = store._dict["rule-4"]  # type: ignore[attr-defined]
        return store, places

    rewritten(folder, same)
    with pytest.raises(ConfigError, match=r"rule-5: .* the same text and another vector"):
        KeptVectors.checked(FaissFolder.read(folder), HASH)


def test_texts_that_it_does_not_know_are_embedded(folder: Path) -> None:
    kept = KeptVectors.checked(FaissFolder.read(folder), HASH)
    texts = ["A text of its own.", "Rule 1 says that logs of kind 1 are kept for 8 days."]
    assert np.allclose(kept.embed(texts), HASH.embed(texts), atol=1e-6)
    assert kept.id == HASH.id


def test_another_model_is_refused_and_can_be_replaced(folder: Path, tmp_path: Path) -> None:
    small = Workspace.init(tmp_path / "small", source="acme", embedder=HashEmbedder(64))
    with pytest.raises(ConfigError, match=r"256 dimensions, those of hash-64 64.*--re-embed"):
        import_faiss(small, folder, source="acme")
    assert len(import_faiss(small, folder, source="acme", re_embed=True).report.admitted) == 20


def test_an_index_of_another_kind_has_to_be_embedded_anew(folder: Path, workspace: Workspace) -> None:
    import faiss

    index = faiss.IndexHNSWFlat(256, 8)
    index.add(HASH.embed(["x"] * 20))
    faiss.write_index(index, str(folder / "index.faiss"))
    with pytest.raises(ConfigError, match="kind IHNf are not read: say --re-embed"):
        import_faiss(workspace, folder, source="acme")
    assert len(import_faiss(workspace, folder, source="acme", re_embed=True).report.admitted) == 20


def test_an_index_by_inner_product_is_read(tmp_path: Path, workspace: Workspace) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from langchain_community.vectorstores.utils import DistanceStrategy

    old = saved(tmp_path / "ip", distance_strategy=DistanceStrategy.MAX_INNER_PRODUCT)
    assert FaissFolder.read(old).kind == "IxFI"
    assert len(import_faiss(workspace, old, source="acme").report.admitted) == 20


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda store, places: places, "not a document store"),
        (lambda store, places: (store,), "not a document store"),
        (lambda store, places: (store, list(places.values())), "not a document store"),
        (lambda store, places: (dict(store._dict), places), "not a document store"),
        (lambda store, places: (store, {**places, 0: "rule-1"}), "one stands twice"),
        (lambda store, places: (store, {**places, 99: "rule-99"}), "do not number an index"),
        (lambda store, places: (store, {str(k): v for k, v in places.items()}), "not those of places"),
        (
            lambda store, places: (store, {k: places[k] for k in range(19)}),
            "holds 20 vectors and index.pkl names 19",
        ),
    ],
)
def test_a_pickle_of_something_else_is_refused(folder: Path, change: object, says: str) -> None:
    rewritten(folder, change)
    with pytest.raises(MalformedError, match=says):
        FaissFolder.read(folder)


class Runs:
    """What an attacker pickles."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def test_a_hostile_pickle_is_refused_and_runs_nothing(
    folder: Path, workspace: Workspace, tmp_path: Path
) -> None:
    mark = tmp_path / "ran"
    rewritten(folder, lambda store, places: (store, {**places, 0: Runs(mark)}))
    with pytest.raises(MalformedError, match=r"asks for .*: not a plain document; nothing of it was run"):
        import_faiss(workspace, folder, source="acme")
    assert not mark.exists()
    pickle.loads((folder / "index.pkl").read_bytes())
    assert mark.exists()


def hostile_metadata() -> dict[str, object]:
    circle: list[object] = []
    circle.append(circle)
    laugh: object = "ha"
    for _ in range(20):
        laugh = [laugh] * 10
    deep: object = []
    for _ in range(40):
        deep = [deep]
    return {
        "circle": circle, "laugh": laugh, "deep": deep, "long": ["x" * 10_000] * 1000, "set": {"a"},
    }  # fmt: skip


@pytest.mark.parametrize("name", [*hostile_metadata()])
def test_metadata_that_cannot_be_kept_costs_its_document_alone(
    folder: Path, workspace: Workspace, name: str
) -> None:
    def with_it(store: object, places: object) -> object:
        store._dict["rule-2"].metadata["x"] = hostile_metadata()[name]  # type: ignore[attr-defined]
        return store, places

    rewritten(folder, with_it)
    report = import_faiss(workspace, folder, source="acme").report
    assert [outcome.doc_id for outcome in report.refused] == ["rule-2"]
    assert "its metadata" in report.refused[0].reason
    assert len(report.admitted) == 19


def test_a_document_that_is_missing_or_none_costs_itself_alone(folder: Path) -> None:
    def bent(store: object, places: object) -> object:
        del store._dict["rule-2"]  # type: ignore[attr-defined]
        store._dict["rule-3"] = "a text"  # type: ignore[attr-defined]
        store._dict["rule-4"] = LangChainDocument.model_construct(page_content=5, metadata={})  # type: ignore[attr-defined]
        return store, places

    rewritten(folder, bent)
    read = FaissFolder.read(folder)
    assert {problem.path for problem in read.problems} == {"rule-2", "rule-3", "rule-4"}
    assert len(read.documents) == 17


def test_documents_of_older_releases_are_read(folder: Path) -> None:
    """LangChain's modules moved; a pickle names those of its day."""
    data = pickle.dumps(pickle.loads((folder / "index.pkl").read_bytes()), protocol=2)
    for old, new in (
        (b"clangchain_core.documents.base\nDocument", b"clangchain.schema\nDocument"),
        (b"clangchain_community.docstore.in_memory\n", b"clangchain.docstore.in_memory\n"),
    ):
        assert old in data
        data = data.replace(old, new)
    (folder / "index.pkl").write_bytes(data)
    assert len(FaissFolder.read(folder).documents) == 20


@pytest.mark.parametrize("cut", [0, 10, 44, 60, 5000])
def test_an_index_that_is_cut_off_is_refused(folder: Path, cut: int) -> None:
    path = folder / "index.faiss"
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(MalformedError, match=r"index\.faiss"):
        FaissFolder.read(folder)


def test_an_index_that_lies_about_its_size_takes_no_memory(folder: Path) -> None:
    path = folder / "index.faiss"
    data = bytearray(path.read_bytes())
    data[8:16] = (1 << 50).to_bytes(8, "little")
    path.write_bytes(bytes(data))
    with pytest.raises(MalformedError, match="its header and its length do not agree"):
        FaissFolder.read(folder)


@pytest.mark.parametrize("name", ["index.pkl", "index.faiss"])
def test_a_folder_with_a_part_missing_is_told(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ConfigError, match=r"is not there: give the folder that FAISS\.save_local wrote"):
        FaissFolder.read(folder)


def test_a_date_in_metadata_is_named(folder: Path) -> None:
    def dated(store: object, places: object) -> object:
        store._dict["rule-2"].metadata["when"] = datetime(2026, 1, 1)  # type: ignore[attr-defined]
        return store, places

    rewritten(folder, dated)
    with pytest.raises(MalformedError, match=r"asks for datetime\.datetime"):
        FaissFolder.read(folder)
