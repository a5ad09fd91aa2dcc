"""Verbs that bring another store's documents here: import-faiss."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustrag.cli import show
from trustrag.cli.common import EXIT_REFUSED, Json, open_workspace, print_json
from trustrag.cli.documents import Licence, Prefix, Signing
from trustrag.cli.progress import stages
from trustrag.errors import UnsignedDocumentError

if TYPE_CHECKING:
    from trustrag.migration import Imported


def register(app: typer.Typer) -> None:
    """Add these verbs to the application."""
    app.command("import-faiss")(import_faiss)


def import_faiss(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="What FAISS.save_local wrote.")],
    sign: Annotated[bool, typer.Option("--sign", help="Sign what is taken over, as --source.")] = False,
    source: Signing = None,
    re_embed: Annotated[
        bool,
        typer.Option("--re-embed", help="Make every vector anew instead of keeping those in the folder."),
    ] = False,
    name: Annotated[
        str, typer.Option("--name", help="The name of its files (index.faiss, index.pkl).")
    ] = "index",
    prefix: Prefix = "",
    licence: Licence = None,
    as_json: Json = False,
) -> None:
    """Take over a LangChain FAISS folder and its vectors.

    Nothing in its pickle is run. Vectors are kept if a random part of them, embedded again, comes out the same; else say
    --re-embed. Run twice it changes nothing; interrupted, it goes on where it stopped.
    """
    from trustrag.migration import import_faiss as take_over

    if not sign:
        raise UnsignedDocumentError(
            "nothing was taken over: nobody signed these documents; say --sign to sign them as a source whose key is here"
        )
    with open_workspace(context) as workspace, stages() as advance:
        imported = take_over(
            workspace,
            folder,
            source=source or workspace.authority.own_source(),
            name=name,
            prefix=prefix,
            licence=licence,
            re_embed=re_embed,
            progress=advance,
        )
    _tell(imported, as_json, re_embed)
    if imported.report.refused:
        raise typer.Exit(EXIT_REFUSED)


def _tell(imported: "Imported", as_json: bool, re_embed: bool) -> None:
    if as_json:
        vectors = {
            "kept": not re_embed,
            "checked": imported.checked,
            "leastCosine": round(imported.least, 6),
        }
        print_json({**show.plain(imported.report), "vectors": vectors})
        return
    show.print_ingest(imported.report)
    if not re_embed:
        typer.echo(
            f"Vectors kept from the folder; {imported.checked:,} drawn at random were embedded again and agree "
            f"(least cosine {imported.least:.4f})."
        )
