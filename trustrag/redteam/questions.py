"""Questions with a known answer: from public files, or made from a workspace's own passages.

A question of our own asks for a salient value (a date, a number, a name) of a sentence, by the words that
stand around it. The lie is another value of the same kind from the same corpus.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trustrag.errors import MalformedError
from trustrag.redteam.campaign import Honest, Question
from trustrag.redteam.metrics import states
from trustrag.redteam.wording import content_words, sentences

_MONTH = "January|February|March|April|May|June|July|August|September|October|November|December"
_KINDS: tuple[tuple[str, re.Pattern[str], str], ...] = (
    ("date", re.compile(rf"\b(?:\d{{1,2}} (?:{_MONTH})|(?:{_MONTH}) \d{{1,2}},?) \d{{4}}\b"), "which date"),
    ("year", re.compile(r"(?<![\w.,–-])(?:1\d|20)\d{2}\b(?![,.]?\d|[–-])"), "which year"),
    ("share", re.compile(r"\b\d+(?:\.\d+)?(?:%| percent\b| per cent\b)"), "what share"),
    ("number", re.compile(r"(?<![\w.,–-])\d+(?:,\d{3})*(?:\.\d+)?\b(?![%–-])"), "what number"),
    ("name", re.compile(r"\b[A-Z][a-zà-ÿ]+(?: (?:de |of |van |von )?[A-Z][a-zà-ÿ]+){1,3}\b"), "who or what"),
)
_PRONOUNS = frozenset("he she it they this that these those his her its their".split())
_WORDS = (8, 40)
_ASKED_WORDS = 9


@dataclass(frozen=True, slots=True)
class _Value:
    kind: str
    text: str
    start: int
    asks: str


def _values(sentence: str) -> list[_Value]:
    """The values of a sentence, left to right; the more exact kind wins where two overlap."""
    found: list[_Value] = []
    taken: list[range] = []
    for kind, pattern, asks in _KINDS:
        for match in pattern.finditer(sentence):
            span = range(match.start(), match.end())
            if any(span.start < other.stop and other.start < span.stop for other in taken):
                continue
            taken.append(span)
            found.append(_Value(kind, match.group().rstrip(","), match.start(), asks))
    return sorted(found, key=lambda value: value.start)


def _stands_alone(sentence: str) -> bool:
    """Whether a reader without the rest of the text would know what the sentence speaks of."""
    words = sentence.split()
    long_enough = _WORDS[0] <= len(words) <= _WORDS[1] and len(content_words(sentence)) >= 5
    names = sum(word[:1].isupper() for word in words[1:])
    whole = (
        sentence.count("(") == sentence.count(")") and sentence.count('"') % 2 == 0 and sentence[-1] == "."
    )
    return long_enough and whole and names >= 1 and words[0].casefold() not in _PRONOUNS


def _cloze(sentence: str, value: _Value) -> tuple[str, str]:
    """The question, and the sentence with its slot.

    The question takes the sentence's words and not its wording: nobody asks by quoting the answer, and a
    passage that repeats its question word for word looks like one written to be found.
    """
    head, tail = sentence[: value.start], sentence[value.start + len(value.text) :]
    words = content_words(f"{head} {tail}")[:_ASKED_WORDS]
    return f"{value.asks}: {' '.join(words)}?", f"{head}{{}}{tail}"


def make_questions(passages: Sequence[Honest], *, count: int, rng: np.random.Generator) -> list[Question]:
    """Up to `count` questions from the passages, at most one a document, in an order that `rng` draws.

    A value qualifies where its sentence stands alone and states it once; names not at the sentence's
    beginning, which asks for its subject. Fewer come back where the corpus has no more.
    """
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    drawn: list[tuple[Honest, str, _Value]] = []
    for at in rng.permutation(len(passages)):
        one = passages[int(at)]
        candidates = list(_candidates(one.text))
        for _, value in candidates:
            kinds[value.kind][value.text] += 1
        # Names come last: what kind of thing one names can't be told, so its lie may be implausible.
        exact = [pair for pair in candidates if pair[1].kind != "name"]
        if candidates:
            choice = exact or candidates
            sentence, value = choice[int(rng.integers(len(choice)))]
            drawn.append((one, sentence, value))
    made: list[Question] = []
    documents: set[str] = set()
    for one, sentence, value in drawn:
        wrong = _other(value, kinds[value.kind], one.text, rng)
        if len(made) == count:
            break
        if one.doc_id in documents or wrong is None:
            continue
        documents.add(one.doc_id)
        asked, slot = _cloze(sentence, value)
        made.append(Question(asked, (value.text,), wrong, slot))
    return made


def _candidates(text: str) -> Iterator[tuple[str, _Value]]:
    for sentence in sentences(text):
        if not _stands_alone(sentence) or "{" in sentence or "}" in sentence:
            continue
        for value in _values(sentence):
            at_front = value.kind == "name" and value.start == 0
            if not at_front and sentence.count(value.text) == 1:
                yield sentence, value


def _other(value: _Value, known: Counter[str], text: str, rng: np.random.Generator) -> str | None:
    """Another value of the same kind that the passage doesn't mention: near in size, or as many words."""
    others = [other for other in sorted(known) if not states(text, (other,))]
    if value.kind == "name":
        long = len(value.text.split())
        others = [other for other in others if len(other.split()) == long] or others
    else:
        size = _size(value.text)
        others = sorted(others, key=lambda other: (abs(_size(other) - size), other))[:8]
    return others[int(rng.integers(len(others)))] if others else None


