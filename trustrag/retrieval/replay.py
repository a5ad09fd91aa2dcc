"""Do again what a receipt says was done, exactly and on the snapshot that it names, and say whether the same comes out.

What was handed on was proved when it was found. What this finds out is the rest: passages that an index hid, or that were
put in another order. The copy that is searched is held against the receipt first: same history, same snapshot.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from trustrag.errors import AuthorityError, MalformedError, ProofError, Refusal, StaleError
from trustrag.provenance.canonical import rfc3339
from trustrag.provenance.evidence import RefusedPassage
from trustrag.provenance.merkle import verify_consistency
from trustrag.retrieval.asked import Asked
from trustrag.retrieval.receipt import Procedure, Receipt, ReceivedPassage, query_of, received
from trustrag.retrieval.retriever import Retriever, SearchReport
from trustrag.stored import Store, StoreView

EXACT = ("flat",)
"""Kinds of index that look at every vector: of these the same has to come out."""

_TIE = 1e-5
"""How far apart two relevances may be and still change places: another processor rounds in another way."""


@dataclass(frozen=True, slots=True)
class Replay:
    """What came of it. `missing` should have been handed on and was not; `extra` was, and should not have been.

    `reordered` tells that the same passages came in another order. `notes` are reasons for which an honest search may
    differ from the exact one of today; `refused` is what this copy could not prove.
    """

    receipt: Receipt
    missing: tuple[ReceivedPassage, ...]
    extra: tuple[ReceivedPassage, ...]
    reordered: bool
    notes: tuple[str, ...]
    refused: tuple[RefusedPassage, ...] = ()

    @property
    def same(self) -> bool:
        """Whether the same passages came out in the same order."""
        return not (self.missing or self.extra or self.reordered)


def replay(
    receipt: Receipt, asked: Asked, retriever: Retriever, ledger: Store[StoreView], *, now: int
) -> Replay:
    """Search again, with the retriever of this ledger, and compare. `receipt` and `asked` as `ReceiptFile.open` gave them.

    Raises AuthorityError for a receipt of another store, ProofError (FORK) where this copy has another history or
    snapshot than the one that was signed, StaleError where it does not reach that far, MalformedError for a procedure
    that this version does not run, and what a search raises.
    """
    policy = retriever.gate.policy
    if receipt.context != policy.context:
        raise AuthorityError(Refusal.WRONG_CONTEXT, "the receipt is of another store or collection")
    if receipt.procedure != Procedure.of(asked, receipt.procedure.index):
        raise MalformedError("the receipt is of a search with other bounds than this version has")
    _require_history(receipt, retriever, ledger, now)
    report = retriever.search(
        asked.question,
        k=asked.k,
        now=now,
        sources=asked.sources,
        where=asked.where,
        mode=asked.mode,
        min_support=asked.min_support,
        vector=query_of(asked),
        at=receipt.snapshot,
    )
    if report.snapshot.root != receipt.root:
        reason = f"snapshot {receipt.snapshot} was searched with another root than the one in this log"
        raise ProofError(Refusal.FORK, reason)
    again = received(report)
    return Replay(
        receipt,
        missing=tuple(one for one in again if one not in receipt.results),
        extra=tuple(one for one in receipt.results if one not in again),
        reordered=_reordered(receipt.results, again, report),
        notes=tuple(_notes(receipt, report, policy.digest == receipt.policy)),
        refused=report.refused,
    )


def _require_history(receipt: Receipt, retriever: Retriever, ledger: Store[StoreView], now: int) -> None:
    with retriever.gate.opened(ledger, now) as (view, today):
        size, root = today.checkpoint.size, today.checkpoint.root
        if receipt.log_size > size:
            reason = f"the receipt is of a log of {receipt.log_size} entries, and this copy has {size}: bring it up to date"
            raise StaleError(Refusal.ROLLBACK, reason)
        proof = view.consistency(receipt.log_size, size) if receipt.log_size < size else []
        verify_consistency(receipt.log_size, size, receipt.log_root.value, root.value, proof)


def _reordered(
    results: Sequence[ReceivedPassage], again: Sequence[ReceivedPassage], report: SearchReport
) -> bool:
    """Whether what came out both times came in another order, beyond what rounding explains."""
    relevance = {one: ranked.relevance for one, ranked in zip(again, report.passages, strict=True)}
    common = [relevance[one] for one in results if one in relevance]
    return any(first < second - _TIE for first, second in pairwise(common))


def _notes(receipt: Receipt, report: SearchReport, same_policy: bool) -> list[str]:
    notes = []
    if receipt.procedure.index not in EXACT:
        notes.append(f"index {receipt.procedure.index!r} is approximate: it may miss passages and be honest")
    if not same_policy:
        notes.append(
            f"the policy has changed since {rfc3339(receipt.issued_at)}: trust, probation and keys of today were used"
        )
    if report.asked.judge != receipt.procedure.judge:
        notes.append(
            f"{receipt.procedure.judge!r} judged then, and {report.asked.judge!r} judges here: name the same"
        )
    if report.refused:
        notes.append(f"{len(report.refused)} passages of this copy are refused: see `trustrag audit`")
    return notes
