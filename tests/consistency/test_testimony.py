"""What two passages say of each other: few false alarms first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.consistency.testimony import Testimony, of_one_thing, rivals, said_of

BEXMOOR = "The market town of Bexmoor opened its Harbour Library on 2 June 1902."
CASES: list[tuple[Testimony, str, str]] = [
    # one value of a sentence is another
    (
        "differs",
        "Audit logs are kept for 90 days, and are then deleted.",
        "Audit logs are kept for 30 days, and are then deleted.",
    ),
    ("differs", BEXMOOR, "The market town of Bexmoor opened its Harbour Library on 30 March 1688."),
    ("differs", "The capital city of Spain is Madrid.", "The capital city of Spain is Lisbon."),
    ("differs", "The harbour log is kept for twelve years.", "The harbour log is kept for two years."),
    # the same in other words
    (
        "agrees",
        BEXMOOR,
        "A census counted 12,850 residents that winter. The library of Bexmoor dates from 2 June 1902 and stands there still.",
    ),
    ("agrees", BEXMOOR, BEXMOOR),
    # other subjects, told alike
    ("apart", "The capital city of Spain is Madrid.", "The capital city of France is Paris."),
    ("apart", "Spain is in western Europe.", "France is in western Europe."),
    (
        "apart",
        BEXMOOR + " Its first director was Tobias Renner, who had taught at the Northern Academy.",
        "The market town of Corvalle opened its Harbour Library on 30 March 1688. Its first director was Ines Okafor, "
        "who had taught at the Northern Academy.",
    ),
    # nothing to do with each other, or nothing exact
    ("apart", "Audit logs are kept for 90 days.", "Whales sleep for 90 minutes."),
    ("apart", "Audit logs are kept for 90 days.", "Audit logs of the lab are kept for ever."),
    # both values stand in one of them
    (
        "apart",
        "Audit logs are kept for 90 days, and are then deleted.",
        "Audit logs are kept for 30 days, and are then deleted. It was 90 until the spring.",
    ),
    ("apart", "", ""),
    # a word that is another again and again is what they are about
    (
        "apart",
        "Install the package lanternfish with pip. Read how to use lanternfish in the manual of lanternfish.",
        "Install the package cuttlefish with pip. Read how to use cuttlefish in the manual of cuttlefish.",
    ),
    # the name that leads a sentence, with nothing but small words before it
    (
        "apart",
        "The Don River rises in the north of Karelia.",
        "The Luma River rises in the north of Karelia.",
    ),
    # addresses and tags state nothing
    (
        "apart",
        "Badge of the latest build: image at https://ci.example/build/41/passing.svg",
        "Badge of the latest build: image at https://ci.example/build/97/passing.svg",
    ),
    ("apart", 'Audit logs are kept <h3 align="center">', 'Audit logs are kept <h4 align="center">'),
]
TITLED: list[tuple[Testimony, str, str]] = [
    ("differs", "", ""),
    ("differs", "Retention", ""),
    ("differs", "Retention", "Of audit logs"),
    ("differs", "Retention of audit logs", "Retention of audit logs, revised"),
    # the titles are one title but for a value
    ("apart", "Retention in Turku", "Retention in Kotka"),
    ("apart", "Retention 2019", "Retention 2024"),
    # the value is what both documents are named after
    ("apart", "90", "Thirty days"),
]


@pytest.mark.parametrize(("expected", "mine", "theirs"), CASES)
def test_what_two_passages_say_of_each_other(expected: Testimony, mine: str, theirs: str) -> None:
    assert said_of(mine, theirs) == expected
    assert said_of(theirs, mine) == expected


@pytest.mark.parametrize(("expected", "mine", "theirs"), TITLED)
def test_titles_tell_of_what_they_speak(expected: Testimony, mine: str, theirs: str) -> None:
    one, other = (f"Audit logs are kept for {days} days, and are then deleted." for days in (90, 30))
    assert said_of(one, other, (mine, theirs)) == expected
    assert said_of(other, one, (theirs, mine)) == expected


def test_what_stands_in_the_place_of_a_value() -> None:
    one, other = (f"Audit logs are kept for {days} days, and are then deleted." for days in (90, 30))
    assert (rivals(one, other), rivals(other, one), rivals(one, one)) == ({"30"}, {"90"}, frozenset())


def test_titles_that_share_a_word_may_be_of_one_thing() -> None:
    assert of_one_thing(("Audit logs", "Retention of logs"))
    assert of_one_thing(("", "Retention"))
    assert not of_one_thing(("Audit logs", "Retention"))


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=30), st.text(max_size=30))
def test_any_two_texts_have_one_answer(mine: str, theirs: str, title: str, other: str) -> None:
    assert said_of(mine, theirs, (title, other)) == said_of(theirs, mine, (other, title))
    assert said_of(mine, mine, (title, other)) != "differs"