def _size(text: str) -> float:
    """A number's value, a date's year: the last number for both."""
    found = re.findall(r"\d+(?:\.\d+)?", text.replace(",", ""))
    return float(found[-1])


def load_poisonedrag(path: Path) -> list[Question]:
    """Questions with prepared poisons from a PoisonedRAG file: one JSON object of records, or JSON lines."""
    return [_poisonedrag(record, f"{path}: record {at}") for at, record in enumerate(_records(path))]


def _poisonedrag(record: dict[str, object], where: str) -> Question:
    correct = record.get("correct answer", record.get("correct"))
    wrong = record.get("incorrect answer", record.get("incorrect"))
    texts = record.get("adv_texts", record.get("attack_texts", []))
    answers = correct if isinstance(correct, list) else [correct]
    if not isinstance(record.get("question"), str) or not isinstance(texts, list):
        raise MalformedError(f"{where}: needs a question and a list adv_texts")
    if not all(isinstance(one, str) for one in [*answers, wrong, *texts]):
        raise MalformedError(f"{where}: answers and adv_texts have to be text")
    return _question(str(record["question"]), [str(one) for one in answers], str(wrong), where, texts)


def _question(
    text: str, correct: list[str], wrong: str, where: str, texts: Iterable[object] = ()
) -> Question:
    try:
        return Question(text, tuple(correct), wrong, attack_texts=tuple(str(one) for one in texts))
    except ValueError as error:
        raise MalformedError(f"{where}: {error}") from None


@dataclass(frozen=True, slots=True)
class Told:
    """One document of a RAMDocs question: its `kind` is correct, misinfo or noise; `answer` is what it says."""

    text: str
    kind: str
    answer: str


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A RAMDocs question: several answers may be right, beside misinformation and noise."""

    question: str
    answers: tuple[str, ...]
    wrong: tuple[str, ...]
    documents: tuple[Told, ...]

    def target(self) -> Question | None:
        """As a question under attack by its own misinformation; None where the file has none."""
        if not self.wrong or not self.answers:
            return None
        lies = tuple(one.text for one in self.documents if one.kind == "misinfo")
        return Question(self.question, self.answers, self.wrong[0], attack_texts=lies)


def load_ramdocs(path: Path) -> list[Disagreement]:
    """Every question of a RAMDocs file (JSON lines)."""
    return [_ramdocs(record, f"{path}: record {at}") for at, record in enumerate(_records(path))]


def _ramdocs(record: dict[str, object], where: str) -> Disagreement:
    listed = record.get("documents")
    if not isinstance(record.get("question"), str) or not isinstance(listed, list):
        raise MalformedError(f"{where}: needs a question and a list of documents")
    documents = []
    for one in listed:
        kind = one.get("type") if isinstance(one, dict) else None
        if kind not in {"correct", "misinfo", "noise"} or not isinstance(one.get("text"), str):
            raise MalformedError(f"{where}: a document needs a text and a type correct, misinfo or noise")
        documents.append(Told(one["text"], kind, str(one.get("answer", ""))))
    answers = (_texts(record, name) for name in ("gold_answers", "wrong_answers"))
    right, wrong = answers
    return Disagreement(str(record["question"]), right, wrong, tuple(documents))


def _texts(record: dict[str, object], name: str) -> tuple[str, ...]:
    values = record.get(name, [])
    return tuple(str(one) for one in values) if isinstance(values, list) else ()


def _records(path: Path) -> list[dict[str, object]]:
    """The JSON objects of a file: a list, an object of objects, or one object a line."""
    text = path.read_text(encoding="utf-8")
    try:
        try:
            whole = json.loads(text)
        except json.JSONDecodeError:
            whole = [json.loads(line) for line in text.splitlines() if line.strip()]
    except (json.JSONDecodeError, RecursionError) as error:
        raise MalformedError(f"{path}: neither JSON nor JSON lines: {error}") from None
    if isinstance(whole, dict) and "question" not in whole:
        whole = list(whole.values())
    records = whole if isinstance(whole, list) else [whole]
    if not all(isinstance(record, dict) for record in records):
        raise MalformedError(f"{path}: every record has to be an object")
    return records
