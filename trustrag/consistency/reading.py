"""What one text says, read once: its words, its sentences and its salient values.

Everything here works on whole tokens found by one compiled expression; nothing loops over characters. A `Reading`
depends on the text alone, so it is kept by the text's digest and shared by all questions.
"""

import hashlib
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise
from typing import NamedTuple

TOKEN = re.compile(r"[^\W\d_]+(?:['’.&-][^\W\d_]+)*|\d+(?:[.,:]\d+)*")
SENTENCE_END = re.compile(
    r"(?<=[.!?])"  # ended by a stop,
    r"(?<![\s.(][A-Z]\.)(?<!\s(?:Mr|Dr|St|Jr|vs|No)\.)"  # but not by an initial or a title,
    r"[\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-Z0-9])|\n+"  # followed by a capital or a number; or by a new line
)
MAX_TOKENS = 2_000
"""Tokens read of one text: a passage is a chunk, and a longer one must not buy a slower query."""
SHINGLE = 5
"""Words in a row that two texts rarely share by chance."""

STOPWORDS = frozenset(
    """
    a about above after again against all also although always am among an and another any are as at
    back be because been before being below between both but by called can cannot could did do does
    doing down during each either ever every few for from further get gets given go goes got had has
    have having he her here hers herself him himself his how however i if in into is it its itself just
    last like made make makes many may me might more most much must my name named near never new next no
    nor not now of off often on once one only or other our out over own per same set several shall she
    should since so some still such take than that the their them themselves then there these they this
    those though through thus to too under until up upon us use used uses using very was we well were
    what when where whether which while who whom whose why will with within without would yes yet you
    your s t re ll ve d m
    """.split()
)

NUMBER, DATE, NAME, TERM = "number", "date", "name", "term"
"""The kinds of value: a count or measure, a year or month, a capitalised word, any other content word."""

_ONES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
)
_NUMBERS = {
    word: str(value) for value, word in enumerate([*_ONES.split(), "seventeen", "eighteen", "nineteen"])
}
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety hundred".split()
_NUMBERS |= {word: str(10 * (value + 2)) for value, word in enumerate(_TENS)} | {"thousand": "1000"}
_MONTHS = frozenset(
    """january february march april may june july august september october november december""".split()
)
_YEAR = re.compile(r"1[0-9]{3}|20[0-9]{2}")


class Value(NamedTuple):
    """A word that may answer a question: its normal form, its kind, and the place of its token in the text."""

    form: str
    kind: str
    place: int


@dataclass(frozen=True, slots=True)
class Reading:
    """One text, read.

    `words` are its tokens as written, `roots` their stems (the empty string for a stopword) and `sentence_of` the
    number of the sentence each stands in: three sequences of one length. `sentences` are the texts between those
    breaks. `terms` is the set of content stems, `wording` the content stems in order and joined by blanks, for string
    similarity. `shingles` are the runs of five words that tell copying from agreement. `values` are the words that may
    answer a question, `said` the normal forms of all words.
    """

    digest: str
    words: tuple[str, ...]
    roots: tuple[str, ...]
    sentence_of: tuple[int, ...]
    sentences: tuple[str, ...]
    terms: frozenset[str]
    wording: str
    shingles: frozenset[int]
    values: tuple[Value, ...]
    said: frozenset[str]

    def __hash__(self) -> int:
        return hash(self.digest)


