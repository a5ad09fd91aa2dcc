"""Whose words are whose: text that another owner published first lends nothing to who copies it."""

from collections.abc import Sequence
from dataclasses import replace

from trustrag.consistency.likeness import Passage
from trustrag.consistency.reading import read, runs

TAKEN = 0.6
"""Share of a sentence's five-word runs that stand in an earlier text from which it is taken from there."""


def originals(passages: Sequence[Passage]) -> list[Passage]:
    """The passages with, of each, only the sentences that no other owner published at an earlier log position.

    For scoring, never for showing: a lie between sentences copied from honest passages is weighed as the lie alone. A
    changed passage loses its vector, which spoke for the whole. Passages of unknown position neither give nor lose, and
    one that has no sentence of its own stays whole: it is a copy, and counted as one. Positions come from the log; a date
    that a signer wrote would let the copier claim to be first.
    """
    known = [(passage, read(passage.text)) for passage in passages if passage.position is not None]
    result = []
    for passage in passages:
        mine = read(passage.text)
        earlier: set[int] = set()
        for other, reading in known:
            if _before(other, passage) and not mine.shingles.isdisjoint(reading.shingles):
                earlier |= mine.shingles & reading.shingles
        result.append(_without(passage, earlier) if earlier else passage)
    return result


def _before(other: Passage, passage: Passage) -> bool:
    if other.position is None or passage.position is None or other.owner == passage.owner:
        return False
    return other.position < passage.position


def _without(passage: Passage, earlier: set[int]) -> Passage:
    reading, own = read(passage.text), []
    said: list[list[str]] = [[] for _ in reading.sentences]
    for word, sentence in zip(reading.words, reading.sentence_of, strict=True):
        said[sentence].append(word.lower())
    for written, words in zip(reading.sentences, said, strict=True):
        mine = runs(words)
        if not mine or len(mine & earlier) < TAKEN * len(mine):
            own.append(written)
    text = " ".join(own)
    if len(own) == len(reading.sentences) or not read(text).terms:
        return passage
    return replace(passage, text=text, vector=None)
