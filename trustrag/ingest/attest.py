"""Sign without the store: a source names its documents, and carries the envelopes wherever it likes.

    report, envelopes = attest(read(["docs/"]), signer=key, context=context, now=now, earlier=known)
    write_attestations(Path("docs.intoto.jsonl"), [*known, *envelopes])

A file of attestations holds one DSSE envelope a line. It is also the source's memory of its version numbers:
given back as `earlier`, documents that did not change are left alone and the others get their next version.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from trustrag.errors import ConfigError, MalformedError, TrustragError
from trustrag.files import write_whole
from trustrag.ingest.document import Document, ReadProblem
from trustrag.ingest.report import AttestReport, Outcome
from trustrag.provenance.canonical import Digest, encode_metadata
from trustrag.provenance.envelope import MAX_ENVELOPE_BYTES, Envelope, sign
from trustrag.provenance.keys import Signer
from trustrag.provenance.policy import Attested, Policy, Source
from trustrag.provenance.statement import Context, DocumentClaim, SourceStatement, parse_statement

BATCH_DOCUMENTS = 16
"""Most documents of one statement: whoever proves one passage reads the whole statement it rests on."""

BATCH_WEIGHT = 44_000
"""Most bytes that the documents of one statement may take, so that its envelope fits a log entry."""


def claim_of(document: Document, version: int, previous: Digest | None, metadata: bytes) -> DocumentClaim:
    """What a source says of this document. MalformedError for what cannot be signed."""
    return DocumentClaim(
        doc_id=document.doc_id,
        version=version,
        digest=document.digest,
        previous=previous,
        media_type=document.media_type,
        licence=document.licence,
        metadata=Digest.of(metadata),
        derived_from=document.derived_from,
    )


def weight(claim: DocumentClaim) -> int:
    """An upper bound of the bytes that a document takes in a source or an ingest statement.

    Its name stands in an ingest statement three times, where quotes and backslashes take two bytes. Raises
    MalformedError where one document alone is more than a statement holds.
    """
    name = len(claim.doc_id.encode()) + claim.doc_id.count('"') + claim.doc_id.count("\\")
    size = 1200 + 3 * name + 1400 * len(claim.derived_from)
    if size > BATCH_WEIGHT:
        raise MalformedError(f"derived from {len(claim.derived_from)} media: too many for one statement")
    return size


def attest(
    documents: Iterable[Document | ReadProblem],
    *,
    signer: Signer,
    context: Context,
    now: int,
    expires: int | None = None,
    version: int | None = None,
    earlier: Sequence[Envelope] = (),
    again: bool = False,
) -> tuple[AttestReport, list[Envelope]]:
    """Sign documents as their source, in batches; returns what was done and the new envelopes.

    `earlier` are the source's own attestations: a document they name with the same bytes, metadata and
    licence is unchanged (unless that statement has expired, or with `again`), another gets the version after
    theirs, or `version` where that is given. Raises ValueError for a `version` below 1, and MalformedError where
    something in `earlier` is no statement: a count continued from half a memory would repeat itself.
    """
    if version is not None and version < 1:
        raise ValueError("versions begin at 1")
    known = _newest(earlier, context, now, again)
    lists: dict[str, list[Outcome]] = {"attested": [], "unchanged": [], "refused": [], "skipped": []}
    claims: list[DocumentClaim] = []
    for item in documents:
        if isinstance(item, ReadProblem):
            lists["skipped" if item.skipped else "refused"].append(Outcome(item.path, item.reason))
            continue
        outcome, claim = _claim_next(item, known, version)
        if claim is not None:
            claims.append(claim)
            known[claim.doc_id] = _Known(claim, expired=False, signed_now=True)
        kind = "refused" if outcome.version == 0 else "unchanged" if claim is None else "attested"
        lists[kind].append(outcome)
    envelopes = [
        sign(SourceStatement(context, batch, now, expires).encode(), signer) for batch in _batches(claims)
    ]
    return AttestReport(**{name: tuple(outcomes) for name, outcomes in lists.items()}), envelopes


@dataclass(frozen=True, slots=True)
class _Known:
    claim: DocumentClaim
    expired: bool
    signed_now: bool = False


def _newest(earlier: Sequence[Envelope], context: Context, now: int, again: bool) -> dict[str, _Known]:
    """The newest claim for each document. These only continue a count, so no signature is asked for."""
    known: dict[str, _Known] = {}
    for envelope in earlier:
        statement = parse_statement(envelope.payload)
        if not isinstance(statement, SourceStatement) or statement.context != context:
            continue
        expired = again or (statement.expires is not None and statement.expires <= now)
        for claim in statement.documents:
            if claim.doc_id not in known or claim.version > known[claim.doc_id].claim.version:
                known[claim.doc_id] = _Known(claim, expired)
    return known


def _claim_next(
    document: Document, known: dict[str, _Known], version: int | None
) -> tuple[Outcome, DocumentClaim | None]:
    last = known.get(document.doc_id)
    number = version or (last.claim.version + 1 if last else 1)
    try:
        # The version before is named only where it is known to be the one before.
        follows = last is not None and number == last.claim.version + 1
        previous = last.claim.digest if last is not None and follows else None
        claim = claim_of(document, number, previous, encode_metadata(document.metadata))
        weight(claim)
    except MalformedError as error:
        return Outcome(document.doc_id, str(error)), None
    if last is None:
        return Outcome(document.doc_id, "signed", number), claim
    if _says_the_same(last.claim, claim) and not last.expired:
        return Outcome(document.doc_id, "already signed", last.claim.version), None
    if last.claim.digest == claim.digest and media_of(last.claim) not in ((), media_of(claim)):
        reason = "TAMPERED_MEDIA: its media changed since it was signed, and it did not: make it anew from what is there"
        return Outcome(document.doc_id, reason), None
    if last.signed_now:
        return Outcome(document.doc_id, "another document of this run has the same id"), None
    if number <= last.claim.version:
        return Outcome(
            document.doc_id, f"version {last.claim.version} is signed already; give a later one"
        ), None
    return Outcome(document.doc_id, f"signed, after version {last.claim.version}", number), claim


def media_of(claim: DocumentClaim) -> tuple[Digest, ...]:
    """The media that a document was made from."""
    return tuple(origin.media for origin in claim.derived_from)


def _says_the_same(old: DocumentClaim, new: DocumentClaim) -> bool:
    return (old.digest, old.metadata, old.licence, old.media_type, old.derived_from) == (
        new.digest,
        new.metadata,
        new.licence,
        new.media_type,
        new.derived_from,
    )


def _batches(claims: Iterable[DocumentClaim]) -> Iterator[tuple[DocumentClaim, ...]]:
    batch: list[DocumentClaim] = []
    total = 0
    for claim in claims:
        size = weight(claim)
        if batch and (len(batch) == BATCH_DOCUMENTS or total + size > BATCH_WEIGHT):
            yield tuple(batch)
            batch, total = [], 0
        batch.append(claim)
        total += size
    if batch:
        yield tuple(batch)


def write_attestations(path: Path, envelopes: Iterable[Envelope]) -> None:
    """Write one envelope a line, all or nothing: a reader finds the old file or the whole new one."""
    write_whole(path, b"".join(envelope.encode() + b"\n" for envelope in envelopes))


def read_attestations(path: Path) -> Iterator[Envelope | ReadProblem]:
    """Read a file of attestations; a bad line is a problem of its own. Raises OSError."""
    with path.open("rb") as stream:
        number = 0
        # Nothing longer than an envelope is held in memory, however long the line.
        while line := stream.readline(MAX_ENVELOPE_BYTES + 3):
            number += 1
            if not line.strip():
                continue
            try:
                yield Envelope.parse(line.strip())
            except MalformedError as error:
                yield ReadProblem(f"{path.name}:{number}", f"{error.refusal}: {error}")
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_ENVELOPE_BYTES)


def attest_into(
    out: Path,
    documents: Iterable[Document | ReadProblem],
    *,
    signer: Signer,
    context: Context,
    now: int,
    again: bool = False,
) -> AttestReport:
    """Sign documents and add the envelopes to the file `out`, which is the memory of version numbers as well.

    With `again`, also those that did not change, as their next version: after a key of the source was replaced.

    Raises ConfigError where `out` cannot be read or written, and MalformedError where it holds a bad line: to go on
    from half a memory would number versions wrongly.
    """
    try:
        lines = list(read_attestations(out)) if out.exists() else []
    except OSError as error:
        raise ConfigError(f"{out} cannot be read: {error.strerror}") from error
    for line in lines:
        if isinstance(line, ReadProblem):
            raise MalformedError(f"{line.path}: {line.reason}; repair or move the file, and sign again")
    earlier = [line for line in lines if isinstance(line, Envelope)]
    report, made = attest(documents, signer=signer, context=context, now=now, earlier=earlier, again=again)
    try:
        write_attestations(out, [*earlier, *made])
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}") from error
    return report


@dataclass(frozen=True, slots=True)
class SignedClaim:
    """One claim with the attestation that makes it, checked against the policy."""

    claim: DocumentClaim
    attested: Attested[SourceStatement]
    source: Source
    envelope: Envelope


class ClaimBook:
    """What a set of attestations says, by document, and why some of it is not believed."""

    def __init__(self, envelopes: Iterable[Envelope], policy: Policy, *, log_index: int, now: int) -> None:
        self._policy = policy
        self._claims: dict[str, list[SignedClaim]] = {}
        self._reasons: dict[str, str] = {}
        self.problems: list[Outcome] = []
        for envelope in envelopes:
            self._enter(envelope, log_index, now)

    def _enter(self, envelope: Envelope, log_index: int, now: int) -> None:
        try:
            attested = self._policy.authorise(envelope, SourceStatement, log_index=log_index)
            source = self._policy.publisher(attested)
        except TrustragError as error:
            self._blame(envelope, one_reason(error))
            return
        if attested.statement.expires is not None and attested.statement.expires <= now:
            self._blame(envelope, "EXPIRED: its attestation has run out; the source has to sign it again")
            return
        for claim in attested.statement.documents:
            self._claims.setdefault(claim.doc_id, []).append(SignedClaim(claim, attested, source, envelope))

    def _blame(self, envelope: Envelope, reason: str) -> None:
        """Note the reason for every document that the envelope speaks of; nothing else of it is used."""
        try:
            statement = parse_statement(envelope.payload)
        except MalformedError:
            statement = None
        if not isinstance(statement, SourceStatement):
            self.problems.append(Outcome(f"attestation {envelope.digest.hex[:16]}", reason))
            return
        for claim in statement.documents:
            self._reasons[claim.doc_id] = reason

    def find(self, document: Document, metadata: bytes) -> list[SignedClaim] | str:
        """The claims for exactly these bytes and metadata, newest first; in one line why there is none.

        Several sources may name one document, so a claim that is out of its source's scope hides no other.
        """
        entries = self._claims.get(document.doc_id, [])
        if not entries:
            return self._reasons.get(document.doc_id, "unsigned: no attestation names it")
        same_bytes = [entry for entry in entries if entry.claim.digest == document.digest]
        if not same_bytes:
            signed = max(entries, key=lambda entry: entry.claim.version).claim.digest.hex[:16]
            return f"TAMPERED_TEXT: its bytes are {document.digest.hex[:16]}…, the signed ones {signed}…"
        media = tuple(origin.media for origin in document.derived_from)
        if all(media_of(entry.claim) != media for entry in same_bytes):
            return "TAMPERED_MEDIA: its bytes are the signed ones, and the media it was made from is not"
        digest = Digest.of(metadata)
        exact = [entry for entry in same_bytes if entry.claim.metadata == digest]
        if not exact:
            return "TAMPERED_METADATA: its bytes are the signed ones, its metadata are not"
        objections = [(entry, self._objection(entry)) for entry in exact]
        allowed = [entry for entry, objection in objections if not objection]
        allowed.sort(key=lambda entry: entry.claim.version, reverse=True)
        return allowed or objections[0][1]

    def _objection(self, entry: SignedClaim) -> str:
        """Why this source may not say this; empty when it may."""
        try:
            self._policy.claim(entry.attested, entry.claim.doc_id, entry.claim.version)
        except TrustragError as error:
            return one_reason(error)
        return ""


def one_reason(error: TrustragError) -> str:
    """An error as the one line of a report, beginning with its refusal where it has one."""
    text = " ".join(str(error).split())
    return f"{error.refusal}: {text}" if isinstance(error, MalformedError) else text
