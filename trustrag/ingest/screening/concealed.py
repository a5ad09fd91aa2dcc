"""Text that a machine reads and a reader does not see: the original bytes, looked at as they would be shown.

What is concealed and was taken in as text is what the model gets to read and no person ever did. Honest pages conceal
as well: labels for screen readers, panels that open on a click, the text layer of a scan. So it counts how much it is,
whether the page can show it, and whether it gives orders.

One module per format finds the concealed pieces (`sight_*`); here they are weighed.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from trustrag.ingest.document import Document
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
_FINDERS: Mapping[str, Callable[[Document], Iterator[Concealed]]] = {
    "text/html": lambda document: concealed_in_html(document.data.decode("utf-8", "replace")),
    "text/markdown": lambda document: concealed_in_markdown(document.text),
    "application/pdf": lambda document: concealed_in_pdf(document.data),
    _DOCX: lambda document: concealed_in_docx(document.data),
}
_GAP = re.compile(r"(?:[^\S\n]{150,}|\n{60,})(?=\S)")


@dataclass(frozen=True, slots=True)
class ConcealedTextScreen:
    """Text in HTML, Markdown, PDF and DOCX that is there and is not shown; in any text, what is pushed out of sight."""

    name: str = "concealed-text"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Hold concealed text that was taken in, or that gives orders; warn where the page itself can show it."""
        finder = _FINDERS.get(document.media_type)
        # A document that is kept whole was given as text by a program: there are no bytes of a page behind it.
        if finder is not None and not document.whole:
            place = _Places(document.text)
            for piece in finder(document):
                finding = _weighed(piece, place)
                if finding is not None:
                    yield finding
        for match in _GAP.finditer(document.text):
            after = document.text[match.end() : match.end() + 400]
            if orders(after, hidden=True):
                reason = f"pushed out of sight by {match.end() - match.start()} blanks: {shown(after)}"
                yield Finding(
                    "PUSHED_AWAY", Severity.HOLD, match.end(), match.end() + len(after), reason, _STANDARD
                )


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
