"""What changed between two versions of a text: values replaced in place, and claims added or taken away.

An in-place replacement by a trusted source cannot be seen among search results; it can be seen here, before the new
version is searchable. A legitimate update looks the same, so a change is a reason to hold or to mark, never to reject.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz import fuzz, process
from rapidfuzz.distance import OSA, Levenshtein, Opcode

from trustrag.consistency.reading import DATE, NAME, NUMBER, TERM, Reading, normal, read

SAME_SENTENCE = 55.0
"""Similarity (0..100) of word sequences from which a sentence is an edit of another and not a new one."""
PHRASE = 6
"""The longest run of words, on either side, that is one value."""


@dataclass(frozen=True, slots=True)
class ValueChange:
    """In a sentence that otherwise stayed, `old` became `new`. `kind` is number, date, name or term (any other word)."""

    kind: str
    old: str
    new: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Changes:
    """All that changed: `values` (numbers, dates, names) in place, sentences `added` (new claims) and `removed`.

    `words` are the ordinary words replaced. A synonym and a lie look the same there, so they are told and not counted.
    """

    values: tuple[ValueChange, ...]
    words: tuple[ValueChange, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]


def changed_values(old_text: str, new_text: str) -> Changes:
    """Compare two versions sentence by sentence. Moved sentences, casing, punctuation and number format are no changes."""
    old = [sentence for sentence in read(old_text).sentences if read(sentence).words]
    new = [sentence for sentence in read(new_text).sentences if read(sentence).words]
    old, new = _without_kept(old, new)
    pairs = _aligned(old, new)
    found = [change for i, j in pairs for change in _replaced(old[i], new[j])]
    edits = [(i, j) for i, j in pairs if not _is_rewritten(old[i], new[j])]
    kept_old, kept_new = {i for i, _ in edits}, {j for _, j in edits}
    added = tuple(sentence for j, sentence in enumerate(new) if j not in kept_new)
    removed = tuple(sentence for i, sentence in enumerate(old) if i not in kept_old)
    often = Counter((change.old.lower(), change.new.lower()) for change in found)
    values: list[ValueChange] = []
    words: list[ValueChange] = []
    for change in found:
        # The same word replaced by the same word again and again is not style: it is the subject.
        again = often[change.old.lower(), change.new.lower()] > 1
        (words if change.kind == TERM and not again else values).append(change)
    return Changes(tuple(values), tuple(words), added, removed)


def _forms(reading: Reading) -> list[str]:
    return [normal(word.lower()) for word in reading.words]


def _without_kept(old: Sequence[str], new: Sequence[str]) -> tuple[list[str], list[str]]:
    """Both lists without the sentences that stand in the other, wherever, in the same words."""
    before = {tuple(_forms(read(sentence))) for sentence in old}
    after = {tuple(_forms(read(sentence))) for sentence in new}
    kept = before & after
    return (
        [sentence for sentence in old if tuple(_forms(read(sentence))) not in kept],
        [sentence for sentence in new if tuple(_forms(read(sentence))) not in kept],
    )


def _aligned(old: Sequence[str], new: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs of an old sentence and its edit, the most alike first; each sentence once."""
    if not old or not new:
        return []
    left = [" ".join(_forms(read(sentence))) for sentence in old]
    right = [" ".join(_forms(read(sentence))) for sentence in new]
    scores = process.cdist(left, right, scorer=fuzz.token_sort_ratio)
    pairs: list[tuple[int, int]] = []
    taken_old: set[int] = set()
    taken_new: set[int] = set()
    for flat in np.argsort(-scores, axis=None, kind="stable").tolist():
        i, j = divmod(int(flat), len(new))
        if scores[i, j] < SAME_SENTENCE:
            break
        if i not in taken_old and j not in taken_new:
            pairs.append((i, j))
            taken_old.add(i)
            taken_new.add(j)
    return pairs


@dataclass(frozen=True, slots=True)
class _Block:
    """A run of words and what stands in its place: spans in both sentences, and the words that are really other ones."""

    old: range
    new: range
    gone: list[str]
    come: list[str]

    @property
    def is_long(self) -> bool:
        return max(len(self.old), len(self.new)) > PHRASE


def _blocks(a: list[str], b: list[str]) -> Iterator[_Block]:
    """Where words of `a` were replaced by others in `b`."""
    # Counted, not looked up: a word that only moved within the sentence went nowhere.
    went, came = Counter(a) - Counter(b), Counter(b) - Counter(a)
    for start, end, first, last in _joined([op for op in Levenshtein.opcodes(a, b) if op.tag != "equal"]):
        gone = [word for word in a[start:end] if word in went]
        come = [word for word in b[first:last] if word in came]
        if gone and come:
            yield _Block(range(start, end), range(first, last), gone, come)


def _is_rewritten(old: str, new: str) -> bool:
    """Whether a longer run than any value was replaced: then the sentence is a new claim, however alike the rest is."""
    return any(block.is_long for block in _blocks(_forms(read(old)), _forms(read(new))))


def _replaced(old: str, new: str) -> Iterator[ValueChange]:
    before, after = read(old), read(new)
    for block in _blocks(_forms(before), _forms(after)):
        if block.is_long or _misspelt(block.gone, block.come):
            continue
        kind = _kind(before, block.old, block.gone, after, block.new, block.come)
        if kind:
            was = " ".join(before.words[block.old.start : block.old.stop])
            now = " ".join(after.words[block.new.start : block.new.stop])
            yield ValueChange(kind, was, now, new)


def _joined(blocks: Sequence[Opcode]) -> Iterator[tuple[int, int, int, int]]:
    """Edit blocks (start and end in the old, in the new), those with at most one word between made one."""
    current: tuple[int, int, int, int] | None = None
    for block in blocks:
        span = (block.src_start, block.src_end, block.dest_start, block.dest_end)
        if current and span[0] - current[1] <= 1 and span[2] - current[3] <= 1:
            current = (current[0], span[1], current[2], span[3])
            continue
        if current:
            yield current
        current = span
    if current:
        yield current


def _kind(
    before: Reading, was: range, gone: Sequence[str], after: Reading, now: range, come: Sequence[str]
) -> str:
    """The strictest kind among the values that went and came; empty if either side has no content word at all."""
    old = {value.kind for value in before.values if value.place in was and value.form in gone}
    new = {value.kind for value in after.values if value.place in now and value.form in come}
    if not (old or any(before.roots[place] for place in was)) or not (
        new or any(after.roots[place] for place in now)
    ):
        return ""
    for kind in (NUMBER, DATE, NAME):
        if kind in old and kind in new:
            return kind
    # One capital is enough inside a sentence ("by Italy" became "by the kingdom"), but not in a headline, where all are.
    inside = before.words[max(1, was.start) : was.stop] + after.words[max(1, now.start) : now.stop]
    capital = any(word[0].isupper() for word in inside) and not _headline(before.words)
    return NAME if capital and NAME in old | new else TERM


def _headline(words: Sequence[str]) -> bool:
    return sum(word[0].isupper() for word in words) > 0.6 * len(words)


def _misspelt(gone: Sequence[str], come: Sequence[str]) -> bool:
    """Whether the words differ as a typing error differs: a letter or a swap in a word of five, two in one of nine."""
    if len(gone) != len(come):
        return "".join(gone) == "".join(come)
    for old, new in zip(gone, come, strict=True):
        allowed = 0 if old[0].isdigit() or new[0].isdigit() else 1 + (min(len(old), len(new)) >= 9)
        if min(len(old), len(new)) < 4 or OSA.distance(old, new) > allowed:
            return False
    return True
