"""`trustrag.toml`: the few things a workspace folder has to say of itself.

Nothing here is trusted: whoever edits it points at other keys or another embedder and is refused by the trust
root, the rollback memory or the ledger. It is written once by `init` and is meant to be read by people.
"""

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

from trustrag.errors import ConfigError

FILE_NAME = "trustrag.toml"
INDEXES = ("flat", "hnsw")
_FORMAT = 1
_STORE_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Settings:
    """What `trustrag.toml` holds. `keys` is a path, relative ones from the workspace folder.

    `embedder` is a name for `open_embedder`, or "custom" where the caller handed an object over.
    `chunk_size` and `chunk_overlap` are in characters.
    """

    store: str
    keys: str
    embedder: str
    index: str
    chunk_size: int
    chunk_overlap: int

    def __post_init__(self) -> None:
        if not _STORE_ID.fullmatch(self.store):
            raise ConfigError(
                f"store id {self.store!r} must be lower-case letters, digits, '.', '_' and '-', at most 64"
            )
        if self.index not in INDEXES:
            raise ConfigError(f"index {self.index!r} is not one of: {', '.join(INDEXES)}")
        if not 0 <= self.chunk_overlap < self.chunk_size:
            raise ConfigError(
                f"chunks of {self.chunk_size} characters cannot overlap by {self.chunk_overlap} of them"
            )

    def write(self, folder: Path) -> None:
        """Write the file into `folder`."""
        lines = [
            "# A trustrag workspace. The ledger, the keys and the trust root decide; this file only says where they are.",
            f"format = {_FORMAT}",
            *(f'{name} = "{_escaped(value)}"' for name, value in self._texts()),
            f"chunk_size = {self.chunk_size}",
            f"chunk_overlap = {self.chunk_overlap}",
        ]
        (folder / FILE_NAME).write_text("\n".join(lines) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> "Settings":
        """Read the file in `folder`. Raises `ConfigError` with what is wrong and what to do."""
        path = folder / FILE_NAME
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise ConfigError(
                f"{folder} is not a workspace: it has no {FILE_NAME}. Make one with: trustrag init {folder}"
            ) from None
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from error
        if data.pop("format", None) != _FORMAT:
            raise ConfigError(
                f"{path} is not in format {_FORMAT}: it was written by another version of trustrag"
            )
        kinds = dict(cls.__annotations__)
        if set(data) != set(kinds) or any(type(data[name]) is not kind for name, kind in kinds.items()):
            raise ConfigError(f"{path} must hold exactly: format, " + ", ".join(kinds))
        return cls(**data)

    def keys_folder(self, folder: Path) -> Path:
        """Where the trust root is."""
        return (folder / self.keys).resolve()

    def _texts(self) -> list[tuple[str, str]]:
        return [
            ("store", self.store),
            ("keys", self.keys),
            ("embedder", self.embedder),
            ("index", self.index),
        ]


def _escaped(value: str) -> str:
    if any(ord(c) < 32 for c in value):
        raise ConfigError(f"{value!r} cannot be written to {FILE_NAME}: it holds a control character")
    return value.replace("\\", "\\\\").replace('"', '\\"')
