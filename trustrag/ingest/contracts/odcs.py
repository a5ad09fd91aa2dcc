"""What is agreed with a source about its documents: a file in the Open Data Contract Standard, read and checked.

The standard (bitol-io.github.io/open-data-contract-standard) says who is called, what the data are for and how old they
may be. What it has no words for stands under one custom property, `trustrag`. docs/contracts.md goes through every clause.

A contract decides nothing by lying in a folder: its digest, and how many reviewers it asks for, stand in the signed
policy, and a file with another digest is refused.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from trustrag.errors import MalformedError
from trustrag.ingest.contracts.clauses import Clauses
from trustrag.ingest.contracts.spdx import licence_problem
from trustrag.ingest.contracts.strict_yaml import Place, YamlFile
from trustrag.ingest.screening.rules import RuleScreen
from trustrag.provenance.canonical import Digest

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

MAX_BYTES: Final = 256 << 10
PROPERTY: Final = "trustrag"
SECONDS: Final = {"hour": 3600, "day": 86_400, "week": 7 * 86_400, "year": 365 * 86_400}
_UNITS: Final = {"h": "hour", "d": "day", "w": "week", "y": "year", "yr": "year"}

_TEXTS: Final = {"type": "array", "minItems": 1, "items": {"type": "string", "minLength": 1}}
_COUNT: Final = {"type": "integer", "minimum": 1}
_OURS: Final[dict[str, Any]] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {
        "source": {"type": "string", "minLength": 1},
        "ids": _TEXTS,
        "mediaTypes": _TEXTS,
        "languages": {"type": "array", "minItems": 1, "items": {"type": "string", "pattern": "^[a-z]{2}$"}},
        "licences": _TEXTS,
        "metadata": {"type": "object"},
        "duplicates": {"type": "boolean"},
        "limits": {
            "type": "object",
            "properties": {
                "bytes": _COUNT,
                "documents": _COUNT,
                "per": {"enum": ["hour", "day", "week"]},
            },
            "dependentRequired": {"documents": ["per"], "per": ["documents"]},
            "additionalProperties": False,
        },
        "screens": {
            "type": "object",
            "properties": {"warn": _TEXTS},
            "additionalProperties": False,
        },
        "review": {
            "type": "object",
            "properties": {
                "reviewers": {"type": "integer", "minimum": 0},
                "probation": {"type": "integer", "minimum": 0},
            },
            "additionalProperties": False,
        },
        "rules": {"type": "array", "items": {"type": "object"}},
    },
    "required": ["source"],
    "additionalProperties": False,
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a contract: its line, the clause, and what to do."""

    line: int
    clause: str
    what: str

    def __str__(self) -> str:
        return (
            f"line {self.line}: {self.clause}: {self.what}"
            if self.clause
            else f"line {self.line}: {self.what}"
        )


@dataclass(frozen=True, slots=True)
class Contract:
    """A contract that was checked. `clauses` are what documents are held to; `digest` is of the file's bytes.

    `reviewers` have to approve what is held. A source on probation waits until so many of its documents were approved
    (None: as many as the policy says). `advisory` names the screens that tell and decide nothing.
    """

    source: str
    name: str
    version: str
    contact: str
    clauses: Clauses
    advisory: tuple[str, ...]
    reviewers: int
    probation: int | None
    digest: Digest

    @classmethod
    def parse(cls, data: bytes) -> "Contract":
        """Raises MalformedError with every problem, one after the other, where there is one."""
        contract, problems = read_contract(data)
        if contract is None:
            raise MalformedError("; ".join(map(str, problems)))
        return contract


def read_contract(data: bytes, screens: Sequence[str] = ()) -> tuple[Contract | None, tuple[Problem, ...]]:
    """The contract in a file, or all that is wrong with it. `screens` are the names that exist, if that is known."""
    try:
        file = YamlFile.parse(data, MAX_BYTES)
    except MalformedError as error:
        line, _, what = str(error).partition(": ")
        return None, (Problem(int(line), "", what),)
    problems = tuple(dict.fromkeys(_problems(file, screens)))
    return (None if problems else _contract(file, Digest.of(data))), problems


