"""Names: one line of text in one form, with nothing in it that cannot be seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.errors import MalformedError
from trustrag.provenance.canonical import Fields
from trustrag.provenance.names import check_text, check_uri, named_passage, passage_name, read_texts


@pytest.mark.parametrize(
    "mark", [chr(0x202E), chr(0x202A), chr(0x2066), chr(0x2069), chr(0x200F), chr(0x061C)]
)
def test_marks_that_turn_the_direction_are_refused(mark: str) -> None:
    with pytest.raises(MalformedError, match="a document id holds a control character"):
        check_text(f"invoice-{mark}gpj.exe", "a document id")


@pytest.mark.parametrize("name", ["docs/a.md", "Bericht über Öl.pdf", "תקנון.txt", "दस्तावेज़"])
def test_names_in_any_script_are_fine(name: str) -> None:
    check_text(name, "a document id")


@given(st.text(max_size=40))
def test_whatever_passes_is_one_visible_line(name: str) -> None:
    try:
        check_text(name, "name")
    except MalformedError:
        return
    assert name.splitlines() == [name]
    assert name.isprintable() or not any(ord(c) < 32 for c in name)


def test_a_uri_is_as_short_as_any_name() -> None:
    check_uri("urn:trustrag:operator:1", "verifier")
    with pytest.raises(MalformedError, match="bytes"):
        check_uri("urn:" + "a" * 5000, "verifier")
    with pytest.raises(MalformedError, match="URI"):
        check_uri("no uri", "verifier")


def test_a_list_of_texts_holds_nothing_else() -> None:
    assert read_texts(Fields({"scope": ["a", ""]}, "source"), "scope") == ("a", "")
    with pytest.raises(MalformedError, match=r"source\.scope holds something that is not a string"):
        read_texts(Fields({"scope": ["a", 1]}, "source"), "scope")


@pytest.mark.parametrize("doc_id", ["retention.md", "plans.csv#1", "urn:x:7", "logs:0", "a b\nc", ":"])
@pytest.mark.parametrize("chunk", [0, 7, 10**14])
def test_a_passage_is_found_by_its_name(doc_id: str, chunk: int) -> None:
    assert named_passage(passage_name(doc_id, chunk)) == (doc_id, chunk)


@pytest.mark.parametrize(
    "name", ["", "retention.md", ":0", "a:", "a:-1", "a:x", "a:1 ", "a:" + "9" * 16, "a#1"]
)
def test_what_is_no_name_of_a_passage(name: str) -> None:
    assert named_passage(name) is None
