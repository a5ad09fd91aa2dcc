"""What other tools are given: one honest envelope of each kind, a checkpoint, and a trust root."""

import time
from pathlib import Path

from trustrag.provenance.canonical import Digest
from trustrag.provenance.checkpoint import Checkpoint, sign_checkpoint
from trustrag.provenance.envelope import Envelope, sign
from trustrag.provenance.keys import PrivateKey, PublicKey, Signer
from trustrag.provenance.policy import Log, Policy, PolicyKey, Reviewers, Role, Source
from trustrag.provenance.statement import (
    Chunker,
    Context,
    DocumentClaim,
    EmbedderId,
    IngestedDocument,
    IngestStatement,
    ReviewStatement,
    RollbackStatement,
    SnapshotStatement,
    SourceStatement,
    WithdrawalStatement,
)
from trustrag.trustroot import ROLES, create_trust_root, publish_policy, refresh_root

CONTEXT = Context("store", "tenant", "collection")
ORIGIN = "example.org/store"
NOW = int(time.time())  # readers that we did not write compare expiries with the clock


def key(name: str) -> PrivateKey:
    """A key that is always the same for a name."""
    return PrivateKey.from_seed(name.encode().ljust(32, b"."))


class AllKeys:
    """A keyring that holds the key of each role."""

    def find(self, public_key: PublicKey) -> Signer | None:
        return next((key(role) for role in ROLES if key(role).public_key == public_key), None)


def envelopes() -> dict[str, Envelope]:
    """An envelope of each kind of statement, by the kind's name; the signer is `key(kind)`."""
    file, text = Digest.of(b"a file"), Digest.of(b"its metadata")
    claim = DocumentClaim("guides/größe.md", 1, file, None, "text/markdown", "CC-BY-4.0", text)
    source = sign(SourceStatement(CONTEXT, (claim,), NOW, NOW + 86_400).encode(), key("source"))
    document = IngestedDocument(claim.doc_id, 1, file, source.digest, Digest.of(b"chunks"), 3)
    ingest = IngestStatement(
        context=CONTEXT,
        documents=(document,),
        chunker=Chunker("recursive", 800, 100, "1"),
        embedder=EmbedderId("hash", 256, Digest.of(b"weights")),
        tool="pkg:pypi/trustrag-provenance@0.1.0",
        finished_at=NOW,
    ).encode()
    review = ReviewStatement(Digest.of(ingest), "urn:trustrag:screen:1", ("NO_HIDDEN_UNICODE",), NOW)
    snapshot = SnapshotStatement(
        context=CONTEXT,
        root=Digest.of(b"standing"),
        version=1,
        previous=None,
        log_size=3,
        action="publish",
        reason=None,
        issued_at=NOW,
        expires=NOW + 86_400,
    )
    rollback = RollbackStatement(CONTEXT, 1, Digest.of(b"then"), 2, Digest.of(b"now"), "it was wrong", NOW)
    withdrawal = WithdrawalStatement(CONTEXT, claim.doc_id, None, "it was wrong", NOW)
    return {
        "source": source,
        "ingest": sign(ingest, key("ingest")),
        "review": sign(review.encode(), key("review")),
        "snapshot": sign(snapshot.encode(), key("snapshot statement")),
        "withdrawal": sign(withdrawal.encode(), key("withdrawal")),
        "rollback": sign(rollback.encode(), key("rollback")),
    }


def signer_of(kind: str) -> PrivateKey:
    """Who signs the envelope of this kind."""
    return key("snapshot statement" if kind == "snapshot" else kind)


def note() -> bytes:
    """A signed checkpoint; the signer is `key("log")`."""
    return sign_checkpoint(Checkpoint(ORIGIN, 4, Digest.of(b"tree")), key("log"))


def trust_root(folder: Path) -> None:
    """A trust root with two roots and two policies behind it."""

    def keys(name: str) -> tuple[PolicyKey, ...]:
        return (PolicyKey(key(name).public_key),)

    def policy(version: int) -> Policy:
        return Policy(
            version=version,
            context=CONTEXT,
            issued_at=NOW,
            log=Log(ORIGIN, keys("log")),
            ingest=Role(keys("ingest")),
            screen=Role(keys("review")),
            review=Reviewers(),
            seal=Role(keys("snapshot statement")),
            sources=(Source("acme", None, keys("source"), ("tenant/collection",), 500),),
            snapshot_age=90 * 86_400,
        )

    signers: dict[str, list[Signer]] = {role: [key(role)] for role in ROLES}
    create_trust_root(folder, policy(1), signers, now=NOW)
    publish_policy(folder, policy(2), AllKeys(), now=NOW)
    refresh_root(folder, AllKeys(), now=NOW)
