import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.ingest.world import (
    CONTEXT,
    DAY,
    NOW,
    POLICY,
    SEALER,
    SIGNERS,
    CountingEmbedder,
    document,
    key,
    names,
    new_ledger,
    pipeline,
    standing,
)
from trustrag.errors import (
    AuthorityError,
    BackendError,
    ConfigError,
    ConflictError,
    Refusal,
    UnsignedDocumentError,
)
from trustrag.index.embedding import HashEmbedder
from trustrag.ingest.attest import BATCH_DOCUMENTS, attest, read_attestations, write_attestations
from trustrag.ingest.chunking import Chunker
from trustrag.ingest.document import Document, ReadProblem
from trustrag.ingest.pipeline import IngestReport, Outcome, Pipeline, Signers
from trustrag.ingest.reading.readers import read
from trustrag.ingest.screening import Battery, LanguageScreen
from trustrag.ledger import Ledger, Ruling, Sealer
from trustrag.provenance.canonical import Digest
from trustrag.provenance.envelope import Envelope, sign
from trustrag.provenance.statement import (
    Context,
    EmbedderId,
    IngestStatement,
    SnapshotStatement,
    parse_statement,
)

ACME, WIKI = key("acme"), key("wiki")
HIDDEN = "Refunds take 14 days.\U000e0069\U000e0067"


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with new_ledger(tmp_path / "kb") as opened:
        yield opened


def signed(*documents: Document, by: str = "acme", **settings: object) -> list[Envelope]:
    _, envelopes = attest(documents, signer=key(by), context=CONTEXT, now=NOW, **settings)  # type: ignore[arg-type]
    return envelopes


def refusal(report: IngestReport) -> str:
    ((outcome),) = report.refused
    assert report.admitted == report.quarantined == report.unchanged == ()
    assert report.snapshot is None
    assert "\n" not in outcome.reason
    return outcome.reason


def test_signed_documents_come_out_proved(ledger: Ledger) -> None:
    report = pipeline(ledger).ingest(
        [document("a", "Alpha. " * 300, year=2024), document("b", "Beta.")], source=ACME
    )
    assert names(report.admitted) == ["a", "b"]
    assert report.admitted[0] == Outcome("a", "version 1, 4 passages", 1, 4)
    passages = standing(ledger)
    assert {(passage.doc_id, passage.source, passage.version) for passage in passages} == {
        ("a", "acme", 1),
        ("b", "acme", 1),
    }
    text = "Alpha. " * 300
    for passage in passages:
        if passage.doc_id == "a":
            assert text[passage.start : passage.end] == passage.text
            assert passage.metadata == {"year": 2024}
        expected = HashEmbedder(dimension=64).embed([passage.text])[0]
        assert np.frombuffer(passage.vector, dtype="<f4").tolist() == expected.tolist()


def test_a_real_folder_goes_in_and_its_bad_files_cost_themselves_alone(
    ledger: Ledger, tmp_path: Path
) -> None:
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "a.md").write_text("# Alpha\n\nText about alpha.\n")
    (folder / "sub" / "b.csv").write_text("name,days\nx,3\n")
    (folder / "bad.txt").write_bytes(b"\xff")
    (folder / "hidden.txt").write_text(HIDDEN)
    (folder / "image.png").write_bytes(b"\x89PNG")
    (folder / "two\nlines.txt").write_text("x")
    report = pipeline(ledger).ingest(read([folder]), source=ACME)
    assert names(report.admitted) == ["a.md", "sub/b.csv#1"]
    assert names(report.quarantined) == ["hidden.txt"]
    assert sorted(names(report.refused)) == ["bad.txt", "two\nlines.txt"]
    assert names(report.skipped) == ["image.png"]
    assert {passage.doc_id for passage in standing(ledger)} == {"a.md", "sub/b.csv#1"}
    again = pipeline(ledger).ingest(read([folder]), source=ACME)
    assert sorted(names(again.unchanged)) == ["a.md", "hidden.txt", "sub/b.csv#1"]
    assert again.snapshot is None


