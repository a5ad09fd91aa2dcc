"""A ledger and a naive model of it live through the same random life, and have to agree all the way."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.ledger.world import (
    NOW,
    SEALER,
    Draft,
    accepted,
    admissions,
    new_ledger,
    proposed,
    prove,
    publisher,
    review_of,
)
from trustrag.errors import ConflictError
from trustrag.ledger import Ledger, Ruling, StoredPassage, check, planned
from trustrag.provenance import merkle
from trustrag.provenance.checkpoint import Checkpoint, Note
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.standing import BUCKETS, bucket_of

SOURCES = ("acme", "wiki")
DOCUMENTS = tuple(f"{source}/{name}" for source in SOURCES for name in ("a", "b", "ä", "𐀀"))


@dataclass
class Version:
    """What the model knows of one version."""

    draft: Draft
    ingest: Envelope
    standing: str
    approved: bool
    struck_by_source: bool = False


class LedgerMachine(RuleBasedStateMachine):
    """Admits, supersedes, rules, renews and reopens."""

    @initialize()
    def create(self) -> None:
        self.folder = Path(tempfile.mkdtemp())
        self.ledger = new_ledger(self.folder / "kb")
        self.versions: dict[str, list[Version]] = {}
        self.texts: list[str] = []  # of all chunks ever, by id
        self.snapshots: list[set[str]] = [set()]  # the texts that stood, by snapshot
        self.held: list[dict[str, int]] = [
            {}
        ]  # the place of the version that stood, by snapshot and document
        self.decided: dict[str, list[tuple[int, bool]]] = {}  # snapshot, and whether it took the document out
        self.synced, self.index = 0, set[int]()

    def teardown(self) -> None:
        if hasattr(self, "ledger"):
            self.ledger.close()
            shutil.rmtree(self.folder)

    def standing(self) -> set[str]:
        return {
            text
            for versions in self.versions.values()
            for version in versions
            if version.standing == "active"
            for text in version.draft.texts
        }

    @rule(
        source=st.sampled_from(SOURCES),
        picks=st.lists(
            st.tuples(st.integers(0, 3), st.booleans(), st.integers(1, 9)),
            min_size=1,
            max_size=4,
            unique_by=lambda pick: pick[0],
        ),
    )
    def admit(self, source: str, picks: list[tuple[int, bool, int]]) -> None:
        drafts = []
        for number, quarantined, chunks in picks:
            doc_id = [name for name in DOCUMENTS if name.startswith(source)][number]
            version = len(self.versions.get(doc_id, [])) + 1
            texts = tuple(f"{doc_id} {version} {at}" for at in range(chunks))
            metadata = (("parity", chunks % 2), ("doc", doc_id))
            drafts.append(Draft(doc_id, version, texts, source, quarantined, metadata))
        items = admissions(drafts)
        self.ledger.admit(items, SEALER, NOW)
        for draft, item in zip(drafts, items, strict=True):
            versions = self.versions.setdefault(draft.doc_id, [])
            if not draft.quarantined:
                self.supersede(versions)
            standing = "quarantined" if draft.quarantined else "active"
            versions.append(Version(draft, item.ingest, standing, not draft.quarantined))
            self.texts += draft.texts
        self.seal()

    def seal(self) -> None:
        self.snapshots.append(self.standing())
        self.held.append(self.held_now())

    def held_now(self) -> dict[str, int]:
        return {
            doc_id: at
            for doc_id, versions in self.versions.items()
            for at, version in enumerate(versions)
            if version.standing == "active"
        }

    def decide(self, doc_id: str, struck: bool) -> None:
        self.decided.setdefault(doc_id, []).append((len(self.snapshots) + 1, struck))

    def supersede(self, versions: list[Version]) -> None:
        for version in versions:
            version.struck_by_source = False
            if version.standing == "active":
                version.standing = "superseded"

    @rule(doc_id=st.sampled_from(DOCUMENTS), action=st.sampled_from(("quarantine", "withdraw")))
    def strike(self, doc_id: str, action: str) -> None:
        self.strike_all(action, self.versions.get(doc_id, []), doc_id=doc_id)

    @rule(source=st.sampled_from(SOURCES), action=st.sampled_from(("quarantine", "withdraw")))
    def strike_source(self, source: str, action: str) -> None:
        found = [
            version
            for versions in self.versions.values()
            for version in versions
            if version.draft.source == source
        ]
        self.strike_all(action, found, source=source)

    def strike_all(self, action: str, versions: list[Version], **who: str) -> None:
        over = ("active",) if action == "quarantine" else ("active", "quarantined")
        found = [version for version in versions if version.standing in over]
        if found:
            reason = "reason"  # so that two withdrawals of one second may be the same to the letter
            self.ledger.rule([Ruling(action, reason, **who)], SEALER, NOW, publisher=publisher)  # type: ignore[arg-type]
            for version in versions if "doc_id" in who else ():
                version.struck_by_source = False
            if "doc_id" in who:
                self.decide(who["doc_id"], True)
            for version in found:
                if version.standing == "active":
                    self.decide(version.draft.doc_id, True)
            for version in found:
                version.struck_by_source |= "source" in who and version.standing == "active"
                version.standing = "quarantined" if action == "quarantine" else "withdrawn"
            self.seal()

    @rule(doc_id=st.sampled_from(DOCUMENTS), data=st.data())
    def restore(self, doc_id: str, data: st.DataObject) -> None:
        versions = self.versions.get(doc_id, [])
        choices = [at for at, version in enumerate(versions) if version.standing != "active"]
        if not choices:
            return
        at = data.draw(st.sampled_from(choices))
        version = versions[at]
        reviews = (review_of(version.ingest),) if not version.approved else ()
        self.ledger.rule([Ruling("restore", "reason", doc_id, None, at + 1, reviews)], SEALER, NOW)
        self.supersede(versions)
        version.standing, version.approved, version.struck_by_source = "active", True, False
        self.decide(doc_id, False)
        self.seal()

    @rule(source=st.sampled_from(SOURCES))
    def restore_source(self, source: str) -> None:
        restorable = [
            (versions, version)
            for versions in self.versions.values()
            for version in versions
            if version.struck_by_source and version.draft.source == source
        ]
        if not restorable:
            return
        self.ledger.rule([Ruling("restore", "reason", source=source)], SEALER, NOW, publisher=publisher)
        for versions, version in restorable:
            self.supersede(versions)
            version.standing = "active"
            self.decide(version.draft.doc_id, False)
        self.seal()

    @precondition(lambda self: len(self.snapshots) > 1)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        target = data.draw(st.integers(1, len(self.snapshots) - 1))
        struck = {
            doc_id
            for doc_id, decisions in self.decided.items()
            if [taken_out for at, taken_out in decisions if at > target][-1:] == [True]
        }
        then, now = self.held[target - 1], self.held_now()
        comes = {doc_id: at for doc_id, at in then.items() if doc_id not in struck and now.get(doc_id) != at}
        stays = {doc_id for doc_id, at in then.items() if now.get(doc_id) == at}
        with self.ledger.view() as view:
            plan = planned(view.course(target, accepted(view)))
        assert {stay.entry.doc_id for stay in plan.back} == comes.keys()
        assert {item.doc_id for item in plan.struck} == struck & then.keys()
        proposal = proposed(plan)
        if comes.keys() | now.keys() == stays:
            with pytest.raises(ConflictError, match="nothing to roll back"):
                self.ledger.roll_back(plan, [proposal], "reason", SEALER, NOW)
            return
        self.ledger.roll_back(plan, [proposal], "reason", SEALER, NOW)
        for doc_id, at in now.items():
            if doc_id not in stays:
                self.versions[doc_id][at].standing = "superseded" if doc_id in comes else "withdrawn"
        for doc_id, at in comes.items():
            self.supersede(self.versions[doc_id])
            self.versions[doc_id][at].standing = "active"
            self.decide(doc_id, False)
        self.seal()

    @rule()
    def renew(self) -> None:
        self.ledger.reseal(SEALER, NOW)
        self.seal()

    @rule()
    def reopen(self) -> None:
        self.ledger.close()
        self.ledger = Ledger.open(self.folder / "kb", write=True)

    @rule()
    def sync(self) -> None:
        changes = self.ledger.changes(self.synced)
        added, removed = set(changes.added.tolist()), set(changes.removed.tolist())
        assert not added & self.index
        assert removed <= self.index
        self.index = (self.index | added) - removed
        self.synced = changes.version
        assert {self.texts[at] for at in self.index} == self.standing()

    @precondition(lambda self: len(self.snapshots) > 1)
    @rule(data=st.data())
    def look_back(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(1, len(self.snapshots)))
        with self.ledger.view(at=at) as view:
            snapshot = accepted(view)
            found = view.passages(view.select())
            assert {prove(view, item, snapshot).text for item in found} == self.snapshots[at - 1]

    @invariant()
    def what_stands_is_proved_and_nothing_else(self) -> None:
        with self.ledger.view() as view:
            snapshot = accepted(view)
            assert snapshot.version == len(self.snapshots)
            found = view.passages(range(len(self.texts)))
            proved = {
                at: prove(view, item, snapshot).text
                for at, item in enumerate(found)
                if isinstance(item, StoredPassage)
            }
            assert proved == {at: text for at, text in enumerate(self.texts) if text in self.snapshots[-1]}
            assert view.select().tolist() == sorted(proved)
            odd = view.select({"parity": 1}, ["acme"]).tolist()
            assert odd == [
                at for at, item in enumerate(found) if at in proved and self.is_odd_acme(proved[at], item)
            ]

    def is_odd_acme(self, text: str, item: object) -> bool:
        assert isinstance(item, StoredPassage)
        return text.startswith("acme") and b'"parity":1' in item.metadata

    @invariant()
    def the_rows_agree(self) -> None:
        told = {
            (row.doc_id, row.version): row.standing
            for doc_id in DOCUMENTS
            for row in self.ledger.versions(doc_id)
        }
        assert told == {
            (doc_id, at): version.standing
            for doc_id, versions in self.versions.items()
            for at, version in enumerate(versions, start=1)
        }
        assert list(check(self.ledger)) == []

    @invariant()
    def the_roots_are_those_of_trees_built_from_scratch(self) -> None:
        with self.ledger.reading() as (session, _):
            entries = [data for _, _, _, data in session.entries()]
            standing = sorted(
                (row.doc_id.encode(), row.entry)
                for row, _ in session.all_standing()
                if row.since is not None and row.until is None
            )
        buckets: dict[int, list[bytes]] = {}
        for doc_id, entry in standing:
            buckets.setdefault(bucket_of(doc_id.decode()), []).append(merkle.leaf_hash(entry))
        with self.ledger.view() as view:
            checkpoint = Checkpoint.parse(Note.parse(view.head().checkpoint).text)
            root = view.snapshot().root
        assert checkpoint.size == len(entries)
        assert checkpoint.root.value == merkle.root([merkle.leaf_hash(entry) for entry in entries])
        leaves = [EMPTY_LEAF] * BUCKETS
        for bucket, entry_hashes in buckets.items():
            leaves[bucket] = merkle.leaf_hash(merkle.root(entry_hashes))
        assert root.value == whole_root(tuple(leaves))

    @invariant()
    def vectors_are_what_came_in(self) -> None:
        ids = np.arange(len(self.texts), dtype=np.int64)
        expected = [
            draft.vectors[at] for draft in (Draft("", 1, (text,)) for text in self.texts) for at in range(1)
        ]
        assert self.ledger.vectors(ids).tobytes() == b"".join(row.tobytes() for row in expected)


EMPTY_LEAF = merkle.leaf_hash(merkle.EMPTY_ROOT)
_EMPTY_LEVELS = [EMPTY_LEAF]
for _ in range(16):
    _EMPTY_LEVELS.append(merkle.node_hash(_EMPTY_LEVELS[-1], _EMPTY_LEVELS[-1]))


def whole_root(leaves: tuple[bytes, ...], level: int = 16) -> bytes:
    """The root over 2^level leaves by the definition of RFC 6962, with empty halves known by heart."""
    if level == 0:
        return leaves[0]
    if all(leaf is EMPTY_LEAF for leaf in leaves):
        return _EMPTY_LEVELS[level]
    half = len(leaves) // 2
    return merkle.node_hash(whole_root(leaves[:half], level - 1), whole_root(leaves[half:], level - 1))


TestLedgerMachine = LedgerMachine.TestCase
TestLedgerMachine.settings = settings(
    max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
