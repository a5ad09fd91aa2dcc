"""What a new version changed, word by word, for people to read."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

MOST_WORDS = 4000
"""Words of one changed stretch that are compared with each other: beyond, all of it counts as changed."""

_WORD = re.compile(r"\s+|\w+|[^\w\s]")


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text that both versions have, or only the old one (`gone`) or the new one (`new`)."""

    kind: Literal["same", "gone", "new"]
    text: str


def word_diff(old: str, new: str) -> tuple[Piece, ...]:
    """The new text with what was taken out and put in. Joining all but `gone` is the new text, all but `new` the old."""
    pieces: list[Piece] = []
    for piece in _by_line(old, new):
        if pieces and pieces[-1].kind == piece.kind:
            piece = Piece(piece.kind, pieces.pop().text + piece.text)
        pieces.append(piece)
    return tuple(pieces)


def _by_line(old: str, new: str) -> Iterator[Piece]:
    """Whole lines first: a long page in which one sentence changed is not compared word by word."""
    before, after = old.splitlines(keepends=True), new.splitlines(keepends=True)
    for kind, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        gone, come = "".join(before[a:b]), "".join(after[c:d])
        if kind == "equal":
            yield Piece("same", come)
        else:
            yield from _by_word(gone, come)


def _by_word(old: str, new: str) -> Iterator[Piece]:
    before, after = _WORD.findall(old), _WORD.findall(new)
    if len(before) + len(after) > MOST_WORDS:
        codes = [("replace", 0, len(before), 0, len(after))]
    else:
        codes = list(SequenceMatcher(None, before, after, autojunk=False).get_opcodes())
    for kind, a, b, c, d in codes:
        gone, come = "".join(before[a:b]), "".join(after[c:d])
        if kind == "equal":
            yield Piece("same", come)
            continue
        if gone:
            yield Piece("gone", gone)
        if come:
            yield Piece("new", come)
