import pytest

from tests.consistency.world import LIES, PAGE, QUESTION
from trustrag.consistency.reading import read
from trustrag.consistency.values import agreement, answers, leading, slot, want


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        ("how many lines of symmetry are there", "number"),
        ("What percentage of couples sleep apart?", "number"),
        ("when was the first cable laid", "date"),
        ("In which year did the bridge open?", "date"),
        ("who painted the last supper", "name"),
        ("where did aeneas go when he left carthage", "term"),
        ("what is the center of heredity in a cell", "term"),
    ],
)
def test_the_question_word_names_the_slot(question: str, kind: str) -> None:
    assert slot(question) == kind


def test_the_leading_value_is_the_answer() -> None:
    readings = [read(LIES[0]), read(PAGE[0])]
    wanted = want(QUESTION, readings)
    assert leading(answers(wanted, readings[0])) == "24"
    assert leading(answers(wanted, readings[1])) == "23"


def test_a_sentence_after_the_question_words_may_answer() -> None:
    reading = read("Anna Falk is remembered for the role of the captain. It was played by Greta Lind.")
    assert "lind" in answers(want("who played the captain", [reading]), reading)


def test_values_of_the_question_are_no_answers() -> None:
    reading = read("Season 4 of Harbour Watch had 23 episodes.")
    assert "4" not in answers(want(QUESTION, [reading]), reading)


def test_agreement_needs_a_shared_value() -> None:
    assert agreement({"23": 0.8}, {"24": 0.9}) == (0.0, "")
    assert agreement({"23": 0.8}, {"23": 0.4, "9": 0.1}) == (1.0, "23")
    assert agreement({}, {"23": 1.0}) == (0.0, "")


def test_a_question_without_content_has_no_answers() -> None:
    assert answers(want("who is it", [read(PAGE[0])]), read(PAGE[0])) == {}
