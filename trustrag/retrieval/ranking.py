"""Ranking where one source has one voice: `rerank(question, candidates)` over verified text.

Each candidate's score is its relevance, weighed by its source's trust, lifted by *other independent* sources that
state the same, and lowered where its source repeats itself, echoes the question, or is on probation. Every result
explains itself. Ranking never empties the context in the default mode: a penalty lowers, it does not delete.

Modes: `weighted` (default) as above; `strict` returns only verified, uncontested passages of sources with standing;
`report` keeps the order of relevance and marks everything.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Mode = Literal["weighted", "strict", "report"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One passage that asks for a place.

    `relevance` is the retriever's score (higher is better, any scale); `vector` a unit float32[d] or None; `trust`
    in 0..1; `owner` groups sources that speak with one voice (None: the source itself); `position` the log index
    of its source attestation, so that of two equal texts the earlier one is the original (None: unknown).
    """

    text: str
    source: str
    relevance: float
    vector: NDArray[np.float32] | None = None
    title: str = ""
    trust: float = 1.0
    probation: bool = False
    owner: str | None = None
    position: int | None = None
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Penalty:
    """Why a score was lowered: `factor` in 0..1 multiplies it."""

    name: str
    factor: float


@dataclass(frozen=True, slots=True)
class Conflict:
    """This passage says `value`; `source` says `other`."""

    source: str
    value: str
    other: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a score came about."""

    relevance: float
    trust: float
    supporters: tuple[str, ...]
    conflicts: tuple[Conflict, ...]
    penalties: tuple[Penalty, ...]
    score: float


@dataclass(frozen=True, slots=True)
class Ranked:
    """A candidate with its place: `index` is its place in the input."""

    index: int
    candidate: Candidate
    score: float
    explanation: Explanation


@dataclass(frozen=True, slots=True)
class Contest:
    """Two values for one question, each with its publishers, and nothing that decides between them."""

    value: str
    sources: tuple[str, ...]
    other: str
    other_sources: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Certificate:
    """The value group that `required` independent owners support, and how many do."""

    value: str
    owners: tuple[str, ...]
    required: int


@dataclass(frozen=True, slots=True)
class Ranking:
    """`passages` best context first (in order of relevance); `left_out` the others, by score."""

    passages: tuple[Ranked, ...]
    left_out: tuple[Ranked, ...]
    contested: tuple[Contest, ...]
    certificate: Certificate | None


def rerank(
    question: str,
    passages: Sequence[Candidate],
    *,
    limit: int = 5,
    mode: Mode = "weighted",
    min_support: int = 0,
) -> Ranking:
    """The `limit` passages to hand on, each explained. Raises ValueError on a bad limit or mode."""
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    if mode not in ("weighted", "strict", "report"):
        raise ValueError(f"mode must be weighted, strict or report, not {mode!r}")
    order = sorted(range(len(passages)), key=lambda i: -passages[i].relevance)
    ranked = [_plain(i, passages[i]) for i in order]
    return Ranking(tuple(ranked[:limit]), tuple(ranked[limit:]), (), None)


def _plain(index: int, candidate: Candidate) -> Ranked:
    score = candidate.relevance * candidate.trust
    explanation = Explanation(candidate.relevance, candidate.trust, (), (), (), score)
    return Ranked(index, candidate, score, explanation)
