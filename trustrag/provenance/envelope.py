"""DSSE v1: a payload, its type, and one signature over both.

Thresholds are several envelopes, never several signatures in one. The key id is written for people and for
looking a key up; no decision rests on it. Verify first, then parse those same payload bytes.
"""

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Final, Self

from trustrag.errors import MalformedError, SignatureError
from trustrag.provenance.canonical import Digest, Fields, bytes_from_base64, encode, parse, utf8
from trustrag.provenance.keys import SIGNATURE_SIZE, PublicKey, Signer

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"
MAX_ENVELOPE_BYTES: Final = 65_535  # what one entry of a C2SP log may hold


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed. Lengths go first, so no two pairs look alike."""
    kind = utf8(payload_type)
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


@dataclass(frozen=True, slots=True)
class Envelope:
    """A signed payload that nobody has verified yet. `digest` is of its encoding: its name in the log.

    Raises MalformedError where a part has the wrong size or the encoding would not fit a log entry.
    """

    payload: bytes
    key_id: str
    signature: bytes
    payload_type: str = PAYLOAD_TYPE
    digest: Digest = field(init=False, repr=False, compare=False)
    _encoded: bytes = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        key_id = Digest.from_hex(self.key_id).hex.encode()
        if len(self.signature) != SIGNATURE_SIZE:
            raise MalformedError(f"a signature has {SIGNATURE_SIZE} bytes, not {len(self.signature)}")
        # RFC 8785 by hand: keys in order, and base64 and hex hold nothing to escape.
        parts = b64encode(self.payload), encode(self.payload_type), key_id, b64encode(self.signature)
        encoded = b'{"payload":"%b","payloadType":%b,"signatures":[{"keyid":"%b","sig":"%b"}]}' % parts
        if len(encoded) > MAX_ENVELOPE_BYTES:
            raise MalformedError(f"an envelope of {len(encoded)} bytes does not fit {MAX_ENVELOPE_BYTES}")
        object.__setattr__(self, "_encoded", encoded)
        object.__setattr__(self, "digest", Digest.of(encoded))

    def encode(self) -> bytes:
        """The DSSE JSON envelope in RFC 8785 form."""
        return self._encoded

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Reads exactly what `encode` writes: one signature, canonical base64, canonical JSON.

        Raises MalformedError. Nothing is verified.
        """
        fields = Fields(parse(data, max_bytes=MAX_ENVELOPE_BYTES), "envelope")
        payload = bytes_from_base64(fields.text("payload", max_bytes=MAX_ENVELOPE_BYTES, empty=True))
        payload_type = fields.text("payloadType")
        (signed,) = fields.objects("signatures", minimum=1, maximum=1)
        key_id, signature = signed.text("keyid"), bytes_from_base64(signed.text("sig"))
        signed.close()
        fields.close()
        envelope = cls(payload, key_id, signature, payload_type)
        if envelope.encode() != data:
            raise MalformedError("the envelope is not in canonical form (RFC 8785, RFC 4648 3.5)")
        return envelope


def sign(payload: bytes, signer: Signer) -> Envelope:
    """Puts the payload into an envelope. Raises MalformedError where it would not fit a log entry."""
    return Envelope(payload, signer.public_key.key_id, signer.sign(pae(PAYLOAD_TYPE, payload)))


def verify(envelope: Envelope, key: PublicKey) -> bytes:
    """The payload, if this key signed it as an in-toto statement; SignatureError otherwise.

    The caller says which key counts: the key id in the envelope is not looked at.
    """
    if envelope.payload_type != PAYLOAD_TYPE:
        raise SignatureError(f"the payload is a {envelope.payload_type!r}, and {PAYLOAD_TYPE!r} was due")
    key.verify(pae(PAYLOAD_TYPE, envelope.payload), envelope.signature)
    return envelope.payload