def _problems(file: YamlFile, screens: Sequence[str]) -> Iterator[Problem]:
    found = list(_against(_standard(), file.value, (), file))
    at = _place_of(file.value)
    if at is None and not found:
        found.append(
            Problem(1, "customProperties", f"needs one property named {PROPERTY}: trustrag contract init")
        )
    if at is not None:
        ours = _value_at(file.value, at)
        wrong = list(_against(_own(), ours, at, file))
        found += wrong or _meanings(ours, at, file, screens)
    if not found:
        found += _durations(file)
    yield from found


def _against(validator: "Validator", value: Any, at: Place, file: YamlFile) -> Iterator[Problem]:
    """What a JSON Schema objects to, each where it stands."""
    for error in sorted(validator.iter_errors(value), key=lambda error: list(map(str, error.absolute_path))):
        place = (*at, *error.absolute_path)
        if error.validator in ("additionalProperties", "unevaluatedProperties") and isinstance(
            error.instance, dict
        ):
            known = error.schema.get("properties", {})
            for name in error.instance:
                if name not in known:
                    yield Problem(
                        file.line((*place, name)), _clause((*place, name)), "is no clause of a contract"
                    )
            continue
        yield Problem(file.line(place), _clause(place), error.message[:200])


def _meanings(ours: Mapping[str, Any], at: Place, file: YamlFile, screens: Sequence[str]) -> list[Problem]:
    """What no schema of ours can say."""
    from jsonschema import Draft202012Validator, SchemaError

    found: list[Problem] = []

    def wrong(what: str, *place: str | int) -> None:
        found.append(Problem(file.line((*at, *place)), _clause((*at, *place)), what))

    for index, licence in enumerate(ours.get("licences", ())):
        problem = licence_problem(licence)
        if problem:
            wrong(problem, "licences", index)
    for index, prefix in enumerate(ours.get("ids", ())):
        if prefix.startswith("/"):
            wrong("ids are prefixes of document ids, which begin with no slash", "ids", index)
    for index, name in enumerate(ours.get("screens", {}).get("warn", ())):
        if screens and name not in screens:
            wrong(f"there is no screen {name!r}; there are: {', '.join(screens)}", "screens", "warn", index)
    try:
        Draft202012Validator.check_schema(ours.get("metadata", {}))
    except SchemaError as error:
        wrong(f"is no JSON Schema: {error.message[:200]}", "metadata", *error.absolute_path)
    try:
        RuleScreen.parse(ours.get("rules", []))
    except ValueError as error:
        wrong(str(error), "rules")
    return found


def _durations(file: YamlFile) -> Iterator[Problem]:
    for index, item in enumerate(file.value.get("slaProperties") or ()):
        if item.get("property") not in ("latency", "retention"):
            continue
        place: Place = ("slaProperties", index)
        try:
            _seconds(item)
        except ValueError as error:
            yield Problem(file.line((*place, "value")), _clause(place), str(error))
        if item["property"] == "latency" and not str(item.get("element") or "").startswith("metadata."):
            what = "element names the metadata field with a document's own date: metadata.NAME"
            yield Problem(file.line((*place, "element")), _clause(place), what)


def _seconds(item: Mapping[str, Any]) -> int:
    value, unit = item.get("value"), str(item.get("unit") or "d").lower()
    name = _UNITS.get(unit, unit.removesuffix("s"))
    if name not in SECONDS:
        raise ValueError(f"unit is hour, day, week or year, not {unit!r}")
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"value is a whole number of {name}s, at least 1")
    return value * SECONDS[name]


