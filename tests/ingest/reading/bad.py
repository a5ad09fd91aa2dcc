"""Bad input, made here and never committed: each case is a folder with something in it that must not stop a run.

A case is (name, what makes it, how many problems it may cost, what one of them says). `make` gets an empty folder.
"""

import io
import json
import os
import socket
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.ingest.reading.files import assembled, locked, pdf, word, word_bomb, word_with_entities

MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    """`says` is part of the one line that the file gets; empty where it is read and only must not cost much."""

    name: str
    make: Callable[[Path], None]
    says: str


def _file(name: str, data: bytes | Callable[[], bytes]) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(data if isinstance(data, bytes) else data()) and None


def _streamed(name: str, head: bytes, part: bytes, times: int, tail: bytes = b"") -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        with (folder / name).open("wb") as stream:
            stream.write(head)
            for _ in range(times):
                stream.write(part)
            stream.write(tail)

    return make


def _sparse(folder: Path) -> None:
    with (folder / "giant.txt").open("wb") as stream:
        stream.truncate(1 << 40)


def _stream(data: bytes, more: bytes = b"") -> bytes:
    return b"<< /Length %d /Filter /FlateDecode %b >>\nstream\n%b\nendstream" % (len(data), more, data)


def _bomb_of(byte: bytes, size: int) -> bytes:
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(byte * MIB) for _ in range(size // MIB)) + packer.flush()


def _page(contents: bytes) -> bytes:
    """One page that shows these contents."""
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>"
    return assembled(
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        page,
        contents,
        font,
    )


def _circular_pages() -> bytes:
    return assembled(
        b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [2 0 R] /Count 1 /Parent 2 0 R >>"
    )


def _page_bomb() -> bytes:
    return _page(_stream(_bomb_of(b" ", 3000 * MIB)))


def _slow_page() -> bytes:
    """Ten million ways to show a letter, on one page: no limit on pages or bytes meets it, only the clock."""
    return _page(_stream(zlib.compress(b"BT /F1 12 Tf " + b"(x) Tj 1 0 0 1 0 0 cm " * 3_000_000 + b" ET", 9)))


def _nested_forms() -> bytes:
    """Forms that each draw the next ten times: ten to the power of their number."""
    names = [b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"]
    names.append(
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << /XObject << /X 5 0 R >> >> >>"
    )
    names.append(_stream(zlib.compress(b"/X Do " * 10)))
    for number in range(5, 17):
        nested = (
            b"/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X %d 0 R >> >>"
            % (number + 1)
        )
        names.append(_stream(zlib.compress(b"/X Do " * 10), nested))
    names.append(_stream(zlib.compress(b"BT (x) Tj ET"), b"/Type /XObject /Subtype /Form /BBox [0 0 9 9]"))
    return assembled(*names)


def _zip(parts: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(word())) as honest,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as made,
    ):
        for entry in honest.infolist():
            made.writestr(entry.filename, parts.pop(entry.filename, honest.read(entry)))
        for name, data in parts.items():
            made.writestr(name, data)
    return stream.getvalue()


def _lying_zip() -> bytes:
    """A Word document whose directory says that its body unpacks to a hundred bytes."""
    data = bytearray(word_bomb(300 * MIB))
    at = data.rindex(b"PK\x01\x02", 0, data.rindex(b"word/document.xml"))
    data[at + 24 : at + 28] = struct.pack("<I", 100)
    return bytes(data)


def _deep_docx() -> bytes:
    w = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    deep = "<w:sdt><w:sdtContent>" * 50_000
    return _zip({"word/document.xml": f'<w:document xmlns:w="{w}"><w:body>{deep}'.encode()})


def _external_docx() -> bytes:
    """A body that includes a file of this machine."""
    body = '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>'
    w = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    body += f'<w:document xmlns:w="{w}"><w:body><w:p><w:r><w:t>&f;</w:t></w:r></w:p></w:body></w:document>'
    return _zip({"word/document.xml": body.encode()})


def _notebook(cells: object) -> bytes:
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()


def _links(folder: Path) -> None:
    (folder / "out.txt").symlink_to("/etc/hostname")


def _circle(folder: Path) -> None:
    (folder / "a.md").symlink_to(folder / "b.md")
    (folder / "b.md").symlink_to(folder / "a.md")


def _loop(folder: Path) -> None:
    (folder / "again").symlink_to(folder)


def _device(folder: Path) -> None:
    (folder / "zero.txt").symlink_to("/dev/zero")


def _fifo(folder: Path) -> None:
    os.mkfifo(folder / "pipe.csv")


def _socket(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(folder)  # the path of a socket may have no more than a hundred bytes
        try:
            server.bind("socket.md")
        finally:
            os.chdir(here)


def _captions(**entry: object) -> Callable[[Path], None]:
    def make(folder: Path) -> None:
        (folder / "a.png").write_bytes(b"\x89PNG a picture")
        (folder / "captions.json").write_text(json.dumps([{"caption": "A cat.", **entry}]))

    return make


def _media_device(folder: Path) -> None:
    (folder / "a.png").symlink_to("/dev/zero")
    (folder / "captions.json").write_text('[{"media": "a.png", "caption": "Nothing."}]')


def _heading() -> bytes:
    return b"# " + b"# " * 3_000_000 + b"x"


def _attribute() -> bytes:
    return b'<p title="' + b"x" * 30_000_000 + b'">a</p>'


def _empty_cells() -> bytes:
    return b'{"nbformat": 4, "cells": [' + b"{}," * 10_000_000 + b"{}]}"


def _long_header() -> bytes:
    return b",".join([b"h" * 290] * 900) + b"\n" + (b",".join([b"1"] * 900) + b"\n") * 90


CASES = [
    Case("PDF cut off in the middle", _file("cut.pdf", lambda: pdf(*["Thirty days."] * 50)[:3000]), ""),
    Case("PDF of random bytes", _file("noise.pdf", lambda: b"%PDF-1.7\n" + os.urandom(100_000)), "malformed"),
    Case("PDF whose tree of pages is a circle", _file("circle.pdf", _circular_pages), "malformed"),
    Case("PDF page that unpacks to 3 GB", _file("page-bomb.pdf", _page_bomb), ""),
    Case("PDF page of six million operations", _file("slow.pdf", _slow_page), ""),
    Case("PDF forms nested tenfold, twelve deep", _file("forms.pdf", _nested_forms), ""),
    Case("PDF under a password", _file("locked.pdf", lambda: locked(pdf("x"))), "password"),
    Case("PDF of 5,001 pages", _file("pages.pdf", lambda: pdf(*["x"] * 5001)), "5001 pages"),
    Case("DOCX that unpacks to 200 MB", _file("bomb.docx", word_bomb), "unpacks to"),
    Case("DOCX that lies about its size", _file("liar.docx", _lying_zip), "malformed"),
    Case("DOCX of a billion laughs", _file("laughs.docx", word_with_entities), "malformed"),
    Case("DOCX that includes /etc/passwd", _file("external.docx", _external_docx), "no text"),
    Case("DOCX nested 100,000 deep", _file("deep.docx", _deep_docx), "malformed"),
    Case("DOCX of 5,000 parts", _file("parts.docx", lambda: _zip({f"x/{n}.xml": b"" for n in range(5000)})), "parts"),
    Case("DOCX that is no archive", _file("text.docx", b"I am no archive"), "malformed"),
    Case("HTML nested 500,000 deep", _file("deep.html", lambda: b"<div>" * 500_000), "nested more than"),
    Case("HTML of two million tags", _file("many.html", lambda: b"<p>x</p>" * 1_000_000), "more than 250,000 tags"),
    Case("HTML with one attribute of 30 MB", _file("attribute.html", _attribute), ""),
    Case("HTML in UTF-16", _file("utf16.html", "<p>hello</p>".encode("utf-16")), "UTF-16"),
    Case("a line of 200 MB", _streamed("line.txt", b"", b"x" * MIB, 200), "larger than"),
    Case("JSONL with a line of 200 MB", _streamed("line.jsonl", b'{"text": "', b"x" * MIB, 200, b'"}'), "larger than"),
    Case("JSONL with a line of 30 MB", _streamed("long.jsonl", b'{"text": "', b"x" * MIB, 30, b'"}'), "a line of"),
    Case("JSONL nested 100,000 deep", _file("deep.jsonl", b'{"text": ' + b"[" * 100_000), "not JSON"),
    Case("JSONL of ten million bad lines", _file("bad.jsonl", lambda: b"x\n" * 10_000_000), "rest of it was not read"),
    Case("Latin-1", _file("latin.txt", "Grüße".encode("latin-1")), "not UTF-8 at byte 2"),
    Case("UTF-16 without its mark", _file("bare.md", "hello".encode("utf-16-le")), "NUL at character 1"),
    Case("NUL bytes", _file("nul.txt", b"a\0b"), "NUL at character 1"),
    Case("half a surrogate pair", _file("half.txt", b"a\xed\xa0\x80"), "not UTF-8 at byte 1"),
    Case("Markdown heading of 6 MB", _file("heading.md", _heading), ""),
    Case("a file of one terabyte that holds nothing", _sparse, "larger than"),
    Case("a link out of the folder", _links, "a link out of the folder"),
    Case("two links that lead to each other", _circle, "in a circle"),
    Case("a link to the folder itself", _loop, "a link to a folder"),
    Case("a link to a device without end", _device, "a link out of the folder"),
    Case("a pipe that nobody writes to", _fifo, "not a plain file"),
    Case("a socket", _socket, "not a plain file"),
    Case("CSV with an open quote", _file("quote.csv", lambda: b'a,b\n"1,2\n3,4\n' * 10), "malformed"),
    Case("CSV of a million columns", _file("wide.csv", lambda: b",".join([b"a"] * 1_000_000) + b"\n1\n"), "columns"),
    Case("CSV row of ten million cells", _file("cells.csv", lambda: b"a,b\n" + b"," * 10_000_000 + b"x\n"), "header 2"),
    Case("CSV of ten million empty lines", _file("lines.csv", lambda: b"a,b\n" + b"\n" * 10_000_000), "lines"),
    Case("CSV that repeats a long header", _file("repeat.csv", _long_header), "more than"),
    Case("WebVTT without its first line", _file("garbage.vtt", lambda: b"VTT\n" + b"\xc3\xbc --> 12\n\n" * 1000), "no WebVTT"),
    Case("WebVTT of arrows", _file("arrows.vtt", lambda: b"WEBVTT\n\n" + b"--> --> -->\n\n" * 100_000), "line 3: no cue"),
    Case("SRT with times before zero", _file("before.srt", b"1\n-00:00:01,000 --> 00:00:02,000\nHello\n"), "no cue"),
    Case("SRT that ends before it begins", _file("back.srt", b"1\n00:00:05,000 --> 00:00:02,000\nHello\n"), "ends before"),
    Case("caption of ../../etc/passwd", _captions(media="../../../../../../etc/passwd"), "outside of the folder"),
    Case("caption of a device", _media_device, "outside of the folder"),
    Case("caption of /etc/passwd", _captions(media="/etc/passwd"), "no path below"),
    Case("caption of a picture that was swapped", _captions(media="a.png", sha256="0" * 64), "not the one it was made from"),
    Case("captions nested 100,000 deep", _file("captions.json", lambda: b"[" * 100_000), "not JSON"),
    Case("notebook nested 100,000 deep", _file("deep.ipynb", b'{"nbformat": 4, "cells": ' + b"[" * 100_000), "malformed"),
    Case("notebook whose cells are numbers", _file("cells.ipynb", _notebook([1, 2])), "a cell that is no object"),
    Case("notebook of ten million empty cells", _file("empty.ipynb", _empty_cells), "10,000,001 cells"),
    Case("Python of 100,000 brackets", _file("deep.py", lambda: b"x = " + b"(" * 100_000), ""),
]  # fmt: skip
