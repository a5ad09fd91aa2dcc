"""What was agreed with each source, and what came of it so far: asked once for each source in a run."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from trustrag.errors import MalformedError, ProofError, Refusal
from trustrag.ingest.contracts.clauses import Circumstances, ClauseScreen
from trustrag.ingest.contracts.odcs import Contract
from trustrag.ingest.desk import approvals
from trustrag.ingest.document import Document
from trustrag.ingest.screening import Screen
from trustrag.ledger import Ledger
from trustrag.provenance.canonical import Digest
from trustrag.provenance.policy import Policy, Source

ContractFile: TypeAlias = Callable[[Source], bytes | None]
"""The contract file that is kept for a source; None where there is none."""


@dataclass(slots=True)
class _Source:
    """One source in this run: its contract, what it published, how much of that lately, and who approved it."""

    contract: Contract | None
    twins: dict[Digest, str] = field(default_factory=dict)
    recent: int = 0
    awaited: str = ""


class Agreed:
    """Knows the sources of one run. `contracts` finds the file that the policy names by its digest."""

    def __init__(self, ledger: Ledger, policy: Policy, contracts: ContractFile, now: int) -> None:
        self._ledger = ledger
        self._policy = policy
        self._contracts = contracts
        self._now = now
        self._known: dict[str, _Source] = {}

    def screens(self, source: Source, document: Document, signed_at: int) -> Sequence[Screen]:
        """The source's contract as a screen for this document. Raises ProofError where its file is not what was signed."""
        known = self._of(source)
        if known.contract is None:
            return ()
        twin = known.twins.get(document.digest)
        told = Circumstances(signed_at, self._now, None if twin == document.doc_id else twin, known.recent)
        return (ClauseScreen(known.contract.clauses, told),)

    def advisory(self, source: Source) -> Collection[str]:
        """The screens that only tell, for this source."""
        contract = self._of(source).contract
        return () if contract is None else contract.advisory

    def awaited(self, source: Source) -> str:
        """Why everything of this source waits, in one line; empty where it does not."""
        return self._of(source).awaited

    def expires(self, source: Source, signed_at: int) -> int | None:
        """When the contract says that what was signed then is served no longer."""
        contract = self._of(source).contract
        age = None if contract is None else contract.clauses.maximum_age
        return None if age is None else signed_at + age

    def take(self, source: Source, document: Document) -> None:
        """Count a document that will be written."""
        known = self._of(source)
        known.twins.setdefault(document.digest, document.doc_id)
        known.recent += 1

    def _of(self, source: Source) -> _Source:
        if source.name not in self._known:
            contract = signed_contract(source, self._contracts)
            known = self._known[source.name] = _Source(contract)
            self._look_back(source, known)
        return self._known[source.name]

    def _look_back(self, source: Source, known: _Source) -> None:
        contract = known.contract
        needed = self._policy.standing.probation_approvals
        if contract is not None and contract.probation is not None:
            needed = contract.probation
        with self._ledger.view() as view:
            if source.probation:
                have = approvals(view, self._policy, source)
                if have < needed:
                    known.awaited = f"{have} of {needed} documents of {source.name} were approved"
            if contract is None:
                return
            rows = view.published(source.name)
            known.twins = {
                row.digest: row.doc_id for row in rows if row.standing in ("active", "quarantined")
            }
            if contract.clauses.rate is not None:
                begin = self._now - contract.clauses.rate[1]
                since = {item.version for item in view.snapshots() if item.issued_at > begin}
                known.recent = sum(row.admitted in since for row in rows)


def signed_contract(source: Source, contracts: ContractFile) -> Contract | None:
    """The contract that the policy names for a source; None where it names none.

    Raises ProofError where the file is missing, is another than was signed, or can no longer be read.
    """
    if source.contract is None:
        return None
    data = contracts(source)
    if data is None or Digest.of(data) != source.contract:
        what = "is missing" if data is None else "is not the one that was signed"
        reason = (
            f"the contract of {source.name} {what} (sha256 {source.contract.hex[:16]}…): put it back, or sign the new "
            "one with `trustrag contract sign`"
        )
        raise ProofError(Refusal.MALFORMED, reason)
    try:
        return Contract.parse(data)
    except MalformedError as error:
        raise ProofError(Refusal.MALFORMED, f"the contract of {source.name}: {error}") from error
