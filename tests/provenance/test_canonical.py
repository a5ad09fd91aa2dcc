"""Strict JSON, RFC 8785 and digests: one value, one spelling, and MalformedError for all else."""

import json
import struct
from base64 import b64encode
from collections.abc import Callable
from enum import StrEnum

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from trustrag.errors import MalformedError
from trustrag.provenance import canonical
from trustrag.provenance.canonical import Digest, Fields, Json

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=20)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
METADATA = st.dictionaries(
    TEXT,
    st.recursive(
        SCALARS | FLOATS, lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner), max_leaves=9
    ),
)
NEARLY_JSON = st.lists(
    st.sampled_from(
        [
            *'{}[],:"\\aé01-.eE ',
            "1e5",
            "-0",
            "01",
            "9007199254740992",
            "null",
            "true",
            "NaN",
            "-Infinity",
            "\\ud800",
            '"a"',
            '"a":',
            "\ufeff",
        ]
    )
).map("".join)


def nested(depth: int) -> bytes:
    return b"[" * depth + b"]" * depth


# ---- digests, hex and base64 ---------------------------------------------------------------------------


def test_digest_of_abc_is_that_of_fips_180() -> None:
    digest = Digest.of(b"abc")
    assert digest.hex == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert Digest.from_hex(digest.hex) == digest
    assert repr(digest) == f"Digest({digest.hex})"


def test_digests_are_ordered_and_hashable() -> None:
    low, high = Digest(bytes(32)), Digest(b"\xff" * 32)
    assert sorted({high, low, high}) == [low, high]


@pytest.mark.parametrize("length", [0, 31, 33])
def test_digest_refuses_another_length(length: int) -> None:
    with pytest.raises(MalformedError, match="32 bytes"):
        Digest(bytes(length))


@pytest.mark.parametrize(
    "bent", [str.upper, lambda t: t[:-1], lambda t: t + "0", lambda t: " " + t, lambda t: "zz" + t]
)
def test_digest_refuses_another_spelling(bent: Callable[[str], str]) -> None:
    with pytest.raises(MalformedError):
        Digest.from_hex(bent("ab" * 32))


@given(st.binary(max_size=100))
def test_base64_has_one_spelling(data: bytes) -> None:
    assert canonical.bytes_from_base64(b64encode(data).decode()) == data


@pytest.mark.parametrize(
    "text", ["Zg", "Zh==", "Zg==\n", "Zg = =", "Z_==", "Zg==Zg==", "é", "====", "Zm9vYh=="]
)
def test_base64_refuses_other_spellings(text: str) -> None:
    with pytest.raises(MalformedError):
        canonical.bytes_from_base64(text)


# ---- RFC 8785 ------------------------------------------------------------------------------------------


def test_rfc8785_strings_and_literals() -> None:
    """RFC 8785, 3.2.2, without its floats."""
    value = canonical.parse(
        rb"""{
          "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
          "literals": [null, true, false]
        }"""
    )
    expected = '{"literals":[null,true,false],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    assert canonical.encode(value) == expected.encode()


def test_rfc8785_key_order() -> None:
    """RFC 8785, 3.2.3: keys are sorted as UTF-16, so the emoji comes before the Hebrew letter."""
    value = canonical.parse(
        rb"""{
          "\u20ac": "Euro Sign",
          "\r": "Carriage Return",
          "\ufb33": "Hebrew Letter Dalet With Dagesh",
          "1": "One",
          "\ud83d\ude00": "Emoji: Grinning Face",
          "\u0080": "Control",
          "\u00f6": "Latin Small Letter O With Diaeresis"
        }"""
    )
    assert list(json.loads(canonical.encode(value)).values()) == [
        "Carriage Return",
        "One",
        "Control",
        "Latin Small Letter O With Diaeresis",
        "Euro Sign",
        "Emoji: Grinning Face",
        "Hebrew Letter Dalet With Dagesh",
    ]


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("41b3de4355555555", "333333333.3333333"),
        ("41b3de4355555556", "333333333.3333334"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_rfc8785_numbers_in_metadata(bits: str, text: str) -> None:
    """RFC 8785, appendix B."""
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    data = b'{"n":%b}' % text.encode()
    assert canonical.encode_metadata({"n": value}) == data
    assert canonical.parse_metadata(data) == {"n": value}


@given(VALUES)
def test_encode_agrees_with_rfc8785(value: Json) -> None:
    assert canonical.encode(value) == rfc8785.dumps(value)


@given(VALUES)
def test_parse_reads_what_encode_writes(value: Json) -> None:
    data = canonical.encode(value)
    assert canonical.parse(data) == value
    assert canonical.parse_canonical(data) == value


def test_encode_takes_tuples_and_string_enums() -> None:
    class Colour(StrEnum):
        RED = "red"

    assert canonical.encode({"a": (1, Colour.RED)}) == b'{"a":[1,"red"]}'


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        {"a": [float("nan")]},
        2**53,
        -(2**53),
        "\ud800",
        {"\udfff": 1},
        {"\ud800": "\U0001f600"},
        {1: "a"},
        {None: "a"},
        b"bytes",
        {"a": {1, 2}},
        object(),
    ],
)
def test_encode_refuses(value: object) -> None:
    with pytest.raises(MalformedError):
        canonical.encode(value)  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [2**53 - 1, -(2**53) + 1, 10**15, -(10**15), 0])
