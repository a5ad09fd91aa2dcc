"""Questions and answers in Markdown: one passage a pair."""

import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import PurePosixPath

from trustrag.ingest.document import Document, Origin, ReadProblem
from trustrag.ingest.reading.formats import Unreadable, decode
from trustrag.ingest.reading.records import each, pair

_NAMED = re.compile(r"(?:^|[^a-z])faqs?(?:[^a-z]|$)")
_FENCE = re.compile(r"^ {0,3}(```|~~~).*?(?:^ {0,3}\1|\Z)", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} +([^ \n].*)$", re.MULTILINE)
_ASKED = re.compile(r"^[*_ ]*Q(?:uestion)?[*_ ]*[:.)][*_ ]*(?=\S)", re.MULTILINE)
_ANSWERED = re.compile(r"^[*_ ]*A(?:nswer)?[*_ ]*[:.)][*_ ]*", re.MULTILINE)
_LEAST = 2


def is_faq(name: str, data: bytes) -> bool:
    """Whether a Markdown file is one of questions and answers: its name says so (`faq.md`), and it holds some.

    By its name, since many a page has a heading with a question mark and is read as a whole all the same.
    """
    if not _NAMED.search(PurePosixPath(name).stem.lower()):
        return False
    try:
        return len(_spans(decode(data))) >= _LEAST
    except Unreadable:
        return False


def read_faq(data: bytes, origin: Origin) -> Iterator[Document | ReadProblem]:
    """Each heading that asks (it ends with a question mark) with what follows it, or each `Q:` with its `A:`.

    The bytes that are signed of a pair are its lines. What stands before the first question, or under a heading that
    asks nothing, is a title and no pair.
    """
    yield from each(_pairs(decode(data), origin), origin)


def _pairs(text: str, origin: Origin) -> Iterator[tuple[str, Callable[[], Document]]]:
    for number, (question, answer, whole) in enumerate(_spans(text), 1):
        data = whole.strip().encode()
        yield (
            str(number),
            partial(pair, origin, str(number), data, question, answer, {}, media_type="text/markdown"),
        )


def _spans(text: str) -> list[tuple[str, str, str]]:
    """(question, answer, both as they stand) in order."""
    # A comment in a shell example is no heading: the same length of nothing takes the place of code.
    plain = _FENCE.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), text)
    headings = list(_HEADING.finditer(plain))
    ends = [*(heading.start() for heading in headings), len(text)][1:]
    asked = [
        (heading[1].strip("*_# "), text[heading.end() : end], text[heading.start() : end])
        for heading, end in zip(headings, ends, strict=True)
        if heading[1].rstrip("*_# ").endswith(("?", "？"))
    ]
    return asked or _marked(text, plain)


def _marked(text: str, plain: str) -> list[tuple[str, str, str]]:
    starts = [match.start() for match in _ASKED.finditer(plain)]
    found = []
    for start, end in zip(starts, [*starts, len(text)][1:], strict=True):
        question = _ASKED.match(plain, start)
        answer = _ANSWERED.search(plain, start, end)
        if question and answer:
            found.append(
                (
                    text[question.end() : answer.start()].strip("*_ \n"),
                    text[answer.end() : end],
                    text[start:end],
                )
            )
    return found
