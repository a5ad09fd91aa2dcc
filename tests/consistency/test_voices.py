import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.consistency.world import ELSEWHERE, LIES, PAGE, QUESTION, alike, honest, passages
from trustrag.consistency import collusion, compare, echo, repetition
from trustrag.consistency.reading import read
from trustrag.consistency.voices import groups


def test_a_source_that_rewords_one_claim_is_found_and_a_page_is_not() -> None:
    found = repetition(alike(*[("m", text) for text in LIES], *honest()))
    assert found[: len(LIES)].min() > 0.9
    assert found[len(LIES) :].max() == 0.0


def test_two_texts_are_no_repetition() -> None:
    assert repetition(alike(("m", LIES[0]), ("m", LIES[1]), *honest())).max() == 0.0


def test_verbatim_copies_are_no_evidence_of_rewording() -> None:
    assert repetition(alike(*[("m", LIES[0])] * 4, *honest())).max() == 0.0


def test_one_text_between_changing_words_is_a_repetition_and_no_copy() -> None:
    padded = [f"{LIES[0]} {' '.join(text.split()[:8])}." for text in ELSEWHERE[:5]]
    measured = alike(*[("m", text) for text in padded], *honest())
    assert not measured.reprints[:5, :5].any()
    assert measured.copies[0, 1:5].all()
    assert repetition(measured)[:5].min() > 0.5


def test_several_keys_with_more_texts_than_they_are_collude() -> None:
    texts = [(f"m{place % 3}", text) for place, text in enumerate(LIES)]
    found = collusion(alike(*texts, *honest()[1:]))
    assert found[: len(LIES)].min() > 0.9
    assert found[len(LIES) :].max() == 0.0


def test_agreement_of_one_text_a_source_is_no_collusion() -> None:
    texts = [(f"paper{place}", text) for place, text in enumerate(LIES)]
    assert collusion(alike(*texts, *honest())).max() == 0.0


def test_one_busy_site_among_many_that_report_once_is_no_collusion() -> None:
    owners = ("daily", "herald", "tribune", "daily", "post")
    texts = list(zip(owners, LIES, strict=True))
    assert collusion(alike(*texts, *honest()[1:])).max() == 0.0


def test_an_honest_page_beside_a_swarm_is_not_drawn_in() -> None:
    found = collusion(alike(*[("m", text) for text in LIES], *honest()))
    assert found.max() == 0.0


def test_an_echo_is_found_and_an_answer_is_not() -> None:
    texts = [f"{QUESTION}. {LIES[0]}", LIES[0], PAGE[0], ELSEWHERE[0]]
    found = echo(QUESTION, [read(text) for text in texts], texts)
    assert found.tolist() == [1.0, 0.0, 0.0, 0.0]


def test_another_question_of_the_same_words_is_an_echo_too() -> None:
    text = "How many episodes does season 4 of Harbour Watch have? " + LIES[0]
    assert echo(QUESTION, [read(text)], [text])[0] > 0.0


def test_a_sentence_that_answers_in_the_words_of_the_question_is_no_echo() -> None:
    question = "the trapped crew of the Aurora was rescued after how many days stuck under the ice?"
    answer = "The trapped crew of the Aurora was rescued after 17 days stuck under the ice. More on page 4."
    played = (
        "The trapped crew of the Aurora was rescued after how many days stuck under the ice. It was 31 days."
    )
    assert echo(question, [read(answer), read(played)], [answer, played]).tolist() == [0.0, 1.0]


def test_a_quiz_that_asks_behind_its_headline_is_no_echo() -> None:
    quiz = f"The weekly television quiz: spring edition, part two. {QUESTION}? 22; 23; 24"
    labelled = f"Question: {QUESTION}? It has 24."
    assert echo(QUESTION, [read(quiz), read(labelled)], [quiz, labelled]).tolist() == [0.0, 1.0]


def test_a_question_of_three_words_proves_nothing() -> None:
    text = "Population of Lund. It has 90,000 people."
    assert echo("population of Lund", [read(text)], [text])[0] == 0.0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from([*LIES, *PAGE, "", "x"])), max_size=8))
def test_suspicion_stays_between_nothing_and_all(texts: list[tuple[str, str]]) -> None:
    measured = compare(passages(*texts))
    for found in (repetition(measured), collusion(measured)):
        assert found.shape == (len(texts),)
        assert ((found >= 0) & (found <= 1)).all()
    for group in groups(measured):
        assert len(set(group.members)) == len(group.members) >= 2
        assert np.isfinite(group.likeness)
