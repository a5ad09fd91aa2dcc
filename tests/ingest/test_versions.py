"""A new version against the one that stands: what changed in place, who still says otherwise, what is new."""

import sqlite3
from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ingest.world import document, key, names, new_ledger, pipeline, source, standing
from trustrag.consistency import changed_values
from trustrag.ingest.predecessor import standing_version
from trustrag.ingest.screening import Finding, Severity, Verdict, default_battery
from trustrag.ingest.screening.versions import Predecessor, VersionScreen, Witness, dissent
from trustrag.ledger import Ledger, Ruling
from trustrag.provenance.policy import Source

OLD = "Refunds are paid within 14 days. Write to the office in Oslo with your order number."
NEW = OLD.replace("14", "60")
ELSEWHERE = "At this shop refunds are paid within 14 days after the order came back."


def witness(text: str, owner: str = "wiki", position: int = 0) -> Witness:
    return Witness(owner, owner, text, position)


def found(new: str, *witnesses: Witness, old: str = OLD, position: int = 5) -> list[Finding]:
    screen = VersionScreen(Predecessor(1, old, position), lambda text: witnesses)
    return list(screen.check(document("page", new)))


def test_a_changed_value_is_told_where_it_stands() -> None:
    (finding,) = found(NEW)
    assert (finding.code, finding.severity) == ("CHANGED_VALUE", Severity.WARN)
    assert NEW[finding.start : finding.end] == "Refunds are paid within 60 days."
    assert finding.reason == '"14" became "60" in: "Refunds are paid within 60 days."'


def test_it_is_held_where_an_independent_source_states_the_old_value() -> None:
    (finding,) = found(NEW, witness(ELSEWHERE))
    assert finding.severity is Severity.HOLD
    assert finding.reason == '"14" became "60"; wiki still states the old value'
    (finding,) = found(NEW, *(witness(ELSEWHERE, name) for name in "abcde"))
    assert finding.reason == '"14" became "60"; a, b, c and 2 more still state the old value'


@pytest.mark.parametrize(
    "others",
    [
        [ELSEWHERE.replace("14", "60")],
        [ELSEWHERE, ELSEWHERE.replace("14", "60")],
        ["Refunds after 14 days, and refunds after 60 days, are both paid by the shop in this country."],
        ["The museum has 14 rooms and a garden."],
        ["14"],
        [],
    ],
    ids=["the new one", "as many say the new one", "both", "something else", "a bare number", "nobody"],
)
def test_it_is_not_held_where_nobody_contradicts_it(others: Sequence[str]) -> None:
    witnesses = [witness(text, f"w{place}") for place, text in enumerate(others)]
    assert [finding.severity for finding in found(NEW, *witnesses)] == [Severity.WARN]


def test_more_owners_with_the_old_value_outweigh_one_with_the_new() -> None:
    new, old = ELSEWHERE.replace("14", "60"), ELSEWHERE
    (finding,) = found(NEW, witness(new, "a"), witness(old, "b"), witness(old, "c"))
    assert finding.reason.endswith("b, c still state the old value")


def test_two_sources_of_one_owner_have_one_voice() -> None:
    new = [Witness("w1", "b", ELSEWHERE.replace("14", "60"), 0)]
    old = [Witness(name, "a", ELSEWHERE, 0) for name in ("a1", "a2")]
    (change,) = changed_values(OLD, NEW).values
    assert dissent(change, old) == ("a1", "a2")
    assert dissent(change, [*old, *new]) == ()


def test_a_name_is_known_by_its_last_part() -> None:
    old = "The tower was designed by John B. Larsen for the harbour."
    (finding,) = found(
        old.replace("John B. Larsen", "Edvard Munk"),
        witness("Larsen designed the harbour tower in his youth."),
        old=old,
    )
    assert finding.severity is Severity.HOLD


def test_a_later_copy_of_the_page_cannot_keep_it_from_being_updated() -> None:
    assert [finding.severity for finding in found(NEW, witness(OLD, position=6))] == [Severity.WARN]
    assert [finding.severity for finding in found(NEW, witness(OLD, position=4))] == [Severity.HOLD]


def test_a_plain_word_is_never_held() -> None:
    old = "The main industry of the north is mining. For two centuries mining has fed the towns."
    findings = found(old.replace("mining", "fishing"), witness(old), old=old)
    assert {(finding.code, finding.severity) for finding in findings} == {("CHANGED_VALUE", Severity.WARN)}


def test_what_is_only_new_is_noted_and_contradicts_nobody() -> None:
    more = "Since May refunds are paid within 3 days to members."
    (finding,) = found(f"{OLD} {more}", witness(ELSEWHERE))
    assert (finding.code, finding.severity) == ("NEW_CLAIM", Severity.NOTE)
    assert finding.reason == f'a sentence that version 1 has not: "{more}"'
    (finding,) = found(f"{OLD} {more} Members are listed below.")
    assert finding.reason.startswith('2 sentences that version 1 has not: "Since May')


def test_what_is_said_in_other_words_instead_is_worth_a_look() -> None:
    text = OLD.split(" Write")[0] + " Nobody may call the warehouse by telephone on holidays."
    (finding,) = found(text)
    assert (finding.code, finding.severity) == ("NEW_CLAIM", Severity.WARN)
    assert finding.reason.startswith("a sentence that version 1 has not, and 1 of its own is gone: ")


@pytest.mark.parametrize("new", [OLD, OLD.upper(), OLD.replace("refunds", "refnuds"), OLD.split(" Write")[0]])
def test_an_honest_edit_says_nothing(new: str) -> None:
    assert found(new, witness(ELSEWHERE)) == []