def test_neither_signer_nor_attestation_writes_nothing(ledger: Ledger) -> None:
    def untouched() -> Iterator[Document]:
        raise AssertionError("a document was read")
        yield document("a", "x")

    before = ledger.snapshot()
    with pytest.raises(UnsignedDocumentError, match="name a source"):
        pipeline(ledger).ingest(untouched())
    assert ledger.snapshot() == before


def test_the_same_twice_changes_nothing_and_embeds_nothing(ledger: Ledger) -> None:
    given = [document(f"d{number}", f"Text number {number}. " * 60) for number in range(40)]
    first = pipeline(ledger).ingest(given, source=ACME)
    assert len(first.admitted) == 40
    before, embedder = ledger.snapshot(), CountingEmbedder()
    again = pipeline(ledger, embedder=embedder).ingest(given, source=ACME)
    assert len(again.unchanged) == 40
    assert again.unchanged[0].reason == "version 1 stands"
    assert (again.snapshot, embedder.texts) == (None, 0)
    assert ledger.snapshot() == before


def test_a_changed_document_supersedes_the_old_one(ledger: Ledger) -> None:
    pipeline(ledger).ingest([document("a", "Old."), document("b", "Same.")], source=ACME)
    report = pipeline(ledger).ingest([document("a", "New."), document("b", "Same.")], source=ACME)
    assert [(outcome.doc_id, outcome.version) for outcome in report.admitted] == [("a", 2)]
    assert sorted(passage.text for passage in standing(ledger)) == ["New.", "Same."]
    claim = ledger.versions("a")
    assert [(row.version, row.standing) for row in claim] == [(1, "superseded"), (2, "active")]


@pytest.mark.parametrize(
    "changed", [document("a", "Text.", year=2), replace(document("a", "Text."), whole=True, by_program=True)]
)
def test_changed_metadata_are_a_new_version_and_the_same_cut_is_not(
    ledger: Ledger, changed: Document
) -> None:
    pipeline(ledger).ingest([document("a", "Text.")], source=ACME)
    report = pipeline(ledger).ingest([changed], source=ACME)
    assert len(report.admitted) == (1 if changed.metadata else 0)


def test_another_chunker_is_a_new_version(ledger: Ledger) -> None:
    given = [document("a", "Some sentence here. " * 100)]
    pipeline(ledger).ingest(given, source=ACME)
    for chunker in (Chunker(300, 50), Chunker(690, 100), Chunker(690, 90)):
        report = pipeline(ledger, chunker=chunker).ingest(given, source=ACME)
        assert names(report.admitted) == ["a"]
        assert names(pipeline(ledger, chunker=chunker).ingest(given, source=ACME).unchanged) == ["a"]


def test_what_has_expired_is_signed_again(ledger: Ledger) -> None:
    given = [document("a", "Text.")]
    pipeline(ledger).ingest(given, source=ACME, expires=NOW + 100)
    assert names(pipeline(ledger, now=NOW + 50).ingest(given, source=ACME).unchanged) == ["a"]
    report = pipeline(ledger, now=NOW + 100).ingest(given, source=ACME, expires=NOW + DAY)
    assert [outcome.version for outcome in report.admitted] == [2]


def test_a_damaged_row_is_not_papered_over(ledger: Ledger) -> None:
    given = [document("a", "Some sentence here. " * 100)]
    pipeline(ledger).ingest(given, source=ACME)
    with sqlite3.connect(ledger.folder / "ledger.db") as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute("DELETE FROM chunk WHERE id = 0")
    assert names(pipeline(ledger).ingest(given, source=ACME).unchanged) == ["a"]


def test_batches_share_their_statements(ledger: Ledger) -> None:
    count = 2 * BATCH_DOCUMENTS + 6
    report = pipeline(ledger).ingest([document(f"d{n}", "x") for n in range(count)], source=ACME)
    assert len(report.admitted) == count
    with ledger.view() as view:
        passages = view.passages(view.changes(0).added)
    ingests = {passage.evidence.ingest.envelope for passage in passages}  # type: ignore[union-attr]
    assert len(ingests) == 3
    assert report.snapshot == 4


def test_a_large_document_has_its_own_batch(ledger: Ledger) -> None:
    large = document("large", "".join(f"{n} words of text. " for n in range(60_000)))
    report = pipeline(ledger).ingest([document("a", "x"), large, document("b", "y")], source=ACME)
    assert names(report.admitted) == ["a", "large", "b"]
    assert report.admitted[1].passages > 1024
    assert report.snapshot == 4


