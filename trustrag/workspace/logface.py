"""What others are shown of the log: proofs, a publication, and checkpoints that witnesses have cosigned.

ws.log.publish("published/")                the store as static files
ws.log.proof("retention.txt")               that its source's attestation is in the log
ws.log.gather("witness/")                   keep the cosignatures that a witness has made
"""

from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from trustrag.errors import (
    BackendError,
    ConfigError,
    ConflictError,
    MalformedError,
    NotFoundError,
    ProofError,
    Refusal,
    StaleError,
)
from trustrag.ledger import Ledger
from trustrag.provenance.checkpoint import (
    COSIGNATURE,
    MAX_NOTE_BYTES,
    Checkpoint,
    Note,
    NoteSignature,
    VerifierKey,
    verify_cosignature,
)
from trustrag.provenance.logproof import Growth, LogProof
from trustrag.provenance.merkle import leaf_hash
from trustrag.provenance.policy import Policy, PolicyKey, TrustedCheckpoint, Witness
from trustrag.published.place import open_place, post
from trustrag.published.writer import Progress, PublishReport, publish
from trustrag.trustroot import TrustRoot
from trustrag.workspace.opened import Opened
from trustrag.workspace.wiring import unix_now
from trustrag.workspace.witnessed import has_quorum


@dataclass(frozen=True, slots=True)
class Gathered:
    """What came of gathering: the snapshot that was cosigned, by whom, and whether that is all the policy asks for."""

    snapshot: int
    size: int
    added: tuple[str, ...]
    witnesses: tuple[str, ...]
    quorum: int

    @property
    def met(self) -> bool:
        """Whether readers may be shown it."""
        return len(self.witnesses) >= self.quorum


