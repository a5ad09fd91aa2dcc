from hypothesis import given
from hypothesis import strategies as st

from trustrag.consistency.reading import MAX_TOKENS, normal, read, stem


@given(st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    reading = read(text)
    assert len(reading.words) == len(reading.roots) == len(reading.sentence_of)
    assert list(reading.sentence_of) == sorted(reading.sentence_of)
    assert all(0 <= value.place < len(reading.words) for value in reading.values)
    assert not reading.sentence_of or reading.sentence_of[-1] < len(reading.sentences)


def test_sentences_do_not_break_at_initials_and_titles() -> None:
    sentences = read("It was led by John B. Watson and Dr. Smith. Then it closed.").sentences
    assert sentences == ("It was led by John B. Watson and Dr. Smith.", "Then it closed.")


def test_numbers_have_one_form() -> None:
    assert normal("1,200") == normal("1200")
    assert normal("seven") == normal("7")


def test_a_stem_joins_plural_and_participle() -> None:
    assert stem("episodes") == stem("episode")
    assert stem("planned") == stem("planning")


def test_values_have_their_kind() -> None:
    kinds = {
        value.form: value.kind for value in read("In May 1984 the crew of Lena Borg caught 40 whales.").values
    }
    assert kinds["1984"] == kinds["may"] == "date"
    assert kinds["borg"] == "name"
    assert kinds["40"] == "number"
    assert kinds["whal"] == "term"


def test_a_capital_that_opens_a_sentence_says_little() -> None:
    kinds = {
        value.form: value.kind
        for value in read("Whales swim. Many whales swim. Surprisingly, Italy won.").values
    }
    assert kinds["whal"] == "term"
    assert kinds["itali"] == "name"
    assert not any(form.startswith("surpris") for form in kinds)


def test_a_long_text_is_read_up_to_a_bound() -> None:
    assert len(read("word " * (MAX_TOKENS + 50)).words) == MAX_TOKENS
