"""trustrag: retrieval that proves every passage before it returns it.

A retrieval layer hands text to a language model, and the model believes it. trustrag asks first:
who published this text, who let it in, does it still stand, and is it bit for bit what was signed?
A passage that cannot answer is not returned; it is counted and reported, with the reason.

The house in one breath: one way in (`ingest`), one way out (`retrieval`), one gate
(`verify_passage`), one memory (`ledger`), and an index that knows nothing.

    from trustrag import Workspace

    ws = Workspace.init("kb", source="acme", passphrase=b"...")    # keys, policy, trust root and ledger, in one step
    ws.ingest(["docs/"], source="acme")            # sign a folder as acme and take it in
    report = ws.search("How long are logs kept?")  # only what is proved; `report.refused` has the rest
    answer = ws.ask("How long are logs kept?")     # Grounded, each sentence cited, or Abstained

1.  A **source** signs what it publishes: an in-toto statement in a DSSE envelope, over the digests of
    its documents. One signature covers a batch, and can be made far from the store (`trustrag attest`).
2.  **Ingest** checks that signature against the policy, cuts the document into chunks, embeds them and
    signs what it did. A review signs its approval: a document stands because someone said yes, so
    deleting a record can never turn a no into a yes.
3.  The **ledger** appends every envelope to a Merkle log (RFC 6962), seals what stands in a signed
    snapshot, and signs the tree head. One transaction from entry to checkpoint.
4.  The **index** gets integers and vectors, never text. It may be lost, wrong or hostile.
5.  **Search** takes the index's hits as hints. For each one the gate hashes text, metadata and vector
    again, follows the proofs to the snapshot and the signatures to today's policy. Only then does
    ranking see it, where one source has one voice.
6.  The **policy** says who may say what. A TUF repository under `keys/` distributes it; the highest
    state ever seen is remembered outside the workspace, so that an old copy is noticed.

What signatures do not do: make a valid signer tell the truth. docs/threat-model.md says what is left
over.

Importing this package loads neither torch, faiss, langchain nor tuf: each name below arrives with its
module, on first use.
"""

import importlib
from typing import TYPE_CHECKING

from trustrag.errors import (
    AuthorityError,
    BackendError,
    ConfigError,
    ConflictError,
    LedgerError,
    MalformedError,
    NotFoundError,
    ProofError,
    Refusal,
    RefusedDocumentError,
    SignatureError,
    StaleError,
    TrustragError,
    UnencryptedKeysWarning,
    UnsignedDocumentError,
    VerificationError,
)

if TYPE_CHECKING:
    from trustrag.ingest.pipeline import IngestReport
    from trustrag.provenance.evidence import VerifiedPassage
    from trustrag.reader import Reader
    from trustrag.retrieval.answer import Abstained, Grounded
    from trustrag.retrieval.retriever import SearchReport
    from trustrag.workspace import Workspace, verify_evidence

__version__ = "0.1.0"

__all__ = [
    "Abstained",
    "AuthorityError",
    "BackendError",
    "ConfigError",
    "ConflictError",
    "Grounded",
    "IngestReport",
    "LedgerError",
    "MalformedError",
    "NotFoundError",
    "ProofError",
    "Reader",
    "Refusal",
    "RefusedDocumentError",
    "SearchReport",
    "SignatureError",
    "StaleError",
    "TrustragError",
    "UnencryptedKeysWarning",
    "UnsignedDocumentError",
    "VerificationError",
    "VerifiedPassage",
    "Workspace",
    "verify_evidence",
]

_HOME = {
    "Abstained": "trustrag.retrieval.answer",
    "Grounded": "trustrag.retrieval.answer",
    "Reader": "trustrag.reader",
    "IngestReport": "trustrag.ingest.pipeline",
    "SearchReport": "trustrag.retrieval.retriever",
    "VerifiedPassage": "trustrag.provenance.evidence",
    "Workspace": "trustrag.workspace",
    "verify_evidence": "trustrag.workspace",
}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
