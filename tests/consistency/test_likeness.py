from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.consistency.world import ELSEWHERE, LIES, PAGE, honest, passages
from trustrag.consistency import PairMemory, Passage, compare
from trustrag.consistency.likeness import TEXT


def test_rewordings_are_more_alike_than_neighbours_on_a_page() -> None:
    alike = compare(
        passages(("m", LIES[0]), ("m", LIES[1]), ("a", PAGE[0]), ("a", PAGE[1]), ("b", ELSEWHERE[0]))
    )
    assert alike.likeness[0, 1] > alike.likeness[2, 3] + 0.2
    assert not alike.exact


def test_a_copy_is_seen_in_both_directions() -> None:
    whole = PAGE[0] + " " + PAGE[1]
    alike = compare(passages(("a", whole), ("b", PAGE[0])))
    assert alike.copied[1, 0] == 1.0
    assert alike.copied[0, 1] < 1.0
    assert alike.copies[0, 1]
    assert alike.copies[1, 0]


def test_vectors_are_used_where_both_have_one() -> None:
    east, north = np.array([1, 0], dtype=np.float32), np.array([0, 1], dtype=np.float32)
    alike = compare(
        [Passage("one", "a", vector=east), Passage("two", "b", vector=north), Passage("one more", "c")]
    )
    assert alike.meaning[0, 1] == 0.0
    assert alike.meaning[0, 2] == pytest.approx(0.1)  # the estimate for no word in common


@given(st.lists(st.tuples(st.sampled_from("abc"), st.text(max_size=60)), max_size=6))
def test_every_matrix_is_symmetric_and_bounded(texts: list[tuple[str, str]]) -> None:
    alike = compare(passages(*texts))
    for matrix in (alike.wording, alike.shared, alike.meaning, alike.likeness):
        assert np.allclose(matrix, matrix.T)
        assert ((matrix >= 0) & (matrix <= 1 + 1e-9)).all()


def test_a_warm_comparison_redoes_no_pair() -> None:
    memory = PairMemory()
    cold = compare(passages(*honest()), memory)
    kept = len(memory)
    pairs = [(a.digest, b.digest) for a in cold.readings for b in cold.readings if a.digest < b.digest]

    def work(missing: Sequence[int]) -> Sequence[tuple[float, ...]]:
        raise AssertionError(f"asked again for {missing}")

    memory.recall(TEXT, pairs, 4, work)
    warm = compare(passages(*reversed(honest())), memory)
    assert len(memory) == kept
    assert np.allclose(cold.likeness, warm.likeness[::-1, ::-1])


def test_memory_forgets_what_was_used_least() -> None:
    memory = PairMemory(2)
    for pair in (("a", "b"), ("a", "c"), ("a", "d")):
        memory.recall("j", [pair], 1, lambda missing: [(1.0,)])
    assert len(memory) == 2
    assert memory.recall("j", [("a", "b")], 1, lambda missing: [(2.0,)]) == [(2.0,)]
    assert memory.recall("j", [("a", "d")], 1, lambda missing: [(3.0,)]) == [(1.0,)]


def test_memory_keeps_judges_apart() -> None:
    memory = PairMemory()
    memory.recall("one", [("a", "b")], 1, lambda missing: [(1.0,)])
    assert memory.recall("two", [("a", "b")], 1, lambda missing: [(2.0,)]) == [(2.0,)]


def test_a_memory_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        PairMemory(0)
