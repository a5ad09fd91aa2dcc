"""Ranking where one source has one voice: `rerank(question, candidates)` over verified text.

A score is the candidate's relevance, times its source's standing, lifted by *other independent* sources that state the
same, and lowered where its source repeats itself, colludes, echoes the question, copies, or is contradicted by better
standing. Every result explains itself. In the default mode a penalty lowers and never deletes, so no flood and no
near-duplicates can empty the context.

Modes: `weighted` (default) as above; `strict` returns only verified, uncontested passages of sources not on probation;
`report` keeps the order of relevance, as if undefended, and marks everything.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trustrag.consistency import (
    SHARED_MEMORY,
    Certificate,
    Finding,
    Judge,
    Likeness,
    PairMemory,
    Passage,
    ValueJudge,
    certify,
    collusion,
    compare,
    echo,
    originals,
    repetition,
    stated,
)

__all__ = [
    "Candidate",
    "Certificate",
    "Conflict",
    "Contest",
    "Explanation",
    "Mode",
    "PassedOver",
    "Penalty",
    "Ranked",
    "Ranking",
    "rerank",
]

Mode = Literal["weighted", "strict", "report"]
Weights = NDArray[np.float64]

REPEATED, ECHOED, COPIED, REPRINTED, UNPROVEN, CONTRADICTED = 0.4, 0.05, 0.75, 0.05, 0.65, 0.4
"""What is left of a score at full suspicion. A repeated claim shares one weight with two others or more; an echo is made
for retrieval and nothing else; another's copy adds little, a second one less, and a source's own nothing; a key on
probation gives way, supported or not, for what others state can be copied, and one that an established source contradicts
has to wait."""
SUPPORT = 0.15
"""The lift for a second independent source that states the same value; a third adds nothing: two keys are easy."""
AGREES = 0.6
"""Agreement from which one source counts as another's supporter."""
ANSWERED = 0.7
"""What is left of an echo that is the question of a pair: about what its words added to the relevance is taken back, so that
whoever calls a lie a pair gains nothing over leaving the echo out."""
PROBATION_SHARE = 5
"""One place in five, at least one, is open to all keys on probation together."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One passage that asks for a place.

    `relevance` is the retriever's score (higher is better, any scale); `vector` a unit float32[d] or None; `trust`
    in 0..1; `owner` groups sources that speak with one voice (None: the source itself); `position` the log index
    of its source attestation, so that of two equal texts the earlier one is the original (None: unknown). `pair`: by
    its signed metadata the text is a question with its answer. An unverified candidate has no standing, whatever its
    trust.
    """

    text: str
    source: str
    relevance: float
    vector: NDArray[np.float32] | None = None
    trust: float = 1.0
    probation: bool = False
    owner: str | None = None
    position: int | None = None
    verified: bool = True
    pair: bool = False


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
    """A candidate with its score: `index` is its place in the input."""

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
class PassedOver:
    """A candidate that its score would have brought a place, and why the mode gave it none."""

    index: int
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Ranking:
    """`passages`: what to hand on, in order of relevance. `left_out`: the others, by score; `passed_over`: which of these
    had a place by their score, best first."""

    passages: tuple[Ranked, ...]
    left_out: tuple[Ranked, ...]
    passed_over: tuple[PassedOver, ...]
    contested: tuple[Contest, ...]
    certificate: Certificate | None


