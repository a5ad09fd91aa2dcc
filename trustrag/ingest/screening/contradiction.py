"""What is new and contradicts what independent sources say already, word for word but for one value.

The judgement is that of `consistency.testimony`: blind rather than wrong. Who is right is not known here, and the first
to publish is not more credible for that; so one voice against it is told, and only where two owners or more state one
and the same other value of one thing does a person look. Where each states another, it is a form that all fill in.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from trustrag.consistency.reading import read
from trustrag.consistency.testimony import of_one_thing, rivals, said_of
from trustrag.ingest.screening.base import Finding, Screen, Severity
from trustrag.ingest.screening.company import Around, Arrival, Found

SHARED = 0.35
"""Share of the poorer text's content words that both have, below which no sentence of it is the other's."""
ASKED = 64
"""Passages of one document, at most, about which others are asked."""


@dataclass(frozen=True, slots=True)
class ContradictionScreen:
    """Passages that differ in one value from what standing sources of other owners say."""

    name: str = "contradiction"
    version: int = 2

    def among(self, batch: Sequence[Arrival], around: Around) -> Screen:
        """Hold where two owners contradict a passage and none agrees; warn where one does."""
        found = {arrival.document.doc_id: list(_contradicted(arrival, around)) for arrival in batch}
        return Found(self.name, self.version, found)


def _share_words(mine: str, theirs: str) -> bool:
    """Whether two texts can hold one sentence in the same words; asked first, since comparing sentences is dear."""
    a, b = read(mine).terms, read(theirs).terms
    return len(a & b) >= SHARED * min(len(a), len(b))


def _contradicted(arrival: Arrival, around: Around) -> Iterator[Finding]:
    document = arrival.document
    for text, vector in zip(arrival.passages[:ASKED], arrival.vectors, strict=False):
        against: dict[str, set[str]] = {}  # owner -> the words that it has in the place of a value
        agree: set[str] = set()
        for witness in around.others(vector, arrival.source):
            if not _share_words(text, witness.text):
                continue
            titles = document.title, witness.title
            said = said_of(text, witness.text, titles)
            if said == "differs":
                # A notice that two unrelated pages carry is about either page, and no two voices on one thing.
                words = rivals(text, witness.text) if of_one_thing(titles) else ()
                against.setdefault(witness.owner, set()).update(words)
            elif said == "agrees":
                agree.add(witness.owner)
        both = against.keys() & agree
        against, agree = {name: words for name, words in against.items() if name not in both}, agree - both
        if against:
            start = max(0, document.text.find(text))
            yield _finding(against, agree, start, start + len(text))


def _finding(against: Mapping[str, set[str]], agree: Collection[str], start: int, end: int) -> Finding:
    voices = Counter(word for words in against.values() for word in words)
    together = [name for name, words in against.items() if any(voices[word] > 1 for word in words)]
    named = sorted(together or against)
    severity = Severity.HOLD if together and not agree else Severity.WARN
    beside = f"; {len(agree)} agree" if agree else ""
    verb = "say" if len(named) > 1 else "says"
    reason = f"{', '.join(named[:3])} {verb} the same but for one value{beside}"
    return Finding("CONTRADICTED", severity, start, end, reason, "AML.T0070")
