import json
import os
import socket
import time
import unicodedata
from pathlib import Path

import pytest

from tests.ingest.reading.files import locked, pdf, word, word_bomb, word_with_entities
from trustrag.ingest.document import Document, ReadProblem
from trustrag.ingest.reading.readers import read
from trustrag.provenance.canonical import Digest, encode_metadata

PAGE = """<!doctype html><html><head><title>Cold  storage</title><style>p {{ color: red }}</style></head>
<body>
<nav>Home About Contact</nav><article><h1>Cold storage</h1>
<p>Vaccines are kept between two and eight degrees. The logger records the temperature every five minutes,
and a nurse reads it twice a day. When it passes ten degrees the whole shelf is set aside.</p>
<p>{more}</p></article><script>var secret = 1;</script></body></html>"""


def put(folder: Path, **files: bytes) -> Path:
    for name, data in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


def one(path: Path) -> Document | ReadProblem:
    (found,) = read([path])
    return found


def document(path: Path, data: bytes) -> Document:
    path.write_bytes(data)
    found = one(path)
    assert isinstance(found, Document), found
    assert (found.data, found.digest) == (data, Digest.of(data))
    # Whatever a reader made, a source has to be able to sign it.
    encode_metadata(found.metadata)
    return found


def problem(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    found = one(path)
    assert isinstance(found, ReadProblem), found
    assert found.path == path.name
    assert not found.skipped
    assert found.reason
    assert found.reason.isprintable()
    return found.reason


def test_text_with_a_byte_order_mark_and_foreign_line_ends(tmp_path: Path) -> None:
    found = document(tmp_path / "a.txt", "\ufeffGrüße\r\nan alle\r".encode())
    assert found.text == "Grüße\nan alle\n"
    assert (found.doc_id, found.media_type, found.title) == ("a.txt", "text/plain", "a")
    assert found.metadata == {"path": "a.txt", "title": "a"}


def test_markdown_is_titled_by_its_heading(tmp_path: Path) -> None:
    found = document(tmp_path / "a.md", b"intro\n\n# The *cold* chain #\n\n## Not this\n")
    assert (found.title, found.media_type) == ("The *cold* chain", "text/markdown")


def test_html_gives_its_main_content(tmp_path: Path) -> None:
    found = document(tmp_path / "a.html", PAGE.format(more="Nothing is used after its date. " * 5).encode())
    assert "between two and eight degrees" in found.text
    assert "secret" not in found.text
    assert "color" not in found.text
    assert found.title == "Cold storage"


def test_html_without_a_frame_loses_nothing(tmp_path: Path) -> None:
    page = (
        "<html><head><title>Billing</title></head><body><h1>Billing</h1><p>Invoices are sent on the first day.</p>"
        "<ul><li>Refunds are paid within 14 days.</li></ul><p>Call us any time you like.</p></body></html>"
    )
    (tmp_path / "billing.html").write_text(page)
    (found,) = read([tmp_path / "billing.html"])
    assert isinstance(found, Document)
    assert "Refunds are paid within 14 days." in found.text
    assert "Call us any time you like." in found.text


def test_html_without_a_main_part_gives_all_its_text(tmp_path: Path) -> None:
    found = document(tmp_path / "a.htm", b"<div>short<script>var x</script><style>p {}</style></div>")
    assert "short" in found.text
    assert "var x" not in found.text


def test_html_in_utf8_ignores_a_false_claim_of_another_encoding(tmp_path: Path) -> None:
    head = '<html><head><meta charset="latin-1"><title>Grüße</title></head>'
    page = head + "<body><p>Grüße an alle</p></body></html>"
    found = document(tmp_path / "a.html", page.encode())
    assert found.title == "Grüße"
    assert "Grüße an alle" in found.text


def test_pdf(tmp_path: Path) -> None:
    found = document(tmp_path / "a.pdf", pdf("Thirty days of leave.", "And no more.", title="Leave"))
    assert found.text == "Thirty days of leave.\n\nAnd no more."
    assert (found.title, found.media_type) == ("Leave", "application/pdf")


def test_docx_keeps_headings_and_tables_in_order(tmp_path: Path) -> None:
    found = document(tmp_path / "a.docx", word())
    assert found.text == "## Leave\n\nEvery employee has thirty days of leave.\n\nCountry | Days\nNorway | 25"
    assert found.title == "Staff handbook"


def test_jsonl_is_a_document_a_line(tmp_path: Path) -> None:
    lines = [
        {"id": "x-1", "text": "First.", "title": "One", "metadata": {"year": 2024}},
        {"page_content": "Second.", "score": 0.5},
        {"id": 7, "text": "Third."},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    found = list(read([tmp_path], prefix="wiki/"))
    assert all(isinstance(item, Document) for item in found)
    documents = [item for item in found if isinstance(item, Document)]
    assert [item.doc_id for item in documents] == ["wiki/a.jsonl#x-1", "wiki/a.jsonl#2", "wiki/a.jsonl#7"]
    assert documents[0].metadata == {"title": "One", "year": 2024, "path": "a.jsonl"}
    assert documents[0].title == "One"
    assert documents[1].metadata == {"score": 0.5, "path": "a.jsonl"}
    assert documents[2].data == json.dumps(lines[2]).encode()


def test_a_bad_line_of_jsonl_costs_itself_alone(tmp_path: Path) -> None:
    bad = [b"{", b"[]", b"1", b'{"text": 5}', b'{"text": "  "}', b'{"text": "a", "text": "b"}']
    bad += [
        b'{"text": "a", "x": NaN}',
        b'{"text": "a", "x": 1e999}',
        b"[" * 100_000,
        b"\xff",
        b'{"text": "a\\ud800"}',
    ]
    bad += [
        b'{"text": "a", "metadata": []}',
        b'{"text": "a", "metadata": 5}',
        b'{"text": "a", "x": "\\ud800"}',
    ]
    bad += [b'{"text": "a", "x": 12345678901234567890}']
    (tmp_path / "a.jsonl").write_bytes(b"\n".join([*bad, b'{"text": "good"}']))
    found = list(read([tmp_path / "a.jsonl"]))
    good = [item for item in found if isinstance(item, Document)]
    problems = [item for item in found if isinstance(item, ReadProblem)]
    assert "good" in [item.text for item in good]
    assert [item.path for item in problems][:3] == ["a.jsonl#1", "a.jsonl#2", "a.jsonl#3"]
    assert len(problems) >= len(bad) - 2
    assert all(item.reason.isprintable() for item in problems)


def test_a_folder_is_walked_in_one_order_and_named_from_its_top(tmp_path: Path) -> None:
    put(tmp_path, b_dot_txt=b"b", a__z_dot_txt=b"z", a__b__c_dot_md=b"c", README=b"read me")
    put(tmp_path, _dot_git__config=b"hidden", _dot_hidden_dot_txt=b"hidden", picture_dot_png=b"\x89PNG")
    found = list(read([tmp_path, str(tmp_path / "b.txt")], prefix="p/"))
    assert [item.doc_id for item in found if isinstance(item, Document)] == [
        "p/README",
        "p/b.txt",
        "p/a/z.txt",
        "p/a/b/c.md",
        "p/b.txt",
    ]
    (skipped,) = [item for item in found if isinstance(item, ReadProblem)]
    assert skipped == ReadProblem("p/picture.png", "no reader for .png files", skipped=True)


def test_names_are_in_normal_form_c(tmp_path: Path) -> None:
    name = unicodedata.normalize("NFD", "Grüße.txt")
    (tmp_path / name).write_text("x")
    (found,) = read([tmp_path])
    assert isinstance(found, Document)
    assert found.doc_id == "Grüße.txt"


def test_the_licence_is_what_the_source_declares(tmp_path: Path) -> None:
    put(tmp_path, a_dot_txt=b"a", b_dot_jsonl=b'{"text": "b"}')
    assert [item.licence for item in read([tmp_path], licence="MIT") if isinstance(item, Document)] == [
        "MIT",
        "MIT",
    ]


@pytest.mark.parametrize(
    ("name", "data", "says"),
    [
        ("empty.txt", b"", "empty"),
        ("blank.txt", b" \n\t ", "no text"),
        ("latin.txt", b"caf\xe9 au lait", "not UTF-8 at byte 3"),
        ("latin.md", b"\x80", "not UTF-8 at byte 0"),
        ("utf16.txt", "hello".encode("utf-16"), "UTF-16"),
        ("utf16-bare.txt", "hello".encode("utf-16-le"), "NUL at character 1"),
        ("utf16.html", "<p>hello</p>".encode("utf-16"), "UTF-16"),
        ("utf16.csv", "a,b\n1,2".encode("utf-16"), "UTF-16"),
        ("surrogate.txt", b"a\xed\xa0\x80", "not UTF-8 at byte 1"),
        ("overlong.txt", b"a\xc0\xaf", "not UTF-8 at byte 1"),
        ("nul.txt", b"a\0b", "NUL at character 1"),
        ("nul.md", b"\0", "NUL at character 0"),
        ("nul.csv", b"a,b\n1,\0", "NUL"),
        ("large.txt", b"x" * 2_000_001, "larger than"),
        ("long-line.txt", b"x" * 2_000_001 + b"\n", "larger than"),
        ("binary.pdf", os.urandom(5000), "malformed"),
        ("truncated.pdf", pdf("Thirty days of leave.")[:300], ""),
        ("header-only.pdf", b"%PDF-1.7\n", "malformed"),
        ("no-pages.pdf", pdf(), "no text in it"),
        ("scanned.pdf", pdf("", ""), "OCR"),
        ("text.pdf", b"I am no PDF", "malformed"),
        ("html.pdf", b"<html><body>404</body></html>", "malformed"),
        ("encrypted.pdf", pdf("x").replace(b"/Root", b"/Encrypt << /Filter /Standard /V 9 >> /Root"), ""),
        ("binary.docx", os.urandom(5000), "malformed"),
        ("truncated.docx", word()[:4000], "malformed"),
        ("text.docx", b"I am no archive", "malformed"),
        ("bomb.docx", word_bomb(), "unpacks to"),
        ("entities.docx", word_with_entities(), ""),
        ("deep.html", b"<div>" * 100_000, "nested more than"),
        ("deep-closed.html", b"<b>" * 5000 + b"x" + b"</b>" * 5000, "nested more than"),
        ("many.html", b"<p>x</p>" * 130_000, "more than 250,000 tags"),
        ("empty.html", b"<html></html>", "no text"),
        ("script.html", b"<script>alert(1)</script>", "no text"),
        ("comment.html", b"<!-- nothing -->", ""),
        ("blank.html", b"   ", "no text"),
        ("wide.csv", b"a,b\n1,2,3\n", "line 2 has 3 cells, its header 2"),
        ("quotes.csv", b'a,b\n"1,2\n', "malformed"),
        ("head-only.csv", b"a,b\n", "no text"),
        ("field.csv", b"a,b\n1," + b"x" * 200_000, "malformed"),
        (
            "explode.csv",
            b",".join([b"h" * 1000] * 900) + b"\n" + (b",".join([b"1"] * 900) + b"\n") * 90,
            "more than",
        ),
        ("pages.pdf", pdf(*["x"] * 5001), "5001 pages; the limit is 5000"),
        ("password.pdf", locked(pdf("Thirty days of leave.")), "encrypted with a password"),
        ("unknown.xyz", b"x", "no reader for .xyz files"),
    ],
)
def test_a_malformed_file_is_one_clear_line(tmp_path: Path, name: str, data: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(data)
    (tmp_path / "zz-good.txt").write_bytes(b"good")
    began = time.monotonic()
    bad, good = read([tmp_path / name, tmp_path / "zz-good.txt"], max_bytes=2_000_000)
    assert time.monotonic() - began < 20
    assert isinstance(bad, ReadProblem), bad
    assert bad.path == name
    assert bad.reason.isprintable()
    assert len(bad.reason) <= 300
    assert says in bad.reason
    assert isinstance(good, Document)


def test_more_text_than_a_document_holds_is_one_line(tmp_path: Path) -> None:
    assert "16,000,001 characters of text; the limit is 16,000,000" in problem(
        tmp_path / "a.md", b"x" * 16_000_001
    )
    line = b'{"text": "%b"}' % (b"x" * 5_000_000)
    (tmp_path / "a.jsonl").write_bytes(line)
    (found,) = read([tmp_path / "a.jsonl"])
    assert isinstance(found, ReadProblem)
    assert found.path == "a.jsonl#1"
    assert "a line of 5,000,012 bytes" in found.reason


def test_what_is_no_plain_file_is_not_opened(tmp_path: Path) -> None:
    outside = tmp_path / "outside.txt"
    outside.write_text("secret")
    folder = put(tmp_path / "docs", good_dot_txt=b"good", sub__deep_dot_txt=b"deep")
    os.mkfifo(folder / "pipe.txt")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "socket.txt"))
    (folder / "leak.txt").symlink_to(outside)
    (folder / "leak.md").symlink_to("/etc/passwd")
    (folder / "device.txt").symlink_to("/dev/zero")
    (folder / "dangling.txt").symlink_to(folder / "nowhere")
    (folder / "circle.txt").symlink_to(folder / "circle.txt")
    (folder / "sub" / "up").symlink_to(folder)
    (folder / "out").symlink_to(tmp_path)
    (folder / "alias.txt").symlink_to(folder / "good.txt")
    found = list(read([folder]))
    assert [item.doc_id for item in found if isinstance(item, Document)] == [
        "alias.txt",
        "good.txt",
        "sub/deep.txt",
    ]
    reasons = {item.path: item.reason for item in found if isinstance(item, ReadProblem)}
    assert reasons == {
        "pipe.txt": "not a plain file",
        "socket.txt": "not a plain file",
        "leak.txt": "a link out of the folder; not followed",
        "leak.md": "a link out of the folder; not followed",
        "device.txt": "a link out of the folder; not followed",
        "dangling.txt": "a link that leads nowhere or in a circle",
        "circle.txt": "a link that leads nowhere or in a circle",
        "sub/up": "a link to a folder; not followed",
        "out": "a link out of the folder; not followed",
    }


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "nowhere.txt", "a\0b"])
def test_a_path_that_cannot_be_read(path: str) -> None:
    (found,) = read([path])
    assert isinstance(found, ReadProblem)
    assert found.reason in ("not a plain file", "no such file or folder", "no valid file name")


def test_names_that_are_not_text(tmp_path: Path) -> None:
    with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.txt"), "wb") as stream:
        stream.write(b"x")
    (tmp_path / "two\nlines.txt").write_text("x")
    broken, fine = sorted(read([tmp_path]), key=lambda item: isinstance(item, Document))
    assert isinstance(broken, ReadProblem)
    assert broken.path.isprintable()
    assert "not UTF-8" in broken.reason
    # Its name is text; that it cannot be signed is for the pipeline to say.
    assert isinstance(fine, Document)
