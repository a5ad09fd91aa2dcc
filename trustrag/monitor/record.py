"""The record of a source, and what follows from it: trust in the policy is a prior that its record may move.

    record = gather(ledger, gate, source, neighbours, now=now)       what it did, as far as it can be proved
    assess(record, source, bounds)                                   what the policy's bounds make of it, and why

Nothing moves here. An assessment is a proposal; it takes effect when the operator signs it into a new policy. Moves
are reckoned from the operator's own word, never from the last move, so assessing twice moves nothing twice.

Who contradicts whom is decided by the log: against a passage count only those that stood before it, of independent
sources that are not on probation. Otherwise a stranger could spoil an honest source's record by contradicting it.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from trustrag.consistency import Passage, compare
from trustrag.consistency.testimony import said_of
from trustrag.ledger import Ids, Ledger, SourceRows, View
from trustrag.monitor.audit import Gate
from trustrag.provenance.canonical import Digest
from trustrag.provenance.evidence import VerifiedPassage
from trustrag.provenance.parties import Bounds, Source
from trustrag.provenance.policy import TrustedSnapshot
from trustrag.stored import title_of

Neighbours: TypeAlias = Callable[[VerifiedPassage, frozenset[str]], Sequence[VerifiedPassage]]
"""The nearest proved passages of independent sources to one passage, those sources left out that are named."""

SHARE = 2
"""Neighbours of one owner that a passage is held against: more of them are one voice still, and drown the others."""
DRAWS = 4
"""How often neighbours are drawn, each time without the sources that had more than their share."""

DOCUMENTS = 64
"""How many documents of a source are looked at: its newest, and as many of the others, drawn by the snapshot's root,
which nobody knows before it is sealed. What stands unchanged is looked at alike every time."""
PASSAGES = 96
"""How many passages are looked at in all; of a source with few documents that is every one."""
CORROBORATED_PER_STEP = 8
"""Documents that others corroborate for one step of trust: what one ruling costs takes eight to earn, for it is easy
to repeat what is known."""
TURNED = 3
"""How many newer documents contradict what stood before, and how many times the earlier share they have to be, until
a source is said to have turned."""
TURNED_SHARE = 4
"""At least one in so many newer documents."""


@dataclass(frozen=True, slots=True)
class Tally:
    """Documents that were looked at: in how many others state the same, or contradict what stood before.

    `outvoted` are those of the contradicted in which two more owners contradict than agree: more than one voice
    against another.
    """

    looked: int = 0
    corroborated: int = 0
    contradicted: int = 0
    outvoted: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.looked + other.looked,
            self.corroborated + other.corroborated,
            self.contradicted + other.contradicted,
            self.outvoted + other.outvoted,
        )


@dataclass(frozen=True, slots=True)
class SourceRecord:
    """What a source did. `age` is by how many entries the log grew since the earliest of what stands was attested.

    `documents` stand; of those that were looked at, `proved` passed the gate and `unproved` (their ids) did not.
    `earlier` and `recent` part the proved ones at two thirds of the way.
    """

    source: str
    age: int
    documents: int
    proved: int
    unproved: tuple[str, ...]
    superseded: int
    withdrawn: int
    held: tuple[str, ...]
    ruled: tuple[str, ...]
    earlier: Tally
    recent: Tally

    @property
    def turned(self) -> bool:
        """Whether its newer documents contradict others far more than its earlier ones did."""
        before, now = self.earlier, self.recent
        return (
            before.looked >= TURNED
            and now.contradicted >= TURNED
            and TURNED_SHARE * now.contradicted >= now.looked
            and now.contradicted * before.looked >= TURNED * before.contradicted * now.looked
        )


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is proposed for a source, and why, one reason a line. Trust is in thousandths."""

    record: SourceRecord
    prior: int
    trust_now: int
    probation_now: bool
    trust: int
    probation: bool
    reasons: tuple[str, ...]

    @property
    def changes(self) -> bool:
        """Whether anything would move."""
        return (self.trust, self.probation) != (self.trust_now, self.probation_now)