def rerank(
    question: str,
    passages: Sequence[Candidate],
    *,
    limit: int = 5,
    mode: Mode = "weighted",
    min_support: int = 0,
    judge: Judge | None = None,
    memory: PairMemory | None = None,
) -> Ranking:
    """At most `limit` passages to hand on, each explained. Raises ValueError on a bad limit, mode or min_support.

    `judge` says who agrees and who contradicts (`ValueJudge` by default); pairwise work is kept in `memory`.
    """
    if limit < 1:
        raise ValueError(f"limit must be at least 1, not {limit}")
    if min_support < 0:
        raise ValueError(f"min_support must not be negative, not {min_support}")
    if mode not in ("weighted", "strict", "report"):
        raise ValueError(f"mode must be weighted, strict or report, not {mode!r}")
    if not passages:
        return Ranking((), (), (), (), None)
    alike = compare(originals([_passage(c) for c in passages]), memory)
    weighed = _weigh(
        question, passages, alike, judge or ValueJudge(), SHARED_MEMORY if memory is None else memory
    )
    ranked = [weighed.explain(index) for index in range(len(passages))]
    chosen, passed_over = _choose(weighed, limit, mode)
    kept = set(chosen)
    order = sorted(chosen, key=lambda i: (-passages[i].relevance, i))
    left = sorted((i for i in range(len(passages)) if i not in kept), key=lambda i: (-ranked[i].score, i))
    certificate = _certificate(question, passages, alike, min_support) if min_support else None
    return Ranking(
        tuple(ranked[i] for i in order),
        tuple(ranked[i] for i in left),
        tuple(PassedOver(i, passages[i].source, reason) for i, reason in passed_over),
        weighed.contests,
        certificate,
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Weighed:
    """Candidates with everything that makes their scores; arrays are float64[n]."""

    candidates: Sequence[Candidate]
    scores: Weights
    penalties: Mapping[str, Weights]
    support: Mapping[int, tuple[str, ...]]
    conflicts: Mapping[int, tuple[Conflict, ...]]
    contests: tuple[Contest, ...]

    def explain(self, index: int) -> Ranked:
        candidate, score = self.candidates[index], float(self.scores[index])
        given = tuple(
            Penalty(name, float(by[index])) for name, by in self.penalties.items() if by[index] < 1.0
        )
        supporters, conflicts = self.support.get(index, ()), self.conflicts.get(index, ())
        explanation = Explanation(candidate.relevance, candidate.trust, supporters, conflicts, given, score)
        return Ranked(index, candidate, score, explanation)


def _passage(candidate: Candidate) -> Passage:
    owner = candidate.owner or candidate.source
    return Passage(candidate.text, owner, candidate.relevance, candidate.vector, candidate.position)


def _certificate(
    question: str, candidates: Sequence[Candidate], alike: Likeness, required: int
) -> Certificate | None:
    """Only sources with full standing are counted: a crowd of new keys is no quorum."""
    places = [i for i, c in enumerate(candidates) if _rank_of(c) == (True, True)]
    places.sort(key=lambda i: (_since(candidates[i]), -candidates[i].relevance, i))
    return certify(stated(question, alike, places), required)


def _since(candidate: Candidate) -> float:
    return float("inf") if candidate.position is None else candidate.position


def _weigh(
    question: str, candidates: Sequence[Candidate], alike: Likeness, judge: Judge, memory: PairMemory
) -> _Weighed:
    relevance = _scaled(candidates)
    manners = {
        "repetition": 1 - (1 - REPEATED) * np.maximum(repetition(alike), collusion(alike)),
        "echo": _echoes(question, candidates, alike),
        "copy": _copies(candidates, alike),
    }
    findings = judge.judge(question, alike, relevance, memory)
    # Who has lost its weight by its manners may still agree with others, but is no party to a contest and hides none.
    credible = relevance * np.prod(list(manners.values()), axis=0)
    parties = findings if (credible == relevance).all() else judge.judge(question, alike, credible, memory)
    conflicts = [finding for finding in parties if finding.conflict >= judge.certain]
    support = _supporters(candidates, alike, findings)
    penalties = manners | {
        "standing": np.array([_standing(c) for c in candidates]),
        "unproven": np.array([1.0 if all(_rank_of(c)) else UNPROVEN for c in candidates]),
        "contradicted": _contradicted(candidates, conflicts),
    }
    # Support lifts the established alone: a newcomer is not above them for repeating what they say.
    lift = np.array([1 + SUPPORT * (i in support and all(_rank_of(c))) for i, c in enumerate(candidates)])
    scores = relevance * lift * np.prod(list(penalties.values()), axis=0)
    return _Weighed(
        candidates,
        scores,
        penalties,
        support,
        _conflicts(candidates, conflicts),
        tuple(_contests(candidates, conflicts, support)),
    )


def _scaled(candidates: Sequence[Candidate]) -> Weights:
    """Relevance in 0..1: similarities stay as they are, any other scale is stretched over the list."""
    relevance = np.array([c.relevance for c in candidates], dtype=np.float64)
    if not np.isfinite(relevance).all():
        raise ValueError("relevance must be finite")
    if relevance.min() >= 0 and 0 < relevance.max() <= 1:
        return relevance
    low, high = float(relevance.min()), float(relevance.max())
    # The last of a list on an unknown scale is still a hit: half of the best, not nothing.
    return 0.5 + 0.5 * (relevance - low) / (high - low) if high > low else np.ones(len(candidates))


def _standing(candidate: Candidate) -> float:
    return 0.5 + 0.5 * (candidate.trust if candidate.verified else 0.0)


def _echoes(question: str, candidates: Sequence[Candidate], alike: Likeness) -> Weights:
    """A pair of an established source is asked in its own words by whoever looks for it."""
    left = np.array([ANSWERED if c.pair and all(_rank_of(c)) else ECHOED for c in candidates])
    return np.asarray(1 - (1 - left) * echo(question, alike.readings, [c.text for c in candidates]))


def _copies(candidates: Sequence[Candidate], alike: Likeness) -> Weights:
    """A text that is said again counts once: for the earlier in the log, or the more relevant.

    Another's copy is worth more than one's own: a flood of one text ranks below whoever else says it.
    """
    factor = np.ones(len(candidates))
    again = alike.reprints
    order = sorted(range(len(candidates)), key=lambda i: (_since(candidates[i]), -candidates[i].relevance, i))
    for place, i in enumerate(order):
        before = {alike.owners[j] for j in order[:place] if again[i, j]}
        if alike.owners[i] in before:
            factor[i] = REPRINTED
        elif before:
            # Each further owner of one text adds less: five keys with one text are not five voices.
            factor[i] = max(REPRINTED, COPIED ** (len(before) ** 2))
    return factor


def _supporters(
    candidates: Sequence[Candidate], alike: Likeness, findings: Sequence[Finding]
) -> dict[int, tuple[str, ...]]:
    """Who else states the same; keys on probation and unverified text support nobody."""
    stated: dict[int, set[int]] = {}
    for finding in findings:
        # Passages that contradict each other in one value do not support each other in another.
        if finding.agreement < AGREES or finding.conflict >= finding.agreement:
            continue
        for here, there in ((finding.a, finding.b), (finding.b, finding.a)):
            named = candidates[there].source != candidates[here].source
            if named and _rank_of(candidates[there]) == (True, True):
                stated.setdefault(here, set()).add(there)
    return {here: _independent(places, candidates, alike) for here, places in stated.items()}


def _independent(
    places: Collection[int], candidates: Sequence[Candidate], alike: Likeness
) -> tuple[str, ...]:
    """One name an owner; of texts that copy each other the first published speaks, and the others only repeat it."""
    kept: list[int] = []
    for i in sorted(places, key=lambda i: (_since(candidates[i]), i)):
        if not any(alike.copies[i, j] or alike.same_owner[i, j] for j in kept):
            kept.append(i)
    return tuple(sorted(candidates[i].source for i in kept))


def _rank_of(candidate: Candidate) -> tuple[bool, bool]:
    return candidate.verified, not candidate.probation


def _contradicted(candidates: Sequence[Candidate], conflicts: Sequence[Finding]) -> Weights:
    factor = np.ones(len(candidates))
    for finding in conflicts:
        a, b = _rank_of(candidates[finding.a]), _rank_of(candidates[finding.b])
        if a != b:
            factor[finding.a if a < b else finding.b] = CONTRADICTED
    return factor


def _conflicts(
    candidates: Sequence[Candidate], conflicts: Sequence[Finding]
) -> dict[int, tuple[Conflict, ...]]:
    found: dict[int, tuple[Conflict, ...]] = {}
    for finding in conflicts:
        a, b = candidates[finding.a].source, candidates[finding.b].source
        found[finding.a] = (*found.get(finding.a, ()), Conflict(b, finding.value, finding.other))
        found[finding.b] = (*found.get(finding.b, ()), Conflict(a, finding.other, finding.value))
    return found


def _contests(
    candidates: Sequence[Candidate], conflicts: Sequence[Finding], support: Mapping[int, tuple[str, ...]]
) -> Iterator[Contest]:
    """Conflicts between equals: the same standing, and neither side has two supporters more."""
    for finding in conflicts:
        a, b = candidates[finding.a], candidates[finding.b]
        mine = tuple(dict.fromkeys((a.source, *support.get(finding.a, ()))))
        theirs = tuple(dict.fromkeys((b.source, *support.get(finding.b, ()))))
        if _rank_of(a) == _rank_of(b) and abs(a.trust - b.trust) < 0.25 and abs(len(mine) - len(theirs)) < 2:
            yield Contest(finding.value, mine, finding.other, theirs)


def _choose(weighed: _Weighed, limit: int, mode: Mode) -> tuple[list[int], list[tuple[int, str]]]:
    """The places of at most `limit` candidates, best first, and of those passed over on the way, with the reason."""
    candidates = weighed.candidates
    if mode == "report":
        return sorted(range(len(candidates)), key=lambda i: (-candidates[i].relevance, i))[:limit], []
    # With no established source at all, a quota would only make the context shorter.
    established = any(not c.probation for c in candidates)
    places = max(1, limit // PROBATION_SHARE) if established else limit
    chosen: list[int] = []
    passed_over: list[tuple[int, str]] = []
    for i in sorted(range(len(candidates)), key=lambda i: (-weighed.scores[i], i)):
        if len(chosen) == limit:
            break
        if mode == "strict":
            reason = _objection(candidates[i], weighed.conflicts.get(i, ()))
        else:
            reason = (
                "" if places or not candidates[i].probation else "on probation: its share of places is taken"
            )
            places -= candidates[i].probation and not reason
        if reason:
            passed_over.append((i, reason))
        else:
            chosen.append(i)
    return chosen, passed_over


def _objection(candidate: Candidate, conflicts: Sequence[Conflict]) -> str:
    """Why strict mode has no place for a candidate; the empty string where it has one."""
    if not candidate.verified:
        return "not verified"
    if candidate.probation:
        return "its source is on probation"
    rivals = ", ".join(dict.fromkeys(conflict.source for conflict in conflicts))
    return f"contradicted by {rivals}" if rivals else ""
