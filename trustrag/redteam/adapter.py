"""The product's ranking behind the plain call that outside benchmarks make.

`rerank(question, passages) -> (ordered indices, contested)` over dicts with text, publisher, title, relevance and,
where given, emb. It drives `trustrag.retrieval.ranking.rerank` with its defaults and nothing else, and knows no
benchmark. The standing of publishers comes from the JSON file named by the environment variable TRUSTRAG_STANDING,
such as `{"M": {"probation": true}, "pub3": {"trust": 0.5}}`; without it all publishers are equal.
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
from trustrag.retrieval.ranking import Candidate
from trustrag.retrieval.ranking import rerank as rank

STANDING = "TRUSTRAG_STANDING"


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

    Raises ConfigError if the standing file can't be used.
    """
    standing = _standing()
    ranking = rank(question, [_candidate(row, standing.get(row["publisher"], {})) for row in passages])
    return [ranked.index for ranked in ranking.passages], bool(ranking.contested)


def _candidate(row: Row, standing: Standing) -> Candidate:
    return Candidate(
        row["text"],
        row["publisher"],
        float(row["relevance"]),
        row.get("emb"),
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
