"""The way in: from documents to a sealed snapshot, batch by batch.

    document -> signed by its source? -> new? -> cut -> screened -> embedded -> screened in company -> signed -> reviewed
             -> one transaction of the ledger for the batch

Each batch is committed before the next begins. A run that is interrupted, or killed, keeps what it committed;
run again, it finds those documents unchanged and goes on with the rest.
"""

import time
from collections.abc import Callable, Iterable, Sequence, Sized
from typing import Literal, TypeAlias

from trustrag.errors import (
    ConfigError,
    ConflictError,
    MalformedError,
    NotFoundError,
    UnsignedDocumentError,
    VerificationError,
)
from trustrag.ingest.around import Beside, LedgerAround
from trustrag.ingest.attest import BATCH_DOCUMENTS, BATCH_WEIGHT, ClaimBook, one_reason, weight
from trustrag.ingest.batch import BATCH_CHUNKS, TOOL, Candidate, Embedder, Maker, Signers, Vectors
from trustrag.ingest.chunking import Chunker
from trustrag.ingest.contracts import Agreed, ContractFile
from trustrag.ingest.decide import Decider, Publisher
from trustrag.ingest.document import Document, ReadProblem
from trustrag.ingest.moving import KeptVectors
from trustrag.ingest.report import IngestReport, Outcome
from trustrag.ingest.screening import Battery, Severity, default_battery
from trustrag.ingest.screening.company import Arrival
from trustrag.ingest.screening.versions import REVIEWED, Neighbours
from trustrag.ledger import Ledger, Sealer
from trustrag.provenance.envelope import Envelope, sign
from trustrag.provenance.keys import PublicKey, Signer
from trustrag.provenance.policy import Policy, PolicyKey
from trustrag.provenance.statement import SourceStatement

__all__ = ["Embedder", "IngestReport", "Outcome", "Pipeline", "Progress", "Signers"]

Progress: TypeAlias = Callable[[int, int | None, str], None]
"""Called with (documents settled, documents in all if that is known, the id of the last one)."""


class Pipeline:
    """Takes documents in. Every signature is checked against `policy`, every name against `ledger`.

    `neighbours` finds what independent sources say near a sentence in which a new version changed a value; without it
    such a change is told, and nothing waits for it. `beside` finds the same near the vector of a passage; without it
    nothing is known to contradict one. `contracts` finds the contract files that the policy names by their digests.
    `kept` are vectors of this embedder that were made elsewhere; what is signed tells so.
    Raises ConfigError when the policy does not name the signers for their tasks, and ConflictError when the
    ledger was made with another embedder.
    """

    def __init__(
        self,
        ledger: Ledger,
        policy: Policy,
        embedder: Embedder,
        signers: Signers,
        sealer: Sealer,
        *,
        battery: Battery | None = None,
        chunker: Chunker | None = None,
        neighbours: Neighbours = lambda text, source: (),
        beside: Beside = lambda vector, source: (),
        contracts: ContractFile = lambda source: None,
        clock: Callable[[], int] = lambda: int(time.time()),
        kept: KeptVectors | None = None,
    ) -> None:
        self.ledger = ledger
        self.policy = policy
        self.embedder = kept or embedder
        self.signers = signers
        self.sealer = sealer
        self.battery = battery or default_battery()
        self.chunker = chunker or Chunker()
        self.neighbours = neighbours
        self.beside = beside
        self.contracts = contracts
        self.clock = clock
        self.tool = kept.tool if kept else TOOL
        _require_key("ingest", policy.ingest.keys, signers.ingest.public_key)
        _require_key("screen", policy.screen.keys, signers.screen.public_key)
        _require_key("seal", policy.seal.keys, sealer.seal.public_key)
        _require_key("log", policy.log.keys, sealer.log.public_key)
        made, given = ledger.embedder, embedder.id
        if (made.name, made.dimension, made.digest.value) != (given.name, given.dimension, given.digest):
            raise ConflictError(f"this ledger holds vectors of {made.name}; those of {given.name} do not fit")

    def ingest(
        self,
        documents: Iterable[Document | ReadProblem],
        *,
        source: Signer | None = None,
        attestations: Iterable[Envelope | ReadProblem] = (),
        expires: int | None = None,
        progress: Progress | None = None,
    ) -> IngestReport:
        """Take documents in: by the attestations that name them, else signed here by `source`.

        `attestations` may be what `read_attestations` gives: its bad lines are refused by name, the good ones
        count. `expires` (unix seconds) bounds what `source` signs. A document that the ledger holds already, cut the
        same way, is unchanged; one that changed gets its next version; a bad one costs itself alone.
        Raises UnsignedDocumentError, before anything is read or written, with neither of the two, and
        AuthorityError where the key of `source` may not speak as a source.
        """
        given = list(attestations)
        if source is None and not given:
            raise UnsignedDocumentError(
                "nothing says who publishes these documents: name a source to sign them, or give attestations"
            )
        total = len(documents) if isinstance(documents, Sized) else None
        run = _Run(
            self, source, [item for item in given if isinstance(item, Envelope)], expires, progress, total
        )
        run.note(item for item in given if isinstance(item, ReadProblem))
        for item in documents:
            run.take(item)
        run.commit()
        run.around.close()
        return run.report()


