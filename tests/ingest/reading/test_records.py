"""Files of records: tables, questions and answers, JSONL. Each record is a document of its own."""

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.ingest.document import Document, Origin, ReadProblem
from trustrag.ingest.reading.readers import read
from trustrag.ingest.reading.records import PASSAGE_LIMIT, grouped
from trustrag.ingest.reading.tables import read_table

ORIGIN = Origin("t.csv", "t.csv", Path("."), Path("."))


def documents(folder: Path, name: str, data: str) -> list[Document]:
    (folder / name).write_text(data, encoding="utf-8", newline="")
    found = list(read([folder / name]))
    assert all(isinstance(item, Document) for item in found), found
    return [item for item in found if isinstance(item, Document)]


def problem(folder: Path, name: str, data: str) -> ReadProblem:
    (folder / name).write_text(data, encoding="utf-8", newline="")
    (found,) = read([folder / name])
    assert isinstance(found, ReadProblem)
    return found


@pytest.mark.parametrize(("name", "delimiter"), [("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t")])
def test_rows_become_lines_with_their_column(tmp_path: Path, name: str, delimiter: str) -> None:
    table = 'Country,Days,Note\nNorway,25,"two\nlines"\n\nJapan,20,\n'.replace(",", delimiter)
    (found,) = documents(tmp_path, name, table)
    assert found.text == "Country: Norway\nDays: 25\nNote: two\nlines\n\nCountry: Japan\nDays: 20"
    assert (found.doc_id, found.metadata) == (f"{name}#1", {"path": name, "rows": "1-2"})
    header, rest = table.split("\n", 1)
    assert found.data.decode() == f"{header}\n{rest}".replace("\n\n", "\n")


def test_rows_are_put_together_up_to_a_passage_and_say_which(tmp_path: Path) -> None:
    rows = "".join(f"{number},{'x' * 200}\n" for number in range(1, 8))
    found = documents(tmp_path, "a.csv", "n,text\n" + rows)
    assert [item.metadata["rows"] for item in found] == ["1-2", "3-4", "5-6", "7"]
    assert [item.doc_id for item in found] == ["a.csv#1", "a.csv#2", "a.csv#3", "a.csv#4"]
    assert all(len(item.text) <= PASSAGE_LIMIT for item in found)


def test_a_row_with_a_key_is_named_by_it(tmp_path: Path) -> None:
    found = documents(tmp_path, "a.csv", "ID,days\nnorway,25\n,20\n")
    assert [(item.doc_id, item.metadata["rows"]) for item in found] == [
        ("a.csv#norway", "1"),
        ("a.csv#2", "2"),
    ]
    assert found[0].data == b"ID,days\nnorway,25\n"


def test_a_table_of_questions_is_read_in_pairs(tmp_path: Path) -> None:
    table = "Question,Answer\nHow long are logs kept?,90 days.\nWho reads them?,The auditor.\n"
    one, two = documents(tmp_path, "a.csv", table)
    assert one.text == "How long are logs kept?\n\n90 days."
    assert one.whole
    assert not one.by_program
    assert (one.title, one.metadata["question"]) == ("How long are logs kept?", "How long are logs kept?")
    assert two.doc_id == "a.csv#2"


def test_a_question_without_an_answer_costs_itself_alone(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("question,answer\nWhy?,\nHow?,So.\n")
    bad, good = read([tmp_path / "a.csv"])
    assert bad == ReadProblem("a.csv#1", "it has no answer")
    assert isinstance(good, Document)


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("a,b\n1,2,3\n", "line 2 has 3 cells, its header 2"),
        ('a,b\n"1,2\n', "malformed"),
        ("a,b\n", "no text"),
        ("\n", "no text"),
        (",".join("a" * 2001) + "\n1\n", "2,001 columns"),
    ],
)
def test_a_table_that_is_none_is_refused_as_a_whole(tmp_path: Path, table: str, says: str) -> None:
    found = problem(tmp_path, "a.csv", table)
    assert found.path == "a.csv"
    assert says in found.reason


CELLS = st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=40)


