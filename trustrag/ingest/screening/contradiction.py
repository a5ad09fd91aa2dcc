"""What is new and contradicts what independent sources say already, word for word but for one value.

The judgement is that of `consistency.testimony`: blind rather than wrong. Who is right is not known here, and the first
to publish is not more credible for that; so one voice against it is told, and only where two owners or more say the
same against it does a person look.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from trustrag.consistency.reading import read
from trustrag.consistency.testimony import said_of
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
    version: int = 1

    def among(self, batch: Sequence[Arrival], around: Around) -> Screen:
        """Hold where two owners contradict a passage and none agrees; warn where one does."""
        found = {arrival.document.doc_id: list(_contradicted(arrival, around)) for arrival in batch}
        return Found(self.name, self.version, found)


def _share_words(mine: str, theirs: str) -> bool:
    """Whether two texts can hold one sentence in the same words; asked first, since comparing sentences is dear."""
    a, b = read(mine).terms, read(theirs).terms
    return len(a & b) >= SHARED * min(len(a), len(b))


def _contradicted(arrival: Arrival, around: Around) -> Sequence[Finding]:
    found: list[Finding] = []
    for text, vector in zip(arrival.passages[:ASKED], arrival.vectors, strict=False):
        said: dict[str, set[str]] = {"differs": set(), "agrees": set(), "apart": set()}
        for witness in around.others(vector, arrival.source):
            if _share_words(text, witness.text):
                said[said_of(text, witness.text)].add(witness.owner)
        against = said["differs"] - said["agrees"]
        if not against:
            continue
        agree = said["agrees"] - said["differs"]
        severity = Severity.HOLD if len(against) > 1 and not agree else Severity.WARN
        start = max(0, arrival.document.text.find(text))
        names = ", ".join(sorted(against)[:3])
        beside = f"; {len(agree)} agree" if agree else ""
        reason = f"{names} {'say' if len(against) > 1 else 'says'} the same but for one value{beside}"
        found.append(Finding("CONTRADICTED", severity, start, start + len(text), reason, "AML.T0070"))
    return found