def test_long_names_make_small_batches(ledger: Ledger) -> None:
    report = pipeline(ledger).ingest([document("ä" * 500 + str(n), "x") for n in range(40)], source=ACME)
    assert len(report.admitted) == 40
    assert len(standing(ledger)) == 40


def test_progress_counts_every_document_once(ledger: Ledger) -> None:
    calls: list[tuple[int, int | None, str]] = []
    given: list[Document | ReadProblem] = [
        document("a", "x"),
        ReadProblem("b", "damaged"),
        document("c", "x"),
    ]
    pipeline(ledger).ingest(given, source=ACME, progress=lambda *call: calls.append(call))
    assert [done for done, _, _ in calls] == [1, 2, 3]
    assert {total for _, total, _ in calls} == {3}
    assert sorted(name for _, _, name in calls) == ["a", "b", "c"]
    pipeline(ledger).ingest(iter(given), source=ACME, progress=lambda *call: calls.append(call))
    assert calls[-1][1] is None


def test_an_interrupted_run_keeps_its_batches_and_resumes(ledger: Ledger) -> None:
    given = [document(f"d{number:03}", f"Text {number}.") for number in range(100)]
    with pytest.raises(KeyboardInterrupt):
        pipeline(ledger, embedder=CountingEmbedder(interrupt_at=90)).ingest(given, source=ACME)
    # What stands are the whole batches before the one that was interrupted.
    whole = 90 // BATCH_DOCUMENTS * BATCH_DOCUMENTS
    assert len(standing(ledger)) == whole
    embedder = CountingEmbedder()
    report = pipeline(ledger, embedder=embedder).ingest(given, source=ACME)
    assert (len(report.unchanged), len(report.admitted), embedder.texts) == (whole, 100 - whole, 100 - whole)
    assert len(standing(ledger)) == 100


# -- by attestation


def test_attested_documents_go_in_without_the_sources_key(ledger: Ledger, tmp_path: Path) -> None:
    given = [document("a", "One."), document("b", "Two.")]
    write_attestations(tmp_path / "docs.intoto.jsonl", signed(*given))
    lines = list(read_attestations(tmp_path / "docs.intoto.jsonl"))
    report = pipeline(ledger).ingest(given, attestations=lines)
    assert names(report.admitted) == ["a", "b"]
    assert {passage.source for passage in standing(ledger)} == {"acme"}
    again = pipeline(ledger).ingest(given, attestations=lines)
    assert names(again.unchanged) == ["a", "b"]
    assert again.snapshot is None


def test_a_bad_line_of_attestations_is_refused_and_the_others_count(ledger: Ledger, tmp_path: Path) -> None:
    given = [document("a", "One."), document("b", "Two.")]
    path = tmp_path / "docs.intoto.jsonl"
    path.write_bytes(b"{}\n" + b"".join(envelope.encode() + b"\n" for envelope in signed(given[0])))
    report = pipeline(ledger).ingest(given, attestations=read_attestations(path))
    assert names(report.admitted) == ["a"]
    assert names(report.refused) == ["docs.intoto.jsonl:1", "b"]
    path.write_bytes(b"{}\n")
    report = pipeline(ledger).ingest(given[1:], attestations=read_attestations(path))
    assert names(report.refused) == ["docs.intoto.jsonl:1", "b"]


def test_a_new_attested_version_supersedes_and_the_old_one_cannot_come_back(ledger: Ledger) -> None:
    old, new = document("a", "Old."), document("a", "New.")
    first = signed(old)
    second = signed(new, earlier=first)
    pipeline(ledger).ingest([old], attestations=first)
    assert names(pipeline(ledger).ingest([new], attestations=[*first, *second]).admitted) == ["a"]
    reason = refusal(pipeline(ledger).ingest([old], attestations=[*first, *second]))
    assert reason.startswith("ROLLBACK: version 1 is signed, and the ledger has seen version 2")
    assert [passage.text for passage in standing(ledger)] == ["New."]


