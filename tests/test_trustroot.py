"""The trust root: made, opened, renewed; and every way to bend it that we know, refused."""

import json
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tuf.api.exceptions import DownloadHTTPError
from tuf.ngclient import FetcherInterface, Updater

from trustrag.errors import (
    AuthorityError,
    ConfigError,
    MalformedError,
    Refusal,
    SignatureError,
    StaleError,
    TrustragError,
)
from trustrag.provenance.canonical import Digest, Json, encode
from trustrag.provenance.keys import PrivateKey, PublicKey, Signer
from trustrag.provenance.policy import Log, Policy, PolicyKey, Reviewers, Role, Source
from trustrag.provenance.statement import Context
from trustrag.trustroot import (
    DAY,
    ROLES,
    Lifetimes,
    TrustRoot,
    create_trust_root,
    publish_policy,
    refresh,
    refresh_root,
)

NOW = 1_795_446_600
METADATA = ["metadata/1.root.json", "metadata/1.targets.json", "metadata/1.snapshot.json"]


def key(name: str) -> PrivateKey:
    """A key that is always the same for a name."""
    return PrivateKey.from_seed(name.encode().ljust(32, b"."))


class Held:
    """A keyring in memory."""

    def __init__(self, *names: str) -> None:
        self._keys = {key(name).public_key: key(name) for name in names}

    def find(self, public_key: PublicKey) -> Signer | None:
        return self._keys.get(public_key)


ALL = Held(*ROLES)


def policy(version: int = 1, source: PrivateKey | None = None) -> Policy:
    def keys(name: str) -> tuple[PolicyKey, ...]:
        return (PolicyKey(key(name).public_key),)

    return Policy(
        version=version,
        context=Context("store", "tenant", "collection"),
        issued_at=NOW,
        log=Log("example.org/log", keys("log")),
        ingest=Role(keys("ingest")),
        screen=Role(keys("screen")),
        review=Reviewers(),
        seal=Role(keys("seal")),
        sources=(
            Source(
                "acme",
                None,
                (PolicyKey((source or key("acme")).public_key),),
                ("tenant/collection",),
                500,
            ),
        ),
        snapshot_age=90 * DAY,
    )


def signers() -> dict[str, list[Signer]]:
    return {role: [key(role)] for role in ROLES}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_trust_root(tmp_path / "keys", policy(), signers(), now=NOW)
    return tmp_path / "keys"


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def bend(folder: Path, name: str, edit: Callable[[dict[str, Json]], None], by: Sequence[PrivateKey]) -> None:
    """Changes the signed part of one metadata file and signs it again, as a holder of those keys could."""
    path = folder / "metadata" / name
    signed = json.loads(path.read_bytes())["signed"]
    edit(signed)
    write_metadata(path, signed, by)


def write_metadata(path: Path, signed: dict[str, Json], by: Sequence[PrivateKey]) -> None:
    message = encode(signed)
    signatures: list[Json] = [{"keyid": k.public_key.key_id, "sig": k.sign(message).hex()} for k in by]
    path.write_bytes(encode({"signatures": signatures, "signed": signed}))


# making and opening


def test_what_was_made_opens(folder: Path) -> None:
    opened = TrustRoot.open(folder, NOW)
    assert opened.policy == policy()
    assert opened.versions == {"root": 1, "targets": 1, "snapshot": 1, "timestamp": 1, "policy": 1}
    assert [role.role for role in opened.roles] == list(ROLES)
    assert [role.keys for role in opened.roles] == [(key(role).public_key,) for role in ROLES]
    assert [role.expires - NOW for role in opened.roles] == [3650 * DAY, 365 * DAY, 365 * DAY, 90 * DAY]
    assert opened.expires == NOW + 90 * DAY


def test_the_layout_is_that_of_a_tuf_repository(folder: Path) -> None:
    names = [f"targets/{policy().digest.hex}.policy.json", "metadata/timestamp.json", *METADATA]
    assert sorted(files_of(folder)) == sorted(names)


def test_the_first_use_is_said_and_the_next_is_pinned(folder: Path) -> None:
    first = TrustRoot.open(folder, NOW)
    assert first.first_use
    assert first.root == (folder / "metadata" / "1.root.json").read_bytes()
    assert not TrustRoot.open(folder, NOW, pinned=first.root, seen=first.versions).first_use