def _require_key(purpose: str, keys: Sequence[PolicyKey], key: PublicKey) -> None:
    if all(known.key != key for known in keys):
        raise ConfigError(
            f"the policy does not name key {key.key_id[:16]} for {purpose}: it would prove nothing"
        )


Kind: TypeAlias = Literal["admitted", "unchanged", "quarantined", "refused", "skipped"]


class _Run:
    """One call of `ingest`: what was seen, what waits for its batch, what became of the rest.

    Raises AuthorityError where the key of `signer` may not speak as a source.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        signer: Signer | None,
        envelopes: Sequence[Envelope],
        expires: int | None,
        progress: Progress | None,
        total: int | None,
    ) -> None:
        self._pipe = pipeline
        self._signer = signer
        self._expires = expires
        self._progress = progress
        self._total = total
        ledger, policy, now = pipeline.ledger, pipeline.policy, pipeline.clock()
        log_index = _log_size(ledger)
        book = ClaimBook(envelopes, policy, log_index=log_index, now=now)
        publisher = None if signer is None else Publisher.find(policy, signer.public_key, log_index)
        self._agreed = Agreed(ledger, policy, pipeline.contracts, now)
        self._decider = Decider(
            ledger,
            policy,
            pipeline.chunker,
            pipeline.battery,
            book,
            publisher,
            pipeline.neighbours,
            self._agreed,
            now,
        )
        looked_for = (*pipeline.battery.properties, REVIEWED)
        self._maker = Maker(
            ledger.context, pipeline.embedder, ledger.embedder, pipeline.signers, looked_for, pipeline.tool
        )
        self.around = LedgerAround(ledger, policy, pipeline.beside)
        self._pending: list[Candidate] = []
        self._seen: dict[str, bytes] = {}
        self._lists: dict[Kind, list[Outcome]] = {
            "admitted": [],
            "unchanged": [],
            "quarantined": [],
            "refused": book.problems,
            "skipped": [],
        }
        self._done = 0
        self._snapshot: int | None = None

    def report(self) -> IngestReport:
        """What became of every document so far."""
        return IngestReport(
            admitted=tuple(self._lists["admitted"]),
            unchanged=tuple(self._lists["unchanged"]),
            quarantined=tuple(self._lists["quarantined"]),
            refused=tuple(self._lists["refused"]),
            skipped=tuple(self._lists["skipped"]),
            snapshot=self._snapshot,
            notices=self._pipe.battery.notices,
        )

    def note(self, problems: Iterable[ReadProblem]) -> None:
        """Report lines that are no attestation; they are no documents, so no progress."""
        self._lists["refused"] += [Outcome(item.path, item.reason) for item in problems]

    def take(self, item: Document | ReadProblem) -> None:
        """Settle a document at once, or put it into the batch; a full batch is committed first."""
        if isinstance(item, ReadProblem):
            self._settle("skipped" if item.skipped else "refused", Outcome(item.path, item.reason))
            return
        if not self._is_first(item):
            return
        try:
            result = self._decider.decide(item)
        except (MalformedError, VerificationError) as error:
            self._settle("refused", Outcome(item.doc_id, one_reason(error)))
            return
        if not isinstance(result, Candidate):
            self._settle(*result)
            return
        if self._is_full_with(result):
            self.commit()
        self._pending.append(result)

    def _is_first(self, item: Document) -> bool:
        """Whether this id is new to the run; settles or prepares what is not."""
        seen = self._seen.get(item.doc_id)
        self._seen[item.doc_id] = item.digest.value if seen is None or item.by_program else seen
        if seen is None:
            return True
        if item.by_program:
            # The later one is the next version, so the earlier one has to be in by now.
            self.commit()
            return True
        if seen == item.digest.value:
            self._settle("unchanged", Outcome(item.doc_id, "the same document, twice in this run"))
        else:
            reason = "another document of this run has the same id; give one of the folders a prefix"
            self._settle("refused", Outcome(item.doc_id, reason))
        return False

    def _is_full_with(self, item: Candidate) -> bool:
        batch = [*self._pending, item]
        return bool(self._pending) and (
            len(batch) > BATCH_DOCUMENTS
            or sum(len(each.chunks) for each in batch) > BATCH_CHUNKS
            or sum(weight(each.claim) for each in batch) > BATCH_WEIGHT
        )

    def commit(self) -> None:
        """Embed, sign and write what waits. Until the ledger's transaction ends, none of it is anywhere."""
        batch, self._pending = self._pending, []
        if not batch:
            return
        now = self._pipe.clock()
        vectors = self._maker.embed(batch)
        batch = self._met(batch, vectors)
        admissions = self._maker.admissions(batch, vectors, self._sign(batch, now), now)
        self._snapshot = self._pipe.ledger.admit(admissions, self._pipe.sealer, now).version
        for item in batch:
            self._settle("quarantined" if item.held else "admitted", _outcome(item))

    def _met(self, batch: Sequence[Candidate], vectors: Sequence[Vectors]) -> list[Candidate]:
        """The batch after the screens that need company: what they find is added, and may hold a document."""
        arrivals = [
            Arrival(item.document, item.source, tuple(chunk.text for chunk in item.chunks), rows)
            for item, rows in zip(batch, vectors, strict=True)
        ]
        found = self._pipe.battery.meet(arrivals, self.around, self._agreed.advisory)
        return [item.with_findings(more) for item, more in zip(batch, found, strict=True)]

    def _sign(self, batch: Sequence[Candidate], now: int) -> Envelope | None:
        """The source's attestation for the documents of the batch that came without one."""
        claims = tuple(item.claim for item in batch if item.envelope is None)
        if not claims or self._signer is None:
            return None
        statement = SourceStatement(self._pipe.ledger.context, claims, now, self._expires)
        return sign(statement.encode(), self._signer)

    def _settle(self, kind: Kind, outcome: Outcome) -> None:
        self._lists[kind].append(outcome)
        self._done += 1
        if self._progress is not None:
            self._progress(self._done, self._total, outcome.doc_id)


def _outcome(item: Candidate) -> Outcome:
    count, version = len(item.chunks), item.claim.version
    warned = [finding for finding in item.review.findings if finding.severity is Severity.WARN]
    reason = item.held or (
        f"version {version}, {count} passage{'s' * (count != 1)}"
        + (f"; {warned[0].code}: {warned[0].reason}" if warned else "")
    )
    return Outcome(item.claim.doc_id, reason, version, count)


def _log_size(ledger: Ledger) -> int:
    """Where the next envelope will stand in the log."""
    try:
        return ledger.snapshot().log_size
    except NotFoundError:
        return 0
