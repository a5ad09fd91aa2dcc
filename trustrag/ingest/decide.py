"""What becomes of one document: may it be written, as which version, or why not.

Decided from what its source signed, what the ledger holds under its name, and what the battery found.
Nothing is written here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from trustrag.errors import (
    AuthorityError,
    MalformedError,
    ProofError,
    Refusal,
    StaleError,
    VerificationError,
)
from trustrag.ingest.attest import ClaimBook, SignedClaim, claim_of, weight
from trustrag.ingest.batch import Candidate
from trustrag.ingest.chunking import Chunk, Chunker, whole
from trustrag.ingest.contracts import Agreed
from trustrag.ingest.document import Document
from trustrag.ingest.predecessor import standing_version
from trustrag.ingest.reading import BY_MEDIA_TYPE
from trustrag.ingest.report import Outcome
from trustrag.ingest.screening import Battery, Finding, Review, Screen, Severity, Verdict
from trustrag.ingest.screening.versions import Neighbours, VersionScreen
from trustrag.ledger import Ledger, StoredPassage, VersionRow
from trustrag.provenance.canonical import Digest, encode_metadata, parse_metadata
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.evidence import Evidence
from trustrag.provenance.keys import PublicKey
from trustrag.provenance.names import MAX_DOC_ID_BYTES, check_text
from trustrag.provenance.policy import Policy, Source
from trustrag.provenance.statement import (
    DocumentClaim,
    IngestStatement,
    ReviewStatement,
    SourceStatement,
)

Settled: TypeAlias = tuple[Literal["unchanged", "refused"], Outcome]

_MARKDOWN = frozenset({"text/markdown", "text/html", "application/x-ipynb+json"})
_STANDS = frozenset({"active", "quarantined"})


@dataclass(frozen=True, slots=True)
class Publisher:
    """The source that signs what no attestation names."""

    source: Source
    key: PublicKey

    @classmethod
    def find(cls, policy: Policy, key: PublicKey, log_index: int) -> "Publisher":
        """The source of this key; AuthorityError where it has none or may not speak now."""
        for source in policy.sources:
            for known in source.keys:
                if known.key == key:
                    objection = known.objection(log_index)
                    if objection is not None:
                        raise objection
                    if not source.active:
                        raise AuthorityError(Refusal.REVOKED_KEY, f"source {source.name} is suspended")
                    return cls(source, key)
        raise AuthorityError(Refusal.UNKNOWN_KEY, f"key {key.key_id[:16]} is no source's")

    def require_scope(self, policy: Policy, doc_id: str) -> None:
        """Raises AuthorityError for a document that this source may not publish."""
        if not self.source.covers(policy.context, doc_id):
            here = f"{policy.context.tenant}/{policy.context.collection}/"
            inside = [
                part.removeprefix(here).rstrip("/") for part in self.source.scope if part.startswith(here)
            ]
            reason = f"{doc_id} is out of scope for source {self.source.name}"
            if inside:
                reason += f", which publishes under {inside[0]}/ (--prefix {inside[0]}/)"
            raise AuthorityError(Refusal.OUT_OF_SCOPE, reason)


@dataclass(frozen=True, slots=True)
class _Claimed:
    claim: DocumentClaim
    source: Source
    envelope: Envelope | None
    signed_at: int | None = None


class Decider:
    """Decides over one document after the other; `publisher` signs what no attestation names."""

    def __init__(
        self,
        ledger: Ledger,
        policy: Policy,
        chunker: Chunker,
        battery: Battery,
        book: ClaimBook,
        publisher: Publisher | None,
        neighbours: Neighbours,
        agreed: Agreed,
        now: int,
    ) -> None:
        self._ledger = ledger
        self._policy = policy
        self._chunker = chunker
        self._battery = battery
        self._book = book
        self._publisher = publisher
        self._neighbours = neighbours
        self._agreed = agreed
        self._now = now
        self._objections: dict[tuple[int, ...], AuthorityError | None] = {}

    def decide(self, document: Document) -> Candidate | Settled:
        """A candidate for the next batch, or what the document already is.

        Raises MalformedError and VerificationError for a document that may not come in.
        """
        # First of all its name: the rest looks it up.
        check_text(document.doc_id, "document id", MAX_DOC_ID_BYTES)
        metadata = encode_metadata(document.metadata)
        _require_utf8(document.text)
        found = self._book.find(document, metadata)
        newest = self._ledger.version_of(document.doc_id)
        chunks = whole(document.text) if document.whole else self._cut(document)
        if not chunks:
            return _refused(document, "no text in it")
        if not isinstance(found, str):
            claimed = self._by_attestation(_of_owner(found, newest), newest)
        elif self._publisher is not None:
            claimed = self._by_publisher(self._publisher, document, metadata, newest, chunks)
        else:
            return _refused(document, found)
        if isinstance(claimed, Outcome):
            silent = self._silenced(document.doc_id)
            if silent is not None:
                return _refused(document, f"{silent}; its source signs it again: trustrag attest --again")
            return "unchanged", claimed
        if newest is not None:
            self._require_signed_owner(document.doc_id, claimed.source)
        weight(claimed.claim)
        return self._candidate(document, metadata, chunks, claimed)

    def _cut(self, document: Document) -> tuple[Chunk, ...]:
        language = BY_MEDIA_TYPE.get(document.media_type)
        prose = "markdown" if document.media_type in _MARKDOWN else "prose"
        return self._chunker.cut(document.text, language.name if language else prose)

    def _by_publisher(
        self,
        publisher: Publisher,
        document: Document,
        metadata: bytes,
        newest: VersionRow | None,
        chunks: Sequence[Chunk],
    ) -> _Claimed | Outcome:
        publisher.require_scope(self._policy, document.doc_id)
        source = publisher.source
        if newest is None:
            return _Claimed(claim_of(document, 1, None, metadata), source, None)
        _require_owner(newest, source)
        if newest.digest == document.digest and newest.metadata_digest == Digest.of(metadata):
            # What waits for a person keeps waiting, however it would be cut today.
            if newest.standing == "quarantined" or self._same_cuts(newest, chunks):
                return _unchanged(newest)
            if not document.by_program:  # a program that adds what it deleted means it
                self._require_not_taken_out(newest)
        _require_same_media(newest, document)
        claim = claim_of(document, newest.version + 1, newest.digest, metadata)
        return _Claimed(claim, source, None)

    def _by_attestation(self, found: SignedClaim, newest: VersionRow | None) -> _Claimed | Outcome:
        claim = found.claim
        claimed = _Claimed(claim, found.source, found.envelope, found.attested.statement.issued_at)
        if newest is None:
            return claimed
        _require_owner(newest, found.source)
        if newest.digest == claim.digest and newest.metadata_digest == claim.metadata:
            self._require_not_taken_out(newest)
            if claim.version == newest.version:
                return _unchanged(newest)
        if claim.version <= newest.version:
            reason = f"version {claim.version} is signed, and the ledger has seen version {newest.version}"
            raise StaleError(Refusal.ROLLBACK, reason)
        follows = claim.version == newest.version + 1
        if follows and claim.previous is not None and claim.previous != newest.digest:
            reason = f"version {claim.version} says it follows other bytes than version {newest.version} has"
            raise StaleError(Refusal.FORK, reason)
        return claimed

    def _require_not_taken_out(self, newest: VersionRow) -> None:
        """What a person took out does not come back because a folder is taken in every night."""
        if newest.standing in _STANDS:
            return
        state, how = f"is {newest.standing}", "restore that one"
        if newest.standing == "superseded":  # the newest is, only where an older one was gone back to
            how = "an older one was gone back to, and trustrag rollback goes forward again"
        with self._ledger.view() as view:
            if view.never_stood(newest):
                state = "was never let in, and taken out"
                how = f"its source has to publish a new one (trustrag history {newest.doc_id} says why)"
        reason = f"version {newest.version} with these bytes {state}; {how}"
        raise StaleError(Refusal.NOT_IN_SNAPSHOT, reason)

    def _require_signed_owner(self, doc_id: str, source: Source) -> None:
        """As `_require_owner`, by the key that signed what stands: a row says what whoever edited it wants."""
        with self._ledger.view() as view:
            signed = view.publisher(doc_id)
        if signed is None:
            return
        for other in self._policy.sources:
            if other.name != source.name and signed.key_id in {known.key.key_id for known in other.keys}:
                raise _owned(doc_id, other.name, source)

    def _same_cuts(self, newest: VersionRow, chunks: Sequence[Chunk]) -> bool:
        """Whether the stored version stands, is cut like this, and has not expired.

        Compared are the number of cuts and the outer two: other settings change one of them.
        """
        if newest.standing != "active" or newest.chunk_count != len(chunks):
            return False
        first = newest.first_chunk
        for chunk, stored in zip(
            (chunks[0], chunks[-1]), self._ledger.passages([first, first + len(chunks) - 1]), strict=True
        ):
            if not isinstance(stored, StoredPassage):
                # Damaged: the audit's business, and not mended by a version on top.
                return True
            leaf, expires = stored.evidence.leaf, stored.evidence.entry.expires
            if (leaf.start, leaf.end) != (chunk.start, chunk.end):
                return False
            if expires is not None and expires <= self._now:
                return False
            if self._objection(stored.evidence) is not None:
                return False
        return True

    def _silenced(self, doc_id: str) -> AuthorityError | None:
        """Why what stands of this document is not served: whose key may not speak any more. None where that is not so."""
        newest = self._ledger.version_of(doc_id)
        if newest is None or newest.standing != "active":
            return None
        (stored,) = self._ledger.passages([newest.first_chunk])
        return self._objection(stored.evidence) if isinstance(stored, StoredPassage) else None

    def _objection(self, evidence: Evidence) -> AuthorityError | None:
        """What today's policy has against the signers of what stands; the documents of a batch have the same."""
        signed = (evidence.source, evidence.ingest, *evidence.reviews)
        key = tuple(logged.index for logged in signed)
        if key not in self._objections:
            self._objections[key] = None
            try:
                for logged, kind in zip(signed, _kinds(len(evidence.reviews)), strict=True):
                    self._policy.authorise(logged.envelope, kind, log_index=logged.index)
            except AuthorityError as error:
                if error.refusal is Refusal.REVOKED_KEY:
                    self._objections[key] = error
            except (VerificationError, MalformedError):
                pass  # damaged: the audit's business
        return self._objections[key]

    def _candidate(
        self, document: Document, metadata: bytes, chunks: tuple[Chunk, ...], claimed: _Claimed
    ) -> Candidate | Settled:
        source, signed_at = claimed.source, self._now if claimed.signed_at is None else claimed.signed_at
        review = self._battery.review(
            document,
            *self._agreed.screens(source, document, signed_at),
            *self._comparison(document, source),
            advisory=self._agreed.advisory(source),
        )
        awaited = self._agreed.awaited(source)
        if awaited:
            review = Review((*review.findings, Finding("PROBATION", Severity.HOLD, 0, 0, awaited)))
        if review.verdict is Verdict.REJECT:
            return _refused(document, review.reason)
        self._agreed.take(source, document)
        return Candidate(
            document=document,
            metadata=metadata,
            chunks=chunks,
            chunker=self._chunker.whole_id if document.whole else self._chunker.id,
            claim=claimed.claim,
            source=source,
            envelope=claimed.envelope,
            expires=self._agreed.expires(source, signed_at),
            review=review,
            held=review.reason if review.verdict is Verdict.QUARANTINE else self._awaited(),
        )

    def _comparison(self, document: Document, source: Source) -> Sequence[Screen]:
        """The screen that compares it with the version which it would supersede, if one stands."""
        predecessor = standing_version(self._ledger, document.doc_id)
        if predecessor is None:
            return ()
        return (VersionScreen(predecessor, lambda text: self._neighbours(text, source)),)

    def _awaited(self) -> str:
        """Approvals that this policy asks for beyond the one the battery signs."""
        missing = self._policy.screen.threshold - 1 + self._policy.review.threshold
        return f"waits for {missing} more signed review{'s' * (missing > 1)}" if missing > 0 else ""


