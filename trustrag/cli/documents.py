"""Verbs for documents: attest, ingest, history, quarantine, restore, withdraw."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from trustrag.cli import show
from trustrag.cli.common import (
    EXIT_REFUSED,
    Json,
    Reason,
    note,
    one_line,
    open_publisher,
    open_workspace,
    print_json,
    say,
)
from trustrag.cli.desk import told_opinion
from trustrag.cli.progress import progress
from trustrag.errors import ConfigError, NotFoundError, UnsignedDocumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from trustrag.workspace import Event, Opinion, VersionRow

Target = Annotated[str | None, typer.Argument(metavar="DOC", help="The document's id.")]
OfSource = Annotated[str | None, typer.Option("--source", help="Everything of this source instead.")]

Signing = Annotated[
    str | None,
    typer.Option("--source", help="The source that signs (default: the only one whose key is here)."),
]
Prefix = Annotated[str, typer.Option("--prefix", help="Put this before each document id.")]
Licence = Annotated[str | None, typer.Option("--licence", help="SPDX expression that the source declares.")]


def register(app: typer.Typer) -> None:
    """Add these verbs to the application."""
    for command in (attest, ingest, history, quarantine, restore, withdraw):
        app.command()(command)


def attest(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="Files and folders to sign.")],
    source: Signing = None,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", help="The store's public trust root, where there is no workspace here."),
    ] = None,
    out: Annotated[
        Path, typer.Option("--out", help="Where the attestations go, one DSSE envelope a line.")
    ] = Path("attestations.intoto.jsonl"),
    prefix: Prefix = "",
    licence: Licence = None,
    again: Annotated[
        bool, typer.Option("--again", help="Sign what did not change, too: after your key was replaced.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Sign documents as their source, without touching the store.

    With --keys, on the source's own machine: its key (`trustrag keys new`) and the store's public keys/ folder are all
    it takes. The file of attestations is the memory of version numbers too: sign into the same one again.
    """
    _require_there(paths)
    if keys is not None:
        report = open_publisher(keys).attest(
            paths, out, source=source, prefix=prefix, licence=licence, again=again
        )
    else:
        with open_workspace(context) as workspace:
            report = workspace.attest(paths, out, source=source, prefix=prefix, licence=licence, again=again)
    show.print_unread(report.refused, report.skipped)
    done = f"{len(report.attested)} attested in {out}, {len(report.unchanged)} unchanged, {len(report.refused)} refused"
    say(as_json, show.plain(report), done)
    if report.refused:
        raise typer.Exit(EXIT_REFUSED)


def ingest(
    context: typer.Context,
    paths: Annotated[list[Path], typer.Argument(help="Files and folders to take in.")],
    sign: Annotated[bool, typer.Option("--sign", help="Sign what is not attested, as --source.")] = False,
    source: Signing = None,
    attestations: Annotated[
        Path | None, typer.Option(help="Attestations of the source (.intoto.jsonl).")
    ] = None,
    prefix: Prefix = "",
    licence: Licence = None,
    as_json: Json = False,
) -> None:
    """Take signed documents in; refuse others with one line each.

    Text, Markdown, HTML, PDF, DOCX, notebooks, source code, CSV, JSONL, captions (captions.json) and transcripts (VTT,
    SRT). Run twice it changes nothing; interrupted, it goes on where it stopped; a changed file is a new version that
    supersedes the old one.
    """
    if not sign and attestations is None:
        raise UnsignedDocumentError(
            "nothing was taken in: say --sign to sign as a source whose key is here, or give --attestations FILE"
        )
    _require_there([*paths, *([attestations] if attestations else [])])
    with open_workspace(context) as workspace:
        signer = (source or workspace.authority.own_source()) if sign else None
        with progress("taking in") as advance:
            report = workspace.ingest(
                paths,
                source=signer,
                attestations=attestations or (),
                prefix=prefix,
                licence=licence,
                progress=advance,
            )
    if as_json:
        print_json(show.plain(report))
    else:
        show.print_ingest(report)
    if not any((report.admitted, report.unchanged, report.quarantined, report.refused, report.skipped)):
        note(f"no file is in {', '.join(map(str, paths))}: nothing was taken in")
    if report.refused:
        raise typer.Exit(EXIT_REFUSED)


