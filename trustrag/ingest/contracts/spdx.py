"""Licences as SPDX expressions: whether a text is one, and whether what a source declares is among what is allowed."""

from collections.abc import Sequence
from functools import cache
from typing import Any

from trustrag.errors import MalformedError


def licence_problem(text: str) -> str:
    """Why this is no SPDX expression, in one line; empty where it is one."""
    try:
        _parsed(text)
    except MalformedError as error:
        return str(error)
    return ""


def is_allowed(declared: str, allowed: Sequence[str]) -> bool:
    """Whether a declared expression leaves a reader with allowed licences: one side of an OR, all of an AND.

    An expression that is allowed as a whole is allowed. Raises MalformedError where one of them is no expression.
    """
    return _satisfied(_parsed(declared), {str(_parsed(text)) for text in allowed})


def _satisfied(expression: Any, allowed: set[str]) -> bool:
    if str(expression) in allowed:
        return True
    parts = getattr(expression, "args", ())
    operator = getattr(expression, "operator", "").strip()
    if operator == "OR":
        return any(_satisfied(part, allowed) for part in parts)
    return operator == "AND" and all(_satisfied(part, allowed) for part in parts)


def _parsed(text: str) -> Any:
    from boolean.boolean import ParseError
    from license_expression import ExpressionError

    try:
        found = _licensing().parse(text, validate=True, strict=True)
    except (ExpressionError, ParseError) as error:
        raise MalformedError(
            f"{text[:80]!r} is no SPDX expression: {' '.join(str(error).split())[:120]}"
        ) from error
    if found is None:
        raise MalformedError("an empty text is no SPDX expression")
    return found.simplify()


@cache
def _licensing() -> Any:
    # A second to load its list: paid by the first licence, not by the import.
    from license_expression import get_spdx_licensing

    return get_spdx_licensing()
