import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.consistency.world import LIES, PAGE, QUESTION, alike
from trustrag.consistency import certify, stated

OWNERS = [f"owner{number}" for number in range(9)]
VALUES = st.frozensets(st.sampled_from("abcd"), max_size=2)
STATEMENTS = st.dictionaries(st.sampled_from(OWNERS), VALUES, max_size=9)


@given(STATEMENTS, st.integers(1, 4))
def test_a_certificate_counts_its_owners(statements: dict[str, frozenset[str]], required: int) -> None:
    found = certify(statements, required)
    if found:
        assert len(found.owners) >= required
        assert all(found.value in statements[owner] for owner in found.owners)
        assert len(found.owners) > found.rivals


@given(STATEMENTS, st.integers(1, 4), st.data())
def test_fewer_liars_than_required_ground_nothing_alone(
    statements: dict[str, frozenset[str]], required: int, data: st.DataObject
) -> None:
    liars = data.draw(
        st.lists(st.sampled_from([f"liar{n}" for n in range(3)]), max_size=required - 1, unique=True)
    )
    lies = {liar: data.draw(st.frozensets(st.sampled_from("abcdxyz"), max_size=3)) for liar in liars}
    found = certify({**statements, **lies}, required)
    if found:
        assert any(found.value in values for values in statements.values())


@given(STATEMENTS, st.integers(1, 4), st.data())
def test_tolerated_liars_cannot_overturn_it(
    statements: dict[str, frozenset[str]], required: int, data: st.DataObject
) -> None:
    found = certify(statements, required)
    if found is None:
        return
    liars = data.draw(st.lists(st.sampled_from(OWNERS), max_size=found.tolerates, unique=True))
    bent = dict(statements)
    for liar in liars:
        bent[liar] = data.draw(st.frozensets(st.sampled_from("abcdxyz"), max_size=3))
    holders = {owner for owner, values in bent.items() if found.value in values}
    for rival in set("abcdxyz") - {found.value}:
        assert len(holders) > len({owner for owner, values in bent.items() if rival in values} - holders)
    again = certify(bent, 1)
    assert again is not None
    assert len(again.owners) - again.rivals >= 1


def test_no_owner_changes_what_another_states() -> None:
    texts = [("almanac", PAGE[0]), ("gazette", "Season 4 of Harbour Watch had 23 episodes.")]
    alone = stated(QUESTION, alike(*texts), range(2))
    flooded = stated(QUESTION, alike(*texts, *[("m", lie) for lie in LIES]), range(2 + len(LIES)))
    assert {owner: flooded[owner] for owner in alone} == alone
    assert "23" in alone["almanac"] & alone["gazette"]
    assert "24" in flooded["m"]


def test_a_copy_gives_no_second_voice() -> None:
    texts = [("almanac", PAGE[0]), ("mirror", PAGE[0])]
    assert set(stated(QUESTION, alike(*texts), [0, 1])) == {"almanac"}


def test_many_passages_of_one_owner_are_one_voice() -> None:
    counted = stated(QUESTION, alike(*[("m", lie) for lie in LIES]), range(len(LIES)))
    assert certify(counted, 1) is not None
    assert certify(counted, 2) is None


def test_a_tie_grounds_nothing() -> None:
    assert certify({"a": {"23"}, "b": {"24"}}, 1) is None
    assert certify({}, 1) is None


def test_nobody_is_no_quorum() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        certify({"a": {"23"}}, 0)
