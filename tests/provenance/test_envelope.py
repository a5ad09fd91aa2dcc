"""DSSE envelopes: one signature, one spelling, and a size that fits the log."""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.errors import MalformedError, SignatureError
from trustrag.provenance import canonical, envelope
from trustrag.provenance.canonical import Digest, Json
from trustrag.provenance.envelope import MAX_ENVELOPE_BYTES, PAYLOAD_TYPE, Envelope
from trustrag.provenance.keys import PrivateKey

KEY = PrivateKey.from_seed(bytes(range(32)))
OTHER = PrivateKey.from_seed(bytes(range(1, 33)))
PAYLOAD = b'{"a":"\xff not even JSON"}'
SIGNED = envelope.sign(PAYLOAD, KEY)


def test_pae_is_that_of_the_dsse_protocol() -> None:
    expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    assert envelope.pae("http://example.com/HelloWorld", b"hello world") == expected


def test_pae_counts_bytes_and_not_characters() -> None:
    assert envelope.pae("é", b"\xff\n") == b"DSSEv1 2 \xc3\xa9 2 \xff\n"
    assert envelope.pae("", b"") == b"DSSEv1 0  0 "


@given(
    st.tuples(st.text("a 1", max_size=9), st.binary(max_size=9)),
    st.tuples(st.text("a 1", max_size=9), st.binary(max_size=9)),
)
def test_no_two_pairs_are_signed_alike(one: tuple[str, bytes], two: tuple[str, bytes]) -> None:
    assert (envelope.pae(*one) == envelope.pae(*two)) == (one == two)


def test_pae_refuses_half_a_character() -> None:
    with pytest.raises(MalformedError, match="surrogate"):
        envelope.pae("\ud800", b"")


# ---- sign and verify -----------------------------------------------------------------------------------


@given(st.binary(max_size=300))
def test_what_is_signed_verifies_and_comes_back(payload: bytes) -> None:
    signed = envelope.sign(payload, KEY)
    parsed = Envelope.parse(signed.encode())
    assert parsed == signed
    assert envelope.verify(parsed, KEY.public_key) == payload


def test_the_envelope_says_who_signed_and_what_it_is_called() -> None:
    assert SIGNED.key_id == KEY.public_key.key_id
    assert SIGNED.payload_type == PAYLOAD_TYPE == "application/vnd.in-toto+json"
    assert SIGNED.digest == Digest.of(SIGNED.encode()) == Envelope.parse(SIGNED.encode()).digest


def test_the_envelope_is_plain_dsse_json_in_canonical_form() -> None:
    value: dict[str, Json] = {
        "payload": b64encode(PAYLOAD).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [{"keyid": SIGNED.key_id, "sig": b64encode(SIGNED.signature).decode()}],
    }
    assert SIGNED.encode() == canonical.encode(value)
    assert json.loads(SIGNED.encode()) == value


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20), st.binary(max_size=50))
def test_any_type_is_written_canonically(payload_type: str, payload: bytes) -> None:
    made = replace(SIGNED, payload=payload, payload_type=payload_type)
    assert canonical.encode(canonical.parse(made.encode())) == made.encode()
    assert Envelope.parse(made.encode()) == made


def test_another_key_does_not_verify() -> None:
    with pytest.raises(SignatureError, match="does not hold"):
        envelope.verify(SIGNED, OTHER.public_key)


def test_the_key_id_decides_nothing() -> None:
    """The policy says which key counts: a lie in the envelope neither helps nor hurts."""
    lying = replace(SIGNED, key_id=OTHER.public_key.key_id)
    assert envelope.verify(lying, KEY.public_key) == PAYLOAD
    with pytest.raises(SignatureError):
        envelope.verify(lying, OTHER.public_key)


def test_another_payload_type_does_not_verify_even_when_signed() -> None:
    kind = "application/json"
    signature = KEY.sign(envelope.pae(kind, PAYLOAD))
    with pytest.raises(SignatureError, match="'application/json'"):
        envelope.verify(Envelope(PAYLOAD, KEY.public_key.key_id, signature, kind), KEY.public_key)
    with pytest.raises(SignatureError, match="does not hold"):
        envelope.verify(replace(SIGNED, signature=signature), KEY.public_key)


def test_a_signature_over_the_bare_payload_does_not_verify() -> None:
    with pytest.raises(SignatureError):
        envelope.verify(replace(SIGNED, signature=KEY.sign(PAYLOAD)), KEY.public_key)


