"""Characters that a reader cannot see and a machine reads: where hidden orders travel.

Most invisible characters have an honest use, so each is judged by its neighbours: joiners between letters
of scripts that join or between emoji, direction controls around right-to-left letters, variation selectors
after a character that has variants, tags in the flags of England, Scotland and Wales.

Sources: UAX 9 (bidirectional text), UTS 51 (emoji sequences), UTS 39 and UTR 36 (security),
CVE-2021-42574 ("Trojan Source"), Unicode 16 StandardizedVariants and the Ideographic Variation Database.
"""

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from trustrag.ingest.document import Document
from trustrag.ingest.screening.base import Finding, Severity

_INJECTION = "OWASP LLM01:2025"
_TROJAN_SOURCE = "CVE-2021-42574"

_TAGS = re.compile("[\U000e0000-\U000e007f]+")
_FLAG = re.compile(
    "\U0001f3f4[\U000e0061-\U000e007a]{2}[\U000e0030-\U000e0039\U000e0061-\U000e007a]{1,3}\U000e007f"
)
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]+")
_ZERO_WIDTH = re.compile("[\u200b-\u200d\u2060-\u2064\u206a-\u206f\ufeff\u180e\u00ad\u034f]+")
_FILLERS = re.compile("[\u115f\u1160\u3164\uffa0\u2800]+")
_ANNOTATION = re.compile("[\ufff9-\ufffb]")
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
_MARKS = re.compile("[\u200e\u200f\u061c]")
_SUSPECT = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\u2800\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f\U000e0100-\U000e01ef]"
)

# First word of a character's Unicode name, for the scripts whose letters join, stack or break by joiners.
_JOINING = frozenset(
    [
        "ARABIC",
        "SYRIAC",
        "MANDAIC",
        "NKO",
        "MONGOLIAN",
        "PHAGS-PA",
        "DEVANAGARI",
        "BENGALI",
        "GURMUKHI",
        "GUJARATI",
        "ORIYA",
        "TAMIL",
        "TELUGU",
        "KANNADA",
        "MALAYALAM",
        "SINHALA",
        "THAI",
        "LAO",
        "TIBETAN",
        "MYANMAR",
        "KHMER",
        "BALINESE",
        "JAVANESE",
        "SUNDANESE",
        "MEETEI",
        "CHAKMA",
        "TAI",
        "HANIFI",
        "ADLAM",
        "HEBREW",
        "THAANA",
        "TAGALOG",
        "BRAHMI",
        "KAITHI",
        "GRANTHA",
        "NEWA",
        "TIRHUTA",
        "MODI",
        "TAKRI",
        "SHARADA",
    ]
)
_EMBEDDINGS = "\u202a\u202b\u202d\u202e"
_ISOLATES = "\u2066\u2067\u2068"
_RIGHT_TO_LEFT = "\u202b\u202e\u2067"