def history(
    context: typer.Context,
    doc: Annotated[str, typer.Argument(metavar="DOC", help="The document's id.")],
    as_json: Json = False,
) -> None:
    """List every version of a document, and who decided what.

    With what the screens noticed, what reviewers said of it, and each ruling since: quarantine, restore, withdraw, rollback.
    """
    with open_workspace(context) as workspace:
        rows = workspace.history.document(doc)
        if not rows:
            raise NotFoundError(
                f"no document {doc!r} was ever taken in; ids are paths below the folder given to ingest"
            )
        said = workspace.reviews.history(doc)
        done = _rulings(workspace.history.events(doc))
    if as_json:
        facts = [_version_facts(row, said[row.version], done.get(row.version, [])) for row in rows]
        return print_json(facts)
    for row in rows:
        _print_version(row, said[row.version], done.get(row.version, []))
    return None


def _version_facts(
    row: "VersionRow", said: "Sequence[Opinion]", done: "Sequence[Event]"
) -> dict[str, object]:
    return {
        "version": row.version,
        "standing": row.standing,
        "source": row.source_name,
        "sha256": row.digest.hex,
        "snapshot": row.admitted,
        "findings": list(row.findings),
        "opinions": [asdict(one) for one in said],
        "rulings": [{"snapshot": one.snapshot, "action": one.action, "reason": one.reason} for one in done],
    }


def _print_version(row: "VersionRow", said: "Sequence[Opinion]", done: "Sequence[Event]") -> None:
    typer.echo(
        f"{row.version:>4}  {row.standing:12} snapshot {row.admitted:<6} {row.source_name}  sha256 {row.digest.hex}"
    )
    for finding in row.findings:
        typer.echo(f"      {one_line(finding)} (unsigned)")
    for one in said:
        told = told_opinion("approved" if one.approves else "rejected", one)
        typer.echo(f"      snapshot {one.snapshot}: {one.by or 'the operator'} {told}")
    for event in done:
        gone = "" if event.began == row.version else ", stands no more"
        typer.echo(f"      snapshot {event.snapshot}: {event.action}{gone}: {one_line(event.reason or '')}")


def _rulings(events: "Iterable[Event]") -> "dict[int, list[Event]]":
    """What was decided over each version once it stood, as it was sealed; a ruling on what stood not is of the newest."""
    found: dict[int, list[Event]] = {}
    newest = 1
    for event in events:
        newest = max(newest, event.began or 0)
        if event.action in ("quarantine", "restore", "withdraw", "rollback"):
            for version in {event.ended, event.began} - {None} or {newest}:
                found.setdefault(version, []).append(event)  # type: ignore[arg-type]
    return found


def quarantine(
    context: typer.Context, reason: Reason, doc: Target = None, source: OfSource = None, as_json: Json = False
) -> None:
    """Take a document or source out until it is restored."""
    _rule(context, "quarantine", doc, source, reason, as_json)


def restore(
    context: typer.Context, reason: Reason, doc: Target = None, source: OfSource = None, as_json: Json = False
) -> None:
    """Let what was quarantined or withdrawn stand again.

    What the screens held never stood: that is decided at the review desk (`trustrag review`).
    """
    _rule(context, "restore", doc, source, reason, as_json)


def withdraw(
    context: typer.Context, reason: Reason, doc: Target = None, source: OfSource = None, as_json: Json = False
) -> None:
    """Take a document (or all of a source) out for good.

    Nothing is erased: the ruling is signed and logged, and `trustrag restore` undoes it.
    """
    _rule(context, "withdraw", doc, source, reason, as_json)


def _rule(
    context: typer.Context,
    action: Literal["quarantine", "restore", "withdraw"],
    doc: str | None,
    source: str | None,
    reason: str,
    as_json: bool,
) -> None:
    if (doc is None) == (source is None):
        raise typer.BadParameter("name a document or --source, one of them", ctx=context)
    with open_workspace(context) as workspace:
        snapshot = workspace.rule(action, doc_id=doc, source=source, reason=reason)
        facts = {"action": action, "document": doc, "source": source, "snapshot": snapshot.version}
        say(as_json, facts, f"Done: {action} {doc or f'source {source}'}; snapshot {snapshot.version}.")


def _require_there(paths: list[Path]) -> None:
    missing = [str(path) for path in paths if not path.exists()]
    if missing:
        raise ConfigError(f"no such file or folder: {', '.join(missing)}")
