"""What two passages say of each other: few false alarms first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.consistency.testimony import Testimony, said_of

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
]


@pytest.mark.parametrize(("expected", "mine", "theirs"), CASES)
def test_what_two_passages_say_of_each_other(expected: Testimony, mine: str, theirs: str) -> None:
    assert said_of(mine, theirs) == expected
    assert said_of(theirs, mine) == expected


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_two_texts_have_one_answer(mine: str, theirs: str) -> None:
    assert said_of(mine, theirs) == said_of(theirs, mine)
    assert said_of(mine, mine) != "differs"
