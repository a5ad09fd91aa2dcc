"""What a page has and does not show: by its attributes, its inline styles and the simple rules of its style sheets.

A small part of CSS, chosen so that what it says is concealed is concealed: rules of one selector without combinators;
colours, sizes and places that are written out. A page can conceal by scripts or by rules this does not read.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, islice
from typing import TYPE_CHECKING

from trustrag.ingest.screening.sight import WHITE, Colour, Concealed, colour_of, look_alike

if TYPE_CHECKING:
    from lxml.html import HtmlElement  # type: ignore[import-untyped]  # it ships no types

LABEL = 12
"""Words up to which a piece for screen readers is a label."""
FAR = 400.0
"""Pixels outside of the page from which nothing is seen."""
PIECES = 2_000
"""Concealed pieces of one page that are weighed."""

_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_SIMPLE = re.compile(r"(?P<tag>[a-z][a-z0-9]*)?(?P<more>(?:[.#][\w-]+)*)", re.I)
_LENGTH = re.compile(r"(-?[\d.]+)\s*(px|pt|em|rem|ex|ch|vw|vh|cm|mm|in|%)?")
# Pixels of a unit; those of the window are of one of 1280 by 720.
_ABSOLUTE = {"px": 1.0, "": 1.0, "pt": 1.33, "cm": 37.8, "mm": 3.78, "in": 96.0}
_UNITS = _ABSOLUTE | {"em": 16.0, "rem": 16.0, "ex": 8.0, "ch": 8.0, "vw": 12.8, "vh": 7.2}
_SKIPPED = frozenset(
    {"script", "style", "head", "title", "meta", "link", "template", "noscript", "iframe", "object"}
)
_PANELS = re.compile(
    r"tab|accordion|collaps|modal|dropdown|menu|tooltip|pop(?:up|over)|panel|drawer|carousel|slide|toggle|cookie|nav|faq|spoiler|sr-only|visually-hidden|screen-reader",
    re.I,
)
_ROLES = frozenset("tabpanel dialog menu tooltip listbox region alert status".split())
_POINTERS = (
    "href for aria-controls data-target data-bs-target aria-describedby aria-labelledby popovertarget".split()
)
_ATTRIBUTES = (
    "alt",
    "title",
    "aria-label",
    "content",
    "placeholder",
    "data-content",
    "data-prompt",
    "summary",
    "value",
)


@dataclass(frozen=True, slots=True)
class _Look:
    """How an element is shown: its colours, letter size in pixels, and why it is not seen, if it is not."""

    colour: Colour | None = (0.0, 0.0, 0.0)
    ground: Colour | None = WHITE
    size: float = 16.0
    hidden: str = ""
    can_be_shown: bool = False


def concealed_in_html(page: str) -> Iterator[Concealed]:
    """The pieces of a page that it does not show, in its order: elements, then comments and attributes with prose."""
    import lxml.html  # type: ignore[import-untyped]  # it ships no types

    if "<" not in page:
        return
    tree = lxml.html.fromstring(page.encode(), parser=lxml.html.HTMLParser(encoding="utf-8", huge_tree=False))
    rules = _rules(tree)
    targets = _targets(tree)
    pieces = chain(_walk(tree, rules, targets), _asides(tree))
    yield from islice(pieces, PIECES)
    if next(pieces, None) is not None:
        yield Concealed("", f"only {PIECES:,} of its concealed pieces were looked at", partial=True)


def _walk(tree: "HtmlElement", rules: Mapping[str, str], targets: frozenset[str]) -> Iterator[Concealed]:
    """Depth first, without recursion: hostile pages nest deep. A concealed element is told once, whole."""
    waiting = [(tree, _Look())]
    while waiting:
        element, outer = waiting.pop()
        if not isinstance(element.tag, str) or element.tag.lower() in _SKIPPED:
            continue
        look = _look(element, outer, rules, targets)
        if look.hidden:
            text = " ".join(" ".join(_text(element)).split())
            if text:
                label = look.can_be_shown and "screen readers" in look.hidden and len(text.split()) > LABEL
                yield Concealed(text, look.hidden, can_be_shown=look.can_be_shown and not label)
            continue
        waiting.extend((child, look) for child in reversed(list(element)))


def _text(element: "HtmlElement") -> Iterator[str]:
    for part in element.iter():
        if isinstance(part.tag, str) and part.tag.lower() not in ("script", "style", "template"):
            yield part.text or ""
        if part is not element:
            yield part.tail or ""


def _look(element: "HtmlElement", outer: _Look, rules: Mapping[str, str], targets: frozenset[str]) -> _Look:
    style = _declared(element, rules)
    look = _coloured(element, style, outer)
    size = _size(style.get("font-size") or style.get("font", ""), outer.size)
    hidden = _why(element, style) or (
        f"letters of {size:.1f} pixels" if size < 2.5 and size != outer.size else ""
    )
    if not hidden and look.colour is None:
        hidden = "transparent letters"
    if not hidden and look.colour and look.ground and look_alike(look.colour, look.ground):
        hidden = "letters in the colour of their ground"
    return replace(
        look, size=size, hidden=hidden, can_be_shown=bool(hidden) and _opens(element, hidden, targets)
    )


def _coloured(element: "HtmlElement", style: Mapping[str, str], outer: _Look) -> _Look:
    """Colours as inherited and set. A ground that is not understood (an image, a variable) is unknown, so is a colour."""
    colour, ground = outer.colour, outer.ground
    given = style.get("color") or element.get("color") or element.get("text")
    if given:
        read = colour_of(given)
        colour = (
            None if read is not None and read[1] <= 0.05 else read[0] if read is not None else (0.5, 0.5, 0.5)
        )
        if read is None:
            ground = None
    if style.get("-webkit-text-fill-color", "") == "transparent" and "background-clip" not in " ".join(style):
        colour = None
    back = style.get("background-color") or style.get("background") or element.get("bgcolor")
    if back:
        read = colour_of(back)
        if read is None or "url(" in back or "gradient" in back:
            ground = None
        elif read[1] > 0.5:
            ground = read[0]
    if "background-image" in style or element.get("background"):
        ground = None
    return replace(outer, colour=colour, ground=ground)


def _why(element: "HtmlElement", style: Mapping[str, str]) -> str:
    """Why nobody sees this element; empty where it is seen as far as this can tell."""
    if element.get("hidden") is not None:
        return "the attribute hidden"
    if element.tag == "input" and element.get("type") == "hidden":
        return ""
    if style.get("display") == "none":
        return "display:none"
    if style.get("visibility") in ("hidden", "collapse"):
        return "visibility:hidden"
    if _number(style.get("opacity", "1")) <= 0.05 or "opacity(0" in style.get("filter", ""):
        return "opacity 0"
    clipped = re.search(r"rect\(\s*0|rect\(\s*1px", style.get("clip", "")) or re.search(
        r"inset\(\s*(?:50|100)%|circle\(\s*0|polygon\(\s*0(?:px)? 0(?:px)?\s*,\s*0",
        style.get("clip-path", ""),
    )
    if clipped:
        return "clipped to nothing, as for screen readers"
    return _out_of_page(style)


def _out_of_page(style: Mapping[str, str]) -> str:
    if _pixels(style.get("text-indent", "")) <= -FAR:
        return "indented out of the page"
    if style.get("position") in ("absolute", "fixed", "relative"):
        for side in ("left", "top", "right", "bottom"):
            if abs(_pixels(style.get(side, ""))) >= 10 * FAR or _pixels(style.get(side, "")) <= -FAR:
                return "placed outside of the page"
    if any(_pixels(style.get(f"margin-{side}", "")) <= -5 * FAR for side in ("left", "top")):
        return "placed outside of the page"
    moved = style.get("transform", "")
    if re.search(r"scale[xy]?\(\s*0(?:\.0+)?\s*[,)]", moved) or re.search(r"translate\w*\(\s*-\d{4,}", moved):
        return "transformed out of sight"
    closed = [
        style.get(side, "") for side in ("width", "height", "max-height", "max-width") if style.get(side)
    ]
    if style.get("overflow", "").startswith(("hidden", "clip")) and any(
        _pixels(side) == 0 for side in closed
    ):
        return "in a box without size"
    return ""


def _opens(element: "HtmlElement", hidden: str, targets: frozenset[str]) -> bool:
    """Whether the page can show it: something points at it, or it is a panel or a label by its role or class."""
    if hidden.startswith(("letters", "transparent", "indented", "transformed")):
        return False
    named = f"{element.get('class') or ''} {element.get('id') or ''}"
    return (
        "screen readers" in hidden
        or (element.get("id") or "") in targets
        or (element.get("role") or "") in _ROLES
        or _PANELS.search(named) is not None
    )


def _targets(tree: "HtmlElement") -> frozenset[str]:
    """The ids that a link, a label or a control of the page points at."""
    found: set[str] = set()
    for element in tree.iter():
        if isinstance(element.tag, str):
            for name in _POINTERS:
                found.update((element.get(name) or "").lstrip("#").split())
    return frozenset(found)


def _asides(tree: "HtmlElement") -> Iterator[Concealed]:
    """Comments, and attributes that hold prose: no reader takes them in, but orders in them tell of the page."""
    for element in tree.iter():
        if not isinstance(element.tag, str):
            if text := " ".join((element.text or "").split()):
                yield Concealed(text, "a comment", can_be_shown=True)
            continue
        for name in _ATTRIBUTES:
            value = element.get(name)
            if value and value.count(" ") >= 3:
                yield Concealed(" ".join(value.split()), f"the attribute {name}", can_be_shown=True)


def _rules(tree: "HtmlElement") -> dict[str, str]:
    """Selector in lower case -> declarations, for selectors of one tag, class or id; blocks within at-rules are left out."""
    rules: dict[str, str] = {}
    for sheet in tree.iter("style"):
        text = re.sub(r"/\*.*?\*/", "", sheet.text or "", flags=re.S)[:200_000]
        text = re.sub(r"@[^{};]+\{(?:[^{}]*\{[^{}]*\})*[^{}]*\}|@[^{};]+;", "", text)
        for selectors, body in _RULE.findall(text):
            for selector in selectors.split(","):
                name = selector.strip()
                if name == "*" or (name and _SIMPLE.fullmatch(name)):
                    rules[name.lower()] = rules.get(name.lower(), "") + ";" + body
    return rules


def _declared(element: "HtmlElement", rules: Mapping[str, str]) -> dict[str, str]:
    """Property -> value, the later and nearer over the earlier: by tag, class, id, then inline."""
    tag = element.tag.lower()
    classes = [f".{name}" for name in (element.get("class") or "").lower().split()[:20]]
    own = [f"#{(element.get('id') or '').lower()}"]
    names = [tag, *classes, *(tag + name for name in classes), *own, tag + own[0]]
    if len(classes) > 1:
        names.append("".join(classes))
    bodies = [rules[name] for name in names if name in rules] if rules else []
    style: dict[str, str] = {}
    for part in ";".join([*bodies, element.get("style") or ""]).split(";"):
        name, _, value = part.partition(":")
        if value:
            style[name.strip().lower()] = value.replace("!important", "").strip().lower()
    return style


def _number(text: str) -> float:
    match = re.match(r"([\d.]+)(%?)", text)
    try:
        return float(match[1]) / (100 if match[2] else 1) if match else 1.0
    except ValueError:
        return 1.0


def _pixels(text: str) -> float:
    """A length in pixels; what is not understood is so far inside that it conceals nothing."""
    match = _LENGTH.match(text.strip())
    if match is None or match[2] == "%":
        return 1.0 if match is None else float("0" if match[1] in (".", "-") else match[1])
    try:
        return float(match[1]) * _UNITS[match[2] or ""]
    except ValueError:
        return 1.0


def _size(text: str, outer: float) -> float:
    """The size of letters in pixels."""
    match = _LENGTH.search(text)
    if match is None:
        return outer
    try:
        number = float(match[1])
    except ValueError:
        return outer
    unit = match[2] or ""
    if unit in ("em", "%", "ex", "ch"):
        return outer * number * {"em": 1.0, "%": 0.01, "ex": 0.5, "ch": 0.5}[unit]
    return number * _UNITS[unit] if unit or number == 0 else outer
