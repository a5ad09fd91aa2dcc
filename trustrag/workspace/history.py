"""The face of a workspace towards its past: `ws.history`. Wires what the rooms below decide, and holds no rules.

ws.history.snapshots()                        every snapshot, what it did and what stood after it
ws.history.diff(3, 7)                         the documents that differ; `text_diff(3, 7, DOC)` for one of them
ws.history.plan(3)                            what a rollback would do
ws.history.rollback(3, reason="...")          do it, in a new snapshot
ws.history.chain("guide.md:0")                every hand that a passage went through
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trustrag.authority import Authority
from trustrag.errors import AuthorityError, ConfigError, MalformedError, NotFoundError, Refusal
from trustrag.ingest.attest import read_attestations
from trustrag.ledger import Snapshot, VersionRow, View, publisher_under
from trustrag.monitor import history
from trustrag.monitor.custody import Chain, chain_of
from trustrag.monitor.rollback import RollbackStep, planned_step, proposed, require_approved, same_step
from trustrag.provenance.envelope import Envelope, sign
from trustrag.provenance.names import named_passage
from trustrag.provenance.policy import TrustedSnapshot
from trustrag.provenance.statement import RollbackStatement, parse_statement
from trustrag.retrieval.gate import Gate
from trustrag.stored import Store
from trustrag.workspace.opened import Opened


@dataclass(frozen=True, slots=True)
class RolledBack:
    """A rollback that was sealed as `snapshot`, and what it did."""

    snapshot: Snapshot
    step: RollbackStep


class History:
    """What became of documents. Reading is thread-safe; a rollback takes the one writer's lock."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened

    # ---- looking

    def snapshots(self, progress: history.Told | None = None) -> tuple[history.SnapshotFact, ...]:
        """Every snapshot, oldest first, as it was signed. Linear in all that ever moved."""
        with self._shown() as (view, gate, head, now):
            return tuple(history.snapshots(view, gate, head, now, progress))

    def diff(self, old: int, new: int) -> history.Difference:
        """The documents that differ between two snapshots, as it was signed. Raises `NotFoundError`."""
        with self._shown() as (view, gate, head, now):
            return history.difference(view, gate, head, old, new, now)

    def text_diff(self, old: int, new: int, doc_id: str) -> list[str]:
        """A unified diff of what stood under this name in two snapshots, by passages that were each proved.

        Raises `NotFoundError` where it stood in neither, `VerificationError` where a passage cannot be proved.
        """
        with self._shown() as (view, gate, head, now):
            sides = []
            for version in (old, new):
                stood = gate.past(view, head, version, now)[0].standing(doc_id)
                sides.append(
                    history.passages_of(view, gate, head, version, doc_id, now) if stood is not None else ()
                )
        if not any(sides):
            raise NotFoundError(f"no version of {doc_id!r} stood in snapshot {old} or {new}")
        return history.text_difference(*sides)

    def document(self, doc_id: str) -> list[VersionRow]:
        """Every version of a document, oldest first, as it was signed: see `View.signed_versions`.

        Raises `LedgerError` where a row of it is not what was signed.
        """
        with self._opened.reader().view() as view:
            return view.signed_versions(doc_id, publisher_under(self._opened.policy))

    def events(self, doc_id: str) -> tuple[history.Event, ...]:
        """Every snapshot that touched a document, oldest first, as it was signed."""
        with self._shown() as (view, _, head, _):
            return tuple(history.events(view, head, doc_id))

    def chain(self, passage: str, *, at: int | None = None) -> Chain:
        """The chain of custody of `DOC:CHUNK`, as a search prints it (chunks from 0), or of a document's first chunk by
        `DOC` alone.

        Of what stands, else of what stood last; with `at`, of what stood in that snapshot. Raises `NotFoundError`.
        """
        with self._shown() as (view, gate, head, now):
            doc_id, chunk = _named(passage, view)
            return chain_of(view, gate, head, doc_id, chunk, now, at)

    # ---- going back

    def plan(self, snapshot: int) -> RollbackStep:
        """What a rollback to this snapshot would do today. Nothing is changed."""
        with self._shown() as (view, gate, head, now):
            return planned_step(view, gate, head, snapshot, now)

    def propose(self, snapshot: int, *, reason: str) -> bytes:
        """What reviewers are asked to sign for this rollback: the payload of a `RollbackStatement`."""
        step, opened = self.plan(snapshot), self._opened
        return proposed(step, opened.policy.context, reason, opened.clock()).encode()

    def approve(self, proposal: bytes, *, key: str = "") -> Envelope:
        """See `approve_rollback`, with a reviewer's key that is held here."""
        return approve_rollback(self._opened.authority, proposal, key=key)[0]

    def rollback(
        self, snapshot: int, *, reason: str, approvals: str | Path | Sequence[Envelope] = ()
    ) -> RolledBack:
        """Let stand again what stood in `snapshot`, in one new snapshot; nothing is erased.

        `approvals` (envelopes, or a file of them, one a line) are needed where the policy asks reviewers. What today's
        policy refuses, what has expired and what was quarantined or withdrawn since stays out: `step.left_out` names
        it. Raises `AuthorityError` below the threshold, or for approvals of another step; then nothing is changed.
        """
        given = _read(Path(approvals)) if isinstance(approvals, str | Path) else tuple(approvals)
        opened = self._opened
        with opened.writing() as ledger:
            now, policy, sealer = opened.clock(), opened.policy, opened.sealer()
            with _view_of(ledger, opened.sealing_gate(), now) as (view, gate, head, _):
                step = planned_step(view, gate, head, snapshot, now)
            if given:
                payload = same_step(given[0].payload, step, policy.context, reason)
            else:
                payload = proposed(step, policy.context, reason, now).encode()
            envelopes = (sign(payload, sealer.seal), *given)
            require_approved(envelopes[0], given, policy, head.checkpoint.size)
            sealed = ledger.roll_back(step.plan, envelopes, reason, sealer, now, base=head)
        return RolledBack(sealed, step)

    @contextmanager
    def _shown(self) -> Iterator[tuple[View, Gate, TrustedSnapshot, int]]:
        opened = self._opened
        with _view_of(opened.store(), opened.gate(), opened.clock()) as shown:
            yield shown


