"""Verbs for the store as static files: publish."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustrag.cli import show
from trustrag.cli.common import Json, note, open_workspace, say
from trustrag.cli.progress import progress
from trustrag.errors import ConfigError

if TYPE_CHECKING:
    from trustrag.reader import Reader


def register(app: typer.Typer) -> None:
    """Add these verbs to the application."""
    app.command()(publish)


def publish(
    context: typer.Context,
    out: Annotated[Path, typer.Argument(help="The folder of the publication; new, or one made before.")],
    as_json: Json = False,
) -> None:
    """Write the store as static files, for readers and witnesses.

    Run again, it writes only what is new. Copy the folder anywhere: `trustrag search --published DIR` verifies all of it.
    """
    with open_workspace(context) as workspace, progress("publishing") as advance:
        report = workspace.log.publish(out, progress=advance)
    shown = "nothing yet" if report.snapshot is None else f"snapshot {report.snapshot}"
    waits = "" if report.pending is None else f"; snapshot {report.pending} waits for its witnesses"
    say(
        as_json,
        show.plain(report),
        f"Published in {out}: {report.files} files written ({report.bytes} bytes), {report.removed} removed; "
        f"readers see {shown}{waits}.",
    )


def open_reader(published: Path, keys: Path | None) -> "Reader":
    """A reader of this publication. Raises ConfigError where there is none."""
    from trustrag.reader import Reader

    if not published.is_dir():
        raise ConfigError(f"{published} is not a folder: name one that `trustrag publish` made")
    reader = Reader.open(published, keys=keys)
    for notice in reader.authority.notices():
        note(notice)
    return reader
