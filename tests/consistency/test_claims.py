import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.consistency.world import ELSEWHERE, LIES, PAGE, QUESTION
from trustrag.consistency.claims import asked_for, claims, covered, mentions, rareness, spoken, told
from trustrag.consistency.reading import read
from trustrag.consistency.values import Wanted, want

WHO = "who plays the captain in harbour watch"
SAYS_FALK = (
    "In the popular series Harbour Watch, acclaimed actor Anna Falk plays the captain of the old ship."
)
SAYS_LIND = "The captain of Harbour Watch, a drama set in Rotterdam, is played by Greta Lind."


def wanted(question: str, *texts: str) -> Wanted:
    return want(question, [read(text) for text in (*texts, *ELSEWHERE)])


@pytest.mark.parametrize(
    ("question", "text", "claim"),
    [
        (QUESTION, LIES[0], "24"),
        (QUESTION, PAGE[0], "23"),
        (WHO, SAYS_FALK, "Anna Falk"),
        (WHO, SAYS_LIND, "Greta Lind"),
        ("when was the cable laid", "The first cable was laid in 1850, at 3 knots.", "1850"),
        ("where is the lamp kept", "The lamp is kept in the cellar of the house.", "cellar"),
    ],
)
def test_the_leading_claim_is_the_answer_as_it_is_written(question: str, text: str, claim: str) -> None:
    reading = read(text)
    found = claims(wanted(question, text), reading)
    assert max(found.values()) == 1.0
    assert spoken(found, reading) == claim


def test_what_the_question_says_is_no_claim() -> None:
    assert not {"harbour", "watch", "4"} & claims(wanted(QUESTION, PAGE[0]), read(PAGE[0])).keys()


def test_another_name_is_not_told_and_the_same_name_is() -> None:
    other = SAYS_FALK.replace("Anna Falk", "Greta Lind")
    for text, share in ((SAYS_FALK, 0.3), (other, 0.9)):
        asked = wanted(WHO, text, SAYS_LIND)
        mine, theirs = claims(asked, read(text)), claims(asked, read(SAYS_LIND))
        said = told(mine, theirs, read(SAYS_LIND))
        assert (said < share) if text == SAYS_FALK else (said > share)


def test_a_mention_counts_wherever_it_stands() -> None:
    mine = claims(wanted(WHO, SAYS_FALK), read(SAYS_FALK))
    assert mentions(mine, read("Nobody liked Anna Falk.")) == 1.0
    assert mentions(mine, read(ELSEWHERE[0])) < 0.1


def test_a_passage_covers_its_share_of_the_question() -> None:
    asked = wanted(QUESTION, PAGE[0])
    assert covered(asked, read(LIES[0])) > 0.5 > covered(asked, read(ELSEWHERE[0]))
    assert covered(wanted("who is it"), read(PAGE[0])) == 0.0


def test_a_rare_word_is_rarer_than_a_common_one() -> None:
    assert 0.1 <= rareness("year") < rareness("estuary") < rareness("oblongatae") == rareness("42") == 1.0


def test_a_date_may_answer_when_and_a_plain_word_may_not() -> None:
    asked = wanted("when was the cable laid")
    assert asked_for(asked, "date")
    assert not asked_for(asked, "term")


@given(st.text(max_size=200), st.text(max_size=60))
def test_claims_of_any_text_are_shares(text: str, question: str) -> None:
    reading = read(text)
    found = claims(want(question, [reading]), reading)
    assert all(0 < weight <= 1 for weight in found.values())
    assert bool(spoken(found, reading)) == bool(found)
    assert told(found, found, reading) == mentions(found, reading) == (1.0 if found else 0.0)
