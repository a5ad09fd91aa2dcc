"""Contracts: what is wrong in a file is named by line and clause; what is right holds documents to it."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trustrag.errors import MalformedError
from trustrag.ingest.contracts.clauses import DAY, Circumstances, Clauses, ClauseScreen
from trustrag.ingest.contracts.odcs import MAX_BYTES, TEMPLATE, Contract, read_contract
from trustrag.ingest.contracts.spdx import is_allowed, licence_problem
from trustrag.ingest.contracts.strict_yaml import YamlFile
from trustrag.ingest.document import Document
from trustrag.ingest.screening import Severity, names

NOW = 1_795_000_000  # 2026-11-18
PAGE = Path(__file__).parents[3] / "docs" / "contracts.md"
EXAMPLE = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
KNOWN = (*names(), "contract", "versions")


def problems(text: str) -> list[str]:
    contract, found = read_contract(text.encode(), KNOWN)
    assert (contract is None) == bool(found)
    return [str(one) for one in found]


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


# ---- the file


def test_the_example_of_the_page_is_a_contract() -> None:
    contract = Contract.parse(EXAMPLE.encode())
    assert (contract.source, contract.version, contract.contact) == ("wiki", "1.2.0", "wiki-team@example.org")
    assert (contract.reviewers, contract.probation, contract.advisory) == (2, 5, ("language",))
    clauses = contract.clauses
    assert clauses.freshness == ("date", 30 * DAY)
    assert clauses.maximum_age == 2 * 365 * DAY
    assert (clauses.bytes, clauses.rate) == (200_000, (50, DAY))
    assert clauses.rules is not None
    assert [rule.name for rule in clauses.rules.rules] == ["no-drafts", "refund-days"]


def test_the_page_explains_every_clause() -> None:
    table = PAGE.read_text(encoding="utf-8").partition("## Clauses")[2]
    for clause in ("ids", "mediaTypes", "languages", "licences", "metadata", "duplicates", "limits.bytes",
                   "limits.documents", "screens.warn", "review.reviewers", "review.probation", "rules"):  # fmt: skip
        assert f"`{clause}`" in table


def test_the_template_is_a_contract_also_with_every_comment_taken_away() -> None:
    text = TEMPLATE.format(source="wiki", slug="wiki", reviewers=2)
    assert problems(text) == []
    full = re.sub(
        r"^( *)# (- \{|ids:|languages:|licences:|metadata:|screens:|probation:|rules:|  - \{)",
        r"\1\2",
        text,
        flags=re.M,
    )
    assert problems(full) == []
    contract = Contract.parse(full.encode())
    assert contract.probation == 10
    assert contract.clauses.languages == ("en",)
    assert contract.clauses.freshness is not None


@pytest.mark.parametrize(
    ("old", "new", "at", "says"),
    [
        ("kind: DataContract", "kind: Contract", "kind:", "kind: 'Contract' is not one of"),
        ("version: 1.2.0", "version: 2", "version:", "version: 2 is not of type 'string'"),
        ("status: active", "stauts: active", "stauts:", "stauts: is no clause"),
        ("unit: d,", "unit: moon,", "- {property: latency", "unit is hour, day, week or year, not 'moon'"),
        ("value: 30,", "value: 0,", "- {property: latency", "a whole number of days, at least 1"),
        ("element: metadata.date", "element: date", "- {property: latency", "metadata.NAME"),
        ("source: wiki", "sauce: wiki", "source", "'source' is a required property"),
        ('ids: ["wiki/"]', 'ids: ["/wiki"]', "ids:", "ids[0]: ids are prefixes"),
        ("mediaTypes:", "mediaType:", "mediaTypes", "mediaType: is no clause"),
        ("mediaTypes: [text/markdown, text/html]", "mediaTypes: text/html", "mediaTypes", "is not of type 'array'"),
        ("languages: [en, de]", "languages: [english]", "languages", "languages[0]: 'english' does not match"),
        ("CC-BY-SA-4.0]", "CC-BY-SO-4.0]", "licences", "licences[1]: 'CC-BY-SO-4.0' is no SPDX expression"),
        ("type: object\n", "type: thing\n", "type: object", "metadata.type: is no JSON Schema"),
        ("duplicates: false", "duplicates: 3", "duplicates", "duplicates: 3 is not of type 'boolean'"),
        (", per: day", "", "limits", "limits: 'per' is a dependency of 'documents'"),
        ("bytes: 200000", "bytes: -1", "limits", "limits.bytes: -1 is less than the minimum"),
        ("warn: [language]", "warn: [languages]", "screens", "there is no screen 'languages'"),
        ("reviewers: 2", "reviewers: two", "review:", "review.reviewers: 'two' is not of type 'integer'"),
        ("probation: 5", "probation: -5", "review:", "review.probation: -5 is less than the minimum"),
        ("kind: forbidden", "kind: forbiden", "rules", "rule no-drafts: kind is one of"),
        ("(\\d+) days", "\\d+ days", "rules", "the pattern of a range has one group"),
        ("property: trustrag", "property: trustrug", "apiVersion", "needs one property named trustrag"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(old: str, new: str, at: str, says: str) -> None:
    assert old in EXAMPLE
    found = next(one for one in problems(EXAMPLE.replace(old, new, 1)) if says in one)
    line = (
        line_of(EXAMPLE, at) if at not in ("apiVersion", "stauts:", "source") else int(found.split()[1][:-1])
    )
    assert abs(int(found.split()[1][:-1]) - line) <= 1, found


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "a mapping is due"),
        ("- a", "a mapping is due"),
        ("a: 1\na: 2", "line 2: 'a' stands here twice"),
        ("a: &x [1]\nb: *x", "line 2: aliases"),
        ("a: [1", "line 1: expected"),
        ("1: a", "a key is text"),
        ("a: !!binary aGk=", "this is no value that JSON has"),
        ("a: !!python/object:os.system {}", "is not read here"),
        ("a: " + "[" * 40 + "]" * 40, "nested too deep"),
        ("a: " + "[" * 20_000, "nested too deep"),
        ("a: " + "x" * MAX_BYTES, "is the most"),
    ],
)
def test_what_is_no_file_of_ours(text: str, says: str) -> None:
    (found,) = problems(text)
    assert says in found


def test_a_file_that_is_no_text() -> None:
    assert "not UTF-8" in str(read_contract(b"a: 1\nb: \xff")[1][0])


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        Contract.parse(data)
    except MalformedError:
        return


@settings(max_examples=40)
@given(st.integers(0, len(EXAMPLE) - 1), st.characters(codec="utf-8"))
def test_a_bent_example_is_read_or_named(at: int, char: str) -> None:
    contract, found = read_contract((EXAMPLE[:at] + char + EXAMPLE[at + 1 :]).encode(), KNOWN)
    assert (contract is None) == bool(found)


def test_dates_stay_text() -> None:
    assert YamlFile.parse(b"a: 2026-11-27", 100).value == {"a": "2026-11-27"}


# ---- licences


@pytest.mark.parametrize(
    ("declared", "allowed", "fits"),
    [
        ("MIT", ["MIT"], True),
        ("mit", ["MIT"], True),
        ("MIT OR GPL-3.0-only", ["MIT"], True),
        ("MIT AND GPL-3.0-only", ["MIT"], False),
        ("MIT AND Apache-2.0", ["MIT", "Apache-2.0"], True),
        ("(MIT OR GPL-3.0-only) AND Apache-2.0", ["MIT", "Apache-2.0"], True),
        ("MIT AND GPL-3.0-only", ["GPL-3.0-only AND MIT"], True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only"], False),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only WITH Classpath-exception-2.0"], True),
        ("CC-BY-NC-4.0", ["CC-BY-4.0"], False),
    ],
)
def test_what_an_expression_leaves(declared: str, allowed: list[str], fits: bool) -> None:
    assert is_allowed(declared, allowed) is fits


@pytest.mark.parametrize("text", ["", "  ", "MIT OR", "Free as in beer", "MIT(", "AND"])
def test_what_is_no_expression(text: str) -> None:
    assert licence_problem(text)


# ---- the clauses


FULL = Clauses(
    ids=("wiki/",),
    media_types=("text/plain",),
    languages=("en",),
    licences=("MIT",),
    metadata={"type": "object", "required": ["date"], "properties": {"date": {"type": "string"}}},
    duplicates=False,
    bytes=1000,
    rate=(3, DAY),
    freshness=("date", 30 * DAY),
    maximum_age=365 * DAY,
    contact="wiki-team@example.org",
)
TEXT = "Refunds are paid within thirty days. " * 8
GOOD = Document("wiki/a", TEXT.encode(), "text/plain", TEXT, "A", {"date": "2026-11-01"}, "MIT")
TOLD = Circumstances(NOW - DAY, NOW)


def breaches(
    document: Document = GOOD, told: Circumstances = TOLD, clauses: Clauses = FULL
) -> dict[str, Severity]:
    findings = list(ClauseScreen(clauses, told).check(document))
    return {finding.code: finding.severity for finding in findings}


def test_a_document_that_keeps_to_it_meets_nothing() -> None:
    assert breaches() == {}
    assert breaches(replace(GOOD, doc_id="anything", licence=None, metadata={}), TOLD, Clauses()) == {}


GERMAN = "Rückzahlungen werden innerhalb von dreißig Tagen geleistet, und zwar ohne jede weitere Frage. " * 4


@pytest.mark.parametrize(
    ("changes", "code", "severity", "says"),
    [
        ({"doc_id": "blog/a"}, "CONTRACT_IDS", Severity.REJECT, '"blog/a" begins with none of wiki/'),
        ({"media_type": "text/html"}, "CONTRACT_MEDIA_TYPES", Severity.REJECT, "is none of text/plain"),
        ({"data": b"x" * 1001}, "CONTRACT_LIMITS_BYTES", Severity.REJECT, "1,001 bytes; 1,000 is the most"),
        ({"licence": None}, "CONTRACT_LICENCES", Severity.REJECT, "none is declared; allowed: MIT"),
        ({"licence": "GPL-3.0-only"}, "CONTRACT_LICENCES", Severity.REJECT, '"GPL-3.0-only" is none of MIT'),
        ({"licence": "Beerware!"}, "CONTRACT_LICENCES", Severity.REJECT, "is no SPDX expression"),
        ({"metadata": {"date": "2026-09-01"}}, "CONTRACT_LATENCY", Severity.HOLD, "days old; 30 is the most"),
        ({"metadata": {"date": "2027-01-01"}}, "CONTRACT_LATENCY", Severity.HOLD, "in the future"),
        ({"metadata": {"date": "yesterday"}}, "CONTRACT_LATENCY", Severity.REJECT, "is no date"),
        ({"text": GERMAN}, "CONTRACT_LANGUAGES", Severity.HOLD, "it reads as de; allowed: en"),
    ],
)
def test_a_breach_names_clause_and_value(
    changes: dict[str, Any], code: str, severity: Severity, says: str
) -> None:
    bent = replace(GOOD, **changes)
    assert breaches(bent) == {code: severity}
    (finding,) = ClauseScreen(FULL, TOLD).check(bent)
    assert says in finding.reason
    assert code == "CONTRACT_LANGUAGES" or finding.reason.endswith("; call wiki-team@example.org")


def test_metadata_keeps_to_its_schema() -> None:
    assert breaches(replace(GOOD, metadata={"date": 7})) == {
        "CONTRACT_METADATA": Severity.REJECT,
        "CONTRACT_LATENCY": Severity.REJECT,
    }


def test_nothing_that_a_schema_refers_to_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    import urllib.request

    monkeypatch.setattr(urllib.request, "urlopen", lambda *_: pytest.fail("it was fetched"))
    clauses = replace(FULL, metadata={"$ref": "https://example.org/schema.json"})
    with pytest.raises(Exception, match=r"example\.org"):  # which the battery turns into a hold
        list(ClauseScreen(clauses, TOLD).check(GOOD))


@pytest.mark.parametrize(
    ("told", "code"),
    [
        (replace(TOLD, signed_at=NOW - 365 * DAY), "CONTRACT_RETENTION"),
        (replace(TOLD, twin="wiki/b"), "CONTRACT_DUPLICATES"),
        (replace(TOLD, recent=3), "CONTRACT_LIMITS_DOCUMENTS"),
    ],
)
def test_what_depends_on_what_came_before(told: Circumstances, code: str) -> None:
    assert list(breaches(told=told)) == [code]
    assert breaches(told=replace(TOLD, recent=2, signed_at=NOW - 365 * DAY + 1)) == {}
