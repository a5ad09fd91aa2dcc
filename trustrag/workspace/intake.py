"""The way in of a workspace: the pipeline with this workspace's keys, contracts, screens and neighbours."""

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from trustrag.ingest.chunking import Chunker
from trustrag.ingest.document import Document, ReadProblem
from trustrag.ingest.moving import KeptVectors
from trustrag.ingest.pipeline import Pipeline, Progress
from trustrag.ingest.report import IngestReport
from trustrag.ingest.screening import choose
from trustrag.provenance.envelope import Envelope
from trustrag.workspace.contracts import ContractFolder
from trustrag.workspace.opened import Opened
from trustrag.workspace.wiring import BESIDE, given_lines, signers_of, witnesses_beside, witnesses_near


def take_in(
    opened: Opened,
    documents: Iterable[Document | ReadProblem],
    source: str | None,
    attestations: str | Path | Sequence[Envelope],
    progress: Progress | None,
    *,
    advisory: Collection[str] = (),
    kept: KeptVectors | None = None,
) -> IngestReport:
    """See `Workspace.ingest_documents`."""
    battery, authority = choose(advisory=advisory), opened.authority
    envelopes = given_lines(attestations, source)
    authority.refresh()  # first: who holds the keys need not know that something was about to expire
    signer = None if source is None else authority.source_signer(source)
    near = witnesses_beside(opened.searcher, opened.clock)
    with opened.writing() as ledger:
        pipeline = Pipeline(
            ledger,
            opened.policy,
            opened.embedder,
            signers_of(authority),
            opened.sealer(),
            battery=battery,
            kept=kept,
            chunker=Chunker(opened.settings.chunk_size, opened.settings.chunk_overlap),
            neighbours=witnesses_near(near, opened.embedder),
            beside=witnesses_beside(opened.searcher, opened.clock, most=BESIDE),
            contracts=ContractFolder(opened.folder).read,
            clock=opened.clock,
        )
        before = ledger.snapshot().version
        report = pipeline.ingest(documents, source=signer, attestations=envelopes, progress=progress)
    opened.searcher().foresee(before)
    return report
