"""What goes into a ledger and what comes out, as plain values."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from trustrag.provenance.canonical import Digest
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.keys import Signer
from trustrag.provenance.statement import DocumentClaim
from trustrag.stored import Ids, Vectors

Standing: TypeAlias = Literal["active", "superseded", "quarantined", "withdrawn"]
Action: TypeAlias = Literal["quarantine", "restore", "withdraw"]


@dataclass(frozen=True, slots=True)
class Sealer:
    """Who seals: `seal` signs snapshots, `log` signs checkpoints of the log called `origin`."""

    origin: str
    seal: Signer
    log: Signer
    snapshot_lifetime: int  # seconds


@dataclass(frozen=True, slots=True)
class StoredText:
    """A chunk's text and its span in the document's text, in characters."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Admission:
    """One document version with all that was said about it. `vectors` is float32[len(chunks), dimension].

    `metadata` is the canonical JSON whose digest the claim names. `source_name` and `title` are for people
    and filters; what a passage proves comes from its envelopes alone.
    """

    claim: DocumentClaim
    source: Envelope
    ingest: Envelope
    reviews: tuple[Envelope, ...]
    title: str
    metadata: bytes
    chunks: tuple[StoredText, ...]
    vectors: Vectors
    source_name: str
    standing: Literal["active", "quarantined"] = "active"
    findings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Ruling:
    """A change of standing for one document or for everything of one source.

    `version` names the version to restore; without it the newest that does not stand. `reviews` are approvals
    that came since, for `restore` of a document.
    """

    action: Action
    reason: str
    doc_id: str | None = None
    source: str | None = None
    version: int | None = None
    reviews: tuple[Envelope, ...] = ()

    def __post_init__(self) -> None:
        if (self.doc_id is None) == (self.source is None):
            raise ValueError("a ruling names a document or a source, and not both")
        if (self.version is not None or self.reviews) and (self.action != "restore" or self.doc_id is None):
            raise ValueError("only the restoring of one document takes a version or reviews")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One sealed state. `log_index` is the snapshot's own entry, `log_size` the size that its checkpoint
    signs.
    """

    version: int
    root: Digest
    log_index: int
    log_size: int
    action: str
    reason: str | None
    issued_at: int
    expires: int


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version of one document, as the ledger remembers it; unsigned, and so never shown as proved."""

    row: int
    doc_id: str
    version: int
    digest: Digest
    source_name: str
    title: str
    standing: str
    first_chunk: int
    chunk_count: int
    admitted: int  # the version of the snapshot that it came in with
    findings: tuple[str, ...]
    metadata: bytes
    metadata_digest: Digest


@dataclass(frozen=True, slots=True)
class SourceRows:
    """What the ledger remembers of one source; unsigned.

    `documents` are the chunks of what stands, int64[n, 2] of (first chunk, count) in the order of admission.
    `held` documents wait in quarantine with nothing newer in their place; `ruled` are those that a ruling put
    there, and that were not restored since, whatever became of them.
    """

    documents: Ids
    superseded: int
    withdrawn: int
    held: tuple[str, ...]
    ruled: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that the audit found wrong: where in the ledger, and what."""

    where: str
    what: str
