"""The gate: the honest passage goes through, and every single bent field is refused by name."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.provenance.forge import (
    CONTEXT,
    DAY,
    KEYS,
    NOW,
    Batch,
    Doc,
    Forge,
    Passage,
    ingest_statement,
    make_policy,
    policy_key,
    refused,
    review_statement,
    source_statement,
    tampered,
)
from trustrag.errors import MalformedError, Refusal, VerificationError
from trustrag.provenance.canonical import Digest
from trustrag.provenance.checkpoint import sign_checkpoint
from trustrag.provenance.envelope import Envelope, sign
from trustrag.provenance.evidence import VerdictCache, accept_head
from trustrag.provenance.policy import Policy, SeenCheckpoint
from trustrag.provenance.standing import chunk_root
from trustrag.provenance.statement import ReviewStatement, SourceStatement

POLICY = make_policy()
LOGS, PETS = Doc(), Doc("guide/pets.md", b"Dogs may come on Fridays. Cats may not.")
STORE = Forge()
STORE.publish(LOGS, PETS)
STORE.publish(Doc("other/visits.md", b"Visitors sign in. They sign out."), who="other")
SEALED = STORE.seal()
SNAPSHOT = SEALED.accept()
HONEST = SEALED.passage()
NAMED = Refusal.NOT_IN_SNAPSHOT


def bent(path: str, new: Any) -> Passage:
    return tampered(HONEST, path, new)


def flipped(data: bytes, at: int, by: int = 1) -> bytes:
    changed = bytearray(data)
    changed[at % len(data)] ^= by
    return bytes(changed)


# --- what goes through -----------------------------------------------------------------------------------


def test_an_honest_passage_is_proved() -> None:
    passage = HONEST.verify(SNAPSHOT)
    assert (passage.text, passage.metadata, passage.vector) == (LOGS.texts[0], LOGS.metadata, LOGS.vectors[0])
    assert (passage.doc_id, passage.version, passage.document) == ("guide/logs.md", 1, Digest.of(LOGS.data))
    assert (passage.source, passage.owner, passage.trust, passage.probation) == (
        "acme",
        "Acme Ltd",
        900,
        False,
    )
    assert (passage.licence, passage.media_type) == ("CC-BY-4.0", "text/markdown")
    assert (passage.index, passage.count, passage.start, passage.end) == (0, 3, 0, len(LOGS.texts[0]))
    assert passage.key_id == KEYS["source"].public_key.key_id
    assert (passage.source_index, passage.issued_at) == (3, NOW - 600)
    assert (passage.context, passage.snapshot_version) == (CONTEXT, 2)
    assert passage.expires == SNAPSHOT.expires == NOW - 300 + 7 * DAY


def test_every_passage_of_every_document_is_proved() -> None:
    cache = VerdictCache()
    for batch, found in enumerate(STORE.batches):
        for doc, document in enumerate(found.documents):
            for chunk, text in enumerate(document.texts):
                passage = SEALED.passage(batch, doc, chunk)
                assert passage.verify(SNAPSHOT).text == text
                assert passage.verify(SNAPSHOT, cache=cache) == passage.verify(SNAPSHOT, cache=cache)
    other = SEALED.passage(1).verify(SNAPSHOT)
    assert (other.source, other.owner, other.trust, other.probation) == ("other", None, 500, True)


def test_entries_of_one_bucket_are_told_apart() -> None:
    forge = Forge()
    forge.publish(LOGS)
    forge.extra = [replace(forge.entry(forge.batches[0], LOGS), version=9)]
    sealed = forge.seal()
    assert sealed.passage().evidence.standing.bucket_size == 2
    assert sealed.passage().verify(sealed.accept()).version == 1


# --- content ---------------------------------------------------------------------------------------------


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_one_changed_byte_of_content_is_named(at: int, by: int) -> None:
    metadata, vector = flipped(HONEST.metadata, at, by), flipped(HONEST.vector, at, by)
    refused(Refusal.TAMPERED_METADATA, bent("metadata", metadata).verify, SNAPSHOT)
    refused(Refusal.TAMPERED_VECTOR, bent("vector", vector).verify, SNAPSHOT)
    place = at % len(HONEST.text)
    text = HONEST.text[:place] + chr(ord(HONEST.text[place]) ^ by) + HONEST.text[place + 1 :]
    refused(Refusal.TAMPERED_TEXT, bent("text", text).verify, SNAPSHOT)


@pytest.mark.parametrize("text", ["", HONEST.text + " ", HONEST.text[:-1], "\ud800", HONEST.text.upper()])
def test_another_text_is_refused_and_never_a_crash(text: str) -> None:
    refused(Refusal.TAMPERED_TEXT, bent("text", text).verify, SNAPSHOT)


def test_content_is_hashed_again_even_when_all_else_is_remembered() -> None:
    cache = VerdictCache()
    HONEST.verify(SNAPSHOT, cache=cache)
    for path, other, expected in (
        ("text", LOGS.texts[1], Refusal.TAMPERED_TEXT),
        ("metadata", b"{}", Refusal.TAMPERED_METADATA),
        ("vector", LOGS.vectors[1], Refusal.TAMPERED_VECTOR),
    ):
        refused(expected, bent(path, other).verify, SNAPSHOT, cache=cache)


def test_metadata_that_was_signed_but_is_not_canonical_is_malformed() -> None:
    class Loose(Doc):
        @property
        def metadata_bytes(self) -> bytes:
            return b'{"title": "Logs"}'

    sealed = one(Loose())
    refused(Refusal.MALFORMED, sealed.passage().verify, sealed.accept())


def one(*documents: Doc) -> Any:
    forge = Forge()
    forge.publish(*documents)
    return forge.seal()


def test_what_is_handed_out_is_the_callers_own() -> None:
    sealed = one(Doc(metadata={"tags": ["a", {"b": 1}]}))
    cache = VerdictCache()
    first = sealed.passage().verify(sealed.accept(), cache=cache)
    first.metadata["tags"][1]["b"] = 2  # type: ignore[index]
    first.metadata["title"] = "mine"  # type: ignore[index]
    assert sealed.passage().verify(sealed.accept(), cache=cache).metadata == {"tags": ["a", {"b": 1}]}


def test_a_passage_prints_without_its_vector() -> None:
    assert "vector=" not in repr(HONEST.verify(SNAPSHOT))


# --- evidence, one field at a time -----------------------------------------------------------------------

OTHER = Digest.of(b"other")
FIELDS: list[tuple[str, Any, Refusal]] = [
    ("leaf.document", OTHER, NAMED),
    ("leaf.index", 1, NAMED),
    ("leaf.index", 3, NAMED),
    ("leaf.index", -1, NAMED),
    ("leaf.count", 2, NAMED),
    ("leaf.count", 4, NAMED),
    ("leaf.text", OTHER, Refusal.TAMPERED_TEXT),
    ("leaf.vector", OTHER, Refusal.TAMPERED_VECTOR),
    ("leaf.metadata", OTHER, Refusal.TAMPERED_METADATA),
    ("leaf.start", 1, NAMED),
    ("leaf.end", 1, NAMED),
    ("entry.doc_id", "guide/pets.md", NAMED),
    ("entry.version", 2, NAMED),
    ("entry.document", OTHER, NAMED),
    ("entry.source", OTHER, NAMED),
    ("entry.source_index", 0, NAMED),
    ("entry.ingest", OTHER, NAMED),
    ("entry.ingest_index", 0, NAMED),
    ("entry.reviews", (), NAMED),
    ("entry.chunk_root", OTHER, NAMED),
    ("entry.chunk_count", 4, NAMED),
    ("entry.expires", NOW + 1, NAMED),
    ("standing.position", 1, NAMED),
    ("standing.bucket_size", 2, NAMED),
    ("standing.bucket_path", (bytes(32),), NAMED),
    ("standing.top_path", (), NAMED),
    ("source.index", 2, NAMED),
    ("source.index", 99, NAMED),
    ("ingest.index", 3, NAMED),
    ("reviews.0.index", 3, NAMED),
    ("reviews", (), Refusal.BELOW_THRESHOLD),
    ("source.envelope", HONEST.evidence.ingest.envelope, Refusal.UNKNOWN_KEY),
    ("source.envelope.signature", bytes(64), Refusal.BAD_SIGNATURE),
    ("ingest.envelope.signature", bytes(64), Refusal.BAD_SIGNATURE),
    ("reviews.0.envelope.signature", bytes(64), Refusal.BAD_SIGNATURE),
    ("source.envelope.payload", b"{}", Refusal.BAD_SIGNATURE),
    ("source.envelope.payload_type", "text/plain", Refusal.BAD_SIGNATURE),
    ("source.envelope.key_id", KEYS["stranger"].public_key.key_id, Refusal.UNKNOWN_KEY),
]


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize(("path", "new", "expected"), FIELDS)
def test_a_bent_field_is_refused(path: str, new: Any, expected: Refusal, warm: bool) -> None:
    """Warm, the proof of an entry that is already proved is not read again; all that is used still is."""
    cache = VerdictCache()
    passage = bent("evidence." + path, new)
    if warm:
        HONEST.verify(SNAPSHOT, cache=cache)
        if path.startswith("standing."):
            assert passage.verify(SNAPSHOT, cache=cache) == HONEST.verify(SNAPSHOT)
            return
    refused(expected, passage.verify, SNAPSHOT, cache=cache)


PROOFS = [
    "chunk_path",
    "standing.bucket_path",
    "standing.top_path",
    "source.proof",
    "ingest.proof",
    "reviews.0.proof",
]


@given(st.sampled_from(PROOFS), st.data())
def test_any_change_to_a_proof_is_refused(path: str, data: st.DataObject) -> None:
    def change(proof: tuple[bytes, ...]) -> tuple[bytes, ...]:
        hashes = list(proof)
        way = data.draw(st.sampled_from(["flip", "drop", "add", "cut", "swap"] if hashes else ["add"]))
        at = data.draw(st.integers(0, max(len(hashes) - 1, 0)))
        match way:
            case "flip":
                hashes[at] = flipped(
                    hashes[at], data.draw(st.integers(0, 31)), data.draw(st.integers(1, 255))
                )
            case "drop":
                del hashes[at]
            case "add":
                hashes.insert(at, bytes(32))
            case "cut":
                hashes[at] = hashes[at][:31]
            case "swap":
                hashes[at] = bytes(32)
        return tuple(hashes)

    refused(NAMED, tampered(HONEST, "evidence." + path, change).verify, SNAPSHOT)


@given(st.sampled_from(["source", "ingest", "reviews.0"]), st.integers(0, 10_000), st.integers(1, 255))
def test_one_changed_byte_in_an_envelope_is_refused(path: str, at: int, by: int) -> None:
    def change(envelope: Envelope) -> Envelope:
        return Envelope.parse(flipped(envelope.encode(), at, by))

    try:
        passage = tampered(HONEST, f"evidence.{path}.envelope", change)
    except MalformedError:
        return
    with pytest.raises(VerificationError) as caught:
        passage.verify(SNAPSHOT)
    assert caught.value.refusal in {Refusal.BAD_SIGNATURE, Refusal.UNKNOWN_KEY}


def test_a_huge_proof_is_refused_at_once() -> None:
    huge = (bytes(32),) * 300_000
    for path in PROOFS:
        refused(NAMED, bent("evidence." + path, huge).verify, SNAPSHOT)


def test_evidence_of_another_passage_proves_nothing() -> None:
    for other in (SEALED.passage(0, 0, 1), SEALED.passage(0, 1), SEALED.passage(1)):
        refused(Refusal.TAMPERED_TEXT, replace(HONEST, evidence=other.evidence).verify, SNAPSHOT)
        for name in ("entry", "standing", "source"):
            evidence = replace(HONEST.evidence, **{name: getattr(other.evidence, name)})
            if evidence != HONEST.evidence:
                with pytest.raises(VerificationError):
                    replace(HONEST, evidence=evidence).verify(SNAPSHOT)


# --- signers who contradict each other -------------------------------------------------------------------


def sealed_with(
    *,
    doc: Doc = LOGS,
    source: Callable[[SourceStatement], SourceStatement] = lambda said: said,
    ingest: dict[str, Any] | None = None,
    review: dict[str, Any] | None = None,
    entry: dict[str, Any] | None = None,
    other: bool = False,
) -> tuple[Passage, Any]:
    """A store whose own signers bent something: everything is signed, logged and proved, and does not fit."""
    forge = Forge()
    said = forge.say(source(source_statement(doc)), "source")
    if other:
        forge.say(source_statement(doc, issued_at=NOW - 601), "source")
    done = ingest_statement(said, doc)
    cut = replace(done, documents=(replace(done.documents[0], **(ingest or {})),))
    ingested = forge.say(cut, "ingest")
    reviewed = forge.say(review_statement(ingested, **(review or {})), "screen")
    forge.batches.append(Batch((doc,), said, ingested, (reviewed,), entry or {}))
    sealed = forge.seal()
    return sealed.passage(), sealed


def claimed(**changes: Any) -> Callable[[SourceStatement], SourceStatement]:
    return lambda said: replace(said, documents=(replace(said.documents[0], **changes),))


@pytest.mark.parametrize(
    ("changes", "expected", "reason"),
    [
        ({}, None, ""),
        ({"source": claimed(digest=OTHER)}, NAMED, "the source signed other bytes"),
        ({"source": claimed(doc_id="guide/pets.md")}, Refusal.UNKNOWN_KEY, "does not name"),
        ({"source": claimed(version=2)}, Refusal.UNKNOWN_KEY, "does not name"),
        ({"source": claimed(metadata=OTHER)}, Refusal.TAMPERED_METADATA, "did not sign"),
        ({"ingest": {"doc_id": "guide/pets.md"}}, NAMED, "the ingest does not name"),
        ({"ingest": {"version": 2}}, NAMED, "another account"),
        ({"ingest": {"document": OTHER}}, NAMED, "another account"),
        ({"ingest": {"source": OTHER}}, NAMED, "another account"),
        ({"ingest": {"chunk_root": OTHER}}, NAMED, "another account"),
        ({"ingest": {"chunk_count": 4}}, NAMED, "another account"),
        ({"review": {"subject": OTHER}}, Refusal.BELOW_THRESHOLD, "0 of 1 screen keys"),
        ({"entry": {"version": 2}}, Refusal.UNKNOWN_KEY, "does not name"),
        ({"entry": {"document": OTHER}}, NAMED, "the source signed other bytes"),
        ({"entry": {"chunk_root": OTHER}}, NAMED, "another account"),
        ({"entry": {"chunk_count": 4}}, NAMED, "another account"),
        ({"entry": {"source": OTHER}}, NAMED, "are not those that its entry names"),
        ({"entry": {"source_index": 0}}, NAMED, "are not those that its entry names"),
        ({"entry": {"ingest": OTHER}}, NAMED, "are not those that its entry names"),
        ({"entry": {"ingest_index": 0}}, NAMED, "are not those that its entry names"),
        ({"entry": {"reviews": ()}}, NAMED, "are not those that its entry names"),
    ],
)
def test_signers_have_to_agree(changes: dict[str, Any], expected: Refusal | None, reason: str) -> None:
    passage, sealed = sealed_with(**changes)
    if expected is None:
        assert passage.verify(sealed.accept()).text == LOGS.texts[0]
    else:
        assert reason in refused(expected, passage.verify, sealed.accept())


def test_chunks_cut_from_another_document_are_refused() -> None:
    class Mixed(Doc):
        @property
        def leaves(self) -> Any:
            return tuple(replace(leaf, document=OTHER) for leaf in super().leaves)

    passage, sealed = sealed_with(doc=Mixed())
    assert "another document" in refused(NAMED, passage.verify, sealed.accept())


def test_chunks_that_count_themselves_wrongly_are_refused() -> None:
    class Short(Doc):
        @property
        def leaves(self) -> Any:
            return tuple(replace(leaf, count=2) for leaf in super().leaves[:2])

    doc = Short()
    wrong = {"chunk_count": 3, "chunk_root": chunk_root(doc.leaves)}
    passage, sealed = sealed_with(doc=doc, ingest=wrong, entry=wrong)
    assert "chunk root that stands" in refused(NAMED, passage.verify, sealed.accept())


def test_another_valid_attestation_cannot_stand_in_for_the_named_one() -> None:
    passage, sealed = sealed_with(other=True)
    again = sign(source_statement(LOGS, issued_at=NOW - 601).encode(), KEYS["source"])
    swapped = tampered(passage, "evidence.source", sealed.logged(again))
    assert "are not those" in refused(NAMED, swapped.verify, sealed.accept())
    cache = VerdictCache()
    passage.verify(sealed.accept(), cache=cache)
    refused(NAMED, swapped.verify, sealed.accept(), cache=cache)


def test_a_statement_that_was_never_logged_proves_nothing() -> None:
    fresh = sign(source_statement(LOGS, issued_at=NOW - 602).encode(), KEYS["source"])
    refused(NAMED, bent("evidence.source.envelope", fresh).verify, SNAPSHOT)


# --- authority -------------------------------------------------------------------------------------------

ACME, ELSE = POLICY.sources


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"sources": (replace(ACME, active=False), ELSE)}, Refusal.REVOKED_KEY),
        ({"sources": (replace(ACME, scope=("acme/handbook/other",)), ELSE)}, Refusal.OUT_OF_SCOPE),
        ({"sources": (ELSE,)}, Refusal.UNKNOWN_KEY),
        ({"sources": (replace(ACME, keys=(policy_key("source", revoked=True),)),)}, Refusal.REVOKED_KEY),
        (
            {"sources": (replace(ACME, keys=(policy_key("source", last_valid_index=2),)),)},
            Refusal.REVOKED_KEY,
        ),
        (
            {"sources": (replace(ACME, keys=(policy_key("source", first_valid_index=4),)),)},
            Refusal.UNKNOWN_KEY,
        ),
        ({"sources": (replace(ACME, keys=(policy_key("source", last_valid_index=3),)),)}, None),
        ({"ingest": replace(POLICY.ingest, keys=(policy_key("ingest", revoked=True),))}, Refusal.REVOKED_KEY),
        ({"ingest": replace(POLICY.ingest, keys=(policy_key("stranger"),))}, Refusal.UNKNOWN_KEY),
        ({"screen": replace(POLICY.screen, keys=(policy_key("screen", revoked=True),))}, Refusal.REVOKED_KEY),
        ({"screen": replace(POLICY.screen, keys=(policy_key("stranger"),))}, Refusal.UNKNOWN_KEY),
        ({"review": replace(POLICY.review, threshold=1)}, Refusal.BELOW_THRESHOLD),
    ],
)
def test_todays_policy_decides(changes: dict[str, Any], expected: Refusal | None) -> None:
    policy, cache = make_policy(version=2, **changes), VerdictCache()
    HONEST.verify(SNAPSHOT, cache=cache)
    snapshot = SEALED.accept(policy)
    if expected is None:
        assert HONEST.verify(snapshot, policy, cache=cache).doc_id == LOGS.doc_id
    else:
        refused(expected, HONEST.verify, snapshot, policy, cache=cache)


def test_people_can_be_asked_too() -> None:
    policy = make_policy(review=replace(POLICY.review, threshold=2))
    for reviewers, enough in (
        (("screen", "review", "review2"), True),
        (("screen", "review"), False),
        (("review", "review2"), True),
        (("review",), False),
    ):
        forge = Forge()
        forge.publish(LOGS, reviewers=reviewers)
        sealed = forge.seal()
        if enough:
            assert sealed.passage().verify(sealed.accept(policy), policy).text == LOGS.texts[0]
        else:
            refused(Refusal.BELOW_THRESHOLD, sealed.passage().verify, sealed.accept(policy), policy)


def test_one_reviewer_who_signs_twice_is_one_reviewer() -> None:
    policy = make_policy(review=replace(POLICY.review, threshold=2))
    forge = Forge()
    batch = forge.publish(LOGS, reviewers=("screen", "review"))
    again = forge.say(review_statement(batch.ingest, created_at=NOW - 1), "review")
    batch.reviews = (*batch.reviews, again)
    sealed = forge.seal()
    refused(Refusal.BELOW_THRESHOLD, sealed.passage().verify, sealed.accept(policy), policy)
    assert isinstance(POLICY.authorise(again, ReviewStatement, log_index=9).statement, ReviewStatement)


# --- context and time ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["store", "tenant", "collection"])
def test_the_callers_context_decides(name: str) -> None:
    elsewhere = replace(CONTEXT, **{name: "elsewhere"})
    refused(Refusal.WRONG_CONTEXT, HONEST.verify, SNAPSHOT, context=elsewhere)
    policy = make_policy(context=elsewhere)
    refused(Refusal.WRONG_CONTEXT, SEALED.accept, policy)
    refused(Refusal.STALE_SNAPSHOT, HONEST.verify, SNAPSHOT, policy, context=elsewhere)


def test_a_passage_copied_into_another_store_is_refused() -> None:
    """The other store's own sealer lets our document stand; its source never signed it for that store."""
    elsewhere = replace(CONTEXT, collection="elsewhere")
    policy = make_policy(context=elsewhere, sources=(replace(ACME, scope=("acme",)),))
    sealed = STORE.seal(context=elsewhere, version=7)
    snapshot = sealed.accept(policy)
    refused(Refusal.WRONG_CONTEXT, sealed.passage().verify, snapshot, policy, context=elsewhere)
    STORE.entries.pop()


