"""The recording or picture that a text was made from: found, digested, and asked for its Content Credentials.

What a text is derived from is signed with it: SHA-256 of the media file, the tool that made the text, and what C2PA says
of the file where c2pa-python is installed. A file that is not what the text says it was made from refuses the text.
"""

import hashlib
import mimetypes
import os
import re
import stat
import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from trustrag.ingest.document import Origin
from trustrag.ingest.reading import isolation
from trustrag.ingest.reading.formats import Unreadable, one_line
from trustrag.provenance.canonical import Digest, Metadata
from trustrag.provenance.statement import Derivation

MEDIA_LIMIT = 8 * 1024 * 1024 * 1024
"""Most bytes of a media file: some hours of video, digested in half a minute."""

UNKNOWN_TOOL = "unknown"
"""What is signed as the tool where nothing says which one made the text."""

_SOUND = (
    ".mp3",
    ".wav",
    ".m4a",
    ".flac",
    ".ogg",
    ".opus",
    ".aac",
    ".mp4",
    ".m4v",
    ".mkv",
    ".webm",
    ".mov",
    ".avi",
)
_PICTURES = (
    ".jpg",
    ".jpeg",
    ".png",
    ".gif",
    ".webp",
    ".avif",
    ".heic",
    ".heif",
    ".tif",
    ".tiff",
    ".bmp",
    ".svg",
    ".dng",
)
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
_SIDECAR = ".sha256"
_SIDECAR_LIMIT = 4096


@dataclass(frozen=True, slots=True)
class Media:
    """A media file that a text was made from, and what is known of it."""

    name: str
    derivation: Derivation

    @property
    def metadata(self) -> dict[str, Metadata]:
        """What the text's metadata says of it. Not the verdict: who has no c2pa-python must find the same metadata."""
        return {"media": self.name, "media_sha256": self.derivation.media.hex}


def is_media(name: str) -> bool:
    """Whether a file of this name is a picture, a recording or a film."""
    return name.lower().endswith((*_SOUND, *_PICTURES))


def beside(origin: Origin) -> str | None:
    """The recording of a transcript by its own name: talk.mp3 of talk.vtt, and of talk.en.vtt."""
    stem = Path(origin.path).stem
    stems = dict.fromkeys((stem, Path(stem).stem))
    names = (name + suffix for name in stems for suffix in _SOUND)
    return next((name for name in names if os.path.lexists(origin.folder / name)), None)


def media_of(origin: Origin, name: str, *, declared: str | None = None, tool: str | None = None) -> Media:
    """The file `name`, relative to the file that speaks of it.

    `declared` is the SHA-256 that the text says its media has; a file `NAME.sha256` beside it (as sha256sum writes it)
    declares one, too. Raises Unreadable where it lies outside of what was given, is no plain file, or is another one.
    """
    path = _inside(origin, name)
    digest, verdict = _examined(str(path), _identity(path, name))
    for wanted in (declared, _sidecar(origin, path)):
        if wanted is None:
            continue
        if not _DIGEST.fullmatch(wanted):
            raise Unreadable(f"the digest of its media {one_line(name)} is no SHA-256 of 64 hex digits")
        if wanted.lower() != digest.hex:
            raise Unreadable(
                f"its media {one_line(name)} is not the one it was made from: its SHA-256 is {digest.hex[:16]}…, "
                f"and should be {wanted.lower()[:16]}…"
            )
    shown = unicodedata.normalize("NFC", one_line(name))
    return Media(shown, Derivation(digest, _named(tool or UNKNOWN_TOOL), verdict))


def tool_of(value: Metadata) -> str | None:
    """A tool as text: "whisper 20240930", given as that or as {"name", "version"}."""
    if isinstance(value, str):
        return value or None
    if isinstance(value, dict):
        parts = [part for part in (value.get("name"), value.get("version")) if isinstance(part, str)]
        return " ".join(parts) or None
    return None


def _named(text: str) -> str:
    return unicodedata.normalize("NFC", one_line(text)).encode()[:200].decode(errors="ignore")


def _inside(origin: Origin, name: str) -> Path:
    shown = one_line(name)[:80]
    if not name or len(name) > 1024 or "\0" in name or "://" in name or name.startswith(("/", "\\", "~")):
        raise Unreadable(f"its media {shown!r} is no path below the folder that was given")
    try:
        path = (origin.folder / name).resolve(strict=True)
    except FileNotFoundError as error:
        raise Unreadable(f"its media {shown} is not there") from error
    except (OSError, RuntimeError, ValueError) as error:
        raise Unreadable(f"its media {shown!r} is no path that can be followed") from error
    if not path.is_relative_to(origin.root.resolve()):
        raise Unreadable(f"its media {shown} lies outside of the folder that was given; not read")
    return path


def _identity(path: Path, name: str) -> tuple[int, ...]:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):
        raise Unreadable(f"its media {one_line(name)} is not a plain file")
    if found.st_size > MEDIA_LIMIT:
        raise Unreadable(f"its media {one_line(name)} is larger than {MEDIA_LIMIT:,} bytes")
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


@lru_cache(maxsize=512)
def _examined(path: str, identity: tuple[int, ...]) -> tuple[Digest, str | None]:
    """SHA-256 and C2PA verdict of a file that is still the one it was: many texts speak of one recording."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").digest()
    verdict = _credentials(path) if find_spec("c2pa") else None
    if _identity(Path(path), path) != identity:
        raise Unreadable("its media changed while it was read")
    return Digest(digest), verdict


def _credentials(path: str) -> str:
    kind = mimetypes.guess_type(path)[0]
    if kind is None:
        return "none"
    try:
        return _named(str(isolation.run("c2pa", path=path, format=kind)["verdict"]))
    except Unreadable as error:
        return _named(f"unreadable: {error}")


def _sidecar(origin: Origin, path: Path) -> str | None:
    """What `NAME.sha256` declares, where there is one."""
    declaring = path.with_name(path.name + _SIDECAR)
    if not declaring.is_file() or not declaring.resolve().is_relative_to(origin.root.resolve()):
        return None
    with declaring.open("rb") as stream:
        words = stream.read(_SIDECAR_LIMIT).decode(errors="replace").split()
    return words[0] if words else ""
