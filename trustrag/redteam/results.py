"""What a run found: outcomes by attack and defence, and the questions asked of them.

Values only: how they are drawn is `report`'s, how they come about `simulator`'s.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from trustrag.redteam.metrics import Interval, Outcome, column, paired, share, summary


class Defence(StrEnum):
    """Under what a search was made."""

    NONE = "none"
    """Plain similarity over everything that anyone managed to place, signed or not."""
    SIGNATURES = "signatures"
    """What stands and proves itself, ranked by similarity alone."""
    GATE = "gate"
    """All of it: proof, screening, retrieval cap, ranking by independent support, probation."""


@dataclass(frozen=True, slots=True)
class Placed:
    """How many of the attacker's texts were brought, and what became of them on the way in."""

    brought: int = 0
    admitted: int = 0
    quarantined: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Trial:
    """One attack, measured under every defence on the same questions; `outcomes` run in their order.

    The clean run is a trial too, named "clean", with nothing brought. `goal` is the attack's.
    """

    name: str
    atlas: tuple[str, ...]
    description: str
    knobs: tuple[tuple[str, int], ...]
    placed: Placed
    outcomes: Mapping[Defence, tuple[Outcome, ...]]
    goal: str = "deceived"

    def measure(self, measure: str, defence: Defence, *, seed: int = 0) -> Interval:
        """One measure under one defence; n = 0 where it was not taken."""
        return share(column(self.outcomes.get(defence, ()), measure), seed=seed)

    def summary(self, defence: Defence, *, seed: int = 0) -> dict[str, Interval]:
        """Every measure taken under one defence."""
        return summary(self.outcomes.get(defence, ()), seed=seed)

    def change(self, measure: str, *, seed: int = 0) -> Interval:
        """How the full gate changes a measure against no defence, paired by question."""
        before, after = (column(self.outcomes[one], measure) for one in (Defence.NONE, Defence.GATE))
        return paired(before, after, seed=seed)


@dataclass(frozen=True, slots=True)
class Worst:
    """The attack that came furthest against the full gate, and how far; `tied` are others that came as far."""

    attack: str
    measure: str
    success: Interval
    tied: tuple[str, ...] = ()