def test_nothing_expired_is_served() -> None:
    cache = VerdictCache()
    end = SNAPSHOT.expires
    assert HONEST.verify(SNAPSHOT, now=end - 1, cache=cache).expires == end
    assert "seal a new one" in refused(Refusal.STALE_SNAPSHOT, HONEST.verify, SNAPSHOT, now=end, cache=cache)
    for changes in (
        {"doc": Doc(expires=NOW + 5)},
        {"source": lambda said: replace(said, expires=NOW + 5)},
        {"entry": {"expires": NOW + 5}},
    ):
        passage, sealed = sealed_with(**changes)  # type: ignore[arg-type]
        assert passage.verify(sealed.accept(), now=NOW + 4, cache=cache).expires == NOW + 5
        refused(Refusal.EXPIRED, passage.verify, sealed.accept(), now=NOW + 5, cache=cache)


# --- what is remembered ----------------------------------------------------------------------------------


def test_a_new_snapshot_is_proved_anew() -> None:
    forge, cache = Forge(), VerdictCache()
    forge.publish(LOGS)
    first = forge.seal()
    old = first.passage()
    assert old.verify(first.accept(), cache=cache)
    forge.publish(PETS)
    second = forge.seal(version=3)
    refused(NAMED, old.verify, second.accept(), cache=cache)  # last snapshot's proofs
    assert second.passage().verify(second.accept(), cache=cache).snapshot_version == 3
    forge.batches.pop(0)  # withdrawn
    third = forge.seal(version=4)
    refused(NAMED, old.verify, third.accept(), cache=cache)
    refused(NAMED, second.passage().verify, third.accept(), cache=cache)


