"""What a Markdown text has and its rendered page does not show: comments, concealing HTML, letters in white.

The reader takes Markdown in as it is written, so all of it is read by the machine.
"""

import re
from collections.abc import Iterator
from dataclasses import replace

from trustrag.ingest.screening.sight import Concealed
from trustrag.ingest.screening.sight_html import concealed_in_html

_COMMENT = re.compile(r"<!--(.*?)(?:-->|\Z)", re.S)
_REFERENCE = re.compile(r"^[ ]{0,3}\[[^\]\n]{0,40}\]:[ ]*(?:#|<>|//)[ ]*[\"'(](.+?)[\"')][ ]*$", re.M)
_TITLE = re.compile(r"!?\[([^\]\n]{0,400})\]\([^)\s]{0,400}(?:\s+\"([^\"\n]{8,400})\")?\)")
_COLOUR = re.compile(
    r"\\(?:text)?color\{\s*(?:white|#fff(?:fff)?|transparent)\s*\}\{?([^{}]{4,2000})|\\(?:v|h)?phantom\{([^{}]{4,2000})\}",
    re.I,
)
_CONCEALING = re.compile(r"<[a-z][^>]*\b(?:style|hidden|color|class)\b", re.I)
_HONEST = re.compile(
    r"[\W_]*(?:toc|more|end|begin|start|markdownlint|prettier|eslint|cspell|vale|textlint|lint|editorconfig|doctoc|omit"
    r"|todo|fixme|note|spdx|copyright|licen[sc]e|badges?|all-contributors|auto-?generated|generated|\[\[\[|\w+[-:]?\w*\W*$|$)",
    re.I,
)
"""How the comments of tools and of authors begin: marks of sections, switches of linters, licences, things to do."""
_SYNTAX = re.compile(r"[{}=;<>\[\]$|]|\w\(|::")
_CODE = re.compile(r"^[ ]{0,3}(```+|~~~+)[^\n]*\n.*?(?:^[ ]{0,3}\1|\Z)|`[^`\n]+`", re.M | re.S)


def concealed_in_markdown(text: str) -> Iterator[Concealed]:
    """The pieces that a rendered page does not show. Code is shown as it is, so nothing in it is concealed."""
    if "<" not in text and "[" not in text and "\\" not in text:
        return
    prose = _CODE.sub(lambda match: " " * len(match[0]), text)
    for match in _COMMENT.finditer(prose):
        code = 20 * len(_SYNTAX.findall(match[1])) > len(match[1].split())
        honest = code or _HONEST.match(match[1]) is not None
        yield Concealed(" ".join(match[1].split()), "a comment", can_be_shown=honest, always_read=True)
    for match in _REFERENCE.finditer(prose):
        yield Concealed(match[1], "a comment written as a link", always_read=True)
    for match in _TITLE.finditer(prose):
        if match[2]:
            yield Concealed(match[2], "the title of a link", can_be_shown=True, always_read=True)
        if match[0].startswith("!") and match[1].count(" ") > 2:
            yield Concealed(match[1], "the text behind an image", can_be_shown=True, always_read=True)
    for match in _COLOUR.finditer(prose):
        yield Concealed(match[1] or match[2], "a formula in no colour", always_read=True)
    if _CONCEALING.search(prose):
        without = _COMMENT.sub("", prose)
        for piece in concealed_in_html(f"<div>{without}</div>"):
            if not piece.how.startswith(("a comment", "the attribute")):
                yield replace(piece, always_read=True)
