"""Documents that attack, and documents that look as if they did: written here, binary ones made by code.

`attacks()` are one document a technique, as an attacker would write it; `benign()` are honest look-alikes of each
class. `tests.robustness.screens` prints what the battery says of them, `test_corpus` asserts it.
"""

from dataclasses import dataclass

from trustrag.ingest.document import Document
from trustrag.ingest.reading.formats import extract

DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
TYPES = {
    "txt": "text/plain",
    "md": "text/markdown",
    "html": "text/html",
    "pdf": "application/pdf",
    "docx": DOCX,
}


@dataclass(frozen=True, slots=True)
class Sample:
    """One document of the corpus: its class, what it does or resembles, and the document as the readers make it."""

    kind: str
    name: str
    document: Document


def sample(kind: str, name: str, form: str, content: str | bytes) -> Sample:
    """A file of this form, read as the way in reads it."""
    data = content.encode() if isinstance(content, str) else content
    found = extract(data, TYPES[form])
    return Sample(kind, name, Document(f"{kind}/{name}.{form}", data, TYPES[form], found.text, found.title))
