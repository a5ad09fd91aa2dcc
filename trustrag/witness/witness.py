"""The rule of a witness, and what it keeps.

    $TRUSTRAG_HOME/keys/witness-NAME/       its key, in a keyring as every other
    STATE/witness.json                      its name
    STATE/ORIGIN/log.json                   a log that it follows: where it is, and whose signature it has to carry
    STATE/ORIGIN/checkpoint                 the newest checkpoint that it cosigned, with the log's line and its own
    STATE/ORIGIN/seen/SIZE                  every checkpoint that it cosigned

ORIGIN is the SHA-256 of the log's origin in hex, as in c2sp.org/tlog-witness, so STATE may be served as it is: it holds
no secret. The newest checkpoint is on the disk before anybody is given a signature over it.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Self

from trustrag.errors import (
    AuthorityError,
    ConfigError,
    ConflictError,
    MalformedError,
    NotFoundError,
    ProofError,
    Refusal,
    StaleError,
)
from trustrag.files import locked, make_folder, write_whole
from trustrag.keyring import UNSAID, Keyring, Unsaid, chosen_passphrase, home
from trustrag.provenance.canonical import Encodable, Fields, encode, parse
from trustrag.provenance.checkpoint import (
    COSIGNATURE,
    ED25519,
    Checkpoint,
    Note,
    NoteSignature,
    VerifierKey,
    cosign,
    verify_checkpoint,
)
from trustrag.provenance.keys import PrivateKey, Signer
from trustrag.provenance.logproof import Growth
from trustrag.provenance.merkle import EMPTY_ROOT, verify_consistency
from trustrag.published.place import open_place
from trustrag.published.tiles import CHECKPOINT, MAX_CHECKPOINT, PENDING, TiledLog

WITNESS_FORMAT: Final = "urn:trustrag:witness/v1"
LOG_FORMAT: Final = "urn:trustrag:witnessed-log/v1"
_KEY: Final = "witness"


@dataclass(frozen=True, slots=True)
class Followed:
    """A log that a witness follows: where it publishes (None: it comes by itself), and the keys of its checkpoints."""

    origin: str
    place: str | None
    keys: tuple[VerifierKey, ...]

    def encode(self) -> bytes:
        """The bytes of its file."""
        keys: list[Encodable] = [key.encode() for key in self.keys]
        return encode({"format": LOG_FORMAT, "origin": self.origin, "place": self.place, "keys": keys})

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Reads it; raises MalformedError."""
        fields = Fields(parse(data), "followed log")
        fields.literal("format", LOG_FORMAT)
        place = fields.nullable("place", lambda name: fields.text(name, max_bytes=4096))
        keys = tuple(VerifierKey.parse(str(item)) for item in fields.items("keys", minimum=1))
        return cls(fields.text("origin"), place, keys)


@dataclass(frozen=True, slots=True)
class Cosigned:
    """What came of one look at a log: its size, the size cosigned before, and our line under the newest checkpoint."""

    origin: str
    size: int
    before: int
    line: NoteSignature