def test_a_source_may_sign_the_same_bytes_again(ledger: Ledger) -> None:
    given = document("a", "Text.")
    pipeline(ledger).ingest([given], attestations=signed(given, expires=NOW + 100))
    renewed = signed(given, version=2, expires=NOW + DAY)
    report = pipeline(ledger, now=NOW + 100).ingest([given], attestations=renewed)
    assert [outcome.version for outcome in report.admitted] == [2]
    assert len(standing(ledger, now=NOW + 200)) == 1


def test_a_version_that_follows_other_bytes_is_a_fork(ledger: Ledger) -> None:
    pipeline(ledger).ingest([document("a", "Ours.")], attestations=signed(document("a", "Ours.")))
    other = signed(document("a", "Theirs."))
    new = document("a", "New.")
    reason = refusal(pipeline(ledger).ingest([new], attestations=signed(new, earlier=other)))
    assert reason.startswith("FORK: ")


def test_a_gap_in_the_versions_is_allowed(ledger: Ledger) -> None:
    first = signed(document("a", "One."))
    second = signed(document("a", "Two."), earlier=first)
    third = signed(document("a", "Three."), earlier=second)
    pipeline(ledger).ingest([document("a", "One.")], attestations=first)
    report = pipeline(ledger).ingest([document("a", "Three.")], attestations=third)
    assert [outcome.version for outcome in report.admitted] == [3]


def bent(envelope: Envelope) -> Envelope:
    return replace(envelope, signature=bytes([envelope.signature[0] ^ 1]) + envelope.signature[1:])


def elsewhere() -> list[Envelope]:
    context = Context("other.org", "main", "docs")
    return attest([document("a", "Text.")], signer=ACME, context=context, now=NOW)[1]


def as_another_kind() -> list[Envelope]:
    root = Digest.of(b"")
    statement = SnapshotStatement(CONTEXT, root, 1, None, 0, "publish", None, NOW, NOW + 1)
    return [sign(statement.encode(), ACME)]


@pytest.mark.parametrize(
    ("envelopes", "says"),
    [
        (lambda: signed(document("other", "x")), "unsigned: no attestation names it"),
        (lambda: signed(document("a", "Other.")), "TAMPERED_TEXT: "),
        (lambda: signed(document("a", "Text.", year=1)), "TAMPERED_METADATA: "),
        (lambda: [bent(envelope) for envelope in signed(document("a", "Text."))], "BAD_SIGNATURE: "),
        (lambda: signed(document("a", "Text."), by="stranger"), "UNKNOWN_KEY: "),
        (lambda: signed(document("a", "Text."), by="ingest"), "UNKNOWN_KEY: "),
        (lambda: signed(document("a", "Text."), by="lost"), "REVOKED_KEY: "),
        (lambda: signed(document("a", "Text."), by="asleep"), "REVOKED_KEY: "),
        (
            lambda: signed(document("a", "Text."), by="narrow"),
            "OUT_OF_SCOPE: a is out of scope for source narrow",
        ),
        (lambda: signed(document("a", "Text."), expires=NOW + 1), "EXPIRED: "),
        (elsewhere, "WRONG_CONTEXT: "),
    ],
)
def test_a_document_that_is_not_rightly_signed_is_refused(
    ledger: Ledger, envelopes: Callable[[], list[Envelope]], says: str
) -> None:
    report = pipeline(ledger, now=NOW + 1).ingest([document("a", "Text.")], attestations=envelopes())
    assert refusal(report).startswith(says)
    assert standing(ledger, now=NOW + 1) == []


def test_the_good_ones_of_the_same_run_go_in(ledger: Ledger) -> None:
    good, bad = document("good", "x"), document("bad", "x")
    envelopes = [
        *signed(good),
        *[bent(envelope) for envelope in signed(bad)],
        *as_another_kind(),
        sign(b"{}", ACME),
    ]
    report = pipeline(ledger).ingest([bad, good, ReadProblem("c.pdf", "damaged")], attestations=envelopes)
    assert names(report.admitted) == ["good"]
    reasons = {outcome.doc_id.split()[0]: outcome.reason for outcome in report.refused}
    assert reasons["bad"].startswith("BAD_SIGNATURE")
    assert reasons["c.pdf"] == "damaged"
    assert reasons["attestation"].startswith("MALFORMED")


