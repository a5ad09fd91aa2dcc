"""FAISS against an exact reference in numpy: add, remove, search, filter, save, load, threads."""

import json
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustrag.errors import ConfigError
from trustrag.index import Hit, VectorIndex, open_index
from trustrag.index.base import Ids, Vectors
from trustrag.index.faiss import FlatIndex, HnswIndex

KINDS = ["flat", "hnsw"]
DIMENSION = 8


def unit_vectors(count: int, seed: int = 0, dimension: int = DIMENSION) -> Vectors:
    rows = np.random.default_rng(seed).normal(size=(count, dimension))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Reference:
    """The same contract, in a dictionary."""

    def __init__(self) -> None:
        self.held: dict[int, Vectors] = {}

    def search(self, vector: Vectors, k: int, allowed: list[int] | None) -> list[tuple[int, float]]:
        names = self.held.keys() if allowed is None else self.held.keys() & set(allowed)
        scores = [(name, float(self.held[name] @ vector)) for name in names]
        return sorted(scores, key=lambda pair: (-pair[1], pair[0]))[: max(k, 0)]


def same(hits: list[Hit], expected: list[tuple[int, float]]) -> bool:
    """Equal scores, and equal ids but where scores are equal up to rounding."""
    scores = [score for _, score in expected]
    return len(hits) == len(expected) and np.allclose([hit.score for hit in hits], scores, atol=1e-5)


ids_lists = st.lists(st.integers(0, 60), unique=True, max_size=30)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("add"), ids_lists),
        st.tuples(st.just("remove"), ids_lists),
        st.tuples(st.just("search"), st.none() | ids_lists),
    ),
    max_size=12,
)


@pytest.mark.parametrize("kind", KINDS)
@given(steps=steps, k=st.integers(0, 40), seed=st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_behaves_like_the_reference(
    kind: str, steps: list[tuple[str, list[int] | None]], k: int, seed: int
) -> None:
    index, reference = open_index(kind, DIMENSION), Reference()
    vectors = unit_vectors(2000, seed)
    at = 0
    for step, names in steps:
        ids = np.array(names or [], np.int64)
        if step == "add":
            rows = vectors[at : at + len(ids)]
            at += len(ids)
            index.add(ids, rows)
            reference.held.update(zip(ids.tolist(), rows, strict=True))
        elif step == "remove":
            index.remove(ids)
            for name in ids.tolist():
                reference.held.pop(name, None)
        else:
            hits = index.search(vectors[-1], k, None if names is None else ids)
            expected = reference.search(vectors[-1], k, names)
            assert same(hits, expected)
            assert all(abs(float(reference.held[hit.id] @ vectors[-1]) - hit.score) < 1e-5 for hit in hits)
        assert index.ids().tolist() == sorted(reference.held)
        assert len(index) == len(reference.held)


def test_hnsw_keeps_its_recall_under_removals_and_filters_of_any_width() -> None:
    count, dimension = 4000, 32
    vectors, ids = unit_vectors(count, 3, dimension), np.arange(count, dtype=np.int64) * 7
    index = open_index("hnsw", dimension)
    index.add(ids, vectors)
    index.remove(ids[:900])  # below the quarter that has the graph built again
    for width in (5, 50, 350, 600, 1500, 3100):
        allowed = ids[900 : 900 + width]
        found = 0
        for query in unit_vectors(20, 4, dimension):
            exact = np.argsort(-(vectors[900 : 900 + width] @ query))[:10]
            hits = index.search(query, 10, allowed)
            assert len(hits) == min(10, width)
            found += len({hit.id for hit in hits} & set(allowed[exact].tolist()))
        assert found >= 0.95 * 20 * min(10, width)


@pytest.mark.parametrize("kind", KINDS)
def test_a_filter_with_ids_it_does_not_hold_is_no_harm(kind: str) -> None:
    index = open_index(kind, DIMENSION)
    index.add(np.array([5]), unit_vectors(1))
    assert index.search(unit_vectors(1)[0], 3, np.array([1, 5, 2**62])) == [
        Hit(5, pytest.approx(1.0, abs=1e-6))
    ]
    assert index.search(unit_vectors(1)[0], 3, np.array([], np.int64)) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("ids", "vectors"),
    [
        ([1, 1], unit_vectors(2)),
        ([-1], unit_vectors(1)),
        ([1], unit_vectors(2)),
        ([1], unit_vectors(1, dimension=DIMENSION + 1)),
        ([1], np.full((1, DIMENSION), np.nan, np.float32)),
        ([[1]], unit_vectors(1)),
    ],
)
def test_refuses_what_it_could_not_hold(kind: str, ids: list[int], vectors: Vectors) -> None:
    index = open_index(kind, DIMENSION)
    with pytest.raises(ValueError, match=r"ids|vectors|vector"):
        index.add(np.array(ids, np.int64), vectors)
    assert len(index) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_refuses_a_query_that_is_none(kind: str) -> None:
    index = open_index(kind, DIMENSION)
    index.add(np.array([1]), unit_vectors(1))
    for query in (np.zeros(3, np.float32), np.full(DIMENSION, np.inf, np.float32)):
        with pytest.raises(ValueError, match="a query is"):
            index.search(query, 1)