def test_nobody_is_asked_while_no_value_changed() -> None:
    def asked(text: str) -> Sequence[Witness]:
        raise AssertionError("asked for nothing")

    screen = VersionScreen(Predecessor(1, OLD, 0), asked)
    assert [finding.code for finding in screen.check(document("page", f"{OLD} And more."))] == ["NEW_CLAIM"]


def test_the_question_is_the_sentence_as_it_was() -> None:
    questions: list[str] = []

    def asked(text: str) -> Sequence[Witness]:
        questions.append(text)
        return ()

    list(VersionScreen(Predecessor(1, OLD, 0), asked).check(document("page", NEW)))
    assert questions == ["Refunds are paid within 14 days."]


def test_a_table_in_which_every_row_changed_is_compared_in_bounded_time_and_says_so() -> None:
    rows = [f"The {blake2b(bytes([n, 1])).hexdigest()[:40]} costs {{}} crowns." for n in range(256)]
    rows += [f"The {blake2b(bytes([n, 2])).hexdigest()[:40]} costs {{}} crowns." for n in range(50)]
    old, new = ("\n".join(row.format(price) for row in rows) for price in (100, 200))
    findings = found(new, old=old)
    assert findings[0].code == "REWRITTEN"
    assert findings[0].reason == "values changed in 306 sentences; others were asked about the first 256"
    huge = "\n".join(f"line {n} of the old text is about {n}" for n in range(6_000))
    findings = found(huge.replace("old", "new"), old=huge)
    assert any("not all of it was compared" in finding.reason for finding in findings)


def test_a_screen_that_cannot_ask_holds() -> None:
    def broken(text: str) -> Sequence[Witness]:
        raise OSError("no disk")

    screen = VersionScreen(Predecessor(1, OLD, 0), broken)
    review = default_battery().review(document("page", NEW), screen)
    assert review.verdict is Verdict.QUARANTINE
    assert review.reason == "SCREEN_FAILED: the screen versions failed (OSError)"


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
def test_any_texts_give_findings_of_one_line(old: str, new: str, other: str) -> None:
    for finding in found(new, witness(other), old=old):
        assert finding.reason.isprintable()
        assert 0 <= finding.start <= finding.end <= len(new)


# ---- at the door


def near(*texts: str):  # type: ignore[no-untyped-def]
    def neighbours(text: str, of: Source) -> list[Witness]:
        assert of.name == source("acme").name
        return [witness(each) for each in texts]

    return neighbours


def test_at_the_door_a_change_is_admitted_and_told_or_waits(tmp_path: Path) -> None:
    with new_ledger(tmp_path / "kb") as ledger:
        pipe = pipeline(ledger, neighbours=near())
        pipe.ingest([document("a", OLD)], source=key("acme"))
        report = pipe.ingest([document("a", NEW)], source=key("acme"))
        (outcome,) = report.admitted
        assert outcome.reason.startswith('version 2, 1 passage; CHANGED_VALUE: "14" became "60"')
        report = pipeline(ledger, neighbours=near(ELSEWHERE.replace("14", "60"))).ingest(
            [document("a", OLD)], source=key("acme")
        )
        (outcome,) = report.quarantined
        assert outcome.reason == 'CHANGED_VALUE: "60" became "14"; wiki still states the old value'
        assert [row.standing for row in ledger.versions("a")] == ["superseded", "active", "quarantined"]
        assert "CHANGED_VALUE hold" in ledger.versions("a")[2].findings[0]
        assert [passage.text for passage in standing(ledger)] == [NEW]


def test_a_document_that_was_taken_out_has_no_predecessor(tmp_path: Path) -> None:
    with new_ledger(tmp_path / "kb") as ledger:
        pipe = pipeline(ledger, neighbours=near(ELSEWHERE))
        pipe.ingest([document("a", OLD)], source=key("acme"))
        ledger.rule([Ruling("withdraw", "tidy", doc_id="a")], pipe.sealer, pipe.clock())
        assert names(pipe.ingest([document("a", NEW)], source=key("acme")).admitted) == ["a"]


def test_a_long_text_is_put_together_again(tmp_path: Path) -> None:
    text = "\n\n".join(f"Paragraph {n} says {'that much, ' * 30}and ends in {n + 1900}." for n in range(12))
    with new_ledger(tmp_path / "kb") as ledger:
        pipe = pipeline(ledger)
        pipe.ingest([document("a", text)], source=key("acme"))
        made = standing_version(ledger, "a")
        assert made is not None
        assert (made.version, made.complete) == (1, True)
        assert made.text.split() == text.split()
        report = pipe.ingest([document("a", text.replace("1907", "1847"))], source=key("acme"))
        assert '"1907" became "1847"' in report.admitted[0].reason


def test_a_predecessor_edited_in_the_database_is_compared_by_a_person(tmp_path: Path) -> None:
    with new_ledger(tmp_path / "kb") as ledger:
        pipeline(ledger).ingest([document("a", OLD)], source=key("acme"))
    with sqlite3.connect(tmp_path / "kb" / "ledger.db") as db:
        db.execute("UPDATE chunk SET text = ?", (NEW,))
    db.close()
    with Ledger.open(tmp_path / "kb", write=True) as ledger:
        report = pipeline(ledger).ingest([document("a", NEW)], source=key("acme"))
        assert report.quarantined[0].reason.startswith("NOT_COMPARED: what stands of version 1 is not all as")
