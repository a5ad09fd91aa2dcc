"""What became of documents, snapshot by snapshot, as it was signed.

Everything here goes by the roots that were sealed. Which entries stood when is read from rows, and each step has to lead
from one signed root to the next; what stood in between cannot be told otherwise without that being noticed.
"""

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from trustrag.errors import MalformedError, NotFoundError, ProofError, Refusal, VerificationError
from trustrag.ledger import Step, View, joined
from trustrag.monitor.audit import Gate
from trustrag.provenance.canonical import Digest
from trustrag.provenance.evidence import VerifiedPassage
from trustrag.provenance.policy import Policy, TrustedSnapshot
from trustrag.provenance.statement import RollbackStatement

Told: TypeAlias = Callable[[int, int | None, str], None]


@dataclass(frozen=True, slots=True)
class SnapshotFact:
    """One snapshot: what was done, and what stood after it. `issued_at` is in unix seconds.

    `standing` documents stood; of those `added` are new and `replaced` came in another version; `removed` stand no more.
    `key` is the id of the seal key, and `refusal` says why today's policy no longer lets it speak ("" where it does).
    A rollback led to snapshot `target`, and the reviewers with these key ids approved it.
    """

    version: int
    issued_at: int
    action: str
    reason: str | None
    root: Digest
    log_index: int
    standing: int
    added: int
    removed: int
    replaced: int
    key: str
    refusal: str
    target: int | None
    approved_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Change:
    """A document that differs between two snapshots: its version and bytes in each, None where none stood."""

    doc_id: str
    kind: Literal["added", "removed", "replaced"]
    old: int | None
    new: int | None
    old_digest: Digest | None
    new_digest: Digest | None


@dataclass(frozen=True, slots=True)
class Difference:
    """What has to change to go from snapshot `old` to snapshot `new`; `unchanged` documents stood in both."""

    old: int
    new: int
    old_root: Digest
    new_root: Digest
    changes: tuple[Change, ...]
    unchanged: int


@dataclass(frozen=True, slots=True)
class Event:
    """A snapshot that touched a document: which version `ended` in it and which `began`, None where none did."""

    snapshot: int
    action: str
    reason: str | None
    issued_at: int
    log_index: int
    ended: int | None
    began: int | None


def snapshots(
    view: View, gate: Gate, head: TrustedSnapshot, now: int, progress: Told | None = None
) -> Iterator[SnapshotFact]:
    """Every snapshot, oldest first. Linear in all that ever moved. Raises as `View.course`."""
    standing = 0
    for step in view.course(0, head):
        sealed = step.sealed
        if not sealed.version:
            continue
        ended = {entry.doc_id for _, entry in step.ended}
        began = {entry.doc_id for _, entry in step.began}
        standing += len(began) - len(ended)
        key, refusal = _sealed_by(view, gate, head, sealed.version, now)
        target, approved_by = _rolled_back(step, gate.policy)
        yield SnapshotFact(
            sealed.version,
            sealed.issued_at,
            sealed.action,
            sealed.reason,
            sealed.root,
            sealed.log_index,
            standing,
            len(began - ended),
            len(ended - began),
            len(began & ended),
            key,
            refusal,
            target,
            approved_by,
        )
        if progress is not None:
            progress(sealed.version, head.version, "")


def _sealed_by(view: View, gate: Gate, head: TrustedSnapshot, version: int, now: int) -> tuple[str, str]:
    try:
        _, past = gate.past(view, head, version, now)
    except (VerificationError, MalformedError) as error:
        return view.past(version).sealed().envelope.key_id, str(error)
    return past.key.key_id, ""


def _rolled_back(step: Step, policy: Policy) -> tuple[int | None, tuple[str, ...]]:
    """Where a rollback led to, by the operator's signed word, and who approved just that."""
    proposal: tuple[Digest, int] | None = None
    approvals: dict[str, Digest] = {}
    for index, envelope in step.sealed.rollbacks:
        try:
            attested = policy.authorise(envelope, RollbackStatement, log_index=index)
        except (VerificationError, MalformedError):
            continue
        if attested.role == "seal":
            proposal = attested.payload, attested.statement.target
        else:
            approvals[attested.key.key_id] = attested.payload
    if proposal is None:
        return None, ()
    payload, target = proposal
    return target, tuple(key for key, approved in approvals.items() if approved == payload)


