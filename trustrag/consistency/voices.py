"""Who speaks too often: a source that repeats itself, sources that say the same as one, questions played back."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from trustrag.consistency.likeness import Likeness
from trustrag.consistency.reading import Reading, read

Weights = NDArray[np.float64]

REPEATS = (0.63, 0.70)
"""Mean likeness of three or more texts of one owner: below, a page's paragraphs; above, one claim reworded. On clean
encyclopaedic lists 90% of such groups stay under 0.66; paraphrased attacks start at 0.68."""
SAME_POINT = (0.54, 0.62)
"""Likeness at which another text of a source that was found repeating itself belongs to the repetition."""
COLLUSION = (0.30, 0.36)
"""How far likeness across owners rises over the likeness to the rest of the list: nobody, everybody suspects."""
GAP = 0.12
"""A group stays one group while a joining part is at most this much less alike than its own parts are."""
ROUGH_GAP = 0.18
"""The same where meaning is only estimated from words."""


@dataclass(frozen=True, slots=True)
class Group:
    """Places of passages that average linkage joined, and their mean likeness to each other."""

    members: tuple[int, ...]
    likeness: float


def ramp(value: NDArray[np.float64] | float, edges: tuple[float, float]) -> NDArray[np.float64]:
    """0 up to the first edge, 1 from the second, straight between."""
    low, high = edges
    return np.clip((np.asarray(value, dtype=np.float64) - low) / (high - low), 0.0, 1.0)


def groups(alike: Likeness) -> Iterator[Group]:
    """Average-linkage groups of two and more, tightest first, that hang together.

    A join whose link is more than a gap below the likeness inside either part ends a group: an honest passage on the
    topic of a swarm is near all of it, and not as near as the swarm is to itself.
    """
    n, gap = len(alike.owners), GAP if alike.exact else ROUGH_GAP
    links = alike.likeness.copy()
    np.fill_diagonal(links, -np.inf)
    members: dict[int, tuple[int, ...]] = {i: (i,) for i in range(n)}
    inside = dict.fromkeys(range(n), 0.0)  # the sum of likeness over the pairs of a group
    whole = dict.fromkeys(range(n), True)
    for _ in range(n - 1):
        a, b = sorted(divmod(int(np.argmax(links)), n))
        link, sizes = float(links[a, b]), (len(members[a]), len(members[b]))
        means = [inside[g] / _pairs(size) for g, size in zip((a, b), sizes, strict=True) if size > 1]
        whole[a] = whole[a] and whole[b] and all(link >= mean - gap for mean in means)
        inside[a] += inside[b] + link * sizes[0] * sizes[1]
        members[a] += members.pop(b)
        links[a] = (links[a] * sizes[0] + links[b] * sizes[1]) / sum(sizes)
        links[:, a] = links[a]
        links[a, a] = -np.inf
        links[b], links[:, b] = -np.inf, -np.inf
        if whole[a]:
            yield Group(members[a], inside[a] / _pairs(len(members[a])))


def _pairs(size: int) -> int:
    return size * (size - 1) // 2


def repetition(alike: Likeness) -> Weights:
    """float64[n] in 0..1: how far a passage is one of several rewordings of one claim by one owner.

    Evidence is a third text: the likeness of a passage to its second nearest of the same owner, or the mean likeness
    of a group of three. The same text again is no evidence, it is counted once elsewhere; half of it with other words
    around it is. What is found spreads to the owner's other texts on the same point.
    """
    n = len(alike.owners)
    own = alike.same_owner & ~np.eye(n, dtype=np.bool_) & ~alike.reprints
    if n < 3 or not own.any():
        return np.zeros(n)
    near = np.sort(np.where(own, alike.likeness, 0.0), axis=1)
    found = ramp(near[:, -2], REPEATS)
    for group in groups(alike):
        inner = np.ix_(group.members, group.members)
        if (
            len(group.members) >= 3
            and len({alike.owners[i] for i in group.members}) == 1
            and own[inner].sum() >= 6
        ):
            mean = alike.likeness[inner][own[inner]].mean()
            found[list(group.members)] = np.maximum(found[list(group.members)], ramp(mean, REPEATS))
    sure = np.where(found >= 0.3, found, 0.0)
    spread = (np.where(own, ramp(alike.likeness, SAME_POINT), 0.0) * sure[None, :]).max(axis=1)
    return np.asarray(np.maximum(found, spread), dtype=np.float64)


def collusion(alike: Likeness) -> Weights:
    """float64[n] in 0..1: how far a passage belongs to owners that say one thing in more texts than they are.

    A group counts if it has more texts than owners (at least a fifth of them repeats), a third of its owners have
    several, no owner holds most of it, it is not half of the list, and its owners are as alike across as within.
    Independent agreement, and syndicated news, is mostly one text an owner, with one site that reports more often; a
    few keys with many texts are not.
    """
    n = len(alike.owners)
    found = np.zeros(n)
    for group in groups(alike):
        members = list(group.members)
        held = [alike.owners[i] for i in members]
        owners, size = set(held), len(members)
        repeats = size - len(owners)
        if len(owners) < 2 or repeats < max(1.0, 0.2 * size) or size > 0.5 * n + 0.5:
            continue
        counts = [held.count(owner) for owner in owners]
        if max(counts) > 0.65 * size or 3 * sum(count > 1 for count in counts) < len(owners):
            continue
        inner = alike.likeness[np.ix_(members, members)]
        same = alike.same_owner[np.ix_(members, members)] & ~np.eye(size, dtype=np.bool_)
        across = float(inner[~same & ~np.eye(size, dtype=np.bool_)].mean())
        if across < float(inner[same].mean()) - 0.08:
            continue
        rest = [i for i in range(n) if i not in group.members]
        outside = float(alike.likeness[members][:, rest].mean()) if rest else 0.0
        rise = ramp((across - outside) / (1 - outside), COLLUSION)
        found[members] = np.maximum(found[members], rise)
    return found


_ASKING = re.compile(
    r"\W*(?:who|whom|whose|what|which|when|where|why|how|is|are|was|were|do|does|did)\b", re.I
)
_ASKED_WITH = re.compile(r"\b(?:who|whom|whose|what|which|when|where|why|how)\b", re.I)
OPENING = 15
"""Characters that may stand before a question that opens a text: "Question: ". A headline is longer."""


def echo(question: str, readings: Sequence[Reading], texts: Sequence[str]) -> Weights:
    """float64[n] in 0..1: how far a passage opens by playing the question back.

    Verbatim, or as another question of almost the same words. Who answers a question rarely asks it first; who wants
    to be found for it does. A sentence that answers has the answer where the question has its question word, and one
    that stands behind a headline, as in a quiz, opens nothing: neither is an echo. Questions of fewer than four words
    are titles too often to tell; and who asks with a statement, full stop included, looks for the passage that makes
    it. A text that is the question and no more answers nothing, and deceives nobody.
    """
    asked = read(question)
    found = np.zeros(len(texts))
    if len(asked.words) < 4 or question.rstrip().endswith("."):
        return found
    verbatim = " ".join(question.lower().split()).rstrip("? .")
    wanted = set(_ASKED_WITH.findall(verbatim))
    for place, text in enumerate(texts):
        head = " ".join(text[: len(question) + 80].lower().split())
        if head.rstrip("? .") == verbatim or not wanted <= set(_ASKED_WITH.findall(head)):
            continue
        match = fuzz.partial_ratio_alignment(verbatim, head) if len(head) >= len(verbatim) else None
        if match is not None and match.dest_start <= OPENING:
            found[place] = ramp(match.score / 100, (0.88, 0.95))
        if found[place] < 1.0 and _ASKING.match(text):
            opening = read(readings[place].sentences[0]).wording
            alike = ramp(fuzz.token_sort_ratio(asked.wording, opening) / 100, (0.78, 0.85))
            found[place] = max(float(found[place]), float(alike))
    return found