def test_integers_up_to_their_borders(value: int) -> None:
    assert canonical.parse(str(value).encode()) == value
    assert canonical.encode(value) == str(value).encode()


def test_metadata_is_no_deeper_than_what_is_signed() -> None:
    inner: dict[str, object] = {}
    for _ in range(canonical.MAX_DEPTH - 1):
        inner = {"a": inner}
    assert canonical.encode_metadata(inner)  # type: ignore[arg-type]
    with pytest.raises(MalformedError, match="deeper"):
        canonical.encode_metadata({"a": inner})  # type: ignore[dict-item]


def test_depth_is_capped_alike_both_ways() -> None:
    deepest = canonical.parse(nested(canonical.MAX_DEPTH))
    assert canonical.encode(deepest) == nested(canonical.MAX_DEPTH)
    with pytest.raises(MalformedError, match="deeper"):
        canonical.parse(nested(canonical.MAX_DEPTH + 1))
    with pytest.raises(MalformedError, match="deeper"):
        canonical.encode([deepest])


@pytest.mark.parametrize("data", [b'[[[1]],{"a":2}]', b'{"a":{"b":[1]},"c":[{}]}', b'[[["[[[["]]]'])
def test_depth_counts_containers_and_not_brackets(data: bytes) -> None:
    assert canonical.parse(data, max_depth=3) == json.loads(data)
    with pytest.raises(MalformedError, match="deeper than 2"):
        canonical.parse(data, max_depth=2)


