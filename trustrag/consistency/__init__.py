"""Who agrees with whom: a pure graph of repetition, copying, support and conflict over passages.

Nothing here knows a store, a model or a framework. A passage is a text, an owner and perhaps a vector.
"""

from trustrag.consistency.likeness import SHARED_MEMORY, Likeness, PairMemory, Passage, compare
from trustrag.consistency.voices import collusion, echo, groups, repetition

__all__ = [
    "SHARED_MEMORY",
    "Likeness",
    "PairMemory",
    "Passage",
    "collusion",
    "compare",
    "echo",
    "groups",
    "repetition",
]
