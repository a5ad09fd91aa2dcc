"""Where published files lie: a folder, or a web server that hands one out."""

from http.client import HTTPException
from pathlib import Path
from typing import Protocol
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from trustrag.errors import BackendError, ConfigError

_PATIENCE = 30  # seconds that one answer may take


class Place(Protocol):
    """Files by name, read and never written."""

    @property
    def name(self) -> str:
        """How a person would call it."""

    def read(self, name: str, limit: int) -> bytes | None:
        """All of one file, or None where there is none. Raises BackendError beyond `limit` bytes, or if it cannot be."""


def open_place(where: str | Path) -> Place:
    """A folder, or the prefix of an http, https or file URL. Raises ConfigError for what is neither."""
    parts = urlsplit(str(where))
    if parts.scheme in ("http", "https"):
        return _Web(str(where).rstrip("/"))
    folder = Path(parts.path) if parts.scheme == "file" else Path(where)
    if not folder.is_dir():
        raise ConfigError(f"{where} is neither a folder nor the address of one")
    return _Folder(folder)


class _Folder:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def name(self) -> str:
        return str(self._folder)

    def read(self, name: str, limit: int) -> bytes | None:
        path = self._folder / name
        try:
            with path.open("rb") as file:
                return _within(file.read(limit + 1), limit, str(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise BackendError(f"{path} cannot be read: {error.strerror}") from error


class _Web:
    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    @property
    def name(self) -> str:
        return self._prefix

    def read(self, name: str, limit: int) -> bytes | None:
        address = f"{self._prefix}/{name}"
        status, data = _asked(Request(address), limit)
        if status == 404:
            return None
        if status != 200:
            said = " ".join(data[:200].decode(errors="replace").split())
            raise BackendError(f"{address} answered {status} {said}")
        return data


def post(address: str, body: bytes, limit: int) -> tuple[int, bytes]:
    """The status and the body of the answer to a POST. Raises BackendError where there is no answer."""
    return _asked(Request(address, data=body, method="POST"), limit)


def _asked(request: Request, limit: int) -> tuple[int, bytes]:
    address = request.full_url
    try:
        with urlopen(request, timeout=_PATIENCE) as answer:
            return answer.status, _within(answer.read(limit + 1), limit, address)
    except HTTPError as error:
        with error:
            return error.code, error.read(limit)
    except (URLError, HTTPException, OSError, ValueError) as error:
        raise BackendError(f"{address} cannot be reached: {error}") from error


def _within(data: bytes, limit: int, where: str) -> bytes:
    if len(data) > limit:
        raise BackendError(f"{where} has more than the {limit} bytes that it may have")
    return data
