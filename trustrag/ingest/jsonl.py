"""JSON Lines: each line an object, each object a document of its own."""

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import NoReturn

from trustrag.errors import MalformedError
from trustrag.ingest.document import Document, ReadProblem
from trustrag.ingest.formats import TEXT_LIMIT, Unreadable, decode, one_line
from trustrag.provenance.canonical import Metadata, encode_metadata, parse_metadata

_TEXT_FIELDS = ("text", "page_content")
_LINE_LIMIT = 4 * 1024 * 1024


def read_lines(data: bytes, doc_id: str, path: str, licence: str | None) -> Iterator[Document | ReadProblem]:
    """Read each line as a document named `doc_id#id`, or by the line's number where it has no id.

    Its text is the field `text` or `page_content`; the fields of `metadata`, and every other field, are its
    metadata. The bytes that are signed are the line's. A bad line costs itself alone.
    """
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            yield _document(line.rstrip(b"\r"), number, doc_id, path, licence)
        except (Unreadable, MalformedError) as error:
            yield ReadProblem(f"{doc_id}#{number}", one_line(str(error)))


def _document(line: bytes, number: int, doc_id: str, path: str, licence: str | None) -> Document:
    if len(line) > _LINE_LIMIT:
        raise Unreadable(f"a line of {len(line):,} bytes; the limit is {_LINE_LIMIT:,}")
    fields = _load(decode(line))
    text = next((value for name in _TEXT_FIELDS if isinstance(value := fields.pop(name, None), str)), None)
    if text is None:
        raise Unreadable(f"no text in a field {' or '.join(_TEXT_FIELDS)}")
    if re.search(r"[\ud800-\udfff]", text):
        raise Unreadable("its text holds half a surrogate pair, which is no character")
    if not text.strip() or len(text) > TEXT_LIMIT:
        raise Unreadable("its text is blank" if not text.strip() else "its text is too long")
    name = fields.pop("id", None)
    inner = fields.pop("metadata", None) or {}
    if not isinstance(inner, dict):
        raise Unreadable("its metadata is not an object")
    title = one_line(str(inner.get("title", fields.get("title", ""))))
    # Through its canonical form, so that what cannot be signed is refused here, with the line's number.
    metadata = parse_metadata(encode_metadata({**fields, **inner, "path": path}))
    own_name = str(name) if isinstance(name, str | int) and name != "" else str(number)
    full_id = f"{doc_id}#{unicodedata.normalize('NFC', own_name)}"
    return Document(full_id, line, "application/json", text, title, metadata, licence)


def _load(text: str) -> dict[str, Metadata]:
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise Unreadable("not a JSON object")
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a field appears twice")
    return fields


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
