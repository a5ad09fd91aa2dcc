"""The policy: who may say what, checked one bent field at a time."""

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.provenance.forge import (
    CONTEXT,
    DAY,
    KEYS,
    NOW,
    ORIGIN,
    Doc,
    Forge,
    Sealed,
    ingest_statement,
    make_policy,
    places,
    policy_key,
    refused,
    review_statement,
    reviewer,
    source_statement,
    tampered,
)
from trustrag.errors import AuthorityError, MalformedError, Refusal, VerificationError
from trustrag.provenance import merkle
from trustrag.provenance.canonical import Digest, encode
from trustrag.provenance.checkpoint import Checkpoint, Note, cosign, sign_checkpoint
from trustrag.provenance.envelope import Envelope, sign
from trustrag.provenance.evidence import accept_head
from trustrag.provenance.policy import (
    Attested,
    Bounds,
    Log,
    Policy,
    Reviewer,
    Reviewers,
    Role,
    SeenCheckpoint,
    Source,
    TrustedCheckpoint,
    TrustedSnapshot,
    Witness,
)
from trustrag.provenance.statement import (
    Context,
    IngestStatement,
    RejectionStatement,
    ReviewStatement,
    RollbackStatement,
    SnapshotStatement,
    SourceStatement,
    Statement,
    WithdrawalStatement,
)

POLICY = make_policy()
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "schemas" / "policy.v1.json").read_text())
DOC = Doc()
SAID = sign(source_statement(DOC).encode(), KEYS["source"])
INGESTED = sign(ingest_statement(SAID, DOC).encode(), KEYS["ingest"])


# --- the policy as bytes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "policy",
    [
        POLICY,
        make_policy(sources=(), witnesses=(), quorum=0),
        make_policy(
            log=Log(ORIGIN, (policy_key("log", first_valid_index=3, last_valid_index=9, revoked=True),))
        ),
        make_policy(
            log=Log(ORIGIN, (policy_key("log", revoked=True, reason="its machine was broken into"),))
        ),
        make_policy(sources=(replace(POLICY.sources[0], contract=Digest.of(b"agreed"), reviews=2),)),
        make_policy(review=Reviewers(), sources=(replace(POLICY.sources[0], active=False),)),
        make_policy(
            standing=Bounds(3, 0, 1000, 0, 1000),
            sources=(replace(POLICY.sources[0], trust=400, moved=-500),),
        ),
    ],
)
def test_what_is_written_is_read_back(policy: Policy) -> None:
    data = policy.encode()
    assert Policy.parse(data) == policy
    assert Policy.parse(data).encode() == data
    assert policy.digest == Digest.of(data)
    assert list(Draft202012Validator(SCHEMA).iter_errors(json.loads(data))) == []


@pytest.mark.parametrize(
    ("reason", "ended"),
    [
        ("", {"revoked": True}),
        ("x" * 2049, {"revoked": True}),
        ("a\nb", {"last_valid_index": 3}),
        ("why", {}),
    ],
)
def test_a_reason_is_a_line_and_of_a_key_that_ended(reason: str, ended: dict[str, object]) -> None:
    with pytest.raises(MalformedError, match="reason"):
        policy_key("log", reason=reason, **ended)  # type: ignore[arg-type]


@given(st.integers(0, len(POLICY.encode()) - 1), st.integers(1, 255))
def test_one_changed_byte_is_another_policy_or_none(at: int, flip: int) -> None:
    data = bytearray(POLICY.encode())
    data[at] ^= flip
    with suppress(MalformedError):
        read = Policy.parse(bytes(data))
        assert read.digest != POLICY.digest
        assert read.encode() == bytes(data)


@given(st.binary(max_size=300))
def test_noise_is_malformed(noise: bytes) -> None:
    with pytest.raises(MalformedError):
        Policy.parse(noise)


def test_unknown_and_missing_fields_are_refused() -> None:
    value = json.loads(POLICY.encode())
    for holder, key in [*places(value)]:
        if isinstance(holder, dict):
            kept = holder.pop(key)
            refused(Refusal.MALFORMED, lambda: Policy.parse(encode(value)))
            holder[key] = kept
            if isinstance(kept, dict):
                kept["more"] = 1
                refused(Refusal.MALFORMED, lambda: Policy.parse(encode(value)))
                del kept["more"]
    assert Policy.parse(encode(value)) == POLICY


@pytest.mark.parametrize("bad", ["Active", "", "suspended ", None])
def test_a_status_has_two_spellings_and_no_third(bad: str | None) -> None:
    value = json.loads(POLICY.encode())
    value["sources"][0]["status"] = bad
    refused(Refusal.MALFORMED, lambda: Policy.parse(encode(value)))