class Witness:
    """One witness: a name, a key, and the newest checkpoint of each log that it cosigned. Processes may share it."""

    def __init__(self, state: Path, name: str, signer: Signer, clock: Callable[[], int]) -> None:
        """Use `init` or `open`; this keeps what they found."""
        self.state = state
        self.name = name
        self._signer = signer
        self._clock = clock

    @classmethod
    def init(
        cls,
        name: str,
        *,
        state: Path | None = None,
        passphrase: bytes | Unsaid | None = UNSAID,
        clock: Callable[[], int],
    ) -> Self:
        """Make a witness of this name, its key and its state folder. Raises ConfigError where there is one.

        `passphrase` encrypts its key; where nothing is said of it, see `keyring.chosen_passphrase`.
        """
        folder = state or _default(name)
        if (folder / "witness.json").exists():
            raise ConfigError(f"{folder} is a witness's already")
        key = PrivateKey.generate()
        try:
            VerifierKey(name, key.public_key, COSIGNATURE)
        except MalformedError as error:
            raise ConfigError(f"{name!r} cannot name a witness: {error}") from error
        keyring = Keyring.create(_ring(name), chosen_passphrase(passphrase), apart_from=(folder,))
        signer = keyring.add(_KEY, key)
        make_folder(folder)
        write_whole(folder / "witness.json", encode({"format": WITNESS_FORMAT, "name": name}))
        return cls(folder, name, signer, clock)

    @classmethod
    def open(
        cls,
        name: str | None = None,
        *,
        state: Path | None = None,
        ask_passphrase: Callable[[], bytes] | None = None,
        clock: Callable[[], int],
    ) -> Self:
        """The witness of this name, in this state folder, or the only one that this user has. Raises ConfigError."""
        folder = state or (_only() if name is None else _default(name))
        path = folder / "witness.json"
        if not path.is_file():
            raise ConfigError(f"{folder} is no witness's: make one with `trustrag witness init NAME`")
        fields = Fields(parse(path.read_bytes()), "witness")
        fields.literal("format", WITNESS_FORMAT)
        found = fields.text("name")
        if name not in (None, found):
            raise ConfigError(f"{folder} is the state of witness {found}, and not of {name}")
        keyring = Keyring.open(_ring(found), ask_passphrase, apart_from=(folder,))
        return cls(folder, found, keyring.signer(_KEY), clock)

    @property
    def key(self) -> VerifierKey:
        """What an operator names this witness by in a policy: its vkey."""
        return VerifierKey(self.name, self._signer.public_key, COSIGNATURE)

    # ---- which logs

    def follow(self, place: str | None, vkey: str) -> Followed:
        """Follow a log that publishes at `place`, by a key of its checkpoints; another key of the same log is added.

        Raises ConfigError for what is no key of a log.
        """
        try:
            key = VerifierKey.parse(vkey)
        except MalformedError as error:
            raise ConfigError(f"{vkey!r} is not a log's key (see trustrag log key): {error}") from error
        if key.kind != ED25519:
            raise ConfigError("this is a witness's key, and not a log's: trustrag log key prints it")
        if place is not None:
            open_place(place)
        folder = self._folder(key.name)
        make_folder(folder)
        with locked(folder):
            before = self._read(folder)
            keys = before.keys if before else ()
            made = Followed(
                key.name,
                place if place is not None or before is None else before.place,
                keys if key in keys else (*keys, key),
            )
            write_whole(folder / "log.json", made.encode())
        return made

    def logs(self) -> list[Followed]:
        """All logs that it follows, by origin."""
        found = [self._read(path.parent) for path in sorted(self.state.glob("*/log.json"))]
        return sorted((log for log in found if log is not None), key=lambda log: log.origin)

    def newest(self, origin: str) -> bytes | None:
        """The newest checkpoint of a log that this witness cosigned; None where it never did."""
        path = self._folder(origin) / CHECKPOINT
        return path.read_bytes() if path.is_file() else None

    # ---- the rule

    def look(self, log: Followed) -> Cosigned:
        """Fetch the newest checkpoint where this log publishes, and cosign it if it extends all that was seen.

        Raises StaleError (ROLLBACK) for a log that was cut back, ProofError (FORK) for another history, SignatureError,
        MalformedError, and what reading raises.
        """
        if log.place is None:
            raise ConfigError(
                f"{log.origin} was followed without a place to look at: it comes by itself (serve)"
            )
        place = open_place(log.place)
        notes = [note for name in (PENDING, CHECKPOINT) if (note := place.read(name, MAX_CHECKPOINT))]
        if not notes:
            raise NotFoundError(f"{log.place} shows no checkpoint")
        note = max(notes, key=lambda item: Checkpoint.parse(Note.parse(item).text).size)
        size, before = Checkpoint.parse(Note.parse(note).text).size, self._cosigned(log.origin)
        # What does not even carry the log's signature is not asked for proofs; nor is what cannot have one.
        self._require_signed(log, note)
        hashes: list[bytes] = []
        if before is not None and 0 < before.size < size:
            hashes = TiledLog(place, size).consistency(before.size, size)
        return self.cosign(Growth(before.size if before else 0, tuple(hashes), note))

    def cosign(self, asked: Growth) -> Cosigned:
        """Cosign a checkpoint that extends the newest one cosigned (tlog-witness, "add-checkpoint"), or raise.

        AuthorityError (UNKNOWN_KEY) for a log that is not followed, SignatureError, ConflictError where it starts
        from another size than the newest cosigned, StaleError (ROLLBACK), ProofError (FORK).
        """
        note = Note.parse(asked.checkpoint)
        origin = Checkpoint.parse(note.text).origin
        log = self._read(self._folder(origin))
        if log is None:
            raise AuthorityError(Refusal.UNKNOWN_KEY, f"this witness does not follow {origin!r}")
        checkpoint = self._require_signed(log, asked.checkpoint)
        with self._turn(origin):
            before = self._cosigned(origin)
            if before is not None and checkpoint.size < before.size:
                reason = f"{origin} shows {checkpoint.size} entries, and {before.size} were cosigned: it was cut back"
                raise StaleError(Refusal.ROLLBACK, reason)
            old = before.size if before else 0
            if asked.old_size != old:
                raise ConflictError(f"the newest checkpoint cosigned has {old} entries, not {asked.old_size}")
            _require_growth(before, checkpoint, asked.hashes)
            signed = Note.parse(cosign(_bare(log, note), self.name, self._signer, self._clock()))
            folder = self._folder(origin)
            make_folder(folder / "seen")
            write_whole(folder / "seen" / str(checkpoint.size), signed.encode())
            # If we die here, the older checkpoint is the newest still, and this one is asked for again.
            write_whole(folder / CHECKPOINT, signed.encode())
        return Cosigned(origin, checkpoint.size, old, signed.signatures[-1])

    def _require_signed(self, log: Followed, note: bytes) -> Checkpoint:
        checkpoint, _ = verify_checkpoint(Note.parse(note), log.keys)
        if checkpoint.origin != log.origin:
            raise AuthorityError(Refusal.UNKNOWN_KEY, f"this is a checkpoint of {checkpoint.origin!r}")
        return checkpoint

    def _cosigned(self, origin: str) -> Checkpoint | None:
        note = self.newest(origin)
        return None if note is None else Checkpoint.parse(Note.parse(note).text)

    @contextmanager
    def _turn(self, origin: str) -> Iterator[None]:
        """Between looking at the newest and writing the next, nobody else does (tlog-witness: atomically)."""
        with locked(self._folder(origin)):
            yield

    def _folder(self, origin: str) -> Path:
        return self.state / sha256(origin.encode()).hexdigest()

    def _read(self, folder: Path) -> Followed | None:
        path = folder / "log.json"
        try:
            return Followed.parse(path.read_bytes())
        except FileNotFoundError:
            return None
        except MalformedError as error:
            raise MalformedError(f"{path}: {error}") from error