def test_a_bad_attestation_beside_a_good_one_does_no_harm(ledger: Ledger) -> None:
    given = document("a", "Text.")
    envelopes = [bent(signed(given)[0]), *signed(given), *signed(given, by="stranger")]
    assert names(pipeline(ledger).ingest([given], attestations=envelopes).admitted) == ["a"]


def test_a_signer_takes_what_no_attestation_names(ledger: Ledger) -> None:
    theirs, ours = document("theirs", "x"), document("ours", "y")
    report = pipeline(ledger).ingest([theirs, ours], source=ACME, attestations=signed(theirs, by="wiki"))
    assert names(report.admitted) == ["theirs", "ours"]
    assert {(passage.doc_id, passage.source) for passage in standing(ledger)} == {
        ("theirs", "wiki"),
        ("ours", "acme"),
    }


def test_what_others_claim_of_a_document_does_not_hide_its_own_source(ledger: Ledger) -> None:
    old, new = document("a", "Old."), document("a", "New.")
    first = signed(old)
    pipeline(ledger).ingest([old], attestations=first)
    loud = [*signed(new, by="narrow", version=999), *signed(new, by="wiki", version=999)]
    report = pipeline(ledger).ingest([new], attestations=[*loud, *signed(new, earlier=first)])
    assert [outcome.version for outcome in report.admitted] == [2]
    assert {passage.source for passage in standing(ledger)} == {"acme"}


# -- who may say what


@pytest.mark.parametrize("name", ["stranger", "ingest", "lost", "asleep"])
def test_a_signer_that_may_not_speak_is_a_mistake_of_the_call(ledger: Ledger, name: str) -> None:
    before = ledger.snapshot()
    with pytest.raises(AuthorityError) as caught:
        pipeline(ledger).ingest([document("a", "x")], source=key(name))
    assert caught.value.refusal in (Refusal.UNKNOWN_KEY, Refusal.REVOKED_KEY)
    assert ledger.snapshot() == before


def test_a_signer_is_held_to_its_scope(ledger: Ledger) -> None:
    report = pipeline(ledger).ingest(
        [document("narrow/a", "x"), document("wide/a", "x")], source=key("narrow")
    )
    assert names(report.admitted) == ["narrow/a"]
    assert report.refused[0].reason == (
        "OUT_OF_SCOPE: wide/a is out of scope for source narrow, which publishes under narrow/ (--prefix narrow/)"
    )


@pytest.mark.parametrize("attested", [True, False])
def test_a_name_belongs_to_who_published_it(ledger: Ledger, attested: bool) -> None:
    pipeline(ledger).ingest([document("a", "By acme.")], source=ACME)
    new = document("a", "By wiki.")
    if attested:
        report = pipeline(ledger).ingest([new], attestations=signed(new, by="wiki", version=5))
    else:
        report = pipeline(ledger).ingest([new], source=WIKI)
    assert refusal(report) == "OUT_OF_SCOPE: a is published by acme; wiki may not replace it"
    ledger.rule([Ruling("withdraw", "handed over", doc_id="a")], SEALER, NOW)
    assert names(pipeline(ledger).ingest([new], source=WIKI).admitted) == ["a"]


def test_what_was_taken_out_does_not_come_back_by_itself(ledger: Ledger) -> None:
    pipeline(ledger).ingest([document("a", "Text.")], source=ACME)
    ledger.rule([Ruling("withdraw", "wrong", doc_id="a")], SEALER, NOW)
    reason = refusal(pipeline(ledger).ingest([document("a", "Text.")], source=ACME))
    assert reason == "NOT_IN_SNAPSHOT: version 1 with these bytes is withdrawn; restore that one"
    by_attestation = signed(document("a", "Text."), version=9)
    reason = refusal(pipeline(ledger).ingest([document("a", "Text.")], attestations=by_attestation))
    assert reason.startswith("NOT_IN_SNAPSHOT: ")
    assert names(pipeline(ledger).ingest([document("a", "Better text.")], source=ACME).admitted) == ["a"]


