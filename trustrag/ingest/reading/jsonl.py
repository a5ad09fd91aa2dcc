"""JSON Lines: each line an object, each object a document of its own: a text, a pair, or a caption."""

from collections.abc import Callable, Iterator
from functools import partial

from trustrag.ingest.document import Document, Origin, ReadProblem
from trustrag.ingest.reading.captions import caption_of, is_caption
from trustrag.ingest.reading.formats import Unreadable, decode
from trustrag.ingest.reading.records import each, load_object, own_name, pair, record
from trustrag.provenance.canonical import Metadata

_JSON = "application/json"
_TEXT_FIELDS = ("text", "page_content")
_LINE_LIMIT = 4 * 1024 * 1024


def read_lines(data: bytes, origin: Origin) -> Iterator[Document | ReadProblem]:
    """Read each line as a document named `file#id`, or by the line's number where it has no id.

    Its text is the field `text` or `page_content`; the fields of `metadata`, and every other field, are its
    metadata. A line with `question` and `answer` is a pair, one with a media file and a `caption` is a caption (see
    `captions`). The bytes that are signed are the line's.
    """
    yield from each(_lines(data, origin), origin)


def _lines(data: bytes, origin: Origin) -> Iterator[tuple[str, Callable[[], Document]]]:
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.strip():
            yield str(number), partial(_document, line.rstrip(b"\r"), number, origin)


def _document(line: bytes, number: int, origin: Origin) -> Document:
    if len(line) > _LINE_LIMIT:
        raise Unreadable(f"a line of {len(line):,} bytes; the limit is {_LINE_LIMIT:,}")
    fields = load_object(decode(line))
    name = own_name(fields, number)
    if is_caption(fields):
        return caption_of(fields, name, line, origin)
    text = next((value for key in _TEXT_FIELDS if isinstance(value := fields.pop(key, None), str)), None)
    question, answer = fields.get("question"), fields.get("answer")
    if text is None and isinstance(question, str) and isinstance(answer, str):
        del fields["question"], fields["answer"]
        return pair(origin, name, line, question, answer, _metadata(fields), media_type=_JSON)
    if text is None:
        raise Unreadable(f"no text in a field {' or '.join(_TEXT_FIELDS)}")
    metadata = _metadata(fields)
    return record(origin, name, line, text, metadata, media_type=_JSON, title=str(metadata.get("title", "")))


def _metadata(fields: dict[str, Metadata]) -> dict[str, Metadata]:
    inner = fields.pop("metadata", None) or {}
    if not isinstance(inner, dict):
        raise Unreadable("its metadata is not an object")
    return {**fields, **inner}
