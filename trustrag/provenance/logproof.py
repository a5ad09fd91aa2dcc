"""Proofs about the log that travel as small text files.

    c2sp.org/tlog-proof                      one entry is in the log under this checkpoint: `LogProof`
    c2sp.org/tlog-witness, add-checkpoint    this checkpoint extends an earlier size: `Growth`

Both end in the checkpoint, verbatim, with whatever signatures it has gathered.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from trustrag.errors import MalformedError
from trustrag.provenance.canonical import bytes_from_base64
from trustrag.provenance.checkpoint import MAX_INTEGER, MAX_NOTE_BYTES, Checkpoint, Note
from trustrag.provenance.merkle import HASH_SIZE, verify_inclusion
from trustrag.provenance.policy import Policy, TrustedCheckpoint

PROOF_HEADER: Final = "c2sp.org/tlog-proof@v1"
MAX_HASHES: Final = 63  # tlog-witness; no tree of 2^63 leaves needs more
MAX_EXTRA: Final = 1 << 16
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class LogProof:
    """That the entry at `index` is in the log of `checkpoint`, which is a signed note. `extra` is authenticated by nothing."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def encode(self) -> bytes:
        """The bytes of a `.tlog-proof` file."""
        extra = "" if self.extra is None else f"extra {b64encode(self.extra).decode()}\n"
        return (
            f"{PROOF_HEADER}\n{extra}index {self.index}\n{_lines(self.hashes)}\n".encode() + self.checkpoint
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Reads a `.tlog-proof` file; raises MalformedError. Nothing is verified."""
        lines, checkpoint = _split(data)
        if lines[0] != PROOF_HEADER:
            raise MalformedError(f"a tlog-proof begins with the line {PROOF_HEADER}")
        extra = None
        if len(lines) > 1 and lines[1].startswith("extra "):
            extra = bytes_from_base64(lines.pop(1).removeprefix("extra "))
        if len(lines) < 2:
            raise MalformedError("a tlog-proof names the index of its entry")
        return cls(_numbered("index", lines[1]), _hashes(lines[2:]), checkpoint, extra)

    def verify(self, leaf: bytes, policy: Policy, now: int) -> TrustedCheckpoint:
        """The checkpoint under which the entry with this leaf hash is in the log (tlog-proof, "Verifying a tlog proof").

        Raises what `Policy.accept` raises for a checkpoint that is not to be believed, and ProofError for another entry.
        """
        checkpoint = policy.accept(self.checkpoint, newer_than=None, now=now)
        verify_inclusion(self.index, checkpoint.size, leaf, self.hashes, checkpoint.root.value)
        return checkpoint


@dataclass(frozen=True, slots=True)
class Growth:
    """That the log of `checkpoint`, a signed note, extends its first `old_size` entries: what a witness is asked to sign."""

    old_size: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes

    def encode(self) -> bytes:
        """The body of an add-checkpoint request."""
        return f"old {self.old_size}\n{_lines(self.hashes)}\n".encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Reads such a body; raises MalformedError. Nothing is verified."""
        lines, checkpoint = _split(data)
        return cls(_numbered("old", lines[0]), _hashes(lines[1:]), checkpoint)


def _split(data: bytes) -> tuple[list[str], bytes]:
    """The lines before the first empty one, and the checkpoint behind it, which has the form of one."""
    if len(data) > MAX_NOTE_BYTES + 2 * MAX_EXTRA:
        raise MalformedError(
            f"a proof with its checkpoint has at most {MAX_NOTE_BYTES + 2 * MAX_EXTRA} bytes"
        )
    head, _, checkpoint = data.partition(b"\n\n")
    Checkpoint.parse(Note.parse(checkpoint).text)
    try:
        return head.decode("ascii").split("\n"), checkpoint
    except UnicodeDecodeError:
        raise MalformedError("a proof is ASCII up to its checkpoint") from None


def _numbered(word: str, line: str) -> int:
    name, _, digits = line.partition(" ")
    if name != word or not _DECIMAL.fullmatch(digits) or int(digits) > MAX_INTEGER:
        raise MalformedError(f"this line is '{word}' and a decimal number without leading zeroes")
    return int(digits)


def _hashes(lines: Sequence[str]) -> tuple[bytes, ...]:
    if len(lines) > MAX_HASHES:
        raise MalformedError(f"a proof has at most {MAX_HASHES} hashes")
    hashes = tuple(bytes_from_base64(line) for line in lines)
    if any(len(item) != HASH_SIZE for item in hashes):
        raise MalformedError(f"each line of a proof is a hash of {HASH_SIZE} bytes")
    return hashes


def _lines(hashes: Sequence[bytes]) -> str:
    return "".join(f"{b64encode(item).decode()}\n" for item in hashes)