def assess(record: SourceRecord, source: Source, bounds: Bounds) -> Assessment:
    """What the record makes of the source, within the bounds. Pure.

    One more ruling, document held, or newer document contradicted never raises trust or ends probation; one more
    approval or corroboration never does the reverse.
    """
    probation, why = _probation(record, source, bounds)
    tally = record.earlier + record.recent
    gained = 0 if probation else tally.corroborated // CORROBORATED_PER_STEP
    lost = len(record.ruled) + tally.outvoted
    wanted = source.prior + bounds.trust_step * (gained - lost)
    trust = bounds.within(source.prior, wanted)
    reasons = [*why, *_trust_reasons(record, tally, gained, bounds)]
    if trust != wanted:
        reasons.append(f"trust is held at {trust / 1000:g}, where the policy's bounds for this source end")
    return Assessment(record, source.prior, source.trust, source.probation, trust, probation, tuple(reasons))


def _probation(record: SourceRecord, source: Source, bounds: Bounds) -> tuple[bool, list[str]]:
    if record.turned:
        now, before = record.recent, record.earlier
        told = (
            f"its newer documents contradict what stood before ({now.contradicted} of {now.looked}) far more than its "
            f"earlier ones did ({before.contradicted} of {before.looked})"
        )
        return True, [f"{'stays' if source.probation else 'goes'} on probation: {told}"]
    if not source.probation:
        return False, []
    missing = _missing(record, bounds)
    if missing:
        return True, [f"stays on probation: {reason}" for reason in missing]
    return False, [
        f"leaves probation: {record.documents} documents were approved and stand, the log grew by {record.age} entries "
        "since the first of them, and nothing is held or contradicted"
    ]


def _missing(record: SourceRecord, bounds: Bounds) -> list[str]:
    """What a source on probation still lacks."""
    contradicted = (record.earlier + record.recent).contradicted
    missing = []
    if record.documents < bounds.probation_approvals:
        missing.append(
            f"{record.documents} of {bounds.probation_approvals} documents were approved and stand"
        )
    if record.age < bounds.probation_age:
        missing.append(f"the log grew by {record.age} of {bounds.probation_age} entries since it first spoke")
    if contradicted:
        missing.append(f"{_documents(contradicted)} contradicted by what others said before")
    if record.held:
        missing.append(
            f"{_documents(len(record.held))} held ({_some(record.held)}): review, restore or withdraw"
        )
    if record.unproved:
        missing.append(
            f"{_documents(len(record.unproved))} not to be proved ({_some(record.unproved)}): audit the store"
        )
    return missing


def _trust_reasons(record: SourceRecord, tally: Tally, gained: int, bounds: Bounds) -> list[str]:
    reasons = []
    if record.ruled:
        told, cost = f"ruled against ({_some(record.ruled)})", _moved(-len(record.ruled), bounds)
        reasons.append(f"{_documents(len(record.ruled))} {told}: {cost}")
    if tally.outvoted:
        told, cost = "contradicted by several independent sources", _moved(-tally.outvoted, bounds)
        reasons.append(f"{_documents(tally.outvoted)} {told}: {cost}")
    if tally.corroborated:
        told = f"corroborated by independent sources, of {tally.looked} looked at"
        reasons.append(f"{_documents(tally.corroborated)} {told}: {_moved(gained, bounds)}")
    return reasons


def _moved(steps: int, bounds: Bounds) -> str:
    return f"{steps * bounds.trust_step / 1000:+g}"


def _documents(count: int) -> str:
    return "1 document is" if count == 1 else f"{count} documents are"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (", ..." if len(names) > 3 else "")


# ---- gathering


def gather(ledger: Ledger, gate: Gate, source: Source, neighbours: Neighbours, *, now: int) -> SourceRecord:
    """The record of a source at `now` (unix seconds): what the ledger remembers, and a sample of what stands, proved.

    Raises VerificationError where the head of the ledger is not to be believed.
    """
    with ledger.view() as view:
        snapshot = gate.accept(view, now)
        rows = view.record(source.name)
        proved, unproved = _proved(view, gate, rows, snapshot, source, now)
    first = min((passage.source_index for passage in proved), default=snapshot.checkpoint.size)
    earlier, recent = _tallies(proved, neighbours)
    return SourceRecord(
        source=source.name,
        age=snapshot.checkpoint.size - first,
        documents=len(rows.documents),
        proved=len({passage.doc_id for passage in proved}),
        unproved=unproved,
        superseded=rows.superseded,
        withdrawn=rows.withdrawn,
        held=rows.held,
        ruled=rows.ruled,
        earlier=earlier,
        recent=recent,
    )


