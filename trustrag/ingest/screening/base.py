"""One protocol for every check at the door, and what a check finds."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Protocol, runtime_checkable

from trustrag.errors import MalformedError
from trustrag.ingest.document import Document


class Severity(StrEnum):
    """How much a finding weighs."""

    NOTE = "note"  # worth knowing
    WARN = "warn"  # unusual, and often honest
    HOLD = "hold"  # a person should look before anyone reads it
    REJECT = "reject"  # nobody has to look: it may not come in. No screen here says so; a team's own rule may

    @property
    def decides(self) -> bool:
        """Whether it keeps a document from being admitted."""
        return self in (Severity.HOLD, Severity.REJECT)


class Verdict(StrEnum):
    """What the battery decides about one document."""

    ADMIT = "admit"
    QUARANTINE = "quarantine"
    REJECT = "reject"


_FINDING = re.compile(
    r"(?P<code>\S+) (?P<severity>note|warn|hold|reject)(?: at (?P<start>\d{1,12})-(?P<end>\d{1,12}))?: "
    r"(?P<reason>.*?)(?: \[(?P<standard>[^\[\]]+)\])?"
)


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

    @classmethod
    def parse(cls, line: str) -> "Finding":
        """The inverse of `str`, for lines that a ledger kept. Raises MalformedError for any other line.

        A reason that ends in brackets is read as naming a standard, so screens write none.
        """
        match = _FINDING.fullmatch(line)
        if match is None:
            raise MalformedError(f"this is no finding: {line[:80]!r}")
        start, end = int(match["start"] or 0), int(match["end"] or 0)
        severity = Severity(match["severity"])
        return cls(match["code"], severity, start, end, match["reason"], match["standard"] or "")


@runtime_checkable
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


_WORD = re.compile(r"[^\W\d_]+")


@lru_cache(maxsize=8)
def words_of(text: str) -> frozenset[str]:
    """The different words of a text, in lower case: asked first, so that costly patterns run where they can match.

    Screens look at one document after the other, so the last few texts are all that is remembered.
    """
    return frozenset(_WORD.findall(text.lower()))


def shown(text: str, most: int = 60) -> str:
    """A piece of a hostile text as one printable line, in quotes and without the brackets of a standard."""
    line = "".join(char if char.isprintable() else "\ufffd" for char in " ".join(text.split()))
    line = line.replace("[", "(").replace("]", ")")
    return f'"{line}"' if len(line) <= most else f'"{line[: most - 3]}..."'


def property_of(name: str, version: int) -> str:
    """What a signed review says of one screen."""
    return f"TRUSTRAG_SCREENED_{name.upper().replace('-', '_')}_V{version}"
