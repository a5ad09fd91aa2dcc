"""Trust root and keyring as one: which keys may say what, which of them are here, and what a source has of its own."""

import shutil
from pathlib import Path

import pytest

from trustrag.authority import Authority
from trustrag.errors import ConfigError, ConflictError, MalformedError, NotFoundError, Refusal, StaleError
from trustrag.keyring import Keyring, home
from trustrag.provenance.keys import PrivateKey
from trustrag.provenance.statement import Context
from trustrag.publisher import Publisher
from trustrag.trustroot import TrustRoot
from trustrag.workspace import Workspace

NOW = 1_800_000_000
CONTEXT = Context("kb-1", "default", "default")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    keyring = Keyring.create("kb-1", None)
    return Authority.found(CONTEXT, tmp_path / "keys", keyring, "acme", tmp_path / "kb", lambda: NOW)


def as_somebody_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str) -> None:
    monkeypatch.setenv("TRUSTRAG_HOME", str(tmp_path / name))


# ---- founding


def test_a_founded_store_has_a_key_for_each_purpose_and_no_two_alike(authority: Authority) -> None:
    facts = authority.key_facts()
    assert [fact.purpose for fact in facts] == [
        *("trust root", "trust targets", "trust snapshot", "trust timestamp"),
        *("ingest", "screen", "seal", "answer", "log", "source acme"),
    ]
    assert len({fact.public for fact in facts}) == len(facts)
    assert all(fact.held for fact in facts)
    assert [fact.expires is not None for fact in facts] == [True] * 4 + [False] * 6
    assert authority.own_source() == "acme"
    assert authority.notices() == []


def test_a_reader_holds_no_keys_and_is_told_of_the_first_use(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_somebody_else(monkeypatch, tmp_path, "reader")
    reader = Authority("kb-1", authority.keys_folder, workspace=tmp_path / "kb", clock=lambda: NOW)
    assert any("for the first time" in notice for notice in reader.notices())
    assert not any(fact.held for fact in reader.key_facts())
    with pytest.raises(ConfigError, match="can read and verify, and not sign"):
        reader.signer(reader.policy.ingest.keys, "ingest")
    with pytest.raises(ConfigError, match="no source"):
        reader.own_source()
    again = Authority("kb-1", authority.keys_folder, workspace=tmp_path / "kb", clock=lambda: NOW)
    assert again.notices() == []


# ---- sources


def test_sources_are_added_in_one_new_policy_each(authority: Authority) -> None:
    authority.add_source("wiki", trust=0.25, scope=("default/default/wiki",))
    authority.add_sources(["a", "b", "c"])
    assert authority.policy.version == 3
    assert [source.name for source in authority.policy.sources] == ["acme", "wiki", "a", "b", "c"]
    with pytest.raises(ConfigError, match=r"several sources \(acme, wiki, a, b, c\)"):
        authority.own_source()


@pytest.mark.parametrize("names", [["acme"], ["new", "new"], ["new", "acme"]])
def test_a_name_is_given_once(authority: Authority, names: list[str]) -> None:
    with pytest.raises(ConflictError):
        authority.add_sources(names)
    assert authority.policy.version == 1


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        ({"trust": 1.5}, ValueError),
        ({"trust": -0.1}, ValueError),
        ({"trust": float("nan")}, ValueError),
        ({"scope": ("elsewhere",)}, ConfigError),
        ({"scope": ("default/defaults",)}, ConfigError),
        ({"public_key": "zz"}, ConfigError),
        ({"public_key": "00" * 32}, ConfigError),
        ({"public_key": "00" * 31}, ConfigError),
    ],
    ids=str,
)
def test_a_source_that_cannot_be_is_not_added(
    authority: Authority, wrong: dict[str, object], error: type[Exception]
) -> None:
    held = authority.keyring.names()
    with pytest.raises(error):
        authority.add_source("wiki", **wrong)  # type: ignore[arg-type]
    assert authority.policy.version == 1
    assert authority.keyring.names() == held


@pytest.mark.parametrize("scope", ["default", "default/default", "default/default/wiki"])
def test_scopes_around_the_collection_are_allowed(authority: Authority, scope: str) -> None:
    assert authority.add_source("wiki", scope=(scope,)).scope == (scope,)


def test_a_key_that_serves_another_purpose_is_refused(authority: Authority) -> None:
    for fact in authority.key_facts():
        with pytest.raises(MalformedError):
            authority.add_source("wiki", public_key=fact.public)
    assert authority.policy.version == 1


@pytest.mark.parametrize("name", ["Ünïcode & co", "a b", "..", "-", "x" * 200, "CON"])
def test_any_name_of_a_source_has_a_key_file_of_its_own(authority: Authority, name: str) -> None:
    authority.add_source(name)
    assert authority.source_signer(name).public_key == authority.source(name).keys[0].key
    assert all(path.parent == authority.keyring.folder for path in home().rglob("*.key"))


def test_suspending_and_resuming(authority: Authority) -> None:
    authority.set_active("acme", False)
    assert not authority.source("acme").active
    with pytest.raises(ConflictError, match="suspended already"):
        authority.set_active("acme", False)
    authority.set_active("acme", True)
    with pytest.raises(ConflictError, match="active already"):
        authority.set_active("acme", True)
    with pytest.raises(NotFoundError, match="trustrag source list"):
        authority.set_active("nobody", False)


