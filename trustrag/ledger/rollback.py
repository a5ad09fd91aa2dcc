"""Back to what stood once: what a rollback would change, told by what was signed and not by rows.

A rollback seals a new snapshot whose standing names the older versions. It erases nothing and decides nothing anew: a
document that somebody quarantined or withdrew since stays out, until it is restored by name.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

from trustrag.ledger.history import STRIKES, Step
from trustrag.ledger.rows import StandingRow
from trustrag.provenance.canonical import Digest
from trustrag.provenance.standing import StandingEntry

_DECIDED_FOR = ("restore", "rollback")


class Stay(NamedTuple):
    """A version as it stood in the snapshot to go back to."""

    row: StandingRow
    entry: StandingEntry


@dataclass(frozen=True, slots=True)
class Struck:
    """A version that stood then, and stays out: snapshot `snapshot` quarantined or withdrew the document since."""

    doc_id: str
    version: int
    snapshot: int
    action: str


@dataclass(frozen=True, slots=True)
class Plan:
    """From what stands in snapshot `present` to what stood in snapshot `target`.

    `back` comes back and `gone` ends; what stands of a document in `back` is superseded by it. `struck` stays out.
    """

    target: int
    target_root: Digest
    present: int
    present_root: Digest
    back: tuple[Stay, ...]
    gone: tuple[str, ...]
    struck: tuple[Struck, ...]
    standing: frozenset[str]  # the documents of which something stands now

    def without(self, doc_ids: Collection[str]) -> "Plan":
        """The plan, where these documents may not come back: nothing of them stands afterwards."""
        kept = tuple(stay for stay in self.back if stay.entry.doc_id not in doc_ids)
        return replace(self, back=kept, gone=(*self.gone, *sorted(self.standing.intersection(doc_ids))))


def planned(course: Iterator[Step]) -> Plan:
    """What to change, from the course of the ledger from the target to the present."""
    first = last = next(course)
    then = {entry.doc_id: Stay(row, entry) for row, entry in first.began}
    now, struck = dict(then), dict[str, Struck]()
    for last in course:
        action, version = last.sealed.action, last.sealed.version
        ended = [entry.doc_id for _, entry in last.ended]
        for doc_id in ended:
            now.pop(doc_id, None)
        withdrawn = [said.doc_id for said in last.sealed.withdrawals if said.doc_id is not None]
        for doc_id in (*(ended if action in STRIKES else ()), *withdrawn):
            if doc_id in then:
                struck[doc_id] = Struck(doc_id, then[doc_id].entry.version, version, action)
        for row, entry in last.began:
            now[entry.doc_id] = Stay(row, entry)
            # A newer version that was published since decides nothing about the one that was taken out.
            if action in _DECIDED_FOR:
                struck.pop(entry.doc_id, None)
    return _compared(first, last, then, now, struck)


def _compared(
    first: Step, last: Step, then: dict[str, Stay], now: dict[str, Stay], struck: dict[str, Struck]
) -> Plan:
    same = {doc_id for doc_id in then.keys() & now.keys() if _one(then[doc_id]) == _one(now[doc_id])}
    back = [stay for doc_id, stay in then.items() if doc_id not in same and doc_id not in struck]
    comes = same.union(stay.entry.doc_id for stay in back)
    return Plan(
        first.sealed.version,
        first.sealed.root,
        last.sealed.version,
        last.sealed.root,
        tuple(back),
        tuple(sorted(now.keys() - comes)),
        tuple(struck[doc_id] for doc_id in sorted(struck)),
        frozenset(now),
    )


def _one(stay: Stay) -> tuple[int, Digest]:
    return stay.entry.version, stay.entry.document
