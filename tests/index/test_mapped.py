"""The index over mapped rows answers as the flat one does, whatever was added and removed."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.index.base import RowIndex, VectorIndex
from trustrag.index.faiss import FlatIndex
from trustrag.index.mapped import MappedIndex

ROWS = np.random.default_rng(3).standard_normal((50, 8)).astype(np.float32)


def blocks(total: int) -> Iterator[tuple[int, np.ndarray]]:
    for first in range(0, total, 16):
        yield first, ROWS[first : min(first + 16, total)]


def made() -> MappedIndex:
    return MappedIndex(8, blocks)


def test_it_is_an_index_that_reads_its_rows() -> None:
    index: VectorIndex = made()
    assert isinstance(index, RowIndex)
    assert not isinstance(FlatIndex(8), RowIndex)
    assert index.dimension == 8


@given(
    st.sets(st.integers(0, 49)),
    st.sets(st.integers(0, 49)),
    st.none() | st.sets(st.integers(0, 60)),
    st.integers(1, 60),
    st.integers(0, 99),
)
def test_it_answers_as_the_flat_index(
    added: set[int], removed: set[int], allowed: set[int] | None, k: int, seed: int
) -> None:
    flat, mapped = FlatIndex(8), made()
    ids = np.array(sorted(added), np.int64)
    flat.add(ids, ROWS[ids])
    mapped.hold(ids)
    for index in (flat, mapped):
        index.remove(np.array(sorted(removed), np.int64))
    query = np.random.default_rng(seed).standard_normal(8).astype(np.float32)
    chosen = None if allowed is None else np.array(sorted(allowed), np.int64)
    expected, found = flat.search(query, k, chosen), mapped.search(query, k, chosen)
    assert [hit.id for hit in found] == [hit.id for hit in expected]
    assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected], abs=1e-4)
    assert mapped.ids().tolist() == flat.ids().tolist()
    assert len(mapped) == len(flat)


def test_what_is_added_since_is_found_by_the_same_question() -> None:
    index, query = made(), ROWS[7]
    index.hold(np.array([1, 2], np.int64))
    assert 7 not in {hit.id for hit in index.search(query, 5)}
    index.add(np.array([7], np.int64), ROWS[7:8])
    assert index.search(query, 1)[0].id == 7


def test_rows_that_are_no_numbers_come_last() -> None:
    rows = ROWS.copy()
    rows[3] = np.nan
    rows[4] = np.inf
    index = MappedIndex(8, lambda total: [(0, rows[:total])])
    index.hold(np.arange(10, dtype=np.int64))
    assert {hit.id for hit in index.search(ROWS[3], 10)[-2:]} == {3, 4}


def test_bad_ids_and_shapes_are_refused(tmp_path: Path) -> None:
    index = made()
    for ids in ([1, 1], [-1]):
        with pytest.raises(ValueError, match="ids"):
            index.hold(np.array(ids, np.int64))
    with pytest.raises(ValueError, match="vectors"):
        index.add(np.array([1], np.int64), ROWS[:2])
    assert not index.search(ROWS[0], 3)
    index.save(tmp_path / "nothing")
    assert not index.load(tmp_path / "nothing", lambda ids: ROWS[ids])
    assert not list(tmp_path.iterdir())
