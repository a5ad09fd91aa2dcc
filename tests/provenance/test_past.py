"""What stood once is proved under today's log, by today's policy, and says that it is of the past."""

from dataclasses import replace
from typing import Any

import pytest

from tests.provenance.forge import (
    KEYS,
    NOW,
    Doc,
    Forge,
    Passage,
    Sealed,
    make_policy,
    refused,
)
from trustrag.errors import Refusal
from trustrag.provenance.canonical import Digest
from trustrag.provenance.evidence import LoggedEnvelope, VerdictCache
from trustrag.provenance.past import PastSnapshot, accept_past
from trustrag.provenance.policy import Policy, PolicyKey

THEN, OTHER = Doc(), Doc("guide/other.md", b"Another document. It has two sentences.")


class Store:
    """Snapshot 2 holds one document, snapshot 3 holds only another."""

    def __init__(self) -> None:
        forge = Forge()
        forge.publish(THEN)
        self.then = forge.seal(issued_at=NOW - 400 * 86_400, expires=NOW - 399 * 86_400)
        self.old = self.then.passage()
        (self.batch,) = forge.batches
        forge.batches.clear()
        forge.publish(OTHER)
        self.today = forge.seal(version=3, previous=Digest.of(b"2"))

    def past(self, policy: Policy | None = None, **changes: Any) -> PastSnapshot:
        policy = policy or make_policy()
        shown = replace(self.today.logged(self.then.snapshot), **changes.pop("shown", {}))
        given = {"version": 2, "now": NOW, "today": self.today.accept(policy)} | changes
        return accept_past(shown.envelope, shown.index, shown.proof, policy, **given)

    def passage(self, sealed: Sealed | None = None) -> Passage:
        """The document of then, its envelopes proved to be in today's log."""
        log, batch = sealed or self.today, self.batch
        evidence = replace(
            self.old.evidence,
            source=log.logged(batch.source),
            ingest=log.logged(batch.ingest),
            reviews=tuple(log.logged(review) for review in batch.reviews),
        )
        return replace(self.old, evidence=evidence)


@pytest.fixture(scope="module")
def store() -> Store:
    return Store()


def test_a_passage_of_the_past_says_so(store: Store) -> None:
    past = store.past()
    assert (past.version, past.root) == (2, past.statement.root)
    passage = store.passage().verify(past)
    assert (passage.snapshot_version, passage.as_of) == (2, NOW - 400 * 86_400)
    assert passage.expires == store.today.accept().expires
    assert store.today.passage().verify(store.today.accept()).as_of is None


def test_what_stands_today_is_no_passage_of_then_nor_the_reverse(store: Store) -> None:
    refused(Refusal.NOT_IN_SNAPSHOT, store.today.passage().verify, store.past())
    refused(Refusal.NOT_IN_SNAPSHOT, store.passage().verify, store.today.accept())


def test_one_cache_keeps_then_and_now_apart(store: Store) -> None:
    cache = VerdictCache()
    assert store.passage().verify(store.past(), cache=cache).as_of is not None
    refused(Refusal.NOT_IN_SNAPSHOT, store.passage().verify, store.today.accept(), cache=cache)


def test_an_ordinary_search_does_not_take_it_for_what_stands(store: Store) -> None:
    head = store.today.head()
    shown = replace(head, snapshot=store.today.logged(store.then.snapshot))
    policy = make_policy()
    checkpoint = policy.accept(head.checkpoint, newer_than=None, now=NOW)
    reason = refused(
        Refusal.ROLLBACK,
        policy.accept_snapshot,
        shown.snapshot.envelope,
        shown.snapshot.index,
        shown.snapshot.proof,
        checkpoint,
        now=NOW,
    )
    assert "goes on after this snapshot" in reason


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"version": 1}, Refusal.NOT_IN_SNAPSHOT),
        ({"version": 3}, Refusal.NOT_IN_SNAPSHOT),
        ({"shown": {"proof": ()}}, Refusal.NOT_IN_SNAPSHOT),
        ({"shown": {"index": 0}}, Refusal.NOT_IN_SNAPSHOT),
        ({"now": NOW + 31 * 86_400}, Refusal.STALE_SNAPSHOT),
    ],
)
def test_each_thing_bent(store: Store, changes: dict[str, Any], refusal: Refusal) -> None:
    refused(refusal, store.past, **changes)


def test_another_entry_of_the_log_is_no_snapshot(store: Store) -> None:
    logged = store.today.logged(store.batch.source)
    refused(Refusal.UNKNOWN_KEY, store.past, shown={"envelope": logged.envelope})


def test_one_that_is_in_no_log(store: Store) -> None:
    forge = Forge()
    forge.publish(THEN)
    forged = forge.seal(version=2, root=Digest.of(b"what I would like to stand"))
    last: LoggedEnvelope = forged.logged(forged.snapshot)
    shown = {"envelope": last.envelope, "index": last.index}
    refused(Refusal.NOT_IN_SNAPSHOT, store.past, shown=shown)


def test_one_sealed_for_another_place(store: Store) -> None:
    forge = Forge()
    forge.publish(THEN)
    misplaced = forge.seal(log_size=1)
    forge.publish(OTHER)
    today = forge.seal(version=3, previous=Digest.of(b"2"))
    shown = today.logged(misplaced.snapshot)
    reason = refused(
        Refusal.NOT_IN_SNAPSHOT,
        accept_past,
        shown.envelope,
        shown.index,
        shown.proof,
        make_policy(),
        today.accept(),
        version=2,
        now=NOW,
    )
    assert "sealed for entry 1" in reason


def test_keys_and_time_are_todays(store: Store) -> None:
    policy = make_policy()
    (source, other) = policy.sources
    revoked = (PolicyKey(KEYS["source"].public_key, revoked=True),)
    changed = replace(policy, sources=(replace(source, keys=revoked), other))
    refused(Refusal.REVOKED_KEY, store.passage().verify, store.past(changed), changed)
    seal = replace(policy, seal=replace(policy.seal, keys=(PolicyKey(KEYS["seal"].public_key, 12),)))
    today = store.today.accept(policy)
    logged = store.today.logged(store.then.snapshot)
    parts = logged.envelope, logged.index, logged.proof
    refused(Refusal.STALE_SNAPSHOT, accept_past, *parts, seal, today, version=2, now=NOW)


def test_nobody_else_makes_one(store: Store) -> None:
    past = store.past()
    with pytest.raises(TypeError, match="only accept_past"):
        PastSnapshot(past.statement, past.envelope, past.key, past.today, object())
