"""From a file's bytes to its text: one small reader per media type.

Every reader is bounded, takes bytes and returns an `Extract`; it raises `Unreadable` with one line that
says what is wrong and what to do, and imports its library only when a file of its type arrives.
"""

import io
import json
import logging
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from docx.document import Document as DocxDocument
    from docx.table import Table
    from docx.text.paragraph import Paragraph
    from lxml.html import HtmlElement  # type: ignore[import-untyped]  # it ships no types

TEXT_LIMIT = 16_000_000
"""Most characters of text one file may give: some 20,000 passages."""

_DOCX_UNPACKED_LIMIT = 128 * 1024 * 1024
_DOCX_PARTS_LIMIT = 4096
_PIECE = 1 << 20
_PDF_PAGES_LIMIT = 5000
_PDF_SECONDS_LIMIT = 120.0
_HTML_DEPTH_LIMIT = 200
_HTML_TAGS_LIMIT = 250_000  # opening and closing; the trees of so many take half a gigabyte
_NOTEBOOK_VERSION = 4
_CELLS_LIMIT = 20_000
_TITLE_LIMIT = 300


class Unreadable(Exception):
    """This file cannot be taken in; the message is the one line to show."""


@dataclass(frozen=True, slots=True)
class Extract:
    """What a reader made of a file: its text, and its title if it carries one."""

    text: str
    title: str = ""


def decode(data: bytes) -> str:
    """Decode UTF-8 (with or without a byte order mark) and turn every line end into a newline."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise Unreadable("UTF-16, not UTF-8; convert it")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Unreadable(f"not UTF-8 at byte {error.start}; convert it") from error
    nul = text.find("\0")
    if nul >= 0:
        raise Unreadable(f"a NUL at character {nul}: binary, or UTF-16 without its mark; no text file")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def one_line(text: str) -> str:
    """Fold text into one line of at most 300 characters, for titles and reasons."""
    printable = "".join(c if c.isprintable() else " " for c in text[: 4 * _TITLE_LIMIT])
    return " ".join(printable.split())[:_TITLE_LIMIT]


def read_text(data: bytes) -> Extract:
    """Plain text, as it is."""
    return Extract(decode(data))


def read_markdown(data: bytes) -> Extract:
    """Markdown, as it is; its title is its first top heading."""
    text = decode(data)
    return Extract(text, _heading(text))


def _heading(text: str) -> str:
    # Trimmed afterwards: a pattern that leaves out what closes a heading tries every end of a long one.
    heading = re.search(r"^# +([^ \n].*)$", text, re.MULTILINE)
    return one_line(heading[1].rstrip(" #")) if heading else ""


def read_html(data: bytes) -> Extract:
    """The main content of a page, by trafilatura; all text but scripts and styles where it finds none.

    A page without navigation, header, footer or aside has nothing to leave out, so nothing may get lost: where
    trafilatura drops some of it (a short list, a line of its own), all text is taken, too.
    """
    import lxml.html  # type: ignore[import-untyped]  # it ships no types
    from trafilatura import extract

    page = decode(data)
    if not page.strip():
        raise Unreadable("no text in it")
    _check_tags(page)
    # The page is UTF-8; told so, the parser does not follow another claim of the page's own.
    tree = lxml.html.fromstring(page.encode(), parser=lxml.html.HTMLParser(encoding="utf-8"))
    title = one_line(tree.findtext(".//title") or "")
    text = extract(page, output_format="markdown", include_comments=False, include_tables=True) or ""
    body = tree.find(".//body")
    whole = _all_text(tree if body is None else body)
    framed = any(True for _ in tree.iter("nav", "header", "footer", "aside"))
    if not text.strip() or (not framed and _letters(text) < 0.98 * _letters(whole)):
        text = whole
    return Extract(text, title)


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def _check_tags(page: str) -> None:
    """Refuse a page of more elements, or nested deeper, than authors write: extractors walk trees recursively
    and keep several copies of them."""
    void = {
        "area",
        "base",
        "br",
        "col",
        "embed",
        "hr",
        "img",
        "input",
        "link",
        "meta",
        "source",
        "track",
        "wbr",
    }
    # These close themselves when the next one opens, so a long list without end tags is not a deep one.
    implied = {"p", "li", "dt", "dd", "tr", "td", "th", "option", "thead", "tbody", "tfoot", "rt", "rp"}
    depth = 0
    for number, match in enumerate(re.finditer(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)", page)):
        if number == _HTML_TAGS_LIMIT:
            raise Unreadable(f"more than {_HTML_TAGS_LIMIT:,} tags; split it")
        if match[2].lower() in void | implied:
            continue
        depth = max(0, depth - 1) if match[1] else depth + 1
        if depth > _HTML_DEPTH_LIMIT:
            raise Unreadable(
                f"elements nested more than {_HTML_DEPTH_LIMIT} deep at character {match.start()}"
            )


def _all_text(tree: "HtmlElement") -> str:
    from lxml_html_clean import Cleaner

    cleaned = Cleaner(style=True, inline_style=False, safe_attrs_only=False, page_structure=False).clean_html(
        tree
    )
    lines = (" ".join(part.split()) for part in cleaned.itertext())
    return "\n".join(line for line in lines if line)


def read_pdf(data: bytes) -> Extract:
    """The text layer of a PDF, page by page."""
    from pypdf import PdfReader

    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise Unreadable("encrypted with a password; decrypt it")
    if len(reader.pages) > _PDF_PAGES_LIMIT:
        raise Unreadable(f"{len(reader.pages)} pages; the limit is {_PDF_PAGES_LIMIT}; split it")
    pages: list[str] = []
    length, deadline = 0, monotonic() + _PDF_SECONDS_LIMIT
    for page in reader.pages:
        pages.append(page.extract_text())
        length += len(pages[-1])
        if length > TEXT_LIMIT or monotonic() > deadline:
            raise Unreadable(
                f"its first {len(pages)} pages already pass the limits on text or time; split it"
            )
    title = (reader.metadata.title if reader.metadata else None) or ""
    return Extract(_mended("\n\n".join(pages)), one_line(_mended(str(title))))


def _mended(text: str) -> str:
    """Text that can be written as UTF-8: a PDF's own tables of characters may give halves and NULs."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "")