def test_a_program_that_adds_what_it_deleted_means_it(ledger: Ledger) -> None:
    given = replace(document("a", "Text."), whole=True, by_program=True)
    pipeline(ledger).ingest([given], source=ACME)
    ledger.rule([Ruling("withdraw", "deleted", doc_id="a")], SEALER, NOW)
    report = pipeline(ledger).ingest([given], source=ACME)
    assert [outcome.version for outcome in report.admitted] == [2]


def test_one_id_twice_in_a_run(ledger: Ledger) -> None:
    report = pipeline(ledger).ingest(
        [document("a", "x"), document("a", "x"), document("a", "y")], source=ACME
    )
    assert (names(report.admitted), names(report.unchanged), names(report.refused)) == (["a"], ["a"], ["a"])
    assert "prefix" in report.refused[0].reason


def test_a_program_may_overwrite_within_a_run(ledger: Ledger) -> None:
    given = [replace(document("b", text), whole=True, by_program=True) for text in ("one", "two", "two")]
    report = pipeline(ledger).ingest(given, source=ACME)
    assert [outcome.version for outcome in report.admitted] == [1, 2]
    assert names(report.unchanged) == ["b"]
    assert [passage.text for passage in standing(ledger)] == ["two"]


def test_a_whole_document_is_one_passage_and_comes_back_as_given(ledger: Ledger) -> None:
    text = "  " + "A long text without an end. " * 200 + "\n"
    report = pipeline(ledger).ingest(
        [replace(document("a", text), whole=True, by_program=True), document("b", "cut. " * 500)], source=ACME
    )
    assert len(report.admitted) == 2
    (whole,) = [passage for passage in standing(ledger) if passage.doc_id == "a"]
    assert (whole.text, whole.start, whole.end, whole.count) == (text, 0, len(text), 1)
    with ledger.view() as view:
        evidence = [passage.evidence for passage in view.passages(view.changes(0).added)]  # type: ignore[union-attr]
    statements = [parse_statement(item.ingest.envelope.payload) for item in evidence]
    assert {item.chunker.name for item in statements if isinstance(item, IngestStatement)} == {
        "whole",
        "recursive",
    }


@pytest.mark.parametrize(
    "bad",
    [
        document("two\nlines", "x"),
        document("", "x"),
        document("a\ud800", "x"),
        document("a", "x", value=float("inf")),
        document("a", " \n"),
        replace(document("a", " \n"), whole=True, by_program=True),
        Document("a", b"x", "text/plain", "half \ud800"),
        replace(document("a", "x"), licence=""),
        replace(document("a", "x"), media_type="\n"),
    ],
)
def test_what_cannot_be_signed_is_refused_alone(ledger: Ledger, bad: Document) -> None:
    report = pipeline(ledger).ingest([bad, document("good", "x")], source=ACME)
    assert names(report.admitted) == ["good"]
    (outcome,) = report.refused
    assert outcome.reason
    assert "\n" not in outcome.reason


# -- quarantine


def test_a_quarantined_document_is_kept_and_shown_to_nobody(ledger: Ledger) -> None:
    pipeline(ledger).ingest([document("a", "Honest.")], source=ACME)
    report = pipeline(ledger).ingest([document("a", HIDDEN), document("b", "Fine.")], source=ACME)
    assert names(report.quarantined) == ["a"]
    assert report.quarantined[0].reason.startswith(
        "TAG_CHARACTERS: 2 invisible tag characters that spell 'ig'"
    )
    assert sorted(passage.text for passage in standing(ledger)) == ["Fine.", "Honest."]
    row = ledger.version_of("a")
    assert row is not None
    assert (row.standing, row.version) == ("quarantined", 2)
    assert row.findings[0].startswith("TAG_CHARACTERS hold at 21-23")
    assert names(pipeline(ledger).ingest([document("a", HIDDEN)], source=ACME).unchanged) == ["a"]


def test_what_a_person_put_into_quarantine_stays_there(ledger: Ledger) -> None:
    given = [document("a", "Some sentence here. " * 100)]
    pipeline(ledger).ingest(given, source=ACME)
    ledger.rule([Ruling("quarantine", "doubtful", doc_id="a")], SEALER, NOW)
    for chunker in (Chunker(), Chunker(300, 50)):
        report = pipeline(ledger, chunker=chunker).ingest(given, source=ACME)
        assert report.unchanged == (Outcome("a", "is quarantined", 1, 4),)
    assert standing(ledger) == []


