"""Arrays of integers in one file: a line of JSON that describes them, then their bytes.

FAISS can write its own files, and reads them with a parser in C++ that was not made for hostile input.
A cache may have been written by anyone, so here a file is a length-checked list of integer arrays with a
digest against damage, and whoever loads it checks every number before a native library sees it.
"""

import hashlib
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trustrag.errors import BackendError

_FORMAT = "trustrag-index/1"
_MAX_HEADER = 4096


@dataclass(frozen=True, slots=True)
class CacheFile:
    """What a file states of itself (to be compared, never believed) and its arrays."""

    facts: dict[str, object]
    arrays: dict[str, NDArray[np.int64]]


def write(path: Path, facts: Mapping[str, str | int], arrays: Mapping[str, NDArray[np.int64]]) -> None:
    """Write facts and arrays, whole or not at all. Raises BackendError where the disk refuses.

    A process that dies before the rename leaves the old file and a stray `*.part` beside it.
    """
    body = b"".join(np.ascontiguousarray(array, dtype="<i8").tobytes() for array in arrays.values())
    sizes = {name: len(array) for name, array in arrays.items()}
    digest = hashlib.sha256(body).hexdigest()
    header = json.dumps({"format": _FORMAT, "facts": dict(facts), "arrays": sizes, "sha256": digest})
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            file.write(header.encode() + b"\n" + body)
            file.flush()
            os.fsync(file.fileno())
        os.replace(file.name, path)
    except OSError as error:
        raise BackendError(f"cannot write the index cache {path}: {error}") from error


def read(path: Path, names: tuple[str, ...]) -> CacheFile | None:
    """What this file holds, or None where it is missing, damaged or holds other arrays than these."""
    try:
        data = path.read_bytes()
        end = data.index(b"\n", 0, _MAX_HEADER)
        header, body = json.loads(data[:end]), data[end + 1 :]
        facts, sizes = dict(header["facts"]), dict(header["arrays"])
        if header["format"] != _FORMAT or tuple(sizes) != names:
            return None
        if not all(type(size) is int and size >= 0 for size in sizes.values()):
            return None
        if len(body) != 8 * sum(sizes.values()) or hashlib.sha256(body).hexdigest() != header["sha256"]:
            return None
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    arrays, start = {}, 0
    for name, size in sizes.items():
        arrays[name] = np.frombuffer(body, dtype="<i8", count=size, offset=8 * start).astype(np.int64)
        start += size
    return CacheFile(facts, arrays)
