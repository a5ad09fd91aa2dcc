"""What a new version changes against the one that stands: values replaced in place, and claims that are new.

An update that is meant and a lie in its place look the same here. So a changed value is told, and it waits for a person
only where independent sources still state what it was; nothing is refused. What only says something new contradicts
nobody's earlier version, and is told as such.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from trustrag.consistency import Changes, ValueChange, changed_values
from trustrag.consistency.reading import TERM, Reading, normal, read
from trustrag.ingest.document import Document
from trustrag.ingest.screening.base import Finding, Severity, property_of, shown
from trustrag.provenance.policy import Source

NAME, VERSION = "versions", 1
REVIEWED = property_of(NAME, VERSION)
"""What a signed review says of it; of a document that supersedes nothing, there was nothing to compare."""

ASKED = 256
"""Changed sentences, at most, that others are asked about: a table in which every row changed must not stop the door."""
PAIRS = 2_000_000_000
"""Characters of the old text times characters of the new, beyond which the rest is not compared: a million pairs of
short lines, a second or two. A version that reaches it shares hardly a line with its predecessor."""
LEAST = 40_000
"""Characters of either text that are compared whatever the length of the other."""
LEAST_SHARED, MOST_SHARED = 2, 3
"""Content words of the sentence in which a value changed that a witness has to share: `SHARE` of them within these."""
SHARE = 0.3
COPIED = 0.5
"""Share of a passage's five-word runs that, found in the earlier version, makes it a copy of it and no witness."""


@dataclass(frozen=True, slots=True)
class Witness:
    """A standing passage of somebody else: its source, in whose name it speaks, its text, its place in the log, and the
    title of its document, where that has one.
    """

    source: str
    owner: str
    text: str
    position: int
    title: str = ""


Witnesses: TypeAlias = Callable[[str], Sequence[Witness]]
"""The standing passages, proved, that are nearest to a text, of sources that are independent of its publisher."""

Neighbours: TypeAlias = Callable[[str, Source], Sequence[Witness]]
"""The same, for a text and the source that publishes it. Asked only about sentences in which a value changed."""


@dataclass(frozen=True, slots=True)
class Predecessor:
    """The version that stands: its number, its text, and the place in the log at which it was attested.

    `complete` is false where a part of it is not what was signed, and is left out.
    """

    version: int
    text: str
    position: int
    complete: bool = True


@dataclass(frozen=True, slots=True)
class VersionScreen:
    """Compares a document with its `predecessor`, and asks `witnesses` about the values that changed.

    Made anew for each document. A copy of the predecessor that was attested after it is no witness: otherwise whoever
    copies a page could keep it from ever being updated.
    """

    predecessor: Predecessor
    witnesses: Witnesses
    name: str = NAME
    version: int = VERSION

    def check(self, document: Document) -> Iterator[Finding]:
        """Warn of changed values, hold where more owners state the old value alone than the new; note new claims."""
        old, new, whole = _parts(self.predecessor.text, document.text)
        changes = changed_values(old, new)
        yield from self._told(document, changes, whole)
        asked: dict[str, Sequence[Witness]] = {}
        for change in changes.values:
            if change.kind != TERM and change.sentence not in asked and len(asked) < ASKED:
                asked[change.sentence] = self._independent(change)
            against = dissent(change, asked.get(change.sentence, ()))
            start, end = _span(document.text, change.sentence)
            what = f"{shown(change.old)} became {shown(change.new)}"
            if against:
                yield _finding("CHANGED_VALUE", Severity.HOLD, start, end, f"{what}; {_disagree(against)}")
            else:
                where = f"{what} in: {shown(change.sentence)}"
                yield _finding("CHANGED_VALUE", Severity.WARN, start, end, where)

    def _told(self, document: Document, changes: Changes, whole: bool) -> Iterator[Finding]:
        if not self.predecessor.complete:
            reason = f"what stands of version {self.predecessor.version} is not all as it was signed: run the audit"
            yield _finding("NOT_COMPARED", Severity.HOLD, 0, 0, reason)
        if changes.added:
            start, end = _span(document.text, changes.added[0])
            # Whoever says it all in other words leaves no sentence to compare: then what went is worth a look.
            severity = Severity.WARN if changes.removed else Severity.NOTE
            yield _finding("NEW_CLAIM", severity, start, end, self._novelty(changes))
        if not whole:
            reason = (
                f"so much differs from version {self.predecessor.version} that not all of it was compared"
            )
            yield _finding("REWRITTEN", Severity.WARN, 0, 0, reason)
        asked = len({change.sentence for change in changes.values if change.kind != TERM})
        if asked > ASKED:
            reason = f"values changed in {asked} sentences; others were asked about the first {ASKED}"
            yield _finding("REWRITTEN", Severity.WARN, 0, 0, reason)

    def _novelty(self, changes: Changes) -> str:
        added, gone = len(changes.added), len(changes.removed)
        what = f"{added} sentences" if added > 1 else "a sentence"
        lost = f", and {gone} of its own {'is' if gone == 1 else 'are'} gone" if gone else ""
        return f"{what} that version {self.predecessor.version} has not{lost}: {shown(changes.added[0])}"

    def _independent(self, change: ValueChange) -> list[Witness]:
        """Those near the sentence as it was: who states the old value is nearer to that."""
        found = self.witnesses(change.sentence.replace(change.new, change.old))
        later = any(witness.position > self.predecessor.position for witness in found)
        known = _runs(self.predecessor.text) if later else frozenset()
        return [
            witness
            for witness in found
            if witness.position <= self.predecessor.position or not _is_copy(witness.text, known)
        ]