def test_refuses_kinds_and_dimensions_that_are_none() -> None:
    with pytest.raises(ConfigError, match="there is no index 'magic'"):
        open_index("magic", 8)
    with pytest.raises(ValueError, match="dimension"):
        open_index("flat", 0)


# ---- the cache file


def filled(kind: str, count: int = 300) -> tuple[VectorIndex, Callable[[Ids], Vectors]]:
    vectors = unit_vectors(count)

    def vectors_of(ids: Ids) -> Vectors:
        return vectors[ids]  # IndexError for ids that were never given

    index = open_index(kind, DIMENSION)
    index.add(np.arange(count, dtype=np.int64), vectors)
    index.remove(np.arange(20, 40))
    return index, vectors_of


@pytest.mark.parametrize("kind", KINDS)
def test_comes_back_as_it_was_saved_and_goes_on(kind: str, tmp_path: Path) -> None:
    index, vectors_of = filled(kind)
    index.save(tmp_path / "deep" / "cache.idx")
    again = open_index(kind, DIMENSION)
    assert again.load(tmp_path / "deep" / "cache.idx", vectors_of)
    assert again.ids().tolist() == index.ids().tolist()
    query = unit_vectors(1, 9)[0]
    assert [hit.id for hit in again.search(query, 12)] == [hit.id for hit in index.search(query, 12)]
    again.add(np.array([25, 5000]), unit_vectors(2, 11))
    assert again.search(unit_vectors(2, 11)[1], 1)[0].id == 5000
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["cache.idx"]


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_index_comes_back_empty(kind: str, tmp_path: Path) -> None:
    open_index(kind, DIMENSION).save(tmp_path / "cache.idx")
    again = open_index(kind, DIMENSION)
    assert again.load(tmp_path / "cache.idx", lambda ids: np.empty((len(ids), DIMENSION), np.float32))
    assert len(again) == 0
    assert again.search(unit_vectors(1)[0], 3) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_or_foreign_file_is_not_taken(kind: str, tmp_path: Path) -> None:
    index, vectors_of = filled(kind)
    index.save(tmp_path / "cache.idx")
    other = open_index("flat" if kind == "hnsw" else "hnsw", DIMENSION)
    assert not open_index(kind, DIMENSION).load(tmp_path / "nothing", vectors_of)
    assert not other.load(tmp_path / "cache.idx", vectors_of)
    assert not open_index(kind, DIMENSION + 1).load(tmp_path / "cache.idx", vectors_of)
    assert not open_index(kind, DIMENSION).load(tmp_path / "cache.idx", lambda ids: unit_vectors(10)[ids])


