"""The review desk of a workspace: who reviews here, and what became of what the screens held."""

from trustrag.authority import reviewers
from trustrag.provenance.policy import Reviewer
from trustrag.workspace.opened import Opened


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

    def _log_size(self) -> int:
        return self._opened.reader().snapshot().log_size
