"""Cut text into passages: the same text, the same cuts, each with its span.

The size suits the default embedder: MiniLM reads 256 word pieces and forgets the rest. Measured with its own
tokenizer, prose runs at 4.3 characters a piece and technical Markdown, with its links and names, at 3.0. At
700 characters no passage of prose and 2% of technical text is past the window; at 900 it is 9%, and smaller
passages only cost more rows. The overlap of 100 is a sentence: what straddles a cut is whole on one side.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING

from trustrag.provenance.statement import Chunker as ChunkerId

if TYPE_CHECKING:
    from langchain_text_splitters import RecursiveCharacterTextSplitter

DEFAULT_SIZE = 700
DEFAULT_OVERLAP = 100

# Regular expressions, tried in order: paragraphs, lines, sentences (the last group for scripts that write
# no space after one), words, and only then inside a word. What matches opens the next piece.
PROSE = (r"\n\n", r"\n", r"(?<=[.!?\u0964]) ", r"(?<=[\u3002\uff01\uff1f])", " ", "")
# A Markdown heading opens a new passage, the larger the sooner; a fence or a rule closes one.
MARKDOWN = (*(rf"\n#{{{level}}} " for level in range(1, 7)), r"(?<=\n```)\n", r"\n(?:---+|\*\*\*+)\n", *PROSE)
CODE = (r"\n\n", r"\n", " ", "")

_NAME = "recursive"
_WHOLE = "whole"
_WHOLE_LIMIT = 16_000_000


@dataclass(frozen=True, slots=True)
class Chunk:
    """A span of a document's text, in characters: `document.text[start:end] == text`, never blank."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Chunker:
    """Cuts with langchain-text-splitters; its settings and the library's version name it.

    Raises `ValueError` for a size below 1 or an overlap that is not smaller than the size.
    """

    size: int = DEFAULT_SIZE
    overlap: int = DEFAULT_OVERLAP

    def __post_init__(self) -> None:
        if self.size < 1 or not 0 <= self.overlap < self.size:
            raise ValueError(f"chunks of {self.size} characters cannot overlap by {self.overlap}")

    @cached_property
    def id(self) -> ChunkerId:
        """What an ingest statement says of how its documents were cut."""
        return ChunkerId(_NAME, self.size, self.overlap, installed_version("langchain-text-splitters"))

    @property
    def whole_id(self) -> ChunkerId:
        """The same for documents that were kept as one chunk each."""
        return ChunkerId(_WHOLE, _WHOLE_LIMIT, 0, "1")

    def cut(self, text: str, kind: str = "prose") -> tuple[Chunk, ...]:
        """Cut text; blank text gives no chunk.

        `kind` is `prose`, `markdown`, or a programming language (see `code.LANGUAGES`), which is cut where a definition
        begins; one that the library does not know is cut at blank lines and lines.
        """
        if kind not in self._splitters:
            self._splitters[kind] = self._splitter(_separators(kind))
        return _located(text, self._splitters[kind].split_text(text), self.overlap)

    @cached_property
    def _splitters(self) -> "dict[str, RecursiveCharacterTextSplitter]":
        return {}

    def _splitter(self, separators: Sequence[str]) -> "RecursiveCharacterTextSplitter":
        # Imported here: it costs a third of a second that a search never needs to pay.
        from langchain_text_splitters import RecursiveCharacterTextSplitter

        return RecursiveCharacterTextSplitter(
            separators=list(separators),
            is_separator_regex=True,
            chunk_size=self.size,
            chunk_overlap=self.overlap,
            strip_whitespace=False,
        )


def _separators(kind: str) -> Sequence[str]:
    if kind in ("prose", "markdown"):
        return MARKDOWN if kind == "markdown" else PROSE
    from langchain_text_splitters import Language, RecursiveCharacterTextSplitter

    try:
        return RecursiveCharacterTextSplitter.get_separators_for_language(Language(kind))
    except ValueError:  # one it has no name for, or a name and no separators
        return CODE


def whole(text: str) -> tuple[Chunk, ...]:
    """Keep text as one chunk, exactly as given; blank text gives none."""
    return (Chunk(text, 0, len(text)),) if text.strip() else ()


def _located(text: str, pieces: Sequence[str], overlap: int) -> tuple[Chunk, ...]:
    """Find each piece in the text, and strip it only then.

    A piece starts after the start of the piece before it, and at most `overlap` characters before its
    end. Searching from that bound finds the true place, or in text that repeats itself an equal place
    before it; so the search cannot miss, and no two spans begin together.
    """
    chunks = []
    start, end = -1, 0
    for piece in pieces:
        start = text.index(piece, max(start + 1, end - overlap))
        end = start + len(piece)
        body = piece.strip()
        if body:
            first = start + len(piece) - len(piece.lstrip())
            chunks.append(Chunk(body, first, first + len(body)))
    return tuple(chunks)
