"""`trustrag.toml`: read back as it was written, and refused in one sentence where it cannot be used."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.errors import ConfigError
from trustrag.settings import FILE_NAME, Settings

GOOD = Settings("kb-00ff", "keys", "minilm", "flat", 1000, 100)
TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40)


@given(keys=TEXT, embedder=TEXT, size=st.integers(1, 10_000), data=st.data())
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, keys: str, embedder: str, size: int, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("settings")
    made = Settings("kb-00ff", keys, embedder, "hnsw", size, data.draw(st.integers(0, size - 1)))
    made.write(folder)
    assert Settings.read(folder) == made


def test_a_path_is_taken_from_the_workspace(tmp_path: Path) -> None:
    assert GOOD.keys_folder(tmp_path) == (tmp_path / "keys").resolve()
    elsewhere = Settings("kb", str(tmp_path / "public"), "minilm", "flat", 1000, 100)
    assert elsewhere.keys_folder(tmp_path / "kb") == (tmp_path / "public").resolve()


@pytest.mark.parametrize(
    ("store", "index", "size", "overlap"),
    [
        ("", "flat", 1000, 100),
        ("../up", "flat", 1000, 100),
        ("KB", "flat", 1000, 100),
        ("k" * 65, "flat", 1000, 100),
        ("kb", "bogus", 1000, 100),
        ("kb", "flat", 100, 100),
        ("kb", "flat", 100, -1),
        ("kb", "flat", 0, 0),
    ],
)
def test_values_that_cannot_be(store: str, index: str, size: int, overlap: int) -> None:
    with pytest.raises(ConfigError):
        Settings(store, "keys", "minilm", index, size, overlap)


def test_a_control_character_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="control character"):
        Settings("kb", "ke\nys", "minilm", "flat", 1000, 100).write(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda text: "not = [", "cannot be read"),
        (lambda text: text.replace("format = 1", "format = 2"), "another version of trustrag"),
        (lambda text: text.replace("format = 1\n", ""), "not in format 1"),
        (lambda text: text + 'more = "x"\n', "must hold exactly"),
        (lambda text: text.replace("chunk_size = 1000", 'chunk_size = "1000"'), "must hold exactly"),
        (lambda text: text.replace("chunk_size = 1000", "chunk_size = true"), "must hold exactly"),
        (lambda text: text.replace('index = "flat"\n', ""), "must hold exactly"),
        (lambda text: text.replace("kb-00ff", "../../etc"), "store id"),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path: Path, change: object, reason: str) -> None:
    assert callable(change)
    GOOD.write(tmp_path)
    path = tmp_path / FILE_NAME
    path.write_text(change(path.read_text(encoding="utf-8")), encoding="utf-8")
    with pytest.raises(ConfigError, match=reason):
        Settings.read(tmp_path)


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        Settings.read(tmp_path)
