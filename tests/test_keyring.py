"""Private keys and the memory of a store: where they lie, who can read them, and that they only go up."""

import contextlib
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag import keyring
from trustrag.errors import ConfigError, MalformedError, NotFoundError, Refusal, StaleError
from trustrag.keyring import Keyring, SeenState, UserState, home, passphrase_from_environment
from trustrag.provenance.canonical import Digest
from trustrag.provenance.keys import PrivateKey

PASSPHRASE = b"correct horse battery staple"


class Asked:
    """Stands for a prompt: answers, and counts how often it was asked."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.times = 0

    def __call__(self) -> bytes:
        self.times += 1
        return self.answer


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def encrypted() -> Keyring:
    keyring = Keyring.create("store", PASSPHRASE)
    for name in ("log", "seal", "trust-root"):
        keyring.generate(name)
    return keyring


# private keys


def test_home_is_where_the_environment_says(home: Path) -> None:
    assert Keyring.create("store", None).folder == home.resolve() / "keys" / "store"


def test_home_without_a_choice_is_the_users_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRUSTRAG_HOME")
    assert home().name == "trustrag"


def test_a_key_signs_after_reopening(encrypted: Keyring) -> None:
    signer = Keyring.open("store", Asked(PASSPHRASE)).signer("log")
    signer.public_key.verify(b"message", signer.sign(b"message"))
    assert signer.public_key == encrypted.public_key("log")


def test_names_are_sorted_and_public_keys_need_no_passphrase(encrypted: Keyring) -> None:
    ask = Asked(b"wrong")
    keyring = Keyring.open("store", ask)
    assert keyring.names() == ("log", "seal", "trust-root")
    assert keyring.encrypted
    assert keyring.public_key("seal") == encrypted.public_key("seal")
    assert keyring.find(encrypted.public_key("seal")) is not None
    assert ask.times == 0


def test_the_passphrase_is_asked_once_for_all_keys(encrypted: Keyring) -> None:
    ask = Asked(PASSPHRASE)
    keyring = Keyring.open("store", ask)
    for name in keyring.names():
        keyring.signer(name).sign(b"message")
    keyring.generate("ingest")
    assert ask.times == 1


def test_a_wrong_passphrase_neither_signs_nor_stays(encrypted: Keyring) -> None:
    ask = Asked(b"wrong")
    keyring = Keyring.open("store", ask)
    with pytest.raises(ConfigError, match="wrong passphrase"):
        keyring.signer("log").sign(b"message")
    ask.answer = PASSPHRASE
    assert keyring.signer("log").sign(b"message") == encrypted.signer("log").sign(b"message")


def test_a_wrong_passphrase_never_closes_a_new_key(encrypted: Keyring) -> None:
    keyring = Keyring.open("store", Asked(b"wrong"))
    for _ in range(2):
        with pytest.raises(ConfigError, match="wrong passphrase"):
            keyring.generate("ingest")
    assert Keyring.open("store").names() == ("log", "seal", "trust-root")


def test_without_a_prompt_the_error_names_the_variable(encrypted: Keyring) -> None:
    with pytest.raises(ConfigError, match="TRUSTRAG_PASSPHRASE_FILE"):
        Keyring.open("store").signer("log").sign(b"message")


def test_a_passphrase_file_comes_before_the_prompt(
    encrypted: Keyring, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "passphrase").write_bytes(PASSPHRASE + b"\n")
    monkeypatch.setenv("TRUSTRAG_PASSPHRASE_FILE", str(tmp_path / "passphrase"))
    ask = Asked(b"wrong")
    Keyring.open("store", ask).signer("log").sign(b"message")
    assert ask.times == 0


def test_a_passphrase_file_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    assert passphrase_from_environment() is None
    monkeypatch.setenv("TRUSTRAG_PASSPHRASE_FILE", "/nowhere/passphrase")
    with pytest.raises(ConfigError, match="/nowhere/passphrase"):
        passphrase_from_environment()


def test_files_are_for_their_owner_alone(encrypted: Keyring) -> None:
    assert mode(encrypted.folder) == 0o700
    assert {mode(path) for path in encrypted.folder.iterdir()} == {0o600}


def test_no_file_holds_a_seed_in_the_clear(encrypted: Keyring) -> None:
    keyring = Keyring.create("other", PASSPHRASE)
    key = PrivateKey.from_seed(b"\x07" * 32)
    keyring.add("log", key)
    data = (keyring.folder / "log.key").read_bytes()
    assert b"\x07" * 8 not in data
    assert b"BwcHBwcH" not in data


def test_keys_without_a_passphrase_sign_without_asking() -> None:
    made = Keyring.create("store", None).generate("log")
    keyring = Keyring.open("store")
    assert not keyring.encrypted
    made.public_key.verify(b"message", keyring.signer("log").sign(b"message"))
    keyring.generate("seal")
    assert not Keyring.open("store").encrypted


def test_a_key_that_others_can_read_is_refused(encrypted: Keyring) -> None:
    path = encrypted.folder / "log.key"
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 600"):
        Keyring.open("store")


def test_keys_never_lie_in_the_workspace_or_under_keys(home: Path, tmp_path: Path) -> None:
    for place in (home, home / "keys", home.parent):
        with pytest.raises(ConfigError, match="private keys would lie in"):
            Keyring.create("store", None, apart_from=[tmp_path, place])
    assert not (home / "keys").exists()


def test_a_link_does_not_hide_where_keys_lie(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "link").symlink_to(home)
    monkeypatch.setenv("TRUSTRAG_HOME", str(tmp_path / "link"))
    with pytest.raises(ConfigError, match="private keys would lie in"):
        Keyring.create("store", None, apart_from=[home])


@pytest.mark.parametrize("name", ["", "../up", "a/b", ".hidden", "-flag", "a b", "a" * 129, "a\n"])
def test_names_that_could_lead_elsewhere_are_refused(name: str) -> None:
    keyring = Keyring.create("store", None)
    with pytest.raises(ConfigError):
        keyring.generate(name)
    with pytest.raises(ConfigError):
        Keyring.create(name, None)
    with pytest.raises(ConfigError):
        UserState(name)


def test_a_key_is_never_overwritten(encrypted: Keyring) -> None:
    before = (encrypted.folder / "log.key").read_bytes()
    with pytest.raises(ConfigError, match="already"):
        encrypted.generate("log")
    with pytest.raises(ConfigError, match="already"):
        Keyring.create("store", PASSPHRASE)
    assert (encrypted.folder / "log.key").read_bytes() == before


def test_a_store_without_keys_can_be_read_only() -> None:
    with pytest.raises(ConfigError, match="can read and verify"):
        Keyring.open("store")


def test_an_unknown_key_is_not_found(encrypted: Keyring) -> None:
    with pytest.raises(NotFoundError):
        encrypted.signer("screen")
    with pytest.raises(NotFoundError):
        encrypted.public_key("screen")
    assert encrypted.find(PrivateKey.generate().public_key) is None


def test_a_damaged_key_file_is_named(encrypted: Keyring) -> None:
    (encrypted.folder / "log.key").write_bytes(b"{}")
    with pytest.raises(MalformedError, match=r"log\.key"):
        Keyring.open("store")


def test_nothing_private_is_printed(encrypted: Keyring) -> None:
    shown = f"{encrypted!r} {encrypted.signer('log')!r}"
    assert PASSPHRASE.decode() not in shown
    assert "seed" not in shown


# the memory

digests = st.binary(min_size=32, max_size=32).map(Digest)
versions = st.dictionaries(
    st.sampled_from(["root", "targets", "snapshot", "timestamp", "policy"]), st.integers(0, 99)
)


@st.composite
def states(draw: st.DrawFn) -> SeenState:
    """Histories of one log: equal sizes have equal roots."""
    size = draw(st.integers(0, 9))
    return SeenState(
        root=draw(st.none() | st.text(st.characters(codec="ascii")).filter(bool).map(str.encode)),
        trust=draw(versions),
        snapshot_version=draw(st.integers(0, 99)),
        log_size=size,
        log_root=Digest.of(bytes([size])) if size else None,
    )


@given(state=states())
def test_a_state_is_read_as_it_was_written(state: SeenState) -> None:
    assert SeenState.parse(state.encode()) == state
    assert SeenState.parse(state.encode()).encode() == state.encode()


@given(data=st.binary(max_size=200))
def test_noise_is_no_state(data: bytes) -> None:
    with pytest.raises(MalformedError):
        SeenState.parse(data)


@given(state=states(), position=st.integers(0, 10_000), byte=st.integers(0, 255))
def test_a_bent_state_is_refused_or_another_state(state: SeenState, position: int, byte: int) -> None:
    data = bytearray(state.encode())
    data[position % len(data)] = byte
    with contextlib.suppress(MalformedError):
        assert SeenState.parse(bytes(data)).encode() == bytes(data)


@given(first=states(), second=states())
def test_a_memory_only_goes_up(first: SeenState, second: SeenState) -> None:
    merged = first.merged(second)
    for state in (first, second):
        assert merged.snapshot_version >= state.snapshot_version
        assert merged.log_size >= state.log_size
        assert all(merged.trust[role] >= version for role, version in state.trust.items())
        assert merged.merged(state) == merged
    assert merged.log_root in (first.log_root, second.log_root)


def test_the_root_of_the_higher_version_is_kept() -> None:
    old, new = SeenState(b"one", {"root": 1}), SeenState(b"two", {"root": 2})
    assert old.merged(new).root == new.merged(old).root == b"two"
    assert old.merged(SeenState(None, {"root": 2})).root == b"one"


def test_two_logs_of_one_size_are_a_fork() -> None:
    left = SeenState(log_size=4, log_root=Digest.of(b"left"))
    with pytest.raises(StaleError) as caught:
        left.merged(SeenState(log_size=4, log_root=Digest.of(b"right")))
    assert caught.value.refusal is Refusal.FORK


def test_the_first_read_finds_nothing_and_then_what_was_seen() -> None:
    memory = UserState("store")
    assert memory.read() is None
    state = SeenState(b'{"root":1}', {"root": 1, "policy": 3}, 7, 12, Digest.of(b"log"))
    assert memory.advance(state) == state
    assert UserState("store").read() == state
    assert mode(memory.path) == 0o600


def test_an_older_state_lowers_nothing() -> None:
    memory = UserState("store")
    state = SeenState(b"root", {"root": 2}, 7, 12, Digest.of(b"log"))
    memory.advance(state)
    assert memory.advance(SeenState(b"old", {"root": 1}, 5, 9, Digest.of(b"earlier"))) == state
    assert memory.read() == state


def test_a_fork_is_not_remembered() -> None:
    memory = UserState("store")
    state = SeenState(log_size=4, log_root=Digest.of(b"left"))
    memory.advance(state)
    with pytest.raises(StaleError):
        memory.advance(SeenState(log_size=4, log_root=Digest.of(b"right")))
    assert memory.read() == state


def test_a_damaged_memory_is_no_first_use() -> None:
    memory = UserState("store")
    memory.advance(SeenState(snapshot_version=3))
    memory.path.write_bytes(memory.path.read_bytes()[:-1])
    with pytest.raises(MalformedError, match=r"store\.json"):
        memory.read()
    with pytest.raises(MalformedError):
        memory.advance(SeenState(snapshot_version=4))


class Died(Exception):
    """The process ended here."""


@pytest.mark.parametrize("reached", range(7))
def test_a_change_of_passphrase_that_dies_leaves_one_passphrase(
    reached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three drafts, the mark that they count, three moves: dying before or after any of these."""
    made = Keyring.create("kb-1", b"old")
    keys = {name: made.generate(name).public_key for name in ("a", "b", "c")}
    left = reached

    def dying(act: Callable[..., None]) -> Callable[..., None]:
        def do(*args: object, **names: object) -> None:
            nonlocal left
            if left == 0:
                raise Died
            left -= 1
            act(*args, **names)

        return do

    with monkeypatch.context() as patch:
        patch.setattr(keyring, "write_whole", dying(keyring.write_whole))
        patch.setattr(Path, "replace", dying(Path.replace))
        with pytest.raises(Died):
            made.change_passphrase(b"new")
    passphrase = b"old" if reached < 4 else b"new"
    opened = Keyring.open("kb-1", lambda: passphrase)
    assert {name: opened.signer(name).public_key for name in opened.names()} == keys
    for name, public in keys.items():
        public.verify(b"message", opened.signer(name).sign(b"message"))
    assert not [path for path in opened.folder.iterdir() if path.suffix != ".key"]


@pytest.mark.parametrize("passphrase", [b"new", None])
def test_a_passphrase_is_changed_for_all_keys(passphrase: bytes | None) -> None:
    made = Keyring.create("kb-1", b"old")
    made.generate("a")
    with pytest.raises(ConfigError, match="wrong passphrase"):
        Keyring.open("kb-1", lambda: b"wrong").change_passphrase(passphrase)
    made.change_passphrase(passphrase)
    made.generate("b")
    opened = Keyring.open("kb-1", None if passphrase is None else lambda: b"new")
    assert opened.encrypted is (passphrase is not None)
    assert [opened.signer(name).sign(b"m") for name in opened.names()]
