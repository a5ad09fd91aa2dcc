"""What every file of records shares: a record is a document of its own, and a bad one costs itself alone.

A document is what a source signs and what a new version supersedes, so what is cited alone (a line, a row, a pair, a
minute of speech) is one. It is named `file#name`, by a name of its own where it has one, else by its number in the
file; the bytes that are signed are its bytes in the file.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NoReturn, TypeAlias

from trustrag.errors import MalformedError
from trustrag.ingest.document import Document, Origin, ReadProblem
from trustrag.ingest.reading.formats import TEXT_LIMIT, Unreadable, one_line
from trustrag.provenance.canonical import Metadata, encode_metadata, parse_metadata
from trustrag.provenance.statement import Derivation

RecordReader: TypeAlias = Callable[[bytes, Origin], Iterator[Document | ReadProblem]]

PASSAGE_LIMIT = 600
"""Characters up to which short records (rows, cues) are put together to one passage: a little less than a chunk."""

PAIR_LIMIT = 16_000
"""Most characters of a question with its answer, which stay one passage."""

RECORDS_LIMIT = 200_000
"""Most records of one file."""

PROBLEMS_LIMIT = 100
"""Bad records after which the rest of a file is not read: what it is not is clear by then."""

_SURROGATE = re.compile("[\ud800-\udfff]")


def each(
    makers: Iterable[tuple[str, Callable[[], Document]]], origin: Origin
) -> Iterator[Document | ReadProblem]:
    """What each of these (name, maker) gives: a document, or the line that says what is wrong with this record."""
    problems = 0
    for number, (name, make) in enumerate(makers):
        if number == RECORDS_LIMIT or problems == PROBLEMS_LIMIT:
            limit = f"{PROBLEMS_LIMIT} bad" if problems == PROBLEMS_LIMIT else f"{RECORDS_LIMIT:,}"
            yield ReadProblem(origin.doc_id, f"more than {limit} records; the rest of it was not read")
            return
        try:
            yield make()
        except (Unreadable, MalformedError) as error:
            problems += 1
            yield ReadProblem(one_line(f"{origin.doc_id}#{name}"), one_line(str(error)))


def record(
    origin: Origin,
    name: str,
    data: bytes,
    text: str,
    metadata: Mapping[str, Metadata],
    *,
    media_type: str,
    title: str = "",
    derived_from: tuple[Derivation, ...] = (),
    whole: bool = False,
) -> Document:
    """A record as a document. Raises Unreadable for text that none can have, MalformedError for such metadata."""
    if not text.strip():
        raise Unreadable("its text is blank")
    if len(text) > TEXT_LIMIT:
        raise Unreadable(f"{len(text):,} characters of text; the limit is {TEXT_LIMIT:,}")
    if _SURROGATE.search(text):
        raise Unreadable("its text holds half a surrogate pair, which is no character")
    # Through its canonical form, so that what cannot be signed is refused here, with the record's name.
    known = parse_metadata(encode_metadata({**metadata, "path": origin.path}))
    doc_id = f"{origin.doc_id}#{unicodedata.normalize('NFC', name)}"
    return Document(
        doc_id, data, media_type, text, one_line(title), known, origin.licence, derived_from, whole=whole
    )


def pair(
    origin: Origin,
    name: str,
    data: bytes,
    question: str,
    answer: str,
    more: Mapping[str, Metadata],
    *,
    media_type: str,
) -> Document:
    """A question and its answer as one passage: cut apart, the answer would be found for nobody's question."""
    question, answer = question.strip(), answer.strip()
    if not question or not answer:
        raise Unreadable("it has no answer" if question else "it has no question")
    if len(question) + len(answer) > PAIR_LIMIT:
        raise Unreadable(f"a pair of {len(question) + len(answer):,} characters; the limit is {PAIR_LIMIT:,}")
    metadata = {**more, "question": question}
    text = f"{question}\n\n{answer}"
    return record(origin, name, data, text, metadata, media_type=media_type, title=question, whole=True)


def grouped(sizes: Iterable[int], limit: int = PASSAGE_LIMIT) -> Iterator[tuple[int, int]]:
    """Neighbours that fit one passage together, as (first, last + 1), by their sizes in characters."""
    start, total, at = 0, 0, 0
    for at, size in enumerate(sizes, 1):
        if total and total + size > limit:
            yield start, at - 1
            start, total = at - 1, 0
        total += size + 2
    if at > start:
        yield start, at


def own_name(fields: dict[str, Metadata], number: int) -> str:
    """The record's `id`, taken out of its fields, or its number."""
    name = fields.pop("id", None)
    return str(name) if isinstance(name, str | int) and name != "" else str(number)


def load_json(text: str) -> Metadata:
    """A JSON value with no field twice and no NaN. Raises Unreadable."""
    try:
        value: Metadata = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {error}") from error
    return value


def load_object(text: str) -> dict[str, Metadata]:
    """As `load_json`, for an object."""
    value = load_json(text)
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
