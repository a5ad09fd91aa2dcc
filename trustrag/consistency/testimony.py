"""Whether two passages of different publishers state the same, or contradict each other: no model, no question.

Built to raise few false alarms: two texts differ only where one sentence of theirs stayed as it is but for one number,
date or name. A lie in words of its own is not found here; it is found, where it matters, by ranking.
"""

from typing import Literal, TypeAlias

from trustrag.consistency.changes import ValueChange, changed_values
from trustrag.consistency.reading import DATE, NAME, NUMBER, Reading, read

Testimony: TypeAlias = Literal["agrees", "differs", "apart"]

ABOUT = 3
"""Content words that two texts share before they can speak of one thing; to agree, sentences need one more."""
SAME = 0.75
"""Share of a sentence's other content words that both have, where one value alone is said to differ."""


def said_of(mine: str, theirs: str) -> Testimony:
    """What `theirs` says of `mine`. Symmetric and pure.

    `differs`: in some sentence that both have, all else is the same and one value is another. `agrees`: a number, a
    date or two names are shared by sentences that speak of the same thing, and nothing differs.
    """
    a, b = read(mine), read(theirs)
    if len(a.terms & b.terms) < ABOUT:  # also what keeps this cheap
        return "apart"
    forth, back = _differ(a, b, mine, theirs), _differ(b, a, theirs, mine)
    if "differs" in (forth, back):
        return "differs"
    return "agrees" if (forth, back) == ("agrees", "agrees") and _agree(a, b) else "apart"


def _differ(a: Reading, b: Reading, mine: str, theirs: str) -> Testimony:
    """`agrees` where nothing speaks against it."""
    changes = changed_values(mine, theirs)
    told = [change.sentence for change in (*changes.values, *changes.words)]
    if any(_is_subject(change, told.count(change.sentence)) for change in changes.values):
        return "apart"
    alone = [change for change in changes.values if told.count(change.sentence) == 1]
    return "differs" if any(_is_contradiction(change, a, b) for change in alone) else "agrees"


def _is_subject(change: ValueChange, changes: int) -> bool:
    """Whether two sentences speak of two things in the same words: another name leads, or a name is not all."""
    new = read(change.new).words
    return change.kind == NAME and (changes > 1 or read(change.sentence).words[: len(new)] == new)


def _is_contradiction(change: ValueChange, a: Reading, b: Reading) -> bool:
    """Whether the one thing that differs in a sentence is its answer, and all else is the same."""
    sentence, new, old = read(change.sentence), read(change.new), read(change.old)
    if change.kind == NAME and not (change.old[0].isupper() and change.new[0].isupper()):
        return False
    if old.said <= b.said or new.said <= a.said:
        return False  # what the other passage says too, somewhere else, is no contradiction of it
    before = max((read(text) for text in a.sentences), key=lambda one: len(one.terms & sentence.terms))
    shared = (sentence.terms & before.terms) - new.terms - old.terms
    most = max(len(sentence.terms - new.terms), len(before.terms - old.terms))
    return len(shared) >= max(ABOUT, SAME * most) and _same_subject(a, b)


def _same_subject(a: Reading, b: Reading) -> bool:
    """Whether the opening sentences share half of their names, where both name anybody: "It was built in" follows."""
    mine, theirs = (_forms(read(reading.sentences[0]), NAME) for reading in (a, b))
    return not (mine and theirs) or 2 * len(mine & theirs) >= min(len(mine), len(theirs))


def _agree(a: Reading, b: Reading) -> bool:
    for mine in a.sentences:
        one = read(mine)
        for theirs in b.sentences:
            other = read(theirs)
            exact = _forms(one, NUMBER, DATE) & _forms(other, NUMBER, DATE)
            names = _forms(one, NAME) & _forms(other, NAME)
            about = (one.terms & other.terms) - exact
            if len(about) >= 2 and len(about | exact) > ABOUT and (exact or len(names) >= 2):
                return True
    return False


def _forms(reading: Reading, *kinds: str) -> set[str]:
    return {value.form for value in reading.values if value.kind in kinds}
