"""The battery: runs every screen over a document, then over its batch, and decides."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

from trustrag.ingest.document import Document
from trustrag.ingest.screening.base import Finding, Screen, Severity, Verdict, property_of
from trustrag.ingest.screening.company import Around, Arrival, BatchScreen, Found
from trustrag.provenance.policy import Source

FINDINGS_LIMIT = 20
"""Most findings kept from one screen on one document: the first of a thousand says what the rest would."""


@dataclass(frozen=True, slots=True)
class Review:
    """What the battery found in one document, and what it decides."""

    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """Reject, or quarantine, as soon as one finding asks for it."""
        severities = {finding.severity for finding in self.findings}
        if Severity.REJECT in severities:
            return Verdict.REJECT
        return Verdict.QUARANTINE if Severity.HOLD in severities else Verdict.ADMIT

    @property
    def reason(self) -> str:
        """Why it is held or rejected, in one line; empty when it is admitted without findings."""
        ranked = sorted(self.findings, key=lambda finding: _RANK[finding.severity])
        if not ranked:
            return ""
        more = f" (and {len(ranked) - 1} more)" if len(ranked) > 1 else ""
        return f"{ranked[0].code}: {ranked[0].reason}{more}"


_RANK = {Severity.REJECT: 0, Severity.HOLD: 1, Severity.WARN: 2, Severity.NOTE: 2}


class Battery:
    """Runs every screen over a document. Raises `ValueError` without a screen: that would approve all.

    `batch` are the screens that need company: they look later, when the batch is embedded. What the screens named in
    `advisory` find is told and never decides. `notices` say in a line each which screens
    could not be had and how to get them: whoever runs the battery shows them once.
    """

    def __init__(
        self,
        screens: Sequence[Screen],
        *,
        batch: Sequence[BatchScreen] = (),
        advisory: Collection[str] = (),
        notices: Sequence[str] = (),
    ) -> None:
        if not screens:
            raise ValueError("a battery without screens would approve whatever comes")
        self.screens = tuple(screens)
        self.batch = tuple(batch)
        self.advisory = frozenset(advisory)
        self.notices = tuple(notices)

    @property
    def properties(self) -> tuple[str, ...]:
        """What a signed review says a document went through, one property a screen."""
        named: tuple[Screen | BatchScreen, ...] = (*self.screens, *self.batch)
        return tuple(property_of(screen.name, screen.version) for screen in named)

    def review(self, document: Document, *more: Screen, advisory: Collection[str] = ()) -> Review:
        """Look at one document with every screen, and with those made for it alone; `advisory` is for it alone too."""
        screens = (*self.screens, *more)
        return Review(tuple(found for screen in screens for found in self.look(screen, document, advisory)))

    def meet(
        self,
        batch: Sequence[Arrival],
        around: Around,
        advisory: Callable[[Source], Collection[str]] = lambda source: (),
    ) -> list[tuple[Finding, ...]]:
        """What the batch screens find in each document of a batch, in its order."""
        bound = [_bound(screen, batch, around) for screen in self.batch]
        return [
            tuple(
                found
                for screen in bound
                for found in self.look(screen, arrival.document, advisory(arrival.source))
            )
            for arrival in batch
        ]

    def look(self, screen: Screen, document: Document, advisory: Collection[str] = ()) -> list[Finding]:
        """What one screen finds in one document; an advisory one at most warns."""
        found = _findings(screen, document)
        if screen.name not in self.advisory and screen.name not in advisory:
            return found
        return [replace(item, severity=Severity.WARN) if item.severity.decides else item for item in found]


def _bound(screen: BatchScreen, batch: Sequence[Arrival], around: Around) -> Screen:
    """The screen for this batch; one that fails to look at it has looked at none of its documents."""
    try:
        return screen.among(batch, around)
    except Exception as error:
        findings = {arrival.document.doc_id: [_failed(screen.name, error)] for arrival in batch}
        return Found(screen.name, screen.version, findings)


def _failed(name: str, error: Exception) -> Finding:
    reason = f"the screen {name} failed ({type(error).__name__})"
    return Finding("SCREEN_FAILED", Severity.HOLD, 0, 0, reason)


def _findings(screen: Screen, document: Document) -> list[Finding]:
    """One screen's findings, cut to the limit; what decides is never what is cut away.

    A screen that fails has not looked, so the document waits for a person instead of passing.
    """
    try:
        found = list(screen.check(document))
    except Exception as error:
        return [_failed(screen.name, error)]
    if len(found) <= FINDINGS_LIMIT:
        return found
    kept = sorted(found, key=lambda finding: _RANK[finding.severity])[:FINDINGS_LIMIT]
    return sorted(kept, key=lambda finding: finding.start)