def _kinds(reviews: int) -> tuple[type[SourceStatement | IngestStatement | ReviewStatement], ...]:
    return (SourceStatement, IngestStatement, *[ReviewStatement] * reviews)


def _require_same_media(newest: VersionRow, document: Document) -> None:
    """A caption that stayed as it is does not describe a picture that took the place of its own.

    Withdrawn first, it may be said again: then a person has looked.
    """
    if newest.digest != document.digest or not document.derived_from or newest.standing not in _STANDS:
        return
    before = parse_metadata(newest.metadata).get("media_sha256")
    if before is not None and before != document.metadata.get("media_sha256"):
        reason = f"its media changed since version {newest.version}, and it did not: make it anew, or withdraw it first"
        raise ProofError(Refusal.TAMPERED_MEDIA, reason)


def _require_utf8(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise MalformedError(f"its text holds half a surrogate pair at character {error.start}") from error


def _of_owner(found: Sequence[SignedClaim], newest: VersionRow | None) -> SignedClaim:
    """The newest claim, of the source that holds the name already where it is among them."""
    owner = newest.source_name if newest is not None else ""
    own = [entry for entry in found if entry.source.name == owner]
    return (own or found)[0]


def _require_owner(newest: VersionRow, source: Source) -> None:
    """A name belongs to the source that published it first, for as long as that publication stands."""
    if newest.source_name != source.name and newest.standing in _STANDS:
        raise _owned(newest.doc_id, newest.source_name, source)


def _owned(doc_id: str, owner: str, source: Source) -> AuthorityError:
    reason = f"{doc_id} is published by {owner}; {source.name} may not replace it"
    return AuthorityError(Refusal.OUT_OF_SCOPE, reason)


def _unchanged(newest: VersionRow) -> Outcome:
    reason = f"version {newest.version} stands" if newest.standing == "active" else f"is {newest.standing}"
    return Outcome(newest.doc_id, reason, newest.version, newest.chunk_count)


def _refused(document: Document, reason: str) -> Settled:
    return "refused", Outcome(document.doc_id, reason)
