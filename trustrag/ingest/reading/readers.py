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

from trustrag.ingest.document import Document, Origin, ReadProblem
from trustrag.ingest.reading import formats, isolation
from trustrag.ingest.reading.captions import read_captions
from trustrag.ingest.reading.code import LANGUAGES, metadata_of
from trustrag.ingest.reading.faq import is_faq, read_faq
from trustrag.ingest.reading.formats import Unreadable
from trustrag.ingest.reading.jsonl import read_lines
from trustrag.ingest.reading.records import RecordReader
from trustrag.ingest.reading.tables import read_table
from trustrag.ingest.reading.transcripts import read_srt, read_vtt

FILE_LIMIT = 32 * 1024 * 1024
"""Most bytes of one file."""

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
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".ipynb": "application/x-ipynb+json",
    **{suffix: language.media_type for suffix, language in LANGUAGES.items()},
}
"""What a file that is one document is taken for, by its suffix in lower case."""

RECORDS: dict[str, RecordReader] = {
    ".csv": read_table,
    ".tsv": read_table,
    ".jsonl": read_lines,
    ".ndjson": read_lines,
    ".vtt": read_vtt,
    ".srt": read_srt,
}
"""What reads a file of several documents, by the same; `faq.md` and `captions.json` are such files by their names."""


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    name: str
    root: Path  # the folder that was given; for a file given by itself, the one it lies in
    asked: bool  # named by the caller, not met in a folder


def read(
    paths: Iterable[str | Path], *, prefix: str = "", licence: str | None = None, max_bytes: int = FILE_LIMIT
) -> Iterator[Document | ReadProblem]:
    """Read files, and folders with all that is below them, in a fixed order.

    Document ids are `prefix` + the path below its folder (for a file given by itself: its name); a record of a
    file of records (a JSONL line, a table's rows, some cues of a transcript) is a document of its own, `file#name`.
    Names with a leading dot are passed over in folders, links out of a folder and anything that is not a plain file
    are refused.
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
        name = path.resolve().name if path.name in ("", "..") else path.name
        yield _named(path, name, path.parent, asked=True)


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
    return _named(path, name, folder, asked=False)


def _named(path: Path, name: str, root: Path, *, asked: bool) -> _File | ReadProblem:
    try:
        name.encode()
    except UnicodeEncodeError:
        return ReadProblem(_printable(name), "its name is not UTF-8; rename it")
    return _File(path, unicodedata.normalize("NFC", name), root, asked)


def _read_file(
    file: _File, prefix: str, licence: str | None, max_bytes: int
) -> Iterator[Document | ReadProblem]:
    doc_id = prefix + file.name
    suffix = PurePosixPath(file.name).suffix.lower()
    media_type, records = MEDIA_TYPES.get(suffix), RECORDS.get(suffix)
    if suffix == ".json" and "caption" in PurePosixPath(file.name).name.lower():
        records = read_captions
    if media_type is None and records is None:
        yield ReadProblem(_printable(doc_id), f"no reader for {_printable(suffix)} files", not file.asked)
        return
    try:
        data = _load(file.path, max_bytes, follow=file.asked)
        if media_type == "text/markdown" and is_faq(file.name, data):
            records = read_faq
        if records is not None:
            yield from records(data, Origin(doc_id, file.name, file.path.parent, file.root, licence))
        elif media_type is not None:
            yield _document(data, doc_id, file.name, media_type, licence)
    except (Unreadable, OSError) as error:
        yield ReadProblem(_printable(doc_id), str(error) if isinstance(error, Unreadable) else _system(error))
    except Exception as error:
        # A mistake of ours costs a file, and never the run: what was read before it is kept.
        reason = formats.one_line(f"damaged or malformed ({type(error).__name__}: {error})")
        yield ReadProblem(_printable(doc_id), reason)


def _document(data: bytes, doc_id: str, name: str, media_type: str, licence: str | None) -> Document:
    apart = media_type in isolation.ISOLATED
    found = isolation.extract(data, media_type) if apart else formats.extract(data, media_type)
    title = unicodedata.normalize("NFC", found.title or PurePosixPath(name).stem)
    metadata = {"path": name, "title": title, **metadata_of(found.text, media_type)}
    return Document(doc_id, data, media_type, found.text, title, metadata, licence)


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
