"""Verbs for documents: attest, ingest, history, quarantine, restore, withdraw."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from trustrag.cli import show
from trustrag.cli.common import EXIT_REFUSED, Json, open_workspace, print_json
from trustrag.errors import ConfigError, NotFoundError, UnsignedDocumentError

Reason = Annotated[str, typer.Option("--reason", help="Why; it is signed and stays in the log.")]
Target = Annotated[str | None, typer.Argument(metavar="DOC", help="The document's id.")]
OfSource = Annotated[str | None, typer.Option("--source", help="Everything of this source instead.")]


def register(app: typer.Typer) -> None:
    """Add these verbs to the application."""
    for command in (attest, ingest, history, quarantine, restore, withdraw):
        app.command()(command)


def attest(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="Files and folders to sign.")],
    source: Annotated[
        str | None,
        typer.Option("--source", help="Sign as this source (default: the only one whose key is here)."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="Where the attestations go, one DSSE envelope a line.")
    ] = Path("attestations.intoto.jsonl"),
    prefix: Annotated[str, typer.Option(help="Put this before each document id.")] = "",
) -> None:
    """Sign documents as their source, without touching the store."""
    with open_workspace(context) as workspace:
        report = workspace.attest(paths, out, source=source, prefix=prefix)
        for problem in report.refused:
            typer.secho(f"REFUSED {problem.doc_id}: {problem.reason}", fg="red", err=True)
        typer.echo(f"Attested {len(report.attested)} documents in {out}")
        if report.refused:
            raise typer.Exit(EXIT_REFUSED)


def ingest(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="Files and folders to take in.")],
    sign: Annotated[bool, typer.Option("--sign", help="Sign what is not attested, as --source.")] = False,
    source: Annotated[
        str | None,
        typer.Option("--source", help="The source that signs (default: the only one whose key is here)."),
    ] = None,
    attestations: Annotated[
        Path | None, typer.Option(help="Attestations of the source (.intoto.jsonl).")
    ] = None,
    prefix: Annotated[str, typer.Option(help="Put this before each document id.")] = "",
    licence: Annotated[str | None, typer.Option(help="SPDX expression that the source declares.")] = None,
    as_json: Json = False,
) -> None:
    """Take documents in: signed ones go in, others are refused with one line each."""
    if not sign and attestations is None:
        raise UnsignedDocumentError(
            "nothing was taken in: say --sign to sign as a source whose key is here, or give --attestations FILE"
        )
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise ConfigError(f"no such file or folder: {', '.join(missing)}")
    with open_workspace(context) as workspace:
        signer = (source or workspace.authority.own_source()) if sign else None
        with show.progress("taking in") as advance:
            report = workspace.ingest(
                paths,
                source=signer,
                attestations=attestations or (),
                prefix=prefix,
                licence=licence,
                progress=advance,
            )
    if as_json:
        print_json(show.ingest_facts(report))
    else:
        show.print_ingest(report)
    if report.refused:
        raise typer.Exit(EXIT_REFUSED)


def history(context: typer.Context, doc: str, as_json: Json = False) -> None:
    """List every version of a document that was ever taken in."""
    with open_workspace(context) as workspace:
        rows = workspace.history(doc)
        if not rows:
            raise NotFoundError(f"no document {doc!r} was ever taken in")
        facts = [
            {
                "version": row.version,
                "standing": row.standing,
                "source": row.source_name,
                "sha256": row.digest.hex,
                "snapshot": row.admitted,
                "findings": list(row.findings),
            }
            for row in rows
        ]
    if as_json:
        return print_json(facts)
    for fact in facts:
        typer.echo(
            "{version:>4}  {standing:12} snapshot {snapshot:<6} {source}  sha256 {sha256}".format(**fact)
        )
    return None


def quarantine(context: typer.Context, reason: Reason, doc: Target = None, source: OfSource = None) -> None:
    """Take a document, or all of a source, out of search until it is restored."""
    _rule(context, "quarantine", doc, source, reason)


def restore(context: typer.Context, reason: Reason, doc: Target = None, source: OfSource = None) -> None:
    """Let what was quarantined or withdrawn stand again."""
    _rule(context, "restore", doc, source, reason)


def withdraw(context: typer.Context, reason: Reason, doc: Target = None, source: OfSource = None) -> None:
    """Take a document, or all of a source, out for good; nothing is erased, and the ruling is signed."""
    _rule(context, "withdraw", doc, source, reason)


def _rule(
    context: typer.Context,
    action: Literal["quarantine", "restore", "withdraw"],
    doc: str | None,
    source: str | None,
    reason: str,
) -> None:
    if (doc is None) == (source is None):
        raise typer.BadParameter("name a document or --source, one of them")
    with open_workspace(context) as workspace:
        snapshot = workspace.rule(action, doc_id=doc, source=source, reason=reason)
        typer.echo(f"Done: {action} {doc or 'source ' + str(source)}; snapshot {snapshot.version}.")
