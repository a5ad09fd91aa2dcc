"""The people who review: let in, asked for, gone, and back with another key."""

from pathlib import Path

import pytest

from trustrag.authority import Authority
from trustrag.authority.reviewers import (
    add_reviewer,
    held_reviewers,
    remove_reviewer,
    require_reviewers,
    reviewer,
    reviewer_signer,
)
from trustrag.errors import ConfigError, ConflictError, MalformedError, NotFoundError
from trustrag.keyring import Keyring
from trustrag.provenance.keys import PrivateKey
from trustrag.provenance.statement import Context
from trustrag.publisher import Publisher

NOW = 1_800_000_000
CONTEXT = Context("kb-1", "default", "default")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    keyring = Keyring.create("kb-1", None)
    return Authority.found(CONTEXT, tmp_path / "keys", keyring, "acme", tmp_path / "kb", lambda: NOW)


def public() -> str:
    return PrivateKey.generate().public_key.hex


def test_a_new_store_has_nobody_to_ask(authority: Authority) -> None:
    assert (authority.policy.review.people, authority.policy.review.threshold) == ((), 0)
    assert authority.source("acme").reviews == 0
    with pytest.raises(ConfigError, match="no reviewer are held here"):
        reviewer_signer(authority, None)


def test_a_reviewer_signs_here_or_elsewhere(authority: Authority) -> None:
    ann = add_reviewer(authority, "ann", first_valid_index=7)
    add_reviewer(authority, "bob", public_key=public())
    assert [person.name for person in authority.policy.review.people] == ["ann", "bob"]
    assert ann.keys[0].first_valid_index == 7
    assert held_reviewers(authority) == ("ann",)
    assert reviewer_signer(authority, None)[1].public_key == ann.keys[0].key
    with pytest.raises(ConfigError, match="review as bob"):
        reviewer_signer(authority, "bob")
    purposes = [fact.purpose for fact in authority.key_facts()]
    assert [name for name in purposes if name.startswith("reviewer")] == ["reviewer ann", "reviewer bob"]


@pytest.mark.parametrize("purpose", ["source", "ingest", "screen", "seal", "log", "trust"])
def test_no_key_of_another_purpose_reviews(authority: Authority, purpose: str) -> None:
    policy = authority.policy
    keys = {
        "source": policy.sources[0].keys[0].key,
        "ingest": policy.ingest.keys[0].key,
        "screen": policy.screen.keys[0].key,
        "seal": policy.seal.keys[0].key,
        "log": policy.log.keys[0].key,
        "trust": authority.keyring.public_key("trust-targets"),
    }
    with pytest.raises(MalformedError, match=r"two purposes|one purpose"):
        add_reviewer(authority, "eve", public_key=keys[purpose].hex)
    assert authority.policy.version == 1


def test_a_name_and_a_key_review_once(authority: Authority) -> None:
    key = public()
    add_reviewer(authority, "ann", public_key=key)
    with pytest.raises(ConflictError, match="ann reviews here already"):
        add_reviewer(authority, "ann", public_key=public())
    with pytest.raises(MalformedError, match="two purposes, or is listed twice"):
        add_reviewer(authority, "eve", public_key=key)
    with pytest.raises(ConfigError, match="not a public key"):
        add_reviewer(authority, "eve", public_key="00")
    with pytest.raises(MalformedError, match="slash"):
        add_reviewer(authority, "a/b")


def test_no_more_are_asked_for_than_there_are(authority: Authority) -> None:
    add_reviewer(authority, "ann")
    for source in (None, "acme"):
        with pytest.raises(ConflictError, match="reviewers asked for: 2; in the policy: 1"):
            require_reviewers(authority, 2, source)
    add_reviewer(authority, "bob")
    require_reviewers(authority, 2, "acme")
    require_reviewers(authority, 1)
    assert (authority.policy.review.threshold, authority.source("acme").reviews) == (1, 2)
    with pytest.raises(ConflictError, match="reviewers needed: 2; in the policy: 2"):
        remove_reviewer(authority, "ann", log_size=9)
    with pytest.raises(NotFoundError):
        require_reviewers(authority, 1, "wiki")


def test_who_leaves_keeps_a_name_and_no_voice(authority: Authority) -> None:
    key = add_reviewer(authority, "ann", first_valid_index=3).keys[0].key
    left = remove_reviewer(authority, "ann", log_size=9)
    assert left is not None
    assert (left.keys[0].last_valid_index, left.active) == (8, False)
    with pytest.raises(ConflictError, match="removed already"):
        remove_reviewer(authority, "ann", log_size=9)
    with pytest.raises(ConfigError, match="review as ann"):
        reviewer_signer(authority, "ann")
    back = add_reviewer(authority, "ann", first_valid_index=12)
    assert [one.key == key for one in back.keys] == [True, False]
    assert reviewer_signer(authority, "ann")[1].public_key == back.keys[1].key


def test_who_can_have_signed_nothing_leaves_nothing(authority: Authority) -> None:
    add_reviewer(authority, "ann", first_valid_index=9)
    assert remove_reviewer(authority, "ann", log_size=9) is None
    with pytest.raises(NotFoundError, match="no reviewer 'ann'"):
        reviewer(authority, "ann")


def test_a_reviewer_makes_a_key_elsewhere(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "ann"
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TRUSTRAG_HOME", str(home))
        key = Publisher.open(authority.keys_folder, clock=lambda: NOW).new_reviewer_key("ann")
    assert (home / "keys" / "kb-1" / "reviewer-ann.key").exists()
    assert add_reviewer(authority, "ann", public_key=key.hex).keys[0].key == key
    assert held_reviewers(authority) == ()
