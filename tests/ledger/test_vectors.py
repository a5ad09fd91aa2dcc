"""The vector file: rows come back as the bytes they were, and only rows that count."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.errors import BackendError, LedgerError
from trustrag.ledger.vectors import VectorFile


def rows(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((count, 4)).astype(np.float32)


@pytest.fixture
def file(tmp_path: Path):
    file = VectorFile(tmp_path / "vectors.f32", 4, write=True)
    yield file
    file.close()


def test_rows_come_back_bit_by_bit(file: VectorFile, tmp_path: Path) -> None:
    first, second = rows(3, 1), rows(2, 2)
    file.append(0, first)
    assert file.rows(np.array([2, 0]), 3).tobytes() == first[[2, 0]].tobytes()
    file.append(3, second)
    assert file.rows(np.arange(5), 5).tobytes() == first.tobytes() + second.tobytes()
    assert file.row(4) == second[1].tobytes()
    assert (tmp_path / "vectors.f32").read_bytes() == first.tobytes() + second.tobytes()


def test_a_tail_is_written_over_or_cut_off(file: VectorFile) -> None:
    file.append(0, rows(2))
    file.append(2, rows(5, 7))  # and the writer dies before its commit
    file.append(2, rows(1, 8))
    assert file.row(2) == rows(1, 8)[0].tobytes()
    assert file.surplus(3) == 4 * 16
    assert file.reclaim(3) == 4 * 16
    assert file.reclaim(3) == 0
    assert file.length() == 3 * 16


def test_what_is_not_there_is_told(file: VectorFile) -> None:
    file.append(0, rows(2))
    assert file.row(2) == b""
    assert file.rows(np.empty(0, dtype=np.int64), 2).shape == (0, 4)
    for index in (-1, 2):
        with pytest.raises(LedgerError, match="outside"):
            file.rows(np.array([index]), 2)
    with pytest.raises(LedgerError, match="shorter"):
        file.rows(np.array([0]), 3)
    with pytest.raises(LedgerError, match="16 bytes shorter"):
        file.reclaim(3)
    with pytest.raises(BackendError):
        file.row(1 << 62)


def test_a_truncated_file_does_not_kill_its_readers(file: VectorFile, tmp_path: Path) -> None:
    file.append(0, rows(1000))
    assert len(file.rows(np.arange(1000), 1000)) == 1000
    with open(tmp_path / "vectors.f32", "r+b") as other:
        other.truncate(100)
    with pytest.raises(LedgerError, match="shorter"):
        file.rows(np.arange(1000), 1000)
    assert len(file.row(6)) == 4


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(BackendError):
        VectorFile(tmp_path / "missing" / "vectors.f32", 4, write=True)
    with pytest.raises(BackendError):
        VectorFile(tmp_path / "vectors.f32", 4, write=False)
    VectorFile(tmp_path / "vectors.f32", 4, write=True).close()
    reader = VectorFile(tmp_path / "vectors.f32", 4, write=False)
    with pytest.raises(BackendError, match="extended"):
        reader.append(0, rows(1))
    reader.close()
    reader.close()


@given(st.lists(st.integers(0, 49), max_size=30))
def test_any_selection_is_that_of_numpy(indexes: list[int]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        file = VectorFile(Path(folder) / "vectors.f32", 4, write=True)
        file.append(0, rows(50))
        chosen = np.array(indexes, dtype=np.int64)
        assert file.rows(chosen, 50).tobytes() == rows(50)[chosen].tobytes()
        file.close()
