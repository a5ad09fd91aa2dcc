import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.consistency import changed_values

TEXT = (
    "The old bridge was opened on 4 May 1931 by Queen Astrid. It carries 1,200 vehicles a day across the river. "
    "John B. Larsen designed the seven arches, which rest on piers of granite."
)


@pytest.mark.parametrize(
    ("was", "now", "kind"),
    [
        ("1,200", "1,900", "number"),
        ("seven", "nine", "number"),
        ("1931", "1932", "date"),
        ("4 May", "9 June", "date"),
        ("Queen Astrid", "King Olaf", "name"),
        ("John B. Larsen", "Edvard Munk", "name"),
    ],
)
def test_a_replaced_value_is_found(was: str, now: str, kind: str) -> None:
    (change,) = changed_values(TEXT, TEXT.replace(was, now)).values
    assert kind in (change.kind, "date" if change.kind == "number" else change.kind)
    assert now.split()[-1].strip(".") in change.new


def test_a_value_that_stands_elsewhere_is_found_all_the_same() -> None:
    old = "Norway beat Sweden by 3 goals, and Sweden protested. Norway celebrated for 2 days."
    found = changed_values(old, old.replace("by 3 goals", "by 2 goals")).values
    assert [(change.old, change.new) for change in found] == [("3", "2")]


@pytest.mark.parametrize(
    "now",
    [
        TEXT,
        TEXT.lower(),
        TEXT.replace(",", ""),
        TEXT.replace("1,200", "1200").replace("seven", "7"),
        TEXT.replace("vehicles", "vehciles"),
        TEXT.replace("designed", "desgined"),
        TEXT.replace("opened on 4 May 1931 by Queen Astrid", "opened by Queen Astrid on 4 May 1931"),
        " ".join(reversed(TEXT.replace("1931 by Queen Astrid. It", "1931 by Queen Astrid.\nIt").split("\n"))),
        TEXT.split(". It")[0] + ".",
        TEXT.replace("vehicles", "cars"),
    ],
    ids=["same", "casing", "punctuation", "format", "typo", "swap", "order", "moved", "shorter", "synonym"],
)
def test_an_honest_edit_is_no_change_of_value(now: str) -> None:
    assert changed_values(TEXT, now).values == ()


def test_an_appended_claim_is_a_new_claim() -> None:
    changes = changed_values(TEXT, TEXT + " In truth it was built in 1802 by Karl Moe.")
    assert changes.values == ()
    assert changes.added == ("In truth it was built in 1802 by Karl Moe.",)


def test_a_removed_claim_is_told() -> None:
    assert changed_values(TEXT, TEXT[: TEXT.index(" John")]).removed == (TEXT[TEXT.index("John") :],)


def test_an_ordinary_word_is_told_apart_and_counts_when_it_is_the_subject() -> None:
    once = changed_values("The main industry is mining.", "The main industry is fishing.")
    assert once.values == ()
    assert [(change.old, change.new) for change in once.words] == [("mining", "fishing")]
    text = "The main industry of the north is mining. For two centuries mining has fed the towns."
    assert changed_values(text, text.replace("mining", "fishing")).values


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_two_texts_are_compared(old: str, new: str) -> None:
    changes = changed_values(old, new)
    assert changed_values(new, new) == type(changes)((), (), (), ())
    for change in (*changes.values, *changes.words):
        assert change.old
        assert change.new


def test_a_value_longer_than_a_phrase_is_a_new_claim() -> None:
    old = "Payments to the office in Harbour Street are made out to the Municipal Library of Old Bexmoor and Sons."
    new = "Payments to the office in Harbour Street are made out to Quick Transfer Holding Number Nine of Far Island Bay."
    found = changed_values(old, new)
    assert found.added == (new,)
    assert found.removed == (old,)
