"""Real files, made here: a PDF written by hand, Word documents, and whatever is wrong with them."""

import io
import zipfile

import docx
import pypdf


def assembled(*objects: bytes, trailer: bytes = b"") -> bytes:
    """A PDF of these objects, the first of which is its catalogue; `trailer` is said in its trailer, too."""
    out, offsets = bytearray(b"%PDF-1.6\n"), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    start, size = len(out), len(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % size
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return bytes(
        out + b"trailer\n<< /Size %d /Root 1 0 R%b >>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, start)
    )


def pdf(*pages: str, title: str = "") -> bytes:
    """A PDF with one line of Helvetica a page."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * index} 0 R" for index in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode())
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for index, text in enumerate(pages):
        stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode("latin-1") if text else b""
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {5 + 2 * index} 0 R "
            "/Resources << /Font << /F1 3 0 R >> >> >>".encode()
        )
        objects.append(b"<< /Length %d >>\nstream\n%b\nendstream" % (len(stream), stream))
    if title:
        objects.append(f"<< /Title ({title}) >>".encode())
    return assembled(*objects, trailer=b" /Info %d 0 R" % len(objects) if title else b"")


def locked(data: bytes) -> bytes:
    """The same PDF under a password."""
    writer = pypdf.PdfWriter(clone_from=io.BytesIO(data))
    writer.encrypt("secret", algorithm="RC4-40")
    stream = io.BytesIO()
    writer.write(stream)
    return stream.getvalue()


def word(title: str = "Staff handbook") -> bytes:
    """A Word document with a heading, a paragraph and a table."""
    document = docx.Document()
    document.core_properties.title = title
    document.add_heading("Leave", level=2)
    document.add_paragraph("Every employee has thirty days of leave.")
    table = document.add_table(rows=2, cols=2)
    for row, cells in zip(table.rows, (("Country", "Days"), ("Norway", "25")), strict=True):
        for cell, text in zip(row.cells, cells, strict=True):
            cell.text = text
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


def word_bomb(size: int = 200 * 1024 * 1024) -> bytes:
    """A Word document whose body unpacks to `size` bytes of nothing."""
    stream = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(word())) as honest,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as bomb,
    ):
        for entry in honest.infolist():
            if entry.filename != "word/document.xml":
                bomb.writestr(entry.filename, honest.read(entry))
        with bomb.open("word/document.xml", "w") as body:
            for _ in range(size // (1 << 20)):
                body.write(b" " * (1 << 20))
    return stream.getvalue()


def word_with_entities() -> bytes:
    """A Word document whose body is a billion laughs."""
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    body = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "ha">{entities}]><x>&a9;</x>'
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(word())) as honest, zipfile.ZipFile(stream, "w") as bomb:
        for entry in honest.infolist():
            data = body.encode() if entry.filename == "word/document.xml" else honest.read(entry)
            bomb.writestr(entry.filename, data)
    return stream.getvalue()
