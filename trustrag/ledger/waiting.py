"""What waits for people, and what they said of it so far.

What was said is read from the log: the entry before a snapshot that seals a decision is the signed review or rejection.
That something waits, rows tell: whoever edits them can hide it or show another, and the desk holds what it shows against
what was signed at ingest.
"""

from collections.abc import Iterator, Sequence

from trustrag.errors import LedgerError, NotFoundError
from trustrag.ledger.log import Log
from trustrag.ledger.model import Decision, Held, Said, Snapshot, VersionRow
from trustrag.ledger.rows import StandingRow
from trustrag.ledger.sqlite import Session
from trustrag.ledger.vectors import VectorFile
from trustrag.provenance.standing import StandingEntry
from trustrag.provenance.statement import RejectionStatement, ReviewStatement, parse_statement


def waiting(session: Session) -> Iterator[VersionRow]:
    """The versions that wait and never stood, in the order in which they came in."""
    for version in session.versions_in(("quarantined",)):
        if waiting_stay(session, version) is not None:
            yield version


def waiting_stay(session: Session, version: VersionRow) -> StandingRow | None:
    """Where this version waits; None where it stood, or was taken out."""
    return last_wait(session, version) if version.standing == "quarantined" else None


def last_wait(session: Session, version: VersionRow) -> StandingRow | None:
    """Where this version waits, or waited until it was taken out; None where it stood."""
    stays = session.standing_of(version.row)
    return stays[-1] if stays and stays[-1].since is None else None


def waiting_version(session: Session, doc_id: str, number: int | None) -> tuple[VersionRow, StandingRow]:
    """The version of this number (by default the newest) with the place where it waits. Raises NotFoundError."""
    versions = [row for row in session.versions(doc_id) if number is None or row.version == number]
    for version in reversed(versions):
        stay = waiting_stay(session, version)
        if stay is not None:
            return version, stay
    if not versions:
        which = "" if number is None else f"version {number} of "
        raise NotFoundError(f"{which}{doc_id} was never taken in")
    newest = versions[-1]
    raise NotFoundError(f"version {newest.version} of {doc_id} waits for nobody: it is {newest.standing}")


def held(
    session: Session,
    vectors: VectorFile,
    log: Log,
    doc_id: str,
    number: int | None,
    last: Snapshot,
    assignments: Sequence[str],
) -> Held:
    """What waits under this name, with its chunks. Raises NotFoundError, and LedgerError where rows are missing."""
    version, stay = waiting_version(session, doc_id, number)
    entry = StandingEntry.parse(stay.entry)
    chunks = [chunk for chunk, _ in session.chunks(version.first_chunk, version.chunk_count)]
    if len(chunks) != version.chunk_count:
        raise LedgerError(f"{doc_id}: {len(chunks)} of {version.chunk_count} chunks are in ledger.db")
    return Held(
        version=version,
        entry=entry,
        leaves=tuple(chunk.leaf(version) for chunk in chunks),
        texts=tuple(chunk.text for chunk in chunks),
        vectors=tuple(vectors.row(chunk.id) for chunk in chunks),
        source=log.logged(entry.source_index, last.log_size),
        ingest=log.logged(entry.ingest_index, last.log_size),
        assigned=_assigned(version, assignments),
    )


def assignments(session: Session) -> tuple[str, ...]:
    """What the snapshots say that sealed an assignment, oldest first."""
    reasons = (item.reason for item in session.snapshots() if item.action == "review")
    return tuple(reason for reason in reasons if reason is not None and reason.startswith("assign "))


def _assigned(version: VersionRow, assignments: Sequence[str]) -> str | None:
    """To whom a version was given last."""
    told = Decision("assign", version.doc_id, version.version, "").told
    names = [reason.removeprefix(told) for reason in assignments if reason.startswith(told)]
    return names[-1] if names else None


def said(session: Session, log: Log, last: Snapshot) -> Iterator[Said]:
    """Every review and rejection that people signed since the ledger began, oldest first.

    Raises LedgerError where an entry is not the one that was signed.
    """
    for snapshot in session.snapshots():
        if snapshot.action != "review" or snapshot.log_index == 0:
            continue
        envelope = log.proved(snapshot.log_index - 1, last.log_size)
        if isinstance(parse_statement(envelope.payload), ReviewStatement | RejectionStatement):
            yield Said(envelope, snapshot.log_index - 1, snapshot.version, snapshot.issued_at)
