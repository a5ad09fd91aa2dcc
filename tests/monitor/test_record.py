"""What a record makes of a source: within bounds, in one direction, and with a reason for every move."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.monitor.record import (
    CORROBORATED_PER_STEP,
    DOCUMENTS,
    PASSAGES,
    Assessment,
    SourceRecord,
    Tally,
    _sampled,
    assess,
)
from trustrag.provenance.canonical import Digest
from trustrag.provenance.keys import PrivateKey
from trustrag.provenance.parties import Bounds, PolicyKey, Source

KEY = PolicyKey(PrivateKey.from_seed(bytes(32)).public_key)
BOUNDS = Bounds()
CLEAN = SourceRecord("wiki", 40, 12, 12, (), 0, 0, (), (), Tally(8), Tally(4))


def source(trust: int = 500, *, probation: bool = False, moved: int = 0) -> Source:
    return Source("wiki", None, (KEY,), ("main/docs",), trust, probation=probation, moved=moved)


def names(count: int) -> tuple[str, ...]:
    return tuple(f"doc/{place}" for place in range(count))


@st.composite
def tallies(draw: st.DrawFn) -> Tally:
    looked = draw(st.integers(0, 64))
    contradicted = draw(st.integers(0, looked))
    return Tally(
        looked, draw(st.integers(0, looked - contradicted)), contradicted, draw(st.integers(0, contradicted))
    )


@st.composite
def bounds(draw: st.DrawFn) -> Bounds:
    floor, ceiling = sorted((draw(st.integers(0, 1000)), draw(st.integers(0, 1000))))
    return Bounds(
        draw(st.integers(1, 20)), draw(st.integers(0, 60)), draw(st.integers(0, 1000)), floor, ceiling
    )


@st.composite
def sources(draw: st.DrawFn, within: Bounds) -> Source:
    prior = draw(st.integers(0, 1000))
    trust = within.within(prior, draw(st.integers(0, 1000)))
    return source(trust, probation=draw(st.booleans()), moved=trust - prior)


@st.composite
def scenes(draw: st.DrawFn) -> tuple[SourceRecord, Source, Bounds]:
    limits = draw(bounds())
    record = SourceRecord(
        source="wiki",
        age=draw(st.integers(0, 100)),
        documents=draw(st.integers(0, 40)),
        proved=draw(st.integers(0, 40)),
        unproved=names(draw(st.integers(0, 2))),
        superseded=draw(st.integers(0, 5)),
        withdrawn=draw(st.integers(0, 5)),
        held=names(draw(st.integers(0, 2))),
        ruled=names(draw(st.integers(0, 30))),
        earlier=draw(tallies()),
        recent=draw(tallies()),
    )
    return record, draw(sources(limits)), limits


def no_better(worse: Assessment, better: Assessment) -> None:
    assert worse.trust <= better.trust
    assert worse.probation >= better.probation


@given(scenes())
def test_trust_stays_within_the_bounds_and_moves_from_the_prior_alone(
    scene: tuple[SourceRecord, Source, Bounds],
) -> None:
    record, given_source, limits = scene
    found = assess(record, given_source, limits)
    assert found == assess(record, given_source, limits)
    low, high = min(given_source.prior, limits.trust_floor), max(given_source.prior, limits.trust_ceiling)
    assert low <= found.trust <= high
    # Applied, it proposes nothing more: moves do not add up.
    moved = replace(
        given_source,
        trust=found.trust,
        moved=found.trust - given_source.prior,
        probation=found.probation,
    )
    assert moved.prior == given_source.prior
    assert not assess(record, moved, limits).changes


@given(scenes())
def test_every_move_has_its_reason(scene: tuple[SourceRecord, Source, Bounds]) -> None:
    record, given_source, limits = scene
    found = assess(record, given_source, limits)
    if found.trust != found.prior or found.probation:
        assert found.reasons
    assert found.probation != (not any("on probation" in reason for reason in found.reasons))
    assert all(reason == " ".join(reason.split()) for reason in found.reasons)


@given(scenes(), st.data())
def test_what_speaks_against_a_source_never_helps_it(
    scene: tuple[SourceRecord, Source, Bounds], data: st.DataObject
) -> None:
    record, given_source, limits = scene
    before = assess(record, given_source, limits)
    recent = record.recent
    worse = [
        replace(record, ruled=(*record.ruled, "doc/new")),
        replace(record, held=(*record.held, "doc/new")),
        replace(record, unproved=(*record.unproved, "doc/new")),
        replace(record, documents=max(0, record.documents - 1)),
        replace(record, age=max(0, record.age - 1)),
    ]
    if recent.contradicted < recent.looked - recent.corroborated:
        worse.append(replace(record, recent=replace(recent, contradicted=recent.contradicted + 1)))
    if recent.outvoted < recent.contradicted:
        worse.append(replace(record, recent=replace(recent, outvoted=recent.outvoted + 1)))
    no_better(assess(data.draw(st.sampled_from(worse)), given_source, limits), before)
    corroborated = replace(
        record, earlier=replace(record.earlier, corroborated=record.earlier.corroborated + 1)
    )
    no_better(before, assess(corroborated, given_source, limits))


def test_a_clean_record_moves_nothing() -> None:
    found = assess(CLEAN, source(), BOUNDS)
    assert (found.trust, found.probation, found.changes, found.reasons) == (500, False, False, ())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"documents": 9}, "stays on probation: 9 of 10 documents were approved and stand"),
        ({"age": 39}, "stays on probation: the log grew by 39 of 40 entries since it first spoke"),
        ({"held": ("a",)}, "stays on probation: 1 document is held (a): review, restore or withdraw"),
        (
            {"unproved": names(4)},
            "stays on probation: 4 documents are not to be proved (doc/0, doc/1, doc/2, ...): audit the store",
        ),
        (
            {"recent": Tally(4, 0, 1)},
            "stays on probation: 1 document is contradicted by what others said before",
        ),
    ],
)
def test_probation_ends_when_nothing_is_missing(changes: dict[str, object], reason: str) -> None:
    assert not assess(CLEAN, source(probation=True), BOUNDS).probation
    found = assess(replace(CLEAN, **changes), source(probation=True), BOUNDS)  # type: ignore[arg-type]
    assert (found.probation, found.reasons) == (True, (reason,))


def test_on_probation_nothing_is_gained() -> None:
    loved = replace(CLEAN, earlier=Tally(8, 8), documents=3)
    assert assess(loved, source(probation=True), BOUNDS).trust == 500
    assert assess(loved, source(), BOUNDS).trust == 550


def test_what_one_ruling_costs_takes_many_corroborations_to_earn() -> None:
    record = replace(CLEAN, ruled=("a",), earlier=Tally(20, CORROBORATED_PER_STEP - 1))
    assert assess(record, source(), BOUNDS).trust == 450
    record = replace(CLEAN, ruled=("a",), earlier=Tally(20, CORROBORATED_PER_STEP))
    assert assess(record, source(), BOUNDS).trust == 500


@pytest.mark.parametrize(
    ("earlier", "recent", "turned"),
    [
        (Tally(8), Tally(4, 0, 3), True),
        (Tally(8), Tally(12, 0, 3), True),
        (Tally(8), Tally(13, 0, 3), False),  # fewer than one in four
        (Tally(8), Tally(4, 0, 2), False),  # fewer than three
        (Tally(2), Tally(4, 0, 4), False),  # nothing to compare with
        (Tally(8, 0, 2), Tally(4, 0, 3), True),
        (Tally(8, 0, 3), Tally(4, 0, 4), False),  # it always did
    ],
)
def test_a_source_turns_when_its_newer_documents_contradict_far_more(
    earlier: Tally, recent: Tally, turned: bool
) -> None:
    record = replace(CLEAN, earlier=earlier, recent=recent)
    assert record.turned is turned
    found = assess(record, source(), BOUNDS)
    assert found.probation is turned
    assert turned == any(reason.startswith("goes on probation") for reason in found.reasons)


@given(st.lists(st.integers(1, 40), max_size=200), st.binary(min_size=32, max_size=32))
def test_a_sample_is_bounded_repeatable_and_has_the_newest(counts: list[int], root: bytes) -> None:
    first = np.cumsum([0, *counts])[:-1].astype(np.int64)
    spans = np.stack([first, np.array(counts, dtype=np.int64)], axis=1).reshape(-1, 2)
    chosen = _sampled(spans, Digest(root))
    assert chosen == _sampled(spans, Digest(root))
    assert len(set(chosen)) == len(chosen) <= PASSAGES
    assert all(0 <= chunk < sum(counts) for chunk in chosen)
    owners = np.searchsorted(first, chosen, side="right") - 1 if chosen else np.empty(0)
    assert len(set(owners.tolist())) == min(len(counts), DOCUMENTS)
    assert set(range(max(0, len(counts) - DOCUMENTS // 2), len(counts))) <= set(owners.tolist())
