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

from trustrag.consistency import Likeness, PairMemory, Passage, collusion, compare, echo, repetition

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
    memory: PairMemory | None = None,
) -> Ranking:
    """The `limit` passages to hand on, each explained. Raises ValueError on a bad limit or mode."""
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    if mode not in ("weighted", "strict", "report"):
        raise ValueError(f"mode must be weighted, strict or report, not {mode!r}")
    if not passages:
        return Ranking((), (), (), None)
    seen = [Passage(c.text, c.owner or c.source, c.relevance, c.vector, c.position) for c in passages]
    alike = compare(seen, memory)
    penalties = _penalties(question, passages, alike)
    base = _scaled(passages)
    scores = base * np.array([_standing(c) for c in passages])
    for given in penalties.values():
        scores = scores * given
    ranked = [
        Ranked(i, c, float(scores[i]), _explain(i, c, penalties, float(scores[i]))) for i, c in enumerate(passages)
    ]
    if mode == "report":
        chosen = sorted(range(len(passages)), key=lambda i: -passages[i].relevance)[:limit]
    else:
        chosen = _choose(passages, scores, limit)
    kept = set(chosen)
    order = sorted(chosen, key=lambda i: (-passages[i].relevance, i))
    left = sorted((i for i in range(len(passages)) if i not in kept), key=lambda i: -scores[i])
    return Ranking(tuple(ranked[i] for i in order), tuple(ranked[i] for i in left), (), None)


def _penalties(question: str, passages: Sequence[Candidate], alike: Likeness) -> dict[str, NDArray[np.float64]]:
    swarm = np.maximum(repetition(alike), collusion(alike))
    heard = echo(question, alike.readings, [c.text for c in passages])
    return {"repetition": 1 - 0.7 * swarm, "echo": 1 - 0.95 * heard, "copy": _copies(passages, alike)}


def _copies(passages: Sequence[Candidate], alike: Likeness) -> NDArray[np.float64]:
    factor = np.ones(len(passages))
    same = np.maximum(alike.copied, alike.copied.T) >= 0.7
    order = sorted(range(len(passages)), key=lambda i: (-passages[i].relevance, i))
    kept: list[int] = []
    for i in order:
        if any(same[i, j] for j in kept):
            factor[i] = 0.5
        else:
            kept.append(i)
    return factor


def _scaled(passages: Sequence[Candidate]) -> NDArray[np.float64]:
    relevance = np.array([c.relevance for c in passages], dtype=np.float64)
    relevance = relevance - min(0.0, float(relevance.min()))
    top = float(relevance.max())
    return relevance / top if top > 0 else np.ones(len(passages))


def _standing(candidate: Candidate) -> float:
    return 0.5 + 0.5 * (candidate.trust if candidate.verified else 0.0)


def _choose(passages: Sequence[Candidate], scores: NDArray[np.float64], limit: int) -> list[int]:
    quota = max(1, limit // 5) if any(not c.probation for c in passages) else limit
    chosen: list[int] = []
    new = 0
    for i in sorted(range(len(passages)), key=lambda i: (-scores[i], i)):
        if len(chosen) == limit:
            break
        if passages[i].probation:
            if new == quota:
                continue
            new += 1
        chosen.append(i)
    return chosen


def _explain(i: int, candidate: Candidate, penalties: dict[str, NDArray[np.float64]], score: float) -> Explanation:
    given = tuple(Penalty(name, float(factor[i])) for name, factor in penalties.items() if factor[i] < 1.0)
    return Explanation(candidate.relevance, candidate.trust, (), (), given, score)
