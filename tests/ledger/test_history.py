"""Rulings on a source, and withdrawn names, go by what was signed and not by rows."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger.world import NOW, SEALER, Draft, admit, new_ledger, publisher
from trustrag.errors import LedgerError, NotFoundError
from trustrag.ledger import Ledger, Ruling, check


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with new_ledger(tmp_path / "kb") as made:
        yield made


def edit(folder: Path, *statements: str) -> None:
    db = sqlite3.connect(folder / "ledger.db")
    with db:
        for statement in statements:
            db.execute(statement)
    db.close()


def standing(ledger: Ledger) -> set[str]:
    return {row.doc_id for row in ledger.documents() if row.standing == "active"}


def test_restoring_a_source_leaves_what_was_decided_otherwise(ledger: Ledger) -> None:
    for number, doc_id in enumerate("abcdef"):
        admit(ledger, Draft(doc_id, 1, (f"{doc_id} {number}",)))
    ledger.rule([Ruling("quarantine", "odd", doc_id="b")], SEALER, NOW)
    ledger.rule([Ruling("quarantine", "x", source="acme")], SEALER, NOW, publisher=publisher)
    ledger.rule([Ruling("withdraw", "false", doc_id="c")], SEALER, NOW)
    admit(ledger, Draft("d", 2, ("d, new",)))
    ledger.rule([Ruling("withdraw", "false, too", doc_id="d")], SEALER, NOW)
    ledger.rule([Ruling("restore", "looked at", doc_id="e")], SEALER, NOW)
    ledger.rule([Ruling("quarantine", "looked at again", doc_id="e")], SEALER, NOW)
    ledger.rule([Ruling("withdraw", "y", source="acme")], SEALER, NOW, publisher=publisher)
    ledger.rule([Ruling("restore", "z", source="acme")], SEALER, NOW, publisher=publisher)
    assert standing(ledger) == {"a", "f"}
    assert list(check(ledger)) == []


def test_a_ruling_on_a_source_asks_whose_key_signed(ledger: Ledger) -> None:
    admit(ledger, Draft("a", 1, ("one",)))
    with pytest.raises(ValueError, match="publisher"):
        ledger.rule([Ruling("withdraw", "x", source="acme")], SEALER, NOW)
    with pytest.raises(NotFoundError, match="source acme has nothing to withdraw"):
        ledger.rule([Ruling("withdraw", "x", source="acme")], SEALER, NOW, publisher=lambda _: None)


_OF_GONE = "(SELECT log_index - 1 FROM snapshot WHERE action = 'withdraw')"


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("DELETE FROM ruling", "gone was withdrawn in snapshot"),
        ("UPDATE snapshot SET action = 'publish', reason = NULL", "gone was withdrawn in snapshot"),
        ("DELETE FROM snapshot WHERE action = 'withdraw'", "is not the one that was signed"),
        ("UPDATE snapshot SET log_index = 2 WHERE action = 'withdraw'", "is not the one that was signed"),
        (
            f"UPDATE entry SET envelope = (SELECT envelope FROM entry WHERE idx = 1) WHERE idx = {_OF_GONE}",
            "is not the one that was signed",
        ),
    ],
)
def test_a_withdrawn_name_does_not_come_back_as_if_it_were_new(
    tmp_path: Path, statement: str, said: str
) -> None:
    folder = tmp_path / "kb"
    with new_ledger(folder) as ledger:
        admit(ledger, Draft("gone", 1, ("withdrawn",)), Draft("b", 1, ("stays",)))
        ledger.rule([Ruling("withdraw", "wrong", doc_id="gone")], SEALER, NOW)
        admit(ledger, Draft("later", 1, ("comes after",)))
    edit(
        folder,
        "DELETE FROM version WHERE doc_id = 'gone'",
        "DELETE FROM standing WHERE doc_id = 'gone'",
        statement,
    )
    with Ledger.open(folder, write=True) as ledger:
        with pytest.raises(LedgerError, match=said):
            admit(ledger, Draft("gone", 1, ("withdrawn",)))
        admit(ledger, Draft("b", 9, ("known",)))  # a name that rows know is not asked about