def approve_rollback(
    authority: Authority, proposal: bytes, *, key: str = ""
) -> tuple[Envelope, RollbackStatement]:
    """A reviewer's approval of a proposed rollback, by a key that is held here: needs the trust root and nothing else.

    `key` begins the id of one of the policy's review keys, where several are held. Raises `MalformedError` for what is
    no proposal, `AuthorityError` for one of another store, `ConfigError` where no reviewer's key is held.
    """
    policy, said = authority.policy, parse_statement(proposal)
    if not isinstance(said, RollbackStatement):
        raise MalformedError(f"expected a RollbackStatement, and it is a {type(said).__name__}")
    if said.context != policy.context:
        raise AuthorityError(
            Refusal.WRONG_CONTEXT, "the rollback was proposed for another store or collection"
        )
    reviewers = [known for known in policy.review.keys if known.key.key_id.startswith(key)]
    return sign(proposal, authority.signer(reviewers, "approve a rollback")), said


@contextmanager
def _view_of(ledger: Store[View], gate: Gate, now: int) -> Iterator[tuple[View, Gate, TrustedSnapshot, int]]:
    with gate.opened(ledger, now) as (view, head):
        yield view, gate, head, now


def _named(passage: str, view: View) -> tuple[str, int]:
    """The document and chunk that were meant: as a search writes them, else the first chunk of a document by its own name."""
    named = named_passage(passage)
    if named is None or (not view.versions(named[0]) and view.versions(passage)):
        return passage, 0
    return named


def _read(path: Path) -> tuple[Envelope, ...]:
    """The approvals in a file. Raises `ConfigError` where one of its lines is none."""
    try:
        found = list(read_attestations(path))
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    for line in found:
        if not isinstance(line, Envelope):
            raise MalformedError(f"{line.path} is not an approval: {line.reason}")
    return tuple(line for line in found if isinstance(line, Envelope))