@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=30))
def test_no_row_is_lost_and_no_number_is_wrong(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([["a", "b", "c"], *rows])
    found = list(read_table(out.getvalue().encode(), ORIGIN))
    full = [row for row in rows if any(cell.strip() for cell in row)]
    if not full:
        assert [type(item) for item in found] == [ReadProblem]
        return
    made = [item for item in found if isinstance(item, Document)]
    assert len(made) == len(found)
    numbers = []
    for item in made:
        first, _, last = str(item.metadata["rows"]).partition("-")
        numbers += range(int(first), int(last or first) + 1)
        inside = [
            f"{name}: {cell.strip()}"
            for row in full[int(first) - 1 : int(last or first)]
            for name, cell in zip("abc", row, strict=True)
            if cell.strip()
        ]
        assert item.text.replace("\n\n", "\n") == "\n".join(inside).replace("\n\n", "\n")
    assert numbers == list(range(1, len(full) + 1))


@given(st.lists(st.integers(0, 900), max_size=60))
def test_groups_follow_each_other_and_hold_no_more_than_fits(sizes: list[int]) -> None:
    spans = list(grouped(sizes))
    assert [n for first, end in spans for n in range(first, end)] == list(range(len(sizes)))
    assert all(end - first == 1 or sum(sizes[first:end]) <= PASSAGE_LIMIT for first, end in spans)


FAQ = """# Questions

Read this first.

## How long are **logs** kept?

90 days.

```sh
# Is this a heading?
```

### Who reads them? ##
The auditor.

## Imprint

Nobody asks.
"""


def test_markdown_of_questions_is_read_in_pairs(tmp_path: Path) -> None:
    one, two = documents(tmp_path, "billing-faq.md", FAQ)
    assert one.text.startswith("How long are **logs** kept?\n\n90 days.")
    assert "# Is this a heading?" in one.text
    assert two.text == "Who reads them?\n\nThe auditor."
    assert one.data.decode() in FAQ
    assert two.data.decode() in FAQ
    assert (one.doc_id, one.media_type, one.whole) == ("billing-faq.md#1", "text/markdown", True)


def test_marks_of_questions_and_answers_will_do(tmp_path: Path) -> None:
    text = "**Q:** How long?\n**A:** 90 days.\n\nQ: Who?\nA: The auditor,\nat night.\n"
    one, two = documents(tmp_path, "FAQ.md", text)
    assert (one.text, two.text) == ("How long?\n\n90 days.", "Who?\n\nThe auditor,\nat night.")


@pytest.mark.parametrize("name", ["guide.md", "faqir.md", "faq.txt"])
def test_only_a_file_that_is_named_so_is_read_in_pairs(tmp_path: Path, name: str) -> None:
    (found,) = documents(tmp_path, name, FAQ)
    assert found.doc_id == name


def test_a_page_with_a_single_question_stays_a_page(tmp_path: Path) -> None:
    (found,) = documents(tmp_path, "faq.md", "# FAQ\n\n## Why?\n\nBecause.\n")
    assert found.doc_id == "faq.md"


def test_a_long_heading_costs_no_time(tmp_path: Path) -> None:
    # A pattern that tries every end of it would take days.
    (found,) = documents(tmp_path, "faq.md", "# " + "# " * 300_000 + "x")
    assert found.doc_id == "faq.md"


def test_jsonl_of_questions_is_read_in_pairs(tmp_path: Path) -> None:
    line = {"id": "logs", "question": "How long?", "answer": "90 days.", "metadata": {"team": "audit"}}
    (found,) = documents(tmp_path, "a.jsonl", json.dumps(line))
    assert found.text == "How long?\n\n90 days."
    assert found.metadata == {"path": "a.jsonl", "team": "audit", "question": "How long?"}
    assert (found.doc_id, found.data) == ("a.jsonl#logs", json.dumps(line).encode())


def test_a_file_of_bad_records_is_not_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("x\n" * 500 + '{"text": "good"}\n')
    found = list(read([tmp_path / "a.jsonl"]))
    assert len(found) == 101
    assert found[-1] == ReadProblem("a.jsonl", "more than 100 bad records; the rest of it was not read")
