"""The difference that a reviewer reads: nothing of either version is lost in it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from trustrag.ingest.desk.diff import MOST_WORDS, Piece, word_diff

texts = st.lists(
    st.sampled_from(["a", "b", "word", " ", "  ", "\n", ".", "30", "ä", "\u2028"]), max_size=60
).map("".join)


@given(texts, texts)
def test_both_versions_can_be_read_back(old: str, new: str) -> None:
    pieces = word_diff(old, new)
    assert "".join(piece.text for piece in pieces if piece.kind != "gone") == new
    assert "".join(piece.text for piece in pieces if piece.kind != "new") == old
    assert all(a.kind != b.kind for a, b in pairwise(pieces))


def test_one_changed_word_is_one_change() -> None:
    found = word_diff("Paid within 30 days.\nSigned.", "Paid within 90 days.\nSigned.")
    assert found == (
        Piece("same", "Paid within "),
        Piece("gone", "30"),
        Piece("new", "90"),
        Piece("same", " days.\nSigned."),
    )


def test_what_is_the_same_is_one_piece() -> None:
    assert word_diff("a b", "a b") == (Piece("same", "a b"),)
    assert word_diff("", "") == ()


def test_a_line_that_is_too_long_is_changed_as_a_whole() -> None:
    old, new = "x " * MOST_WORDS, "y " * MOST_WORDS
    assert [piece.kind for piece in word_diff(old, new)] == ["gone", "new"]
