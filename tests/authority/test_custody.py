"""Keys over time in a whole workspace: each way to end one, and dying in the middle of it."""

from pathlib import Path

import pytest

from trustrag.authority import Authority
from trustrag.authority.keys import OPERATOR
from trustrag.errors import ConflictError
from trustrag.ledger import Ledger
from trustrag.workspace import Document, KeyFact, Workspace


class Died(Exception):
    """The process ended here."""


def document(name: str) -> Document:
    text = f"Audit logs of {name} are kept for ninety days."
    return Document(name, text.encode(), "text/plain", text, name, {})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with Workspace.init(tmp_path / "kb", source="acme", embedder="hash") as workspace:
        workspace.ingest_documents([document("first")], source="acme")
    return tmp_path / "kb"


def served(folder: Path) -> set[str]:
    """What somebody is answered who opens it now."""
    with Workspace.open(folder) as workspace:
        return {ranked.passage.doc_id for ranked in workspace.search("audit logs", k=10).passages}


def facts(folder: Path, purpose: str) -> list[KeyFact]:
    with Workspace.open(folder) as workspace:
        return [fact for fact in workspace.authority.key_facts() if fact.purpose == purpose]


def goes_on(folder: Path, *expected: str) -> None:
    """It answers, takes in more, and an audit finds nothing."""
    assert served(folder) == {"first", *expected}
    with Workspace.open(folder) as workspace:
        assert len(workspace.ingest_documents([document("next")], source="acme").admitted) == 1
        assert workspace.audit().problems == ()
    assert served(folder) == {"first", "next", *expected}


@pytest.mark.parametrize("purpose", OPERATOR)
def test_dying_between_policy_and_snapshot_leaves_a_store_that_goes_on(
    folder: Path, purpose: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise Died

    with monkeypatch.context() as patch, Workspace.open(folder) as workspace:
        patch.setattr(Ledger, "reseal", die)
        with pytest.raises(Died):
            workspace.keys.rotate(purpose)
    old, new = facts(folder, purpose)
    assert (old.last_valid_index, new.first_valid_index) == (
        new.first_valid_index - 1,
        old.last_valid_index + 1,
    )  # type: ignore[operator]
    goes_on(folder)


@pytest.mark.parametrize("purpose", ["seal", "log"])
@pytest.mark.parametrize("reached", [0, 1])
def test_dying_in_a_revocation_leaves_a_store_that_goes_on_and_the_command_goes_on_too(
    folder: Path, purpose: str, reached: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish, published = Authority.publish, 0

    def die(self: Authority, changed: object) -> None:
        nonlocal published
        if published == reached:
            raise Died
        published += 1
        publish(self, changed)  # type: ignore[arg-type]

    stolen = facts(folder, purpose)[0].key
    with monkeypatch.context() as patch, Workspace.open(folder) as workspace:
        patch.setattr(Authority, "publish", die)
        with pytest.raises(Died):
            workspace.keys.revoke(stolen, reason="stolen")
    assert not facts(folder, purpose)[0].revoked
    goes_on(folder)
    with Workspace.open(folder) as workspace:
        workspace.keys.revoke(stolen, reason="stolen")
    assert facts(folder, purpose)[0].revoked
    assert facts(folder, purpose)[0].reason == "stolen"
    assert served(folder) == {"first", "next"}


def test_a_key_file_that_was_left_over_is_used(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_: object) -> None:
        raise Died

    with monkeypatch.context() as patch, Workspace.open(folder) as workspace:
        patch.setattr(Authority, "publish", die)
        with pytest.raises(Died):
            workspace.keys.rotate("ingest")
    with Workspace.open(folder) as workspace:
        names = workspace.authority.keyring.names()
        change = workspace.keys.rotate("ingest")
        assert workspace.authority.keyring.names() == names
        assert change.successor == workspace.authority.keyring.public_key("ingest-2").key_id


def test_the_last_key_of_the_operator_is_not_retired_and_a_sources_may_be(folder: Path) -> None:
    with Workspace.open(folder) as workspace:
        for purpose in OPERATOR:
            with pytest.raises(ConflictError, match="rotate it instead"):
                workspace.keys.retire(facts(folder, purpose)[0].key)
        workspace.keys.retire(facts(folder, "source acme")[0].key)
    assert served(folder) == {"first"}
    with Workspace.open(folder) as workspace:
        workspace.keys.rotate(source="acme")
    goes_on(folder)


def test_a_key_that_never_spoke_is_revoked_and_not_retired(folder: Path) -> None:
    with Workspace.open(folder) as workspace:
        workspace.add_source("wiki")
        with pytest.raises(ConflictError, match="signed nothing yet: revoke it"):
            workspace.keys.retire(facts(folder, "source wiki")[0].key)
        workspace.keys.rotate(source="wiki")
        assert len(facts(folder, "source wiki")) == 1
        workspace.keys.revoke(facts(folder, "source wiki")[0].key, reason="lost")
    goes_on(folder)


@pytest.mark.parametrize("purpose", ["ingest", "screen", "source acme"])
def test_what_a_revoked_key_silenced_comes_back_when_it_is_taken_in_anew(folder: Path, purpose: str) -> None:
    with Workspace.open(folder) as workspace:
        workspace.keys.revoke(facts(folder, purpose)[0].key, reason="stolen")
        assert not workspace.search("audit logs").passages
        assert any("REVOKED_KEY" in problem.what for problem in workspace.audit().problems)
        if purpose == "source acme":
            workspace.keys.rotate(source="acme")
        (again,) = workspace.ingest_documents([document("first")], source="acme").admitted
        assert again.version == 2
        assert workspace.ingest_documents([document("first")], source="acme").unchanged
    goes_on(folder)
