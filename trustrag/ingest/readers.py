"""From paths to documents: walk, open safely, read, name.

Whatever is wrong with a file costs one `ReadProblem` and never the run. A document is named by its path
below the folder that was given, with forward slashes and in Unicode normal form C, so that the same folder
gives the same names on every system.
"""

import errno
import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from trustrag.ingest.document import Document, ReadProblem
from trustrag.ingest.formats import Unreadable, extract
from trustrag.ingest.jsonl import read_lines

FILE_LIMIT = 32 * 1024 * 1024
"""Most bytes of one file."""

_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_JSONL = "application/jsonl"
MEDIA_TYPES = {
    "": "text/plain",
    ".txt": "text/plain",
    ".text": "text/plain",
    ".rst": "text/plain",
    ".md": "text/markdown",
    ".markdown": "text/markdown",
    ".html": "text/html",
    ".htm": "text/html",
    ".xhtml": "text/html",
    ".pdf": "application/pdf",
    ".docx": _DOCX,
    ".csv": "text/csv",
    ".tsv": "text/csv",
    ".jsonl": _JSONL,
    ".ndjson": _JSONL,
}
"""What a file is taken for, by its suffix in lower case."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    name: str
    asked: bool  # named by the caller, not met in a folder


def read(
    paths: Iterable[str | Path], *, prefix: str = "", licence: str | None = None, max_bytes: int = FILE_LIMIT
) -> Iterator[Document | ReadProblem]:
    """Read files, and folders with all that is below them, in a fixed order.

    Document ids are `prefix` + the path below its folder (for a file given by itself: its name); a line of a
    JSONL file is a document of its own, `file.jsonl#id` or `file.jsonl#line`. Names with a leading dot are
    passed over in folders, links out of a folder and anything that is not a plain file are refused.
    `licence` is an SPDX expression that the source declares for all of them.
    """
    for path in map(Path, paths):
        for found in _find(path):
            if isinstance(found, ReadProblem):
                yield found
            else:
                yield from _read_file(found, prefix, licence, max_bytes)


def _find(path: Path) -> Iterator[_File | ReadProblem]:
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except (OSError, ValueError) as error:
        yield ReadProblem(_printable(str(path)), _system(error))
        return
    if is_folder:
        yield from _walk(path)
    else:
        yield _named(path, path.resolve().name if path.name in ("", "..") else path.name, asked=True)


def _walk(folder: Path) -> Iterator[_File | ReadProblem]:
    """Every file below a folder, by name. No link to a folder is followed, so none leads in a circle."""
    root = folder.resolve()
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        try:
            with os.scandir(here) as listing:
                entries = sorted(
                    (entry for entry in listing if not entry.name.startswith(".")), key=lambda e: e.name
                )
        except OSError as error:
            yield ReadProblem(_printable(here.relative_to(folder).as_posix()), _system(error))
            continue
        folders = []
        for entry in entries:
            path = Path(entry.path)
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
            else:
                yield _checked(path, folder, root, link=entry.is_symlink())
        waiting.extend(reversed(folders))


def _checked(path: Path, folder: Path, root: Path, *, link: bool) -> _File | ReadProblem:
    name = path.relative_to(folder).as_posix()
    if link:
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError):
            return ReadProblem(_printable(name), "a link that leads nowhere or in a circle")
        if not target.is_relative_to(root):
            return ReadProblem(_printable(name), "a link out of the folder; not followed")
        if target.is_dir():
            return ReadProblem(_printable(name), "a link to a folder; not followed", skipped=True)
        path = target
    return _named(path, name, asked=False)


def _named(path: Path, name: str, *, asked: bool) -> _File | ReadProblem:
    try:
        name.encode()
    except UnicodeEncodeError:
        return ReadProblem(_printable(name), "its name is not UTF-8; rename it")
    return _File(path, unicodedata.normalize("NFC", name), asked)


def _read_file(
    file: _File, prefix: str, licence: str | None, max_bytes: int
) -> Iterator[Document | ReadProblem]:
    doc_id = prefix + file.name
    suffix = PurePosixPath(file.name).suffix
    media_type = MEDIA_TYPES.get(suffix.lower())
    if media_type is None:
        yield ReadProblem(_printable(doc_id), f"no reader for {_printable(suffix)} files", not file.asked)
        return
    try:
        data = _load(file.path, max_bytes, follow=file.asked)
        if media_type == _JSONL:
            yield from read_lines(data, doc_id, file.name, licence)
            return
        found = extract(data, media_type)
    except (Unreadable, OSError) as error:
        yield ReadProblem(_printable(doc_id), str(error) if isinstance(error, Unreadable) else _system(error))
        return
    title = found.title or PurePosixPath(file.name).stem
    metadata = {"path": file.name, "title": unicodedata.normalize("NFC", title)}
    yield Document(doc_id, data, media_type, found.text, metadata["title"], metadata, licence)


def _load(path: Path, max_bytes: int, *, follow: bool) -> bytes:
    """All bytes of a plain file. Nothing else is opened to be read: a pipe would wait, a device never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise Unreadable("not a plain file")
    # The file may have been swapped since it was looked at: what was opened is looked at again, and a link
    # that has taken the place of a file is not followed.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))
    with os.fdopen(descriptor, "rb") as stream:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unreadable("not a plain file")
        data = stream.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise Unreadable(f"larger than {max_bytes:,} bytes; split it")
    if not data:
        raise Unreadable("empty")
    return data


def _system(error: Exception) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOENT:
        return "no such file or folder"
    return (error.strerror or "cannot be read") if isinstance(error, OSError) else "no valid file name"


def _printable(name: str) -> str:
    """A hostile file name, fit for one line of a terminal."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in name)[:300]
