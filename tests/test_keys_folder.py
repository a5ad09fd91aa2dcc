"""No private key is ever published: not under keys/, and not in any file that git tracks."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from trustrag.provenance import keys

ROOT = Path(__file__).resolve().parent.parent

PRIVATE = [
    re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----\s+[A-Za-z0-9+/]{16}"),
    re.compile(rb"untrusted comment: minisign (encrypted )?secret key"),
    re.compile(rb"\bAGE-SECRET-KEY-1[0-9A-Z]{20}"),
    re.compile(rb'"private"\s*:\s*"[0-9a-fA-F]{64}"'),
]
"""Files that hold a private key in some common form; our own form is checked by parsing."""

QUICK_LOCK = keys.KeyLock(b"correct horse", keys.Derivation(b"s" * 16, operations=1, memory=8192))


def tracked() -> list[Path]:
    """The files that git tracks, or every file of a source tree without git."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode != 0:
        return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    return [ROOT / name for name in listing.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def private_key_in(data: bytes) -> str | None:
    """What private key `data` holds, or None."""
    for pattern in PRIVATE:
        if pattern.search(data):
            return pattern.pattern.decode()
    try:
        value = json.loads(data)
    except ValueError:
        return None
    if isinstance(value, dict) and value.get("format") == keys.KEY_FILE_FORMAT:
        return keys.KEY_FILE_FORMAT
    return None


def test_no_tracked_file_holds_a_private_key() -> None:
    found = {path: reason for path in tracked() if (reason := private_key_in(path.read_bytes()))}
    assert not found


def test_nothing_under_keys_is_private() -> None:
    for path in (ROOT / "keys").rglob("*"):
        assert path.suffix not in {".key", ".pem", ".p8", ".secret"}, path
        assert not path.is_file() or private_key_in(path.read_bytes()) is None, path


def test_what_is_under_keys_is_public_metadata_or_this_readme() -> None:
    for path in (ROOT / "keys").rglob("*"):
        assert path.is_dir() or path.suffix == ".json" or path.name == "README.md", path


@pytest.mark.parametrize("lock", [None, QUICK_LOCK], ids=["in the clear", "encrypted"])
def test_the_test_knows_our_own_key_files(lock: keys.KeyLock | None) -> None:
    data = keys.encrypt_private_key(keys.PrivateKey.generate(), lock)
    assert private_key_in(data) is not None


def test_the_test_knows_a_pem() -> None:
    pem = b"-----BEGIN " + b"PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIN9R\n"
    assert private_key_in(pem) is not None