def dissent(change: ValueChange, witnesses: Sequence[Witness]) -> tuple[str, ...]:
    """The sources that state the old value and not the new one; none where as many owners state the new one alone.

    An owner that states both says nothing of the change. Of plain words nobody is asked: who else writes `film` does
    not contradict `movie`.
    """
    if change.kind == TERM:
        return ()
    still: dict[str, set[str]] = {}
    agree: set[str] = set()
    for witness in witnesses:
        old, new = _stated(change, read(witness.text))
        if old and not new:
            still.setdefault(witness.owner, set()).add(witness.source)
        if new:
            agree.add(witness.owner)
    against = still.keys() - agree
    if len(agree - still.keys()) >= max(1, len(against)):
        return ()
    return tuple(sorted({source for owner in against for source in still[owner]}))


def _stated(change: ValueChange, text: Reading) -> tuple[bool, bool]:
    """Whether a text that speaks of what changed states the old value, and the new one."""
    was, now = _forms(change.old), _forms(change.new)
    gone, come = (was - now) or was, (now - was) or now
    about = read(change.sentence).terms - read(change.new).terms
    needed = max(LEAST_SHARED, min(MOST_SHARED, SHARE * len(about)))
    old = new = False
    readings = [read(sentence) for sentence in text.sentences]
    for place, sentence in enumerate(readings):
        beside = readings[max(0, place - 1) : place + 2]
        near = frozenset[str]().union(*(other.terms for other in beside))
        if len(about & near) < needed:
            continue
        # Of a name mostly the last part is repeated, so half will do; a new one has to be there in full to excuse.
        old = old or _holds(sentence.said, gone, 0.5)
        new = new or _holds(sentence.said, come, 1.0)
    return old, new


def _forms(value: str) -> frozenset[str]:
    """Its numbers and content words, without the initials of a name."""
    reading = read(value)
    words = zip(reading.words, reading.roots, strict=True)
    told = {normal(word.lower()) for word, root in words if root and (len(word) > 1 or word.isdigit())}
    return frozenset(told) or reading.said


def _holds(said: frozenset[str], value: frozenset[str], share: float) -> bool:
    """All of its numbers, and this share of its words."""
    figures = {form for form in value if form[0].isdigit()}
    words = value - figures
    return figures <= said and len(words & said) >= share * len(words)


def _runs(text: str) -> frozenset[int]:
    return frozenset[int]().union(*(read(line).shingles for line in text.split("\n")))


def _is_copy(text: str, known: frozenset[int]) -> bool:
    runs = read(text).shingles
    return bool(runs) and len(runs & known) >= COPIED * len(runs)


def _parts(old: str, new: str) -> tuple[str, str, bool]:
    """Both texts without the lines that stand in the other, and whether that is all that differs."""
    before, after = old.splitlines(), new.splitlines()
    kept = set(before) & set(after)
    old = "\n".join(line for line in before if line not in kept)
    new = "\n".join(line for line in after if line not in kept)
    if len(old) * len(new) <= PAIRS:
        return old, new, True
    part = old[: max(LEAST, PAIRS // len(new))]
    return part, new[: max(LEAST, PAIRS // len(part))], False


def _span(text: str, sentence: str) -> tuple[int, int]:
    start = text.find(sentence)
    return (start, start + len(sentence)) if start >= 0 else (0, 0)


def _disagree(sources: Sequence[str]) -> str:
    listed = ", ".join(sources[:3]) + (f" and {len(sources) - 3} more" if len(sources) > 3 else "")
    return f"{listed} still state{'s' * (len(sources) == 1)} the old value"


def _finding(code: str, severity: Severity, start: int, end: int, reason: str) -> Finding:
    return Finding(code, severity, start, end, reason)
