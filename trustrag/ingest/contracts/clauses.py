"""The clauses of a contract, held against one document: each breach names the clause, the value, and whom to call."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from trustrag.errors import MalformedError
from trustrag.ingest.contracts.spdx import is_allowed
from trustrag.ingest.document import Document
from trustrag.ingest.screening import Finding, LanguageScreen, Severity
from trustrag.ingest.screening.base import shown
from trustrag.ingest.screening.rules import RuleScreen

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Clauses:
    """What documents of one source have to be like; what is empty or None asks for nothing. Ages are in seconds.

    `rate` is how many documents may come in so many seconds. `freshness` is how old a document may be by the date in
    this field of its metadata; `maximum_age` is how long after it was signed it is served.
    """

    ids: tuple[str, ...] = ()
    media_types: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    licences: tuple[str, ...] = ()
    metadata: Mapping[str, Any] | None = None
    duplicates: bool = True
    bytes: int | None = None
    rate: tuple[int, int] | None = None
    freshness: tuple[str, int] | None = None
    maximum_age: int | None = None
    rules: RuleScreen | None = None
    contact: str = ""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What a clause has to know beyond the document: when its source signed it, and what came before it.

    `twin` is the id under which the source publishes the same bytes; `recent` is how many of its documents came in
    within the contract's span of time. Times are unix seconds.
    """

    signed_at: int
    now: int
    twin: str | None = None
    recent: int = 0


@dataclass(frozen=True, slots=True)
class ClauseScreen:
    """A contract as a screen, made anew for each document."""

    clauses: Clauses
    circumstances: Circumstances
    name: str = "contract"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Every breach. What can be told for certain rejects; what has to be judged holds."""
        for clause, severity, what in (
            *self._of_form(document),
            *self._of_licence(document),
            *self._of_metadata(document),
            *self._of_time(document),
            *self._of_company(),
        ):
            call = f"; call {self.clauses.contact}" if self.clauses.contact else ""
            yield Finding(_code(clause), severity, 0, 0, f"{clause}: {what}{call}")
        for finding in (
            LanguageScreen(self.clauses.languages).check(document) if self.clauses.languages else ()
        ):
            yield Finding("CONTRACT_LANGUAGES", finding.severity, 0, 0, f"languages: {finding.reason}")
        if self.clauses.rules is not None:
            yield from self.clauses.rules.check(document)

    def _of_form(self, document: Document) -> Iterator[tuple[str, Severity, str]]:
        clauses = self.clauses
        if clauses.ids and not document.doc_id.startswith(clauses.ids):
            yield (
                "ids",
                Severity.REJECT,
                f"{shown(document.doc_id)} begins with none of {_listed(clauses.ids)}",
            )
        if clauses.media_types and document.media_type not in clauses.media_types:
            what = f"{shown(document.media_type)} is none of {_listed(clauses.media_types)}"
            yield "mediaTypes", Severity.REJECT, what
        if clauses.bytes is not None and len(document.data) > clauses.bytes:
            yield (
                "limits.bytes",
                Severity.REJECT,
                f"{len(document.data):,} bytes; {clauses.bytes:,} is the most",
            )

    def _of_licence(self, document: Document) -> Iterator[tuple[str, Severity, str]]:
        allowed = self.clauses.licences
        if not allowed:
            return
        if document.licence is None:
            yield "licences", Severity.REJECT, f"none is declared; allowed: {_listed(allowed)}"
            return
        try:
            fits = is_allowed(document.licence, allowed)
        except MalformedError as error:
            yield "licences", Severity.REJECT, shown(str(error), 160)
            return
        if not fits:
            yield "licences", Severity.REJECT, f"{shown(document.licence)} is none of {_listed(allowed)}"

    def _of_metadata(self, document: Document) -> Iterator[tuple[str, Severity, str]]:
        if self.clauses.metadata is None:
            return
        from jsonschema import Draft202012Validator
        from referencing import Registry

        # An empty registry: nothing that a schema refers to is ever fetched.
        validator = Draft202012Validator(
            self.clauses.metadata, registry=Registry(), format_checker=Draft202012Validator.FORMAT_CHECKER
        )
        for error in validator.iter_errors(dict(document.metadata)):
            where = ".".join(("metadata", *map(str, error.absolute_path)))
            yield "metadata", Severity.REJECT, f"{where}: {shown(error.message, 120)}"

    def _of_time(self, document: Document) -> Iterator[tuple[str, Severity, str]]:
        now, age = self.circumstances.now, self.clauses.maximum_age
        if age is not None and now - self.circumstances.signed_at >= age:
            days = (now - self.circumstances.signed_at) // DAY
            yield "retention", Severity.REJECT, f"it was signed {days} days ago; {age // DAY} is the most"
        if self.clauses.freshness is None:
            return
        field, most = self.clauses.freshness
        dated = _dated(document.metadata.get(field))
        if dated is None:
            what = f"metadata.{field} is no date (2026-11-27): {shown(str(document.metadata.get(field)))}"
            yield "latency", Severity.REJECT, what
        elif dated > now + DAY:
            yield "latency", Severity.HOLD, f"metadata.{field} is in the future"
        elif now - dated > most:
            yield (
                "latency",
                Severity.HOLD,
                f"metadata.{field} is {(now - dated) // DAY} days old; {most // DAY} is the most",
            )

    def _of_company(self) -> Iterator[tuple[str, Severity, str]]:
        told = self.circumstances
        if not self.clauses.duplicates and told.twin is not None:
            yield "duplicates", Severity.REJECT, f"the same bytes are published as {shown(told.twin)}"
        if self.clauses.rate is not None and told.recent >= self.clauses.rate[0]:
            count, span = self.clauses.rate
            what = f"{told.recent} documents came in the last {_span(span)}; {count} is the most"
            yield "limits.documents", Severity.HOLD, what


def _code(clause: str) -> str:
    """The code of a breach: CONTRACT_MEDIA_TYPES for mediaTypes."""
    return "CONTRACT_" + re.sub(r"(?<=[a-z])([A-Z])|\.", r"_\1", clause).upper()


def _dated(value: object) -> int | None:
    """A date, or a date with a time, as unix seconds; None for anything else."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def _span(seconds: int) -> str:
    names = {3600: "hour", DAY: "day", 7 * DAY: "week"}
    return names.get(seconds, f"{seconds} seconds")


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values[:6]) + (f" and {len(values) - 6} more" if len(values) > 6 else "")
