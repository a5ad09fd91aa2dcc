"""The rules of the review desk: what people are shown of what waits, and what their word counts for.

review       shown only as it was signed at ingest, and settled by the rule that the gate goes by
casefile     what waits, in a file, for a reviewer on another machine
diff         what a new version changed
effects      what would change if it were let in, and who says the same or another thing
"""

from trustrag.ingest.desk.casefile import encode_case, read_case, read_verdict
from trustrag.ingest.desk.diff import Piece, word_diff
from trustrag.ingest.desk.effects import Effect, Nearest, Neighbour, Vectors, effect, neighbours
from trustrag.ingest.desk.review import (
    Case,
    Decided,
    Opinion,
    Shown,
    approvals,
    case_of,
    judged,
    not_the_operator,
    operator_decides,
    opinions_of,
    signed_verdict,
)

__all__ = [
    "Case",
    "Decided",
    "Effect",
    "Nearest",
    "Neighbour",
    "Opinion",
    "Piece",
    "Shown",
    "Vectors",
    "approvals",
    "case_of",
    "effect",
    "encode_case",
    "judged",
    "neighbours",
    "not_the_operator",
    "operator_decides",
    "opinions_of",
    "read_case",
    "read_verdict",
    "signed_verdict",
    "word_diff",
]
