"""Rules that a team writes down and nobody programs: what must, may not, or has to lie between two numbers.

rules:
  - {name: units, kind: forbidden, value: "mmHg", severity: warn, reason: "pressures are given in kPa"}
  - {name: disclaimer, kind: required, value: "This is not medical advice", media: ["text/html"]}
  - {name: dose, kind: range, pattern: 'dose of (\\d+) mg', minimum: 1, maximum: 400, severity: reject}
  - {name: internal, kind: pattern, pattern: '\\bACME-INT-\\d{4}\\b'}
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Literal, get_args

from trustrag.ingest.document import Document
from trustrag.ingest.screening.base import Finding, Severity, shown

Kind = Literal["pattern", "required", "forbidden", "range"]
_CODE = {
    "pattern": "RULE_PATTERN",
    "required": "RULE_MISSING",
    "forbidden": "RULE_FORBIDDEN",
    "range": "RULE_RANGE",
}
PATTERN_LIMIT = 500
_NESTED = re.compile(r"\((?:[^()\\]|\\.)*[+*](?:[^()\\]|\\.)*\)[+*{]")


@dataclass(frozen=True)
class Rule:
    """One rule. Raises ValueError, saying which rule and what is wrong with it.

    `kind`: *pattern* finds a regular expression, *forbidden* a phrase, *required* finds that a phrase is missing, and
    *range* that the number in the first group of `pattern` lies outside `minimum` and `maximum` (either may be left out).
    Phrases are compared without case and with any white space. `media` limits it to media types. What it finds has
    `severity`, and says `reason` where one is given.
    """

    name: str
    kind: Kind
    value: str = ""
    pattern: str = ""
    minimum: float | None = None
    maximum: float | None = None
    severity: Severity = Severity.HOLD
    reason: str = ""
    standard: str = ""
    media: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(
                f"rule {self.name}: kind is one of {', '.join(get_args(Kind))}, not {self.kind!r}"
            )
        if self.kind in ("required", "forbidden"):
            if not self.value.strip() or self.pattern:
                raise ValueError(f"rule {self.name}: a {self.kind} rule has a value, and no pattern")
        elif not self.pattern or self.value:
            raise ValueError(f"rule {self.name}: a {self.kind} rule has a pattern, and no value")
        if (self.kind == "range") != (self.minimum is not None or self.maximum is not None):
            raise ValueError(f"rule {self.name}: a range rule, and no other, has a minimum or a maximum")
        groups = self.expression.groups
        if self.kind == "range" and groups != 1:
            raise ValueError(
                f"rule {self.name}: the pattern of a range has one group, the number; it has {groups}"
            )

    @classmethod
    def parse(cls, given: Mapping[str, object]) -> "Rule":
        """A rule as a YAML or JSON file gives it. Raises ValueError for unknown or missing fields and wrong types."""
        if not isinstance(given, Mapping):
            raise ValueError(f"a rule is a mapping, not {type(given).__name__}")
        name = given.get("name")
        if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,63}", name):
            raise ValueError("a rule has a name in lower-case letters, digits and dashes")
        unknown = set(given) - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"rule {name}: unknown field {sorted(map(str, unknown))[0]}")
        told = dict(given)
        for key in ("value", "pattern", "reason", "standard", "kind"):
            if not isinstance(told.get(key, ""), str):
                raise ValueError(f"rule {name}: {key} is text")
        for key in ("minimum", "maximum"):
            number = told.get(key)
            if number is not None and (isinstance(number, bool) or not isinstance(number, int | float)):
                raise ValueError(f"rule {name}: {key} is a number")
        media = told.get("media", ())
        if (
            isinstance(media, str)
            or not isinstance(media, Sequence)
            or not all(isinstance(one, str) for one in media)
        ):
            raise ValueError(f"rule {name}: media is a list of media types")
        try:
            told["severity"] = Severity(str(told.get("severity", Severity.HOLD)))
        except ValueError:
            raise ValueError(f"rule {name}: severity is one of {', '.join(Severity)}") from None
        return cls(**{**told, "kind": told.get("kind", ""), "media": tuple(media)})  # type: ignore[arg-type]

    @cached_property
    def expression(self) -> re.Pattern[str]:
        """What is looked for, compiled."""
        if self.kind in ("required", "forbidden"):
            return re.compile(r"\s+".join(map(re.escape, self.value.split())), re.I)
        if len(self.pattern) > PATTERN_LIMIT or _NESTED.search(self.pattern):
            raise ValueError(
                f"rule {self.name}: the pattern is too long or repeats a repetition; it could run for ever"
            )
        try:
            return re.compile(self.pattern)
        except re.error as error:
            raise ValueError(f"rule {self.name}: the pattern is no regular expression: {error}") from error

    def findings(self, text: str) -> Iterator[Finding]:
        """What it finds in a text, by place."""
        if self.kind == "required":
            if self.expression.search(text) is None:
                yield self._finding(0, 0, f"{shown(self.value)} is missing")
            return
        for match in self.expression.finditer(text):
            if self.kind != "range":
                yield self._finding(match.start(), match.end(), f"{shown(match[0])} was found")
            elif (problem := self._out_of_range(match[1])) is not None:
                yield self._finding(match.start(1), match.end(1), problem)

    def _out_of_range(self, number: str) -> str | None:
        try:
            value = float(number.replace(",", ""))
        except ValueError:
            return f"{shown(number)} is no number"
        low = self.minimum is not None and value < self.minimum
        high = self.maximum is not None and value > self.maximum
        bounds = f"{'' if self.minimum is None else self.minimum} to {'' if self.maximum is None else self.maximum}"
        return f"{number} is not within {bounds.strip()}" if low or high else None

    def _finding(self, start: int, end: int, found: str) -> Finding:
        reason = f"{self.name}: {self.reason or found}" + (f": {found}" if self.reason else "")
        return Finding(_CODE[self.kind], self.severity, start, end, reason, self.standard)


@dataclass(frozen=True, slots=True)
class RuleScreen:
    """The domain rules of one contract, as a screen. Raises ValueError where two rules have one name."""

    rules: tuple[Rule, ...]
    name: str = "rules"
    version: int = 1

    def __post_init__(self) -> None:
        names = [rule.name for rule in self.rules]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two rules are named {twice[0]}")

    @classmethod
    def parse(cls, given: Sequence[Mapping[str, object]]) -> "RuleScreen":
        """The rules as a file lists them. Raises ValueError, naming the first that is wrong."""
        if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
            raise ValueError("rules are a list")
        return cls(tuple(Rule.parse(one) for one in given))

    def check(self, document: Document) -> Iterator[Finding]:
        """What each rule finds, with the severity that it asks for."""
        for rule in self.rules:
            if not rule.media or document.media_type in rule.media:
                yield from rule.findings(document.text)
