"""The stored standing tree against the one of the definition, and what a change costs."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger.test_machine import EMPTY_LEAF, whole_root
from trustrag.errors import LedgerError
from trustrag.ledger import standing as module
from trustrag.ledger.connection import connect
from trustrag.ledger.schema import migrate
from trustrag.ledger.sqlite import Session
from trustrag.ledger.standing import EMPTY_TREE, StandingChange, StandingTree
from trustrag.provenance import merkle
from trustrag.provenance.canonical import Digest
from trustrag.provenance.standing import (
    BUCKETS,
    StandingEntry,
    bucket_of,
    bucket_root,
    standing_root,
)


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    db = connect(tmp_path / "ledger.db", write=True)
    migrate(db)
    session = Session(db)
    yield session
    session.close()


def entry(doc_id: str, version: int = 1) -> StandingEntry:
    digest = Digest.of(f"{doc_id} {version}".encode())
    return StandingEntry(doc_id, version, digest, digest, 1, digest, 2, ((digest, 3),), digest, 1, None)


def put(session: Session, signed: Digest, snapshot: int, entries: dict[str, StandingEntry | None]) -> Digest:
    """Lets these stand from this snapshot on; None: no longer."""
    with session.writing():
        change = StandingChange(session, entries.keys(), signed)
        for doc_id, item in entries.items():
            session.end_standing([hash(doc_id) % 2**40], snapshot)
            if item is None:
                change.remove(doc_id)
            else:
                session.add_standing(hash(doc_id) % 2**40, bucket_of(doc_id), doc_id, snapshot, item.encode())
                change.put(doc_id, item.encode())
        return change.store()


def from_scratch(entries: dict[str, StandingEntry]) -> bytes:
    buckets: dict[int, list[bytes]] = {}
    for doc_id in sorted(entries, key=str.encode):
        buckets.setdefault(bucket_of(doc_id), []).append(entries[doc_id].encode())
    leaves = [EMPTY_LEAF] * BUCKETS
    for bucket, encoded in buckets.items():
        leaves[bucket] = merkle.leaf_hash(bucket_root(encoded))
    return whole_root(tuple(leaves))


def same_bucket() -> list[str]:
    """Names that share a bucket, some beyond the basic plane, where UTF-8 and UTF-16 order differ."""
    first = bucket_of("x")
    alphabet = ("a", "ä", "\uffee", "𐀀")
    found = ["x"]
    for number in range(1_000_000):
        name = f"{alphabet[number % 4]}{number}"
        if bucket_of(name) == first:
            found.append(name)
        if len(found) == 6:
            break
    return found


def test_an_empty_tree_has_the_root_of_65536_empty_buckets() -> None:
    assert EMPTY_TREE.value == whole_root((EMPTY_LEAF,) * BUCKETS)


def test_random_lives_lead_to_the_tree_of_the_definition(session: Session) -> None:
    chance, root, live = random.Random(4), EMPTY_TREE, dict[str, StandingEntry]()
    names = same_bucket() + [f"d{number}" for number in range(20)]
    for snapshot in range(1, 25):
        chosen = chance.sample(names, chance.randint(1, 6))
        entries = {name: None if chance.random() < 0.3 else entry(name, snapshot) for name in chosen}
        root = put(session, root, snapshot, entries)
        live = {**live, **{name: item for name, item in entries.items() if item is not None}}
        live = {name: item for name, item in live.items() if entries.get(name, item) is not None}
        assert root.value == from_scratch(live)
        tree = StandingTree(session)
        assert tree.root() == root
        for name in names:
            found = tree.proof(name)
            assert (found is not None) == (name in live)
            if found is not None:
                assert found[0].entry == live[name].encode()
                assert standing_root(live[name], found[1]) == root


def test_a_past_tree_is_that_of_its_snapshot(session: Session) -> None:
    first = put(session, EMPTY_TREE, 1, {"a": entry("a"), "b": entry("b")})
    put(session, first, 2, {"a": entry("a", 2), "b": None})
    past = StandingTree(session, 1)
    assert past.root() == first
    found = past.proof("b")
    assert found is not None
    assert standing_root(entry("b"), found[1]) == first
    assert StandingTree(session, 2).proof("b") is None


def test_a_change_starts_only_from_what_was_signed(session: Session) -> None:
    root = put(session, EMPTY_TREE, 1, {"a": entry("a")})
    for names in ((), ("a",), ("b",)):
        with pytest.raises(LedgerError, match="changed from outside"):
            StandingChange(session, names, EMPTY_TREE)
        StandingChange(session, names, root)


def test_one_changed_document_costs_its_bucket_and_sixteen_hashes(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = put(session, EMPTY_TREE, 1, {f"d{number}": entry(f"d{number}") for number in range(3000)})
    hashed = []

    def counted(left: bytes, right: bytes) -> bytes:
        hashed.append(1)
        return merkle.node_hash(left, right)

    monkeypatch.setattr(module, "node_hash", counted)
    put(session, root, 2, {"d7": entry("d7", 2)})
    assert len(hashed) == 2 * 16  # up once to check where it starts, and once to where it ends