def plain(value: Any) -> bytes:
    """As `encode`, for what it would refuse to write."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


STANDING: dict[str, tuple[Any, ...]] = {
    "probationApprovals": (0, -1, 1.0, "10", True, None),
    "probationAge": (-1, 1.0, "0", False, None),
    "trustStep": (-1, 1001, 0.5, "50", None),
    "trustFloor": (-1, 901, 1001, True, None),
    "trustCeiling": (-1, 99, 1001, [], None),
}


@pytest.mark.parametrize(
    ("name", "bad"), [(name, bad) for name, values in STANDING.items() for bad in values]
)
def test_the_bounds_of_standing_are_held_to_one_by_one(name: str, bad: Any) -> None:
    value = json.loads(POLICY.encode())
    assert isinstance(value["standing"][name], int)
    value["standing"][name] = bad
    refused(Refusal.MALFORMED, lambda: Policy.parse(plain(value)))
    # Floor above ceiling is a sum of two fields, which a schema cannot say.
    alone = name.startswith("trust") and bad in (901, 99)
    # To JSON Schema 1.0 is an integer; to us it is not, since two parsers may write it differently.
    alone = alone or bad == 1.0
    assert alone or list(Draft202012Validator(SCHEMA).iter_errors(value)) != []


@pytest.mark.parametrize("bad", [-1, 1001, 1.0, "900", True, None])
def test_a_prior_is_a_trust(bad: Any) -> None:
    value = json.loads(POLICY.encode())
    value["sources"][0]["prior"] = bad
    refused(Refusal.MALFORMED, lambda: Policy.parse(plain(value)))
    assert bad == 1.0 or list(Draft202012Validator(SCHEMA).iter_errors(value)) != []


@pytest.mark.parametrize(
    ("prior", "trust", "allowed"),
    [
        (500, 500, True),
        (500, 100, True),
        (500, 99, False),
        (500, 900, True),
        (500, 901, False),
        (50, 50, True),  # the operator's own word may lie below the floor
        (50, 49, False),
        (1000, 1000, True),  # and above the ceiling
        (950, 951, False),
        (0, 900, True),
    ],
)
def test_trust_is_moved_within_bounds_only(prior: int, trust: int, allowed: bool) -> None:
    value = json.loads(make_policy(standing=Bounds(trust_floor=100, trust_ceiling=900)).encode())
    value["sources"][0] |= {"prior": prior, "trust": trust}
    if allowed:
        source = Policy.parse(encode(value)).sources[0]
        assert (source.prior, source.trust, source.moved) == (prior, trust, trust - prior)
    else:
        assert "beyond the bounds" in refused(Refusal.MALFORMED, lambda: Policy.parse(encode(value)))


@given(st.integers(0, 1000), st.integers(-3000, 3000), st.integers(0, 1000), st.integers(0, 1000))
def test_what_is_within_bounds_stays_there(prior: int, trust: int, one: int, other: int) -> None:
    bounds = Bounds(trust_floor=min(one, other), trust_ceiling=max(one, other))
    moved = bounds.within(prior, trust)
    assert min(prior, bounds.trust_floor) <= moved <= max(prior, bounds.trust_ceiling)
    assert bounds.within(prior, moved) == moved
    assert bounds.within(prior, prior) == prior


def test_a_policy_of_another_format_is_refused_by_name() -> None:
    value = json.loads(POLICY.encode()) | {"format": "urn:trustrag:policy/v2"}
    assert "policy.format is not" in refused(Refusal.MALFORMED, Policy.parse, encode(value))


def test_a_scope_that_is_no_string_is_refused() -> None:
    value = json.loads(POLICY.encode())
    value["sources"][0]["scope"] = [1]
    refused(Refusal.MALFORMED, lambda: Policy.parse(encode(value)))


ACME = POLICY.sources[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"version": 0},
        {"snapshot_age": 0},
        {"ingest": Role((policy_key("ingest"), policy_key("stranger")), 2)},
        {"seal": Role((policy_key("seal"), policy_key("stranger")), 2)},
        {"ingest": Role((policy_key("ingest"),), 0)},
        {"seal": Role((policy_key("seal"),), 0)},
        {"screen": Role((policy_key("screen"),), 0)},
        {"quorum": 2},
        {"quorum": -1},
        {"sources": (ACME, replace(ACME, keys=(policy_key("other"),)))},
        {"witnesses": (Witness("w", policy_key("witness")), Witness("w", policy_key("stranger")))},
    ],
)
def test_a_policy_that_cannot_stand(changes: dict[str, Any]) -> None:
    refused(Refusal.MALFORMED, lambda: make_policy(**changes))


@pytest.mark.parametrize(
    "purpose", ["ingest", "screen", "review", "seal", "answer", "log", "witness", "other", "source"]
)
def test_one_public_key_serves_one_purpose(purpose: str) -> None:
    twice = policy_key(purpose, first_valid_index=7)
    sources = (*POLICY.sources, Source("third", None, (twice,), ("acme",), 1))
    assert "one public key" in refused(Refusal.MALFORMED, lambda: make_policy(sources=sources))
    people = Reviewers((*POLICY.review.people, Reviewer("eve", (twice,))))
    assert "one public key" in refused(Refusal.MALFORMED, lambda: make_policy(review=people))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Role((), 1),
        lambda: Role((policy_key("seal"),), -1),
        lambda: Log(ORIGIN, ()),
        lambda: Log("", (policy_key("log"),)),
        lambda: Log("two words", (policy_key("log"),)),
        lambda: Witness("two words", policy_key("witness")),
        lambda: Witness("w" * 300, policy_key("witness")),
        lambda: policy_key("log", first_valid_index=-1),
        lambda: policy_key("log", first_valid_index=5, last_valid_index=4),
        lambda: replace(ACME, name=""),
        lambda: replace(ACME, name="a/b"),
        lambda: replace(ACME, owner=""),
        lambda: replace(ACME, keys=()),
        lambda: replace(ACME, scope=()),
        lambda: replace(ACME, scope=("",)),
        lambda: replace(ACME, scope=("acme//x",)),
        lambda: replace(ACME, scope=("acme/handbook/",)),
        lambda: replace(ACME, scope=("acme\nhandbook",)),
        lambda: replace(ACME, scope=("a" * 2049,)),
        lambda: replace(ACME, trust=-1),
        lambda: replace(ACME, trust=1001),
        lambda: replace(ACME, trust=-1, moved=-1),  # and a prior of 0
        lambda: replace(ACME, trust=1001, moved=1),
        lambda: replace(ACME, moved=901),
        lambda: replace(ACME, moved=-101),
        lambda: Bounds(probation_approvals=0),
        lambda: Bounds(probation_age=-1),
        lambda: Bounds(trust_step=-1),
        lambda: Bounds(trust_step=1001),
        lambda: Bounds(trust_floor=-1),
        lambda: Bounds(trust_ceiling=1001),
        lambda: Bounds(trust_floor=501, trust_ceiling=500),
    ],
)
def test_a_part_that_cannot_stand(make: Callable[[], object]) -> None:
    refused(Refusal.MALFORMED, make)


@pytest.mark.parametrize(
    "make",
    [
        lambda: replace(ACME, trust=0, moved=0),
        lambda: replace(ACME, trust=1000, moved=0),
        lambda: replace(ACME, scope=("a" * 2048,)),
        lambda: Bounds(trust_step=0),
        lambda: Bounds(trust_floor=0, trust_ceiling=0),
        lambda: Bounds(trust_floor=1000, trust_ceiling=1000),
        lambda: policy_key("log", first_valid_index=5, last_valid_index=5),
    ],
)
def test_a_part_that_only_just_stands(make: Callable[[], object]) -> None:
    make()


def test_only_an_answer_key_signs_receipts() -> None:
    said = b'{"any":"payload"}'
    assert POLICY.answering(sign(said, KEYS["answer"])).key == KEYS["answer"].public_key
    for name in set(KEYS) - {"answer"}:
        refused(Refusal.UNKNOWN_KEY, lambda name=name: POLICY.answering(sign(said, KEYS[name])))
    nobody = make_policy(answer=Role((), 0))
    refused(Refusal.UNKNOWN_KEY, lambda: nobody.answering(sign(said, KEYS["answer"])))


def test_a_source_is_found_by_name() -> None:
    assert POLICY.source("acme") == ACME
    assert POLICY.source("nobody") is None


# --- authorise -------------------------------------------------------------------------------------------

ROLLBACK = RollbackStatement(CONTEXT, 1, Digest.of(b"then"), 3, Digest.of(b"now"), "a bad batch", NOW)

KINDS: list[tuple[type[Statement], Statement, str, tuple[str, ...]]] = [
    (SourceStatement, source_statement(DOC), "source", ("source", "other")),
    (IngestStatement, ingest_statement(SAID, DOC), "ingest", ("ingest",)),
    (ReviewStatement, review_statement(INGESTED), "screen", ("screen", "review", "review2")),
    (
        SnapshotStatement,
        SnapshotStatement(CONTEXT, Digest.of(b""), 1, None, 0, "publish", None, NOW, NOW + 1),
        "seal",
        ("seal",),
    ),
    (WithdrawalStatement, WithdrawalStatement(CONTEXT, "a", None, "gone", NOW), "seal", ("seal",)),
    (RollbackStatement, ROLLBACK, "seal", ("review", "review2", "seal")),
]


@pytest.mark.parametrize(("kind", "statement", "signer", "allowed"), KINDS)
def test_every_key_may_say_its_own_kind_only(
    kind: type[Statement], statement: Statement, signer: str, allowed: tuple[str, ...]
) -> None:
    for name, key in KEYS.items():
        envelope = sign(statement.encode(), key)
        if name not in allowed:
            refused(Refusal.UNKNOWN_KEY, POLICY.authorise, envelope, kind, log_index=1)
            continue
        attested = POLICY.authorise(envelope, kind, log_index=1)
        assert attested.statement == statement
        assert (attested.envelope, attested.payload) == (envelope.digest, Digest.of(envelope.payload))
        assert (attested.key, attested.log_index) == (key.public_key, 1)
        assert attested.source == {"source": ACME, "other": POLICY.sources[1]}.get(name)


@pytest.mark.parametrize(("kind", "statement", "signer", "allowed"), KINDS)
def test_a_statement_of_another_kind_is_malformed(
    kind: type[Statement], statement: Statement, signer: str, allowed: tuple[str, ...]
) -> None:
    for other, said, _, _ in KINDS:
        if other is not kind:
            envelope = sign(said.encode(), KEYS[signer])
            refused(Refusal.MALFORMED, POLICY.authorise, envelope, kind, log_index=1)


@pytest.mark.parametrize("name", ["store", "tenant", "collection"])
def test_another_context_is_refused(name: str) -> None:
    elsewhere = replace(CONTEXT, **{name: "elsewhere"})
    for kind, statement, signer, _ in KINDS:
        if not isinstance(statement, ReviewStatement):
            envelope = sign(replace(statement, context=elsewhere).encode(), KEYS[signer])
            refused(Refusal.WRONG_CONTEXT, POLICY.authorise, envelope, kind, log_index=1)


@pytest.mark.parametrize(
    ("bent", "index", "expected"),
    [
        ({"revoked": True}, 5, Refusal.REVOKED_KEY),
        ({"first_valid_index": 6}, 5, Refusal.UNKNOWN_KEY),
        ({"last_valid_index": 4}, 5, Refusal.REVOKED_KEY),
        ({"first_valid_index": 5, "last_valid_index": 5}, 5, None),
    ],
)
def test_a_key_speaks_between_two_log_indices(
    bent: dict[str, Any], index: int, expected: Refusal | None
) -> None:
    source = replace(ACME, keys=(policy_key("source", **bent),))
    policy = make_policy(sources=(source,))
    if expected is None:
        assert policy.authorise(SAID, SourceStatement, log_index=index).source == source
    else:
        refused(expected, lambda: policy.authorise(SAID, SourceStatement, log_index=index))


def test_the_key_id_only_points_and_never_decides() -> None:
    lying = replace(SAID, key_id=KEYS["other"].public_key.key_id)
    refused(Refusal.BAD_SIGNATURE, lambda: POLICY.authorise(lying, SourceStatement, log_index=1))
    forged = replace(SAID, signature=bytes(64))
    refused(Refusal.BAD_SIGNATURE, lambda: POLICY.authorise(forged, SourceStatement, log_index=1))
    retyped = replace(SAID, payload_type="application/json")
    refused(Refusal.BAD_SIGNATURE, lambda: POLICY.authorise(retyped, SourceStatement, log_index=1))


def test_what_is_signed_but_no_statement_is_malformed() -> None:
    envelope = sign(b"{}", KEYS["source"])
    refused(Refusal.MALFORMED, lambda: POLICY.authorise(envelope, SourceStatement, log_index=1))


# --- claim and reviews -----------------------------------------------------------------------------------


def attested(envelope: Envelope = SAID, policy: Policy = POLICY) -> Attested[SourceStatement]:
    return policy.authorise(envelope, SourceStatement, log_index=1)


def test_a_claim_is_found() -> None:
    assert POLICY.claim(attested(), DOC.doc_id, 1) == DOC.claim()
    for doc_id, version in ((DOC.doc_id, 2), ("guide/other.md", 1)):
        refused(Refusal.UNKNOWN_KEY, POLICY.claim, attested(), doc_id, version)


def test_a_suspended_source_claims_nothing() -> None:
    policy = make_policy(sources=(replace(ACME, active=False),))
    reason = refused(Refusal.REVOKED_KEY, lambda: policy.claim(attested(policy=policy), DOC.doc_id, 1))
    assert "source acme is suspended" in reason


def test_a_statement_without_a_source_claims_nothing() -> None:
    ingest = POLICY.authorise(INGESTED, IngestStatement, log_index=1)
    refused(Refusal.REVOKED_KEY, lambda: POLICY.publisher(ingest))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scope", "doc_id", "covered"),
    [
        ("acme", "a", True),
        ("acme/handbook", "a/b", True),
        ("acme/handbook/a", "a/b", True),
        ("acme/handbook/a", "a", True),
        ("acme/handbook/a/b", "a/b", True),
        ("acme/handbook/a", "ab", False),
        ("acme/handbook/a/b", "a", False),
        ("acme/hand", "a", False),
        ("acm", "a", False),
        ("other/handbook", "a", False),
        ("acme/handbook/a", "/a", False),
        ("acme/handbook/a", "../a", False),
    ],
)
def test_a_scope_is_a_prefix_by_segments(scope: str, doc_id: str, covered: bool) -> None:
    source = replace(ACME, scope=("nowhere", scope))
    assert source.covers(CONTEXT, doc_id) is covered
    doc = Doc(doc_id)
    policy = make_policy(sources=(source,))
    said = attested(sign(source_statement(doc).encode(), KEYS["source"]), policy)
    if covered:
        assert policy.claim(said, doc_id, 1) == doc.claim()
    else:
        assert "out of scope" in refused(Refusal.OUT_OF_SCOPE, lambda: policy.claim(said, doc_id, 1))


def reviews(*names: str, policy: Policy, of: Envelope = INGESTED) -> list[Attested[ReviewStatement]]:
    payload = review_statement(of).encode()
    return [policy.authorise(sign(payload, KEYS[name]), ReviewStatement, log_index=2) for name in names]


def check(*names: str, of: Envelope = INGESTED, policy: Policy) -> tuple[str, ...]:
    """What the policy says of `INGESTED` with these reviews, of it or of something else."""
    ingest = policy.authorise(INGESTED, IngestStatement, log_index=1)
    return policy.check_reviews(reviews(*names, policy=policy, of=of), ingest, attested(policy=policy))


@pytest.mark.parametrize(
    ("signed", "every", "held", "people"),
    [
        (("screen",), 0, 0, ()),
        (("screen",), 0, 2, ()),  # let pass: nobody was asked
        (("screen", "review"), 0, 2, ("ann",)),
        (("screen", "review"), 1, 0, ("ann",)),
        (("screen", "review2", "review"), 2, 0, ("ann", "bob")),
        (("review",), 0, 0, ("ann",)),
        (("review",), 0, 1, ("ann",)),
        (("review2", "review"), 0, 2, ("ann", "bob")),
        (("review", "review2"), 2, 1, ("ann", "bob")),
        ((), 0, 0, None),  # approval is positive
        ((), 0, 2, None),
        (("screen",), 1, 0, None),
        (("screen", "screen"), 1, 0, None),
        (("screen", "review", "review"), 2, 0, None),
        (("review",), 0, 2, None),
        (("review", "review"), 0, 2, None),
        (("review",), 2, 1, None),
    ],
)
def test_what_was_held_stands_on_people(
    signed: tuple[str, ...], every: int, held: int, people: tuple[str, ...] | None
) -> None:
    policy = make_policy(
        review=replace(POLICY.review, threshold=every), sources=(replace(ACME, reviews=held),)
    )
    if people is None:
        assert "reviewers approve" in refused(Refusal.BELOW_THRESHOLD, check, *signed, policy=policy)
    else:
        assert check(*signed, policy=policy) == people


def test_a_person_with_two_keys_is_one_person() -> None:
    people = Reviewers((reviewer("ann", "review", "review2"), reviewer("bob", "stranger")))
    policy = make_policy(review=people, sources=(replace(ACME, reviews=2),))
    assert "1 of 2" in refused(Refusal.BELOW_THRESHOLD, check, "review", "review2", policy=policy)
    assert check("review", "stranger", policy=policy) == ("ann", "bob")


@pytest.mark.parametrize("name", ["acme", "Acme Ltd"])
def test_who_publishes_does_not_approve_as_a_person_either(name: str) -> None:
    policy = make_policy(review=Reviewers((reviewer(name, "review"), reviewer("bob", "review2"))))
    refused(Refusal.BELOW_THRESHOLD, check, "review", policy=policy)
    assert check("review", "review2", policy=policy) == ("bob",)


def test_a_review_of_something_else_does_not_count() -> None:
    for name in ("screen", "review"):
        refused(Refusal.BELOW_THRESHOLD, check, name, of=SAID, policy=POLICY)


@pytest.mark.parametrize("purpose", ["ingest", "source"])
def test_nobody_reviews_their_own_work(purpose: str) -> None:
    # No policy gives one key two purposes; what was authorised under another policy is no way round that.
    swapped = {"ingest": Role((policy_key("screen"),))} if purpose == "ingest" else {}
    sources = (replace(ACME, keys=(policy_key("screen" if purpose == "source" else "source"),)),)
    other = make_policy(screen=Role((policy_key("stranger"),)), sources=sources, **swapped)
    said = sign(SAID.payload, KEYS["screen"]) if purpose == "source" else SAID
    made = sign(INGESTED.payload, KEYS["screen"]) if purpose == "ingest" else INGESTED
    ingest = other.authorise(made, IngestStatement, log_index=1)
    refused(
        Refusal.BELOW_THRESHOLD,
        lambda: POLICY.check_reviews(reviews("screen", policy=POLICY), ingest, attested(said, policy=other)),
    )


def test_a_rejection_is_said_by_reviewers_and_approves_nothing() -> None:
    rejection = RejectionStatement(Digest.of(INGESTED.payload), "the terms were changed", NOW)
    for name in ("screen", "review"):
        envelope = sign(rejection.encode(), KEYS[name])
        assert POLICY.authorise(envelope, RejectionStatement, log_index=2).statement == rejection
        refused(Refusal.MALFORMED, POLICY.authorise, envelope, ReviewStatement, log_index=2)
    for name in ("source", "ingest", "seal"):
        envelope = sign(rejection.encode(), KEYS[name])
        refused(Refusal.UNKNOWN_KEY, POLICY.authorise, envelope, RejectionStatement, log_index=2)


def test_the_reviewers_that_are_asked_for_have_to_be_there() -> None:
    left = Reviewer("bob", (policy_key("review2", last_valid_index=9),))
    two = (replace(ACME, reviews=2),)
    for people in ((reviewer("ann", "review"),), (reviewer("ann", "review"), left)):
        refused(Refusal.MALFORMED, Reviewers, people, 2)
        refused(Refusal.MALFORMED, make_policy, review=Reviewers(people), sources=two)
    one = Reviewers((reviewer("ann", "review"), left), 1)
    assert (one.able, one.keys) == (1, (policy_key("review"), *left.keys))
    for broken in (
        lambda: Reviewer("ann", ()),
        lambda: Reviewer("a/b", (policy_key("review"),)),
        lambda: Reviewers((reviewer("ann", "review"), reviewer("ann", "review2"))),
        lambda: Reviewers((), -1),
        lambda: replace(ACME, reviews=-1),
    ):
        refused(Refusal.MALFORMED, broken)


# --- checkpoints -----------------------------------------------------------------------------------------


def sealed(documents: int = 1) -> Sealed:
    forge = Forge()
    for at in range(documents):
        forge.publish(Doc(f"guide/{at}.md"))
    return forge.seal()


def accept(note: bytes, policy: Policy = POLICY, **changes: Any) -> TrustedCheckpoint:
    return policy.accept(note, **({"newer_than": None, "now": NOW} | changes))


def test_a_checkpoint_is_accepted_and_remembered() -> None:
    store = sealed()
    trusted = accept(store.note)
    assert (trusted.origin, trusted.size, trusted.root) == (
        ORIGIN,
        store.checkpoint.size,
        store.checkpoint.root,
    )
    assert (trusted.witnesses, trusted.note) == ((), store.note)
    assert trusted.seen == SeenCheckpoint(store.checkpoint.size, store.checkpoint.root)
    assert accept(store.note, newer_than=trusted.seen).seen == trusted.seen
    assert accept(store.note, newer_than=SeenCheckpoint(0, Digest(merkle.EMPTY_ROOT))).seen == trusted.seen


def test_a_checkpoint_of_the_empty_log_is_a_checkpoint() -> None:
    empty = Checkpoint(ORIGIN, 0, Digest(merkle.EMPTY_ROOT))
    assert accept(sign_checkpoint(empty, KEYS["log"])).size == 0


def test_history_may_grow_and_nothing_else() -> None:
    old, new = sealed(1), sealed(2)
    grown = Forge()
    grown.publish(Doc("guide/0.md"))
    first = grown.seal()
    seen = accept(first.note).seen
    grown.publish(Doc("guide/1.md"))
    second = grown.seal(version=3)
    proof = merkle.consistency_proof(second.hashes, seen.size)
    assert accept(second.note, newer_than=seen, consistency=proof).size == second.checkpoint.size
    refused(Refusal.FORK, lambda: accept(second.note, newer_than=seen))
    refused(Refusal.FORK, lambda: accept(second.note, newer_than=seen, consistency=[*proof[:-1], bytes(32)]))
    refused(Refusal.FORK, lambda: accept(second.note, newer_than=replace(seen, root=Digest(bytes(32)))))
    refused(Refusal.ROLLBACK, lambda: accept(first.note, newer_than=accept(second.note).seen))
    same_size = replace(accept(old.note).seen, root=accept(new.note).root)
    refused(Refusal.FORK, lambda: accept(old.note, newer_than=same_size))


def test_the_log_signs_its_own_checkpoints() -> None:
    checkpoint = sealed().checkpoint
    for name in set(KEYS) - {"log"}:
        refused(Refusal.BAD_SIGNATURE, accept, sign_checkpoint(checkpoint, KEYS[name]))
    elsewhere = sign_checkpoint(replace(checkpoint, origin="store-2"), KEYS["log"])
    refused(Refusal.BAD_SIGNATURE, lambda: accept(elsewhere))


@pytest.mark.parametrize(
    ("bent", "expected"),
    [
        ({"revoked": True}, Refusal.REVOKED_KEY),
        ({"first_valid_index": 99}, Refusal.UNKNOWN_KEY),
        ({"last_valid_index": 6}, None),
        ({"last_valid_index": 5}, Refusal.REVOKED_KEY),
        ({"first_valid_index": 6}, None),
        ({"first_valid_index": 7}, Refusal.UNKNOWN_KEY),
    ],
)
def test_a_log_key_is_valid_at_the_last_index(bent: dict[str, Any], expected: Refusal | None) -> None:
    store = sealed()
    assert store.checkpoint.size == 7
    policy = make_policy(log=Log(ORIGIN, (policy_key("log", **bent),)))
    if expected is None:
        assert accept(store.note, policy).size == 7
    else:
        refused(expected, lambda: accept(store.note, policy))


def test_one_valid_log_key_is_enough_while_they_rotate() -> None:
    store = sealed()
    keys = (policy_key("log", last_valid_index=2), policy_key("stranger", first_valid_index=3))
    policy = make_policy(log=Log(ORIGIN, keys))
    refused(Refusal.REVOKED_KEY, lambda: accept(store.note, policy))
    both = Note.parse(store.note)
    other = Note.parse(sign_checkpoint(store.checkpoint, KEYS["stranger"]))
    note = replace(both, signatures=both.signatures + other.signatures).encode()
    assert accept(note, policy).size == 7


@given(st.data())
def test_one_changed_byte_in_a_checkpoint_is_refused(data: st.DataObject) -> None:
    note = bytearray(NOTE)
    note[data.draw(st.integers(0, len(note) - 1))] ^= data.draw(st.integers(1, 255))
    with pytest.raises((VerificationError, MalformedError)) as caught:
        accept(bytes(note))
    assert caught.value.refusal in {Refusal.BAD_SIGNATURE, Refusal.MALFORMED}


NOTE = sealed().note


def test_a_quorum_of_witnesses() -> None:
    store = sealed()
    policy = make_policy(quorum=1)
    assert "0 of 1" in refused(Refusal.NO_QUORUM, lambda: accept(store.note, policy))
    assert accept(store.cosigned().checkpoint, policy).witnesses == ("witness.example/w1",)
    future = store.cosigned(NOW + 301).checkpoint
    refused(Refusal.NO_QUORUM, lambda: accept(future, policy))
    assert accept(future, policy, now=NOW + 1).witnesses
    for bent in ({"revoked": True}, {"last_valid_index": 5}, {"first_valid_index": 7}):
        witness = Witness("witness.example/w1", policy_key("witness", **bent))
        bent_policy = make_policy(witnesses=(witness,), quorum=1)
        refused(Refusal.NO_QUORUM, accept, store.cosigned().checkpoint, bent_policy)
    stranger = cosign(store.note, "witness.example/w1", KEYS["stranger"], NOW)
    refused(Refusal.NO_QUORUM, lambda: accept(stranger, policy))


# --- snapshots -------------------------------------------------------------------------------------------


def test_a_snapshot_is_accepted() -> None:
    store = sealed()
    snapshot = store.accept()
    assert (snapshot.version, snapshot.envelope) == (2, store.snapshot.digest)
    assert snapshot.root == snapshot.statement.root
    assert snapshot.key == KEYS["seal"].public_key
    assert snapshot.expires == NOW - 300 + 7 * DAY  # the policy's maximum age comes first
    assert store.accept(newer_than=2).version == 2
    assert sealed().accept(make_policy(snapshot_age=99 * DAY)).expires == NOW + 30 * DAY


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"log_size": 5}, Refusal.NOT_IN_SNAPSHOT),
        ({"log_size": 7}, Refusal.NOT_IN_SNAPSHOT),
        ({"expires": NOW}, Refusal.STALE_SNAPSHOT),
        ({"expires": NOW + 1}, None),
        ({"issued_at": NOW - 7 * DAY}, Refusal.STALE_SNAPSHOT),
        ({"issued_at": NOW - 7 * DAY + 1}, None),
        ({"issued_at": NOW + 301}, Refusal.STALE_SNAPSHOT),
        ({"issued_at": NOW + 300}, None),
        ({"context": Context("store-2", "acme", "handbook")}, Refusal.WRONG_CONTEXT),
    ],
)
def test_a_snapshot_in_its_place_and_time(changes: dict[str, Any], expected: Refusal | None) -> None:
    forge = Forge()
    forge.publish(Doc())
    store = forge.seal(**changes)
    if expected is None:
        assert store.accept().version == 2
    else:
        refused(expected, store.accept)


def test_an_older_snapshot_is_a_rollback() -> None:
    refused(Refusal.ROLLBACK, lambda: sealed().accept(newer_than=3))


def test_a_snapshot_that_is_not_the_last_entry_is_a_rollback() -> None:
    forge = Forge()
    forge.publish(Doc())
    last_week = forge.seal().snapshot
    forge.batches.clear()  # withdrawn since
    today = forge.seal(version=3)
    head = replace(today.head(), snapshot=today.logged(last_week))
    refused(Refusal.ROLLBACK, lambda: accept_head(head, POLICY, now=NOW))


def test_a_snapshot_outside_the_log_is_refused() -> None:
    store = sealed()
    head = store.head()
    for path, new in (
        ("snapshot.proof.0", bytes(32)),
        ("snapshot.proof", ()),
        ("snapshot.index", 5),
        ("snapshot.index", 7),
    ):
        refused(Refusal.NOT_IN_SNAPSHOT, accept_head, tampered(head, path, new), POLICY, now=NOW)
    unlogged = sign(_other_snapshot().encode(), KEYS["seal"])
    refused(
        Refusal.NOT_IN_SNAPSHOT,
        lambda: accept_head(tampered(head, "snapshot.envelope", unlogged), POLICY, now=NOW),
    )


def _other_snapshot() -> SnapshotStatement:
    return SnapshotStatement(CONTEXT, Digest(bytes(32)), 9, Digest(bytes(32)), 6, "renew", None, NOW, NOW + 9)


def test_only_a_seal_key_seals() -> None:
    for name in set(KEYS) - {"seal"}:
        forge = Forge()
        forge.signers["seal"] = KEYS[name]
        refused(Refusal.UNKNOWN_KEY, forge.seal().accept)


def test_a_changed_policy_wants_the_snapshot_again() -> None:
    snapshot = sealed().accept()
    POLICY.require_current(snapshot, NOW)
    newer = make_policy(version=2)
    refused(Refusal.STALE_SNAPSHOT, lambda: newer.require_current(snapshot, NOW))
    store = sealed()
    mixed = newer.accept_snapshot(
        *_logged(store), newer.accept(store.note, newer_than=None, now=NOW), now=NOW
    )
    refused(Refusal.STALE_SNAPSHOT, lambda: POLICY.require_current(mixed, NOW))
    checkpoint = POLICY.accept(store.note, newer_than=None, now=NOW)
    refused(Refusal.STALE_SNAPSHOT, lambda: newer.accept_snapshot(*_logged(store), checkpoint, now=NOW))


def _logged(store: Sealed) -> tuple[Envelope, int, tuple[bytes, ...]]:
    logged = store.head().snapshot
    return logged.envelope, logged.index, logged.proof


# --- seals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("made", [attested(), accept(NOTE), sealed().accept()])
def test_nobody_else_makes_a_sealed_value(made: Attested[Any] | TrustedCheckpoint | TrustedSnapshot) -> None:
    with pytest.raises((TypeError, ValueError)):
        replace(made)
    with pytest.raises(TypeError, match="only Policy"):
        replace(made, seal=object())
    with pytest.raises((AttributeError, TypeError)):
        made.policy = Digest(bytes(32))  # type: ignore[misc,union-attr]


def test_an_authority_error_names_its_refusal() -> None:
    with pytest.raises(AuthorityError, match="UNKNOWN_KEY: key"):
        POLICY.authorise(sign(b"{}", KEYS["stranger"]), SourceStatement, log_index=0)


REVIEWED = replace(POLICY, review=replace(POLICY.review, threshold=2))


def said_by(name: str, statement: RollbackStatement = ROLLBACK) -> Attested[RollbackStatement]:
    return REVIEWED.authorise(sign(statement.encode(), KEYS[name]), RollbackStatement, log_index=1)


def test_a_rollback_takes_as_many_reviewers_as_the_policy_asks() -> None:
    proposal, one, two = said_by("seal"), said_by("review"), said_by("review2")
    REVIEWED.check_rollback(proposal, [one, two])
    POLICY.check_rollback(proposal, [])
    for approvals in ([], [one], [one, one], [one, proposal]):
        reason = refused(Refusal.BELOW_THRESHOLD, REVIEWED.check_rollback, proposal, approvals)
        assert "of 2 reviewers" in reason


@pytest.mark.parametrize(
    "change",
    [
        {"target": 2},
        {"present": 4},
        {"target_root": Digest.of(b"other")},
        {"present_root": Digest.of(b"other")},
        {"reason": "another"},
        {"issued_at": NOW + 1},
    ],
)
def test_an_approval_is_of_the_very_same_step(change: dict[str, Any]) -> None:
    other = said_by("review2", replace(ROLLBACK, **change))
    refused(Refusal.BELOW_THRESHOLD, REVIEWED.check_rollback, said_by("seal"), [said_by("review"), other])