def difference(view: View, gate: Gate, head: TrustedSnapshot, old: int, new: int, now: int) -> Difference:
    """What differs between two snapshots, each accepted by the gate. Raises as `Gate.past` and `View.course`."""
    roots = {version: gate.past(view, head, version, now)[1].root for version in (old, new)}
    first, last = sorted((old, new))
    states: dict[int, dict[str, tuple[int, Digest]]] = {}
    now_standing: dict[str, tuple[int, Digest]] = {}
    for step in view.course(first, head):
        for _, entry in step.ended:
            now_standing.pop(entry.doc_id, None)
        now_standing |= {entry.doc_id: (entry.version, entry.document) for _, entry in step.began}
        if step.sealed.version in (old, new):
            states[step.sealed.version] = dict(now_standing)
        if step.sealed.version == last:
            break
    before, after = states[old], states[new]
    touched = sorted(
        doc_id for doc_id in before.keys() | after.keys() if before.get(doc_id) != after.get(doc_id)
    )
    changes = tuple(_change(doc_id, before.get(doc_id), after.get(doc_id)) for doc_id in touched)
    unchanged = len(before.keys() & after.keys()) - sum(change.kind == "replaced" for change in changes)
    return Difference(old, new, roots[old], roots[new], changes, unchanged)


def _change(doc_id: str, old: tuple[int, Digest] | None, new: tuple[int, Digest] | None) -> Change:
    kind: Literal["added", "removed", "replaced"]
    kind = "added" if old is None else "removed" if new is None else "replaced"
    return Change(
        doc_id,
        kind,
        old[0] if old else None,
        new[0] if new else None,
        old[1] if old else None,
        new[1] if new else None,
    )


def events(view: View, head: TrustedSnapshot, doc_id: str) -> Iterator[Event]:
    """Every snapshot that touched this document, oldest first, also where only a withdrawal named it."""
    for step in view.course(0, head):
        ended = next((entry.version for _, entry in step.ended if entry.doc_id == doc_id), None)
        began = next((entry.version for _, entry in step.began if entry.doc_id == doc_id), None)
        sealed = step.sealed
        named = any(said.doc_id == doc_id for said in sealed.withdrawals)
        if named or (ended, began) != (None, None):
            yield Event(
                sealed.version,
                sealed.action,
                sealed.reason,
                sealed.issued_at,
                sealed.log_index,
                ended,
                began,
            )


def passages_of(
    view: View, gate: Gate, head: TrustedSnapshot, version: int, doc_id: str, now: int
) -> tuple[VerifiedPassage, ...]:
    """The passages of the document that stood under this name in a snapshot, in order, each proved.

    Raises NotFoundError where none stood, VerificationError where one cannot be proved.
    """
    then, past = gate.past(view, head, version, now)
    row = then.standing(doc_id)
    if row is None:
        raise NotFoundError(f"no version of {doc_id!r} stood in snapshot {version}")
    stored = then.passages(range(row.first_chunk, row.first_chunk + min(row.chunk_count, then.chunk_total())))
    proved = []
    for place, result in enumerate(gate.prove_all(stored, past, now)):
        if not isinstance(result, VerifiedPassage):
            raise VerificationError(
                result.refusal, f"chunk {place} of {doc_id} in snapshot {version}: {result.reason}"
            )
        if (result.doc_id, result.index, result.count) != (doc_id, place, row.chunk_count):
            reason = f"the ledger shows chunk {result.index} of {result.doc_id} as chunk {place} of {doc_id}"
            raise ProofError(Refusal.NOT_IN_SNAPSHOT, reason)
        proved.append(result)
    if not proved:
        raise ProofError(Refusal.NOT_IN_SNAPSHOT, f"the ledger shows no chunk of {doc_id}")
    return tuple(proved)


def text_difference(old: tuple[VerifiedPassage, ...], new: tuple[VerifiedPassage, ...]) -> list[str]:
    """A unified diff of two versions of a document, by their proved passages; either may be empty."""
    before, after = (joined((one.start, one.end, one.text) for one in side) for side in (old, new))
    was, is_now = (
        f"{side[0].doc_id} version {side[0].version}" if side else "nothing" for side in (old, new)
    )
    return list(difflib.unified_diff(before.splitlines(), after.splitlines(), was, is_now, lineterm=""))