class FromFolder(FetcherInterface):
    """A local-file fetcher that knows nothing of trustrag."""

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = Path(url.removeprefix("file://"))
        if not path.exists():
            raise DownloadHTTPError("missing", 404)
        return iter([path.read_bytes()])


def test_python_tufs_own_client_opens_it(tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    now = int(time.time())  # its client reads the clock
    create_trust_root(folder, policy(), signers(), now=now)
    publish_policy(folder, policy(2), ALL, now=now)
    refresh_root(folder, ALL, now=now)
    for name in ("cache", "targets"):
        (tmp_path / name).mkdir()
    updater = Updater(
        metadata_dir=str(tmp_path / "cache"),
        metadata_base_url=f"file://{folder}/metadata",
        target_dir=str(tmp_path / "targets"),
        target_base_url=f"file://{folder}/targets",
        fetcher=FromFolder(),
        bootstrap=(folder / "metadata" / "1.root.json").read_bytes(),
    )
    updater.refresh()
    target = updater.get_targetinfo("policy.json")
    assert target is not None
    assert Path(updater.download_target(target)).read_bytes() == policy(2).encode()


def test_a_trust_root_is_not_made_twice(folder: Path) -> None:
    before = files_of(folder)
    with pytest.raises(ConfigError, match="already"):
        create_trust_root(folder, policy(), signers(), now=NOW)
    assert files_of(folder) == before


def test_a_folder_without_one_says_which_command_makes_it(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ConfigError, match="trustrag init"):
            TrustRoot.open(folder, NOW)
        with pytest.raises(ConfigError, match="trustrag init"):
            refresh(folder, ALL, now=NOW)


def test_a_threshold_root_needs_that_many_keys(tmp_path: Path) -> None:
    three = [key("root"), key("second"), key("third")]
    folder = tmp_path / "keys"
    create_trust_root(folder, policy(), {**signers(), "root": three}, now=NOW, root_threshold=2)
    assert TrustRoot.open(folder, NOW).roles[0].threshold == 2
    with pytest.raises(ConfigError, match=r"takes 2 .* 1 of them"):
        refresh_root(folder, Held("root"), now=NOW)
    refresh_root(folder, Held("root", "third"), now=NOW)
    bend(folder, "2.root.json", lambda signed: None, [three[1]])
    with pytest.raises(AuthorityError) as caught:
        TrustRoot.open(folder, NOW)
    assert caught.value.refusal is Refusal.BELOW_THRESHOLD


# a newer policy


def test_a_newer_policy_takes_force(folder: Path) -> None:
    published = publish_policy(folder, policy(2), ALL, now=NOW + DAY)
    assert published.policy == policy(2)
    assert published.versions == {"root": 1, "targets": 2, "snapshot": 2, "timestamp": 2, "policy": 2}
    assert TrustRoot.open(folder, NOW + DAY).policy == policy(2)


def test_a_policy_does_not_go_back_or_elsewhere(folder: Path) -> None:
    publish_policy(folder, policy(3), ALL, now=NOW)
    before = files_of(folder)
    for wrong in (policy(2), policy(3), replace(policy(4), context=Context("other", "tenant", "collection"))):
        with pytest.raises(ValueError, match="newer policy of the same context"):
            publish_policy(folder, wrong, ALL, now=NOW)
    assert files_of(folder) == before


@pytest.mark.parametrize("missing", ROLES[1:])
def test_publishing_takes_all_three_keys(folder: Path, missing: str) -> None:
    before = files_of(folder)
    with pytest.raises(ConfigError, match=f"{missing} role"):
        publish_policy(folder, policy(2), Held(*(role for role in ROLES if role != missing)), now=NOW)
    assert files_of(folder) == before


def test_dying_between_any_two_files_leaves_the_old_policy(folder: Path, tmp_path: Path) -> None:
    before = files_of(folder)
    publish_policy(folder, policy(2), ALL, now=NOW)
    after = files_of(folder)
    order = [*sorted(set(after) - set(before), reverse=True), "metadata/timestamp.json"]
    for reached in range(len(order) + 1):
        half = tmp_path / f"half{reached}"
        for name, data in {**before, **{name: after[name] for name in order[:reached]}}.items():
            (half / name).parent.mkdir(parents=True, exist_ok=True)
            (half / name).write_bytes(data)
        expected = policy(2 if reached == len(order) else 1)
        assert TrustRoot.open(half, NOW).policy == expected
        # and the next writer steps over what was left behind
        publish_policy(half, policy(3), ALL, now=NOW)
        assert TrustRoot.open(half, NOW).policy == policy(3)


def test_an_unfinished_trust_root_can_be_made_again(folder: Path) -> None:
    (folder / "metadata" / "timestamp.json").unlink()
    with pytest.raises(ConfigError, match="trustrag init"):
        TrustRoot.open(folder, NOW)
    create_trust_root(folder, policy(), signers(), now=NOW)
    assert TrustRoot.open(folder, NOW).policy == policy()


# growing old


@pytest.mark.parametrize(
    ("days", "role", "command"),
    [
        (90, "timestamp", "`trustrag keys refresh`"),
        (365, "targets", "`trustrag keys refresh`"),
        (3650, "root", "`trustrag keys refresh --root`"),
    ],
)
def test_an_expired_role_names_the_command(folder: Path, days: int, role: str, command: str) -> None:
    assert TrustRoot.open(folder, NOW + 90 * DAY - 1)
    with pytest.raises(StaleError, match=f"{role} role .*{command}") as caught:
        TrustRoot.open(folder, NOW + days * DAY)
    assert caught.value.refusal is Refusal.EXPIRED


def test_nothing_is_written_while_nothing_is_due(folder: Path) -> None:
    before = files_of(folder)
    refresh(folder, ALL, now=NOW + 45 * DAY)
    assert files_of(folder) == before


def test_the_timestamp_alone_is_renewed_in_the_second_half_of_its_life(folder: Path) -> None:
    now = NOW + 46 * DAY
    assert TrustRoot.open(folder, now).due(now) == ("timestamp",)
    renewed = refresh(folder, Held("timestamp"), now=now)
    assert renewed.versions == {"root": 1, "targets": 1, "snapshot": 1, "timestamp": 2, "policy": 1}
    assert renewed.expires == now + 90 * DAY
    assert renewed.due(now) == ()


def test_a_year_later_one_command_renews_all_but_the_root(folder: Path) -> None:
    now = NOW + 400 * DAY
    renewed = refresh(folder, ALL, now=now)
    assert renewed.versions == {"root": 1, "targets": 2, "snapshot": 2, "timestamp": 2, "policy": 1}
    assert renewed.policy == policy()


def test_the_snapshot_is_renewed_by_whoever_lacks_the_targets_key(folder: Path) -> None:
    renewed = refresh(folder, Held("snapshot", "timestamp"), now=NOW + 200 * DAY)
    assert renewed.versions == {"root": 1, "targets": 1, "snapshot": 2, "timestamp": 2, "policy": 1}
    assert renewed.due(NOW + 200 * DAY) == ("targets",)


def test_a_reader_without_keys_renews_nothing_and_goes_on(folder: Path) -> None:
    before = files_of(folder)
    assert refresh(folder, Held(), now=NOW + 60 * DAY).policy == policy()
    with pytest.raises(StaleError):
        refresh(folder, Held(), now=NOW + 100 * DAY)
    assert files_of(folder) == before


def test_force_renews_at_once_and_needs_the_keys(folder: Path) -> None:
    with pytest.raises(ConfigError, match="targets role"):
        refresh(folder, Held("timestamp"), now=NOW, force=True)
    assert refresh(folder, ALL, now=NOW, force=True).versions["targets"] == 2


def test_an_expired_root_is_renewed_with_its_own_key(folder: Path) -> None:
    now = NOW + 3651 * DAY
    with pytest.raises(StaleError, match="--root"):
        refresh(folder, ALL, now=now)
    renewed = refresh_root(folder, ALL, now=now)
    assert renewed.versions["root"] == 2
    assert renewed.roles[0].expires == now + 3650 * DAY
    assert TrustRoot.open(folder, now, pinned=(folder / METADATA[0]).read_bytes()).versions["root"] == 2


def test_lifetimes_can_be_chosen(tmp_path: Path) -> None:
    long = Lifetimes(*(100 * 365 * DAY for _ in ROLES))
    create_trust_root(tmp_path / "keys", policy(), signers(), now=NOW, lifetimes=long)
    assert TrustRoot.open(tmp_path / "keys", NOW + 99 * 365 * DAY).policy == policy()


# going back


def test_an_old_copy_of_the_folder_is_noticed(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "old")
    newer = publish_policy(folder, policy(2), ALL, now=NOW)
    with pytest.raises(StaleError, match="an old copy was put back") as caught:
        TrustRoot.open(tmp_path / "old", NOW, pinned=newer.root, seen=newer.versions)
    assert caught.value.refusal is Refusal.ROLLBACK


def test_an_old_copy_is_called_old_even_when_it_has_expired(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "old")
    later = NOW + 100 * DAY
    newer = refresh(folder, ALL, now=later)
    with pytest.raises(StaleError) as caught:
        TrustRoot.open(tmp_path / "old", later, pinned=newer.root, seen=newer.versions)
    assert caught.value.refusal is Refusal.ROLLBACK


def test_an_old_copy_is_never_signed_anew(folder: Path, tmp_path: Path) -> None:
    old = tmp_path / "old"
    shutil.copytree(folder, old)
    newer = publish_policy(folder, policy(2), ALL, now=NOW)
    before = files_of(old)
    for renew in (refresh, refresh_root):
        with pytest.raises(StaleError):
            renew(old, ALL, now=NOW + 60 * DAY, pinned=newer.root, seen=newer.versions)
    with pytest.raises(StaleError):
        publish_policy(old, policy(3), ALL, now=NOW, pinned=newer.root, seen=newer.versions)
    assert files_of(old) == before


def test_another_stores_folder_is_refused_under_a_pinned_root(folder: Path, tmp_path: Path) -> None:
    pinned = TrustRoot.open(folder, NOW).root
    others: dict[str, list[Signer]] = {role: [key(f"other {role}")] for role in ROLES}
    create_trust_root(tmp_path / "other", policy(), others, now=NOW)
    with pytest.raises(AuthorityError):
        TrustRoot.open(tmp_path / "other", NOW, pinned=pinned)


# bent


def test_a_root_that_the_old_keys_did_not_sign_is_refused(folder: Path) -> None:
    thief = key("thief")

    def take_over(signed: dict[str, Json]) -> None:
        signed["version"] = 2
        signed["keys"] = {thief.public_key.key_id: key_json(thief.public_key), **keys_except(signed, "root")}
        roles_of(signed)["root"] = {"keyids": [thief.public_key.key_id], "threshold": 1}

    shutil.copy(folder / METADATA[0], folder / "metadata" / "2.root.json")
    bend(folder, "2.root.json", take_over, [thief])
    with pytest.raises(AuthorityError):
        TrustRoot.open(folder, NOW)
    bend(folder, "2.root.json", lambda signed: None, [thief, key("root")])
    assert TrustRoot.open(folder, NOW).roles[0].keys == (thief.public_key,)


def key_json(public: PublicKey) -> Json:
    return {"keytype": "ed25519", "keyval": {"public": public.hex}, "scheme": "ed25519"}


def roles_of(signed: dict[str, Json]) -> dict[str, Json]:
    roles = signed["roles"]
    assert isinstance(roles, dict)
    return roles


def keys_of(signed: dict[str, Json]) -> dict[str, Json]:
    keys = signed["keys"]
    assert isinstance(keys, dict)
    return keys


def keys_except(signed: dict[str, Json], role: str) -> dict[str, Json]:
    return {
        key_id: value for key_id, value in keys_of(signed).items() if key_id != key(role).public_key.key_id
    }


def one_key_under_two_ids(signed: dict[str, Json]) -> None:
    keys_of(signed)["f" * 64] = key_json(key("root").public_key)
    roles_of(signed)["root"] = {"keyids": [key("root").public_key.key_id, "f" * 64], "threshold": 2}


def one_key_in_two_roles(signed: dict[str, Json]) -> None:
    roles_of(signed)["timestamp"] = roles_of(signed)["root"]


def a_small_order_key(signed: dict[str, Json]) -> None:
    public: Json = {"keytype": "ed25519", "keyval": {"public": "01" + "00" * 31}, "scheme": "ed25519"}
    keys_of(signed)[key("timestamp").public_key.key_id] = public


def another_algorithm(signed: dict[str, Json]) -> None:
    pem: Json = {
        "keytype": "rsa",
        "keyval": {"public": "-----BEGIN PUBLIC KEY-----"},
        "scheme": "rsassa-pss-sha256",
    }
    keys_of(signed)[key("timestamp").public_key.key_id] = pem


def a_key_that_is_not_there(signed: dict[str, Json]) -> None:
    roles_of(signed)["root"] = {"keyids": [key("root").public_key.key_id, "e" * 64], "threshold": 1}


def no_consistent_snapshot(signed: dict[str, Json]) -> None:
    signed["consistent_snapshot"] = False


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (one_key_under_two_ids, "two key ids"),
        (one_key_in_two_roles, "serves two roles"),
        (a_small_order_key, "Ed25519"),
        (another_algorithm, "not an Ed25519 key"),
        (a_key_that_is_not_there, "a key that is not there"),
        (no_consistent_snapshot, "consistent"),
    ],
)
def test_a_root_that_says_less_than_it_seems_is_refused(
    folder: Path, edit: Callable[[dict[str, Json]], None], reason: str
) -> None:
    second_id = key("root").public_key.key_id
    bend(folder, "1.root.json", edit, [key("root")])
    document = json.loads((folder / METADATA[0]).read_bytes())
    # the signature counts under both of the ids, as the forger would have it
    document["signatures"].append({"keyid": "f" * 64, "sig": document["signatures"][0]["sig"]})
    assert document["signatures"][0]["keyid"] == second_id
    (folder / METADATA[0]).write_bytes(encode(document))
    with pytest.raises(MalformedError, match=reason):
        TrustRoot.open(folder, NOW)


