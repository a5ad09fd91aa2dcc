"""One sentence through a small BERT in plain numpy, so that a question costs no import of torch.

Loading sentence-transformers takes seconds; reading the same weights as arrays and running the six
layers of MiniLM over one question takes a fraction of one. The forward pass follows the published
architecture (Devlin et al. 2018, section 3; post-layer-norm encoder, exact GELU, mean pooling) and is
tested against sentence-transformers. Any model folder of this shape runs here; `supports` tells which.
"""

import json
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from trustrag.errors import BackendError

Floats: TypeAlias = NDArray[np.float32]

_MODULES = ["Transformer", "Pooling", "Normalize"]
_CONFIG = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
_FILES = ("config.json", "modules.json", "tokenizer.json", "model.safetensors", "sentence_bert_config.json")


def read_object(path: Path) -> dict[str, object]:
    """A JSON object, or an empty one where the file is absent or something else."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return cast(dict[str, object], value) if isinstance(value, dict) else {}


def module_names(folder: Path) -> list[str]:
    """The last word of each module type in `modules.json`, in order; empty where there is none."""
    try:
        modules = json.loads((folder / "modules.json").read_bytes())
        return [str(module["type"]).rsplit(".", 1)[-1] for module in modules]
    except (OSError, ValueError, TypeError, KeyError):
        return []


def supports(folder: Path) -> bool:
    """Whether the model in this folder is a BERT with mean pooling and no prompts, as computed here."""
    if not all((folder / name).is_file() for name in _FILES) or module_names(folder) != _MODULES:
        return False
    config = read_object(folder / "config.json")
    if any(config.get(name, value) != value for name, value in _CONFIG.items()) or "model_type" not in config:
        return False
    pooling = read_object(folder / "1_Pooling" / "config.json")
    modes = {name for name, on in pooling.items() if name.startswith("pooling_mode_") and on is True}
    prompts = read_object(folder / "config_sentence_transformers.json").get("prompts")
    return modes == {"pooling_mode_mean_tokens"} and not prompts


def _erf(x: Floats) -> Floats:
    """The error function, absolute error below 1.5e-7 (Abramowitz and Stegun 1964, formula 7.1.26)."""
    a = np.abs(x)
    t = 1.0 / (1.0 + np.float32(0.3275911) * a)
    series = np.float32(1.061405429) * t
    for coefficient in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        series = (series + np.float32(coefficient)) * t
    result: Floats = np.copysign(1.0 - series * np.exp(-a * a), x)
    return result


def _gelu(x: Floats) -> Floats:
    return np.float32(0.5) * x * (1 + _erf(x * np.float32(2**-0.5)))


class MiniBert:
    """The weights as arrays, and the forward pass over one text. Safe to share between threads.

    `folder` must satisfy `supports`. Raises BackendError when its files cannot be read as such a model.
    """

    def __init__(self, folder: Path) -> None:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        try:
            config = read_object(folder / "config.json")
            self._layers = int(str(config["num_hidden_layers"]))
            self._heads = int(str(config["num_attention_heads"]))
            self._epsilon = np.float32(str(config["layer_norm_eps"]))
            length = int(str(read_object(folder / "sentence_bert_config.json")["max_seq_length"]))
            self._tokens = Tokenizer.from_file(str(folder / "tokenizer.json"))
            self._tokens.enable_truncation(length)
            self._tokens.no_padding()
            self._weights: dict[str, Floats] = load_file(folder / "model.safetensors")
            self.embed("")  # a missing or misshapen weight shows itself here, not at the first question
        except (OSError, KeyError, ValueError, IndexError, SafetensorError) as error:
            what = f"the model in {folder} cannot be read: {error!r}; reinstall or download it again"
            raise BackendError(what) from error

    def embed(self, text: str) -> Floats:
        """The unit vector of one text, float32[dimension]; longer texts are truncated as the model says."""
        ids = self._tokens.encode(text).ids
        weights = self._weights
        x = weights["embeddings.word_embeddings.weight"][ids]
        x = x + weights["embeddings.position_embeddings.weight"][: len(ids)]
        x = self._norm(x + weights["embeddings.token_type_embeddings.weight"][0], "embeddings")
        for number in range(self._layers):
            x = self._layer(x, f"encoder.layer.{number}.")
        mean = x.mean(axis=0, dtype=np.float64)
        unit: Floats = (mean / np.linalg.norm(mean)).astype(np.float32)
        return unit

    def _layer(self, x: Floats, name: str) -> Floats:
        """One encoder layer over float32[tokens, dimension]."""
        heads = (len(x), self._heads, -1)
        query, key, value = (
            self._linear(x, f"{name}attention.self.{part}").reshape(heads).transpose(1, 0, 2)
            for part in ("query", "key", "value")
        )
        scores = query @ key.transpose(0, 2, 1) / np.float32(query.shape[-1] ** 0.5)
        share = np.exp(scores - scores.max(axis=-1, keepdims=True))
        share /= share.sum(axis=-1, keepdims=True)
        heard = (share @ value).transpose(1, 0, 2).reshape(x.shape)
        x = self._norm(x + self._linear(heard, f"{name}attention.output.dense"), f"{name}attention.output")
        inner = _gelu(self._linear(x, f"{name}intermediate.dense"))
        return self._norm(x + self._linear(inner, f"{name}output.dense"), f"{name}output")

    def _linear(self, x: Floats, name: str) -> Floats:
        result: Floats = x @ self._weights[f"{name}.weight"].T + self._weights[f"{name}.bias"]
        return result

    def _norm(self, x: Floats, name: str) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        spread = np.sqrt((centred * centred).mean(axis=-1, keepdims=True) + self._epsilon)
        scale, shift = self._weights[f"{name}.LayerNorm.weight"], self._weights[f"{name}.LayerNorm.bias"]
        result: Floats = centred / spread * scale + shift
        return result
