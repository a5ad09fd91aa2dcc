"""What the rows of a version have to say, by what was signed about it.

A row is a copy of what envelopes say, kept where it is quick to find, and anybody can edit it. Here the copy is held
against the envelopes: whose key signed it, which bytes and metadata, how it was cut, and with which snapshot it came in.
What the screens found is in no statement, and not looked at.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from trustrag.errors import LedgerError
from trustrag.ledger.history import Publisher
from trustrag.ledger.model import Snapshot, VersionRow
from trustrag.ledger.rows import StandingRow
from trustrag.ledger.standing import entry_of
from trustrag.provenance.canonical import Digest
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.standing import StandingEntry
from trustrag.provenance.statement import (
    EmbedderId,
    IngestedDocument,
    IngestStatement,
    SourceStatement,
    Statement,
    parse_statement,
)

_S = TypeVar("_S", bound=Statement)
_KEPT = 64  # envelopes: a batch shares its two or three


class Signed:
    """The log, asked about versions. `read` gives the envelope at a log index; without `publisher` nobody is asked whose
    key it was.
    """

    def __init__(
        self, read: Callable[[int], Envelope], snapshots: Sequence[Snapshot], publisher: Publisher | None
    ) -> None:
        self._read = read
        self._publisher = publisher
        self._sealed = sorted((snapshot.log_index, snapshot.version) for snapshot in snapshots)
        self.embedders: set[EmbedderId] = set()  # of the ingests that were asked about
        self._known: dict[int, tuple[Envelope, Statement, str | None]] = {}

    def differences(self, version: VersionRow, entry: StandingEntry) -> Iterator[str]:
        """What this row says otherwise than its entry, and what those say that the entry names.

        Raises LedgerError or MalformedError where the log has not what the entry names.
        """
        told = (entry.doc_id, entry.version, entry.document, entry.chunk_count)
        if told != (version.doc_id, version.version, version.digest, version.chunk_count):
            yield "its row differs from its standing entry"
            return
        for digest, index in entry.reviews:
            self._named(digest, index)
        source, publisher = self._said(entry.source, entry.source_index, SourceStatement)
        ingest, _ = self._said(entry.ingest, entry.ingest_index, IngestStatement)
        claim = next((one for one in source.documents if one.doc_id == entry.doc_id), None)
        if claim is None or (claim.version, claim.digest) != (entry.version, entry.document):
            yield "its source signed something else"
        elif claim.metadata != version.metadata_digest:
            yield "its metadata_digest is not that of the metadata that its source signed"
        done = IngestedDocument(
            entry.doc_id, entry.version, entry.document, entry.source, entry.chunk_root, entry.chunk_count
        )
        if done not in ingest.documents:
            yield "its ingest statement says otherwise than its standing entry"
        if publisher is not None and publisher != version.source_name:
            yield f"its row says that it is of source {version.source_name!r}, and {publisher!r} signed it"
        sealed = self.sealed_with(entry.ingest_index)
        if sealed is not None and sealed != version.admitted:
            yield f"its row says that it came in with snapshot {version.admitted}, and that was {sealed}"

    def require(self, version: VersionRow, stays: Sequence[StandingRow], stands: bool) -> None:
        """Raises LedgerError for what a row says otherwise; `stays` are its own, and `stands` is what the tree says."""
        name = f"{version.doc_id} version {version.version} in ledger.db"
        if not stays:
            raise LedgerError(f"{name}: its entry in table standing is missing: see trustrag audit")
        if (version.standing == "active") != stands:
            told = "it stands" if stands else "it does not stand"
            raise LedgerError(
                f"{name}: its row says that it is {version.standing}, and {told}: see trustrag audit"
            )
        for what in self.differences(version, entry_of(stays[-1])):
            raise LedgerError(f"{name}: {what}: see trustrag audit")

    def publisher(self, entry: StandingEntry) -> str | None:
        """The source whose key signed what this entry is of; None where it is nobody's, or nobody is asked."""
        return self._named(entry.source, entry.source_index)[2]

    def subject(self, entry: StandingEntry) -> Digest:
        """The payload that reviews and rejections of this entry are about."""
        return Digest.of(self._named(entry.ingest, entry.ingest_index)[0].payload)

    def sealed_with(self, index: int) -> int | None:
        """The snapshot that sealed a log entry first."""
        at = bisect_left(self._sealed, (index, 0))
        return self._sealed[at][1] if at < len(self._sealed) else None

    def _said(self, digest: Digest, index: int, kind: type[_S]) -> tuple[_S, str | None]:
        _, statement, publisher = self._named(digest, index)
        if not isinstance(statement, kind):
            raise LedgerError(f"log entry {index} is a {type(statement).__name__}, not a {kind.__name__}")
        return statement, publisher

    def _named(self, digest: Digest, index: int) -> tuple[Envelope, Statement, str | None]:
        known = self._known.get(index)
        if known is None:
            if len(self._known) >= _KEPT:
                self._known.clear()
            envelope = self._read(index)
            statement = parse_statement(envelope.payload)
            signer = None
            if self._publisher is not None and isinstance(statement, SourceStatement):
                signer = self._publisher(envelope)
            if isinstance(statement, IngestStatement):
                self.embedders.add(statement.embedder)
            known = self._known[index] = envelope, statement, signer
        if known[0].digest != digest:
            raise LedgerError(f"log entry {index} is not the envelope that it names")
        return known