def test_making_one_with_a_shared_key_is_refused(tmp_path: Path) -> None:
    shared = {**signers(), "timestamp": [key("root")]}
    with pytest.raises(MalformedError):
        create_trust_root(tmp_path / "keys", policy(), shared, now=NOW)


@pytest.mark.parametrize("role", ROLES)
def test_a_key_of_the_trust_root_serves_nothing_else(folder: Path, role: str) -> None:
    with pytest.raises(MalformedError, match="one key, one purpose"):
        publish_policy(folder, policy(2, source=key(role)), ALL, now=NOW)
    assert TrustRoot.open(folder, NOW).policy == policy()


def test_a_policy_that_nobody_signed_is_refused(folder: Path) -> None:
    path = folder / f"targets/{policy().digest.hex}.policy.json"
    path.write_bytes(path.read_bytes().replace(b'"trust":500', b'"trust":501'))
    with pytest.raises(SignatureError):
        TrustRoot.open(folder, NOW)


def naming(meta: Json) -> Callable[[dict[str, Json]], None]:
    """Makes a role name these files."""
    return lambda signed: signed.update(meta=meta)


def resign(folder: Path, edit: Callable[[dict[str, Json]], None]) -> None:
    """Bends the targets role and signs it and all that names it again, as a holder of all keys could."""
    bend(folder, "1.targets.json", edit, [key("targets")])
    for name, by, names in (
        ("1.snapshot.json", "snapshot", "targets.json"),
        ("timestamp.json", "timestamp", "snapshot.json"),
    ):
        data = (folder / "metadata" / f"1.{names}").read_bytes()
        file: Json = {"hashes": {"sha256": Digest.of(data).hex}, "length": len(data), "version": 1}
        bend(folder, name, naming({names: file}), [key(by)])


