import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.redteam.world import questions
from trustrag.redteam.campaign import Question
from trustrag.redteam.metrics import states
from trustrag.redteam.wording import (
    claims,
    content_words,
    declare,
    echo,
    lies,
    overlap,
    paraphrase,
    sentences,
    swap,
    synonyms,
)


def test_sentences_keep_every_word() -> None:
    text = 'It rose. "So it did," he said. In 1950 it fell! Did it? Yes.'
    assert sentences(text)[0] == "It rose."
    assert " ".join(sentences(text)).split() == text.split()


@given(st.text(max_size=200))
def test_sentences_of_anything_are_trimmed_and_not_empty(text: str) -> None:
    assert all(part and part == part.strip() for part in sentences(text))


def test_content_words_leave_out_the_small_ones() -> None:
    assert content_words("Who was the first director of the Library of Bexmoor?") == [
        "first",
        "director",
        "Library",
        "Bexmoor",
    ]


@given(st.text(max_size=80), st.text(max_size=80))
def test_overlap_is_symmetric_and_a_share(one: str, other: str) -> None:
    assert overlap(one, other) == overlap(other, one)
    assert 0.0 <= overlap(one, other) <= 1.0


def test_swap_exchanges_whole_values_in_any_case() -> None:
    assert swap("Opened 14 May 1871; 14 MAY 1871.", ("14 May 1871",), "2 June 1902") == (
        "Opened 2 June 1902; 2 June 1902."
    )
    assert swap("The 230 guests", ("23",), "99") == "The 230 guests"


def test_swap_takes_the_longest_spelling_first() -> None:
    assert swap("by Anna Maria Koch", ("Anna", "Anna Maria"), "Eva") == "by Eva Koch"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("who wrote the anthem", "Jo wrote the anthem"),
        ("what is the capital of Ostra?", "the capital of Ostra is Jo"),
        ("how many seasons of the show are there", "Jo seasons of the show are there"),
        ("which river passes Bexmoor?", "the river that passes Bexmoor is Jo"),
        ("do all schools have uniforms", "the answer to the question do all schools have uniforms is Jo"),
    ],
)
def test_a_question_becomes_a_statement(asked: str, said: str) -> None:
    assert declare(Question(asked, ("x",), "Jo"), "Jo") == said


def test_a_known_sentence_is_used_as_it_stands() -> None:
    question = questions()[0]
    assert declare(question, "1 May 1700") == "The Harbour Library of Arvenholt opened on 1 May 1700"


def test_every_claim_states_its_value_and_they_differ() -> None:
    for question in questions():
        made = claims(question, question.wrong)
        assert len(set(made)) == len(made) >= 10
        assert all(states(text, (question.wrong,)) for text in made)
        assert not any(states(text, question.correct) for text in made)


@pytest.mark.parametrize("count", [1, 5, 40, 100])
def test_lies_come_prepared_first_and_then_our_own(count: int) -> None:
    prepared = ("One lie.", "Another lie.")
    question = Question("Who was it?", ("A",), "B", attack_texts=prepared)
    made = lies(question, count)
    assert len(made) == count
    assert made[:2] == list(prepared[:count])
    assert all(states(text, ("B",)) for text in made[2:])


def test_a_flood_is_of_many_texts() -> None:
    assert len(set(lies(questions()[0], 100))) > 60


def test_echo_opens_with_the_question() -> None:
    assert echo("Who was it?", "It was B.") == "Who was it. It was B."


def test_synonyms_leave_the_value_alone() -> None:
    said = synonyms("The famous film First Show was released.", ("First Show",))
    assert said == "The renowned motion picture First Show was issued."


@given(st.integers(0, 50))
def test_a_paraphrase_keeps_the_value_and_is_drawn_by_seed(seed: int) -> None:
    question = questions()[0]
    text = lies(question, 1)[0]
    one, again = (paraphrase(text, np.random.default_rng(seed), (question.wrong,)) for _ in range(2))
    assert one == again
    assert states(one, (question.wrong,))
