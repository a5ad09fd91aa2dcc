"""One write: from what was signed last to what is signed next, inside one transaction.

A write begins by checking that the rows lead to the last snapshot and checkpoint, and that those are signed;
it ends by appending the next snapshot and signing the tree that has it as its last entry.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from trustrag.errors import ConflictError, LedgerError, MalformedError, NotFoundError, SignatureError
from trustrag.ledger.admission import Desk, Prepared
from trustrag.ledger.history import Publisher, Sources, Withdrawals, swept
from trustrag.ledger.log import Log
from trustrag.ledger.model import Decision, Ruling, Sealer, Snapshot, VersionRow
from trustrag.ledger.rollback import Plan, Stay
from trustrag.ledger.rows import ChunkRow, StandingRow
from trustrag.ledger.sqlite import Session
from trustrag.ledger.standing import EMPTY_TREE, StandingChange
from trustrag.ledger.waiting import waiting_version
from trustrag.provenance.canonical import Digest
from trustrag.provenance.checkpoint import Checkpoint, Note, VerifierKey, sign_checkpoint, verify_checkpoint
from trustrag.provenance.envelope import Envelope, sign, verify
from trustrag.provenance.keys import PublicKey
from trustrag.provenance.policy import TrustedSnapshot
from trustrag.provenance.standing import StandingEntry, bucket_of
from trustrag.provenance.statement import (
    Context,
    SnapshotStatement,
    WithdrawalStatement,
    parse_statement,
)

_STANDING_AFTER = {"quarantine": "quarantined", "withdraw": "withdrawn"}
_RULED_OVER = {
    "quarantine": ("active",),
    "withdraw": ("active", "quarantined"),
    "restore": ("quarantined", "withdrawn"),
}


class Writing:
    """A write in progress. Requires a write transaction around it; an exception leaves nothing behind.

    Raises LedgerError when the rows do not lead to what was signed last, ConflictError when that is not
    `base`.
    """

    def __init__(
        self,
        session: Session,
        context: Context,
        sealer: Sealer,
        now: int,
        base: TrustedSnapshot | None,
        withdrawals: Withdrawals,
    ) -> None:
        self._session = session
        self._context = context
        self._sealer = sealer
        self._now = now
        self._log = Log(session)
        self._withdrawals = withdrawals
        self._last = session.snapshot()
        self._version = 1 if self._last is None else self._last.version + 1
        if self._last is not None:
            self._require_signed(self._last, base)
        elif base is not None or self._log.size:
            raise LedgerError("ledger.db has lost its snapshots: restore it from a backup")

    # -- admission

    def admit(self, items: Sequence[Prepared], first_chunk: int) -> None:
        """Enters what was prepared; its vectors are rows `first_chunk` and on, and are on the disk
        already.
        """
        standing = self._change(
            item.admission.claim.doc_id for item in items if item.admission.standing == "active"
        )
        for item in items:
            doc_id, active = item.admission.claim.doc_id, item.admission.standing == "active"
            self._require_newer(item)
            entry = self._entry(item).encode()
            if active:
                self._replace(doc_id, standing, entry)
            row = self._enter_version(item, first_chunk)
            since = self._version if active else None
            self._session.add_standing(row, bucket_of(doc_id), doc_id, since, entry)
            first_chunk += len(item.leaves)
        self._session.put_setting("vectors", str(first_chunk))
        self._root = standing.store()

    def _require_newer(self, item: Prepared) -> None:
        claim = item.admission.claim
        newest = self._session.newest_version(claim.doc_id)
        if newest >= claim.version:
            raise ConflictError(
                f"{claim.doc_id}: version {claim.version} comes after version {newest} was taken in"
            )
        told = None if newest else self._withdrawals.of(claim.doc_id, self._session, self._log, self._last)
        if told is not None:
            raise LedgerError(
                f"{claim.doc_id} was withdrawn in snapshot {told[0]} ({told[1]}), and its rows are missing in ledger.db:"
                " it does not come back as if it were new; `trustrag audit` names what is missing, a backup restores it"
            )

    def _enter_version(self, item: Prepared, first_chunk: int) -> int:
        admission, claim = item.admission, item.admission.claim
        version = VersionRow(
            0,
            claim.doc_id,
            claim.version,
            claim.digest,
            admission.source_name,
            admission.standing,
            first_chunk,
            len(item.leaves),
            self._version,
            admission.findings,
            admission.metadata,
            claim.metadata,
        )
        row = self._session.add_version(version)
        self._session.add_terms(row, item.terms)
        parts = zip(item.leaves, item.nodes, admission.chunks, strict=True)
        self._session.add_chunks(
            (ChunkRow.of(first_chunk, row, leaf, chunk.text), nodes) for leaf, nodes, chunk in parts
        )
        return row

    def _entry(self, item: Prepared) -> StandingEntry:
        admission, claim = item.admission, item.admission.claim
        return StandingEntry(
            claim.doc_id,
            claim.version,
            claim.digest,
            admission.source.digest,
            self._log.append(admission.source),
            admission.ingest.digest,
            self._log.append(admission.ingest),
            tuple((review.digest, self._log.append(review)) for review in admission.reviews),
            item.chunk_root,
            len(item.leaves),
            item.expires,
        )

    # -- rulings

    def rule(self, rulings: Sequence[Ruling], desk: Desk, publisher: Publisher | None) -> None:
        """Applies the rulings, all of one action."""
        plans: list[tuple[Ruling, list[VersionRow]]] = []
        if publisher is not None and any(ruling.source is not None for ruling in rulings):
            standing, sources = self._change(None), Sources(self._log, publisher)
            plans = [(ruling, self._versions_under(ruling, standing, sources)) for ruling in rulings]
        else:
            plans = [(ruling, self._versions_of(ruling)) for ruling in rulings]
            standing = self._change({version.doc_id for _, versions in plans for version in versions})
        for ruling, versions in plans:
            if ruling.action == "restore":
                for version in versions:
                    self._restore(ruling, version, standing, desk)
            else:
                self._strike(ruling, versions, standing)
            self._session.add_ruling(self._version, ruling)
            if ruling.action == "withdraw":
                self._log.append(self._signed_withdrawal(ruling))
        self._root = standing.store()

    def _signed_withdrawal(self, ruling: Ruling) -> Envelope:
        statement = WithdrawalStatement(self._context, ruling.doc_id, ruling.source, ruling.reason, self._now)
        return sign(statement.encode(), self._sealer.seal)

    def _strike(self, ruling: Ruling, versions: Sequence[VersionRow], standing: StandingChange) -> None:
        rows = [version.row for version in versions]
        self._session.end_standing(rows, self._version)
        self._session.set_standing(rows, _STANDING_AFTER[ruling.action])
        for version in versions:
            # What was signed decides, and not a column that says it did not stand: else it would go on standing.
            stood = standing.stood(version.doc_id)
            if ruling.doc_id is not None or (stood is not None and stood.version == version.version):
                standing.remove(version.doc_id)

    def _restore(self, ruling: Ruling, version: VersionRow, standing: StandingChange, desk: Desk) -> None:
        stay = self._last_stay(version)
        said = StandingEntry.parse(stay.entry)
        if (said.doc_id, said.version, said.document) != (version.doc_id, version.version, version.digest):
            raise LedgerError(
                f"{version.doc_id}: the entry of version {version.version} in ledger.db is of another document"
            )
        encoded = self._approved(stay, ruling, version, desk)
        self._replace(version.doc_id, standing, encoded)
        if stay.since is None:
            self._session.start_standing(stay.id, self._version, encoded)
        else:
            self._session.add_standing(
                version.row, bucket_of(version.doc_id), version.doc_id, self._version, encoded
            )
        self._session.set_standing([version.row], "active")

    def _approved(self, stay: StandingRow, ruling: Ruling, version: VersionRow, desk: Desk) -> bytes:
        """The entry to let stand again, with the approvals that came with the ruling."""
        if stay.since is not None and not ruling.reviews:
            return stay.entry  # it stood before, and what it says of itself has not changed
        entry = StandingEntry.parse(stay.entry)
        desk.require_reviews(ruling.reviews, self._ingest_payload(entry), version.doc_id)
        known = {digest for digest, _ in entry.reviews}
        more = [(item.digest, self._log.append(item)) for item in ruling.reviews if item.digest not in known]
        if not (known or more):
            raise LedgerError(
                f"{version.doc_id}: nobody approved version {version.version}, so it cannot stand"
            )
        return replace(entry, reviews=(*entry.reviews, *more)).encode()

    # -- decisions

    def decide(self, decision: Decision, desk: Desk) -> None:
        """Enters what somebody decided about a version that waits. Raises NotFoundError where it does not wait."""
        version, stay = waiting_version(self._session, decision.doc_id, decision.version)
        entry = StandingEntry.parse(stay.entry)
        if (entry.doc_id, entry.version, entry.document) != (
            version.doc_id,
            version.version,
            version.digest,
        ):
            raise _changed(version.doc_id)
        standing = self._change({version.doc_id})
        if decision.envelope is not None:
            self._settle(decision, decision.envelope, version, stay, desk, standing)
        self._root = standing.store()

    def _settle(
        self,
        decision: Decision,
        envelope: Envelope,
        version: VersionRow,
        stay: StandingRow,
        desk: Desk,
        standing: StandingChange,
    ) -> None:
        entry, approves = StandingEntry.parse(stay.entry), decision.action == "approve"
        desk.require_verdict(envelope, approves, self._ingest_payload(entry), version.doc_id)
        size = self._log.size
        index = self._log.append(envelope)
        if index != size:
            raise ConflictError(f"{version.doc_id}: this very decision is in the log already")
        if approves:
            encoded = replace(entry, reviews=(*entry.reviews, (envelope.digest, index))).encode()
            if decision.settles:
                stood = standing.stood(version.doc_id)
                if stood is not None and stood.version > version.version:
                    raise ConflictError(
                        f"version {stood.version} of {version.doc_id} stands: version {version.version} is older"
                    )
                self._replace(version.doc_id, standing, encoded)
                self._session.set_standing([version.row], "active")
            self._session.start_standing(stay.id, self._version if decision.settles else None, encoded)
        elif decision.settles:
            self._session.set_standing([version.row], "withdrawn")
            self._session.add_ruling(self._version, decision)

    def _last_stay(self, version: VersionRow) -> StandingRow:
        stays = self._session.standing_of(version.row)
        if not stays:
            raise LedgerError(
                f"{version.doc_id}: the entry of version {version.version} is missing in ledger.db"
            )
        return stays[-1]

    def _ingest_payload(self, entry: StandingEntry) -> Digest:
        envelope = self._log.envelope(entry.ingest_index)
        if envelope.digest != entry.ingest:
            raise LedgerError(f"{entry.doc_id}: log entry {entry.ingest_index} is not its ingest statement")
        return Digest.of(envelope.payload)

    def _versions_under(self, ruling: Ruling, standing: StandingChange, sources: Sources) -> list[VersionRow]:
        """As `_versions_of`, and for a source by the keys that signed what stands or stood."""
        if ruling.source is None:
            return self._versions_of(ruling)
        if ruling.action == "restore":
            found = self._swept(ruling.source, sources)
        else:
            found = [
                self._version_row(stood.row, (doc_id, stood.version, stood.document))
                for doc_id, stood in standing.all_stood()
                if sources.of(stood.source, stood.source_index) == ruling.source
            ]
            if ruling.action == "withdraw":
                rows = {version.row for version in found}
                found += [
                    version
                    for version in self._session.versions_in(("quarantined",))
                    if version.row not in rows and self._waits_from(version, ruling.source, sources)
                ]
        return _required(found, ruling)

    def _waits_from(self, version: VersionRow, source: str, sources: Sources) -> bool:
        entry = StandingEntry.parse(self._last_stay(version).entry)
        return sources.of(entry.source, entry.source_index) == source

    def _swept(self, source: str, sources: Sources) -> list[VersionRow]:
        """What rulings on this source took away, as its last stay was signed."""
        found = []
        for stay in swept(self._session, self._log, source, sources, self._last) if self._last else ():
            said = StandingEntry.parse(stay.entry)
            version = self._version_row(stay.version, (said.doc_id, said.version, said.document))
            if self._last_stay(version) != stay:
                raise _changed(version.doc_id)
            found.append(version)
        return found

    def _version_row(self, row: int, signed: tuple[str, int, Digest]) -> VersionRow:
        """The row of a version, which has to be the one that was signed."""
        version = self._session.version(row)
        if version is None or (version.doc_id, version.version, version.digest) != signed:
            raise _changed(signed[0])
        return version

    def _versions_of(self, ruling: Ruling) -> list[VersionRow]:
        if ruling.source is not None:
            raise ValueError("a ruling on a source needs to know whose key signed what: give `publisher`")
        restoring = ruling.action == "restore"
        versions = self._session.versions(ruling.doc_id or "")
        if ruling.version is not None:
            found = [row for row in versions if row.version == ruling.version and row.standing != "active"]
        else:
            # To restore is to restore the newest that was taken in. An older one comes back by name only:
            # else an edited column would make an honest ruling mean another version than was struck.
            considered = versions[-1:] if restoring else versions
            found = [row for row in considered if row.standing in _RULED_OVER[ruling.action]]
        return _required(found, ruling)

    # -- going back

    def roll_back(self, plan: Plan, envelopes: Sequence[Envelope]) -> None:
        """Lets stand what the plan brings back, ends what it ends, and logs who proposed and approved it."""
        last = self._last
        if last is None or (last.version, last.root) != (plan.present, plan.present_root):
            raise ConflictError(f"the ledger is no longer at snapshot {plan.present}: plan the rollback anew")
        if not (plan.back or plan.gone):
            raise ConflictError(f"nothing to roll back: what may stand of snapshot {plan.target} stands")
        standing = self._change({*(stay.entry.doc_id for stay in plan.back), *plan.gone})
        for doc_id in plan.gone:
            rows = self._end(doc_id, standing)
            self._session.set_standing(rows, "withdrawn")
            standing.remove(doc_id)
        for stay in plan.back:
            self._bring_back(stay, standing)
        for envelope in envelopes:
            self._log.append(envelope)
        self._root = standing.store()

    def _bring_back(self, stay: Stay, standing: StandingChange) -> None:
        said, encoded = stay.entry, stay.row.entry
        version = self._version_row(stay.row.version, (said.doc_id, said.version, said.document))
        self._replace(said.doc_id, standing, encoded)
        self._session.add_standing(version.row, bucket_of(said.doc_id), said.doc_id, self._version, encoded)
        self._session.set_standing([version.row], "active")

    # -- what stands

    def keep(self) -> None:
        """Changes nothing of what stands, and still checks that it leads to what was signed."""
        self._root = self._change(()).store()

    def _change(self, doc_ids: Iterable[str] | None) -> StandingChange:
        """A change of these documents, or of all that stands."""
        signed = self._last.root if self._last else EMPTY_TREE
        return StandingChange(self._session, None if doc_ids is None else set(doc_ids), signed)

    def _replace(self, doc_id: str, standing: StandingChange, entry: bytes) -> None:
        """Lets `entry` stand; the version that did is superseded from this snapshot on."""
        self._session.set_standing(self._end(doc_id, standing), "superseded")
        standing.put(doc_id, entry)

    def _end(self, doc_id: str, standing: StandingChange) -> list[int]:
        """Ends what stands of a document in this snapshot; returns its version's row, or none where nothing did."""
        rows = [row.row for row in self._session.versions(doc_id) if row.standing == "active"]
        stood = standing.stood(doc_id)
        if rows != ([] if stood is None else [stood.row]):
            raise _changed(doc_id)
        self._session.end_standing(rows, self._version)
        return rows

    # -- sealing

    def seal(self, action: str, reason: str | None) -> Snapshot:
        """Appends the signed snapshot and signs the tree that ends in it."""
        sealer, last = self._sealer, self._last
        statement = SnapshotStatement(
            context=self._context,
            root=self._root,
            version=self._version,
            previous=last.root if last else None,
            log_size=self._log.size,
            action=action,
            reason=reason,
            issued_at=self._now,
            expires=self._now + sealer.snapshot_lifetime,
        )
        index = self._log.append(sign(statement.encode(), sealer.seal))
        checkpoint = Checkpoint(sealer.origin, self._log.size, self._log.root(self._log.size))
        note = sign_checkpoint(checkpoint, sealer.log)
        snapshot = Snapshot(
            self._version, self._root, index, index + 1, action, reason, self._now, statement.expires
        )
        self._session.add_snapshot(snapshot, note)
        return snapshot

    def _require_signed(self, last: Snapshot, base: TrustedSnapshot | None) -> None:
        """The rows of the last snapshot are what a checkpoint and a seal key signed, and the log leads
        there.
        """
        note = Note.parse(self._session.checkpoint(last.version))
        checkpoint = Checkpoint.parse(note.text)
        if (checkpoint.size, last.log_size) != (self._log.size, self._log.size):
            raise LedgerError(
                "the log in ledger.db does not end in its last checkpoint: restore it from a backup"
            )
        if checkpoint.root != self._log.root(self._log.size):
            raise LedgerError(
                "the log in ledger.db does not lead to its last checkpoint: it was changed from outside"
            )
        envelope = self._log.envelope(last.log_index)
        statement = parse_statement(envelope.payload)
        if not isinstance(statement, SnapshotStatement) or (statement.version, statement.root) != (
            last.version,
            last.root,
        ):
            raise LedgerError(
                "the last snapshot in ledger.db is not the one in its log: it was changed from outside"
            )
        if base is not None:
            if (base.envelope, base.checkpoint.root) != (envelope.digest, checkpoint.root):
                raise ConflictError(
                    f"the ledger is at another snapshot than {base.version}, which this write is for"
                )
            return
        sealer = self._sealer
        try:
            verify(envelope, _key_of(envelope, (sealer.seal.public_key, *sealer.seal_keys)))
            log_keys = {sealer.log.public_key, *sealer.log_keys}
            verify_checkpoint(note, [VerifierKey(sealer.origin, key) for key in log_keys])
        except (SignatureError, MalformedError) as error:
            raise LedgerError(
                "the last snapshot is not signed by the keys that would seal the next one: give the snapshot"
                " that the policy accepted as `base`"
            ) from error


def _key_of(envelope: Envelope, keys: Sequence[PublicKey]) -> PublicKey:
    """The key of these that the envelope claims; the first where it is none of them, and will not verify."""
    return next((key for key in keys if key.key_id == envelope.key_id), keys[0])


def _required(found: list[VersionRow], ruling: Ruling) -> list[VersionRow]:
    if not found:
        what = f"source {ruling.source}" if ruling.source is not None else f"document {ruling.doc_id}"
        raise NotFoundError(f"{what} has nothing to {ruling.action}")
    return found


def _changed(doc_id: str) -> LedgerError:
    return LedgerError(
        f"{doc_id}: its version rows in ledger.db are not what was signed to stand: rows were changed from outside;"
        " `trustrag audit` names them, a backup restores them"
    )
