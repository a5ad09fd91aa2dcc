"""Files that are whole or not there: how small files that matter are written and guarded.

A file is written beside its place, flushed to the disk and moved over it in one step, so a reader (or a
person after a power cut) finds the old bytes or the new ones and never a half.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


def write_whole(path: Path, data: bytes, *, mode: int = 0o644, replace: bool = True) -> None:
    """Writes `data` to `path` in one step, durably, with these permission bits.

    With `replace=False` an existing file is never touched: FileExistsError, decided by the file system,
    so two processes cannot both believe that they were first.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with open(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        # If we die here, a draft with a dot in front is left: nobody reads it.
        if replace:
            os.replace(draft, path)
        else:
            os.link(draft, path)
    except OSError as error:
        if error.filename != str(draft):
            raise
        # Of the draft nobody has heard. A FileExistsError that decides who was first names the place itself.
        raise type(error)(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(FileNotFoundError):
            draft.unlink()
    _flush_folder(path.parent)


def stamp_of(path: Path) -> tuple[int, ...] | None:
    """What differs once a file was replaced or changed; None where it is not there.

    The system's own time of the last change is part of it (POSIX st_ctim), which nobody sets: whoever puts an older file back
    in the same inode, with its size and time, would otherwise keep a reader from ever looking again.
    """
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def make_folder(path: Path, *, mode: int = 0o755) -> None:
    """The folder with its parents; the last one gets these permission bits when it is made here."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        path.mkdir(mode=mode)
        _flush_folder(path.parent)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds an exclusive lock on a folder that exists, and waits for it; the system frees it if we die."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _flush_folder(folder: Path) -> None:
    """The name in the folder is as durable as the bytes only after this."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
