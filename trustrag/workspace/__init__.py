"""The composition root: one folder, opened and wired. Everything above imports what it needs of the rooms below from here."""

from trustrag.authority import KeyFact
from trustrag.ingest.contracts import Contract, Problem
from trustrag.ingest.desk import Case, Decided, Opinion, Piece, Shown
from trustrag.ingest.document import Document
from trustrag.ingest.report import AttestReport, IngestReport, Outcome
from trustrag.ingest.screening import Finding
from trustrag.keyring import UNSAID
from trustrag.ledger import VersionRow
from trustrag.monitor.audit import AuditReport
from trustrag.monitor.custody import Chain, Link
from trustrag.monitor.history import Change, Difference, Event, SnapshotFact
from trustrag.monitor.lineage import openlineage_of, prov_of
from trustrag.monitor.record import Assessment
from trustrag.monitor.rollback import RollbackStep
from trustrag.provenance.canonical import Metadata
from trustrag.provenance.evidence import RefusedPassage, VerifiedPassage
from trustrag.provenance.export import EvidenceReport
from trustrag.provenance.names import check_segment, check_text, named_passage, passage_name
from trustrag.provenance.policy import Bounds, Reviewer, Source
from trustrag.provenance.statement import MAX_REASON_BYTES, RollbackStatement
from trustrag.published.writer import PublishReport
from trustrag.retrieval.answer import Abstained, Grounded
from trustrag.retrieval.embedders import AnyEmbedder
from trustrag.retrieval.ranking import Mode
from trustrag.retrieval.replay import Replay
from trustrag.retrieval.retriever import RankedPassage, SearchReport
from trustrag.workspace.contracts import check_file, template, write_new
from trustrag.workspace.custody import Custody, KeyChange
from trustrag.workspace.history import History, RolledBack, approve_rollback
from trustrag.workspace.logface import Gathered, LogFace, verify_log_proof
from trustrag.workspace.reviews import Details
from trustrag.workspace.wiring import verify_evidence
from trustrag.workspace.workspace import Workspace

__all__ = [
    "MAX_REASON_BYTES",
    "UNSAID",
    "Abstained",
    "AnyEmbedder",
    "Assessment",
    "AttestReport",
    "AuditReport",
    "Bounds",
    "Case",
    "Chain",
    "Change",
    "Contract",
    "Custody",
    "Decided",
    "Details",
    "Difference",
    "Document",
    "Event",
    "EvidenceReport",
    "Finding",
    "Gathered",
    "Grounded",
    "History",
    "IngestReport",
    "KeyChange",
    "KeyFact",
    "Link",
    "LogFace",
    "Metadata",
    "Mode",
    "Opinion",
    "Outcome",
    "Piece",
    "Problem",
    "PublishReport",
    "RankedPassage",
    "RefusedPassage",
    "Replay",
    "Reviewer",
    "RollbackStatement",
    "RollbackStep",
    "RolledBack",
    "SearchReport",
    "Shown",
    "SnapshotFact",
    "Source",
    "VerifiedPassage",
    "VersionRow",
    "Workspace",
    "approve_rollback",
    "check_file",
    "check_segment",
    "check_text",
    "named_passage",
    "openlineage_of",
    "passage_name",
    "prov_of",
    "template",
    "verify_evidence",
    "verify_log_proof",
    "write_new",
]