def test_a_holder_of_all_keys_can_sign_again(folder: Path) -> None:
    resign(folder, lambda signed: None)
    assert TrustRoot.open(folder, NOW).policy == policy()


@pytest.mark.parametrize("name", ["other", "Other", "../other"])
def test_a_policy_by_delegation_is_refused(folder: Path, name: str) -> None:
    def delegate(signed: dict[str, Json]) -> None:
        role: Json = {
            "keyids": [key("other").public_key.key_id],
            "name": name,
            "paths": ["*"],
            "terminating": True,
            "threshold": 1,
        }
        keys: Json = {key("other").public_key.key_id: key_json(key("other").public_key)}
        signed["delegations"] = {"keys": keys, "roles": [role]}

    resign(folder, delegate)
    with pytest.raises(MalformedError, match="delegates"):
        TrustRoot.open(folder, NOW)
    resign(folder, lambda signed: signed.update(targets={}))
    with pytest.raises((MalformedError, ConfigError)):
        TrustRoot.open(folder, NOW)


def test_a_trust_root_without_a_policy_is_refused(folder: Path) -> None:
    resign(folder, lambda signed: signed.update(targets={}))
    with pytest.raises(MalformedError, match=r"distributes no policy\.json"):
        TrustRoot.open(folder, NOW)


