"""DSSE envelopes as a stranger would make them: with json, base64 and an Ed25519 library, and none of our code."""

import base64
import hashlib
import json
from pathlib import Path

from nacl.signing import SigningKey

PAYLOAD_TYPE = "application/vnd.in-toto+json"
ORDER = 2**252 + 27742317777372353535851937790883648493  # of the group of Ed25519


def canonical(value: object) -> bytes:
    """JSON with sorted keys and no spaces; RFC 8785 for what is used here."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def payload_of(envelope: bytes) -> bytes:
    """The payload of an envelope."""
    return base64.b64decode(json.loads(envelope)["payload"])


def pae(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """DSSE's pre-authentication encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def envelope(
    payload: bytes, key: SigningKey, *, key_id: str | None = None, payload_type: str = PAYLOAD_TYPE
) -> dict[str, object]:
    """A signed envelope as JSON; `key_id` may claim to be another key."""
    signature = key.sign(pae(payload, payload_type)).signature
    name = key_id or hashlib.sha256(bytes(key.verify_key)).hexdigest()
    return {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": payload_type,
        "signatures": [{"keyid": name, "sig": base64.b64encode(signature).decode()}],
    }


def stolen_key(home: Path, name: str) -> SigningKey:
    """A private key from the home folder of somebody who used no passphrase."""
    (path,) = home.glob(f"keys/*/{name}.key")
    fields = json.loads(path.read_text())
    return SigningKey(_seed(fields))


def _seed(fields: object) -> bytes:
    """The 32 bytes in a key file, wherever they stand: the one hex or base64 string that is not its public key."""
    assert isinstance(fields, dict)
    for value in fields.values():
        if isinstance(value, dict):
            return _seed(value)
    for name, value in fields.items():
        if isinstance(value, str) and name not in ("format", "publicKey", "public"):
            data = bytes.fromhex(value) if len(value) == 64 else base64.b64decode(value)
            if len(data) == 32:
                return data
    raise AssertionError("no private key in this file")
