"""People who review: their keys in the policy, and what they sign."""

from trustrag.authority.reviewers import reviewer_signer
from trustrag.provenance.keys import Signer
from trustrag.workspace import Workspace


def appoint(workspace: Workspace, *names: str, threshold: int) -> list[Signer]:
    """Let these people review here, with keys that are made here; so many of them have to approve every document."""
    for name in names:
        workspace.reviews.add_reviewer(name)
    workspace.reviews.require(threshold)
    return [reviewer_signer(workspace.authority, name)[1] for name in names]


def approve(workspace: Workspace, doc_id: str, *names: str) -> None:
    """Let a document stand that waits for these people."""
    for name in names:
        workspace.reviews.approve(doc_id, by=name, reason="it was read")
