from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from trustrag.index.embedding import HashEmbedder
from trustrag.redteam.disagreement import compare
from trustrag.redteam.questions import Disagreement, Told

_EMBEDDER = HashEmbedder(256)


def _question(*documents: Told) -> Disagreement:
    return Disagreement("What sport is Robin Carver known for?", ("rowing", "chess"), ("golf",), documents)


_ROWING = Told("Robin Carver, born 1951, rowed for Ostra in two Olympic finals.", "correct", "rowing")
_CHESS = Told("The chess grandmaster Robin Carver won the county open at fifteen.", "correct", "chess")
_GOLF = Told("Robin Carver is known for the sport of golf.", "misinfo", "golf")
_NOISE = Told("The county office counted 3,400 residents that winter.", "noise", "unknown")


def test_with_room_for_all_everything_is_kept_both_ways() -> None:
    found = compare([_question(_ROWING, _CHESS, _GOLF)], _EMBEDDER)
    assert found.similarity.correct == found.ranking.correct == (1.0,)
    assert found.similarity.answers == found.ranking.answers == (1.0,)
    assert found.similarity.misinformation == (1 / 3,)
    assert found.change("correct").mean == 0.0


def test_with_less_room_what_is_right_is_counted_of_what_fits() -> None:
    found = compare([_question(_ROWING, _CHESS, _NOISE)], _EMBEDDER, limit=1)
    assert found.similarity.correct == (1.0,)
    assert found.similarity.answers == (0.5,)


def test_questions_without_documents_are_left_out_and_none_is_survived() -> None:
    assert compare([_question()], _EMBEDDER).ranking.correct == ()
    before, after = compare([], _EMBEDDER).means("correct")
    assert before.n == after.n == 0


@given(st.lists(st.sampled_from([_ROWING, _CHESS, _GOLF, _NOISE]), max_size=9), st.integers(1, 6))
def test_every_share_is_a_share(documents: Sequence[Told], limit: int) -> None:
    found = compare([_question(*documents)], _EMBEDDER, limit=limit)
    for kept in (found.similarity, found.ranking):
        for values in (kept.correct, kept.answers, kept.misinformation, kept.contested):
            assert all(0.0 <= value <= 1.0 for value in values)