def test_brackets_in_a_string_are_no_depth() -> None:
    assert canonical.parse(b'"[[[["', max_depth=1) == "[[[["


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b'{"a":1,"a":1}', "twice"),
        (b'[{"b":{"a":1,"\\u0061":2}}]', "twice"),
        (b"1.0", "float"),
        (b"[1e2]", "float"),
        (b"NaN", "no NaN"),
        (b"[-Infinity]", "no -Infinity"),
        (b"9007199254740992", "beyond"),
        (b"-9007199254740992", "beyond"),
        (b"9" * 5000, "beyond"),
        (b'"\\ud800"', "surrogate"),
        (b'{"\\udc00":1}', "surrogate"),
        (b'"\xed\xa0\x80"', "not JSON"),
        (b"\xef\xbb\xbf1", "not JSON"),
        (b'"\xff"', "not JSON"),
        (b'"\n"', "not JSON"),
        (b"01", "not JSON"),
        (b"[1,]", "not JSON"),
        (b"1 2", "not JSON"),
        (b"", "not JSON"),
        (b"'a'", "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_parse_refuses(data: bytes, reason: str) -> None:
    with pytest.raises(MalformedError, match=reason):
        canonical.parse(data)


def test_parse_caps_the_size() -> None:
    assert canonical.parse(b'"abc"', max_bytes=5) == "abc"
    with pytest.raises(MalformedError, match="longer than 4"):
        canonical.parse(b'"abc"', max_bytes=4)


@pytest.mark.parametrize(
    "data", [b" 1", b"1\n", b'{"b":1,"a":2}', b'"\\u0041"', b'"\\/"', b"-0", b'"\\u001F"']
)
def test_parse_canonical_refuses_other_spellings(data: bytes) -> None:
    canonical.parse(data)
    with pytest.raises(MalformedError, match="canonical"):
        canonical.parse_canonical(data)


@given(st.binary() | NEARLY_JSON.map(lambda text: text.encode()))
def test_noise_is_malformed_or_parsed(data: bytes) -> None:
    try:
        value = canonical.parse(data)
    except MalformedError:
        return
    assert canonical.parse_canonical(canonical.encode(value)) == value


@given(st.binary() | NEARLY_JSON.map(lambda text: text.encode()))
def test_what_is_accepted_as_canonical_is_its_own_encoding(data: bytes) -> None:
    try:
        value = canonical.parse_canonical(data)
    except MalformedError:
        return
    assert canonical.encode(value) == data


@given(VALUES.map(canonical.encode), st.data())
def test_a_bent_byte_is_refused_or_means_something_else(data: bytes, draw: st.DataObject) -> None:
    at = draw.draw(st.integers(0, len(data) - 1))
    bent = data[:at] + bytes([data[at] ^ draw.draw(st.integers(1, 255))]) + data[at + 1 :]
    try:
        value = canonical.parse_canonical(bent)
    except MalformedError:
        return
    assert canonical.encode(value) == bent


# ---- metadata ------------------------------------------------------------------------------------------


@given(METADATA)
def test_metadata_comes_back(metadata: dict[str, canonical.Metadata]) -> None:
    data = canonical.encode_metadata(metadata)
    assert data == rfc8785.dumps(metadata)
    assert canonical.encode_metadata(canonical.parse_metadata(data)) == data
    assert canonical.parse_metadata(data) == metadata


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53, "\ud800", object(), b""])
def test_encode_metadata_refuses(value: object) -> None:
    with pytest.raises(MalformedError):
        canonical.encode_metadata({"a": value})  # type: ignore[dict-item]


@pytest.mark.parametrize(
    "data",
    [
        b"[]",
        b"1.5",
        b'{"a":1.0}',
        b'{"a":1e+16}',
        b'{"a":1.50}',
        b'{"a":-0}',
        b'{"a":-0.0}',
        b'{"a":1e999}',
        b'{"a":NaN}',
        b'{"a":9007199254740993}',
        b'{"a":%b}' % (b"9" * 400),
        b'{"a":1.5,"a":1.5}',
        b'{"b":1.5,"a":1}',
        b' {"a":1.5}',
        b'{"a":"\\ud800"}',
        b"{",
    ],
)
def test_parse_metadata_refuses(data: bytes) -> None:
    with pytest.raises(MalformedError):
        canonical.parse_metadata(data)


@given(st.binary() | NEARLY_JSON.map(lambda text: b'{"a":' + text.encode() + b"}"))
def test_noise_is_no_metadata(data: bytes) -> None:
    try:
        metadata = canonical.parse_metadata(data)
    except MalformedError:
        return
    assert canonical.encode_metadata(metadata) == data


# ---- time ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1_795_445_340, "2026-11-23T14:49:00Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (canonical.MAX_SECONDS, "9999-12-31T23:59:59Z"),
    ],
)
def test_time_has_one_spelling(seconds: int, text: str) -> None:
    assert canonical.rfc3339(seconds) == text
    assert canonical.parse_rfc3339(text) == seconds


@given(st.integers(0, canonical.MAX_SECONDS))
def test_time_comes_back(seconds: int) -> None:
    assert canonical.parse_rfc3339(canonical.rfc3339(seconds)) == seconds


@pytest.mark.parametrize("seconds", [-1, canonical.MAX_SECONDS + 1])
def test_time_has_its_years(seconds: int) -> None:
    with pytest.raises(MalformedError, match="years"):
        canonical.rfc3339(seconds)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Z",
        "2026-11-23T14:49:00",
        "2026-11-23T14:49:00+00:00",
        "2026-11-23T14:49:00z",
        "2026-11-23 14:49:00Z",
        "2026-11-23T14:49Z",
        "2026-11-23T14:49:00.0Z",
        "20261123T144900Z",
        "2026-W48-1T14:49:00Z",
        "2026-02-30T00:00:00Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T14:49:60Z",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00Z",
        "２026-11-23T14:49:00Z",
        " 2026-11-23T14:49:00Z",
    ],
)
def test_time_refuses_other_spellings(text: str) -> None:
    with pytest.raises(MalformedError, match="not a time"):
        canonical.parse_rfc3339(text)