@dataclass(frozen=True, slots=True)
class HiddenTextScreen:
    """Hidden Unicode: tags, selectors, zero-width and direction characters without an honest neighbour."""

    name: str = "hidden-unicode"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Hold what can carry or disguise a message, warn of single strays."""
        text = document.text
        # One scan in C answers for nearly every document; only the others pay for the close look.
        if text.isascii() or _SUSPECT.search(text) is None:
            return
        found = [*_tags(text), *_selectors(text), *_zero_width(text), *_fillers(text), *_directions(text)]
        yield from sorted(found, key=lambda finding: (finding.start, finding.code))


def _tags(text: str) -> Iterator[Finding]:
    flags = {match.start() + 1 for match in _FLAG.finditer(text)}
    for match in _TAGS.finditer(text):
        if match.start() in flags and _FLAG.fullmatch(text, match.start() - 1, match.end()):
            continue
        message = "".join(chr(ord(c) - 0xE0000) for c in match[0] if 0xE0020 <= ord(c) < 0xE007F)
        reason = f"{len(match[0])} invisible tag characters" + (
            f" that spell {message[:80]!r}" if message else ""
        )
        yield Finding("TAG_CHARACTERS", Severity.HOLD, match.start(), match.end(), reason, _INJECTION)


def _selectors(text: str) -> Iterator[Finding]:
    """One selector after a character that has variants is a glyph choice; more carry one byte each."""
    for match in _SELECTORS.finditer(text):
        base = text[match.start() - 1] if match.start() else ""
        if len(match[0]) == 1 and _has_variants(base, match[0]):
            continue
        several = len(match[0]) > 1
        reason = f"{len(match[0])} variation selectors " + ("in a row" if several else f"after {_show(base)}")
        severity = Severity.HOLD if several or match[0] > "\uffff" else Severity.WARN
        yield Finding("VARIATION_SELECTORS", severity, match.start(), match.end(), reason, _INJECTION)


def _has_variants(base: str, selector: str) -> bool:
    if not base:
        return False
    if selector > "\uffff":
        return _is_ideograph(base)
    if selector in "\ufe0e\ufe0f":
        return _is_pictograph(base) or base in "0123456789#*"
    return _is_ideograph(base) or unicodedata.category(base) in ("Sm", "Nd") or _script(base) in _JOINING


def _zero_width(text: str) -> Iterator[Finding]:
    strays = []
    for match in _ZERO_WIDTH.finditer(text):
        before, after = text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]
        if len(match[0]) > 3:
            reason = f"{len(match[0])} zero-width characters in a row"
            yield Finding("ZERO_WIDTH", Severity.HOLD, match.start(), match.end(), reason, _INJECTION)
        elif not _is_honest_joint(text, match.start(), before, match[0], after):
            strays.append((match.start(), match.end(), _splits_word(before, after)))
    # A stray one is a leftover of some editor; words broken by several are words made invisible to a filter.
    broken = sum(splits for _, _, splits in strays)
    for start, end, splits in strays:
        severity = Severity.HOLD if splits and broken >= 2 else Severity.WARN
        reason = f"{_show(text[start])} " + ("inside a word" if splits else "with nothing to join or break")
        yield Finding("ZERO_WIDTH", severity, start, end, reason, _INJECTION)


def _is_honest_joint(text: str, start: int, before: str, run: str, after: str) -> bool:
    if not before or run == "\ufeff" or not after:
        # At the edges, and as a byte order mark of glued files, it joins nothing and hides nothing.
        return not before or not after
    if run == "\u200d" and _is_pictograph(after):
        return _is_pictograph(_base_before(text, start))
    if run == "\u00ad":
        # A soft hyphen sits between syllables, so no closer than two letters to the next one.
        return text[start + 2 : start + 3] != "\u00ad"
    if run in "\u200b\u200c\u200d\u2060" and (_joins(before) or _joins(after)):
        return True
    if run in "\u2061\u2062\u2063\u2064":
        return True  # invisible operators of MathML
    # A break offered after punctuation, at a change of case, or beside a space is typesetting.
    return run in "\u200b\u200c\u2060" and not _splits_word(before, after)


def _splits_word(before: str, after: str) -> bool:
    """Whether it stands where only a machine would see a break: inside a word of a script that has cases.

    Scripts without cases are those that join, stack, or write without spaces, where breaks are offered so.
    """
    cased = before.lower() != before.upper() and after.lower() != after.upper()
    return cased and not (before.islower() and after.isupper())


def _base_before(text: str, position: int) -> str:
    """The character a joiner joins from: before it may stand a selector and a skin tone."""
    position -= 1
    while position > 0 and (
        text[position] in "\ufe0e\ufe0f" or "\U0001f3fb" <= text[position] <= "\U0001f3ff"
    ):
        position -= 1
    return text[position]


def _fillers(text: str) -> Iterator[Finding]:
    for match in _FILLERS.finditer(text):
        around = text[max(0, match.start() - 1) : match.start()] + text[match.end() : match.end() + 1]
        if any(_script(c) in ("HANGUL", "BRAILLE") for c in around):
            continue
        severity = Severity.HOLD if len(match[0]) > 3 else Severity.WARN
        reason = f"{len(match[0])} blank letters ({_show(match[0][0])})"
        yield Finding("BLANK_LETTERS", severity, match.start(), match.end(), reason, _INJECTION)
    for match in _ANNOTATION.finditer(text):
        yield Finding("ANNOTATION", Severity.WARN, match.start(), match.end(), _show(match[0]), "UTR 36")


def _directions(text: str) -> Iterator[Finding]:
    """Direction controls act within one line, so each line is judged alone (UAX 9, P1)."""
    if _BIDI.search(text) is None and _MARKS.search(text) is None:
        return
    start = 0
    for line in text.splitlines(keepends=True):
        if _BIDI.search(line):
            yield from _controls(line, start)
        yield from _stray_marks(line, start)
        start += len(line)


def _controls(line: str, start: int) -> Iterator[Finding]:
    reads_right_to_left = _has_right_to_left(line)
    unbalanced = _unbalanced(line)
    for match in _BIDI.finditer(line):
        if match[0] == "\u202e" or (match[0] == "\u202d" and reads_right_to_left):
            reason = f"{_show(match[0])}: text is shown in another order than it is read"
        elif match[0] in _RIGHT_TO_LEFT and not reads_right_to_left:
            reason = f"{_show(match[0])} on a line with no right-to-left letter"
        elif unbalanced and not reads_right_to_left:
            reason = f"{_show(match[0])} that is never closed"
        else:
            continue
        yield Finding(
            "BIDI_CONTROL", Severity.HOLD, start + match.start(), start + match.end(), reason, _TROJAN_SOURCE
        )


def _unbalanced(line: str) -> bool:
    embeddings = sum(line.count(c) for c in _EMBEDDINGS) - line.count("\u202c")
    isolates = sum(line.count(c) for c in _ISOLATES) - line.count("\u2069")
    return embeddings != 0 or isolates != 0


def _stray_marks(line: str, start: int) -> Iterator[Finding]:
    """Marks have no width and turn nothing around; without right-to-left letters they only puzzle."""
    marks = list(_MARKS.finditer(line))
    if not marks or _has_right_to_left(line):
        return
    for match in marks:
        before, after = line[match.start() - 1 : match.start()], line[match.end() : match.end() + 1]
        severity = Severity.HOLD if _splits_word(before, after) else Severity.WARN
        reason = f"{_show(match[0])} on a line with no right-to-left letter"
        yield Finding(
            "DIRECTION_MARK", severity, start + match.start(), start + match.end(), reason, _TROJAN_SOURCE
        )


def _has_right_to_left(line: str) -> bool:
    # The marks count as right-to-left themselves; a line must hold a letter to need them.
    return any(unicodedata.bidirectional(c) in ("R", "AL") for c in line if c.isalpha())


def _show(character: str) -> str:
    if not character:
        return "nothing"
    return f"U+{ord(character):04X} {unicodedata.name(character, 'unnamed')}"


def _script(character: str) -> str:
    return unicodedata.name(character, "").split(" ", 1)[0]


def _joins(character: str) -> bool:
    return _script(character) in _JOINING


def _is_ideograph(character: str) -> bool:
    return unicodedata.name(character, "").startswith(("CJK UNIFIED", "CJK COMPATIBILITY"))


def _is_pictograph(character: str) -> bool:
    """An emoji or a symbol that has an emoji form; the standard library does not know the exact property."""
    return (
        "\U0001f000" <= character <= "\U0001faff"
        or character in "\u00a9\u00ae\u203c\u2049\u2122\u2139\u3030\u303d\u3297\u3299"
        or (
            "\u2190" <= character <= "\u2bff"
            and unicodedata.category(character) in ("So", "Sm", "Ps", "Pe", "Po")
        )
    )
