"""The review desk of a workspace: who reviews here, what waits, and what became of it.

The rules are in `ingest.desk`; here they meet the ledger, the policy and the keys that are held.
"""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trustrag.authority import reviewers
from trustrag.errors import ConfigError, ConflictError, TrustragError, in_file
from trustrag.ingest.desk import (
    Case,
    Decided,
    Effect,
    Nearest,
    Neighbour,
    Opinion,
    Piece,
    Vectors,
    approvals,
    case_of,
    effect,
    encode_case,
    judged,
    neighbours,
    not_the_operator,
    operator_decides,
    opinions_of,
    read_verdict,
    signed_verdict,
    word_diff,
)
from trustrag.ingest.predecessor import standing_version
from trustrag.keyring import RecentQuestions
from trustrag.ledger import Decision, Held, Ledger, Snapshot, View
from trustrag.provenance.canonical import Digest
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.evidence import VerifiedPassage
from trustrag.provenance.policy import Reviewer
from trustrag.provenance.statement import RejectionStatement, ReviewStatement, parse_statement
from trustrag.workspace.opened import Opened
from trustrag.workspace.wiring import independent_of

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Details:
    """All that a reviewer is shown of one case beside its text.

    `diff` is against version `stands` (None where nothing stands); `effect` is None where no questions are kept.
    """

    case: Case
    stands: int | None
    diff: tuple[Piece, ...]
    neighbours: tuple[Neighbour, ...]
    effect: Effect | None


