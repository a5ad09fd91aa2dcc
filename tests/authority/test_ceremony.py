"""Ceremony files as bytes, and putting them in force: dying at any moment, with the old keys and without them."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.test_trustroot import NOW, Held, key, policy, signers
from trustrag import trustroot
from trustrag.authority.ceremony import Proposal, RootChange, merged, propose
from trustrag.authority.reading import described
from trustrag.errors import (
    AuthorityError,
    ConfigError,
    ConflictError,
    MalformedError,
    NotFoundError,
    TrustragError,
)
from trustrag.trustroot import TrustRoot, create_trust_root, install, publish_policy

ROTATED = RootChange(
    add={role: [key(f"new {role}").public_key] for role in ("targets", "snapshot", "timestamp")},
    remove=[key(role).public_key for role in ("targets", "snapshot", "timestamp")],
)
NEW = ("new targets", "new snapshot", "new timestamp")


class Died(Exception):
    """The process ended here."""


def made(folder: Path) -> TrustRoot:
    return create_trust_root(folder, policy(), signers(), now=NOW)


def signed(proposal: Proposal, *names: str) -> Proposal:
    return proposal.opened().signed(Held(*names).find)


def put(folder: Path, proposal: Proposal, *names: str, pinned: bytes | None = None) -> TrustRoot:
    return install(folder, proposal.opened().made(), Held(*names), now=NOW, pinned=pinned)


@pytest.mark.parametrize("old_keys", [True, False], ids=["with the old keys", "without them"])
def test_dying_between_any_two_files_can_be_gone_on_from(
    tmp_path: Path, old_keys: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = (*NEW, "targets", "snapshot", "timestamp") if old_keys else NEW
    write, reached = trustroot.write_whole, 0
    while True:
        folder = tmp_path / str(reached)
        before = made(folder)
        proposal = signed(propose(before, root=ROTATED, now=NOW), "root", *held)
        left = reached

        def dying(path: Path, data: bytes) -> None:
            nonlocal left
            if left == 0:
                raise Died
            left -= 1
            write(path, data)

        with monkeypatch.context() as patch, suppress(Died):
            patch.setattr(trustroot, "write_whole", dying)
            put(folder, proposal, *held)
            break
        try:
            TrustRoot.open(folder, NOW, pinned=before.root)
        except AuthorityError:
            assert not old_keys, "with the old keys a trust root is in force at every moment"
        after = put(folder, proposal, *held, pinned=before.root)
        assert after.versions["root"] == 2
        assert [role.keys for role in after.roles[1:]] == [(key(name).public_key,) for name in NEW]
        assert publish_policy(folder, policy(2), Held(*NEW), now=NOW, pinned=before.root).policy == policy(2)
        reached += 1
    assert reached >= 4


def test_a_proposal_follows_what_was_in_force_and_nothing_else(tmp_path: Path) -> None:
    before = made(tmp_path / "keys")
    first = signed(propose(before, root=RootChange(), now=NOW), "root")
    second = signed(propose(before, policy=policy(2), now=NOW), "targets")
    put(tmp_path / "keys", second, *trustroot.ROLES)
    with pytest.raises(ConflictError, match="prepare it anew"):
        put(tmp_path / "keys", first, *trustroot.ROLES)
    assert TrustRoot.open(tmp_path / "keys", NOW).policy == policy(2)


def test_publishing_takes_the_keys_that_sign_with_every_change(tmp_path: Path) -> None:
    proposal = signed(propose(made(tmp_path / "keys"), policy=policy(2), now=NOW), "targets")
    for names in (("timestamp",), ("snapshot",), ()):
        with pytest.raises(ConfigError, match="publish where they are"):
            put(tmp_path / "keys", proposal, *names)
    assert TrustRoot.open(tmp_path / "keys", NOW).policy == policy()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (RootChange(add={"root": [key("root").public_key]}), ConflictError),
        (RootChange(add={"root": [key("targets").public_key]}), MalformedError),
        (RootChange(add={"root": [key("seal").public_key]}), MalformedError),
        (RootChange(remove=[key("root").public_key]), MalformedError),
        (RootChange(remove=[key("stranger").public_key]), NotFoundError),
        (RootChange(thresholds={"root": 2}), MalformedError),
        (RootChange(thresholds={"root": 0}), MalformedError),
    ],
)
def test_a_root_that_cannot_be_is_not_proposed(
    tmp_path: Path, change: RootChange, error: type[Exception]
) -> None:
    with pytest.raises(error):
        propose(made(tmp_path / "keys"), root=change, now=NOW)


def test_copies_are_put_together_and_other_files_are_not(tmp_path: Path) -> None:
    before = made(tmp_path / "keys")
    two = RootChange(add={"root": [key("second").public_key]}, thresholds={"root": 2})
    proposal = propose(before, root=two, now=NOW)
    copies: Sequence[Proposal] = [signed(proposal, "root"), signed(proposal, "second")]
    assert all(copy.opened().missing() for copy in copies)
    assert merged(copies).opened().missing() == []
    assert merged([*copies, *copies]) == merged(copies)
    with pytest.raises(ConflictError, match="different things"):
        merged([copies[0], propose(before, root=two, now=NOW + 1)])


def test_what_is_said_is_what_changes(tmp_path: Path) -> None:
    before = made(tmp_path / "keys")
    lines = described(propose(before, policy=policy(2, source=key("other")), now=NOW).opened())
    assert lines[0] == "store store"
    assert lines[1].startswith("policy version 1 -> 2, until ")
    old, new = (key(name).public_key.key_id[:16] for name in ("acme", "other"))
    assert f"  + sources[acme].keys[{new}].revoked = False" in lines
    assert f"  - sources[acme].keys[{old}].revoked = False" in lines
    assert not any("issuedAt" in line for line in lines)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder = tmp_path_factory.mktemp("ceremony") / "keys"
    return signed(propose(made(folder), root=ROTATED, now=NOW), "root", "new targets").encode()


def test_what_is_written_is_read_back(whole: bytes) -> None:
    assert Proposal.parse(whole).encode() == whole
    Proposal.parse(whole).opened()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150)
@given(st.data())
def test_one_changed_byte_is_refused_by_an_error_of_ours(whole: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(whole) - 1))
    bent = bytearray(whole)
    bent[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(TrustragError):
        Proposal.parse(bytes(bent)).opened()
