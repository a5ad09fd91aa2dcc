"""A folder that LangChain's FAISS store saved (index.faiss, index.pkl), as documents and the vectors they had.

The pickle is read by `unpickle`, which runs nothing, and the index by its bytes: FAISS's own reader trusts the sizes that
a file states.

A vector that is signed has to be what the embedder makes of its text, and a file can state any. To embed everything again
is the only proof. Short of it, `KeptVectors.checked` embeds a part again that nobody could know beforehand and takes the
others from the file; what is then signed says so, by another builder (`KEPT_TOOL`).
"""

import random
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from trustrag.errors import BackendError, ConfigError, MalformedError
from trustrag.ingest.batch import EMBEDDING_CHUNKS, Embedder, EmbedderIdentity, Vectors
from trustrag.ingest.document import Document, ReadProblem, from_langchain
from trustrag.ingest.moving.unpickle import BYTES_LIMIT, Instance, unpickle
from trustrag.provenance.canonical import Metadata

KEPT_TOOL: Final = "urn:trustrag:import-faiss:1"
"""Signed as the builder where vectors were read from a FAISS file and a part of them embedded again."""

LEAST_CHECKED: Final = 256
SHARE_CHECKED: Final = 0.02
ALIKE: Final = 0.999
"""Least cosine of a vector in the file and the one made of its text: the same model, on another machine, in other batches."""

_DOCSTORES: Final = frozenset(
    f"{module}.InMemoryDocstore"
    for module in (
        "langchain_community.docstore.in_memory",
        "langchain.docstore.in_memory",
        "langchain_classic.docstore.in_memory",
    )
)
_DOCUMENTS: Final = frozenset(
    f"{module}.Document"
    for module in (
        "langchain_core.documents.base",
        "langchain.schema.document",
        "langchain.schema",
        "langchain.docstore.document",
        "langchain_classic.schema.document",
    )
)
_FLAT: Final = frozenset({b"IxF2", b"IxFI", b"IxFl"})
_HEADER: Final = struct.Struct("<4siqqq?i")
_NODES: Final = 50_000
_CHARACTERS: Final = 1_000_000
_DEPTH: Final = 24


@dataclass(frozen=True, slots=True)
class _Saved:
    """One document of the store, in the shape that `from_langchain` takes."""

    id: str
    page_content: str
    metadata: Mapping[str, Metadata]


@dataclass(frozen=True, slots=True)
class FaissFolder:
    """What such a folder holds: documents by place in the index, problems, and the vectors, float32[n, dimension].

    `vectors` is None where the index is of a kind whose file is not read here; `kind` says which.
    """

    documents: tuple[tuple[int, Document], ...]
    problems: tuple[ReadProblem, ...]
    vectors: Vectors | None
    kind: str

    @classmethod
    def read(
        cls, folder: Path, *, name: str = "index", prefix: str = "", licence: str | None = None
    ) -> "FaissFolder":
        """Read `name`.faiss and `name`.pkl in the folder. Ids are `prefix` + the store's own; each document is a passage.

        A document that cannot be taken over is a problem of its own. Raises ConfigError where a file is not there, and
        MalformedError for a folder that is not what LangChain writes.
        """
        data = _load(folder / f"{name}.pkl")
        try:
            store, places = _store(unpickle(data, _DOCSTORES | _DOCUMENTS))
        except MalformedError as error:
            raise MalformedError(f"{name}.pkl was refused: {error}") from error
        kind, vectors = _vectors(folder / f"{name}.faiss")
        if vectors is not None and len(vectors) != len(places):
            raise MalformedError(
                f"{name}.faiss holds {len(vectors):,} vectors and {name}.pkl names {len(places):,}: not of one store"
            )
        documents: list[tuple[int, Document]] = []
        problems: list[ReadProblem] = []
        for place, doc_id in places:
            try:
                saved = _saved(doc_id, store.get(doc_id))
                made = from_langchain(saved, prefix=prefix)
                documents.append((place, replace(made, licence=licence, by_program=False)))
            except MalformedError as error:
                problems.append(ReadProblem(f"{prefix}{doc_id}", str(error)))
        return cls(tuple(documents), tuple(problems), vectors, kind)

    def items(self) -> Iterator[Document | ReadProblem]:
        """All of it, for the way in."""
        yield from self.problems
        for _, document in self.documents:
            yield document


