"""What goes into a ledger and what comes out, as plain values."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from trustrag.provenance.canonical import Digest
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.evidence import LoggedEnvelope
from trustrag.provenance.keys import PublicKey, Signer
from trustrag.provenance.standing import ChunkLeaf, StandingEntry
from trustrag.provenance.statement import DocumentClaim
from trustrag.stored import Ids, Vectors

Standing: TypeAlias = Literal["active", "superseded", "quarantined", "withdrawn"]
Action: TypeAlias = Literal["quarantine", "restore", "withdraw"]


@dataclass(frozen=True, slots=True)
class Sealer:
    """Who seals: `seal` signs snapshots, `log` signs checkpoints of the log called `origin`.

    `seal_keys` and `log_keys` may have signed the last snapshot, beside these two: who sealed before a rotation.
    """

    origin: str
    seal: Signer
    log: Signer
    snapshot_lifetime: int  # seconds
    seal_keys: tuple[PublicKey, ...] = ()
    log_keys: tuple[PublicKey, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredText:
    """A chunk's text and its span in the document's text, in characters."""

    text: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Admission:
    """One document version with all that was said about it. `vectors` is float32[len(chunks), dimension].

    `metadata` is the canonical JSON whose digest the claim names. `source_name` is for filters; what
    a passage proves comes from its envelopes alone. It is served until its source's statement expires,
    and no longer than until `expires` (unix seconds).
    """

    claim: DocumentClaim
    source: Envelope
    ingest: Envelope
    reviews: tuple[Envelope, ...]
    metadata: bytes
    chunks: tuple[StoredText, ...]
    vectors: Vectors
    source_name: str
    standing: Literal["active", "quarantined"] = "active"
    findings: tuple[str, ...] = ()
    expires: int | None = None


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
class Decision:
    """What somebody decided about a version that waits, and never stood.

    `envelope` is the signed review or rejection; to assign it takes none. `reason` is for whom it is assigned to, or why
    it is approved or rejected. With `settles` it stands from now on, or is taken out; without, more people have to say
    the same.
    """

    action: Literal["approve", "reject", "assign"]
    doc_id: str
    version: int
    reason: str
    envelope: Envelope | None = None
    settles: bool = False

    def __post_init__(self) -> None:
        if (self.envelope is None) != (self.action == "assign") or (self.settles and self.envelope is None):
            raise ValueError("who approves or rejects signs it, and who assigns settles nothing")

    @property
    def source(self) -> None:
        """A decision is about one version, never about all of a source."""

    @property
    def told(self) -> str:
        """What the snapshot says of it."""
        whom = f" to {self.reason}" if self.action == "assign" else ""
        return f"{self.action} version {self.version} of {self.doc_id}{whom}"


@dataclass(frozen=True, slots=True)
class Said:
    """A review or rejection as the log holds it: at `index`, sealed by `snapshot` at `at` (unix seconds).

    It leads to the log's newest checkpoint; whether its key may say it, the policy decides.
    """

    envelope: Envelope
    index: int
    snapshot: int
    at: int


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
    standing: str
    first_chunk: int
    chunk_count: int
    admitted: int  # the version of the snapshot that it came in with
    findings: tuple[str, ...]
    metadata: bytes
    metadata_digest: Digest


@dataclass(frozen=True, slots=True)
class Held:
    """A version that waits for people, with all that was said of it. Nothing here is verified.

    One leaf, text and vector (little-endian float32) for each chunk. `source` and `ingest` are the envelopes that its
    entry names; `assigned` is to whom it was given last.
    """

    version: VersionRow
    entry: StandingEntry
    leaves: tuple[ChunkLeaf, ...]
    texts: tuple[str, ...]
    vectors: tuple[bytes, ...]
    source: LoggedEnvelope
    ingest: LoggedEnvelope
    assigned: str | None


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
    """One thing that the audit found wrong: where in the ledger, and what; and the document, where it is about one."""

    where: str
    what: str
    doc_id: str | None = None


def joined(parts: Iterable[tuple[int, int, str]]) -> str:
    """A document's text out of its chunks: (start, end, text) in order, spans in characters.

    Between chunks only blanks were left out: a space inside a sentence, else a new line.
    """
    text, end = "", 0
    for start, stop, part in parts:
        if start > end and text:
            text += " " if part[:1].islower() else "\n"
        text += part[max(0, end - start) :]
        end = max(end, stop)
    return text
