"""The memory: documents, what stands of them, and the log that proves it. See `Ledger`."""

from trustrag.ledger.audit import check
from trustrag.ledger.history import Publisher, Sealed, Step, publisher_under
from trustrag.ledger.ledger import Ledger
from trustrag.ledger.model import (
    Action,
    Admission,
    Decision,
    Held,
    Problem,
    Ruling,
    Said,
    Sealer,
    Snapshot,
    SourceRows,
    Standing,
    StoredText,
    VersionRow,
    joined,
)
from trustrag.ledger.rollback import Plan, Stay, Struck, planned
from trustrag.ledger.view import View
from trustrag.stored import Changes, Ids, StoredPassage, UnprovedPassage, Vectors, matches

__all__ = [
    "Action",
    "Admission",
    "Changes",
    "Decision",
    "Held",
    "Ids",
    "Ledger",
    "Plan",
    "Problem",
    "Publisher",
    "Ruling",
    "Said",
    "Sealed",
    "Sealer",
    "Snapshot",
    "SourceRows",
    "Standing",
    "Stay",
    "Step",
    "StoredPassage",
    "StoredText",
    "Struck",
    "UnprovedPassage",
    "Vectors",
    "VersionRow",
    "View",
    "check",
    "joined",
    "matches",
    "planned",
    "publisher_under",
]