def digest_of(text: str) -> str:
    """SHA-256 of the text, hex: the name under which everything learnt about it is kept."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@lru_cache(maxsize=65_536)
def stem(word: str) -> str:
    """A light English stem of a lower-case word: plural, participle and genitive endings, nothing deeper."""
    word = word.removesuffix("'s").removesuffix("’s")
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "i"
    if len(word) > 5 and word.endswith("ing"):
        return _undouble(word[:-3])
    if len(word) > 4 and word.endswith("ed"):
        return _undouble(word[:-2])
    if len(word) > 4 and word.endswith(("sses", "shes", "ches", "xes", "zes")):
        return word[:-2]
    if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return _end(word[:-1])
    return _end(word)


def _undouble(word: str) -> str:
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "lsz":
        return word[:-1]
    return _end(word)


def _end(word: str) -> str:
    if len(word) > 3 and word.endswith("e"):
        return word[:-1]
    if len(word) > 3 and word.endswith("y"):
        return word[:-1] + "i"
    return word


class Token(NamedTuple):
    """What a word says by itself: `kind` is the empty string where it is no value."""

    lower: str
    root: str
    form: str
    kind: str


@lru_cache(maxsize=65_536)
def token(word: str) -> Token:
    """A word as written, looked up once for all texts that hold it."""
    lower = word.lower()
    root, form = "" if lower in STOPWORDS else stem(lower), normal(lower)
    if form[0].isdigit():
        kind = DATE if _YEAR.fullmatch(lower) else NUMBER
    elif lower in _MONTHS and word[0].isupper():
        kind = DATE
    elif not root or len(word) == 1:
        kind = ""
    elif word[0].isupper():
        kind = NAME
    else:
        kind = _term(lower)
    return Token(lower, root, form, kind)


def _term(lower: str) -> str:
    return "" if lower.endswith(("ly", "ed", "ing")) else TERM


def runs(lower: Sequence[str]) -> frozenset[int]:
    """The runs of five lower-case words, each as a hash that holds in this process only."""
    return frozenset(map(hash, zip(*(lower[i:] for i in range(SHINGLE)), strict=False)))


@lru_cache(maxsize=2_048)
def read(text: str) -> Reading:
    """Read a text. Pure; at most `MAX_TOKENS` tokens are looked at."""
    breaks = [match.end() for match in SENTENCE_END.finditer(text)]
    words: list[str] = []
    sentence_of: list[int] = []
    notes: set[int] = set()
    sentence = 0
    for match in islice(TOKEN.finditer(text), MAX_TOKENS):
        start, end = match.span()
        while sentence < len(breaks) and start >= breaks[sentence]:
            sentence += 1
        if start and text[start - 1] == "[" and text[end : end + 1] == "]":
            notes.add(len(words))
        words.append(match.group())
        sentence_of.append(sentence)
    edges = [0, *breaks, len(text)]
    sentences = tuple(text[a:b].strip() for a, b in pairwise(edges))
    tokens = [token(word) for word in words]
    stems = [one.root for one in tokens if one.root]
    return Reading(
        digest_of(text),
        tuple(words),
        tuple(one.root for one in tokens),
        tuple(sentence_of),
        sentences,
        frozenset(stems),
        " ".join(stems),
        runs([one.lower for one in tokens]),
        tuple(value for value in _values(words, tokens, sentence_of) if value.place not in notes),
        frozenset(stems) | {one.form for one in tokens},
    )


def content(text: str) -> set[str]:
    """Its content words and numbers, in their normal form."""
    reading = read(text)
    return {token(word).form for word, root in zip(reading.words, reading.roots, strict=True) if root}


def normal(word: str) -> str:
    """The form under which a lower-case number or word is compared: "1,200" is 1200, "seven" is 7."""
    if word[0].isdigit():
        return word.replace(",", "")
    return _NUMBERS.get(word) or ("" if word in STOPWORDS else stem(word)) or word


def _values(words: Sequence[str], tokens: Sequence[Token], sentence_of: Sequence[int]) -> Iterator[Value]:
    small = {word for word in words if word[0].islower()}
    for place, (lower, _, form, kind) in enumerate(tokens):
        if kind == NAME and (place == 0 or sentence_of[place] != sentence_of[place - 1]):
            kind = _term(lower) if _common(place, words, small) else NAME
        if kind:
            yield Value(form, kind, place)


def _common(place: int, words: Sequence[str], small: Collection[str]) -> bool:
    """Whether a capital that opens a sentence says nothing: an adverb, or a word also written small."""
    lower = words[place].lower()
    if lower.endswith("ly") and len(lower) > 6:
        return True
    after = words[place + 1] if place + 1 < len(words) else ""
    return lower in small and not (after[:1].isupper() and after.lower() not in STOPWORDS)
