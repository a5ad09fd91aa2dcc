import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.consistency.world import ELSEWHERE, LIES, PAGE, QUESTION, honest
from trustrag.consistency import PairMemory
from trustrag.retrieval.ranking import ANSWERED, ECHOED, UNPROVEN, Candidate, Ranking, rerank


def candidates(*texts: tuple[str, str], probation: str = "", **more: object) -> list[Candidate]:
    """(source, text) pairs of falling relevance; sources named in `probation` are on probation."""
    return [
        Candidate(text, source, 0.9 - 0.01 * place, probation=source in probation.split(), **more)  # type: ignore[arg-type]
        for place, (source, text) in enumerate(texts)
    ]


def sources(ranking: Ranking) -> list[str]:
    return [ranked.candidate.source for ranked in ranking.passages]


def test_one_source_with_many_texts_does_not_win() -> None:
    flood = [("m", text) for text in LIES]
    assert "m" not in sources(rerank(QUESTION, candidates(*flood, *honest())))


def test_who_repeats_itself_still_comes_before_what_is_off_the_topic() -> None:
    """A page that says one thing in several passages is often the only one that answers."""
    page = [Candidate(text, "almanac", 0.9) for text in LIES]
    others = [Candidate(text, f"other{place}", 0.3) for place, text in enumerate(ELSEWHERE)]
    assert sources(rerank(QUESTION, [*page, *others])) == ["almanac"] * 5


def test_several_keys_that_collude_do_not_win() -> None:
    swarm = [(f"m{place % 3}", text) for place, text in enumerate(LIES)]
    assert not {"m0", "m1", "m2"} & set(sources(rerank(QUESTION, candidates(*swarm, *honest()[1:]))))


def test_an_echo_of_the_question_comes_last() -> None:
    echoes = [("m", f"{QUESTION}. {text}") for text in LIES]
    ranking = rerank(QUESTION, candidates(*echoes, *honest()))
    assert "m" not in sources(ranking)
    assert {ranked.candidate.source for ranked in ranking.left_out[-len(LIES) :]} == {"m"}


def factors(ranking: Ranking, source: str, name: str) -> list[float]:
    """The named penalty of every passage of a source."""
    ranked = (*ranking.passages, *ranking.left_out)
    given = [one.explanation.penalties for one in ranked if one.candidate.source == source]
    return [penalty.factor for penalties in given for penalty in penalties if penalty.name == name]


def test_a_pair_asked_in_its_own_words_is_found() -> None:
    pair = Candidate(f"{QUESTION}?\n\n{PAGE[0]}", "help", 0.9, pair=True)
    others = candidates(*[(name, text) for name, text in honest() if text != PAGE[0]])
    ranking = rerank(QUESTION, [pair, *(replace(one, relevance=0.5) for one in others)])
    assert sources(ranking)[0] == "help"
    assert factors(ranking, "help", "echo") == [ANSWERED]


@pytest.mark.parametrize("doubt", [{"probation": True}, {"verified": False}, {"pair": False}])
def test_a_pair_of_no_standing_is_an_echo(doubt: dict[str, bool]) -> None:
    pair = replace(Candidate(f"{QUESTION}?\n\n{LIES[0]}", "m", 0.9, pair=True), **doubt)
    assert factors(rerank(QUESTION, [pair, *candidates(*honest())]), "m", "echo") == [pytest.approx(ECHOED)]


def test_pairs_that_repeat_themselves_do_not_win() -> None:
    pairs = [Candidate(f"{QUESTION}?\n\n{lie}", "m", 0.95, pair=True) for lie in LIES]
    assert "m" not in sources(rerank(QUESTION, [*pairs, *candidates(*honest())]))


def test_a_laundered_lie_is_still_a_repetition() -> None:
    page = PAGE[1:] + ELSEWHERE
    laundered = [f"{page[i]} {lie} {page[i + 1]}" for i, lie in enumerate(LIES)]
    first = [Candidate(text, source, 0.7, position=1) for source, text in honest()]
    later = [Candidate(text, "m", 0.9, position=2) for text in laundered]
    assert "m" not in sources(rerank(QUESTION, [*later, *first]))


