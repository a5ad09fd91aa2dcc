"""What a PDF has and does not show: its content streams, followed as far as colour, size and place of letters.

Operators by ISO 32000-1: graphics state (8.4), colour (8.6), paths (8.5), text (9.3 and 9.4), optional content (8.11).
Followed are fill colours of the device spaces, opacity, filled rectangles, images, forms, and text matrices; a ground
that is not known (an image, a shading) conceals nothing.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from pypdf import PageObject, PdfReader
from pypdf.generic import ArrayObject, ContentStream, DictionaryObject, StreamObject

from trustrag.ingest.screening.sight import TINY, WHITE, Colour, Concealed, look_alike

OPERATORS, DEPTH = 2_000_000, 4
"""Operators of a document and nested forms that are followed, some ten seconds: a book of two thousand pages."""
GROUNDS = 300
"""Filled rectangles of a page that are remembered, the newest ones."""

Matrix: TypeAlias = tuple[float, float, float, float, float, float]
Box: TypeAlias = tuple[float, float, float, float]
_UNIT: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
_PAINTS = frozenset({b"f", b"F", b"f*", b"B", b"B*", b"b", b"b*"})
_SHOWS = frozenset({b"Tj", b"TJ", b"'", b'"'})


def _times(one: Matrix, other: Matrix) -> Matrix:
    a, b, c, d, e, f = one
    g, h, i, j, k, m = other
    return (a * g + b * i, a * h + b * j, c * g + d * i, c * h + d * j, e * g + f * i + k, e * h + f * j + m)


@dataclass(frozen=True, slots=True)
class _State:
    """The graphics state, as far as it is followed. A colour of None is not known."""

    matrix: Matrix = _UNIT
    colour: Colour | None = (0.0, 0.0, 0.0)
    opacity: float = 1.0
    mode: int = 0
    size: float = 0.0
    text: Matrix = _UNIT
    line: Matrix = _UNIT
    leading: float = 0.0


@dataclass(slots=True)
class _Page:
    """One page while its operators are followed."""

    box: Box
    hidden_layers: frozenset[str]
    has_image: bool
    state: _State
    stack: list[_State]
    grounds: list[tuple[Box, Colour | None]]
    path: list[Box]
    layers: list[bool]
    left: int


def concealed_in_pdf(data: bytes) -> Iterator[Concealed]:
    """The pieces of text of a PDF that are drawn and cannot be seen, page by page."""
    reader = PdfReader(io.BytesIO(data))
    if reader.is_encrypted:
        reader.decrypt("")
    off = _layers_off(reader)
    left = OPERATORS
    for number, page in enumerate(reader.pages, 1):
        contents = page.get_contents()
        if contents is None:
            continue
        state = _begun(page, off, left)
        yield from _merged(_follow(contents, _dictionary(page.get("/Resources")), state, 0), number)
        left = state.left
        if left <= 0:
            yield Concealed("", f"only its first {number} pages were looked at", partial=True)
            return


def _merged(pieces: Iterator[tuple[str, str, int]], number: int) -> Iterator[Concealed]:
    """Runs that follow one another and are concealed alike, as one piece."""
    text, how, letters = "", "", 0
    for why, said, count in [*pieces, ("", "", 0)]:
        if why != how:
            if how:
                layer = how.startswith("drawn in no mode")
                where = f"{how}, page {number}"
                yield Concealed(
                    " ".join(text.split()),
                    where,
                    can_be_shown=layer and "scan" in how,
                    always_read=True,
                    letters=letters,
                )
            text, how, letters = "", why, 0
        text, letters = f"{text} {said}", letters + count


def _begun(page: PageObject, off: frozenset[int], left: int) -> _Page:
    """The state at the beginning of a page, of which `left` operators may be followed."""
    box, resources = page.cropbox, _dictionary(page.get("/Resources"))
    view = (float(box.left), float(box.bottom), float(box.right), float(box.top))
    return _Page(view, _hidden_names(resources, off), _has_image(resources), _State(), [], [], [], [], left)


def _follow(
    content: ContentStream, resources: DictionaryObject, page: _Page, depth: int
) -> Iterator[tuple[str, str, int]]:
    """(why it is concealed or "", its text, its letters) of each run that is shown."""
    for operands, operator in content.operations:
        page.left -= 1
        if page.left < 0:
            return
        if operator in _SHOWS:
            if operator in (b"'", b'"'):
                _move(page, 0.0, -page.state.leading)
            said, letters = _said(operands)
            if letters:
                yield _why(page), said, letters
        elif operator == b"Do":
            yield from _draw(operands, resources, page, depth)
        else:
            try:
                _apply(page, operator, operands, resources)
            except (TypeError, ValueError, IndexError, KeyError, ArithmeticError):
                continue  # a malformed operand draws nothing, here and in a viewer


def _draw(
    operands: Sequence[object], resources: DictionaryObject, page: _Page, depth: int
) -> Iterator[tuple[str, str, int]]:
    """An image covers its square with what is not known; a form is followed."""
    named = _dictionary(resources.get("/XObject")).get(str(operands[0])) if operands else None
    drawn = named.get_object() if named is not None else None
    if not isinstance(drawn, StreamObject):
        return
    if drawn.get("/Subtype") == "/Image":
        page.grounds.append((_box(page.state.matrix, (0.0, 0.0, 1.0, 1.0)), None))
        return
    if depth >= DEPTH:
        return
    outer = page.state
    given = drawn.get("/Matrix")
    if isinstance(given, ArrayObject) and len(given) == 6:
        page.state = replace(outer, matrix=_times(_matrix(given), outer.matrix))
    inner = _dictionary(drawn.get("/Resources")) or resources
    yield from _follow(ContentStream(drawn, None), inner, page, depth + 1)
    page.state = outer


def _apply(page: _Page, operator: bytes, operands: Sequence[object], resources: DictionaryObject) -> None:
    """One operator that shows nothing itself."""
    state = page.state
    if operator == b"q":
        page.stack.append(state)
    elif operator == b"Q":
        page.state = page.stack.pop() if page.stack else state
    elif operator == b"cm":
        page.state = replace(state, matrix=_times(_matrix(operands), state.matrix))
    elif operator in (b"g", b"rg", b"k", b"sc", b"scn"):
        page.state = replace(state, colour=_colour(operands))
    elif operator == b"cs":
        page.state = replace(
            state, colour=(0.0, 0.0, 0.0) if str(operands[0]).startswith("/Device") else None
        )
    elif operator == b"gs":
        given = _dictionary(_dictionary(resources.get("/ExtGState")).get(str(operands[0])))
        if "/ca" in given:
            page.state = replace(state, opacity=_real(given["/ca"]))
    elif operator in (b"BDC", b"BMC"):
        layer = operator == b"BDC" and str(operands[0]) == "/OC" and str(operands[1]) in page.hidden_layers
        page.layers.append(layer)
    elif operator == b"EMC":
        del page.layers[-1:]
    elif operator == b"re":
        x, y, width, height = (_real(operand) for operand in operands)
        page.path.append(_box(state.matrix, (x, y, x + width, y + height)))
    elif operator in _PAINTS or operator == b"n":
        if operator in _PAINTS and state.opacity > 0.5:
            page.grounds.extend((box, state.colour) for box in page.path)
            del page.grounds[:-GROUNDS]
        page.path.clear()
    else:
        _apply_text(page, operator, operands)


def _apply_text(page: _Page, operator: bytes, operands: Sequence[object]) -> None:
    """The text state: mode, size, and where the next run begins."""
    state = page.state
    if operator == b"BT":
        page.state = replace(state, text=_UNIT, line=_UNIT)
    elif operator == b"Tr":
        page.state = replace(state, mode=int(_real(operands[0])))
    elif operator == b"Tf":
        page.state = replace(state, size=_real(operands[1]))
    elif operator == b"TL":
        page.state = replace(state, leading=_real(operands[0]))
    elif operator == b"Tm":
        page.state = replace(state, text=_matrix(operands), line=_matrix(operands))
    elif operator in (b"Td", b"TD"):
        if operator == b"TD":
            page.state = replace(state, leading=-_real(operands[1]))
        _move(page, _real(operands[0]), _real(operands[1]))
    elif operator == b"T*":
        _move(page, 0.0, -state.leading)


def _move(page: _Page, x: float, y: float) -> None:
    line = _times((1.0, 0.0, 0.0, 1.0, x, y), page.state.line)
    page.state = replace(page.state, text=line, line=line)


def _why(page: _Page) -> str:
    """Why a run of letters that begins here is not seen; empty where it is."""
    state = page.state
    if any(page.layers):
        return "in a layer that is switched off"
    if state.mode in (3, 7):
        return "drawn in no mode, as over a scan" if page.has_image else "drawn in no mode"
    if state.opacity <= 0.05:
        return "see-through letters"
    place = _times(state.text, state.matrix)
    height = abs(state.size) * (place[2] ** 2 + place[3] ** 2) ** 0.5
    if height < TINY:
        return f"letters of {height:.1f} points"
    x, y = place[4], place[5]
    left, bottom, right, top = page.box
    if not (left - height <= x <= right and bottom - height <= y <= top):
        return "drawn outside of the page"
    ground = next((colour for box, colour in reversed(page.grounds) if _holds(box, x, y, height)), WHITE)
    if (
        state.mode == 0
        and state.colour is not None
        and ground is not None
        and look_alike(state.colour, ground)
    ):
        return "letters in the colour of their ground"
    return ""


def _holds(box: Box, x: float, y: float, height: float) -> bool:
    """Whether a letter at this place stands on the box: its middle does."""
    return box[0] - 1 <= x <= box[2] + 1 and box[1] - 1 <= y + height / 3 <= box[3] + 1


def _said(operands: Sequence[object]) -> tuple[str, int]:
    """The text of a showing operator, where its bytes are letters, and how many there are."""
    parts = operands[-1] if operands and isinstance(operands[-1], list) else operands[-1:]
    said = ""
    for part in parts:
        if isinstance(part, bytes):
            said += part.decode("latin-1")
        elif isinstance(part, str):
            said += part
        elif isinstance(part, int | float) and part < -200:
            said += " "  # a gap so wide is how words are set apart
    readable = sum(char.isprintable() for char in said) >= 0.9 * len(said)
    return (said if readable else ""), len(said)


def _colour(operands: Sequence[object]) -> Colour | None:
    """Gray, RGB or CMYK by the number of operands; None for a pattern."""
    if not all(isinstance(operand, int | float) for operand in operands):
        return None
    parts = [_real(operand) for operand in operands]
    if len(parts) == 1:
        return parts[0], parts[0], parts[0]
    if len(parts) == 3:
        return parts[0], parts[1], parts[2]
    if len(parts) == 4:
        cyan, magenta, yellow, black = parts
        return (1 - min(1, cyan + black), 1 - min(1, magenta + black), 1 - min(1, yellow + black))
    return None


def _box(matrix: Matrix, corners: Box) -> Box:
    points = [(x, y) for x in (corners[0], corners[2]) for y in (corners[1], corners[3])]
    a, b, c, d, e, f = matrix
    xs, ys = [a * x + c * y + e for x, y in points], [b * x + d * y + f for x, y in points]
    return min(xs), min(ys), max(xs), max(ys)


def _matrix(operands: Sequence[object]) -> Matrix:
    a, b, c, d, e, f = (_real(operand) for operand in operands)
    return a, b, c, d, e, f


def _real(operand: object) -> float:
    if not isinstance(operand, int | float):
        raise TypeError("an operand that is no number")
    return float(operand)


def _dictionary(value: object) -> DictionaryObject:
    found = value.get_object() if hasattr(value, "get_object") else value
    return found if isinstance(found, DictionaryObject) else DictionaryObject()


def _has_image(resources: DictionaryObject) -> bool:
    drawn = [_dictionary(item) for item in _dictionary(resources.get("/XObject")).values()]
    return any(item.get("/Subtype") == "/Image" for item in drawn)


def _layers_off(reader: PdfReader) -> frozenset[int]:
    """The object numbers of the layers that are not shown when the document is opened."""
    catalogue = _dictionary(reader.trailer.get("/Root"))
    shown = _dictionary(_dictionary(catalogue.get("/OCProperties")).get("/D"))
    off = shown.get("/OFF")
    return (
        frozenset(item.idnum for item in off if hasattr(item, "idnum"))
        if isinstance(off, ArrayObject)
        else frozenset()
    )


def _hidden_names(resources: DictionaryObject, off: frozenset[int]) -> frozenset[str]:
    named = _dictionary(resources.get("/Properties"))
    return frozenset(name for name in named if getattr(named.raw_get(name), "idnum", None) in off)
