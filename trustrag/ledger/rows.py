"""Rows as they come out of the database, checked for type and bounds.

Somebody else may have written them. A value that we would never write is a LedgerError; what a good value
means is proved elsewhere.
"""

import json
from typing import NamedTuple

from trustrag.errors import LedgerError, MalformedError
from trustrag.ledger.model import Snapshot, VersionRow
from trustrag.provenance.canonical import Digest
from trustrag.provenance.checkpoint import Note
from trustrag.provenance.standing import ChunkLeaf

Row = tuple[object, ...]

SNAPSHOT = "version, root, log_index, action, reason, issued_at, expires"
CHUNK = "id, version, span_start, span_end, text_digest, vector_digest, text"
STANDING = "id, version, doc_id, since, until, entry"
VERSION = (
    "id, doc_id, version, document, source, standing, first_chunk, chunk_count, admitted, findings,"
    " metadata, metadata_digest"
)
RULING = "id, snapshot, action, doc_id, source, version, reason"
STANDINGS = frozenset({"active", "superseded", "quarantined", "withdrawn"})
_MAX_INTEGER = 2**53


class StandingRow(NamedTuple):
    """One stay of a version in the standing tree, or (`since` None) its waiting outside."""

    id: int
    version: int
    doc_id: str
    since: int | None
    until: int | None
    entry: bytes


class RulingRow(NamedTuple):
    """One ruling, or the rejection that settled a case."""

    id: int
    snapshot: int
    action: str
    doc_id: str | None
    source: str | None
    version: int | None
    reason: str


class ChunkRow(NamedTuple):
    """One chunk without its vector."""

    id: int
    version: int
    start: int
    end: int
    text_digest: Digest
    vector_digest: Digest
    text: str

    @classmethod
    def of(cls, first: int, version: int, leaf: ChunkLeaf, text: str) -> "ChunkRow":
        """The row of a leaf, in a version whose chunks begin at row `first`."""
        return cls(first + leaf.index, version, leaf.start, leaf.end, leaf.text, leaf.vector, text)

    def leaf(self, version: VersionRow) -> ChunkLeaf:
        """The leaf of this row, as one of that version's chunks."""
        return ChunkLeaf(
            version.digest,
            self.id - version.first_chunk,
            version.chunk_count,
            self.text_digest,
            self.vector_digest,
            version.metadata_digest,
            self.start,
            self.end,
        )


def as_integer(value: object, what: str) -> int:
    if not isinstance(value, int) or not 0 <= value <= _MAX_INTEGER:
        raise LedgerError(f"{what} in ledger.db is no number that we would write")
    return value


def as_optional(value: object, what: str) -> int | None:
    return None if value is None else as_integer(value, what)


def as_text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise LedgerError(f"{what} in ledger.db is no text")
    return value


def as_blob(value: object, what: str, size: int | None = None) -> bytes:
    if not isinstance(value, bytes) or (size is not None and len(value) != size):
        raise LedgerError(f"{what} in ledger.db is not {f'{size} bytes' if size else 'a blob'}")
    return value


def as_digest(value: object, what: str) -> Digest:
    return Digest(as_blob(value, what, 32))


def as_note(data: bytes, version: int) -> bytes:
    """The signed note of a snapshot. Raises MalformedError where it is none."""
    try:
        Note.parse(data)
    except MalformedError as error:
        raise MalformedError(
            f"the checkpoint of snapshot {version} (table snapshot of ledger.db): {error}"
        ) from error
    return data


def snapshot_row(row: Row) -> Snapshot:
    version, root, log_index, action, reason, issued_at, expires = row
    index = as_integer(log_index, "snapshot.log_index")
    return Snapshot(
        as_integer(version, "snapshot.version"),
        as_digest(root, "snapshot.root"),
        index,
        index + 1,  # every published tree ends in its snapshot
        as_text(action, "snapshot.action"),
        None if reason is None else as_text(reason, "snapshot.reason"),
        as_integer(issued_at, "snapshot.issued_at"),
        as_integer(expires, "snapshot.expires"),
    )


def version_row(row: Row) -> VersionRow:
    (
        row_id,
        doc_id,
        version,
        document,
        source,
        standing,
        first,
        count,
        admitted,
        findings,
        metadata,
        metadata_digest,
    ) = row
    if standing not in STANDINGS:
        raise LedgerError(f"version.standing in ledger.db is none of {', '.join(sorted(STANDINGS))}")
    return VersionRow(
        as_integer(row_id, "version.id"),
        as_text(doc_id, "version.doc_id"),
        as_integer(version, "version.version"),
        as_digest(document, "version.document"),
        as_text(source, "version.source"),
        as_text(standing, "version.standing"),
        as_integer(first, "version.first_chunk"),
        as_integer(count, "version.chunk_count"),
        as_integer(admitted, "version.admitted"),
        _findings(as_text(findings, "version.findings")),
        as_blob(metadata, "version.metadata"),
        as_digest(metadata_digest, "version.metadata_digest"),
    )


def _findings(text: str) -> tuple[str, ...]:
    try:
        return tuple(str(item) for item in json.loads(text)) if text != "[]" else ()
    except (ValueError, TypeError, RecursionError):
        raise LedgerError("version.findings in ledger.db is no list") from None


def chunk_row(row: Row) -> ChunkRow:
    chunk_id, version, start, end, text_digest, vector_digest, text = row
    return ChunkRow(
        as_integer(chunk_id, "chunk.id"),
        as_integer(version, "chunk.version"),
        as_integer(start, "chunk.span_start"),
        as_integer(end, "chunk.span_end"),
        as_digest(text_digest, "chunk.text_digest"),
        as_digest(vector_digest, "chunk.vector_digest"),
        as_text(text, "chunk.text"),
    )


def standing_row(row: Row) -> StandingRow:
    row_id, version, doc_id, since, until, entry = row
    return StandingRow(
        as_integer(row_id, "standing.id"),
        as_integer(version, "standing.version"),
        as_text(doc_id, "standing.doc_id"),
        as_optional(since, "standing.since"),
        as_optional(until, "standing.until"),
        as_blob(entry, "standing.entry"),
    )


def ruling_row(row: Row) -> RulingRow:
    row_id, snapshot, action, doc_id, source, version, reason = row
    return RulingRow(
        as_integer(row_id, "ruling.id"),
        as_integer(snapshot, "ruling.snapshot"),
        as_text(action, "ruling.action"),
        None if doc_id is None else as_text(doc_id, "ruling.doc_id"),
        None if source is None else as_text(source, "ruling.source"),
        as_optional(version, "ruling.version"),
        as_text(reason, "ruling.reason"),
    )
