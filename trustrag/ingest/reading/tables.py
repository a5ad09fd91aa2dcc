"""Tables: rows of CSV as passages that say their columns, and of questions and answers as pairs."""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from trustrag.ingest.document import Document, Origin, ReadProblem
from trustrag.ingest.reading.formats import TEXT_LIMIT, Unreadable, decode, one_line
from trustrag.ingest.reading.records import RECORDS_LIMIT, each, grouped, pair, record

COLUMNS_LIMIT = 2000
"""Most columns of a table."""

LINES_LIMIT = 1_000_000
"""Most lines of a file; a row may have several."""

_CSV = "text/csv"
_KEYS = ("id", "key")
_QUESTIONS, _ANSWERS = ("question", "q", "frage"), ("answer", "a", "antwort")


@dataclass(frozen=True, slots=True)
class _Row:
    """One row: its number (1 is the first below the header), its cells, and its bytes as they stand in the file."""

    number: int
    cells: Sequence[str]
    data: bytes


@dataclass(frozen=True, slots=True)
class _Table:
    names: Sequence[str]
    header: bytes
    rows: Sequence[_Row]

    def column(self, *wanted: str) -> int | None:
        lowered = [name.lower() for name in self.names]
        return next((lowered.index(name) for name in wanted if name in lowered), None)

    def text(self, row: _Row) -> str:
        """One `column: value` line a cell that holds something."""
        cells = zip(self.names, row.cells, strict=False)
        return "\n".join(f"{name}: {cell.strip()}" for name, cell in cells if cell.strip())


def read_table(data: bytes, origin: Origin) -> Iterator[Document | ReadProblem]:
    """Read a table. The bytes that are signed of a passage are the header's and those of its rows.

    With a column `question` and one `answer`, each row is a pair. With a column `id` or `key`, each row is a document
    named by it. Else neighbouring rows that fit one passage are one, `file.csv#1` and so on, and `rows` in its
    metadata says which (`12-17`; 1 is the row below the header).
    """
    try:
        table = _parse(data)
    except (Unreadable, csv.Error) as error:
        yield ReadProblem(
            origin.doc_id,
            one_line(f"damaged or malformed ({error})" if isinstance(error, csv.Error) else str(error)),
        )
        return
    question, answer, key = table.column(*_QUESTIONS), table.column(*_ANSWERS), table.column(*_KEYS)
    if question is not None and answer is not None:
        yield from each(_pairs(table, origin, question, answer, key), origin)
    elif key is not None:
        yield from each(_named(table, origin, key), origin)
    else:
        yield from each(_groups(table, origin), origin)


def _parse(data: bytes) -> _Table:
    """The rows of a table, or why it is none: judged as a whole, since one quote left open moves every cell after it."""
    text = decode(data)
    if text.count("\n") > LINES_LIMIT:
        raise Unreadable(f"more than {LINES_LIMIT:,} lines; split it")
    lines = list(
        io.StringIO(text)
    )  # not splitlines: that breaks at characters which are no line ends in a table
    head = lines[0] if lines else ""
    delimiter = max((",", ";", "\t"), key=head.count)
    if head.count(delimiter) >= COLUMNS_LIMIT:
        raise Unreadable(f"{head.count(delimiter) + 1:,} columns; the limit is {COLUMNS_LIMIT:,}")
    reader = csv.reader(lines, delimiter=delimiter, strict=True)
    names = [one_line(name) for name in next(reader, [])]
    done = reader.line_num
    header = "".join(lines[:done]).encode()
    rows: list[_Row] = []
    length = 0
    for cells in reader:
        raw, done = "".join(lines[done : reader.line_num]).encode(), reader.line_num
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) > len(names):
            raise Unreadable(f"line {reader.line_num} has {len(cells)} cells, its header {len(names)}")
        rows.append(_Row(len(rows) + 1, cells, raw))
        # A long header is repeated on every row, so a small file can ask for a large text.
        length += len(raw) + sum(len(name) for name, cell in zip(names, cells, strict=False) if cell)
        if length > TEXT_LIMIT or len(rows) > RECORDS_LIMIT:
            raise Unreadable(
                f"gives more than {TEXT_LIMIT:,} characters of text or {RECORDS_LIMIT:,} rows; split it"
            )
    if not rows:
        raise Unreadable("no text in it")
    return _Table(names, header, rows)


def _pairs(
    table: _Table, origin: Origin, question: int, answer: int, key: int | None
) -> Iterator[tuple[str, Callable[[], Document]]]:
    for row in table.rows:
        cells = [*row.cells, *[""] * (len(table.names) - len(row.cells))]
        name = (cells[key].strip() if key is not None else "") or str(row.number)
        data = table.header + row.data
        more = {"rows": str(row.number)}
        yield name, partial(pair, origin, name, data, cells[question], cells[answer], more, media_type=_CSV)


def _named(table: _Table, origin: Origin, key: int) -> Iterator[tuple[str, Callable[[], Document]]]:
    for row in table.rows:
        name = (row.cells[key].strip() if key < len(row.cells) else "") or str(row.number)
        metadata = {"rows": str(row.number)}
        yield (
            name,
            partial(
                record, origin, name, table.header + row.data, table.text(row), metadata, media_type=_CSV
            ),
        )


def _groups(table: _Table, origin: Origin) -> Iterator[tuple[str, Callable[[], Document]]]:
    texts = [table.text(row) for row in table.rows]
    for number, (first, end) in enumerate(grouped(map(len, texts)), 1):
        rows = table.rows[first:end]
        numbers = f"{rows[0].number}-{rows[-1].number}" if len(rows) > 1 else str(rows[0].number)
        data = table.header + b"".join(row.data for row in rows)
        text = "\n\n".join(texts[first:end])
        yield (
            str(number),
            partial(record, origin, str(number), data, text, {"rows": numbers}, media_type=_CSV),
        )
