"""What one text says, read once: its words, its sentences and its salient values.

Everything here works on whole tokens found by one compiled expression; nothing loops over characters. A `Reading`
depends on the text alone, so it is kept by the text's digest and shared by all questions.
"""

import hashlib
import re
from dataclasses import dataclass
from functools import lru_cache

TOKEN = re.compile(r"[^\W\d_]+(?:['’.&-][^\W\d_]+)*|\d+(?:[.,:]\d+)*")
SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-Z0-9])|\n+")
MAX_TOKENS = 2_000
"""Tokens read of one text: a passage is a chunk, and a longer one must not buy a slower query."""
SHINGLE = 5
"""Words in a row that two texts rarely share by chance."""

STOPWORDS = frozenset(
    "a about above after again against all also although always am among an and another any are as at back be because been"
    " before being below between both but by called can cannot could did do does doing down during each either ever every few"
    " for from further get gets given go goes got had has have having he her here hers herself him himself his how however"
    " i if in into is it its itself just last like made make makes many may me might more most much must my name named near never"
    " new next no nor not now of off often on once one only or other our out over own per same set several shall she should since"
    " so some still such take than that the their them themselves then there these they this those though through thus to too"
    " under until up upon us use used uses using very was we well were what when where whether which while who whom whose why will"
    " with within without would yes yet you your s t re ll ve d m".split()
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One text, read.

    `words` are its tokens as written, `roots` their stems (the empty string for a stopword) and `sentence_of` the
    number of the sentence each stands in: three sequences of one length. `sentences` are the texts between those
    breaks. `terms` is the set of content stems, `wording` the content stems in order and joined by blanks, for string
    similarity. `shingles` are the runs of five words that tell copying from agreement.
    """

    digest: str
    words: tuple[str, ...]
    roots: tuple[str, ...]
    sentence_of: tuple[int, ...]
    sentences: tuple[str, ...]
    terms: frozenset[str]
    wording: str
    shingles: frozenset[int]


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


@lru_cache(maxsize=2_048)
def read(text: str) -> Reading:
    """Read a text. Pure; at most `MAX_TOKENS` tokens are looked at."""
    breaks = [match.end() for match in SENTENCE_END.finditer(text)]
    words: list[str] = []
    sentence_of: list[int] = []
    sentence = 0
    for match in TOKEN.finditer(text):
        if len(words) == MAX_TOKENS:
            break
        while sentence < len(breaks) and match.start() >= breaks[sentence]:
            sentence += 1
        words.append(match.group())
        sentence_of.append(sentence)
    edges = [0, *breaks, len(text)]
    sentences = tuple(text[a:b].strip() for a, b in zip(edges, edges[1:], strict=False))
    lower = [word.lower() for word in words]
    roots = tuple("" if word in STOPWORDS else stem(word) for word in lower)
    content = [root for root in roots if root]
    shingles = frozenset(hash(run) for run in zip(*(lower[i:] for i in range(SHINGLE)), strict=False))
    return Reading(
        digest_of(text), tuple(words), roots, tuple(sentence_of), sentences, frozenset(content), " ".join(content), shingles
    )
