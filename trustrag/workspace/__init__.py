"""The composition root: one folder, opened and wired. Everything above imports what it needs of the rooms below from here."""

from trustrag.authority import KeyFact
from trustrag.ingest.document import Document
from trustrag.ingest.report import AttestReport, IngestReport, Outcome
from trustrag.monitor.audit import AuditReport
from trustrag.monitor.record import Assessment
from trustrag.provenance.canonical import Metadata
from trustrag.provenance.evidence import RefusedPassage, VerifiedPassage
from trustrag.provenance.export import EvidenceReport
from trustrag.provenance.policy import Bounds, Source
from trustrag.published.writer import PublishReport
from trustrag.retrieval.answer import Abstained, Grounded
from trustrag.retrieval.embedders import AnyEmbedder
from trustrag.retrieval.ranking import Mode
from trustrag.retrieval.retriever import RankedPassage, SearchReport
from trustrag.workspace.logface import Gathered, LogFace, verify_log_proof
from trustrag.workspace.wiring import verify_evidence
from trustrag.workspace.workspace import Workspace

__all__ = [
    "Abstained",
    "AnyEmbedder",
    "Assessment",
    "AttestReport",
    "AuditReport",
    "Bounds",
    "Document",
    "EvidenceReport",
    "Gathered",
    "Grounded",
    "IngestReport",
    "KeyFact",
    "LogFace",
    "Metadata",
    "Mode",
    "Outcome",
    "PublishReport",
    "RankedPassage",
    "RefusedPassage",
    "SearchReport",
    "Source",
    "VerifiedPassage",
    "Workspace",
    "verify_evidence",
    "verify_log_proof",
]
