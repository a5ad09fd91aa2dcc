"""Who agrees with whom: a pure graph of repetition, copying, support and conflict over passages.

Nothing here knows a store or a framework, and no model is loaded unless a caller brings one.
"""

from trustrag.consistency.certificate import Certificate, certify, stated
from trustrag.consistency.changes import Changes, ValueChange, changed_values
from trustrag.consistency.judges import (
    AnswerJudge,
    EntailmentJudge,
    Finding,
    Judge,
    ValueJudge,
    open_cross_encoder,
)
from trustrag.consistency.likeness import SHARED_MEMORY, Likeness, PairMemory, Passage, compare
from trustrag.consistency.originals import originals
from trustrag.consistency.voices import collusion, echo, repetition

__all__ = [
    "SHARED_MEMORY",
    "AnswerJudge",
    "Certificate",
    "Changes",
    "EntailmentJudge",
    "Finding",
    "Judge",
    "Likeness",
    "PairMemory",
    "Passage",
    "ValueChange",
    "ValueJudge",
    "certify",
    "changed_values",
    "collusion",
    "compare",
    "echo",
    "open_cross_encoder",
    "originals",
    "repetition",
    "stated",
]