class LogFace:
    """One workspace's log. Made by `Workspace.log`."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    # ---- proofs

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """Whose signature a checkpoint of this log has to carry: what a witness is given."""
        return self._opened.policy.log.verifiers

    def checkpoint(self) -> bytes:
        """The newest checkpoint, with the cosignatures that were gathered."""
        return self._opened.reader().head().checkpoint

    def entry(self, index: int) -> bytes:
        """One entry of the log, as it was hashed. Raises NotFoundError where there is none."""
        with self._opened.reader().view() as view:
            if not 0 <= index < view.snapshot().log_size:
                raise NotFoundError(f"the log has {view.snapshot().log_size} entries, and no entry {index}")
            return view.envelope(index).encode()

    def index_of(self, doc_id: str) -> int:
        """The entry in which the source of what stands under this name speaks for it. Raises NotFoundError."""
        with self._opened.reader().view() as view:
            entry = view.standing_entry(doc_id)
        if entry is None:
            raise NotFoundError(f"no version of {doc_id!r} stands")
        return entry.source_index

    def proof(self, of: int | str) -> LogProof:
        """That an entry, or the attestation of a document that stands, is in the log under its newest checkpoint."""
        index = self.index_of(of) if isinstance(of, str) else of
        with self._opened.reader().view() as view:
            size = view.snapshot().log_size
            if not 0 <= index < size:
                raise NotFoundError(f"the log has {size} entries, and no entry {index}")
            return LogProof(index, tuple(view.logged(index).proof), view.head().checkpoint)

    def growth(self, old_size: int) -> Growth:
        """That the newest checkpoint extends the log's first `old_size` entries. Raises NotFoundError beyond its size."""
        with self._opened.reader().view() as view:
            size = view.snapshot().log_size
            if not 0 <= old_size <= size:
                raise NotFoundError(f"the log has {size} entries: it was never {old_size} long")
            return Growth(old_size, tuple(view.consistency(old_size, size)), view.head().checkpoint)

    # ---- publication

    def publish(self, out: str | Path, *, progress: Progress | None = None) -> PublishReport:
        """Write the store as static files, or what is new of it: see `published.writer`.

        Readers are shown the newest snapshot that has the witnesses which the policy asks for.
        """
        opened, policy, folder = self._opened, self._opened.policy, Path(out).resolve()
        if folder == opened.folder or opened.folder.is_relative_to(folder):
            raise ConfigError(f"{folder} holds the workspace itself: publish into a folder of its own")
        ledger = opened.reader()
        opened.accept_sealed(ledger)
        now = opened.clock()
        return publish(
            ledger,
            folder,
            opened.authority.keys_folder,
            lambda note: has_quorum(policy, note, now),
            progress,
        )

    # ---- witnesses

    def add_witness(self, name: str, vkey: str) -> Policy:
        """Name a witness in a new policy, by the key that it told. Raises ConfigError for a key that is none of a witness's."""
        policy = self._opened.policy
        try:
            key = VerifierKey.parse(vkey)
        except MalformedError as error:
            raise ConfigError(
                f"{vkey!r} is not a witness's key (see trustrag witness key): {error}"
            ) from error
        if key.kind != COSIGNATURE or key.name != name:
            raise ConfigError(
                f"this is not the key of a witness called {name}: trustrag witness key prints it"
            )
        if any(witness.name == name for witness in policy.witnesses):
            raise ConflictError(f"there is a witness named {name} already")
        made = Witness(name, PolicyKey(key.key))
        self._publish(witnesses=(*policy.witnesses, made))
        return self._opened.policy

    def remove_witness(self, name: str) -> Policy:
        """Take a witness out of the policy. Raises NotFoundError, and ConflictError where the quorum needs it."""
        policy = self._opened.policy
        left = tuple(witness for witness in policy.witnesses if witness.name != name)
        if len(left) == len(policy.witnesses):
            raise NotFoundError(f"no witness {name!r} in the policy")
        if len(left) < policy.quorum:
            raise ConflictError(f"the quorum is {policy.quorum}: lower it first (trustrag witness quorum)")
        self._publish(witnesses=left)
        return self._opened.policy

    def set_quorum(self, count: int) -> Policy:
        """Ask for so many witnesses from now on; readers are then shown nothing that fewer have seen.

        Raises ConflictError where fewer have cosigned the newest checkpoint: no reader could be shown anything.
        """
        policy = self._opened.policy
        if count > len(policy.witnesses):
            raise ConflictError(
                f"the policy names {len(policy.witnesses)} witnesses: {count} cannot be asked for"
            )
        changed = replace(policy, quorum=count)
        if count and not has_quorum(changed, self.checkpoint(), self._opened.clock()):
            raise ConflictError(
                f"fewer than {count} witnesses have cosigned the newest checkpoint: publish it, let them run, and "
                "gather what they made (trustrag publish, trustrag witness once, trustrag log gather)"
            )
        self._publish(quorum=count)
        return self._opened.policy

    def gather(self, place: str | Path) -> Gathered:
        """Keep the cosignatures that witnesses of the policy made of one of our checkpoints.

        `place` is a checkpoint file with their lines, or what a witness shows (its folder or address, tlog-witness,
        "Monitor Retrieval Mechanism"). Raises NotFoundError for a checkpoint that is not ours, and SignatureError for a
        line that does not hold.
        """
        return self._keep(Note.parse(self._offered(place)), place)

    def submit(self, address: str) -> Gathered:
        """Ask a witness for a cosignature of the newest checkpoint (tlog-witness, "add-checkpoint"), and keep it.

        `address` is its submission prefix. Raises VerificationError where it refuses, BackendError without an answer.
        """
        asked = self.growth(0)
        status, said = post(f"{address.rstrip('/')}/add-checkpoint", asked.encode(), MAX_NOTE_BYTES)
        if status == 409 and said[:-1].isdigit() and len(said) < 20:
            if int(said) > Checkpoint.parse(Note.parse(asked.checkpoint).text).size:
                reason = (
                    f"{address} has cosigned {int(said)} entries, and this log has fewer: it was put back"
                )
                raise StaleError(Refusal.ROLLBACK, reason)
            asked = self.growth(int(said))
            status, said = post(f"{address.rstrip('/')}/add-checkpoint", asked.encode(), MAX_NOTE_BYTES)
        if status == 422:
            raise ProofError(Refusal.FORK, f"{address} has seen another history: {_plain(said)}")
        if status != 200:
            raise BackendError(f"{address} answered {status} {_plain(said)}")
        return self._keep(Note.parse(asked.checkpoint + said), address)

    def _keep(self, note: Note, place: str | Path) -> Gathered:
        policy, checkpoint = self._opened.policy, Checkpoint.parse(note.text)
        lines = _lines_of(policy, note)
        if not lines:
            raise ConflictError(f"{place}: no witness of the policy has cosigned this checkpoint")
        version = self._version_of(note)
        with self._opened.writing() as ledger:
            before = Note.parse(_checkpoint_at(ledger, version))
            new = [
                (name, line)
                for name, line in lines
                if verify_cosignature(before, _named(policy, name)) is None
            ]
            kept = ledger.add_cosignatures(version, [line for _, line in new]) if new else before.encode()
        names = tuple(name for name, _ in _lines_of(policy, Note.parse(kept)))
        return Gathered(version, checkpoint.size, tuple(name for name, _ in new), names, policy.quorum)

    def _offered(self, place: str | Path) -> bytes:
        if Path(place).is_file():
            return Path(place).read_bytes()
        name = f"{sha256(self._opened.policy.log.origin.encode()).hexdigest()}/checkpoint"
        data = open_place(place).read(name, MAX_NOTE_BYTES)
        if data is None:
            raise NotFoundError(f"{place} shows no checkpoint of {self._opened.policy.log.origin}")
        return data

    def _version_of(self, note: Note) -> int:
        size = Checkpoint.parse(note.text).size
        ledger = self._opened.reader()
        for snapshot in reversed(ledger.snapshots()):
            if (
                snapshot.log_size == size
                and Note.parse(_checkpoint_at(ledger, snapshot.version)).text == note.text
            ):
                return snapshot.version
        raise NotFoundError(f"this is not a checkpoint that this store has sealed: {size} entries")

    def _publish(self, **changes: Any) -> None:
        try:
            self._opened.authority.publish(replace(self._opened.policy, **changes))
        except MalformedError as error:
            raise ConflictError(f"the policy cannot be changed so: {error}") from error