# ---- the trust root, seen by others


def test_a_change_is_seen_by_whoever_has_it_open(authority: Authority, tmp_path: Path) -> None:
    other = Authority("kb-1", authority.keys_folder, workspace=tmp_path / "kb", clock=lambda: NOW)
    first = other.policy
    assert other.policy is first
    authority.add_source("wiki")
    assert other.policy.version == 2


def test_an_older_trust_root_is_a_rollback(authority: Authority, tmp_path: Path) -> None:
    shutil.copytree(authority.keys_folder, tmp_path / "old")
    authority.set_active("acme", False)
    shutil.rmtree(authority.keys_folder)
    shutil.copytree(tmp_path / "old", authority.keys_folder)
    with pytest.raises(StaleError) as caught:
        _ = authority.policy
    assert caught.value.refusal is Refusal.ROLLBACK


def test_bytes_that_are_no_trust_root_are_named_with_their_place(authority: Authority) -> None:
    (authority.keys_folder / "metadata" / "timestamp.json").write_bytes(b"garbage")
    with pytest.raises(MalformedError, match=r"the trust root in .*keys: "):
        _ = authority.policy
    shutil.rmtree(authority.keys_folder)
    with pytest.raises(ConfigError, match="no trust root in"):
        _ = authority.policy


# ---- a source on its own machine


def test_a_source_signs_with_the_public_trust_root_and_a_key_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (docs / "a.md").write_text("Audit logs are kept for ninety days.", encoding="utf-8")
    with Workspace.init(tmp_path / "kb", source="acme", embedder="hash") as store:
        shutil.copytree(store.authority.keys_folder, tmp_path / "public")
        operator = home()

        as_somebody_else(monkeypatch, tmp_path, "guide")
        publisher = Publisher.open(tmp_path / "public")
        with pytest.raises(ConfigError):
            publisher.attest([docs], tmp_path / "guide.jsonl", source="acme")
        key = publisher.new_key("guide", lambda: b"horse")
        report = publisher.attest([docs], tmp_path / "guide.jsonl", source="guide")
        assert [each.doc_id for each in report.attested] == ["a.md"]
        with pytest.raises(ConfigError, match="already"):
            publisher.new_key("guide")

        monkeypatch.setenv("TRUSTRAG_HOME", str(operator))
        refused = store.ingest([docs], attestations=tmp_path / "guide.jsonl").refused
        assert [each.doc_id for each in refused] == ["a.md"]
        store.add_source("guide", public_key=key.raw.hex())
        assert len(store.ingest([docs], attestations=tmp_path / "guide.jsonl").admitted) == 1
        with pytest.raises(ConfigError, match="no key that may sign as source guide"):
            store.ingest([docs], source="guide")


def test_a_sources_key_is_locked_and_asked_for_once(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_somebody_else(monkeypatch, tmp_path, "guide")
    Publisher.open(authority.keys_folder, clock=lambda: NOW).new_key("guide", lambda: b"horse")
    asked: list[str] = []

    def ask() -> bytes:
        asked.append("asked")
        return b"horse"

    publisher = Publisher.open(authority.keys_folder, ask_passphrase=ask, clock=lambda: NOW)
    publisher.new_key("second", lambda: pytest.fail("later keys are locked as the first one is"))
    (tmp_path / "a.md").write_text("text", encoding="utf-8")
    publisher.attest([tmp_path / "a.md"], tmp_path / "a.jsonl", source="guide")
    assert asked == ["asked"]
    assert publisher.authority.keyring.encrypted


def test_a_key_once_revoked_signs_no_more(authority: Authority) -> None:
    gone = PrivateKey.generate()
    authority.keyring.add("gone", gone)
    keys = authority.add_source("wiki", public_key=gone.public_key.raw.hex()).keys
    assert authority.signer(keys, "sign").public_key == gone.public_key
    (known,) = keys
    for ended in (type(known)(known.key, revoked=True), type(known)(known.key, last_valid_index=3)):
        with pytest.raises(ConfigError, match="no key that may sign"):
            authority.signer([ended], "sign")


def test_a_key_that_was_made_before_its_source_is_used(authority: Authority) -> None:
    made = authority.new_key("source", "wiki", lambda: None)
    assert authority.add_source("wiki").keys[0].key == made
    assert authority.source_signer("wiki").public_key == made


def test_what_changes_while_it_is_read_is_read_again(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A policy that is put in force while another process reads the one before must not be passed over."""
    reader = Authority("kb-1", authority.keys_folder, workspace=tmp_path / "kb", clock=lambda: NOW)
    opens = TrustRoot.open
    raced: list[int] = []

    def overtaken(*args: object, **names: object) -> TrustRoot:
        root = opens(*args, **names)  # type: ignore[arg-type]
        if not raced:
            raced.append(root.policy.version)
            authority.set_active("acme", False)
        return root

    monkeypatch.setattr(TrustRoot, "open", overtaken)
    assert reader.policy.version == 1
    assert reader.policy.version == 2
    assert raced == [1]
