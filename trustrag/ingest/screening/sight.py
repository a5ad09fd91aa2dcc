"""What the finders of concealed text have in common: a piece, colours, and when two of them look the same."""

import re
from dataclasses import dataclass
from typing import TypeAlias

Colour: TypeAlias = tuple[float, float, float]
"""Red, green and blue, each 0 to 1."""

WHITE: Colour = (1.0, 1.0, 1.0)
APART = 0.1
"""Sum of the differences of two colours up to which nobody sees one on the other: 25 of 765 steps."""
TINY = 2.0
"""Points of a letter's size that nobody reads."""

_NAMED: dict[str, Colour] = {
    "white": WHITE,
    "black": (0.0, 0.0, 0.0),
    "snow": (1.0, 0.98, 0.98),
    "ivory": (1.0, 1.0, 0.94),
    "ghostwhite": (0.97, 0.97, 1.0),
    "whitesmoke": (0.96, 0.96, 0.96),
    "floralwhite": (1.0, 0.98, 0.94),
    "red": (1.0, 0.0, 0.0),
    "green": (0.0, 0.5, 0.0),
    "blue": (0.0, 0.0, 1.0),
    "yellow": (1.0, 1.0, 0.0),
    "gray": (0.5, 0.5, 0.5),
    "grey": (0.5, 0.5, 0.5),
    "silver": (0.75, 0.75, 0.75),
    "navy": (0.0, 0.0, 0.5),
}
_HEX = re.compile(r"#?([0-9a-f]{3,8})", re.I)
_RGB = re.compile(r"rgba?\(\s*([\d.]+%?)[\s,]+([\d.]+%?)[\s,]+([\d.]+%?)(?:[\s,/]+([\d.]+%?))?\s*\)", re.I)


@dataclass(frozen=True, slots=True)
class Concealed:
    """A piece of text that is not shown, and how that comes about.

    `letters` counts them where the text itself could not be decoded. `can_be_shown` says that an honest page has such
    pieces: labels, panels, text layers. `always_read` marks formats whose reader takes in all that is drawn. With
    `partial` it is no piece: `how` says how much of the file was looked at.
    """

    text: str
    how: str
    can_be_shown: bool = False
    always_read: bool = False
    letters: int = 0
    partial: bool = False


def colour_of(value: str) -> tuple[Colour, float] | None:
    """A CSS colour and how opaque it is; None for what is not understood, such as a variable or a gradient."""
    value = value.strip().lower()
    if value == "transparent":
        return WHITE, 0.0
    if value in _NAMED:
        return _NAMED[value], 1.0
    if match := _RGB.search(value):
        red, green, blue = (_part(part, 255.0) for part in match.groups()[:3])
        return (red, green, blue), _part(match[4], 1.0) if match[4] else 1.0
    match = _HEX.fullmatch(value.split()[0]) if value else None
    if match is None or len(match[1]) not in (3, 4, 6, 8):
        return None
    digits = match[1] if len(match[1]) > 4 else "".join(2 * digit for digit in match[1])
    parts = [int(digits[at : at + 2], 16) / 255 for at in range(0, len(digits), 2)]
    return (parts[0], parts[1], parts[2]), parts[3] if len(parts) == 4 else 1.0


def _part(text: str, whole: float) -> float:
    return min(1.0, float(text[:-1]) / 100 if text.endswith("%") else float(text) / whole)


def look_alike(one: Colour, other: Colour) -> bool:
    """Whether text in one colour is not seen on the other."""
    return sum(abs(a - b) for a, b in zip(one, other, strict=True)) <= APART
