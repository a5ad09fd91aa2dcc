"""Whether two passages of different publishers state the same, or contradict each other: no model, no question.

Built to raise few false alarms: two texts differ only where one sentence of theirs stayed as it is but for one number,
date or name, and where that is not what they are about. A sentence that two documents fill in with their own names (an
install line, a badge, the first sentence of a series) is a template, and speaks of two things. A lie in words of its own
is not found here; it is found, where it matters, by ranking.
"""

import re
from typing import Literal, TypeAlias

from trustrag.consistency.changes import Changes, ValueChange, changed_values
from trustrag.consistency.reading import DATE, NAME, NUMBER, TERM, Reading, content, read

Testimony: TypeAlias = Literal["agrees", "differs", "apart"]
Titles: TypeAlias = tuple[str, str]

ABOUT = 3
"""Content words that two texts share before they can speak of one thing; to agree, sentences need one more."""
SAME = 0.75
"""Share of a sentence's other content words that both have, where one value alone is said to differ."""
ADDRESS = re.compile(r"(?<!\S)\S*?://\S+")
"""With what is written onto it. From its beginning only: one long word is not looked at from each of its letters."""
_TAG = re.compile(r"</?[A-Za-z][^<>\n]*>")


def said_of(mine: str, theirs: str, titles: Titles = ("", "")) -> Testimony:
    """What `theirs` says of `mine`. Symmetric and pure; `titles` are those of the documents, where they have one.

    `differs`: in some sentence that both have, all else is the same and one value is another. `agrees`: a number, a
    date or two names are shared by sentences that speak of the same thing, and nothing differs.
    """
    mine, theirs = _stating(mine), _stating(theirs)
    a, b = read(mine), read(theirs)
    if len(a.terms & b.terms) < ABOUT:  # also what keeps this cheap
        return "apart"
    forth, back = changed_values(mine, theirs), changed_values(theirs, mine)
    if _two_subjects(forth, titles) or _two_subjects(back, titles[::-1]):
        return "apart"
    if _contradictions(forth, a, b) or _contradictions(back, b, a):
        return "differs"
    return "agrees" if _agree(a, b) else "apart"


def rivals(mine: str, theirs: str) -> frozenset[str]:
    """Of two texts of which the one `differs` from the other: the words that `theirs` has in place of what `mine` states."""
    mine, theirs = _stating(mine), _stating(theirs)
    found = _contradictions(changed_values(mine, theirs), read(mine), read(theirs))
    return frozenset[str]().union(*(content(change.new) - content(change.old) for change in found))


def of_one_thing(titles: Titles) -> bool:
    """Whether two documents' titles share a word; true where either has none, for then nothing tells."""
    mine, theirs = map(content, titles)
    return not (mine and theirs) or bool(mine & theirs)


def _stating(text: str) -> str:
    """A text without addresses and tags: they are made of names and numbers, and state nothing of either."""
    return ADDRESS.sub(" ", _TAG.sub(" ", text))


def _two_subjects(changes: Changes, titles: Titles) -> bool:
    """Whether the texts, or their titles, speak of two things in the same words."""
    told = [change.sentence for change in (*changes.values, *changes.words)]
    if any(_is_subject(change, told.count(change.sentence)) for change in changes.values):
        return True
    mine, theirs = map(content, titles)
    if not (mine and theirs):
        return False
    own, other = mine - theirs, theirs - mine
    named = any(own & content(change.old) and other & content(change.new) for change in changes.values)
    return named or any(change.kind != TERM for change in changed_values(*titles).values)


def _is_subject(change: ValueChange, changes: int) -> bool:
    """Whether another name leads, or a name is not all that changed; or a word that is another again and again."""
    if change.kind == TERM:  # which `changed_values` counts among the values for that alone
        return True
    return change.kind == NAME and (changes > 1 or _leads(change))


def _leads(change: ValueChange) -> bool:
    """Whether nothing that says anything stands before the new name in its sentence."""
    sentence, new = read(change.sentence), read(change.new).words
    first = next((place for place, root in enumerate(sentence.roots) if root), 0)
    return any(sentence.words[at : at + len(new)] == new for at in range(first + 1))


def _contradictions(changes: Changes, a: Reading, b: Reading) -> list[ValueChange]:
    told = [change.sentence for change in (*changes.values, *changes.words)]
    alone = [change for change in changes.values if told.count(change.sentence) == 1]
    return [change for change in alone if _is_contradiction(change, a, b)]


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
