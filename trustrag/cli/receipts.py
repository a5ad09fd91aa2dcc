"""The verb that does a search again: replay."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustrag.cli.common import EXIT_REFUSED, Json, one_line, open_workspace, print_json
from trustrag.cli.show import print_refused, refused_facts

if TYPE_CHECKING:
    from trustrag.workspace import Replay


def register(app: typer.Typer) -> None:
    """Add this verb to the application."""
    app.command()(replay)


def replay(
    context: typer.Context,
    receipt: Annotated[Path, typer.Argument(help="What `trustrag search --receipt` wrote.")],
    as_json: Json = False,
) -> None:
    """Do the search of a receipt again, and compare the two.

    It is searched exactly, on the snapshot that the receipt names. An index that hid or reordered passages is found
    out here, by anyone who holds the snapshot. Exit status 1 where the two differ.
    """
    with open_workspace(context) as workspace:
        found = workspace.receipts.replay(receipt)
    if as_json:
        print_json(_facts(found))
    else:
        _show(found)
    if not found.same:
        raise typer.Exit(EXIT_REFUSED)


def _show(found: "Replay") -> None:
    for passage in found.missing:
        typer.secho(f"MISSING {one_line(str(passage))}: it comes out, and was not handed on", fg="red")
    for passage in found.extra:
        typer.secho(f"EXTRA {one_line(str(passage))}: it was handed on, and does not come out", fg="red")
    if found.reordered:
        typer.secho("REORDERED: the same passages come out in another order", fg="red")
    print_refused(found.refused)
    for note in found.notes:
        typer.echo(f"note: {one_line(note)}")
    changed = (
        f"{len(found.missing)} missing, {len(found.extra)} extra{', reordered' if found.reordered else ''}"
    )
    verdict = "the same passages come out" if found.same else f"another answer comes out ({changed})"
    typer.echo(
        f"replayed {len(found.receipt.results)} passages under snapshot {found.receipt.snapshot}: {verdict}"
    )


def _facts(found: "Replay") -> dict[str, object]:
    return {
        "same": found.same,
        "snapshot": found.receipt.snapshot,
        "results": [passage.to_json() for passage in found.receipt.results],
        "missing": [passage.to_json() for passage in found.missing],
        "extra": [passage.to_json() for passage in found.extra],
        "reordered": found.reordered,
        "refused": [refused_facts(one) for one in found.refused],
        "notes": list(found.notes),
    }
