"""Strict JSON in, RFC 8785 out, and SHA-256 digests.

What is signed is made of strings, integers, booleans, null, arrays and objects. Floats are refused: two
languages print them differently, and nothing that we sign needs one. Document metadata may hold floats, since
only the digest of its bytes is signed; it has its own pair of functions. All raise MalformedError only.
"""

import json
import math
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NoReturn, Self, TypeAlias, TypeVar

import rfc8785

from trustrag.errors import MalformedError

Json: TypeAlias = bool | int | str | list["Json"] | dict[str, "Json"] | None
Encodable: TypeAlias = bool | int | str | Sequence["Encodable"] | Mapping[str, "Encodable"] | None
Metadata: TypeAlias = bool | int | float | str | Sequence["Metadata"] | Mapping[str, "Metadata"] | None

MAX_INTEGER = 2**53 - 1
MAX_SECONDS = 253_402_300_799  # 9999-12-31T23:59:59Z, the last second RFC 3339 can write
MAX_DEPTH = 32
MAX_BYTES = 1 << 20

_T = TypeVar("_T")
_CONTAINERS = (dict, list)
_SIGNED = (str, bool, int, type(None))
_BEYOND_BMP = re.compile("[\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A SHA-256 digest: 32 bytes. Hex is for people and for JSON."""

    value: bytes

    def __post_init__(self) -> None:
        if len(self.value) != 32:
            raise MalformedError(f"a SHA-256 digest has 32 bytes, not {len(self.value)}")

    @classmethod
    def of(cls, data: bytes) -> Self:
        """The digest of these bytes."""
        return cls(sha256(data).digest())

    @classmethod
    def from_hex(cls, text: str) -> Self:
        """Reads 64 lowercase hex digits."""
        return cls(bytes_from_hex(text, 32))

    @property
    def hex(self) -> str:
        """64 lowercase hex digits."""
        return self.value.hex()

    def __repr__(self) -> str:
        return f"Digest({self.hex})"


def bytes_from_hex(text: str, length: int) -> bytes:
    """Exactly `length` bytes from lowercase hex."""
    try:
        data = bytes.fromhex(text)
    except ValueError:
        raise MalformedError("not hex digits") from None
    # fromhex skips spaces and takes capitals: one value would have many spellings.
    if len(data) != length or data.hex() != text:
        raise MalformedError(f"not {length} bytes in lowercase hex")
    return data


def bytes_from_base64(text: str) -> bytes:
    """Bytes from standard, padded base64 in its one canonical spelling (RFC 4648, 3.5)."""
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        raise MalformedError("not base64") from None
    # b64decode ignores the spare bits of the last digit: one value would have many spellings.
    if b64encode(data).decode() != text:
        raise MalformedError("not canonical base64")
    return data


def utf8(text: str) -> bytes:
    """The text in UTF-8; refuses half a surrogate pair, which is no character."""
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise MalformedError("half a surrogate pair is no character") from None


def encode(value: Encodable) -> bytes:
    """The RFC 8785 form of a value without floats.

    Refuses floats, integers beyond 2^53-1, lone surrogates, keys that are not strings, other types, and
    nesting deeper than MAX_DEPTH.
    """
    _require_encodable((value,), MAX_DEPTH, _SIGNED)
    return _dump(value)


def parse(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Json:
    """Reads JSON strictly. White space and any key order pass here; see `parse_canonical`.

    Refuses duplicate keys, floats, NaN, integers beyond 2^53-1, lone surrogates, a byte order mark, invalid
    UTF-8, and more bytes or depth than the caps.
    """
    value: Json = _load(_STRICT, data, max_bytes, max_depth)
    return value


def parse_canonical(data: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Json:
    """Reads JSON that is its own RFC 8785 form: one value, one spelling."""
    value = parse(data, max_bytes=max_bytes, max_depth=max_depth)
    if _dump(value) != data:
        raise MalformedError("JSON is not in canonical form (RFC 8785)")
    return value


def encode_metadata(metadata: Mapping[str, Metadata]) -> bytes:
    """The RFC 8785 form of a document's metadata: finite floats are allowed, all else is as in `encode`."""
    _require_encodable((metadata,), MAX_DEPTH, (*_SIGNED, float))
    return _dump_rfc8785(metadata)


def parse_metadata(data: bytes, *, max_bytes: int = MAX_BYTES) -> dict[str, Metadata]:
    """Reads what `encode_metadata` writes, and no other spelling of it.

    An integer of 2^53 or more comes back as the float that RFC 8785 writes without a point.
    """
    value: Any
    try:
        value = parse_canonical(data, max_bytes=max_bytes)  # nearly all metadata, at the speed of C
    except MalformedError:
        value = _load(_WITH_FLOATS, data, max_bytes, MAX_DEPTH)
        if isinstance(value, dict) and encode_metadata(value) != data:
            raise MalformedError("metadata is not in canonical form (RFC 8785)") from None
    if not isinstance(value, dict):
        raise MalformedError("metadata is not a JSON object")
    return value


def rfc3339(seconds: int) -> str:
    """Unix seconds as "2026-11-23T14:49:00Z", in the years 1970 to 9999."""
    if not 0 <= seconds <= MAX_SECONDS:
        raise MalformedError(f"{seconds} is no time between the years 1970 and 9999")
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_rfc3339(text: str) -> int:
    """Unix seconds from exactly the form that `rfc3339` writes."""
    try:
        # fromisoformat reads many spellings, and without a zone it would ask the machine for its own.
        seconds = int(datetime.fromisoformat(text).timestamp()) if text[-1:] == "Z" else -1
        if rfc3339(seconds) == text:
            return seconds
    except (ValueError, MalformedError):
        pass
    raise MalformedError("not a time like 2026-11-23T14:49:00Z")


class Fields:
    """Reads one JSON object field by field; `close()` refuses the fields that nobody asked for.

    Errors name the field by its path, such as `statement.subject[2].name`.
    """

    __slots__ = ("_left", "where")

    def __init__(self, value: Json, where: str) -> None:
        if not isinstance(value, dict):
            raise MalformedError(f"{where} is not an object")
        self._left = dict(value)
        self.where = where

    def text(self, name: str, *, max_bytes: int = 1024, empty: bool = False) -> str:
        """A string of at most `max_bytes` UTF-8 bytes; the empty string only when `empty`."""
        value = self._take(name)
        if not isinstance(value, str):
            self._refuse(name, "is not a string")
        if not value and not empty:
            self._refuse(name, "is empty")
        if len(utf8(value)) > max_bytes:
            self._refuse(name, f"is longer than {max_bytes} bytes")
        return value

    def literal(self, name: str, expected: str) -> None:
        """A string that can only be this one."""
        if self._take(name) != expected:
            self._refuse(name, f"is not {expected!r}")

    def integer(self, name: str, *, minimum: int = 0, maximum: int = MAX_INTEGER) -> int:
        """An integer within the bounds; true and false are no integers."""
        value = self._take(name)
        if not isinstance(value, int) or isinstance(value, bool):
            self._refuse(name, "is not an integer")
        if not minimum <= value <= maximum:
            self._refuse(name, f"is not between {minimum} and {maximum}")
        return value

    def boolean(self, name: str) -> bool:
        """True or false."""
        value = self._take(name)
        if not isinstance(value, bool):
            self._refuse(name, "is not true or false")
        return value

    def digest(self, name: str) -> Digest:
        """A SHA-256 digest in lowercase hex."""
        return self._convert(name, Digest.from_hex)

    def time(self, name: str) -> int:
        """Unix seconds from RFC 3339 in its one canonical form."""
        return self._convert(name, parse_rfc3339)

    def fields(self, name: str) -> "Fields":
        """An inner object, to be read and closed by its own reader."""
        return Fields(self._take(name), f"{self.where}.{name}")

    def items(self, name: str, *, minimum: int = 0, maximum: int = 100_000) -> list[Json]:
        """An array with its number of items within the bounds."""
        value = self._take(name)
        if not isinstance(value, list):
            self._refuse(name, "is not an array")
        if not minimum <= len(value) <= maximum:
            self._refuse(name, f"has {len(value)} items, not {minimum} to {maximum}")
        return value

    def objects(self, name: str, *, minimum: int = 0, maximum: int = 100_000) -> "list[Fields]":
        """An array of objects, each to be read and closed by its own reader."""
        items = self.items(name, minimum=minimum, maximum=maximum)
        return [Fields(item, f"{self.where}.{name}[{at}]") for at, item in enumerate(items)]

    def optional(self, name: str, read: Callable[[str], _T]) -> _T | None:
        """`read(name)` where the field is there, else None: `f.optional("expires", f.time)`."""
        return read(name) if name in self._left else None

    def nullable(self, name: str, read: Callable[[str], _T]) -> _T | None:
        """`read(name)`, or None where the field, which must be there, is null."""
        if name in self._left and self._left[name] is None:
            del self._left[name]
            return None
        return read(name)

    def close(self) -> None:
        """Refuses fields that were not read: a field that we do not know could mean anything."""
        if self._left:
            raise MalformedError(f"{self.where} has an unknown field {min(self._left)!r}")

    def _convert(self, name: str, convert: Callable[[str], _T]) -> _T:
        text = self.text(name, max_bytes=64)
        try:
            return convert(text)
        except MalformedError as error:
            self._refuse(name, f"is {error}")

    def _take(self, name: str) -> Json:
        if name not in self._left:
            self._refuse(name, "is missing")
        return self._left.pop(name)

    def _refuse(self, name: str, problem: str) -> NoReturn:
        raise MalformedError(f"{self.where}.{name} {problem}")


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise MalformedError("JSON names one key twice")
    return value


def _integer(digits: str) -> int:
    # The length goes first: int() of a megabyte of digits is work that an attacker gets for free.
    if len(digits) > 17 or not -MAX_INTEGER <= int(digits) <= MAX_INTEGER:
        raise MalformedError("JSON holds an integer beyond 2^53-1")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise MalformedError("JSON holds a number beyond all floats")
    return value


def _any_integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= 16 and abs(int(digits)) <= MAX_INTEGER else _number(digits)


def _refuse_float(digits: str) -> NoReturn:
    raise MalformedError("JSON holds a float; what is signed is made of integers and strings")


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedError(f"JSON has no {name}")


_STRICT = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_refuse_float, parse_constant=_refuse_constant
)
_WITH_FLOATS = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_any_integer, parse_float=_number, parse_constant=_refuse_constant
)
_ENCODER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), check_circular=False)


