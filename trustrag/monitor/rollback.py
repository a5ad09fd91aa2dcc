"""Going back to a snapshot: what may come back, what stays out and why, and who has to agree.

    step = planned_step(view, gate, head, target, now)      what would change; nothing does
    proposed(step, context, reason, now)                    the statement that reviewers sign, byte for byte
    require_approved(proposal, approvals, ...)              enough of them did, for just this step

A rollback lets stand again what was signed and approved once, under the keys and at the time of today. What today's gate
would refuse does not come back, and neither does what somebody quarantined or withdrew since. All of it is named.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trustrag.errors import AuthorityError, MalformedError, NotFoundError, Refusal
from trustrag.ledger import Plan, Stay, View, planned
from trustrag.monitor.audit import Gate
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.evidence import VerifiedPassage
from trustrag.provenance.past import PastSnapshot
from trustrag.provenance.policy import Policy, TrustedSnapshot
from trustrag.provenance.statement import Context, RollbackStatement, parse_statement

_BLOCK = 256  # documents judged at a time


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A document version that stood then and does not come back."""

    doc_id: str
    version: int
    reason: str


@dataclass(frozen=True, slots=True)
class Back:
    """A document version that comes back."""

    doc_id: str
    version: int


@dataclass(frozen=True, slots=True)
class RollbackStep:
    """What a rollback from snapshot `present` to snapshot `target` does: `back` stands again, `gone` no more."""

    target: int
    present: int
    back: tuple[Back, ...]
    gone: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    plan: Plan

    @property
    def empty(self) -> bool:
        """Whether nothing would change."""
        return not (self.back or self.gone)


def planned_step(view: View, gate: Gate, head: TrustedSnapshot, target: int, now: int) -> RollbackStep:
    """What to change, by what was signed. Linear in what stood then and in all that moved since.

    Raises NotFoundError for a snapshot that is not of the past, and as `Gate.past` and `View.course`.
    """
    if not 0 < target < head.version:
        raise NotFoundError(f"there is no snapshot {target} to go back to: the present one is {head.version}")
    then, past = gate.past(view, head, target, now)
    plan = planned(view.course(target, head))
    refused = list(_judged(then, past, plan.back, gate, now))
    plan = plan.without({left.doc_id for left in refused})
    struck = [
        LeftOut(one.doc_id, one.version, f"snapshot {one.snapshot} took it out since ({one.action})")
        for one in plan.struck
    ]
    back = tuple(Back(stay.entry.doc_id, stay.entry.version) for stay in plan.back)
    return RollbackStep(target, head.version, back, plan.gone, (*struck, *refused), plan)


def _judged(then: View, past: PastSnapshot, stays: Sequence[Stay], gate: Gate, now: int) -> Iterator[LeftOut]:
    """Those that the gate refuses today, by the first passage of each."""
    for start in range(0, len(stays), _BLOCK):
        block = stays[start : start + _BLOCK]
        rows = [then.standing(stay.entry.doc_id) for stay in block]
        stored = then.passages([row.first_chunk if row is not None else -1 for row in rows])
        for stay, result in zip(block, gate.prove_all(stored, past, now), strict=True):
            said = stay.entry
            if not isinstance(result, VerifiedPassage):
                yield LeftOut(said.doc_id, said.version, result.reason)
            elif (result.doc_id, result.version) != (said.doc_id, said.version):
                reason = f"{Refusal.NOT_IN_SNAPSHOT}: its rows in ledger.db show {result.doc_id}"
                yield LeftOut(said.doc_id, said.version, reason)


def proposed(step: RollbackStep, context: Context, reason: str, now: int) -> RollbackStatement:
    """What the operator proposes and reviewers approve. Raises MalformedError for a reason that cannot be signed."""
    plan = step.plan
    return RollbackStatement(
        context, plan.target, plan.target_root, plan.present, plan.present_root, reason, now
    )


def same_step(payload: bytes, step: RollbackStep, context: Context, reason: str) -> bytes:
    """The payload that was approved, where it is of this very step and reason.

    Raises AuthorityError where it is of another, MalformedError where it is no rollback.
    """
    said = parse_statement(payload)
    if not isinstance(said, RollbackStatement):
        raise MalformedError(f"expected a RollbackStatement, and it is a {type(said).__name__}")
    if said != proposed(step, context, reason, said.issued_at):
        asked = f"from snapshot {step.present} to {step.target} of {context.store}, because: {reason}"
        given = (
            f"from snapshot {said.present} to {said.target} of {said.context.store}, because: {said.reason}"
        )
        raise AuthorityError(
            Refusal.BELOW_THRESHOLD, f"what was approved is another step ({given}) than this one ({asked})"
        )
    return payload


def require_approved(
    proposal: Envelope, approvals: Sequence[Envelope], policy: Policy, log_size: int
) -> None:
    """The proposal, and each approval behind it in a log of `log_size` entries, is by a key that may say so; and
    enough reviewers approve it.

    Raises AuthorityError (UNKNOWN_KEY, REVOKED_KEY, WRONG_CONTEXT, BELOW_THRESHOLD), SignatureError, MalformedError.
    """
    attested, *given = (
        policy.authorise(envelope, RollbackStatement, log_index=log_size + place)
        for place, envelope in enumerate((proposal, *approvals))
    )
    policy.check_rollback(attested, given)
