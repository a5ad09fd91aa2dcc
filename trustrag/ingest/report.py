"""What a run says when it is over: every document once, each with one line."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one document. `version` and `passages` are 0 where there are none."""

    doc_id: str
    reason: str
    version: int = 0
    passages: int = 0


@dataclass(frozen=True, slots=True)
class IngestReport:
    """The documents of one run. `snapshot` is the version sealed last, or None when nothing was written.

    `skipped` are files met in a folder that no reader takes; they are no failure. `notices` are screens that could not
    be had, each with what to install.
    """

    admitted: tuple[Outcome, ...] = ()
    unchanged: tuple[Outcome, ...] = ()
    quarantined: tuple[Outcome, ...] = ()
    refused: tuple[Outcome, ...] = ()
    skipped: tuple[Outcome, ...] = ()
    snapshot: int | None = None
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AttestReport:
    """What a source signed, and what it did not; `refused` and `skipped` as in an `IngestReport`."""

    attested: tuple[Outcome, ...] = ()
    unchanged: tuple[Outcome, ...] = ()
    refused: tuple[Outcome, ...] = ()
    skipped: tuple[Outcome, ...] = ()
