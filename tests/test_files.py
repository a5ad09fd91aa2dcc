"""Files are whole or not there."""

import multiprocessing
import os
import stat
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.files import locked, make_folder, stamp_of, write_whole


@given(before=st.binary(max_size=64), after=st.binary(max_size=64))
def test_a_written_file_holds_the_last_bytes_and_leaves_no_draft(
    tmp_path_factory: pytest.TempPathFactory, before: bytes, after: bytes
) -> None:
    folder = tmp_path_factory.mktemp("files")
    write_whole(folder / "a", before)
    write_whole(folder / "a", after)
    assert (folder / "a").read_bytes() == after
    assert [path.name for path in folder.iterdir()] == ["a"]


def test_an_existing_file_is_kept_when_it_may_not_be_replaced(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"first", replace=False)
    with pytest.raises(FileExistsError):
        write_whole(tmp_path / "a", b"second", replace=False)
    assert (tmp_path / "a").read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(IsADirectoryError):
        write_whole(tmp_path / "a", b"x")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_the_mode_is_there_from_the_first_moment(tmp_path: Path) -> None:
    write_whole(tmp_path / "a", b"secret", mode=0o600)
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o600


def test_a_folder_keeps_its_mode_when_it_is_there(tmp_path: Path) -> None:
    make_folder(tmp_path / "a" / "b", mode=0o700)
    make_folder(tmp_path / "a" / "b", mode=0o755)
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def _count_up(path: Path, times: int) -> None:
    for _ in range(times):
        with locked(path.parent):
            write_whole(path, str(int(path.read_text()) + 1).encode())


def test_a_lock_lets_one_process_in_at_a_time(tmp_path: Path) -> None:
    counter = tmp_path / "counter"
    counter.write_text("0")
    context = multiprocessing.get_context("fork" if hasattr(os, "fork") else "spawn")
    workers = [context.Process(target=_count_up, args=(counter, 25)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert counter.read_text() == "100"


def test_a_file_that_cannot_be_written_is_named_and_not_its_draft(tmp_path: Path) -> None:
    path = tmp_path / "gone" / "policy.json"
    with pytest.raises(FileNotFoundError) as caught:
        write_whole(path, b"{}")
    assert caught.value.filename == str(path)


def test_a_stamp_tells_a_file_that_was_put_back_from_itself(tmp_path: Path) -> None:
    file, kept = tmp_path / "file", tmp_path / "kept"
    assert stamp_of(file) is None
    file.write_bytes(b"old")
    os.link(file, kept)
    before, was = stamp_of(file), file.stat()
    assert before == stamp_of(file)
    time.sleep(0.05)  # some systems tell time by ticks of a few milliseconds
    file.unlink()
    os.replace(kept, file)
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (was.st_ino, was.st_mtime_ns)
    assert stamp_of(file) != before