def _plain(said: bytes) -> str:
    return " ".join(said[:200].decode(errors="replace").split())


def _checkpoint_at(ledger: Ledger, version: int) -> bytes:
    with ledger.reading() as (session, _):
        return session.checkpoint(version)


def _lines_of(policy: Policy, note: Note) -> list[tuple[str, NoteSignature]]:
    """One verified line of each witness of the policy that has signed."""
    found = []
    for witness in policy.witnesses:
        key = witness.verifier
        if witness.key.revoked or verify_cosignature(note, key) is None:
            continue
        line = next(
            line for line in note.signatures if (line.name, line.key_hash) == (key.name, key.key_hash)
        )
        found.append((witness.name, line))
    return found


def _named(policy: Policy, name: str) -> VerifierKey:
    return next(witness.verifier for witness in policy.witnesses if witness.name == name)


def verify_log_proof(
    data: bytes, entry: bytes, keys: str | Path, *, now: int | None = None
) -> TrustedCheckpoint:
    """Check a `.tlog-proof` for this entry with a public trust root alone: no workspace, no database, no network.

    Raises MalformedError for what is no proof, and VerificationError for one that does not hold.
    """
    moment = unix_now() if now is None else now
    root = TrustRoot.open(Path(keys), moment)
    return LogProof.parse(data).verify(leaf_hash(entry), root.policy, moment)