def test_a_policy_that_asks_for_people_keeps_all_waiting(ledger: Ledger) -> None:
    policy = replace(POLICY, version=2, review=replace(POLICY.review, threshold=1))
    report = pipeline(ledger, policy).ingest([document("a", "Fine.")], source=ACME)
    assert report.quarantined == (Outcome("a", "waits for 1 more signed review", 1, 1),)


def test_another_battery_decides_otherwise(ledger: Ledger) -> None:
    text = (
        "Der Schreiber hält die Temperatur alle fünf Minuten fest, und jemand liest sie zweimal am Tag. " * 4
    )
    battery = Battery((LanguageScreen(allowed=("en",)),))
    report = pipeline(ledger, battery=battery).ingest(
        [document("a", text), document("b", HIDDEN)], source=ACME
    )
    assert (names(report.quarantined), names(report.admitted)) == (["a"], ["b"])


def test_a_warning_is_told_and_admits(ledger: Ledger) -> None:
    report = pipeline(ledger).ingest([document("a", "docu\u200bment")], source=ACME)
    assert (
        report.admitted[0].reason == "version 1, 1 passage; ZERO_WIDTH: U+200B ZERO WIDTH SPACE inside a word"
    )


# -- what has to fit together


def test_importing_the_way_in_loads_no_heavy_library() -> None:
    heavy = (
        "langchain_text_splitters",
        "py3langid",
        "trafilatura",
        "lxml",
        "pypdf",
        "docx",
        "torch",
        "faiss",
    )
    code = f"import sys, trustrag.ingest.pipeline, trustrag.ingest.reading.readers; print({{*{heavy}}} & {{*sys.modules}})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_signers_that_the_policy_does_not_name_are_refused_at_once(ledger: Ledger) -> None:
    stranger, embedder = key("stranger"), CountingEmbedder()
    wrong = [
        (Signers(stranger, SIGNERS.screen), SEALER),
        (Signers(SIGNERS.ingest, stranger), SEALER),
        (SIGNERS, Sealer(SEALER.origin, stranger, SEALER.log, DAY)),
        (SIGNERS, Sealer(SEALER.origin, SEALER.seal, stranger, DAY)),
    ]
    for signers, sealer in wrong:
        with pytest.raises(ConfigError, match="does not name key"):
            Pipeline(ledger, POLICY, embedder, signers, sealer)


def test_another_embedder_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ConflictError):
        pipeline(ledger, embedder=HashEmbedder(dimension=32))


@pytest.mark.parametrize("bad", [np.full((1, 64), np.nan), np.zeros((1, 63)), np.zeros((2, 64))])
def test_an_embedder_that_fails_writes_nothing(ledger: Ledger, bad: np.ndarray) -> None:
    class Broken(CountingEmbedder):
        def embed(self, texts):  # type: ignore[no-untyped-def]
            return bad.astype(np.float32)

    before = ledger.snapshot()
    with pytest.raises(BackendError):
        pipeline(ledger, embedder=Broken()).ingest([document("a", "x")], source=ACME)
    assert ledger.snapshot() == before


def test_a_ledger_that_sealed_nothing_yet_takes_its_first_documents(tmp_path: Path) -> None:
    made = HashEmbedder(dimension=64).id
    embedder = EmbedderId(made.name, made.dimension, Digest(made.digest))
    with Ledger.create(tmp_path / "kb", CONTEXT, embedder) as ledger:
        assert pipeline(ledger).ingest([document("a", "x")], source=ACME).snapshot == 1
        assert len(standing(ledger)) == 1


def test_the_clock_is_asked_for_each_batch(ledger: Ledger) -> None:
    times = iter([NOW, NOW + 10, NOW + 20, NOW + 30])
    pipe = Pipeline(ledger, POLICY, CountingEmbedder(), SIGNERS, SEALER, clock=lambda: next(times))
    pipe.ingest([document(f"d{n}", "x") for n in range(BATCH_DOCUMENTS + 8)], source=ACME)
    assert ledger.snapshot().issued_at == NOW + 20
