"""Where a document lies among what its source and the store hold already: far out, near everything, or moved.

Vectors tell little about truth, so what is found here is told and decides nothing, but for a hub: a passage that is
among the nearest of abnormally many places of the store answers questions about everything, and no honest text does
(hubness: Radovanović et al. 2010; as an attack: Zhang et al. 2024, "Adversarial Hubness").
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trustrag.ingest.screening.base import Finding, Screen, Severity
from trustrag.ingest.screening.company import Around, Arrival, Found, Sample, Usual, Vectors

LEAST_PAST = 50
"""Passages of a source before which it has no history to differ from."""
LEAST_SAMPLE = 200
"""Passages of the store before which nothing is near abnormally many of them."""
NEWEST = 1_000
"""An owner's newest passages, of which its usual nearness is reckoned."""
NEIGHBOURS = 10
RADIUS = 5.0
"""Robust deviations (median and MAD) below its source's usual nearness from which a document is far out."""
HUB_TIMES = 12
"""How many times its fair share of places a passage has to be near to be a hub."""
HUB_SHARE = 0.10
"""... and the share of all places at least: in a small store, chance is large."""
DRIFT_LEAST, DRIFT_ERRORS = 8, 6.0
"""Passages of one source in a batch, and standard errors of their mean, from which it is said to have moved."""


@dataclass(frozen=True, slots=True)
class OutlierScreen:
    """Documents unlike anything that their source has published."""

    name: str = "outliers"
    version: int = 1

    def among(self, batch: Sequence[Arrival], around: Around) -> Screen:
        """Warn of a document whose nearest passage of its source's past is far further off than is usual there."""
        found: dict[str, list[Finding]] = {}
        for arrival in batch:
            usual = around.past(arrival.owner).usual
            if usual is None or not len(arrival.vectors):
                continue
            nearness = float((arrival.vectors @ usual.vectors.T).max(axis=1).mean())
            if (usual.nearness - nearness) / usual.deviation > RADIUS:
                reason = f"its nearest passage of {arrival.owner} is at {nearness:.2f}, usual is {usual.nearness:.2f}"
                found[arrival.document.doc_id] = [
                    Finding("OUTLIER", Severity.WARN, 0, 0, reason, "AML.T0020")
                ]
        return Found(self.name, self.version, found)


def usual_nearness(past: Vectors) -> Usual | None:
    """How near an owner's newest passages, at most `NEWEST`, are to each other; None where there are too few."""
    if len(past) < LEAST_PAST:
        return None
    past = past[-NEWEST:]
    cosines = past @ past.T
    np.fill_diagonal(cosines, -1.0)
    nearest = cosines.max(axis=1)
    middle = float(np.median(nearest))
    # MAD times 1.4826 is the deviation of a normal distribution; never so small that any difference is large.
    return Usual(middle, max(0.02, 1.4826 * float(np.median(np.abs(nearest - middle)))), past)


@dataclass(frozen=True, slots=True)
class HubScreen:
    """Passages that are near to abnormally many places of the store."""

    name: str = "hubs"
    version: int = 1

    def among(self, batch: Sequence[Arrival], around: Around) -> Screen:
        """Hold documents with a passage among the nearest of many times more sampled places than chance gives."""
        sample = around.sample()
        found: dict[str, list[Finding]] = {}
        places = len(sample.vectors)
        if places < LEAST_SAMPLE:
            return Found(self.name, self.version, found)
        limit = max(HUB_TIMES * NEIGHBOURS, HUB_SHARE * places)
        for arrival in batch:
            counts = ((sample.vectors @ arrival.vectors.T) >= sample.reach[:, None]).sum(axis=0)
            if len(counts) and counts.max() > limit:
                passage = int(np.argmax(counts))
                start = max(0, arrival.document.text.find(arrival.passages[passage]))
                span = (start, start + len(arrival.passages[passage]))
                reason = (
                    f"it is among the {NEIGHBOURS} nearest of {counts.max()} of {places} places of the store"
                )
                found[arrival.document.doc_id] = [
                    Finding("HUB", Severity.HOLD, *span, reason, "OWASP LLM08:2025")
                ]
        return Found(self.name, self.version, found)


def sampled(vectors: Vectors) -> Sample:
    """The sample of these places; who is nearer to one than its reach is among its nearest."""
    if len(vectors) < LEAST_SAMPLE:
        return Sample(vectors, np.ones(len(vectors), np.float32))
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1.0)
    return Sample(vectors, np.partition(cosines, -NEIGHBOURS, axis=1)[:, -NEIGHBOURS].astype(np.float32))


@dataclass(frozen=True, slots=True)
class DriftScreen:
    """A source whose batch lies elsewhere than all it published before: taken over, or on to something new."""

    name: str = "drift"
    version: int = 1

    def among(self, batch: Sequence[Arrival], around: Around) -> Screen:
        """Warn, with each of its documents, where a source's batch is further from its past than chance explains."""
        found: dict[str, list[Finding]] = {}
        for owner in sorted({arrival.owner for arrival in batch}):
            own = [arrival for arrival in batch if arrival.owner == owner and len(arrival.vectors)]
            errors = moved(own, around.past(owner).usual)
            if errors > DRIFT_ERRORS:
                reason = f"what {owner} publishes now is further from its past than ever ({errors:.0f} standard errors)"
                for arrival in own:
                    found[arrival.document.doc_id] = [
                        Finding("DRIFT", Severity.WARN, 0, 0, reason, "AML.T0020")
                    ]
        return Found(self.name, self.version, found)


def moved(own: Sequence[Arrival], usual: Usual | None) -> float:
    """How many standard errors a batch is less near its source's past than that past is to itself; 0 if unknown."""
    if usual is None or sum(len(arrival.vectors) for arrival in own) < DRIFT_LEAST:
        return 0.0
    nearest = (np.concatenate([arrival.vectors for arrival in own]) @ usual.vectors.T).max(axis=1)
    return (usual.nearness - float(nearest.mean())) / (usual.deviation / float(np.sqrt(len(nearest))))
