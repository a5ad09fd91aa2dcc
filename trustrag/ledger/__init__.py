"""The memory: documents, what stands of them, and the log that proves it. See `Ledger`."""

from trustrag.ledger.audit import check
from trustrag.ledger.history import Publisher
from trustrag.ledger.ledger import Ledger
from trustrag.ledger.model import (
    Action,
    Admission,
    Changes,
    Decision,
    Held,
    Ids,
    Problem,
    Ruling,
    Said,
    Sealer,
    Snapshot,
    SourceRows,
    Standing,
    StoredPassage,
    StoredText,
    UnprovedPassage,
    Vectors,
    VersionRow,
    matches,
)
from trustrag.ledger.view import View

__all__ = [
    "Action",
    "Admission",
    "Changes",
    "Decision",
    "Held",
    "Ids",
    "Ledger",
    "Problem",
    "Publisher",
    "Ruling",
    "Said",
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