class KeptVectors:
    """An embedder that knows the vectors of some texts, and asks the embedder that made them about any other.

    `checked_count` of them were embedded again; `least` is the lowest cosine among those.
    """

    tool = KEPT_TOOL

    def __init__(
        self, embedder: Embedder, known: Mapping[str, int], rows: Vectors, checked: int, least: float
    ) -> None:
        """Use `checked`."""
        self._embedder, self._known, self._rows = embedder, known, rows
        self.checked_count, self.least = checked, least

    @classmethod
    def checked(
        cls,
        folder: FaissFolder,
        embedder: Embedder,
        advance: Callable[[int, int], None] = lambda done, total: None,
    ) -> "KeptVectors":
        """The folder's vectors, if those drawn at random are what `embedder` makes of their texts.

        Drawn are 256 of them or one in fifty, whichever is more, from the system's randomness. Raises ConfigError, and
        nothing was written, where they are not, or cannot be read.
        """
        rows = _usable(folder, embedder)
        known: dict[str, int] = {}
        for place, document in folder.documents:
            first = known.setdefault(document.text, place)
            if rows[first] @ rows[place] < ALIKE:
                raise _foreign(document.doc_id, "another document has the same text and another vector")
        count = max(LEAST_CHECKED, round(SHARE_CHECKED * len(known)))
        texts = random.SystemRandom().sample(sorted(known), min(count, len(known)))
        least = 1.0
        for start in range(0, len(texts), EMBEDDING_CHUNKS):
            part = texts[start : start + EMBEDDING_CHUNKS]
            cosines = np.einsum("ij,ij->i", embedder.embed(part), rows[[known[text] for text in part]])
            worst = int(np.argmin(cosines))
            least = min(least, float(cosines[worst]))
            if least < ALIKE:
                name = next(
                    document.doc_id for _, document in folder.documents if document.text == part[worst]
                )
                raise _foreign(
                    name, f"it is not what {embedder.id.name} makes of its text (cosine {least:.3f})"
                )
            advance(start + len(part), len(texts))
        return cls(embedder, known, rows, len(texts), least)

    @property
    def id(self) -> EmbedderIdentity:
        """The embedder whose vectors these are."""
        return self._embedder.id

    def embed(self, texts: Sequence[str]) -> Vectors:
        """One row for each text, of length one."""
        made = np.empty((len(texts), self.id.dimension), "<f4")
        new = [at for at, text in enumerate(texts) if text not in self._known]
        if new:
            made[new] = self._embedder.embed([texts[at] for at in new])
        for at, text in enumerate(texts):
            if text in self._known:
                made[at] = self._rows[self._known[text]]
        return made


