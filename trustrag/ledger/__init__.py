"""The memory: documents, what stands of them, and the log that proves it. See `Ledger`."""

from trustrag.ledger.audit import check
from trustrag.ledger.history import Publisher
from trustrag.ledger.ledger import Ledger
from trustrag.ledger.model import (
    Action,
    Admission,
    Problem,
    Ruling,
    Sealer,
    Snapshot,
    SourceRows,
    Standing,
    StoredText,
    VersionRow,
)
from trustrag.ledger.view import View
from trustrag.stored import Changes, Ids, StoredPassage, UnprovedPassage, Vectors, matches

__all__ = [
    "Action",
    "Admission",
    "Changes",
    "Ids",
    "Ledger",
    "Problem",
    "Publisher",
    "Ruling",
    "Sealer",
    "Snapshot",
    "SourceRows",
    "Standing",
    "StoredPassage",
    "StoredText",
    "UnprovedPassage",
    "Vectors",
    "VersionRow",
    "View",
    "check",
    "matches",
]
