from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ingest.world import CONTEXT, DAY, NOW, document, key, names
from trustrag.ingest.attest import BATCH_DOCUMENTS, attest, read_attestations, write_attestations
from trustrag.ingest.document import Document, ReadProblem
from trustrag.provenance.canonical import Digest, encode_metadata
from trustrag.provenance.envelope import Envelope, verify
from trustrag.provenance.statement import (
    Context,
    Derivation,
    DocumentClaim,
    SourceStatement,
    parse_statement,
)

ACME = key("acme")


def claims(envelopes: list[Envelope]) -> list[DocumentClaim]:
    found: list[DocumentClaim] = []
    for envelope in envelopes:
        statement = parse_statement(verify(envelope, ACME.public_key))
        assert isinstance(statement, SourceStatement)
        assert statement.context == CONTEXT
        found += statement.documents
    return found


def test_every_document_is_named_with_its_digests() -> None:
    given = [document("a", "one", year=2024), replace(document("b", "two"), licence="MIT")]
    report, envelopes = attest(given, signer=ACME, context=CONTEXT, now=NOW, expires=NOW + DAY)
    assert names(report.attested) == ["a", "b"]
    first, second = claims(envelopes)
    assert (first.digest, first.version, first.previous) == (Digest.of(b"one"), 1, None)
    assert first.metadata == Digest.of(encode_metadata({"year": 2024}))
    assert second.licence == "MIT"
    statement = parse_statement(envelopes[0].payload)
    assert isinstance(statement, SourceStatement)
    assert (statement.issued_at, statement.expires) == (NOW, NOW + DAY)


def test_its_own_attestations_continue_the_count() -> None:
    _, first = attest([document("a", "one"), document("b", "two")], signer=ACME, context=CONTEXT, now=NOW)
    report, second = attest(
        [document("a", "one"), document("b", "new")], signer=ACME, context=CONTEXT, now=NOW, earlier=first
    )
    assert names(report.unchanged) == ["a"]
    (claim,) = claims(second)
    assert (claim.doc_id, claim.version, claim.previous) == ("b", 2, Digest.of(b"two"))
    report, third = attest(
        [document("b", "two"), document("a", "one")],
        signer=ACME,
        context=CONTEXT,
        now=NOW,
        earlier=[*second, *first],
    )
    assert [(claim.doc_id, claim.version) for claim in claims(third)] == [("b", 3)]
    report, fourth = attest(
        [document("a", "x")], signer=ACME, context=CONTEXT, now=NOW, earlier=first, version=7
    )
    assert [(claim.version, claim.previous) for claim in claims(fourth)] == [(7, None)]


def test_other_contexts_and_other_statements_do_not_count() -> None:
    elsewhere = Context("other", "main", "docs")
    _, first = attest([document("a", "one")], signer=ACME, context=elsewhere, now=NOW)
    report, _ = attest([document("a", "one")], signer=ACME, context=CONTEXT, now=NOW, earlier=first)
    assert [outcome.version for outcome in report.attested] == [1]


def test_an_expired_statement_is_signed_again() -> None:
    _, first = attest([document("a", "one")], signer=ACME, context=CONTEXT, now=NOW, expires=NOW + 10)
    report, second = attest([document("a", "one")], signer=ACME, context=CONTEXT, now=NOW + 10, earlier=first)
    assert [outcome.version for outcome in report.attested] == [2]
    assert claims(second)[0].previous == Digest.of(b"one")


def test_a_changed_licence_or_metadata_is_a_new_version() -> None:
    _, first = attest([document("a", "one")], signer=ACME, context=CONTEXT, now=NOW)
    for changed in (replace(document("a", "one"), licence="MIT"), document("a", "one", year=1)):
        report, _ = attest([changed], signer=ACME, context=CONTEXT, now=NOW, earlier=first)
        assert [outcome.version for outcome in report.attested] == [2]


