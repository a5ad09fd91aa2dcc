"""Is the licence that a source declares one that exists, one that is allowed, and the one that the text names?

Declared is an SPDX expression; it is read by license-expression. What a text says of itself is found in its SPDX tags
and in the few phrases that licences prescribe; a licence that is only talked about is no declaration.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from trustrag.ingest.document import Document
from trustrag.ingest.reading import BY_MEDIA_TYPE
from trustrag.ingest.screening.base import Finding, Severity, shown

if TYPE_CHECKING:
    from license_expression import Licensing

HEAD = 3_000
"""Characters of the text's head and tail in which it says something of itself."""
_TAG = re.compile(r"SPDX-License-Identifier:\s*([\w.+() -]{1,120}?)\s*(?:\*/|-->|\"|$)", re.M)
_CREATIVE = (
    r"(?:licensed|distributed|available|published) under (?:a |the )?(?:Creative Commons )?(?:{}) 4\.0"
)
_PHRASES = tuple(
    (name, re.compile(pattern, re.I))
    for name, pattern in (
        (
            "GPL-3.0-or-later",
            r"GNU General Public License as published by the Free Software Foundation, either version 3",
        ),
        (
            "GPL-2.0-or-later",
            r"GNU General Public License as published by the Free Software Foundation; either version 2",
        ),
        (
            "AGPL-3.0-or-later",
            r"GNU Affero General Public License as published by the Free Software Foundation",
        ),
        ("Apache-2.0", r"Licensed under the Apache License, Version 2\.0"),
        ("MIT", r"Permission is hereby granted, free of charge, to any person obtaining a copy"),
        ("CC-BY-NC-ND-4.0", _CREATIVE.format("Attribution-NonCommercial-NoDerivatives|CC BY-NC-ND")),
        ("CC-BY-NC-4.0", _CREATIVE.format("Attribution-NonCommercial|CC BY-NC")),
        ("CC-BY-SA-4.0", _CREATIVE.format("Attribution-ShareAlike|CC BY-SA")),
        ("CC-BY-4.0", _CREATIVE.format("Attribution|CC BY")),
    )
)
_RESERVED = re.compile(
    r"all rights reserved|confidential and proprietary|do not (?:copy|distribute|redistribute)"
    r"|no part of this (?:publication|document|book) may be reproduced",
    re.I,
)
_LIKELY = re.compile(
    r"licen[sc]e|permission is hereby|rights reserved|proprietary|redistribute|reproduced|CC BY", re.I
)


@dataclass(frozen=True, slots=True)
class LicenceScreen:
    """Declared against found; and, with `allowed` (SPDX ids), declared against allowed."""

    allowed: Sequence[str] = ()
    name: str = "licence"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Hold a declaration that is no SPDX expression, is not allowed, or that the text's own tag contradicts."""
        declared = document.licence
        if declared is not None:
            problem = self._objection(declared)
            if problem:
                yield Finding("LICENCE", Severity.HOLD, 0, 0, problem, "")
        elif self.allowed:
            yield Finding("LICENCE", Severity.HOLD, 0, 0, "no licence is declared", "")
        if (
            document.media_type not in BY_MEDIA_TYPE
        ):  # what a source file's header says is the business of `code`
            yield from _found(document.text, declared)

    def _objection(self, declared: str) -> str:
        keys = licences(declared)
        if keys is None:
            return f"{shown(declared)} is no SPDX licence expression"
        if self.allowed and not _is_allowed(declared, self.allowed):
            return f"{shown(declared)} is declared; allowed: {', '.join(self.allowed)}"
        return ""


def licences(expression: str) -> frozenset[str] | None:
    """The SPDX ids in an expression; None where it is none, or names an unknown licence."""
    from license_expression import ExpressionError

    if not expression.strip():
        return None
    try:
        parsed = _spdx().parse(expression, validate=True)
    except (ExpressionError, AttributeError, TypeError, ValueError):
        return None  # what its parser raises for `AND AND` is not all of its own kind
    return frozenset(map(str, _spdx().license_keys(parsed)))


def _is_allowed(expression: str, allowed: Sequence[str]) -> bool:
    """Whether a reader may take it under allowed licences alone: one side of an OR is enough, both of an AND."""
    known = frozenset(allowed)

    def holds(node: object) -> bool:
        operands = getattr(node, "args", ())
        if not operands:
            return str(node) in known
        parts = [holds(part) for part in operands]
        return any(parts) if type(node).__name__ == "OR" else all(parts)

    return holds(_spdx().parse(expression))


def _found(text: str, declared: str | None) -> Iterator[Finding]:
    head = text if len(text) <= 2 * HEAD else f"{text[:HEAD]}\n{text[-HEAD:]}"
    if _LIKELY.search(head) is None:
        return
    keys = licences(declared) if declared is not None else None
    for match in _TAG.finditer(text, 0, HEAD):
        told = licences(match[1])
        if keys is not None and told is not None and not told & keys:
            reason = f"declared is {shown(declared or '')}, its own tag says {shown(match[1])}"
            yield Finding("LICENCE_DIFFERS", Severity.HOLD, match.start(), match.end(), reason, "")
    for name, pattern in _PHRASES:
        found = pattern.search(text, 0, HEAD)
        if found is not None and (keys is None or _stem(name) not in set(map(_stem, keys))):
            reason = f"it says that it is under {name}" + (
                f"; declared is {shown(declared)}" if declared else ""
            )
            severity = Severity.WARN if keys is not None else Severity.NOTE
            yield Finding("LICENCE_FOUND", severity, found.start(), found.end(), reason, "")
            break
    reserved = _RESERVED.search(text, 0, HEAD)
    if reserved is not None:
        severity = Severity.WARN if keys is not None else Severity.NOTE
        yield Finding("RIGHTS_RESERVED", severity, reserved.start(), reserved.end(), shown(reserved[0]), "")


def _stem(key: str) -> str:
    """`GPL-3.0-only` and `GPL-3.0-or-later` grant much the same text."""
    return re.sub(r"-(?:only|or-later)$|\+$", "", key)


@cache
def _spdx() -> "Licensing":
    """Its index of licences, a second to load: paid by the first declared licence."""
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()
