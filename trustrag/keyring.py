"""What one person keeps for a store, outside of it: private keys, and the highest state ever seen.

    $TRUSTRAG_HOME/keys/<store id>/NAME.key     private keys, 0600, encrypted with one passphrase
    $TRUSTRAG_HOME/state/<store id>.json        the newest trust root, snapshot and tree head believed
    $TRUSTRAG_HOME/pairs/<store id>.db          how alike its texts are: a cache, believed, and free to be deleted

Both stay out of the workspace and out of `keys/` on purpose. A key beside what it signs is published
with it, sooner or later; and a memory that is restored together with last week's workspace cannot notice
that it is last week's.
"""

import os
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final, Self

import platformdirs

from trustrag.errors import (
    ConfigError,
    MalformedError,
    NotFoundError,
    Refusal,
    StaleError,
    UnencryptedKeysWarning,
)
from trustrag.files import locked, make_folder, write_whole
from trustrag.provenance.canonical import Digest, Encodable, Fields, encode, parse_canonical
from trustrag.provenance.keys import KeyFile, KeyLock, PrivateKey, PublicKey, Signer

SEEN_FORMAT: Final = "urn:trustrag:seen/v1"
PASSPHRASE_FILE: Final = "TRUSTRAG_PASSPHRASE_FILE"
_NEXT: Final = ".key.next"  # a key file under the passphrase that is about to hold
_CHANGING: Final = "passphrase.changing"  # there while those are put in place
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


def home() -> Path:
    """$TRUSTRAG_HOME, or the place this system gives to a user's settings."""
    chosen = os.environ.get("TRUSTRAG_HOME")
    return Path(chosen).expanduser() if chosen else platformdirs.user_config_path("trustrag")


def passphrase_from_environment() -> bytes | None:
    """What stands in the file that TRUSTRAG_PASSPHRASE_FILE names, without a closing newline; else None."""
    path = os.environ.get(PASSPHRASE_FILE)
    if not path:
        return None
    try:
        return Path(path).read_bytes().removesuffix(b"\n").removesuffix(b"\r")
    except OSError as error:
        raise ConfigError(
            f"{PASSPHRASE_FILE} names {path}, which cannot be read: {error.strerror}"
        ) from error


class Unsaid(Enum):
    """A passphrase about which nothing was said: neither one, nor that there is none (None)."""

    UNSAID = "unsaid"


UNSAID: Final = Unsaid.UNSAID


def chosen_passphrase(given: bytes | Unsaid | None, *, callers: int = 2) -> bytes | None:
    """The passphrase for new keys: as given, else from `TRUSTRAG_PASSPHRASE_FILE`, else none, with a warning.

    `callers` counts the functions between here and the line that the warning is about.
    """
    if not isinstance(given, Unsaid):
        return given
    found = passphrase_from_environment()
    if found is None:
        warnings.warn(
            "the private keys are not encrypted: whoever reads your files can sign as you. Give passphrase=, or a file "
            f"in {PASSPHRASE_FILE}; passphrase=None says that you mean it",
            UnencryptedKeysWarning,
            stacklevel=callers + 1,
        )
    return found


def pairs_file(store_id: str) -> Path:
    """Where this user's comparisons of a store's texts are kept. Raises ConfigError for what is no store id."""
    return home() / "pairs" / f"{_checked(store_id)}.db"