def test_a_snapshot_of_another_version_than_named_is_refused(folder: Path) -> None:
    bend(folder, "1.snapshot.json", lambda signed: signed.update(version=2), [key("snapshot")])
    data = (folder / "metadata" / "1.snapshot.json").read_bytes()
    file: Json = {"hashes": {"sha256": Digest.of(data).hex}, "length": len(data), "version": 1}
    bend(folder, "timestamp.json", naming({"snapshot.json": file}), [key("timestamp")])
    with pytest.raises(StaleError) as caught:
        TrustRoot.open(folder, NOW)
    assert caught.value.refusal is Refusal.ROLLBACK


def test_a_folder_in_the_place_of_a_file_is_an_error_of_ours(folder: Path) -> None:
    (folder / "metadata" / "timestamp.json").unlink()
    (folder / "metadata" / "timestamp.json").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        TrustRoot.open(folder, NOW)


def test_a_pinned_root_that_is_none_is_malformed(folder: Path) -> None:
    for pinned in (b"", b"{}", b'{"signatures":[],"signed":{"_type":"root"}}'):
        with pytest.raises(MalformedError):
            TrustRoot.open(folder, NOW, pinned=pinned)


@pytest.mark.parametrize("name", [*METADATA[1:], "metadata/timestamp.json"])
def test_a_role_signed_by_another_key_is_refused(folder: Path, name: str) -> None:
    bend(folder, Path(name).name, lambda signed: None, [key("thief")])
    with pytest.raises((AuthorityError, SignatureError)):
        TrustRoot.open(folder, NOW)