def test_all_new_keys_share_one_place_of_five() -> None:
    new = [(f"n{place}", text) for place, text in enumerate(ELSEWHERE)]
    ranking = rerank(QUESTION, candidates(*new, *honest()[:4], probation=" ".join(name for name, _ in new)))
    assert sum(ranked.candidate.probation for ranked in ranking.passages) <= 1
    assert len(ranking.passages) == 5


def test_a_store_of_new_keys_alone_still_answers() -> None:
    ranking = rerank(QUESTION, candidates(*honest(), probation=" ".join(name for name, _ in honest())))
    assert len(ranking.passages) == 5


def test_equal_sources_that_contradict_are_called_contested() -> None:
    ranking = rerank(QUESTION, candidates(("m", LIES[0]), ("almanac", PAGE[0]), *honest()[4:]))
    (contest,) = ranking.contested
    assert {contest.value, contest.other} == {"24", "23"}
    assert {*contest.sources, *contest.other_sources} == {"m", "almanac"}
    both = {ranked.candidate.source: ranked.explanation.conflicts for ranked in ranking.passages}
    assert both["m"][0].source == "almanac"
    assert both["almanac"][0].source == "m"


def test_the_same_text_with_the_true_value_is_not_contested() -> None:
    agreeing = LIES[0].replace("24", "23")
    ranking = rerank(QUESTION, candidates(("n", agreeing), ("almanac", PAGE[0]), *honest()[4:]))
    assert ranking.contested == ()
    supporters = {ranked.candidate.source: ranked.explanation.supporters for ranked in ranking.passages}
    assert supporters["n"] == ("almanac",)
    assert supporters["almanac"] == ("n",)


def test_a_new_key_that_contradicts_waits_and_decides_nothing() -> None:
    ranking = rerank(QUESTION, candidates(("m", LIES[0]), ("almanac", PAGE[0]), *honest()[4:], probation="m"))
    assert ranking.contested == ()
    assert "m" not in sources(ranking)
    (poor,) = [ranked for ranked in ranking.left_out if ranked.candidate.source == "m"]
    assert "contradicted" in {penalty.name for penalty in poor.explanation.penalties}


@pytest.mark.parametrize("doubt", [{"probation": True}, {"verified": False}])
def test_support_that_anybody_can_copy_lifts_no_doubt_about_a_new_key(doubt: dict[str, bool]) -> None:
    agreeing = Candidate(LIES[0].replace("24", "23"), "n", 0.9)
    others = candidates(*honest())
    ranking = rerank(QUESTION, [replace(agreeing, **doubt), *others], limit=11)
    (new,) = [ranked for ranked in ranking.passages if ranked.candidate.source == "n"]
    assert new.explanation.supporters == ("almanac",)
    assert factors(ranking, "n", "unproven") == [UNPROVEN]
    assert factors(ranking, "almanac", "unproven") == []
    assert factors(rerank(QUESTION, [agreeing, *others]), "n", "unproven") == []


def test_two_sources_of_one_owner_support_nobody() -> None:
    twins = [Candidate(LIES[0], "a", 0.9, owner="acme"), Candidate(LIES[1], "b", 0.8, owner="acme")]
    assert all(ranked.explanation.supporters == () for ranked in rerank(QUESTION, twins).passages)


def test_strict_returns_the_verified_uncontested_and_established_only() -> None:
    texts = candidates(
        ("m", LIES[0]), ("almanac", PAGE[0]), ("n", ELSEWHERE[0]), *honest()[4:], probation="n"
    )
    unverified = Candidate(ELSEWHERE[1], "web", 0.95, verified=False)
    ranking = rerank(QUESTION, [*texts, unverified], mode="strict", limit=20)
    assert not {"m", "almanac", "n", "web"} & set(sources(ranking))
    assert len(ranking.contested) == 1
    assert {one.source: one.reason for one in ranking.passed_over} == {
        "m": "contradicted by almanac",
        "almanac": "contradicted by m",
        "n": "its source is on probation",
        "web": "not verified",
    }


def test_whoever_has_no_place_by_its_score_is_not_told_as_left_out() -> None:
    ranking = rerank(QUESTION, candidates(*honest(), probation="other5"), mode="strict", limit=2)
    assert len(ranking.passages) == 2
    assert ranking.passed_over == ()


