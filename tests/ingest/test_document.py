from dataclasses import dataclass, field

import pytest
from langchain_core.documents import Document as LangChainDocument

from trustrag.errors import MalformedError
from trustrag.ingest.document import from_langchain
from trustrag.provenance.canonical import Digest


@dataclass
class Bare:
    page_content: object = "text"
    metadata: object = field(default_factory=dict)
    id: object = None


def test_a_langchain_document_is_kept_whole() -> None:
    given = LangChainDocument("  Some text\n", metadata={"title": "T", "n": 1.5}, id="x")
    document = from_langchain(given, prefix="p/")
    assert (document.doc_id, document.text, document.data) == ("p/x", "  Some text\n", b"  Some text\n")
    assert (document.title, document.metadata, document.whole) == ("T", {"title": "T", "n": 1.5}, True)


@pytest.mark.parametrize("name", [None, "", 5])
def test_without_an_id_the_text_names_it(name: object) -> None:
    digest = Digest.of(b"text").hex
    assert from_langchain(Bare(id=name)).doc_id == f"sha256:{digest}"


def test_metadata_are_copied_and_may_be_missing() -> None:
    metadata = {"a": 1}
    document = from_langchain(Bare(metadata=metadata))
    metadata["a"] = 2
    assert document.metadata == {"a": 1}
    assert from_langchain(Bare(metadata=None)).metadata == {}
    assert from_langchain(Bare(metadata={"title": 5})).title == ""


@pytest.mark.parametrize(
    "item",
    [
        object(),
        "text",
        Bare(page_content=None),
        Bare(page_content=b"x"),
        Bare(metadata=[1]),
        Bare(metadata={1: 2}),
    ],
)
def test_another_shape_is_a_mistake(item: object) -> None:
    with pytest.raises(TypeError):
        from_langchain(item)


def test_text_without_utf8_is_malformed() -> None:
    with pytest.raises(MalformedError, match="character 1"):
        from_langchain(Bare(page_content="a\ud800"))