class Reviews:
    """See `Workspace.reviews`."""

    def __init__(self, opened: Opened) -> None:
        self._opened = opened
        self._authority = opened.authority

    # ---- people

    def add_reviewer(self, name: str, *, public_key: str | None = None) -> Reviewer:
        """Let a person review from the next log entry on: see `authority.reviewers.add_reviewer`."""
        return reviewers.add_reviewer(
            self._authority, name, public_key=public_key, first_valid_index=self._log_size()
        )

    def remove_reviewer(self, name: str) -> None:
        """Let a person approve nothing more; what they approved stands. Raises `NotFoundError`, `ConflictError`."""
        reviewers.remove_reviewer(self._authority, name, log_size=self._log_size())

    def require(self, count: int, source: str | None = None) -> None:
        """How many people have to approve every document, or (with `source`) what is held of one source."""
        reviewers.require_reviewers(self._authority, count, source)

    def held_reviewers(self) -> tuple[str, ...]:
        """The reviewers whose keys are here, by name."""
        return reviewers.held_reviewers(self._authority)

    # ---- what waits

    def waiting(self, reviewer: str | None = None) -> tuple[tuple[Case, ...], tuple[tuple[str, str], ...]]:
        """What waits (assigned to this reviewer), in the order in which it came in; and what cannot be shown, with why."""
        cases, problems = [], []
        gate, now = self._opened.sealing_gate(), self._opened.clock()
        with gate.opened(self._opened.reader(), now) as (view, snapshot):
            said = view.said()
            for row in view.waiting():
                try:
                    case = case_of(view.held(row.doc_id, row.version), said, self._opened.policy, snapshot)
                except TrustragError as error:
                    problems.append((row.doc_id, str(error)))
                    continue
                if reviewer in (None, case.assigned):
                    cases.append(case)
        return tuple(cases), tuple(problems)

    def show(self, doc_id: str, version: int | None = None) -> Details:
        """One case with all that helps to decide it. Raises `NotFoundError` where nothing waits under this name."""
        held, case = self._case(doc_id, version)
        predecessor = standing_version(self._opened.reader(), doc_id)
        texts, source = held.texts, case.shown.source
        asked = self._asked()
        return Details(
            case,
            None if predecessor is None else predecessor.version,
            () if predecessor is None else word_diff(predecessor.text, _tidy(case.shown.text)),
            neighbours(texts, held.vectors, self._nearest(independent_of(self._opened.policy, source))),
            effect(doc_id, held.vectors, texts, asked, self._nearest(self._active())) if asked else None,
        )

    def history(self, doc_id: str) -> dict[int, tuple[Opinion, ...]]:
        """What people said of each version of a document, oldest first."""
        policy = self._opened.policy
        with self._opened.reader().view() as view:
            said = view.said()
            found = {}
            for row in view.versions(doc_id):
                index = view.ingest_index(row)
                subject = None if index is None else Digest.of(view.envelope(index).payload)
                found[row.version] = () if subject is None else opinions_of(said, subject, policy)
        return found

    def export(self, doc_id: str, out: Path) -> Case:
        """Write what waits into a file, for a reviewer on another machine: see `Publisher.review`."""
        held, case = self._case(doc_id, None)
        try:
            out.write_bytes(encode_case(held))
        except OSError as error:
            raise ConfigError(f"{out} cannot be written: {error.strerror}") from error
        return case

    # ---- deciding

    def approve(
        self, doc_id: str, *, reason: str, by: str | None = None, version: int | None = None
    ) -> Decided:
        """Approve what waits, as the reviewer `by` (the only one whose key is here), or where nobody is asked for by name
        as the operator, with a reason that is signed. Once enough people did, it stands, and supersedes what stood.

        Raises `NotFoundError` where nothing waits, `ConflictError` for who decided already, `AuthorityError` for who
        may not, `ConfigError` where no such key is here.
        """
        return self._decide(doc_id, version, by, True, reason)

    def reject(
        self, doc_id: str, *, reason: str, by: str | None = None, version: int | None = None
    ) -> Decided:
        """Reject what waits, with a reason that is signed. Once as many people did as could have approved it, it is taken
        out; its bytes stay. Raises as `approve`.
        """
        return self._decide(doc_id, version, by, False, reason)

    def take(self, verdict: Envelope | Path) -> Decided:
        """Enter a review or rejection that was signed elsewhere. Raises as `approve`, and `MalformedError`."""
        with in_file(verdict) if isinstance(verdict, Path) else nullcontext():
            envelope = verdict if isinstance(verdict, Envelope) else read_verdict(_read(verdict))
            statement = parse_statement(envelope.payload)
        subject = statement.subject if isinstance(statement, ReviewStatement | RejectionStatement) else None
        for case in self.waiting()[0]:
            if case.subject == subject:
                with self._opened.writing() as ledger:
                    return self._enter(ledger, *self._case_in(ledger, case.doc_id, case.version), envelope)
        raise ConflictError("nothing that waits here is what this was signed for")

    def assign(self, doc_id: str, reviewer: str, *, version: int | None = None) -> Snapshot:
        """Give what waits to one reviewer. Raises `NotFoundError` for either."""
        reviewers.reviewer(self._authority, reviewer)
        with self._opened.writing() as ledger:
            _, case = self._case_in(ledger, doc_id, version)
            decision = Decision("assign", doc_id, case.version, reviewer)
            return ledger.decide(decision, self._opened.sealer(), self._opened.clock())

    def approvals(self, source: str) -> int:
        """How many documents of a source stand because people approved them."""
        with self._opened.reader().view() as view:
            return approvals(view, self._opened.policy, self._authority.source(source))

    def _decide(
        self, doc_id: str, version: int | None, by: str | None, approves: bool, reason: str
    ) -> Decided:
        with self._opened.writing() as ledger:
            held, case = self._case_in(ledger, doc_id, version)
            now = self._opened.clock()
            operator = by is None and not self.held_reviewers()
            if operator:
                if not operator_decides(self._opened.policy, case.shown.source):
                    raise not_the_operator(case)
                signer = self._authority.signer(self._opened.policy.screen.keys, "approve")
            else:
                _, signer = reviewers.reviewer_signer(self._authority, by)
            envelope = signed_verdict(case.subject, approves, reason, now, signer, operator=operator)
            return self._enter(ledger, held, case, envelope)

    def _enter(self, ledger: Ledger, held: Held, case: Case, envelope: Envelope) -> Decided:
        with ledger.view() as view:
            earlier = [(view.envelope(index), index) for _, index in held.entry.reviews]
            size = view.snapshot().log_size
        opinion, settled, have = judged(case, envelope, earlier, self._opened.policy, size)
        decision = Decision(
            "approve" if opinion.approves else "reject",
            case.doc_id,
            case.version,
            opinion.reason,
            envelope,
            settled,
        )
        snapshot = ledger.decide(decision, self._opened.sealer(), self._opened.clock())
        return Decided(
            case.doc_id,
            case.version,
            opinion.by,
            opinion.approves,
            settled,
            have,
            case.needed,
            snapshot.version,
        )

    def _case(self, doc_id: str, version: int | None) -> tuple[Held, Case]:
        return self._case_in(self._opened.reader(), doc_id, version)

    def _case_in(self, ledger: Ledger, doc_id: str, version: int | None) -> tuple[Held, Case]:
        gate = self._opened.sealing_gate()
        with gate.opened(ledger, self._opened.clock()) as (view, snapshot):
            held = view.held(doc_id, version)
            return held, case_of(held, view.said(), self._opened.policy, snapshot)

    # ---- beside the text

    def keep_questions(self, most: int) -> None:
        """Keep the last questions of this user, outside of the workspace, to tell what a document would change; 0: none."""
        if most < 0:
            raise ValueError("how many questions to keep is 0 or more")
        self._questions().keep(most)

    def questions(self) -> list[str]:
        """The questions that are kept, oldest first."""
        return self._questions().read()

    def note_question(self, question: str) -> None:
        """Remember a question, where they are kept. That this fails is no reason to leave it without an answer."""
        try:
            self._questions().note(question)
        except (OSError, TrustragError) as error:
            _LOG.warning("the question was not kept: %s", error)

    def _questions(self) -> RecentQuestions:
        return RecentQuestions(self._opened.settings.store)

    def _asked(self) -> list[tuple[str, Vectors]]:
        found = []
        for question in self._questions().read():
            vector = np.asarray(self._opened.embedder.embed_query(question), dtype=np.float32)
            length = float(np.linalg.norm(vector))
            if length:
                found.append((question, (vector / np.float32(length)).astype(np.float32)))
        return found

    def _active(self) -> list[str]:
        return [source.name for source in self._opened.policy.sources if source.active]

    def _nearest(self, sources: Sequence[str]) -> Nearest:
        searcher, now = self._opened.searcher(), self._opened.clock()

        def near(vector: Vectors, k: int) -> Sequence[VerifiedPassage]:
            return searcher.near(vector, k=k, sources=sources, now=now) if sources else ()

        return near

    def _log_size(self) -> int:
        return self._opened.reader().snapshot().log_size


def require_approved(view: View, doc_id: str) -> None:
    """Raises `ConflictError` where the newest version of a document was never let in: to restore it is not to approve it.

    A few approvals of a version that was then taken out are none.
    """
    newest = view.version_of(doc_id)
    if newest is None or not view.never_stood(newest):
        return
    what = f"version {newest.version} of {doc_id} was never let in"
    if newest.standing == "quarantined":
        raise ConflictError(f"{what}: trustrag review show {doc_id}, then approve or reject")
    raise ConflictError(f"{what}, and was taken out: its source has to publish a new version")


def _tidy(text: str) -> str:
    """The text without the blanks that only keep its characters in their places."""
    return "\n".join(line.strip() for line in text.splitlines())


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