@pytest.mark.parametrize("index", range(5))
def test_a_missing_file_is_named(folder: Path, index: int) -> None:
    name = sorted(files_of(folder))[index]
    (folder / name).unlink()
    with pytest.raises(ConfigError):
        TrustRoot.open(folder, NOW)


def test_a_second_spelling_of_metadata_is_refused(folder: Path) -> None:
    path = folder / "metadata" / "timestamp.json"
    good = path.read_bytes()
    twice = good.replace(b'"version":1}}', b'"version":1,"version":1}}')
    spaced = good.replace(b'"version":1}}', b'"version": 1}}')
    signature = json.loads(good)["signatures"][0]["sig"]
    shouted = good.replace(signature.encode(), signature.upper().encode())
    for bad in (twice, spaced, shouted):
        assert bad != good
        path.write_bytes(bad)
        with pytest.raises(MalformedError):
            TrustRoot.open(folder, NOW)


def test_a_huge_file_is_not_read_to_its_end(folder: Path) -> None:
    with (folder / "metadata" / "timestamp.json").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(MalformedError):
        TrustRoot.open(folder, NOW)


anything = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@anything
@given(data=st.data())
def test_any_one_byte_changed_anywhere_is_refused(folder: Path, data: st.DataObject) -> None:
    files = files_of(folder)
    name = data.draw(st.sampled_from(sorted(files)))
    bent = bytearray(files[name])
    position = data.draw(st.integers(0, len(bent) - 1))
    bent[position] ^= data.draw(st.integers(1, 255))
    (folder / name).write_bytes(bent)
    try:
        with pytest.raises(TrustragError):
            TrustRoot.open(folder, NOW)
    finally:
        (folder / name).write_bytes(files[name])


@anything
@given(
    noise=st.binary(max_size=300)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(
        lambda value: json.dumps(value).encode()
    ),
    index=st.integers(0, 4),
)
def test_noise_anywhere_is_refused_by_an_error_of_ours(folder: Path, noise: bytes, index: int) -> None:
    files = files_of(folder)
    name = sorted(files)[index]
    (folder / name).write_bytes(noise)
    try:
        with pytest.raises(TrustragError):
            TrustRoot.open(folder, NOW)
    finally:
        (folder / name).write_bytes(files[name])


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@anything
@given(value=json_values, data=st.data())
def test_a_signed_field_of_any_shape_is_an_error_of_ours_or_harmless(
    folder: Path, value: Json, data: st.DataObject
) -> None:
    """Even a holder of the keys cannot make the reader crash with what is not a refusal."""
    files = files_of(folder)
    role = data.draw(st.sampled_from(["root", "timestamp"]))
    name = "1.root.json" if role == "root" else "timestamp.json"

    def edit(signed: dict[str, Json]) -> None:
        place: Json = signed
        while isinstance(place, dict) and place:
            field = data.draw(st.sampled_from(sorted(place)))
            if not isinstance(place[field], dict) or data.draw(st.booleans()):
                place[field] = value
                return
            place = place[field]

    bend(folder, name, edit, [key(role)])
    try:
        assert TrustRoot.open(folder, NOW).policy == policy()
    except TrustragError:
        pass
    finally:
        (folder / "metadata" / name).write_bytes(files[f"metadata/{name}"])
