"""Text that a machine reads and a reader does not see: the original bytes, looked at as they would be shown.

What is concealed and was taken in as text is what the model gets to read and no person ever did. Honest pages conceal
as well: labels for screen readers, panels that open on a click, the text layer of a scan. So it counts how much it is,
whether the page can show it, and whether it gives orders.

One module per format finds the concealed pieces (`sight_*`); here they are weighed.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from trustrag.ingest.document import Document
from trustrag.ingest.reading import Unreadable, isolation
from trustrag.ingest.screening.base import Finding, Severity, shown
from trustrag.ingest.screening.injection import hints, orders
from trustrag.ingest.screening.sight import Concealed
from trustrag.ingest.screening.sight_docx import concealed_in_docx
from trustrag.ingest.screening.sight_html import concealed_in_html
from trustrag.ingest.screening.sight_markdown import concealed_in_markdown
from trustrag.ingest.screening.sight_pdf import concealed_in_pdf

_STANDARD = "OWASP LLM01:2025"
LEAST = 4
"""Words of a concealed piece below which it is a label, a stray or a spacer."""
_DOCX = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_FINDERS: Mapping[str, Callable[[bytes], Iterator[Concealed]]] = {
    "text/html": lambda data: concealed_in_html(data.decode("utf-8", "replace")),
    "text/markdown": lambda data: concealed_in_markdown(data.decode("utf-8", "replace")),
    "application/pdf": concealed_in_pdf,
    _DOCX: concealed_in_docx,
}
_GAP = re.compile(r"(?:[^\S\n]{150,}|\n{60,})(?=\S)")


@dataclass(frozen=True, slots=True)
class ConcealedTextScreen:
    """Text in HTML, Markdown, PDF and DOCX that is there and is not shown; in any text, what is pushed out of sight."""

    name: str = "concealed-text"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Hold concealed text that was taken in, or that gives orders; warn where the page itself can show it."""
        # A document that is kept whole was given as text by a program: there are no bytes of a page behind it.
        if document.media_type in _FINDERS and not document.whole:
            yield from _concealed(document)
        for match in _GAP.finditer(document.text):
            after = document.text[match.end() : match.end() + 400]
            if orders(after, hidden=True):
                reason = f"pushed out of sight by {match.end() - match.start()} blanks: {shown(after)}"
                yield Finding(
                    "PUSHED_AWAY", Severity.HOLD, match.end(), match.end() + len(after), reason, _STANDARD
                )


def pieces(media_type: str, data: bytes) -> Iterator[Concealed]:
    """What is concealed in a page of this media type. Parses it here: see `isolation` for where that should be."""
    return _FINDERS[media_type](data)


def _concealed(document: Document) -> Iterator[Finding]:
    try:
        # In a process that may die of it, as the reader's own look at the page was.
        answer = isolation.run("concealed", document.data, media_type=document.media_type)
        found = [_piece(item) for item in _listed(answer)]
    except Unreadable as error:
        reason = f"nobody can say what the page conceals: {error}"
        yield Finding("NOT_SEEN", Severity.HOLD, 0, 0, reason, _STANDARD)
        return
    place = _Places(document.text)
    for piece in found:
        finding = _weighed(piece, place)
        if finding is not None:
            yield finding


def _listed(answer: Mapping[str, object]) -> Sequence[object]:
    listed = answer.get("pieces")
    if not isinstance(listed, list):
        raise Unreadable("its parser gave no list of pieces")
    return listed


def _piece(item: object) -> Concealed:
    """A piece as the parser tells it. Raises Unreadable: one that was taken over may tell anything."""
    match item:
        case {
            "text": str(text),
            "how": str(how),
            "can_be_shown": bool(can_be_shown),
            "always_read": bool(always_read),
            "letters": int(letters),
            "partial": bool(partial),
        }:
            return Concealed(text, how, can_be_shown, always_read, letters, partial)
    raise Unreadable("its parser gave no piece of a page")


def _weighed(piece: Concealed, place: "_Places") -> Finding | None:
    if piece.partial:
        return Finding("NOT_ALL_SEEN", Severity.WARN, 0, 0, piece.how)
    words = len(piece.text.split()) or piece.letters // 5
    gives_orders = (
        bool(orders(piece.text, hidden=True)) or len({phrase.kind for phrase, _, _ in hints(piece.text)}) > 1
    )
    start, end = place.find(piece.text)
    taken_in = end > 0 or piece.always_read
    if gives_orders:
        severity = Severity.HOLD
    elif words < LEAST or not taken_in:
        severity = Severity.NOTE
    else:
        severity = Severity.WARN if piece.can_be_shown else Severity.HOLD
    if severity is Severity.NOTE and words < LEAST:
        return None
    what = shown(piece.text) if piece.text else f"{piece.letters} letters"
    left_out = "" if taken_in else ", not taken in"
    orders_told = ", with orders" if gives_orders else ""
    code = "CONCEALED_ORDER" if gives_orders else "CONCEALED_TEXT"
    return Finding(code, severity, start, end, f"{piece.how}{left_out}{orders_told}: {what}", _STANDARD)


class _Places:
    """Finds a piece of a page in the text that a reader made of it, whatever became of its white space."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._squeezed = ""
        self._at: list[int] = []

    def find(self, piece: str) -> tuple[int, int]:
        """(start, end) of the piece in the text; (0, 0) where it is not in it."""
        wanted = _squeeze(piece)
        if len(wanted) < 3:
            return 0, 0
        if not self._at:
            self._at = [at for at, char in enumerate(self._text) if char.isalnum()]
            self._squeezed = _squeeze(self._text)
        start = self._squeezed.find(wanted)
        if start < 0 or len(self._squeezed) != len(self._at):
            return 0, 0
        return self._at[start], self._at[start + len(wanted) - 1] + 1


def _squeeze(text: str) -> str:
    """Letters and digits alone. Case is kept: folding it can change how many there are."""
    return "".join(filter(str.isalnum, text))
