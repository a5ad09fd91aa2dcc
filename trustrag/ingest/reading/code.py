"""Source code as documents: its language, the licence it names, and its comments apart from the rest."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Language:
    """A programming language: its media type, and how a comment begins in it.

    `line` are the marks of comments that end with the line, `block` those that open and close one. `quotes` are what
    strings stand in, so that a mark inside a string opens no comment.
    """

    name: str
    media_type: str
    line: tuple[str, ...] = ("//",)
    block: tuple[tuple[str, str], ...] = (("/*", "*/"),)
    quotes: str = "\"'"


def _hash(name: str, media_type: str, *block: tuple[str, str]) -> Language:
    return Language(name, media_type, ("#",), block)


_PYTHON = _hash("python", "text/x-python", ('"""', '"""'), ("'''", "'''"))
_LANGUAGES = (
    (_PYTHON, ".py .pyi"),
    (Language("js", "text/javascript", quotes="\"'`"), ".js .mjs .cjs .jsx"),
    (Language("ts", "text/x-typescript", quotes="\"'`"), ".ts .mts .cts .tsx"),
    (Language("java", "text/x-java"), ".java"),
    (Language("kotlin", "text/x-kotlin"), ".kt .kts"),
    (Language("scala", "text/x-scala"), ".scala"),
    (Language("go", "text/x-go", quotes='"`'), ".go"),
    (Language("rust", "text/x-rust", quotes='"'), ".rs"),
    (Language("c", "text/x-c"), ".c .h"),
    (Language("cpp", "text/x-c++"), ".cc .cpp .cxx .hh .hpp .hxx"),
    (Language("csharp", "text/x-csharp"), ".cs"),
    (Language("swift", "text/x-swift", quotes='"'), ".swift"),
    (Language("php", "application/x-php", ("//", "#")), ".php"),
    (Language("sol", "text/x-solidity"), ".sol"),
    (Language("proto", "text/x-protobuf"), ".proto"),
    (_hash("ruby", "text/x-ruby", ("=begin", "=end")), ".rb"),
    (_hash("perl", "text/x-perl", ("=pod", "=cut")), ".pl .pm"),
    (_hash("r", "text/x-r"), ".r"),
    (_hash("elixir", "text/x-elixir", ('"""', '"""')), ".ex .exs"),
    (_hash("shell", "application/x-sh"), ".sh .bash .zsh"),
    (_hash("powershell", "text/x-powershell", ("<#", "#>")), ".ps1 .psm1"),
    (Language("lua", "text/x-lua", ("--",), (("--[[", "]]"),)), ".lua"),
    (Language("haskell", "text/x-haskell", ("--",), (("{-", "-}"),), '"'), ".hs"),
    (Language("sql", "application/sql", ("--",), quotes="'\""), ".sql"),
)
LANGUAGES = {suffix: language for language, suffixes in _LANGUAGES for suffix in suffixes.split()}
"""Languages by the suffix of a file, in lower case."""

BY_MEDIA_TYPE = {language.media_type: language for language, _ in _LANGUAGES}
"""The same, by media type."""

_SPDX = re.compile(r"SPDX-License-Identifier:[ \t]*([A-Za-z0-9][A-Za-z0-9.+()\- ]{0,200})")
_SPDX_SEARCHED = 8192


def spdx_header(text: str) -> str:
    """The licence expression that the head of a file names; empty where it names none. As it stands, unchecked."""
    found = _SPDX.search(text, 0, _SPDX_SEARCHED)
    return found[1].strip().removesuffix("-->").rstrip(" -*") if found else ""


def metadata_of(text: str, media_type: str) -> dict[str, str]:
    """What a source file's metadata says beyond its path: its language, and the licence that its head names."""
    language = BY_MEDIA_TYPE.get(media_type)
    if language is None:
        return {}
    licence = spdx_header(text)
    return {"programming_language": language.name} | ({"spdx": licence} if licence else {})


@dataclass(frozen=True, slots=True)
class Prose:
    """The comments of a source file as running text, and where each piece of it stands in the file."""

    text: str
    pieces: tuple[tuple[int, int], ...]  # (place in the text, place in the source), in order

    def span(self, start: int, end: int) -> tuple[int, int]:
        """A span of this text as one of the source."""
        return self._place(start), self._place(max(start, end - 1)) + 1

    def _place(self, at: int) -> int:
        here = source = 0
        for place, origin in self.pieces:
            if place > at:
                break
            here, source = place, origin
        return source + at - here


def comments(text: str, language: Language) -> Prose:
    """Comments and docstrings without their marks, so that a sentence over three lines of `#` reads as one.

    By marks and strings alone, not by grammar: it reads what does not compile, and takes every string in triple quotes
    for a docstring.
    """
    parts: list[str] = []
    pieces: list[tuple[int, int]] = []
    length = end = 0
    for start, line in _comment_lines(text, language):
        # Lines of one comment are joined by a space, comments apart by a blank line.
        joint = "" if not parts else (" " if text.count("\n", end, start) <= 1 else "\n\n")
        parts += [joint, line]
        length += len(joint)
        pieces.append((length, start))
        length += len(line)
        end = start + len(line)
    return Prose("".join(parts), tuple(pieces))


def _comment_lines(text: str, language: Language) -> Iterator[tuple[int, str]]:
    """Each line of a comment, without marks, with its place."""
    marks = _scanner(language)
    decoration = "".join({mark[-1] for mark in language.line} | set("*/!#-; \t"))
    for match in marks.finditer(text):
        if match["string"] is not None:
            continue
        inside = match["block"] is not None
        opening = len(next((o for o, _ in language.block if match[0].startswith(o)), "")) if inside else 0
        at = match.start() + opening
        closing = next((c for o, c in language.block if inside and match[0].startswith(o)), "")
        for line in match[0][opening:].removesuffix(closing).split("\n"):
            bare = line.lstrip(decoration).rstrip()
            if bare:
                yield at + len(line) - len(line.lstrip(decoration)), bare
            at += len(line) + 1


@cache
def _scanner(language: Language) -> re.Pattern[str]:
    """One pass over comments and strings, so that neither is looked for inside the other. No part of it backtracks far."""
    blocks = "|".join(
        rf"{re.escape(opening)}(?:(?!{re.escape(closing)}).)*+(?:{re.escape(closing)}|\Z)"
        for opening, closing in language.block
    )
    lines = "|".join(rf"{re.escape(mark)}[^\n]*+" for mark in language.line)
    # A quote that is not closed soon is an apostrophe, or no code: it opens nothing. The bound keeps a file of quotes
    # from being searched to its end from each of them; past it, too much counts as a comment, which hides nothing.
    strings = "|".join(
        rf"{quote}(?:[^{quote}\\\n]|\\.){{0,200}}+{quote}" for quote in map(re.escape, language.quotes)
    )
    return re.compile(rf"(?P<block>{blocks or '(?!)'})|(?P<line>{lines})|(?P<string>{strings})", re.DOTALL)
