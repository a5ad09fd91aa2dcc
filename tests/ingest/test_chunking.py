from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustrag.ingest.chunking import DEFAULT_OVERLAP, DEFAULT_SIZE, Chunk, Chunker, whole

# Few characters, so that text repeats itself and every separator comes up.
TEXTS = st.text(alphabet="ab .\n#-`!。é\u0964 ", max_size=400) | st.text(max_size=200)
SETTINGS = st.tuples(st.integers(1, 60), st.integers(0, 59)).filter(lambda pair: pair[1] < pair[0])


@settings(max_examples=300, deadline=None)
@given(TEXTS, SETTINGS, st.booleans())
def test_each_chunk_is_the_span_it_names(text: str, sizes: tuple[int, int], markdown: bool) -> None:
    chunks = Chunker(*sizes).cut(text, "markdown" if markdown else "prose")
    for chunk in chunks:
        assert text[chunk.start : chunk.end] == chunk.text
        assert chunk.text.strip() == chunk.text != ""
        assert len(chunk.text) <= sizes[0]
    starts = [chunk.start for chunk in chunks]
    assert starts == sorted(starts)
    assert len({(chunk.start, chunk.end) for chunk in chunks}) == len(chunks)


@settings(max_examples=200, deadline=None)
@given(TEXTS, SETTINGS, st.booleans())
def test_the_same_text_gives_the_same_cuts(text: str, sizes: tuple[int, int], markdown: bool) -> None:
    assert Chunker(*sizes).cut(text, "markdown" if markdown else "prose") == Chunker(*sizes).cut(
        text, "markdown" if markdown else "prose"
    )


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(alphabet="abcdefgh", min_size=1, max_size=12), min_size=1, max_size=80, unique=True),
    SETTINGS,
)
def test_nothing_but_white_space_is_left_out(words: list[str], sizes: tuple[int, int]) -> None:
    text = " ".join(f"{word}{index}" for index, word in enumerate(words))
    covered = [False] * len(text)
    for chunk in Chunker(*sizes).cut(text):
        covered[chunk.start : chunk.end] = [True] * len(chunk.text)
    assert all(done or character == " " for done, character in zip(covered, text, strict=True))


def test_a_heading_opens_a_passage() -> None:
    text = "# One\n\n" + "first " * 20 + "\n\n## Two\n\n" + "second " * 20
    chunks = Chunker(160, 20).cut(text, "markdown")
    assert chunks[0].text.startswith("# One")
    assert any(chunk.text.startswith("## Two") for chunk in chunks)


def test_a_sentence_is_not_cut_while_it_fits() -> None:
    text = " ".join(f"This is sentence number {number}." for number in range(40))
    assert all(chunk.text.endswith(".") for chunk in Chunker(100, 30).cut(text))


def test_text_that_repeats_itself_is_covered_to_its_end() -> None:
    for text in ("a" * 5000, "word " * 1000, "line\n" * 1000, "x. " * 2000):
        chunks = Chunker().cut(text)
        assert chunks[-1].end == len(text.rstrip())
        assert all(one.end >= two.start - 1 for one, two in pairwise(chunks))


def test_a_long_line_is_cut_in_bounded_time() -> None:
    chunks = Chunker().cut("x" * 1_000_000)
    assert len(chunks) < 2000


def test_its_name_holds_settings_and_library() -> None:
    name = Chunker().id
    assert (name.name, name.size, name.overlap) == ("recursive", DEFAULT_SIZE, DEFAULT_OVERLAP)
    assert name.version[0].isdigit()
    assert Chunker(10, 5).id != name
    assert Chunker().whole_id.name == "whole"


def test_whole_keeps_text_as_it_is() -> None:
    assert whole("  a\n") == (Chunk("  a\n", 0, 4),)
    assert whole(" \n") == ()
    assert Chunker().cut(" \n") == ()


@pytest.mark.parametrize("sizes", [(0, 0), (10, 10), (10, -1), (-1, 0)])
def test_impossible_sizes_are_a_mistake(sizes: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="cannot overlap"):
        Chunker(*sizes)