def _usable(folder: FaissFolder, embedder: Embedder) -> Vectors:
    """The vectors at length one, as the embedder would give them."""
    if folder.vectors is None:
        raise ConfigError(
            f"the vectors of an index of kind {folder.kind} are not read: say --re-embed to make them anew"
        )
    if folder.vectors.shape[1] != embedder.id.dimension:
        raise ConfigError(
            f"its vectors have {folder.vectors.shape[1]} dimensions, those of {embedder.id.name} {embedder.id.dimension}: "
            "another model made them; say --re-embed to make them anew"
        )
    lengths = np.linalg.norm(folder.vectors.astype(np.float64), axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        place = int(np.flatnonzero(~(np.isfinite(lengths) & (lengths > 0)))[0])
        raise _foreign(f"vector {place}", "it has no direction")
    return np.ascontiguousarray(folder.vectors / lengths, "<f4")


def _foreign(name: str, why: str) -> ConfigError:
    return ConfigError(
        f"{name}: the vector in the folder cannot be kept: {why}; say --re-embed to make all of them anew"
    )


def _load(path: Path) -> bytes:
    try:
        if not path.is_file():
            raise ConfigError(f"{path} is not there: give the folder that FAISS.save_local wrote")
        if path.stat().st_size > BYTES_LIMIT:
            raise MalformedError(f"{path.name} is larger than {BYTES_LIMIT:,} bytes")
        return path.read_bytes()
    except OSError as error:
        raise BackendError(f"{path} cannot be read: {error.strerror}") from error


def _store(value: object) -> tuple[dict[str, object], list[tuple[int, str]]]:
    """The documents by id, and (place, id) in the order of the index."""
    if not isinstance(value, tuple) or len(value) != 2:
        raise MalformedError("not a document store with its ids")
    docstore, places = value
    if not isinstance(docstore, Instance) or docstore.of not in _DOCSTORES or not isinstance(places, dict):
        raise MalformedError("not a document store with its ids")
    inside = docstore.state.get("_dict") if isinstance(docstore.state, dict) else None
    if not isinstance(inside, dict):
        raise MalformedError("a document store without documents")
    if not all(type(place) is int and isinstance(doc_id, str) for place, doc_id in places.items()):
        raise MalformedError("its ids are not those of places in an index")
    if sorted(places) != list(range(len(places))) or len(set(places.values())) != len(places):
        raise MalformedError("its ids do not number an index, or one stands twice")
    return {str(key): item for key, item in inside.items()}, sorted(places.items())


def _saved(doc_id: str, item: object) -> _Saved:
    if not isinstance(item, Instance) or item.of not in _DOCUMENTS or not isinstance(item.state, dict):
        raise MalformedError(
            "no document: the store has none of this id" if item is None else "no plain document"
        )
    # pydantic keeps its fields under __dict__; documents of before pydantic are their own.
    fields = item.state.get("__dict__", item.state)
    text = fields.get("page_content") if isinstance(fields, dict) else None
    if not isinstance(text, str):
        raise MalformedError("a document without a text")
    metadata = _Plain().of(fields.get("metadata") or {}, _DEPTH)
    if not isinstance(metadata, dict):
        raise MalformedError("its metadata is no mapping")
    return _Saved(doc_id, text, metadata)


class _Plain:
    """Copies a value to JSON's types within a budget: in a pickle a list may hold itself, or one list a million times."""

    def __init__(self) -> None:
        self._nodes, self._characters = _NODES, _CHARACTERS

    def of(self, value: object, depth: int) -> Metadata:
        self._nodes -= 1
        self._characters -= len(value) if isinstance(value, str) else 0
        if self._nodes < 0 or self._characters < 0 or depth == 0:
            raise MalformedError("its metadata is too large, too deep, or holds itself")
        if value is None or isinstance(value, bool | int | float | str):
            return value
        if isinstance(value, list | tuple):
            return [self.of(item, depth - 1) for item in value]
        if isinstance(value, dict):
            return {self._name(key): self.of(item, depth - 1) for key, item in value.items()}
        kind = value.of if isinstance(value, Instance) else type(value).__name__
        raise MalformedError(f"its metadata holds a {kind}, which JSON has no form for")

    def _name(self, key: object) -> str:
        if not isinstance(key, str):
            raise MalformedError("its metadata has a key that is no text")
        self._characters -= len(key)
        return key


def _vectors(path: Path) -> tuple[str, Vectors | None]:
    """What kind of index it is, and its vectors if it is a flat one: a header, a count, and the numbers.

    Source: faiss/impl/index_write.cpp (write_index_header, and `IxF2`, `IxFI`).
    """
    if not path.is_file():
        raise ConfigError(f"{path} is not there: give the folder that FAISS.save_local wrote")
    size = path.stat().st_size
    with path.open("rb") as stream:
        head = stream.read(_HEADER.size)
        if len(head) < _HEADER.size:
            raise MalformedError(f"{path.name} is no index: it ends in its header")
        kind, dimension, count, _, _, _, metric = _HEADER.unpack(head)
        shown = "".join(chr(byte) if 32 < byte < 127 else "?" for byte in kind)
        if kind not in _FLAT or metric not in (0, 1):
            return shown, None
        numbers = int.from_bytes(stream.read(8), "little")
        expected = _HEADER.size + 8 + 4 * numbers
        if not 0 < dimension <= 65_536 or count < 0 or numbers != dimension * count or size != expected:
            raise MalformedError(f"{path.name} is damaged: its header and its length do not agree")
        return shown, np.fromfile(stream, "<f4", numbers).reshape(count, dimension)
