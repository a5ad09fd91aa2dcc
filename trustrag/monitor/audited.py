"""What an audit leaves for the next one: which signatures and rights it need not prove again.

An audit that remembers still computes every hash of the ledger anew, from the text of each passage to the root that was
signed. What it takes over are only facts about bytes that are named by those hashes, under one and the same policy: that
each log entry up to a root is signed by a key which may say it, and that a standing entry rests on envelopes of that log.
So no edited row hides behind it. Where the policy is another, all of it is proved again.
"""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Self

from trustrag.errors import MalformedError
from trustrag.provenance.canonical import Digest, Fields, bytes_from_base64, encode, parse_canonical

AUDITED_FORMAT: Final = "urn:trustrag:audited/v1"
MAX_BYTES: Final = 1 << 30
_RECORD: Final = 32 + 8  # a standing entry's digest, and when what it rests on ends


@dataclass(frozen=True, slots=True)
class Audited:
    """What was proved under `policy`: the first `log_size` entries, whose root is `log_root`, and these standing entries.

    `entries` maps the digest of a standing entry to the unix second at which its passages expire, on their own account.
    """

    policy: Digest
    log_size: int = 0
    log_root: Digest | None = None
    entries: Mapping[Digest, int] = field(default_factory=dict)

    def encode(self) -> bytes:
        """The bytes of the memory's file."""
        packed = b"".join(
            digest.value + expires.to_bytes(8, "big")
            for digest, expires in sorted(self.entries.items(), key=_key)
        )
        root = None if self.log_root is None else self.log_root.hex
        return encode(
            {
                "format": AUDITED_FORMAT,
                "policy": self.policy.hex,
                "log": {"size": self.log_size, "root": root},
                "entries": b64encode(packed).decode(),
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Reads what `encode` wrote; raises MalformedError on anything else."""
        fields = Fields(parse_canonical(data, max_bytes=MAX_BYTES), "audit memory")
        fields.literal("format", AUDITED_FORMAT)
        log = fields.fields("log")
        packed = bytes_from_base64(fields.text("entries", max_bytes=MAX_BYTES, empty=True))
        if len(packed) % _RECORD:
            raise MalformedError("the audit memory's entries are cut off")
        records = [packed[at : at + _RECORD] for at in range(0, len(packed), _RECORD)]
        audited = cls(
            fields.digest("policy"),
            log.integer("size"),
            log.nullable("root", log.digest),
            {Digest(record[:32]): int.from_bytes(record[32:], "big") for record in records},
        )
        if audited.encode() != data:
            raise MalformedError("the audit memory has unknown fields or another order")
        return audited


def _key(item: tuple[Digest, int]) -> bytes:
    return item[0].value
