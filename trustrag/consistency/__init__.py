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
    open_entailment_judge,
)
from trustrag.consistency.likeness import Likeness, Passage, compare, foresee
from trustrag.consistency.memory import SHARED_MEMORY, PairMemory, PairStore
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
    "PairStore",
    "Passage",
    "ValueChange",
    "ValueJudge",
    "certify",
    "changed_values",
    "collusion",
    "compare",
    "echo",
    "foresee",
    "open_entailment_judge",
    "originals",
    "repetition",
    "stated",
]