@given(st.text())
def test_noise_is_no_time(text: str) -> None:
    with pytest.raises(MalformedError):
        canonical.parse_rfc3339(text)


# ---- fields --------------------------------------------------------------------------------------------


def fields(**values: Json) -> Fields:
    return Fields(values, "thing")


def test_fields_reads_each_kind() -> None:
    reader = fields(
        name="é",
        kind="k",
        count=3,
        flag=True,
        digest="ab" * 32,
        at="1970-01-01T00:00:01Z",
        none=None,
        blank="",
    )
    reader.literal("kind", "k")
    assert reader.text("name") == "é"
    assert reader.text("blank", empty=True) == ""
    assert reader.integer("count", minimum=3, maximum=3) == 3
    assert reader.boolean("flag") is True
    assert reader.nullable("none", reader.text) is None
    assert reader.nullable("digest", reader.digest) == Digest(b"\xab" * 32)
    assert reader.optional("absent", reader.text) is None
    assert reader.optional("at", reader.time) == 1
    reader.close()


def test_fields_reads_what_is_inside() -> None:
    reader = fields(inner={"a": 1}, list=[1, "b"], objects=[{"a": 1}, {"a": 2}])
    assert reader.fields("inner").integer("a") == 1
    assert reader.items("list", minimum=2, maximum=2) == [1, "b"]
    second = reader.objects("objects")[1]
    with pytest.raises(MalformedError, match=r"thing\.objects\[1\]\.a is not a string"):
        second.text("a")
    reader.close()


def test_fields_takes_nothing_from_its_value() -> None:
    value: dict[str, Json] = {"a": 1}
    Fields(value, "thing").integer("a")
    assert value == {"a": 1}


READS: list[tuple[Callable[[Fields], object], Json, str]] = [
    (lambda f: f.text("a"), 1, "is not a string"),
    (lambda f: f.text("a"), "", "is empty"),
    (lambda f: f.text("a", max_bytes=3), "éé", "is longer than 3 bytes"),
    (lambda f: f.text("a"), "\ud800", "surrogate"),
    (lambda f: f.literal("a", "x"), "y", "is not 'x'"),
    (lambda f: f.integer("a"), "1", "is not an integer"),
    (lambda f: f.integer("a"), True, "is not an integer"),
    (lambda f: f.integer("a"), -1, "is not between 0 and"),
    (lambda f: f.integer("a", maximum=1000), 1001, "is not between 0 and 1000"),
    (lambda f: f.boolean("a"), 1, "is not true or false"),
    (lambda f: f.digest("a"), "AB" * 32, "is not 32 bytes in lowercase hex"),
    (lambda f: f.time("a"), "now", "is not a time"),
    (lambda f: f.fields("a"), [], "is not an object"),
    (lambda f: f.items("a"), {}, "is not an array"),
    (lambda f: f.items("a", minimum=1), [], "has 0 items"),
    (lambda f: f.items("a", maximum=1), [1, 2], "has 2 items"),
    (lambda f: f.objects("a"), [1], r"\[0\] is not an object"),
    (lambda f: f.nullable("a", f.text), 1, "is not a string"),
    (lambda f: f.optional("a", f.text), None, "is not a string"),
]


@pytest.mark.parametrize(("read", "value", "reason"), READS)
def test_fields_refuses_and_names_the_field(
    read: Callable[[Fields], object], value: Json, reason: str
) -> None:
    with pytest.raises(MalformedError, match=reason):
        read(fields(a=value))


def test_fields_refuses_what_is_missing() -> None:
    for read, _, _ in READS[:-1]:
        with pytest.raises(MalformedError, match=r"thing\.a is missing"):
            read(fields(b=1))


def test_fields_refuses_what_nobody_asked_for() -> None:
    reader = fields(a=1, c=2, b=3)
    reader.integer("a")
    with pytest.raises(MalformedError, match="thing has an unknown field 'b'"):
        reader.close()


@pytest.mark.parametrize("value", [None, [], "a", 1])
def test_fields_are_of_an_object(value: Json) -> None:
    with pytest.raises(MalformedError, match="thing is not an object"):
        Fields(value, "thing")
