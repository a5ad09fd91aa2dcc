from hypothesis import given
from hypothesis import strategies as st

from tests.consistency.world import ELSEWHERE, LIES, PAGE
from trustrag.consistency import Passage, originals

TEXTS = st.lists(st.sampled_from([*PAGE, *LIES, *ELSEWHERE]), min_size=1, max_size=3).map(" ".join)


def test_a_laundered_lie_is_weighed_as_the_lie_alone() -> None:
    laundered = f"{PAGE[1]} {LIES[0]} {PAGE[2]}"
    first, second = originals(
        [Passage(" ".join(PAGE), "almanac", position=3), Passage(laundered, "m", position=9)],
    )
    assert first.text == " ".join(PAGE)
    assert second.text == LIES[0]
    assert second.vector is None


def test_whoever_was_first_in_the_log_keeps_the_sentence() -> None:
    texts = [Passage(" ".join(PAGE), "almanac", position=9), Passage(f"{PAGE[1]} {LIES[0]}", "m", position=3)]
    first, second = originals(texts)
    assert PAGE[1] not in first.text
    assert second.text == texts[1].text


def test_one_owner_may_repeat_itself_and_unknown_positions_take_nothing() -> None:
    mine = [
        Passage(PAGE[0] + " " + PAGE[1], "a", position=1),
        Passage(PAGE[1] + " " + PAGE[2], "a", position=2),
    ]
    assert originals(mine) == mine
    unknown = [Passage(PAGE[0] + " " + PAGE[1], "a"), Passage(PAGE[1] + " " + PAGE[2], "b", position=2)]
    assert originals(unknown) == unknown


def test_a_text_with_nothing_of_its_own_stays_whole() -> None:
    copied = Passage(PAGE[0], "m", position=9)
    assert originals([Passage(" ".join(PAGE), "a", position=1), copied])[1] == copied


@given(st.lists(st.tuples(TEXTS, st.sampled_from("abc"), st.integers(0, 5) | st.none()), max_size=5))
def test_nothing_is_added_and_nobody_is_silenced(made: list[tuple[str, str, int | None]]) -> None:
    given_ = [Passage(text, owner, position=position) for text, owner, position in made]
    for before, after in zip(given_, originals(given_), strict=True):
        assert after.text
        assert set(after.text.split()) <= set(before.text.split())
        assert (after.owner, after.position) == (before.owner, before.position)
