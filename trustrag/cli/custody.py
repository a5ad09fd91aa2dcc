"""The page that shows a chain of custody, and the verb that prints it."""

import json
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustrag.cli.common import EXIT_REFUSED, Json, one_line, open_workspace, print_json
from trustrag.cli.show import WIDTH, time_of
from trustrag.errors import ConfigError

if TYPE_CHECKING:
    from trustrag.workspace import Chain, Link

_TIMES = ("issued", "expires", "finished")
_MARKS = {"verified": ("ok", "green"), "unsigned": ("unsigned", "yellow"), "none": ("none", "yellow")}
_HELD_BACK = ("envelope", "metadata", "weights", "entry", "position", "bucketSize", "dimension")
"""Facts that only --json tells: a page that names them all is read by nobody."""


def register(app: typer.Typer) -> None:
    """Add this verb to the application."""
    app.command()(chain)


def chain(
    context: typer.Context,
    passage: Annotated[
        str,
        typer.Argument(help="DOC:CHUNK as a search prints it (chunks from 0), or DOC for its first chunk."),
    ],
    at: Annotated[
        int | None, typer.Option("--at", min=1, metavar="SNAPSHOT", help="Of what stood in that snapshot.")
    ] = None,
    prov: Annotated[Path | None, typer.Option(help="Write it as W3C PROV-JSON to this file.")] = None,
    openlineage: Annotated[
        Path | None, typer.Option(help="Write it as OpenLineage run events to this file.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show every hand that a passage went through, file to answer.

    Each link is checked by itself.
    Exit status 1 where a link does not hold, or where the passage stands no more.
    """
    from trustrag.workspace import openlineage_of, prov_of

    with open_workspace(context) as workspace:
        found, here = workspace.history.chain(passage, at=at), workspace.policy.context
    if prov is not None:
        _write(prov, prov_of(found, here))
    if openlineage is not None:
        _write(openlineage, openlineage_of(found, here))
    if as_json:
        print_json(chain_facts(found))
    else:
        print_chain(found)
    if not found.holds or not (found.standing or at is not None):
        raise typer.Exit(EXIT_REFUSED)


def chain_facts(chain: "Chain") -> dict[str, object]:
    """A chain as plain facts."""
    from trustrag.workspace import passage_name

    return {
        "format": "urn:trustrag:chain/v1",
        "passage": passage_name(chain.doc_id, chain.chunk),
        "document": chain.doc_id,
        "version": chain.version,
        "chunk": chain.chunk,
        "snapshot": chain.snapshot,
        "standing": chain.standing,
        "holds": chain.holds,
        "links": [
            {
                "link": link.name,
                "verdict": link.verdict,
                "reason": link.reason,
                "facts": {name: _plain(name, value) for name, value in link.facts.items()},
            }
            for link in chain.links
        ],
        "text": chain.text,
    }


def print_chain(chain: "Chain") -> None:
    """One page: each link with what it says, and whether it holds."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from trustrag.workspace import passage_name

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for link in chain.links:
        word, colour = _MARKS.get(link.verdict, (link.verdict, "red"))
        table.add_row(Text(word, style=colour), Text(link.name, style="bold"), Text(_told(link)))
    standing = "stands" if chain.standing else f"as of snapshot {chain.snapshot}"
    typer.secho(
        f"{one_line(passage_name(chain.doc_id, chain.chunk))} version {chain.version}, {standing}", bold=True
    )
    # Text and not markup: what a document or a reason says is printed, never obeyed.
    Console(highlight=False, soft_wrap=False).print(table)
    text = textwrap.shorten(one_line(chain.text), 600, placeholder=" ...")
    typer.echo(textwrap.fill(text, WIDTH, initial_indent="   ", subsequent_indent="   "))
    broken = [link.name for link in chain.links if link.verdict not in _MARKS]
    verdict = f"BROKEN at {', '.join(broken)}" if broken else "Every link holds."
    typer.secho(verdict, fg="red" if broken else None)
    if not chain.standing:
        typer.secho(
            f"AS OF snapshot {chain.snapshot}: keys and expiry are today's, and this is not what stands.",
            fg="yellow",
        )


def _told(link: "Link") -> str:
    facts = [
        f"{name} {_short(_plain(name, value))}"
        for name, value in link.facts.items()
        if value is not None and name not in _HELD_BACK
    ]
    return "\n".join(filter(None, [", ".join(facts), one_line(link.reason)]))


def _plain(name: str, value: object) -> object:
    return time_of(value) if name in _TIMES and isinstance(value, int) else value


def _short(value: object) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_short(item) for item in value) + "]"
    text = one_line(str(value))
    is_digest = len(text) == 64 and all(c in "0123456789abcdef" for c in text)
    return f"{text[:16]}..." if is_digest else text


def _write(path: Path, value: object) -> None:
    try:
        path.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