def test_what_cannot_be_signed_is_refused_alone() -> None:
    media = Derivation(Digest.of(b"film"), "tool")
    given: list[Document | ReadProblem] = [
        document("two\nlines", "x"),
        document("", "x"),
        document("e\u0301", "x"),
        document("a" * 2000, "x"),
        document("nan", "x", value=float("nan")),
        replace(document("licence", "x"), licence="\n"),
        replace(document("media", "x"), derived_from=(media,) * 50),
        document("good", "x"),
        document("good", "y"),
        document("good", "x"),
        ReadProblem("z.pdf", "damaged"),
        ReadProblem("z.png", "no reader", skipped=True),
    ]
    report, envelopes = attest(given, signer=ACME, context=CONTEXT, now=NOW)
    assert [claim.doc_id for claim in claims(envelopes)] == ["good"]
    assert len(report.refused) == 9
    assert all(outcome.reason for outcome in report.refused)
    assert names(report.refused[7:]) == ["good", "z.pdf"]
    assert names(report.skipped) == ["z.png"]
    assert names(report.unchanged) == ["good"]


def test_versions_only_rise() -> None:
    _, first = attest([document("a", "one")], signer=ACME, context=CONTEXT, now=NOW, version=3)
    report, envelopes = attest(
        [document("a", "two")], signer=ACME, context=CONTEXT, now=NOW, earlier=first, version=3
    )
    assert envelopes == []
    assert "version 3 is signed already" in report.refused[0].reason
    with pytest.raises(ValueError, match="begin at 1"):
        attest([], signer=ACME, context=CONTEXT, now=NOW, version=0)


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 100), st.sampled_from(["a", "ä", '"', "\\", "日"]))
def test_a_batch_always_fits_a_log_entry(count: int, character: str) -> None:
    length = 1000 // len(character.encode())
    given = [document(f"{character * length}{number}", "x") for number in range(count)]
    report, envelopes = attest(given, signer=ACME, context=CONTEXT, now=NOW)
    assert len(report.attested) == count
    assert len(claims(envelopes)) == count


def test_short_names_fill_a_batch() -> None:
    _, envelopes = attest(
        [document(f"docs/{n}.md", "x") for n in range(BATCH_DOCUMENTS + 1)],
        signer=ACME,
        context=CONTEXT,
        now=NOW,
    )
    assert [len(claims([envelope])) for envelope in envelopes] == [BATCH_DOCUMENTS, 1]


def test_a_file_of_attestations_comes_back_line_by_line(tmp_path: Path) -> None:
    _, envelopes = attest(
        [document(f"d{n}", "x") for n in range(2 * BATCH_DOCUMENTS + 1)],
        signer=ACME,
        context=CONTEXT,
        now=NOW,
    )
    path = tmp_path / "docs.intoto.jsonl"
    write_attestations(path, envelopes)
    assert path.read_bytes().count(b"\n") == len(envelopes) == 3
    assert list(read_attestations(path)) == envelopes
    assert path.stat().st_mode & 0o777 == 0o644
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_bad_lines_are_problems_of_their_own(tmp_path: Path) -> None:
    _, (good,) = attest([document("a", "x")], signer=ACME, context=CONTEXT, now=NOW)
    path = tmp_path / "docs.intoto.jsonl"
    lines = [
        b"{}",
        b"not json",
        good.encode(),
        b"",
        b"\xff",
        b"x" * 300_000,
        good.encode()[:-1],
        good.encode(),
    ]
    path.write_bytes(b"\r\n".join(lines))
    found = list(read_attestations(path))
    assert [item for item in found if isinstance(item, Envelope)] == [good, good]
    problems = [item for item in found if isinstance(item, ReadProblem)]
    assert [item.path for item in problems] == [f"docs.intoto.jsonl:{n}" for n in (1, 2, 5, 6, 7)]
    assert all(item.reason.startswith("MALFORMED: ") for item in problems)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    _, envelopes = attest([document("a", "x")], signer=ACME, context=CONTEXT, now=NOW)
    path = tmp_path / "docs.intoto.jsonl"
    write_attestations(path, envelopes)

    def broken():  # type: ignore[no-untyped-def]
        yield envelopes[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_attestations(path, broken())
    assert list(read_attestations(path)) == envelopes
    assert [item.name for item in tmp_path.iterdir()] == [path.name]