def _contract(file: YamlFile, digest: Digest) -> Contract:
    from open_data_contract_standard.model import OpenDataContractStandard

    said = OpenDataContractStandard.model_validate(file.value)
    place = _place_of(file.value)
    assert place is not None
    ours = _value_at(file.value, place)
    sla = {item["property"]: item for item in file.value.get("slaProperties") or () if item.get("property")}
    limits, review = ours.get("limits", {}), ours.get("review", {})
    channels = [one.channel or one.url for one in said.support or ()]
    clauses = Clauses(
        ids=tuple(ours.get("ids", ())),
        media_types=tuple(ours.get("mediaTypes", ())),
        languages=tuple(ours.get("languages", ())),
        licences=tuple(ours.get("licences", ())),
        metadata=ours.get("metadata"),
        duplicates=ours.get("duplicates", True),
        bytes=limits.get("bytes"),
        rate=(limits["documents"], SECONDS[limits["per"]]) if "documents" in limits else None,
        freshness=(
            (sla["latency"]["element"].removeprefix("metadata."), _seconds(sla["latency"]))
            if "latency" in sla
            else None
        ),
        maximum_age=_seconds(sla["retention"]) if "retention" in sla else None,
        rules=RuleScreen.parse(ours.get("rules", [])) if ours.get("rules") else None,
        contact=next((name for name in channels if name), ""),
    )
    return Contract(
        source=ours["source"],
        name=said.name or said.id or "",
        version=said.version or "",
        contact=clauses.contact,
        clauses=clauses,
        advisory=tuple(ours.get("screens", {}).get("warn", ())),
        reviewers=review.get("reviewers", 0),
        probation=review.get("probation"),
        digest=digest,
    )


def _place_of(value: Any) -> Place | None:
    """Where our custom property's value stands; None where there is not just one."""
    items = value.get("customProperties") if isinstance(value, dict) else None
    places = [
        ("customProperties", index, "value")
        for index, item in enumerate(items if isinstance(items, list) else ())
        if isinstance(item, dict) and item.get("property") == PROPERTY
    ]
    return places[0] if len(places) == 1 else None


def _value_at(value: Any, place: Place) -> Any:
    for step in place:
        value = value.get(step) if isinstance(value, dict) else value[step]
    return value


def _clause(place: Place) -> str:
    """A place as people write it; what stands under our own property without the way there."""
    if place[:1] == ("customProperties",) and place[2:3] == ("value",):
        place = place[3:]
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return text.removeprefix(".")


@cache
def _standard() -> "Validator":
    import json
    from importlib.resources import files

    from jsonschema import Draft201909Validator
    from referencing import Registry

    schema = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_bytes())
    # An empty registry: nothing that a schema refers to is ever fetched.
    return Draft201909Validator(schema, registry=Registry())


@cache
def _own() -> "Validator":
    from jsonschema import Draft202012Validator
    from referencing import Registry

    return Draft202012Validator(_OURS, registry=Registry())


TEMPLATE: Final = """\
# What is agreed with {source} about its documents, in the Open Data Contract Standard.
# Check it with `trustrag contract check FILE`; it counts once it is signed: `trustrag contract sign FILE`.
# A clause that is left out asks for nothing. docs/contracts.md explains every one.
apiVersion: v3.1.0
kind: DataContract
id: urn:trustrag:contract:{slug}
name: {slug}
version: 1.0.0
status: active
description:
  purpose: What these documents are for.

# Whom to call when a document is refused or held.
support:
  - channel: {slug}@example.org
    url: mailto:{slug}@example.org

slaProperties:
  # Freshness: how old a document may be when it comes in, by its own date in the metadata.
  # - {{property: latency, value: 30, unit: d, element: metadata.date}}
  # Maximum age: so long after it was signed a document is served, and no longer.
  - {{property: retention, value: 2, unit: y}}

customProperties:
  - property: trustrag
    value:
      source: {source}
      # Document ids begin with one of these.
      # ids: ["{slug}/"]
      mediaTypes: [text/markdown, text/html, text/plain, application/pdf]
      # ISO 639-1, as the text reads; what reads otherwise waits for a person.
      # languages: [en]
      # SPDX expressions that a source may declare.
      # licences: [CC-BY-4.0, CC-BY-SA-4.0, Apache-2.0]
      # JSON Schema of a document's metadata.
      # metadata: {{type: object, required: [date], properties: {{date: {{type: string, format: date}}}}}}
      # The same bytes under a second id of this source.
      duplicates: false
      limits:
        bytes: 4000000    # of one document
        documents: 1000   # more of them in one day wait for a person
        per: day
      # Screens that tell and do not decide; all others decide.
      # screens: {{warn: [language]}}
      review:
        reviewers: {reviewers}    # how many people have to approve what is held; 0: the operator alone
        # While the source is on probation, everything waits until so many of its documents were approved.
        # probation: 10
      # What a team knows about its own texts: docs/contracts.md.
      # rules:
      #   - {{name: no-drafts, kind: forbidden, value: "internal draft", severity: reject}}
"""