def test_a_graph_over_other_vectors_is_not_taken(tmp_path: Path) -> None:
    index, _ = filled("hnsw")
    index.save(tmp_path / "cache.idx")
    others = unit_vectors(300, 77)
    assert not open_index("hnsw", DIMENSION).load(tmp_path / "cache.idx", lambda ids: others[ids])


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=80, deadline=None)
def test_a_damaged_file_is_not_taken(
    kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    index, vectors_of = filled(kind, 60)
    path = tmp_path_factory.mktemp("cache") / "cache.idx"
    index.save(path)
    raw = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(raw))
    fresh = open_index(kind, DIMENSION)
    if fresh.load(path, vectors_of):  # a changed space or a digit of equal meaning in the header
        assert fresh.ids().tolist() == index.ids().tolist()
    else:
        assert len(fresh) == 0


@given(noise=st.binary(max_size=400))
@settings(max_examples=80, deadline=None)
def test_noise_is_not_taken(noise: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("cache") / "cache.idx"
    for prefix in (b"", b"[]\n", b'{"format":"trustrag-index/1","facts":[],"arrays":{}}\n'):
        path.write_bytes(prefix + noise)
        for kind in KINDS:
            assert not open_index(kind, DIMENSION).load(path, lambda ids: unit_vectors(len(ids)))


ARRAYS = ("ids", "alive", "levels", "neighbors", "entry")


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_forged_graph_never_reaches_faiss(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The digest is valid, the numbers are not: whatever is taken must be safe to walk."""
    from trustrag.index import cachefile

    index, vectors_of = filled("hnsw", 60)
    path = tmp_path_factory.mktemp("cache") / "cache.idx"
    index.save(path)
    cache = cachefile.read(path, ARRAYS)
    assert cache is not None
    arrays = cache.arrays
    name = data.draw(st.sampled_from(ARRAYS))
    value = data.draw(st.sampled_from([-(2**40), -2, -1, 0, 1, 2, 5, 6, 7, 59, 60, 2**31, 2**40]))
    match data.draw(st.sampled_from(["set", "cut", "grow"])):
        case "set":
            arrays[name][data.draw(st.integers(0, len(arrays[name]) - 1))] = value
        case "cut":
            arrays[name] = arrays[name][:-1]
        case "grow":
            arrays[name] = np.append(arrays[name], value)
    cachefile.write(
        path, {name: fact for name, fact in cache.facts.items() if isinstance(fact, str | int)}, arrays
    )
    fresh = open_index("hnsw", DIMENSION)
    if fresh.load(path, vectors_of):
        for query in unit_vectors(5, 8):
            assert {hit.id for hit in fresh.search(query, 5)} <= set(range(60))


def test_a_cache_file_is_json_and_integers(tmp_path: Path) -> None:
    index, _ = filled("hnsw", 60)
    index.save(tmp_path / "cache.idx")
    line, body = (tmp_path / "cache.idx").read_bytes().split(b"\n", 1)
    assert len(body) == 8 * sum(json.loads(line)["arrays"].values())


# ---- threads


@pytest.mark.parametrize("make", [FlatIndex, HnswIndex])
def test_searches_while_others_change_it(make: Callable[[int], VectorIndex]) -> None:
    index = make(DIMENSION)
    stable = np.arange(200, dtype=np.int64)
    index.add(stable, unit_vectors(200))
    stop, errors = threading.Event(), list[BaseException]()

    def read() -> None:
        try:
            while not stop.is_set():
                hits = index.search(unit_vectors(200)[7], 5, stable)
                assert hits[0].id == 7
                assert len(hits) == 5
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(40):
        ids = np.arange(1000, 1100, dtype=np.int64)
        index.add(ids, unit_vectors(100, turn))
        index.remove(ids)
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors
    assert index.ids().tolist() == stable.tolist()