def test_who_lost_its_place_to_the_quota_is_told() -> None:
    new = [(f"n{place}", text) for place, text in enumerate(ELSEWHERE)]
    far = [Candidate(text, "almanac", 0.3) for text in PAGE]
    near = candidates(*new, probation=" ".join(name for name, _ in new))
    ranking = rerank(QUESTION, [*near, *far])
    assert len(ranking.passed_over) == len(new) - 1
    assert {one.reason for one in ranking.passed_over} == {"on probation: its share of places is taken"}
    assert not set(sources(ranking)) & {one.source for one in ranking.passed_over}
    assert rerank(QUESTION, candidates(*new), mode="report").passed_over == ()


def test_report_keeps_the_order_and_marks() -> None:
    ranking = rerank(QUESTION, candidates(*[("m", text) for text in LIES], *honest()), mode="report")
    assert [ranked.index for ranked in ranking.passages] == [0, 1, 2, 3, 4]
    assert all("repetition" in {p.name for p in ranked.explanation.penalties} for ranked in ranking.passages)


def test_an_unverified_text_has_no_standing_whatever_its_trust() -> None:
    known, unknown = (
        Candidate(ELSEWHERE[0], "a", 0.8),
        Candidate(ELSEWHERE[1], "b", 0.8, trust=1.0, verified=False),
    )
    first, second = rerank(QUESTION, [known, unknown]).passages
    assert first.score > second.score


def test_trust_weighs_a_score() -> None:
    scores = {
        ranked.candidate.source: ranked.score
        for ranked in rerank(
            QUESTION,
            [
                Candidate(text, f"s{trust}", 0.8, trust=trust)
                for text, trust in zip(ELSEWHERE, (1.0, 0.5, 0.0), strict=False)
            ],
        ).passages
    }
    assert scores["s1.0"] > scores["s0.5"] > scores["s0.0"] > 0


def test_the_certificate_counts_owners() -> None:
    agreeing = [("gazette", LIES[0].replace("24", "23")), ("courier", LIES[2].replace("24", "23"))]
    texts = candidates(("m", LIES[1]), ("almanac", PAGE[0]), *agreeing, *honest()[4:])
    found = rerank(QUESTION, texts, min_support=3).certificate
    assert found is not None
    assert found.value == "23"
    assert set(found.owners) == {"almanac", "gazette", "courier"}
    assert rerank(QUESTION, texts, min_support=4).certificate is None
    assert rerank(QUESTION, texts).certificate is None


def test_new_keys_are_no_quorum() -> None:
    crowd = [(f"n{place}", text) for place, text in enumerate(LIES)]
    texts = candidates(*crowd, ("almanac", PAGE[0]), probation=" ".join(name for name, _ in crowd))
    assert rerank(QUESTION, texts, min_support=2).certificate is None


def test_a_warm_query_compares_no_pair_again() -> None:
    memory = PairMemory()
    rerank(QUESTION, candidates(*honest()), memory=memory)
    kept = len(memory)
    rerank("who ordered the series", candidates(*reversed(honest())), memory=memory)
    assert len(memory) == kept == math.comb(len(honest()), 2)


