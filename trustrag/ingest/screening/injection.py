"""Text that speaks to the model instead of the reader: orders, written plainly or in disguise.

An article about injection quotes the same words that an attack speaks. So an order counts where it is spoken; where
it is quoted, shown as code, or reported ("asks the model to ignore ..."), it is a warning. That is a choice: whoever
puts an order into quotation marks gets past this screen with a warning, and a model that follows quoted orders is
not protected by it. Disguised orders are never taken for quotations.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from trustrag.ingest.document import Document
from trustrag.ingest.screening.base import Finding, Severity, shown, words_of
from trustrag.ingest.screening.disguise import unmasked
from trustrag.ingest.screening.phrases import HINTS, ORDERS, WITHOUT_WORDS, Phrase

NEAR = 400
"""Characters within which two kinds of hints are one order."""
BEFORE = 90
"""Characters before an order that are read to tell whether it is reported."""

_FENCE = re.compile(r"^[ ]{0,3}(```+|~~~+)[^\n]*\n.*?(?:^[ ]{0,3}\1|\Z)", re.M | re.S)
_QUOTED = re.compile(
    r"`[^`\n]+`|\"[^\"\n]{1,400}\"|“[^”\n]{1,400}”|„[^“”\n]{1,400}[“”]|«[^»\n]{1,400}»"
    r"|‘[^’\n]{1,300}’(?!\w)|(?<!\w)'[^'\n]{1,300}'(?!\w)|「[^」\n]{1,200}」"
)
_QUOTE_LINE = re.compile(r"^[ ]{0,3}>[^\n]*$|^(?: {4}|\t)[^\n]*$", re.M)
_REPORTS = re.compile(
    r"\b(?:such as|like|e\.g\.|i\.e\.|for (?:example|instance)|examples?|phrases?|strings?|payloads?"
    r"|attack(?:s|er|ers)?|inject(?:s|ed|ion|ions)?"
    r"|jailbreaks?|say(?:s|ing)|said|wr(?:ites?|ote)|writing|instruct(?:s|ed|ing)|tell(?:s|ing)|told"
    r"|ask(?:s|ed|ing)|called|known as|patterns?"
    r"|detects?|attempt(?:s|ed|ing)?|tr(?:y|ies|ied|ying)|cause[sd]?|trick(?:s|ed|ing)?|persuade[sd]?"
    r"|convince[sd]?|makes?|made|get|gets"
    r"|users? (?:who|can|may|might)|cannot|can not|can't|refuses?|should(?:n't| not)|must not|does not"
    r"|will not|won't)\b[^.!?\n]*$",
    re.I,
)
_INFINITIVE = re.compile(r"\b(\w+) to(?: (?:simply|just|also|either|completely))?\s*$", re.I)
_URGED = frozenset(
    "you as kind need have want must sure important required remember asked instructed told needs has going ready "
    "free ordered".split()
)
_ALLOWED = re.compile(
    r"\b(?:you|users?|readers?|they|we|administrators?|developers?) (?:can|may|could|might)(?: also| "
    r"safely| simply)?\s*$",
    re.I,
)
_LEAD_IN = re.compile(
    r"[^\n]*\b(?:examples?|phrases?|patterns?|attack\w*|injections?|prompts?|payloads?|strings?"
    r"|inputs?)\b[^\n]*:\s*$",
    re.I,
)
_BULLET = re.compile(r"\s*(?:[-*•]|\d+[.)])\s")


@dataclass(frozen=True, slots=True)
class Order:
    """An order found in a text: its kind, its place, the catalogue entry, and whether it is only quoted."""

    kind: str
    start: int
    end: int
    standard: str
    quoted: bool


def orders(text: str, *, hidden: bool = False) -> list[Order]:
    """The orders in a text, by place. In text that nobody sees (`hidden`), nothing passes for a quotation."""
    words = words_of(text)
    known = [phrase for phrase in ORDERS if phrase.words & words]
    if not text.isascii():
        known += WITHOUT_WORDS
    found = [
        (phrase, match.start(), match.end()) for phrase in known for match in phrase.pattern.finditer(text)
    ]
    if not found:
        return []
    quoted = [] if hidden else quotations(text)
    made = [
        Order(phrase.kind, start, end, phrase.standard, not hidden and is_quoted(text, start, end, quoted))
        for phrase, start, end in found
    ]
    return sorted(made, key=lambda order: order.start)


def hints(text: str) -> list[tuple[Phrase, int, int]]:
    """What may be part of an order, by place."""
    words = words_of(text)
    known = [phrase for phrase in HINTS if phrase.words & words]
    found = [
        (phrase, match.start(), match.end()) for phrase in known for match in phrase.pattern.finditer(text)
    ]
    return sorted(found, key=lambda item: item[1])


def quotations(text: str) -> list[tuple[int, int]]:
    return [match.span() for pattern in (_FENCE, _QUOTED, _QUOTE_LINE) for match in pattern.finditer(text)]


def is_quoted(text: str, start: int, end: int, quoted: list[tuple[int, int]]) -> bool:
    if any(first <= start and end <= last for first, last in quoted):
        return True
    sentence = max(text.rfind(stop, 0, start) for stop in (". ", "! ", "? ", "\n", ".\u201d", ':"'))
    before = text[max(sentence + 1, start - BEFORE) : start]
    if _ALLOWED.search(before):
        return True
    infinitive = _INFINITIVE.search(before)
    if infinitive is not None:
        return infinitive[1].lower() not in _URGED
    return _REPORTS.search(before) is not None or _is_listed(text, start)


def _is_listed(text: str, start: int) -> bool:
    """Whether it stands in a list that is introduced as one of examples."""
    line = text.rfind("\n", 0, start) + 1
    if not _BULLET.match(text, line):
        return False
    above = text[:line].rstrip("\n").split("\n")
    while above and (_BULLET.match(above[-1]) or not above[-1].strip()):
        above.pop()
    return bool(above) and _LEAD_IN.fullmatch(above[-1]) is not None


@dataclass(frozen=True, slots=True)
class InjectionScreen:
    """Orders to an assistant, in the text as it is and in every disguise that can be taken off."""

    name: str = "injection"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Hold orders that are spoken or disguised, and hints that add up; warn of quoted ones and of single hints."""
        text = document.text
        found = orders(text)
        for order in found:
            severity = Severity.WARN if order.quoted else Severity.HOLD
            code = "QUOTED_ORDER" if order.quoted else "ORDER"
            reason = f"{order.kind}: {shown(text[order.start : order.end])}"
            yield Finding(code, severity, order.start, order.end, reason, order.standard)
        yield from _hinted(text)
        yield from _disguised(text, {order.kind for order in found})


def _hinted(text: str) -> Iterator[Finding]:
    found = hints(text)
    for place, (phrase, start, end) in enumerate(found):
        near = {
            other.kind for other, at, _ in found[max(0, place - 3) : place + 4] if abs(at - start) <= NEAR
        }
        severity = Severity.HOLD if len(near) > 2 else Severity.WARN if len(near) > 1 else Severity.NOTE
        yield Finding(
            "HINT", severity, start, end, f"{phrase.kind}: {shown(text[start:end])}", phrase.standard
        )


def _disguised(text: str, plain: set[str]) -> Iterator[Finding]:
    for guise in unmasked(text):
        whole = guise.end == 0
        for order in orders(guise.text, hidden=not whole):
            # Undoing a disguise that is spread over the text shows what stood there plainly, too.
            if whole and (order.kind in plain or order.quoted):
                continue
            said = shown(guise.text[order.start : order.end])
            reason = f"{order.kind}, hidden by {guise.how}: {said}"
            yield Finding("DISGUISED_ORDER", Severity.HOLD, guise.start, guise.end, reason, order.standard)
            break
