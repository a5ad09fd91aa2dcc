import os
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest

from tests.redteam.world import workspace
from trustrag import Workspace
from trustrag.errors import ConfigError
from trustrag.redteam.placing import Paper
from trustrag.redteam.scratch import scratch


def _everything(*places: Path) -> dict[Path, bytes]:
    files = (path for place in places for path in place.rglob("*") if path.is_file())
    return {
        path: sha256(path.read_bytes()).digest() for path in files if not path.name.endswith((".idx", "-shm"))
    }


@pytest.mark.parametrize("apart", [False, True])
def test_a_copy_is_attacked_and_the_original_is_not_touched(tmp_path: Path, home: Path, apart: bool) -> None:
    keys = tmp_path / "root" if apart else None
    folder = workspace(tmp_path / "kb", keys)
    with Workspace.open(folder) as original:
        original.search("When did the Harbour Library of Bexmoor open?")
    before = _everything(tmp_path, home)
    with scratch(folder) as copies:
        for name in ("one", "two"):
            with copies.copy(name) as copy:
                copy.add_source("intruder")
                copy.ingest_documents([Paper("A new text.", "new")], source="intruder")
                assert len(copy.standing_documents()) == 17
                place = copy.folder
            assert not place.exists()
    assert _everything(tmp_path, home) == before
    assert os.environ["TRUSTRAG_HOME"] == str(home)
    with Workspace.open(folder) as original:
        assert len(original.search("When did the Harbour Library of Bexmoor open?").passages) == 5


def test_two_copies_may_be_open_one_inside_the_other(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "kb")
    with scratch(folder) as copies, copies.copy("clean") as clean:
        with copies.copy("attacked") as attacked:
            attacked.add_source("intruder")
            attacked.ingest_documents([Paper("Bexmoor has no library.", "new")], source="intruder")
            assert attacked.search("library of Bexmoor", k=20).snapshot.version == 4
        assert clean.search("library of Bexmoor").snapshot.version == 3


def test_encrypted_keys_stay_encrypted_and_are_asked_for_once(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "kb", passphrase=b"open sesame")
    asked: list[str] = []

    def ask() -> bytes:
        asked.append("once")
        return b"open sesame"

    with scratch(folder, ask) as copies:
        for name in ("one", "two"):
            with copies.copy(name) as copy:
                assert copy.authority.keyring.encrypted
                copy.add_source("intruder")
    assert asked == ["once"]


def test_without_a_home_variable_there_is_none_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = workspace(tmp_path / "kb")
    with scratch(folder) as copies:
        monkeypatch.delenv("TRUSTRAG_HOME")
        with copies.copy("one") as copy:
            assert copy.standing_documents()
        assert "TRUSTRAG_HOME" not in os.environ


def test_what_is_no_workspace_is_not_copied(tmp_path: Path) -> None:
    with pytest.raises(ConfigError), scratch(tmp_path):
        pass


def test_a_text_is_embedded_once(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "kb")
    with scratch(folder) as copies:
        embedder = copies.embedder
        one, again = embedder.embed(["a b", "c d", "a b"]), embedder.embed(["c d"])
        assert np.array_equal(one[0], one[2])
        assert np.array_equal(one[1], again[0])
        assert embedder.embed([]).shape == (0, one.shape[1])
        assert embedder.embed_query("a") is embedder.embed_query("a")
