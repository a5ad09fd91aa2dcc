"""Counting owners, not passages: how many dishonest sources an answer withstands.

Every owner states a set of values: those that weigh most in its own passages, found without a look at anybody else's.
So no source can change what another one states. A value is grounded for q if at least q owners state it and more state
it than state any rival of it alone. For t dishonest owners among all that were counted:

1. t < q: at least q - t honest owners state the grounded value; no value that only dishonest owners state is grounded.
2. t <= `tolerates`: whatever these t owners say instead, or by saying nothing, the value keeps more owners than any rival
   has, for lead > 2t.

Assumed: owners are independent (who shares an owner, or copies another, is counted once), keys belong to their owners,
and the honest passages are among the candidates, which the retriever's cap of candidates per source is for.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from trustrag.consistency.likeness import Likeness
from trustrag.consistency.reading import Reading, read
from trustrag.consistency.values import RARE, Wanted, answers, slot

STATED = 0.7
"""Weight relative to a passage's leading value from which another value counts as stated as well: a name's parts."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """`value` is stated by `owners`, at least `required` of them; at most `rivals` owners state another value instead.

    `tolerates` is the number of dishonest owners, whichever they are, that can't overturn it.
    """

    value: str
    owners: tuple[str, ...]
    required: int
    rivals: int
    tolerates: int


def stated(question: str, alike: Likeness, places: Sequence[int]) -> dict[str, frozenset[str]]:
    """What each owner states in answer, from its own passages at these places alone; copies speak for the first."""
    wanted = Wanted(slot(question), {root: 1.0 for root in read(question).roots if root}, {}, RARE, RARE)
    found: dict[str, set[str]] = {}
    heard: list[int] = []
    for place in places:
        if any(alike.copies[place, other] and not alike.same_owner[place, other] for other in heard):
            continue
        heard.append(place)
        found.setdefault(alike.owners[place], set()).update(_values(wanted, alike.readings[place]))
    return {owner: frozenset(values) for owner, values in found.items() if values}


def _values(wanted: Wanted, reading: Reading) -> set[str]:
    weights = answers(wanted, reading)
    most = max(weights.values(), default=0.0)
    return {form for form, weight in weights.items() if weight >= STATED * most}


def certify(statements: Mapping[str, Set[str]], required: int) -> Certificate | None:
    """The grounded value with the most owners, or None. Raises ValueError if `required` is not positive."""
    if required < 1:
        raise ValueError(f"a certificate needs at least 1 owner, not {required}")
    held: dict[str, set[str]] = {}
    for owner, values in statements.items():
        for value in values:
            held.setdefault(value, set()).add(owner)
    best: Certificate | None = None
    for value in sorted(held, key=lambda value: (-len(held[value]), value)):
        owners = held[value]
        rivals = max((len(others - owners) for others in held.values()), default=0)
        lead = len(owners) - rivals
        if len(owners) < required or lead < 1 or (best and lead <= len(best.owners) - best.rivals):
            continue
        tolerates = min(required - 1, (lead - 1) // 2)
        best = Certificate(value, tuple(sorted(owners)), required, rivals, tolerates)
    return best