@pytest.mark.parametrize(
    ("more", "message"),
    [({"limit": 0}, "limit"), ({"mode": "loud"}, "mode"), ({"min_support": -1}, "min_support")],
)
def test_a_wrong_wish_is_refused(more: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rerank(QUESTION, [], **more)  # type: ignore[arg-type]


def test_a_relevance_that_is_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        rerank(QUESTION, [Candidate("text", "a", math.nan)])


TEXTS = st.sampled_from(
    [*LIES, *PAGE, *ELSEWHERE, f"{QUESTION}. {LIES[0]}", "", "?", PAGE[0] + " " + LIES[0]]
)
CANDIDATES = st.builds(
    Candidate,
    TEXTS,
    st.sampled_from("abcm"),
    st.floats(-20, 20),
    vector=st.none() | st.sampled_from([np.array(v, dtype=np.float32) for v in ((1, 0), (0, 1), (0.6, 0.8))]),
    trust=st.floats(0, 1),
    probation=st.booleans(),
    owner=st.none() | st.sampled_from("xy"),
    position=st.none() | st.integers(0, 9),
    verified=st.booleans(),
)


@given(st.lists(CANDIDATES, max_size=9), st.integers(1, 6), st.sampled_from(["weighted", "report"]))
def test_nothing_empties_the_context_and_everything_is_explained(
    given_: list[Candidate], limit: int, mode: str
) -> None:
    ranking = rerank(QUESTION, given_, limit=limit, mode=mode)  # type: ignore[arg-type]
    everything = [*ranking.passages, *ranking.left_out]
    assert sorted(ranked.index for ranked in everything) == list(range(len(given_)))
    assert len(ranking.passages) <= limit
    assert bool(ranking.passages) == bool(given_)
    relevance = [ranked.candidate.relevance for ranked in ranking.passages]
    assert relevance == sorted(relevance, reverse=True)
    for ranked in everything:
        assert ranked.candidate is given_[ranked.index]
        assert ranked.score >= 0
        assert all(0 <= penalty.factor < 1 for penalty in ranked.explanation.penalties)
        assert ranked.candidate.source not in ranked.explanation.supporters
        assert ranked.explanation.score == ranked.score


HONEST = st.tuples(st.sampled_from("ab"), st.sampled_from([*PAGE, *ELSEWHERE, LIES[0]]))


@given(st.lists(HONEST, min_size=1, max_size=5), st.integers(1, 40))
def test_a_flood_of_one_text_leaves_room(texts: list[tuple[str, str]], copies: int) -> None:
    flood = [("m", LIES[0])] * copies
    ranking = rerank(QUESTION, candidates(*flood, *texts))
    assert len(ranking.passages) == min(5, copies + len(texts))
    assert set(sources(ranking)) & {"a", "b"}


def test_a_statement_finds_the_passage_that_makes_it() -> None:
    statement = "Audit logs are kept for ninety days."
    other = "Backups of the audit database run every night."
    given = [Candidate(statement, "acme", 0.99), Candidate(other, "acme", 0.4)]
    (best,) = rerank(statement, given, limit=1).passages
    assert best.candidate.text == statement
    assert best.explanation.penalties == ()


def test_a_later_copy_supports_no_third_source() -> None:
    question = "How long are audit logs kept at the harbour office?"
    said = "The harbour office keeps audit logs for 90 days, counted from the last entry of each shift."
    own = "Audit logs at the harbour office: kept for 90 days, says the handbook of the laboratory."
    given = [
        Candidate(said, "acme", 0.8, position=3),
        Candidate(said, "mirror", 0.8, position=9),
        Candidate(own, "lab", 0.75, position=5),
    ]
    ranking = rerank(question, given, limit=3)
    supporters = {
        r.candidate.source: r.explanation.supporters for r in (*ranking.passages, *ranking.left_out)
    }
    assert supporters["lab"] == ("acme",)


def test_who_contradicts_supports_nobody() -> None:
    question = "How long are audit logs kept?"
    given = [
        Candidate("Audit logs are kept for 90 days.", "acme", 0.9, position=1),
        Candidate("Audit logs are kept for 30 days.", "wiki", 0.9, position=2),
        Candidate("Invoices go out on the first day of each month.", "acme", 0.3, position=3),
        Candidate("The team plan allows 60 requests a minute.", "acme", 0.2, position=4),
    ]
    for ranked in rerank(question, given, limit=4).passages:
        opposed = {conflict.source for conflict in ranked.explanation.conflicts}
        assert not opposed & set(ranked.explanation.supporters)


def test_two_sources_alone_can_contest_a_question() -> None:
    given = [
        Candidate("Audit logs are kept for 90 days.", "acme", 0.9, position=1),
        Candidate("Audit logs are kept for 30 days.", "wiki", 0.92, position=2),
    ]
    (contest,) = rerank("How long are audit logs kept?", given).contested
    assert {contest.value, contest.other} == {"90", "30"}
    agreeing = [given[0], Candidate("We keep audit logs 90 days, says the wiki.", "wiki", 0.8, position=2)]
    assert rerank("How long are audit logs kept?", agreeing).contested == ()
    apart = [given[0], Candidate("Lunch for 12 people is served at noon.", "wiki", 0.2, position=2)]
    assert rerank("How long are audit logs kept?", apart).contested == ()