class Keyring:
    """The private keys that one person holds for one store: a folder of key files under one passphrase.

    The passphrase is asked for once, and only when a key has to sign: listing keys and reading public keys
    needs none. Keys are looked up by name to be shown, and by public key (`find`) to sign for a role.
    """

    def __init__(self, folder: Path, files: dict[str, KeyFile], ask: Callable[[], bytes] | None) -> None:
        self.folder = folder
        self._files = files
        self._ask = ask
        self._lock: KeyLock | None = None
        self._unlocked: dict[str, PrivateKey] = {}

    @classmethod
    def create(cls, store_id: str, passphrase: bytes | None, *, apart_from: Iterable[Path] = ()) -> Self:
        """A new, empty keyring. None as passphrase leaves the keys readable to whoever reads the folder.

        Raises ConfigError where the store already has keys, or the folder lies in one of `apart_from`.
        """
        folder = _folder_of(store_id, apart_from)
        if any(folder.glob("*.key")):
            raise ConfigError(f"{folder} holds keys already: choose another store id, or move them away")
        make_folder(folder.parent, mode=0o700)
        make_folder(folder, mode=0o700)
        keyring = cls(folder, {}, None)
        keyring._lock = None if passphrase is None else KeyLock(passphrase)
        return keyring

    @classmethod
    def open(
        cls, store_id: str, ask: Callable[[], bytes] | None = None, *, apart_from: Iterable[Path] = ()
    ) -> Self:
        """The keys of this store. `ask` returns the passphrase; TRUSTRAG_PASSPHRASE_FILE is tried before it.

        Raises ConfigError where there are no keys, where others can read them, or the place is not a safe
        one; MalformedError for a file that is not a key file.
        """
        folder = _folder_of(store_id, apart_from)
        _finish_change(folder)
        files = {path.stem: _read_key_file(path) for path in sorted(folder.glob("*.key"))}
        if not files:
            raise ConfigError(f"no private keys in {folder}: this user can read and verify, and not sign")
        return cls(folder, files, ask)

    @classmethod
    def take(
        cls,
        store_id: str,
        path: Path,
        name: str,
        of_file: Callable[[], bytes],
        ask: Callable[[], bytes] | None,
    ) -> PublicKey:
        """Take in a key file that was exported on another machine of its owner; returns its public half.

        `of_file` returns the passphrase that it came with. It is encrypted here as the other keys are; where it is the
        first one, as it came. Raises ConfigError for a wrong passphrase, a taken name, or a key that is here already.
        """
        try:
            file = KeyFile.parse(path.read_bytes())
        except MalformedError as error:
            raise MalformedError(f"{path} is no key file: {error}") from error
        passphrase = None if file.derivation is None else of_file()
        key = file.open(None if passphrase is None else KeyLock(passphrase, file.derivation))
        keyring = cls.open(store_id, ask) if cls.exists(store_id) else cls.create(store_id, passphrase)
        if keyring.find(file.public_key) is not None:
            raise ConfigError(f"key {file.public_key.key_id[:16]} is in {keyring.folder} already")
        keyring.add(name, key)
        return file.public_key

    @staticmethod
    def exists(store_id: str) -> bool:
        """Whether this user holds any key for the store."""
        return any(_folder_of(store_id, ()).glob("*.key"))

    @property
    def encrypted(self) -> bool:
        """Whether a passphrase stands before the keys."""
        return self._lock is not None or any(file.derivation for file in self._files.values())

    def names(self) -> tuple[str, ...]:
        """The names of all keys, sorted."""
        return tuple(sorted(self._files))

    def public_key(self, name: str) -> PublicKey:
        """The public half of a key; raises NotFoundError."""
        if name not in self._files:
            raise NotFoundError(f"no key {name!r} in {self.folder}")
        return self._files[name].public_key

    def generate(self, name: str) -> Signer:
        """A new key under a new name, and its signer."""
        return self.add(name, PrivateKey.generate())

    def add(self, name: str, key: PrivateKey) -> Signer:
        """Keeps a key under a new name; ConfigError where the name is taken or the passphrase wrong."""
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{name!r} cannot name a key: only letters, digits, dot, dash and underscore")
        file = KeyFile.close(key, self._unlock())
        try:
            write_whole(self.folder / f"{name}.key", file.encode(), mode=0o600, replace=False)
        except FileExistsError:
            raise ConfigError(f"there is a key {name!r} in {self.folder} already") from None
        self._files[name] = file
        self._unlocked[name] = key
        return _HeldKey(self, name, key.public_key)

    def export(self, name: str) -> bytes:
        """The key as a file for another machine of its owner: encrypted as it is here. Raises NotFoundError."""
        self.public_key(name)
        return self._files[name].encode()

    def change_passphrase(self, passphrase: bytes | None) -> None:
        """Encrypt every key here with another passphrase (with None: with none at all). Asks for the old one first.

        Raises ConfigError where that is wrong. Copies that were exported keep the passphrase that they had.
        """
        keys = {name: self._private(name) for name in self._files}
        lock = None if passphrase is None else KeyLock(passphrase)
        files = {name: KeyFile.close(key, lock) for name, key in keys.items()}
        with locked(self.folder):
            for name, file in files.items():
                write_whole(self.folder / f"{name}{_NEXT}", file.encode(), mode=0o600)
            # If we die up to here, the drafts are thrown away: the old passphrase holds for all. From here on the
            # new one does, and whoever opens the keyring next puts the rest in place.
            write_whole(self.folder / _CHANGING, b"", mode=0o600)
            _put_in_place(self.folder)
        self._files, self._lock = files, lock

    def signer(self, name: str) -> Signer:
        """Signs with this key; unlocks it at the first signature. Raises NotFoundError."""
        return _HeldKey(self, name, self.public_key(name))

    def find(self, public_key: PublicKey) -> Signer | None:
        """The signer of this public key if we hold it: who may sign is decided by key, never by name."""
        for name, file in self._files.items():
            if file.public_key == public_key:
                return _HeldKey(self, name, public_key)
        return None

    def _private(self, name: str) -> PrivateKey:
        if name not in self._unlocked:
            self._unlocked[name] = self._files[name].open(self._unlock())
        return self._unlocked[name]

    def _unlock(self) -> KeyLock | None:
        """The lock that opens the files here, or None where nothing is encrypted.

        It is proved on one of them before it is kept, so a mistyped passphrase can neither stay nor become
        the one of a new key. Raises ConfigError.
        """
        closed = next((file for file in self._files.values() if file.derivation), None)
        if self._lock is None and closed is not None:
            lock = KeyLock(self._passphrase(), closed.derivation)
            closed.open(lock)
            self._lock = lock
        return self._lock

    def _passphrase(self) -> bytes:
        passphrase = passphrase_from_environment()
        if passphrase is None and self._ask is not None:
            passphrase = self._ask()
        if passphrase is None:
            raise ConfigError(f"the keys in {self.folder} are encrypted: set {PASSPHRASE_FILE} to a file")
        return passphrase

    def __repr__(self) -> str:
        return f"Keyring({self.folder})"


