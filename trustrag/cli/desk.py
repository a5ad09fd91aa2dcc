"""How the review desk tells what waits: as text with highlights for people, as plain facts for JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from trustrag.cli.common import one_line

if TYPE_CHECKING:
    from rich.text import Text

    from trustrag.workspace import Case, Details, Opinion, Piece, Shown

AROUND = 240
"""Characters of unchanged text that are shown around what changed or was noticed."""
_COLOURS = {
    "hold": "bold white on red",
    "reject": "bold white on red",
    "warn": "black on yellow",
    "note": "underline",
}
_MARKS = {"gone": ("[-", "-]", "red strike"), "new": ("{+", "+}", "bold green")}


def print_line(case: "Case") -> None:
    """One line for the list."""
    said = [f"{'+' if one.approves else '-'}{one.by or 'operator'}" for one in case.opinions]
    marks = f"  {' '.join(said)}" if said else ""
    given = f"  for {case.assigned}" if case.assigned else ""
    why = next(
        (f"{one.code}: {one.reason}" for one in case.findings if one.severity.decides), "waits for people"
    )
    typer.echo(
        f"{one_line(case.doc_id)} version {case.version}  source {case.shown.source.name}  "
        f"needs {case.needed}{given}{marks}"
    )
    typer.echo(f"   {one_line(why)}")


def print_case(case: "Case") -> None:
    """What it is, what was noticed, and who said what."""
    claim = case.shown.claim
    typer.secho(f"{one_line(case.doc_id)} version {case.version}", bold=True)
    typer.echo(
        f"source {case.shown.source.name}  sha256 {claim.digest.hex[:16]}  {claim.media_type}  "
        f"licence {claim.licence or 'none'}  since snapshot {case.since}  needs {case.needed}"
    )
    for finding in case.findings:
        typer.secho(f"{finding.severity.upper():6} {finding.code}: {one_line(finding.reason)}", fg="yellow")
    for one in case.opinions:
        typer.echo(
            f"{one.by or 'the operator'} {told_opinion('approves' if one.approves else 'rejects', one)}"
        )


def told_opinion(verb: str, said: "Opinion") -> str:
    """What somebody said, and why."""
    return f"{verb}: {one_line(said.reason)}" if said.reason else verb


def print_details(details: "Details") -> None:
    """All of it: the case, then the text or the difference, the neighbours, the effect."""
    case = details.case
    print_case(case)
    if details.stands is not None:
        typer.echo(f"\nAgainst version {details.stands}, which stands ([-gone-] {{+new+}}):")
        _rich(_difference(details.diff))
    typer.echo("\nText:")
    _rich(_highlighted(case))
    for near in details.neighbours:
        word = "CONFLICTS" if near.says == "differs" else "agrees"
        typer.secho(f"{word} {near.source} {one_line(near.doc_id)}: {one_line(near.text)[:200]}",
                    fg="red" if near.says == "differs" else None)  # fmt: skip
    if details.effect is not None:
        changed = details.effect.changed
        typer.echo(
            f"\nWould change the top passage of {len(changed)} of {details.effect.asked} recent questions."
        )
        for question in changed[:5]:
            typer.echo(f"   {one_line(question)}")


def shown_facts(shown: "Shown", findings: Sequence[str]) -> dict[str, object]:
    """A document that waits elsewhere, as plain facts."""
    claim = shown.claim
    return {
        "document": claim.doc_id,
        "version": claim.version,
        "source": shown.source.name,
        "ingest": shown.ingest.payload.hex,
        "findings": list(findings),
        "text": shown.text,
    }


def print_shown(shown: "Shown", findings: Sequence[str]) -> None:
    """A document that waits elsewhere: what it is, what was noticed, the text."""
    claim = shown.claim
    typer.secho(f"{one_line(claim.doc_id)} version {claim.version}, source {shown.source.name}", bold=True)
    for line in findings:
        typer.secho(one_line(line), fg="yellow")
    for line in shown.text.splitlines():
        typer.echo(_printable(line))


def case_facts(case: "Case") -> dict[str, object]:
    """One case as plain facts, without its text."""
    return {
        "document": case.doc_id,
        "version": case.version,
        "source": case.shown.source.name,
        "sha256": case.shown.claim.digest.hex,
        "ingest": case.subject.hex,
        "needed": case.needed,
        "assigned": case.assigned,
        "since": case.since,
        "findings": [asdict(finding) for finding in case.findings],
        "opinions": [asdict(opinion) for opinion in case.opinions],
    }


def details_facts(details: "Details") -> dict[str, object]:
    """All that a reviewer is shown, as plain facts."""
    effect = details.effect
    return case_facts(details.case) | {
        "text": details.case.shown.text,
        "stands": details.stands,
        "diff": [asdict(piece) for piece in details.diff],
        "neighbours": [asdict(neighbour) for neighbour in details.neighbours],
        "effect": None if effect is None else {"asked": effect.asked, "changed": list(effect.changed)},
    }


def _highlighted(case: "Case") -> "Text":
    """The text with what was noticed in its place; long stretches where nothing was are cut short."""
    from rich.text import Text

    text, spans = (
        case.shown.text,
        sorted((one.start, one.end, _COLOURS[one.severity]) for one in case.findings if one.end > one.start),
    )
    found, at = Text(), 0
    for start, end, colour in spans:
        start, end = max(start, at), min(end, len(text))
        if start >= end:
            continue
        found.append("".join(_cut(text[at:start], first=at == 0)))
        found.append(_printable(text[start:end]), style=colour)
        at = end
    found.append("".join(_cut(text[at:], first=at == 0, last=True)))
    return found


def _difference(pieces: "Sequence[Piece]") -> "Text":
    from rich.text import Text

    found = Text()
    for place, piece in enumerate(pieces):
        if piece.kind == "same":
            found.append("".join(_cut(piece.text, first=place == 0, last=place == len(pieces) - 1)))
        else:
            before, after, style = _MARKS[piece.kind]
            found.append(f"{before}{_printable(piece.text)}{after}", style=style)
    return found


def _cut(text: str, *, first: bool = False, last: bool = False) -> Iterator[str]:
    """A stretch between two marks: its ends, where it is long."""
    if len(text) <= 2 * AROUND:
        yield _printable(text)
        return
    if not first:
        yield _printable(text[:AROUND])
    yield " [...] "
    if not last:
        yield _printable(text[-AROUND:])
    elif first:
        yield _printable(text[:2000])


def _printable(text: str) -> str:
    """No control character of a held document is obeyed by a terminal; its lines stay."""
    return "".join(char if char.isprintable() or char == "\n" else "\ufffd" for char in text)


def _rich(text: "Text") -> None:
    from rich.console import Console

    Console(soft_wrap=True, highlight=False, markup=False).print(text)
