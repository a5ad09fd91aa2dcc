"""The words in which attacks are told: what an attacker sees, has, and publishes.

Nothing here knows how a poison is written (`crafting`, `optimise`, `adaptive`) or how it is brought
into a workspace (`simulator`); both sides meet in these few values.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray


class KeyKind(StrEnum):
    """With which key a poison arrives."""

    NEW = "new"
    """A key that the operator has just let in, on probation as the policy's default says."""
    AGED = "aged"
    """A key that behaved for weeks and has left probation."""
    STOLEN = "stolen"
    """The key of an honest source, whose own passages stay."""
    NONE = "none"
    """No key: an unsigned document, or bytes changed on disk."""


class TextEmbedder(Protocol):
    """The part of the workspace's own embedder that an attacker with a copy of it can use."""

    def embed(self, texts: Sequence[str], /) -> NDArray[np.float32]:
        """Unit rows, float32[n, d]."""
        ...

    def embed_query(self, text: str, /) -> NDArray[np.float32]:
        """One unit vector, float32[d]."""
        ...


@dataclass(frozen=True, slots=True)
class Honest:
    """A passage that stands in the workspace, as the attacker can read it."""

    text: str
    source: str
    doc_id: str
    title: str = ""


@dataclass(frozen=True, slots=True)
class Question:
    """A question whose answer is known, and the lie an attacker would have believed.

    `correct` holds every accepted spelling. `sentence`, where known, is an honest sentence with
    `{}` in the place of its value. `attack_texts` are poisons that came with a public data set.
    """

    text: str
    correct: tuple[str, ...]
    wrong: str
    sentence: str = ""
    attack_texts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.text.strip() or not self.correct or not self.wrong.strip():
            raise ValueError("a question needs a text, a correct answer and a wrong one")


@dataclass(frozen=True, slots=True)
class Target:
    """A question under attack, with the honest passages that answer it, best first."""

    question: Question
    honest: tuple[Honest, ...]


@dataclass(frozen=True, slots=True)
class Poison:
    """One text that the attacker publishes.

    `key` counts the attacker's keys of this kind from 0. `week` orders publication: what has a lower
    week stands before the rest is brought. `replaces` names the document of which a new version has
    this text in place of its passage `original` (for `KeyKind.NONE`: the stored passage is overwritten).
    `innocent` marks what is published only to look honest: it doesn't count as poison when shown.
    """

    text: str
    key: int = 0
    kind: KeyKind = KeyKind.NEW
    week: int = 0
    replaces: str | None = None
    original: str = ""
    title: str = ""
    innocent: bool = False


@dataclass(frozen=True, slots=True)
class Means:
    """What the attacker works with: the workspace's embedder, a seeded generator, and the knobs."""

    embedder: TextEmbedder
    rng: np.random.Generator
    knobs: Mapping[str, int] = field(default_factory=dict)

    def knob(self, name: str) -> int:
        """The value of a knob that the attack declares."""
        return self.knobs[name]


Craft: TypeAlias = Callable[[Sequence[Target], Means], tuple[Poison, ...]]


@dataclass(frozen=True, slots=True)
class Attack:
    """One entry of the catalogue.

    `atlas` are MITRE ATLAS technique ids (content 2026.09). `trigger` is appended to the question by
    the victim, for attacks that sleep until it is said. `goal` is what the attacker wants of a reader, as
    a measure of `Outcome`: that it is `deceived`, or that it `refused`.
    """

    name: str
    atlas: tuple[str, ...]
    description: str
    craft: Craft
    knobs: tuple[tuple[str, int], ...] = ()
    trigger: str = ""
    goal: str = "deceived"

    def asked(self, question: str) -> str:
        """The question as the victim puts it to the attacked workspace."""
        return f"{question.rstrip()} {self.trigger}".strip() if self.trigger else question

    def tuned(self, **knobs: int) -> "Attack":
        """The same attack with other knobs; a `ValueError` names one that it doesn't have."""
        own = dict(self.knobs)
        if unknown := sorted(set(knobs) - set(own)):
            raise ValueError(f"attack {self.name!r} has no knob {', '.join(unknown)}; it has {sorted(own)}")
        return replace(self, knobs=tuple((own | knobs).items()))

    def poisons(
        self, targets: Sequence[Target], embedder: TextEmbedder, rng: np.random.Generator
    ) -> tuple[Poison, ...]:
        """Every poison of the campaign against all `targets`, in order of publication."""
        made = self.craft(targets, Means(embedder, rng, dict(self.knobs)))
        return tuple(sorted(made, key=lambda poison: poison.week))
