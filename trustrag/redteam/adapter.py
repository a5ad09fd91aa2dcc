"""The product's ranking behind the plain call that outside benchmarks make.

`rerank(question, passages) -> (ordered indices, contested)` over dicts with text, publisher, title, relevance and,
where given, emb. It drives `trustrag.retrieval.ranking.rerank` with its defaults and nothing else, and knows no
benchmark. In a store each passage has its vector; where a list comes without, the default embedder makes them, as
`ProvenanceReranker` does for other retrievers. The standing of publishers comes from the JSON file named by the
environment variable TRUSTRAG_STANDING, such as `{"M": {"probation": true}, "pub3": {"trust": 0.5}}`; without it all
publishers are equal.
"""

import json
import os
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NotRequired, TypedDict

import numpy as np
from numpy.typing import NDArray

from trustrag.errors import ConfigError
from trustrag.index.base import Vector
from trustrag.index.embedding import Embedder, open_embedder
from trustrag.retrieval.ranking import Candidate
from trustrag.retrieval.ranking import rerank as rank

STANDING = "TRUSTRAG_STANDING"
KEPT_VECTORS = 20_000
"""Texts whose vectors are remembered in the process: 30 MB. A benchmark asks about the same passages again and again."""


class Row(TypedDict):
    """One passage as a benchmark hands it over, best first; `emb` a unit vector, float32[d]."""

    text: str
    publisher: str
    title: NotRequired[str]
    relevance: float
    emb: NotRequired[NDArray[np.float32] | None]


class Standing(TypedDict, total=False):
    """What the standing file says of one publisher; left out: full trust, no probation, its own owner."""

    trust: float
    probation: bool
    owner: str


def rerank(question: str, passages: Sequence[Row]) -> tuple[list[int], bool]:
    """Places in `passages`, the chosen context first, and whether the question is contested.

    Raises ConfigError if the standing file can't be used, and BackendError if vectors are wanted and can't be made.
    """
    standing = _standing()
    candidates = [
        _candidate(row, vector, standing.get(row["publisher"], {}))
        for row, vector in zip(passages, _vectors(passages), strict=True)
    ]
    ranking = rank(question, candidates)
    return [ranked.index for ranked in ranking.passages], bool(ranking.contested)


def _vectors(passages: Sequence[Row]) -> Sequence[Vector]:
    """The vectors as given, or all made here where one is missing: those of two models can't be compared."""
    given = [row.get("emb") for row in passages]
    whole = [vector for vector in given if vector is not None]
    return whole if len(whole) == len(given) else [_embedded(row["text"]) for row in passages]


@lru_cache(maxsize=KEPT_VECTORS)
def _embedded(text: str) -> Vector:
    vector: Vector = _embedder().embed([text])[0]
    return vector


@lru_cache(maxsize=1)
def _embedder() -> Embedder:
    return open_embedder()


def _candidate(row: Row, vector: Vector, standing: Standing) -> Candidate:
    return Candidate(
        row["text"],
        row["publisher"],
        float(row["relevance"]),
        vector,
        trust=float(standing.get("trust", 1.0)),
        probation=bool(standing.get("probation", False)),
        owner=standing.get("owner"),
    )


def _standing() -> Mapping[str, Standing]:
    path = os.environ.get(STANDING)
    if not path:
        return {}
    file = Path(path)
    try:
        return _read(path, file.stat().st_mtime_ns)
    except OSError as error:
        raise ConfigError(f"{STANDING} names {path}, which cannot be read: {error}") from error


@lru_cache(maxsize=8)
def _read(path: str, changed: int) -> Mapping[str, Standing]:
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(f"{STANDING} names {path}, which is not JSON: {error}") from error
    if not isinstance(value, dict) or not all(isinstance(one, dict) for one in value.values()):
        raise ConfigError(f"{STANDING} names {path}, which is not an object of publishers")
    return {str(name): _one(name, one) for name, one in value.items()}


def _one(name: object, given: Mapping[str, object]) -> Standing:
    standing: Standing = {}
    for key, value in given.items():
        if (
            key == "trust"
            and isinstance(value, int | float)
            and not isinstance(value, bool)
            and 0 <= value <= 1
        ):
            standing["trust"] = float(value)
        elif key == "probation" and isinstance(value, bool):
            standing["probation"] = value
        elif key == "owner" and isinstance(value, str):
            standing["owner"] = value
        else:
            raise ConfigError(
                f"{STANDING}: {name} has {key} = {value!r}; known: trust 0..1, probation true/false, owner"
            )
    return standing