def read_docx(data: bytes) -> Extract:
    """Paragraphs and tables of a Word document, in order; headings become Markdown headings."""
    _check_archive(data)
    from docx import Document

    document = Document(io.BytesIO(data))
    return Extract("\n\n".join(_docx_blocks(document)), one_line(document.core_properties.title or ""))


def _check_archive(data: bytes) -> None:
    """Add up what a zip says it unpacks to, then unpack each part by pieces and throw it away.

    What an entry says of its size is a bound only for who reads by pieces: read at once, as Word's reader does, all of
    it is unpacked before it is cut to that size. A part that is longer than it says fails its checksum here.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entries = archive.infolist()
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > _DOCX_UNPACKED_LIMIT or len(entries) > _DOCX_PARTS_LIMIT:
            raise Unreadable(
                f"unpacks to {unpacked:,} bytes in {len(entries)} parts; "
                f"the limits are {_DOCX_UNPACKED_LIMIT:,} and {_DOCX_PARTS_LIMIT}"
            )
        for entry in entries:
            with archive.open(entry) as part:
                while part.read(_PIECE):
                    pass


def _docx_blocks(document: "DocxDocument") -> Iterator[str]:
    from docx.text.paragraph import Paragraph

    for block in document.iter_inner_content():
        text = _docx_paragraph(block) if isinstance(block, Paragraph) else _docx_table(block)
        if text.strip():
            yield text


def _docx_paragraph(paragraph: "Paragraph") -> str:
    style = paragraph.style.name if paragraph.style is not None else None
    heading = re.fullmatch(r"Heading ([1-6])", style or "")
    return f"{'#' * int(heading[1])} {paragraph.text}" if heading else paragraph.text


def _docx_table(table: "Table") -> str:
    rows = ((" ".join(cell.text.split()) for cell in row.cells) for row in table.rows)
    return "\n".join(" | ".join(row) for row in rows)


def read_notebook(data: bytes) -> Extract:
    """The cells of a Jupyter notebook (nbformat 4) as Markdown, code in fences; what they put out is left out."""
    notebook = json.loads(decode(data))
    if not isinstance(notebook, dict) or notebook.get("nbformat") != _NOTEBOOK_VERSION:
        raise Unreadable(f"no notebook of nbformat {_NOTEBOOK_VERSION}; convert it")
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        raise Unreadable("a notebook without cells")
    if len(cells) > _CELLS_LIMIT:
        raise Unreadable(f"{len(cells):,} cells; the limit is {_CELLS_LIMIT:,}; split it")
    metadata = notebook.get("metadata")
    kernel = metadata.get("kernelspec") if isinstance(metadata, dict) else None
    language = one_line(str(kernel.get("language", ""))) if isinstance(kernel, dict) else ""
    text = "\n\n".join(part for cell in cells if (part := _cell(cell, language)))
    return Extract(text, _heading(text))


def _cell(cell: object, language: str) -> str:
    if not isinstance(cell, dict):
        raise Unreadable("a cell that is no object")
    source = cell.get("source", "")
    lines = source if isinstance(source, list) else [source]
    if not all(isinstance(line, str) for line in lines):
        raise Unreadable("a cell whose source is no text")
    text = "".join(lines).strip("\n")
    if not text.strip() or cell.get("cell_type") not in ("markdown", "code"):
        return ""
    return text if cell["cell_type"] == "markdown" else f"```{language}\n{text}\n```"


READERS: dict[str, Callable[[bytes], Extract]] = {
    "text/plain": read_text,
    "text/markdown": read_markdown,
    "text/html": read_html,
    "application/pdf": read_pdf,
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": read_docx,
    "application/x-ipynb+json": read_notebook,
}
"""By media type; any other is read as plain text: source code in a language that has a name."""


@contextmanager
def _quiet(library: str) -> Iterator[None]:
    """Keep a library's warnings about a damaged file off the terminal: the report has its one line."""
    logger = logging.getLogger(library)
    level = logger.level
    logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        logger.setLevel(level)


def extract(data: bytes, media_type: str) -> Extract:
    """Read bytes of one document by the reader of its media type.

    This is the border where parsers of other people's making meet hostile files: whatever they raise
    becomes `Unreadable`, its cause chained.
    """
    try:
        with _quiet("pypdf"), _quiet("trafilatura"):
            result = READERS.get(media_type, read_text)(data)
    except Unreadable:
        raise
    except Exception as error:
        raise Unreadable(one_line(f"damaged or malformed ({type(error).__name__}: {error})")) from error
    if not result.text.strip():
        raise Unreadable("no text in it" + (" (scanned pages? run OCR first)" if "pdf" in media_type else ""))
    if len(result.text) > TEXT_LIMIT:
        raise Unreadable(f"{len(result.text):,} characters of text; the limit is {TEXT_LIMIT:,}; split it")
    return result
