"""C2SP signed notes, log checkpoints and witness cosignatures.

A note is text and signature lines. A checkpoint is a note whose text is origin, size and root of a log. A
witness adds a line that says: at this time I saw no other history of this log. Sources: c2sp.org/signed-note,
c2sp.org/tlog-checkpoint and c2sp.org/tlog-cosignature (cosignature/v1).
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final, Self

from trustrag.errors import MalformedError, SignatureError
from trustrag.provenance.canonical import Digest, bytes_from_base64, bytes_from_hex, utf8
from trustrag.provenance.keys import PublicKey, Signer

ED25519: Final = 0x01
COSIGNATURE: Final = 0x04
MAX_NOTE_BYTES: Final = 1 << 17
MAX_SIGNATURES: Final = 64
MAX_INTEGER: Final = 2**63 - 1  # of sizes and timestamps (tlog-cosignature)
_DASH: Final = "\u2014 "  # an em dash
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """Whom a note's line has to be from: a name, a public key and a kind of signature."""

    name: str
    key: PublicKey
    kind: int = ED25519

    def __post_init__(self) -> None:
        _require_name(self.name)
        if self.kind not in (ED25519, COSIGNATURE):
            raise MalformedError(f"signatures of type {self.kind:#04x} are not for us")

    @property
    def key_hash(self) -> bytes:
        """4 bytes that find a line. They are short, and no proof of anything."""
        return sha256(b"%b\n%c%b" % (self.name.encode(), self.kind, self.key.raw)).digest()[:4]

    def encode(self) -> str:
        """The vkey: name+hash+base64, as other tools for witnesses and logs take it."""
        material = b64encode(bytes([self.kind]) + self.key.raw).decode()
        return f"{self.name}+{self.key_hash.hex()}+{material}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a vkey whose hash is right; raises MalformedError."""
        name, *rest = text.split("+", 2)
        if len(rest) != 2:
            raise MalformedError("a vkey is name+hash+base64")
        material = bytes_from_base64(rest[1])
        verifier = cls(name, PublicKey(material[1:]), material[0])
        if verifier.key_hash != bytes_from_hex(rest[0], 4):
            raise MalformedError("the vkey's hash is not that of its name and key")
        return verifier


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: who claims to have signed, and what they wrote."""

    name: str
    key_hash: bytes
    signature: bytes

    def __post_init__(self) -> None:
        _require_name(self.name)
        if len(self.key_hash) != 4 or not self.signature:
            raise MalformedError("a note's signature is 4 bytes of key hash and the signature")

    def encode(self) -> str:
        """The line, with its newline."""
        return f"{_DASH}{self.name} {b64encode(self.key_hash + self.signature).decode()}\n"

    @classmethod
    def parse(cls, line: str) -> Self:
        """Reads a line without its newline; raises MalformedError."""
        if not line.startswith(_DASH):
            raise MalformedError("a signature line begins with an em dash and a space")
        name, _, signed = line[len(_DASH) :].partition(" ")
        data = bytes_from_base64(signed)
        return cls(name, data[:4], data[4:])


@dataclass(frozen=True, slots=True)
class Note:
    """Text with signature lines, none of them verified yet. Lines by keys that nobody asks for are kept."""

    text: bytes
    signatures: tuple[NoteSignature, ...]

    def __post_init__(self) -> None:
        if not self.text.endswith(b"\n"):
            raise MalformedError("a note's text ends in a newline")
        if not 1 <= len(self.signatures) <= MAX_SIGNATURES:
            raise MalformedError(f"a note has 1 to {MAX_SIGNATURES} signatures, not {len(self.signatures)}")
        _require_text(self.text)

    def encode(self) -> bytes:
        """The note as bytes."""
        return self.text + b"\n" + "".join(line.encode() for line in self.signatures).encode()

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Reads a note; raises MalformedError. Nothing is verified."""
        if len(data) > MAX_NOTE_BYTES:
            raise MalformedError(f"a note has at most {MAX_NOTE_BYTES} bytes")
        text, blank, lines = _require_text(data).rpartition("\n\n")
        if not blank or not lines.endswith("\n"):
            raise MalformedError("a note is text, a blank line, and signature lines")
        signatures = tuple(NoteSignature.parse(line) for line in lines[:-1].split("\n"))
        return cls(f"{text}\n".encode(), signatures)

    def signed_by(self, verifier: VerifierKey) -> tuple[bytes, ...]:
        """The signatures on the lines with this verifier's name and key hash, still to be verified."""
        who = verifier.name, verifier.key_hash
        return tuple(line.signature for line in self.signatures if (line.name, line.key_hash) == who)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A log's tree head: so many entries, and this root over them."""

    origin: str
    size: int
    root: Digest
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.size <= MAX_INTEGER:
            raise MalformedError(f"a log has 0 to 2^63-1 entries, not {self.size}")
        if not all(line and "\n" not in line for line in (self.origin, *self.extensions)):
            raise MalformedError("a checkpoint's origin and extensions are lines that are not empty")
        _require_text(self.encode())

    def encode(self) -> bytes:
        """The note's text."""
        lines = (self.origin, str(self.size), b64encode(self.root.value).decode(), *self.extensions)
        return utf8("".join(f"{line}\n" for line in lines))

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Reads a note's text; raises MalformedError, also on a number with another spelling."""
        origin, *rest = _require_text(text).split("\n")
        if len(rest) < 3 or rest[-1]:
            raise MalformedError("a checkpoint is origin, size and root, each on its line")
        size, root, *extensions = rest[:-1]
        return cls(origin, _number(size), Digest(bytes_from_base64(root)), tuple(extensions))


