import pytest

from trustrag.ingest.document import Document
from trustrag.ingest.screening import Rule, RuleScreen, Severity


def document(text: str, media_type: str = "text/plain") -> Document:
    return Document("a", text.encode(), media_type, text)


RULES = [
    {"name": "units", "kind": "forbidden", "value": "mm  Hg", "severity": "warn", "reason": "pressures are in kPa"},
    {"name": "disclaimer", "kind": "required", "value": "no medical advice", "media": ["text/html"]},
    {"name": "dose", "kind": "range", "pattern": r"dose of ([\d.,]+) mg", "minimum": 1, "maximum": 1400, "severity": "reject"},
    {"name": "internal", "kind": "pattern", "pattern": r"\bINT-\d{4}\b", "standard": "CWE-200"},
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "media_type", "expected"),
    [
        ("120 MM\nHG", "text/plain", [("RULE_FORBIDDEN", Severity.WARN, 4, 9)]),
        ("Text.", "text/html", [("RULE_MISSING", Severity.HOLD, 0, 0)]),
        ("This is No Medical  Advice.", "text/html", []),
        ("a dose of 1,401 mg", "text/plain", [("RULE_RANGE", Severity.REJECT, 10, 15)]),
        ("a dose of 0.5 mg", "text/plain", [("RULE_RANGE", Severity.REJECT, 10, 13)]),
        ("a dose of 1.2.3 mg", "text/plain", [("RULE_RANGE", Severity.REJECT, 10, 15)]),
        ("a dose of 400 mg", "text/plain", []),
        ("see INT-0042", "text/plain", [("RULE_PATTERN", Severity.HOLD, 4, 12)]),
    ],
)
def test_rules_find(text: str, media_type: str, expected: list[object]) -> None:
    found = list(RuleScreen.parse(RULES).check(document(text, media_type)))
    assert [(one.code, one.severity, one.start, one.end) for one in found] == expected


def test_a_finding_says_which_rule_and_why() -> None:
    (finding,) = RuleScreen.parse(RULES).check(document("120 mm Hg"))
    assert finding.reason == 'units: pressures are in kPa: "mm Hg" was found'


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ({}, "has a name"),
        ({"name": "A b", "kind": "pattern", "pattern": "x"}, "has a name"),
        ({"name": "a"}, "kind is one of"),
        ({"name": "a", "kind": "magic", "value": "x"}, "kind is one of"),
        ({"name": "a", "kind": 3, "value": "x"}, "kind is text"),
        ({"name": "a", "kind": "required"}, "has a value"),
        ({"name": "a", "kind": "required", "value": "x", "pattern": "y"}, "no pattern"),
        ({"name": "a", "kind": "pattern", "value": "x"}, "has a pattern"),
        ({"name": "a", "kind": "pattern", "pattern": "("}, "no regular expression"),
        ({"name": "a", "kind": "pattern", "pattern": "(a+)+$"}, "run for ever"),
        ({"name": "a", "kind": "pattern", "pattern": "x" * 501}, "too long"),
        ({"name": "a", "kind": "pattern", "pattern": "x", "minimum": 1}, "and no other"),
        ({"name": "a", "kind": "range", "pattern": r"(\d+)"}, "a minimum or a maximum"),
        ({"name": "a", "kind": "range", "pattern": r"\d+", "minimum": 1}, "one group"),
        ({"name": "a", "kind": "range", "pattern": r"(\d+)", "minimum": "1"}, "minimum is a number"),
        ({"name": "a", "kind": "range", "pattern": r"(\d+)", "minimum": True}, "minimum is a number"),
        ({"name": "a", "kind": "pattern", "pattern": "x", "severity": "fatal"}, "severity is one of"),
        ({"name": "a", "kind": "pattern", "pattern": "x", "media": "text/html"}, "media is a list"),
        ({"name": "a", "kind": "pattern", "pattern": "x", "colour": "red"}, "unknown field colour"),
        ("text", "is a mapping"),
    ],
)
def test_a_wrong_rule_is_refused_and_named(rule: object, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        RuleScreen.parse([rule])  # type: ignore[list-item]


def test_rules_are_a_list_of_different_names() -> None:
    with pytest.raises(ValueError, match="are a list"):
        RuleScreen.parse({"name": "a"})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="two rules are named units"):
        RuleScreen.parse([RULES[0], RULES[0]])
    assert Rule.parse(RULES[0]).severity is Severity.WARN