@given(st.data())
def test_any_bent_byte_is_malformed_or_does_not_verify(data: st.DataObject) -> None:
    encoded = bytearray(SIGNED.encode())
    encoded[data.draw(st.integers(0, len(encoded) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        bent = Envelope.parse(bytes(encoded))
    except MalformedError:
        return
    assert bent.encode() == bytes(encoded)
    assert bent.digest != SIGNED.digest
    if replace(bent, key_id="00" * 32) == replace(SIGNED, key_id="00" * 32):
        return  # the key id is no part of what is signed
    with pytest.raises(SignatureError):
        envelope.verify(bent, KEY.public_key)


# ---- shape ---------------------------------------------------------------------------------------------


def test_envelopes_are_values() -> None:
    assert envelope.sign(PAYLOAD, KEY) == SIGNED
    assert len({SIGNED, envelope.sign(PAYLOAD, KEY), envelope.sign(b"", KEY)}) == 2
    with pytest.raises(FrozenInstanceError):
        SIGNED.payload = b""  # type: ignore[misc]


def test_an_envelope_fits_a_log_entry() -> None:
    room = (MAX_ENVELOPE_BYTES - len(envelope.sign(b"", KEY).encode())) // 4 * 3
    largest = envelope.sign(bytes(room), KEY)
    assert MAX_ENVELOPE_BYTES - 3 <= len(largest.encode()) <= MAX_ENVELOPE_BYTES
    assert Envelope.parse(largest.encode()) == largest
    with pytest.raises(MalformedError, match="does not fit 65535"):
        envelope.sign(bytes(room + 1), KEY)
    with pytest.raises(MalformedError, match="longer than 65535"):
        Envelope.parse(largest.encode() + b" " * 4)


def test_an_envelope_of_the_longest_size_fits() -> None:
    def made(kind: str, payload: bytes = b"") -> Envelope:
        return Envelope(payload, "0" * 64, bytes(64), kind)

    kind = next("t" * n for n in range(1, 9) if (MAX_ENVELOPE_BYTES - len(made("t" * n).encode())) % 4 == 0)
    payload = bytes((MAX_ENVELOPE_BYTES - len(made(kind).encode())) // 4 * 3)
    assert len(made(kind, payload).encode()) == MAX_ENVELOPE_BYTES
    with pytest.raises(MalformedError, match="does not fit"):
        made(kind, payload + b"x")


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_has_64_bytes(length: int) -> None:
    with pytest.raises(MalformedError, match="64 bytes"):
        replace(SIGNED, signature=bytes(length))


@pytest.mark.parametrize("key_id", ["", "me", "AB" * 32, "ab" * 31, '"' * 64])
def test_a_key_id_is_a_digest(key_id: str) -> None:
    with pytest.raises(MalformedError):
        replace(SIGNED, key_id=key_id)


def test_a_payload_type_is_text() -> None:
    with pytest.raises(MalformedError, match="surrogate"):
        replace(SIGNED, payload_type="\ud800")


SIGNATURE: dict[str, Json] = {"keyid": SIGNED.key_id, "sig": b64encode(SIGNED.signature).decode()}


@pytest.mark.parametrize(
    "bent",
    [
        {"payload": None},
        {"payload": "A"},
        {"payload": "AB=="},
        {"payload": "_w=="},
        {"payload": " AA=="},
        {"payloadType": 1},
        {"payloadType": ""},
        {"payloadType": "a" * 1025},
        {"signatures": None},
        {"signatures": []},
        {"signatures": [SIGNATURE, SIGNATURE]},
        {"signatures": [None]},
        {"signatures": [SIGNATURE | {"more": 1}]},
        {"signatures": [SIGNATURE | {"keyid": None}]},
        {"signatures": [SIGNATURE | {"keyid": ""}]},
        {"signatures": [SIGNATURE | {"keyid": "AB" * 32}]},
        {"signatures": [SIGNATURE | {"sig": ""}]},
        {"signatures": [SIGNATURE | {"sig": "AAAA"}]},
        {"signatures": [SIGNATURE | {"sig": urlsafe_b64encode(b"\xff" * 64).decode()}]},
        {"signatures": [{"sig": SIGNATURE["sig"]}]},
        {"signatures": [{"keyid": SIGNATURE["keyid"]}]},
        {"more": 1},
    ],
    ids=str,
)
def test_a_bent_field_is_malformed(bent: dict[str, Json]) -> None:
    honest = canonical.parse(SIGNED.encode())
    assert isinstance(honest, dict)
    with pytest.raises(MalformedError):
        Envelope.parse(canonical.encode(honest | bent))


def test_an_unknown_field_is_named() -> None:
    honest = canonical.parse(SIGNED.encode())
    assert isinstance(honest, dict)
    with pytest.raises(MalformedError, match="envelope has an unknown field 'more'"):
        Envelope.parse(canonical.encode(honest | {"more": 1}))
    signatures: list[Json] = [SIGNATURE | {"cert": ""}]
    with pytest.raises(MalformedError, match=r"envelope\.signatures\[0\] has an unknown field 'cert'"):
        Envelope.parse(canonical.encode(honest | {"signatures": signatures}))


@pytest.mark.parametrize(
    "bend",
    [
        lambda data: data + b"\n",
        lambda data: b" " + data,
        lambda data: data.replace(b",", b", "),
        lambda data: data.replace(b"payloadType", b"payload\\u0054ype"),
        lambda data: data.replace(b"application/", b"application\\/"),
        lambda data: b'{"payload":"",' + data[1:],
        lambda data: json.dumps(dict(reversed(json.loads(data).items())), separators=(",", ":")).encode(),
        lambda data: data[:-1],
        lambda data: b"",
        lambda data: b"[]",
        lambda data: b"null",
    ],
)
def test_another_spelling_is_malformed(bend: Callable[[bytes], bytes]) -> None:
    with pytest.raises(MalformedError):
        Envelope.parse(bend(SIGNED.encode()))


@given(st.binary(max_size=300))
def test_noise_is_no_envelope(data: bytes) -> None:
    with pytest.raises(MalformedError):
        Envelope.parse(data)