@dataclass(frozen=True, slots=True)
class SeenCheckpoint:
    """What a reader remembers of the newest checkpoint it accepted."""

    size: int
    root: Digest


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """The checkpoint as a note, signed by the log under its origin.

    A log never signs a tree that does not extend every tree that it signed before; the caller sees to that.
    """
    verifier = VerifierKey(checkpoint.origin, signer.public_key)
    text = checkpoint.encode()
    return Note(text, (NoteSignature(verifier.name, verifier.key_hash, signer.sign(text)),)).encode()


def verify_checkpoint(note: Note, log: Sequence[VerifierKey]) -> tuple[Checkpoint, tuple[PublicKey, ...]]:
    """The checkpoint, and which of the log's keys signed it: at least one, in the order given.

    Raises SignatureError where none did, where a line of a known key does not hold, or where the origin is
    not the name of the signer, and MalformedError where what they signed is no checkpoint.
    """
    signers = []
    for verifier in log:
        signatures = note.signed_by(verifier) if verifier.kind == ED25519 else ()
        for signature in signatures:
            verifier.key.verify(note.text, signature)
        if signatures:
            signers.append(verifier)
    if not signers:
        raise SignatureError("the checkpoint is not signed by any key of this log")
    checkpoint = Checkpoint.parse(note.text)
    if any(verifier.name != checkpoint.origin for verifier in signers):
        raise SignatureError(f"the checkpoint is of log {checkpoint.origin!r}, not of the one that signed it")
    return checkpoint, tuple(verifier.key for verifier in signers)


def cosign(note: bytes, name: str, signer: Signer, timestamp: int) -> bytes:
    """The note with one more line: the witness `name` saw this checkpoint at `timestamp` (unix seconds).

    A witness first verifies the log's signature and that this tree extends the last one it saw.
    """
    if not 0 < timestamp <= MAX_INTEGER:
        raise ValueError(f"a witness signs at a time in unix seconds, not at {timestamp}")
    parsed = Note.parse(note)
    Checkpoint.parse(parsed.text)
    witness = VerifierKey(name, signer.public_key, COSIGNATURE)
    signed = timestamp.to_bytes(8, "big") + signer.sign(_cosigned(parsed.text, timestamp))
    line = NoteSignature(name, witness.key_hash, signed)
    return Note(parsed.text, (*parsed.signatures, line)).encode()


def verify_cosignature(note: Note, witness: VerifierKey) -> int | None:
    """When this witness saw the checkpoint (unix seconds, the latest), or None where it did not sign.

    Raises SignatureError where a line of this witness does not hold. Says nothing of the log's own signature.
    """
    times = []
    for signed in note.signed_by(witness) if witness.kind == COSIGNATURE else ():
        timestamp = int.from_bytes(signed[:8], "big")
        if timestamp > MAX_INTEGER:
            raise SignatureError(f"what witness {witness.name!r} signed is not a timestamped signature")
        witness.key.verify(_cosigned(note.text, timestamp), signed[8:])
        times.append(timestamp)
    return max(times, default=None)


def _cosigned(text: bytes, timestamp: int) -> bytes:
    return b"cosignature/v1\ntime %d\n%b" % (timestamp, text)


def _number(text: str) -> int:
    if not _DECIMAL.fullmatch(text):
        raise MalformedError("a checkpoint's size is a decimal number without leading zeroes")
    return int(text)


def _require_name(name: str) -> None:
    _require_text(utf8(name))
    if not name or "+" in name or any(character.isspace() for character in name):
        raise MalformedError("a key name is not empty, and holds no space and no plus")


def _require_text(data: bytes) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise MalformedError("a note is valid UTF-8") from None
    if _CONTROL.search(text):
        raise MalformedError("a note holds no control characters but newlines")
    return text
