"""What would change if a document that waits were let in: told before anybody decides, and nothing changes yet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trustrag.consistency.testimony import said_of
from trustrag.provenance.evidence import VerifiedPassage

Vectors: TypeAlias = NDArray[np.float32]
Nearest: TypeAlias = Callable[[Vectors, int], Sequence[VerifiedPassage]]
"""The proved passages that stand nearest to a vector, so many of them."""

SHOWN = 4
"""Neighbours told of at most, of each kind."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A passage that stands, of an independent source, and what it says of the one that waits."""

    doc_id: str
    source: str
    says: Literal["agrees", "differs"]
    text: str


@dataclass(frozen=True, slots=True)
class Effect:
    """Of so many recent questions, those whose nearest passage would be another; `standing` is of the version that goes."""

    asked: int
    changed: tuple[str, ...]


def neighbours(texts: Sequence[str], vectors: Sequence[bytes], nearest: Nearest) -> tuple[Neighbour, ...]:
    """Who states the same as these passages, or another value. Conflicts first."""
    found: dict[tuple[str, str], Neighbour] = {}
    for text, vector in zip(texts, vectors, strict=True):
        row = np.frombuffer(vector, "<f4")
        for other in nearest(row, 2 * SHOWN) if row.any() else ():
            says = said_of(text, other.text)
            if says != "apart":
                found.setdefault(
                    (other.doc_id, other.text), Neighbour(other.doc_id, other.source, says, other.text)
                )
    kinds = [[one for one in found.values() if one.says == says][:SHOWN] for says in ("differs", "agrees")]
    return (*kinds[0], *kinds[1])


def effect(
    doc_id: str,
    vectors: Sequence[bytes],
    texts: Sequence[str],
    asked: Sequence[tuple[str, Vectors]],
    nearest: Nearest,
) -> Effect:
    """Which questions (with their unit vectors) would be answered from another passage, by nearness alone.

    What ranking makes of it (trust, support, probation) comes after: this is the most that could change.
    """
    rows = np.stack([np.frombuffer(vector, "<f4") for vector in vectors])
    changed = []
    for question, vector in asked:
        best = int(np.argmax(rows @ vector))
        standing = nearest(vector, 8)
        others = [one for one in standing if one.doc_id != doc_id]
        rival = max((float(np.frombuffer(one.vector, "<f4") @ vector) for one in others), default=-1.0)
        wins = float(rows[best] @ vector) > rival
        now = standing[0].text if standing else None
        after = texts[best] if wins else others[0].text if others else None
        if now != after:
            changed.append(question)
    return Effect(len(asked), tuple(changed))