def _load(decoder: json.JSONDecoder, data: bytes, max_bytes: int, max_depth: int) -> Any:
    if len(data) > max_bytes:
        raise MalformedError(f"JSON is longer than {max_bytes} bytes")
    try:
        text = data.decode()
        value = decoder.decode(text)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not JSON: {error}") from None
    if text.count("{") + text.count("[") > max_depth:
        _require_depth(value, max_depth)
    if "\\u" in text:  # the only way for half a surrogate pair to come in through valid UTF-8
        utf8(_ENCODER.encode(value))
    return value


def _require_depth(value: object, max_depth: int) -> None:
    level: list[Any] = [value]
    for _ in range(max_depth + 1):
        level = [node for node in level if isinstance(node, _CONTAINERS)]
        if not level:
            return
        level = [child for node in level for child in (node.values() if isinstance(node, dict) else node)]
    raise MalformedError(f"JSON is nested deeper than {max_depth}")


def _require_encodable(values: Iterable[object], depth: int, scalars: tuple[type, ...]) -> None:
    for value in values:
        if isinstance(value, scalars):
            if isinstance(value, int) and not -MAX_INTEGER <= value <= MAX_INTEGER:
                raise MalformedError("an integer beyond 2^53-1 cannot be written")
        elif depth == 0:
            raise MalformedError(f"what is nested deeper than {MAX_DEPTH} cannot be written")
        elif isinstance(value, dict):
            if not all(isinstance(key, str) for key in value):
                raise MalformedError("an object key that is not a string cannot be written")
            _require_encodable(value.values(), depth - 1, scalars)
        elif isinstance(value, list | tuple):
            _require_encodable(value, depth - 1, scalars)
        else:
            raise MalformedError(f"a {type(value).__name__} cannot be written into what is signed")


def _dump(value: Encodable) -> bytes:
    """RFC 8785 by the C encoder of the standard library, for values already known to hold no float.

    Its strings and integers are those of RFC 8785. Its keys are in code point order and RFC 8785 wants UTF-16
    order (3.2.3): they differ only where a character lies beyond the basic plane, and that goes to rfc8785.
    """
    text = _ENCODER.encode(value)
    if not text.isascii() and _BEYOND_BMP.search(text):
        return _dump_rfc8785(value)
    return utf8(text)


def _dump_rfc8785(value: Metadata) -> bytes:
    try:
        return rfc8785.dumps(value)
    except ValueError as error:
        raise MalformedError(f"cannot be written: {error}") from None
