"""One protocol for every check at the door, and the battery that runs them and decides."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from trustrag.ingest.document import Document

FINDINGS_LIMIT = 20
"""Most findings kept from one screen on one document: the first of a thousand says what the rest would."""


class Severity(StrEnum):
    """How much a finding weighs."""

    NOTE = "note"  # worth knowing
    WARN = "warn"  # unusual, and often honest
    HOLD = "hold"  # a person should look before anyone reads it


class Verdict(StrEnum):
    """What the battery decides about one document."""

    ADMIT = "admit"
    QUARANTINE = "quarantine"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a screen noticed.

    `start` and `end` are characters of the document's text (0, 0: the document as a whole). `reason` is
    one printable line. `standard` names the public catalogue entry it maps to, if there is one.
    """

    code: str
    severity: Severity
    start: int
    end: int
    reason: str
    standard: str = ""

    def __str__(self) -> str:
        where = f" at {self.start}-{self.end}" if self.end else ""
        standard = f" [{self.standard}]" if self.standard else ""
        return f"{self.code} {self.severity}{where}: {self.reason}{standard}"


class Screen(Protocol):
    """One check. The same document always gives the same findings; nothing is fetched or remembered.

    `name` is lower case with dashes, `version` rises when its findings change: together they name, in the
    signed review, what was looked for.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    def check(self, document: Document) -> Iterable[Finding]:
        """What this screen notices in the document, in order of place."""
        ...


@dataclass(frozen=True, slots=True)
class Review:
    """What the battery found in one document, and what it decides."""

    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """Quarantine as soon as one finding asks for a person."""
        held = any(finding.severity is Severity.HOLD for finding in self.findings)
        return Verdict.QUARANTINE if held else Verdict.ADMIT

    @property
    def reason(self) -> str:
        """Why it is held, in one line; empty when it is admitted without findings."""
        ranked = sorted(self.findings, key=lambda finding: finding.severity is not Severity.HOLD)
        if not ranked:
            return ""
        more = f" (and {len(ranked) - 1} more)" if len(ranked) > 1 else ""
        return f"{ranked[0].code}: {ranked[0].reason}{more}"


class Battery:
    """Runs every screen over a document. Raises `ValueError` without a screen: that would approve all."""

    def __init__(self, screens: Sequence[Screen]) -> None:
        if not screens:
            raise ValueError("a battery without screens would approve whatever comes")
        self.screens = tuple(screens)

    @property
    def properties(self) -> tuple[str, ...]:
        """What a signed review says a document went through, one property a screen."""
        return tuple(property_of(screen.name, screen.version) for screen in self.screens)

    def review(self, document: Document, *more: Screen) -> Review:
        """Look at one document with every screen, and with those made for it alone."""
        screens = (*self.screens, *more)
        return Review(tuple(finding for screen in screens for finding in _findings(screen, document)))


def property_of(name: str, version: int) -> str:
    """What a signed review says of one screen."""
    return f"TRUSTRAG_SCREENED_{name.upper().replace('-', '_')}_V{version}"


def _findings(screen: Screen, document: Document) -> list[Finding]:
    """One screen's findings, cut to the limit; a hold is never what is cut away.

    A screen that fails has not looked, so the document waits for a person instead of passing.
    """
    try:
        found = list(screen.check(document))
    except Exception as error:
        reason = f"the screen {screen.name} failed ({type(error).__name__})"
        return [Finding("SCREEN_FAILED", Severity.HOLD, 0, 0, reason)]
    if len(found) <= FINDINGS_LIMIT:
        return found
    kept = sorted(found, key=lambda finding: finding.severity is not Severity.HOLD)[:FINDINGS_LIMIT]
    return sorted(kept, key=lambda finding: finding.start)
