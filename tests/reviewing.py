"""People who review: their keys in the policy, and what they sign."""

from collections.abc import Sequence
from dataclasses import replace

from trustrag.ledger import Ruling
from trustrag.provenance.canonical import Digest
from trustrag.provenance.envelope import sign
from trustrag.provenance.keys import Signer
from trustrag.provenance.policy import PolicyKey, Role
from trustrag.provenance.standing import StandingEntry
from trustrag.provenance.statement import ReviewStatement
from trustrag.workspace import Workspace


def appoint(workspace: Workspace, *names: str, threshold: int) -> list[Signer]:
    """Let these people review here, with keys that are made here; so many of them have to agree."""
    signers: list[Signer] = [workspace.authority.keyring.generate(f"review-{name}") for name in names]
    keys = tuple(PolicyKey(signer.public_key) for signer in signers)
    workspace.authority.publish(replace(workspace.policy, review=Role(keys, threshold)))
    return signers


def approve(workspace: Workspace, doc_id: str, signers: Sequence[Signer]) -> None:
    """Let a document stand that waits for these people's reviews."""
    opened = workspace._opened
    with opened.writing() as ledger:
        with ledger.reading() as (session, _):
            newest = session.versions(doc_id)[-1]
            (stay,) = session.standing_of(newest.row)
        index = StandingEntry.parse(stay.entry).ingest_index
        with ledger.view() as view:
            payload = view.envelope(index).payload
        said = [
            ReviewStatement(Digest.of(payload), "urn:example:reviewer", ("LOOKED_AT",), opened.clock())
            for _ in signers
        ]
        screened = sign(said[0].encode(), opened.authority.signer(opened.policy.screen.keys, "screen"))
        reviews = [sign(one.encode(), signer) for one, signer in zip(said, signers, strict=True)]
        ruling = Ruling("restore", "looked at", doc_id, reviews=(screened, *reviews))
        ledger.rule([ruling], opened.sealer(), opened.clock())