def _proved(
    view: View, gate: Gate, rows: SourceRows, snapshot: TrustedSnapshot, source: Source, now: int
) -> tuple[list[VerifiedPassage], tuple[str, ...]]:
    proved, unproved = [], set()
    for result in gate.prove_all(view.passages(_sampled(rows.documents, snapshot.root)), snapshot, now):
        # The rows are not signed: that a passage is this source's is told by its proof.
        if isinstance(result, VerifiedPassage) and result.source == source.name:
            proved.append(result)
        else:
            unproved.add(result.doc_id)
    return proved, tuple(sorted(unproved))


def _sampled(documents: Ids, root: Digest) -> list[int]:
    """Chunk ids to look at, from int64[n, 2] of (first chunk, count) in the order of admission."""
    draw = np.random.default_rng(list(root.value))
    if len(documents) > DOCUMENTS:
        newest = len(documents) - DOCUMENTS // 2
        early = np.sort(draw.choice(newest, DOCUMENTS - DOCUMENTS // 2, replace=False))
        documents = np.concatenate([documents[early], documents[newest:]])
    chosen: list[int] = []
    each = PASSAGES // max(1, len(documents))
    for first, count in documents.tolist():
        places = range(count) if count <= each else np.sort(draw.choice(count, each, replace=False)).tolist()
        chosen += [first + place for place in places]
    return chosen


def _tallies(proved: Sequence[VerifiedPassage], neighbours: Neighbours) -> tuple[Tally, Tally]:
    """The proved passages by document, those of the first two thirds and the newer ones."""
    of: dict[str, list[VerifiedPassage]] = {}
    for passage in sorted(proved, key=lambda passage: passage.source_index):
        of.setdefault(passage.doc_id, []).append(passage)
    documents = list(of.values())
    if not documents:
        return Tally(), Tally()
    # By place in the log: what came with one statement has no earlier and later.
    border = documents[2 * len(documents) // 3][0].source_index
    earlier = recent = Tally()
    for passages in documents:
        tally = _judged([_voices(passage, _heard(passage, neighbours)) for passage in passages])
        if passages[0].source_index < border:
            earlier += tally
        else:
            recent += tally
    return earlier, recent


def _judged(voices: Sequence[tuple[int, int]]) -> Tally:
    """One document, from (owners that agree, owners that contradicted before) of each of its passages."""
    contradicted = any(against > agree for agree, against in voices)
    outvoted = any(against > agree + 1 for agree, against in voices)
    corroborated = not contradicted and any(agree for agree, _ in voices)
    return Tally(1, int(corroborated), int(contradicted), int(outvoted))


def _heard(passage: VerifiedPassage, neighbours: Neighbours) -> list[VerifiedPassage]:
    """The neighbours, in shares: who floods the neighbourhood of a lie would else keep the truth from being seen."""
    heard: dict[tuple[str, int], VerifiedPassage] = {}
    crowded: frozenset[str] = frozenset()
    taken: Counter[str] = Counter()
    for _ in range(DRAWS):
        over = set()
        for other in neighbours(passage, crowded):
            if (other.doc_id, other.index) in heard:
                continue
            if taken[_owner(other)] < SHARE:
                taken[_owner(other)] += 1
                heard[other.doc_id, other.index] = other
            else:
                over.add(other.source)
        if not over:
            break
        crowded |= over
    return list(heard.values())


def _voices(passage: VerifiedPassage, near: Sequence[VerifiedPassage]) -> tuple[int, int]:
    """How many independent owners state the same, and how many stated another value before.

    A copy, of the passage or of another supporter, is no voice, whoever copied whom. An owner that says both is none.
    """
    others = [other for other in near if not other.probation and _owner(other) != _owner(passage)]
    alike = compare([_seen(item) for item in (passage, *others)])
    agree, against, counted = set(), set(), [0]
    for place, other in enumerate(others, start=1):
        said = said_of(passage.text, other.text, (title_of(passage.metadata), title_of(other.metadata)))
        if said == "differs" and other.source_index < passage.source_index:
            against.add(_owner(other))
        elif said == "agrees" and not any(alike.copies[place, known] for known in counted):
            agree.add(_owner(other))
            counted.append(place)
    return len(agree - against), len(against - agree)


def _owner(passage: VerifiedPassage) -> str:
    return passage.owner or passage.source


def _seen(passage: VerifiedPassage) -> Passage:
    vector = np.frombuffer(passage.vector, "<f4")
    return Passage(passage.text, _owner(passage), 0.0, vector, passage.source_index)
