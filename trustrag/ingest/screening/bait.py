"""Text that is written to be found and not to be read: a question played back before its answer, words heaped up.

A retriever ranks by nearness to the question, so poison opens with the question itself (PoisonedRAG, Zou et al. 2025,
section 4.1.1). Honest pages ask questions too: they write them as sentences, with a capital and a question mark. What
is held is the question as it is typed into a search box; the tidy one that is answered at once is a warning, since it
is also what a page of frequent questions looks like. Whoever writes tidily is left to the screen for floods.
"""

import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from trustrag.consistency.reading import STOPWORDS, read, stem
from trustrag.ingest.document import Document
from trustrag.ingest.screening.base import Finding, Severity, shown

CRAFTED = "AML.T0066"
LEAST, MOST = 4, 30
"""Words of an opening question: shorter ones are headings, longer ones are prose."""
ECHO = 0.3
"""Share of the question's content words that the rest says again, from which it answers that question."""
TYPED = 0.5
"""The same for a line that doesn't ask, in what follows `AT_ONCE`: more than a passage cut in mid-sentence says again."""
AT_ONCE = 2
"""Sentences that an answer to it takes."""
OPENING = 400
"""Characters in which the opening question has to end."""
STUFFED = 0.18
"""Share of one content word among all words of a text from which it is heaped up."""
DIFFERENT = 8
"""Content words that a heap has besides: one word over and over is a placeholder, and nobody is found by it."""
RUN = 60
"""Words of a text below which nothing is counted."""
SQUEEZED = 0.12
"""Size of a long text when compressed, against its own, below which it says the same over and over."""

_ASKS = re.compile(
    r"(?:(?:in|on|at|for|from|to|of|by|with|under|during) )?"
    r"(?:who(?:se|m)?|what|which|when|where|why|how|is|are|was|were|do|does|did|can|could|will|would|should|has|have|name)\b",
    re.I,
)
_NAMES_WHAT_IT_ASKS = re.compile(
    r"(?:(?:in|on|at|for|from|to|of|by|with|under|during) )?(?:who(?:se|m)?|what|which|when|where|why|how)\b"
)
_END = re.compile(r"[.?!:]+(?=\s|$)|\n")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+")


@dataclass(frozen=True, slots=True)
class BaitScreen:
    """Query bait: an opening that repeats a question, and keywords out of all proportion."""

    name: str = "bait"
    version: int = 2

    def check(self, document: Document) -> Iterator[Finding]:
        """Hold the question of a search box that is answered at once, and heaps of one word; warn of tidy questions."""
        yield from _opening(document.text)
        yield from _heaps(document.text)


def opening_question(text: str) -> tuple[str, str] | None:
    """What a text opens with and the rest of it, where the opening may be a question; None where it is prose.

    Either it asks, or it is a line without one capital before prose that has them.
    """
    start = len(text) - len(text.lstrip())
    if not text[start : start + 1].islower() and not _ASKS.match(text, start):
        return None
    ends = _END.finditer(text, start, start + OPENING)
    end = next((match for match in ends if not _abbreviates(text, match.start())), None)
    if end is None:
        return None
    question, rest = text[start : end.end()], text[end.end() :].strip()
    if not LEAST <= len(_WORD.findall(question)) <= MOST or not rest:
        return None
    is_typed = question.islower() and rest[0].isupper()
    return (question, rest) if is_typed or _ASKS.match(question) else None


def _is_title(question: str) -> bool:
    """Whether it is written like the name of a work: most words with a capital."""
    words: list[str] = _WORD.findall(question)
    return sum(word[0].isupper() for word in words) > len(words) / 2


def echo_of(question: str, rest: str) -> float:
    """The share of the question's content words, by their stems, that the rest says again."""
    asked = content(question)
    return len(asked & content(rest)) / max(1, len(asked))


def content(text: str) -> frozenset[str]:
    """The stems of a text's content words."""
    return frozenset(stem(word) for word in _WORD.findall(text.lower()) if word not in STOPWORDS)


def _abbreviates(text: str, stop: int) -> bool:
    """Whether a full stop ends a single letter or "vs", not a sentence."""
    before = text[max(0, stop - 4) : stop]
    return (
        text[stop] == "."
        and re.search(r"(?:\b[^\W\d]|\b(?:vs|mr|dr|st|mrs|no|jr))$", before, re.I) is not None
    )


def _opening(text: str) -> Iterator[Finding]:
    found = opening_question(text)
    if found is None:
        return
    question, rest = found
    start = len(text) - len(text.lstrip())
    span = (start, start + len(question))
    asks, echo = question.endswith("?"), echo_of(question, rest)
    if question.islower() and not asks and (_NAMES_WHAT_IT_ASKS.match(question) or _is_met(question, rest)):
        reason = f"it opens with a question as typed into a search box: {shown(question)}"
        yield Finding("ECHOED_QUESTION", Severity.HOLD, *span, reason, CRAFTED)
    elif asks and echo >= ECHO and not _is_title(question):
        severity = Severity.HOLD if question.islower() else Severity.WARN
        reason = f"it opens with a question and answers it: {shown(question)}"
        yield Finding("OPENING_QUESTION", severity, *span, reason, CRAFTED)


def _is_met(question: str, rest: str) -> bool:
    """Whether the next sentences say most of a line again: two words of it at least, or any line's would do."""
    said = " ".join([sentence for sentence in read(rest).sentences if sentence][:AT_ONCE])
    shared = content(question) & content(said)
    return len(shared) >= 2 and len(shared) >= TYPED * len(content(question))


def _heaps(text: str) -> Iterator[Finding]:
    words = [word.lower() for word in _WORD.findall(text)]
    if len(words) < RUN:
        return
    counted = Counter(
        stem(word) for word in words if word not in STOPWORDS and not word.isdigit() and len(word) > 2
    )
    word, often = counted.most_common(1)[0] if counted else ("", 0)
    if often > STUFFED * len(words) and len(counted) >= DIFFERENT:
        reason = f"{shown(word)} is {often} of its {len(words)} words"
        yield Finding("KEYWORD_STUFFING", Severity.HOLD, 0, 0, reason, CRAFTED)
    data = text.encode("utf-8", "replace")
    if (
        len(data) >= 1000
        and (size := len(zlib.compress(data[:100_000], 1)) / min(len(data), 100_000)) < SQUEEZED
    ):
        reason = f"it says the same over and over: compressed, {size:.0%} of its size is left"
        yield Finding("REPEATS_ITSELF", Severity.NOTE, 0, 0, reason, CRAFTED)
