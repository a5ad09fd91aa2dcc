"""What the way in carries: a document that could be read, or the one line that says why not."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trustrag.errors import MalformedError
from trustrag.provenance.canonical import Digest, Metadata
from trustrag.provenance.statement import Derivation


@dataclass(frozen=True, slots=True)
class Document:
    """One document on its way in.

    `data` are the exact bytes whose digest a source signs; `text` is what a reader made of them, and
    what chunks are cut from. `metadata` holds JSON values (finite floats allowed) and is signed by its
    digest. `whole` keeps the text as one chunk, for what is one passage already. `by_program` says that a program
    gave it, which read it from no file: a name given twice in a run is then two versions, and what was withdrawn
    may come again.
    """

    doc_id: str
    data: bytes
    media_type: str
    text: str
    title: str = ""
    metadata: Mapping[str, Metadata] = field(default_factory=dict)
    licence: str | None = None
    derived_from: tuple[Derivation, ...] = ()
    whole: bool = False
    by_program: bool = False

    @property
    def digest(self) -> Digest:
        """SHA-256 of the document's bytes."""
        return Digest.of(self.data)


@dataclass(frozen=True, slots=True)
class ReadProblem:
    """A file that did not become a document: its name, and why, in one line.

    `skipped` marks a file met while walking a folder for which there is no reader: nobody asked for
    it by name, so it is mentioned and is no failure.
    """

    path: str
    reason: str
    skipped: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the documents of one file come from.

    `path` is its name below the folder that was given and `doc_id` that name with the run's prefix. `folder` is
    where the file lies and `root` the folder that was given: no file outside it is read on a document's word.
    """

    doc_id: str
    path: str
    folder: Path
    root: Path
    licence: str | None = None


def from_langchain(item: object, *, prefix: str = "") -> Document:
    """Take a LangChain-like document: `.page_content`, `.metadata` and, if it has one, `.id`.

    The text is kept whole, so that what comes back out equals what was given. Without an id the
    document is named by the digest of its text: the same text twice is the same document.
    Raises `TypeError` for an object of another shape and `MalformedError` for text that has no UTF-8.
    """
    text = getattr(item, "page_content", None)
    if not isinstance(text, str):
        raise TypeError(f"{type(item).__name__} has no .page_content text: not a document")
    metadata = getattr(item, "metadata", None) or {}
    if not isinstance(metadata, Mapping) or not all(isinstance(key, str) for key in metadata):
        raise TypeError("a document's .metadata is a mapping with text keys")
    try:
        data = text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise MalformedError(f"text with a lone surrogate at character {error.start} has no UTF-8") from error
    name = getattr(item, "id", None)
    doc_id = name if isinstance(name, str) and name else f"sha256:{Digest.of(data).hex}"
    title = metadata.get("title")
    return Document(
        doc_id=prefix + doc_id,
        data=data,
        media_type="text/plain",
        text=text,
        title=title if isinstance(title, str) else "",
        metadata=dict(metadata),
        whole=True,
        by_program=True,
    )
