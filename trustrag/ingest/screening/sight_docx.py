"""What a Word document has and does not show: hidden runs, white letters, letters of a point, runs outside of the page.

Formatting is looked up where Word looks: the run, its character style, its paragraph's style, each with what it is
based on (ECMA-376, part 1, section 17.7.2). Theme colours are not resolved.
"""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from trustrag.ingest.screening.sight import TINY, WHITE, Colour, Concealed, colour_of, look_alike

if TYPE_CHECKING:
    from lxml.etree import _Element as Element  # type: ignore[import-untyped]  # it ships no types

_W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
_OFF = frozenset({"0", "false", "off", "none"})
OUTSIDE = -2_000
"""Twentieths of a point of indentation from which a paragraph begins outside of the page: two and a half inches left."""


@dataclass(frozen=True, slots=True)
class _Styles:
    """Style id -> its element."""

    known: "dict[str, Element]"

    def chain(self, style_id: str | None) -> "Iterator[Element]":
        """The run properties of a style and of all that it is based on, nearest first."""
        seen: set[str] = set()
        while style_id and style_id not in seen and style_id in self.known:
            seen.add(style_id)
            style = self.known[style_id]
            properties = style.find(f"{_W}rPr")
            if properties is not None:
                yield properties
            style_id = _value(style.find(f"{_W}basedOn"))


def concealed_in_docx(data: bytes) -> Iterator[Concealed]:
    """The runs of a document's body that are not shown, adjacent ones of a paragraph as one piece."""
    from docx import Document

    document = Document(io.BytesIO(data))
    styles = _Styles(
        {style.get(f"{_W}styleId") or "": style for style in document.styles.element.iter(f"{_W}style")}
    )
    for paragraph in document.element.body.iter(f"{_W}p"):
        ground, outside = _ground(paragraph), _is_outside(paragraph)
        text, how = "", ""
        for run in paragraph.iter(f"{_W}r"):
            why = "indented out of the page" if outside else _why(run, paragraph, styles, ground)
            said = "".join(part.text or "" for part in run.iter(f"{_W}t"))
            if how and why != how:
                yield Concealed(text, how, always_read=True)
                text = ""
            text, how = (text + said if why else ""), why
        if how and text.strip():
            yield Concealed(text, how, always_read=True)


def _why(run: "Element", paragraph: "Element", styles: _Styles, ground: Colour | None) -> str:
    properties = list(_properties(run, paragraph, styles))
    if _is_on(properties, "vanish") or _is_on(properties, "specVanish") or _is_on(properties, "webHidden"):
        return "hidden letters"
    size = _first(properties, "sz")
    if size is not None and size.replace(".", "", 1).isdigit() and float(size) / 2 <= TINY:
        return f"letters of {float(size) / 2:g} points"
    if any(_is_clear(each) for each in properties[:1]):
        return "transparent letters"
    colour = _first(properties, "color")
    read = colour_of(f"#{colour}") if colour and colour != "auto" else None
    marked = _first(properties[:1], "highlight")
    behind = colour_of(marked) if marked and marked != "none" else None
    shaded = _fill(properties[0].find(f"{_W}shd")) if properties else None
    below = behind[0] if behind else None if marked and marked != "none" else shaded or ground
    if read is not None and below is not None and look_alike(read[0], below):
        return "letters in the colour of their ground"
    return ""


def _properties(run: "Element", paragraph: "Element", styles: _Styles) -> "Iterator[Element]":
    own = run.find(f"{_W}rPr")
    if own is not None:
        yield own
        yield from styles.chain(_value(own.find(f"{_W}rStyle")))
    yield from styles.chain(_value(paragraph.find(f"{_W}pPr/{_W}pStyle")))


def _ground(paragraph: "Element") -> Colour | None:
    """The colour behind a paragraph: its own shading, its table cell's, else paper. None where it is a theme's."""
    for place in (paragraph.find(f"{_W}pPr/{_W}shd"), *_cells(paragraph)):
        if place is not None and (fill := place.get(f"{_W}fill")):
            if fill == "auto":
                continue
            read = colour_of(f"#{fill}")
            return read[0] if read else None
    return WHITE


def _cells(paragraph: "Element") -> "Iterator[Element | None]":
    for outer in paragraph.iterancestors(f"{_W}tc", f"{_W}tbl"):
        yield outer.find(f"{_W}tcPr/{_W}shd")
        yield outer.find(f"{_W}tblPr/{_W}shd")
        # The style of a table may shade it; what that looks like is not resolved.
        if (
            outer.find(f"{_W}tblPr/{_W}tblStyle") is not None
            and outer.find(f"{_W}tblPr/{_W}tblLook") is not None
        ):
            return


def _is_outside(paragraph: "Element") -> bool:
    indent = paragraph.find(f"{_W}pPr/{_W}ind")
    given = indent.get(f"{_W}left") or indent.get(f"{_W}start") or "" if indent is not None else ""
    return given.lstrip("-").isdigit() and int(given) <= OUTSIDE


def _is_clear(properties: "Element") -> bool:
    """Whether the fill of its letters is see-through (the 2010 extension of Word)."""
    fill = next((part for part in properties if part.tag.endswith("}textFill")), None)
    if fill is None:
        return False
    if any(part.tag.endswith("}noFill") for part in fill):
        return True
    alphas = [part for part in fill.iter() if isinstance(part.tag, str) and part.tag.endswith("}alpha")]
    return any(value.isdigit() and int(value) >= 95_000 for part in alphas for value in part.attrib.values())


def _is_on(properties: "list[Element]", name: str) -> bool:
    for each in properties:
        found = each.find(f"{_W}{name}")
        if found is not None:
            return (found.get(f"{_W}val") or "1").lower() not in _OFF
    return False


def _first(properties: "list[Element]", name: str) -> str | None:
    return next((value for each in properties if (value := _value(each.find(f"{_W}{name}")))), None)


def _fill(shading: "Element | None") -> Colour | None:
    read = colour_of(f"#{shading.get(f'{_W}fill') or ''}") if shading is not None else None
    return read[0] if read else None


def _value(element: "Element | None") -> str | None:
    return element.get(f"{_W}val") if element is not None else None
