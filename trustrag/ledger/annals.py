"""What the snapshots did, one after the other, and what every row has to say because of it.

The signed snapshots tell what was done and the root of what stood then, and the log what was withdrawn, approved and
rejected. From that follows when each entry stood, what each version is called, and which rulings there were. Hashes only:
whose statements these are is asked where the policy is at hand.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple, TypeAlias

from trustrag.ledger.model import Problem, VersionRow
from trustrag.ledger.rows import RulingRow, StandingRow
from trustrag.ledger.signed import Signed
from trustrag.ledger.standing import bucket_node, empty_node, lift
from trustrag.provenance.canonical import Digest
from trustrag.provenance.merkle import leaf_hash
from trustrag.provenance.standing import BUCKETS, StandingEntry, bucket_of
from trustrag.provenance.statement import (
    RejectionStatement,
    ReviewStatement,
    SnapshotStatement,
    Statement,
    WithdrawalStatement,
)

TELLING: Final = frozenset({"withdraw", "review"})
"""The actions of which the log says more than the snapshot does."""

_CALLED: Final = {"quarantine": "quarantined", "withdraw": "withdrawn", "rollback": "withdrawn"}
_RULED: Final = ("quarantine", "withdraw", "restore")


FactsOf: TypeAlias = Callable[[int], tuple[str | None, int | None]]
"""Of the row of a version: the source whose key signed it and its number, None for what cannot be told."""


class Act(NamedTuple):
    """A snapshot as it was signed. Where it is one of `TELLING`, `said` are the statements that were logged for it, each
    with its envelope's digest and its place in the log.
    """

    sealed: SnapshotStatement
    said: tuple[tuple[Statement, Digest, int], ...] = ()


_Aim: TypeAlias = tuple[str | None, str | None]
"""The document or the source that a withdrawal is of."""


class Moved(NamedTuple):
    """A version that began or ceased to stand: its document, its row, and the leaf hash of its entry."""

    doc_id: str
    version: int
    leaf: bytes


@dataclass(slots=True)
class Moves:
    """What the rows of `standing` say ended and began, by snapshot."""

    ended: dict[int, list[Moved]] = field(default_factory=dict)
    began: dict[int, list[Moved]] = field(default_factory=dict)

    def add(self, row: StandingRow) -> None:
        """One row of the table."""
        moved = Moved(row.doc_id, row.version, leaf_hash(row.entry))
        if row.since is not None:
            self.began.setdefault(row.since, []).append(moved)
        if row.until is not None:
            self.ended.setdefault(row.until, []).append(moved)


class Annals:
    """All acts of one ledger, oldest first, and what moved with each."""

    def __init__(
        self, acts: Sequence[Act], moves: Moves, rulings: Sequence[RulingRow], signed: Signed
    ) -> None:
        self._acts = {act.sealed.version: act for act in acts}
        self._moves = moves
        self._signed = signed
        self._rulings = rulings
        self._settled = {(row.doc_id, row.version) for row in rulings if row.action == "reject"}
        self._successors = {(one.doc_id, at) for at, rows in moves.began.items() for one in rows}
        self._withdrawn: dict[int, frozenset[_Aim]] = {}
        self._rejected: set[Digest] = set()  # ingests of which the log has a rejection
        self._approved: dict[
            Digest, set[tuple[Digest, int]]
        ] = {}  # the reviews that the log has of an ingest
        self._note(acts)

    def _note(self, acts: Sequence[Act]) -> None:
        # Two withdrawals that are the same to the letter are one entry of the log, and both snapshots mean it: which of
        # the earlier ones the second means, its rulings say.
        told: dict[tuple[str | None, int], set[_Aim]] = {}
        ruled: dict[int, set[_Aim]] = {}
        for row in self._rulings:
            ruled.setdefault(row.snapshot, set()).add((row.doc_id, row.source))
        for sealed, said in acts:
            here, before = set[_Aim](), told.setdefault((sealed.reason, sealed.issued_at), set())
            for statement, digest, index in said:
                match statement:
                    case WithdrawalStatement():
                        here.add((statement.doc_id, statement.source))
                    case RejectionStatement():
                        self._rejected.add(statement.subject)
                    case ReviewStatement():
                        self._approved.setdefault(statement.subject, set()).add((digest, index))
            if sealed.action == "withdraw":
                again = before & ruled.get(sealed.version, set())
                self._withdrawn[sealed.version] = frozenset(here | again)
            before |= here

    # -- the roots

    def roots(self, nodes: dict[int, bytes]) -> Iterator[Problem]:
        """Whether what stood leads to the root of each snapshot, of the first as of the last.

        `nodes` is empty, and filled with those of the standing tree at the end.
        """
        buckets: dict[int, dict[bytes, bytes]] = {}
        wrong: list[int] = []
        for version, act in self._acts.items():
            touched = set()
            for one in self._moves.ended.get(version, ()):
                touched.add(bucket := bucket_of(one.doc_id))
                buckets.setdefault(bucket, {}).pop(one.doc_id.encode(), None)
            for one in self._moves.began.get(version, ()):
                touched.add(bucket := bucket_of(one.doc_id))
                buckets.setdefault(bucket, {})[one.doc_id.encode()] = one.leaf
            leaves = {BUCKETS + bucket: bucket_node(buckets[bucket].items()) for bucket in touched}
            if leaves:
                nodes.update(lift(leaves, lambda number: nodes.get(number) or empty_node(number)))
            if nodes.get(1, empty_node(1)) != act.sealed.root.value:
                wrong.append(version)
        for first, last in _runs(wrong):
            stood = "stands" if last == max(self._acts) else "stood"
            more = f", nor to those up to {last}" if last > first else ""
            yield Problem("standing", f"what {stood} does not lead to the root of snapshot {first}{more}")

    # -- what a version is called

    def called(
        self, version: VersionRow, stays: Sequence[StandingRow], entry: StandingEntry
    ) -> frozenset[str]:
        """What its row may call this version: one word, or two where nobody knows whose key signed it; none where nothing
        that was signed took it out. Whether a rejection was enough, its ruling says.
        """
        last = stays[-1]
        if last.until is None and last.since is not None:
            return frozenset({"active"})
        since, called = version.admitted, "quarantined"
        if last.until is not None:
            if (version.doc_id, last.until) in self._successors:
                return frozenset({"superseded"})
            act = self._acts.get(last.until)
            since, called = last.until, _CALLED.get(act.sealed.action if act else "", "")
        if called != "quarantined":
            return frozenset({called} if called else ())
        later = [aim for at, named in self._withdrawn.items() if at > since for aim in named]
        sources = {source for _, source in later} - {None}
        publisher = self._signed.publisher(entry) if sources else None
        if publisher in sources or any(doc_id == version.doc_id for doc_id, _ in later):
            return frozenset({"withdrawn"})
        if (version.doc_id, version.version) in self._settled and self._is_rejected(entry):
            return frozenset({"withdrawn"})
        return frozenset({"quarantined", "withdrawn"} if sources and publisher is None else {"quarantined"})

    def _is_rejected(self, entry: StandingEntry) -> bool:
        return self._signed.subject(entry) in self._rejected

    def approved(self, entry: StandingEntry) -> set[tuple[Digest, int]]:
        """The approvals in the log of what waits under this entry, that came after its admission."""
        return self._approved.get(self._signed.subject(entry), set()) if self._approved else set()

    # -- rulings

    def rulings(self, facts_of: FactsOf) -> Iterator[Problem]:
        """What rows of `ruling` say otherwise than the snapshots."""
        before, by_snapshot = 0, dict[int, list[RulingRow]]()
        for row in self._rulings:
            if row.snapshot < before or not self._follows(row):
                yield Problem(f"ruling {row.id}", f"its row is not what snapshot {row.snapshot} did")
            before = row.snapshot
            by_snapshot.setdefault(row.snapshot, []).append(row)
        for version, act in self._acts.items():
            if act.sealed.action in _RULED and not self._complete(
                version, act.sealed.action, by_snapshot.get(version, []), facts_of
            ):
                yield Problem(
                    "rulings", f"those of snapshot {version} are not the ones that it {act.sealed.action}s by"
                )

    def _follows(self, row: RulingRow) -> bool:
        """Whether the snapshot that this ruling names did this, and for this reason."""
        act = self._acts.get(row.snapshot)
        if act is None or (row.doc_id is None) == (row.source is None):
            return False
        sealed = act.sealed
        if row.action == "reject":
            reasons = [said.reason for said, _, _ in act.said if isinstance(said, RejectionStatement)]
            told = f"reject version {row.version} of {row.doc_id}"
            return (sealed.action, sealed.reason) == ("review", told) and row.reason in reasons
        if (row.action, row.reason) != (sealed.action, sealed.reason):
            return False
        return row.version is None or (sealed.action == "restore" and row.doc_id is not None)

    def _complete(self, version: int, action: str, rows: Sequence[RulingRow], facts_of: FactsOf) -> bool:
        """Whether the rulings of a snapshot name what it was about, all of it and nothing else."""
        if action == "withdraw":
            return bool(rows) and {(row.doc_id, row.source) for row in rows} == self._withdrawn[version]
        moved = (self._moves.began if action == "restore" else self._moves.ended).get(version, [])
        documents, sources = {row.doc_id for row in rows} - {None}, {row.source for row in rows} - {None}
        if not documents <= {one.doc_id for one in moved}:
            return False
        for row in rows:
            if row.version is not None and row.version not in {
                facts_of(one.version)[1] for one in moved if one.doc_id == row.doc_id
            }:
                return False
        swept = {facts_of(one.version)[0] for one in moved if one.doc_id not in documents}
        return swept - {None} <= sources and (None in swept or sources <= swept)


def _runs(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The first and last of each run of numbers that follow each other."""
    for at, number in enumerate(numbers):
        if at == 0 or numbers[at - 1] != number - 1:
            first = number
        if at + 1 == len(numbers) or numbers[at + 1] != number + 1:
            yield first, number