def test_a_full_cache_starts_again() -> None:
    cache = VerdictCache(capacity=3)
    for _ in range(3):
        assert HONEST.verify(SNAPSHOT, cache=cache) == HONEST.verify(SNAPSHOT)
    assert SEALED.passage(1).verify(SNAPSHOT, cache=cache).source == "other"


def test_a_revoked_key_silences_at_once() -> None:
    cache = VerdictCache()
    HONEST.verify(SNAPSHOT, cache=cache)
    policy = make_policy(version=2, sources=(replace(ACME, keys=(policy_key("source", revoked=True),)), ELSE))
    refused(Refusal.STALE_SNAPSHOT, HONEST.verify, SNAPSHOT, policy, cache=cache)
    refused(Refusal.REVOKED_KEY, HONEST.verify, SEALED.accept(policy), policy, cache=cache)


# --- the head --------------------------------------------------------------------------------------------


def test_a_head_is_both_checks_in_one() -> None:
    head = SEALED.head()
    snapshot = accept_head(head, POLICY, now=NOW, seen=SNAPSHOT.checkpoint.seen, newer_than=2)
    assert snapshot == SNAPSHOT
    refused(Refusal.ROLLBACK, accept_head, head, POLICY, now=NOW, newer_than=3)
    seen = SeenCheckpoint(99, SNAPSHOT.checkpoint.root)
    refused(Refusal.ROLLBACK, accept_head, head, POLICY, now=NOW, seen=seen)
    forged = sign_checkpoint(SEALED.checkpoint, KEYS["stranger"])
    refused(Refusal.BAD_SIGNATURE, accept_head, replace(head, checkpoint=forged), POLICY, now=NOW)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_one_changed_byte_in_the_snapshot_is_refused(at: int, by: int) -> None:
    head = SEALED.head()
    try:
        envelope = Envelope.parse(flipped(head.snapshot.envelope.encode(), at, by))
    except MalformedError:
        return
    with pytest.raises(VerificationError) as caught:
        accept_head(tampered(head, "snapshot.envelope", envelope), POLICY, now=NOW)
    assert caught.value.refusal in {Refusal.BAD_SIGNATURE, Refusal.UNKNOWN_KEY}


@given(st.integers(0, len(POLICY.encode()) - 1), st.integers(1, 255))
def test_one_changed_byte_in_the_policy_never_serves_the_old_snapshot(at: int, by: int) -> None:
    try:
        policy = Policy.parse(flipped(POLICY.encode(), at, by))
    except MalformedError:
        return
    with pytest.raises(VerificationError) as caught:
        HONEST.verify(SNAPSHOT, policy)
    assert caught.value.refusal in {Refusal.STALE_SNAPSHOT, Refusal.WRONG_CONTEXT}


def test_nobody_else_makes_a_verified_passage() -> None:
    passage = HONEST.verify(SNAPSHOT)
    with pytest.raises(ValueError, match="seal"):
        replace(passage, text="anything")
    with pytest.raises(TypeError, match="only verify_passage"):
        replace(passage, text="anything", seal=object())
    with pytest.raises((AttributeError, TypeError)):
        passage.text = "anything"  # type: ignore[misc]