@dataclass(frozen=True, slots=True)
class _HeldKey:
    """A key of a keyring as a `Signer`: known by its public half, unlocked when it first signs."""

    keyring: Keyring = field(repr=False)
    name: str
    public_key: PublicKey

    def sign(self, message: bytes) -> bytes:
        return self.keyring._private(self.name).sign(message)


@dataclass(frozen=True, slots=True)
class SeenState:
    """The newest state of one store that this user has believed.

    `root` is the trust root's metadata to start from next time, `trust` the version of each of its roles
    and of the policy, `snapshot_version` the newest sealed snapshot, `log_size` and `log_root` the newest
    tree head (0 and None before the first).
    """

    root: bytes | None = None
    trust: Mapping[str, int] = field(default_factory=dict)
    snapshot_version: int = 0
    log_size: int = 0
    log_root: Digest | None = None

    def merged(self, other: Self) -> Self:
        """The higher of both, number by number. Raises StaleError (FORK) for one size with two roots."""
        if self.log_size == other.log_size and self.log_root != other.log_root:
            raise StaleError(
                Refusal.FORK, f"two logs of {self.log_size} entries were signed, with two histories"
            )
        newer_root = self.root is None or other.trust.get("root", 0) > self.trust.get("root", 0)
        higher_log = other if other.log_size > self.log_size else self
        roles = sorted({*self.trust, *other.trust})
        return type(self)(
            root=other.root if newer_root and other.root is not None else self.root,
            trust={role: max(self.trust.get(role, 0), other.trust.get(role, 0)) for role in roles},
            snapshot_version=max(self.snapshot_version, other.snapshot_version),
            log_size=higher_log.log_size,
            log_root=higher_log.log_root,
        )

    def encode(self) -> bytes:
        """The bytes of the state file."""
        log: dict[str, Encodable] = {}
        if self.log_root is not None:
            log = {"size": self.log_size, "root": self.log_root.hex}
        return encode(
            {
                "format": SEEN_FORMAT,
                "root": None if self.root is None else self.root.decode(),
                "trust": dict(self.trust),
                "snapshotVersion": self.snapshot_version,
                "log": log or None,
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Reads a state file; raises MalformedError."""
        fields = Fields(parse_canonical(data), "seen state")
        fields.literal("format", SEEN_FORMAT)
        root = fields.nullable("root", lambda name: fields.text(name, max_bytes=len(data)).encode())
        trust = _read_trust(fields.fields("trust"))
        snapshot_version = fields.integer("snapshotVersion")
        log = fields.nullable("log", fields.fields)
        fields.close()
        if log is None:
            return cls(root, trust, snapshot_version)
        state = cls(root, trust, snapshot_version, log.integer("size"), log.digest("root"))
        log.close()
        return state


def write_key_file(path: Path, data: bytes) -> None:
    """Write an exported key file, for its owner's eyes only. Raises ConfigError where one is there, or it cannot be."""
    try:
        write_whole(path, data, mode=0o600, replace=False)
    except FileExistsError:
        raise ConfigError(f"{path} is there already: give another name") from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error


class UserState:
    """The memory of one store, in the user's own folder. It only ever goes up."""

    def __init__(self, store_id: str) -> None:
        self.path = state_file(store_id, ".json")

    def read(self) -> SeenState | None:
        """What was seen, or None: a first use, or a memory that was lost. Tell the user which it may be.

        Raises MalformedError where the file is there and cannot be trusted to say.
        """
        try:
            return SeenState.parse(self.path.read_bytes())
        except FileNotFoundError:
            return None
        except MalformedError as error:
            hint = "if you know why, delete it, and the store is seen as for the first time"
            raise MalformedError(f"{self.path}: {error}; {hint}") from error

    def advance(self, seen: SeenState) -> SeenState:
        """Remembers what is newer in `seen`, durably, and returns the whole memory. Raises StaleError (FORK).

        Another process may have seen more in the meantime: nothing is ever lowered.
        """
        make_folder(self.path.parent, mode=0o700)
        with locked(self.path.parent):
            before = self.read()
            after = seen if before is None else before.merged(seen)
            if after != before:
                write_whole(self.path, after.encode(), mode=0o600)
        return after


class RecentQuestions:
    """The last questions that this user asked of one store: kept only where the user says so, and readable for nobody else.

    They tell a reviewer what a document would change. Nothing is kept until `keep` is called; no answer ever is.
    """

    def __init__(self, store_id: str) -> None:
        self.path = state_file(store_id, ".questions.json")

    def keep(self, most: int) -> None:
        """Keep the last `most` questions from now on; with 0, forget those that are there and keep none."""
        if not most:
            self.path.unlink(missing_ok=True)
            return
        make_folder(self.path.parent, mode=0o700)
        with locked(self.path.parent):
            self._write(most, self._read()[1])

    def note(self, question: str) -> None:
        """Remember a question, where questions are kept: the same one again only moves it to the end."""
        if not self.path.exists():
            return
        with locked(self.path.parent):
            most, known = self._read()
            if most:
                self._write(most, [*(one for one in known if one != question), question])

    def read(self) -> list[str]:
        """The questions, oldest first. Raises MalformedError where the file is none of ours."""
        return self._read()[1]

    def _read(self) -> tuple[int, list[str]]:
        try:
            fields = Fields(parse_canonical(self.path.read_bytes()), "recent questions")
        except FileNotFoundError:
            return 0, []
        except MalformedError as error:
            raise MalformedError(f"{self.path}: {error}; delete it") from error
        return fields.integer("keep"), [text for text in fields.items("questions") if isinstance(text, str)]

    def _write(self, most: int, questions: list[str]) -> None:
        kept: list[Encodable] = list(questions[-most:])
        write_whole(self.path, encode({"keep": most, "questions": kept}), mode=0o600)


def state_file(store_id: str, ending: str) -> Path:
    """Where this user remembers something of a store. Raises ConfigError for what cannot be a store id."""
    return home() / "state" / f"{_checked(store_id)}{ending}"


def _checked(store_id: str) -> str:
    if not _NAME.fullmatch(store_id):
        raise ConfigError(
            f"{store_id!r} cannot be a store id: only letters, digits, dot, dash and underscore"
        )
    return store_id


def _folder_of(store_id: str, apart_from: Iterable[Path]) -> Path:
    folder = (home() / "keys" / _checked(store_id)).resolve()
    for place in apart_from:
        if folder.is_relative_to(place.resolve()):
            raise ConfigError(
                f"private keys would lie in {place}, which is there to be copied: move TRUSTRAG_HOME"
            )
    return folder


def _finish_change(folder: Path) -> None:
    """Finish a change of passphrase that was cut short, or undo one that had not yet begun to count."""
    if not any(folder.glob(f"*{_NEXT}")) and not (folder / _CHANGING).exists():
        return
    with locked(folder):
        if (folder / _CHANGING).exists():
            _put_in_place(folder)
        for draft in folder.glob(f"*{_NEXT}"):
            draft.unlink()


def _put_in_place(folder: Path) -> None:
    for draft in sorted(folder.glob(f"*{_NEXT}")):
        draft.replace(folder / f"{draft.name.removesuffix(_NEXT)}.key")
    (folder / _CHANGING).unlink()


def _read_key_file(path: Path) -> KeyFile:
    if path.stat().st_mode & 0o077:
        raise ConfigError(f"{path} can be read by others: chmod 600 {path}")
    try:
        return KeyFile.parse(path.read_bytes())
    except MalformedError as error:
        raise MalformedError(f"{path}: {error}") from error


def _read_trust(fields: Fields) -> dict[str, int]:
    names = ("root", "targets", "snapshot", "timestamp", "policy")
    found = {name: fields.optional(name, fields.integer) for name in names}
    fields.close()
    return {name: version for name, version in found.items() if version is not None}