def _require_growth(before: Checkpoint | None, new: Checkpoint, hashes: tuple[bytes, ...]) -> None:
    """The new checkpoint extends the one before it (RFC 6962, 2.1.2)."""
    try:
        if before is None or before.size == 0:
            if hashes:
                raise ProofError(Refusal.FORK, "nothing is proved by extending an empty tree")
            if new.size == 0 and new.root.value != EMPTY_ROOT:
                raise ProofError(Refusal.FORK, "an empty log has the root of no entries")
            return
        verify_consistency(before.size, new.size, before.root.value, new.root.value, hashes)
    except ProofError as error:
        reason = f"{new.origin} does not extend the {before.size if before else 0} entries cosigned before: {error.reason}"
        raise ProofError(Refusal.FORK, reason) from error


def _bare(log: Followed, note: Note) -> bytes:
    """The note with the lines of its log alone: lines of others are not ours to hand on."""
    known = {(key.name, key.key_hash) for key in log.keys}
    lines = tuple(line for line in note.signatures if (line.name, line.key_hash) in known)
    return Note(note.text, lines).encode()


def _ring(name: str) -> str:
    return f"witness-{_slug(name)}"


def _default(name: str) -> Path:
    return home() / "witness" / _slug(name)


def _slug(name: str) -> str:
    """A folder name for a witness's: readable, and different for different ones."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", name)[:64].strip(".-")
    return plain if plain == name else f"{plain}-{sha256(name.encode()).hexdigest()[:8]}"


def _only() -> Path:
    found = sorted(path.parent for path in (home() / "witness").glob("*/witness.json"))
    if len(found) != 1:
        what = "several witnesses are" if found else "no witness is"
        raise ConfigError(
            f"{what} kept here: say which with --name or --state, or make one with `trustrag witness init`"
        )
    return found[0]
