"""Verbs of the review desk: list, show, approve, reject, take, assign, questions."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustrag.cli import desk
from trustrag.cli.common import (
    EXIT_REFUSED,
    REASON,
    Json,
    Reason,
    a_reason,
    complain,
    note,
    one_line,
    open_publisher,
    open_workspace,
    print_json,
    say,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trustrag.publisher import Publisher
    from trustrag.workspace import Decided, Finding, Workspace

Document = Annotated[
    str, typer.Argument(metavar="DOC", help="The document's id; with --keys, the file of it.")
]
As = Annotated[
    str | None, typer.Option("--as", help="The reviewer (default: the only one whose key is here).")
]
Version = Annotated[
    int | None, typer.Option("--version", help="Which version (default: the newest that waits).")
]
Keys = Annotated[
    Path | None, typer.Option("--keys", help="The store's public trust root, where the store is elsewhere.")
]
Out = Annotated[Path | None, typer.Option("--out", help="Where the file goes.")]

reviews = typer.Typer(no_args_is_help=True, help="The review desk: what waits, and what people decide.")


@reviews.command("list")
def list_cases(
    context: typer.Context,
    reviewer: Annotated[
        str | None, typer.Option("--assigned", help="Only what is assigned to this reviewer.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List what waits, oldest first."""
    with open_workspace(context) as workspace:
        cases, problems = workspace.reviews.waiting(reviewer)
    if as_json:
        print_json(
            {"waiting": [desk.case_facts(case) for case in cases], "damaged": [list(one) for one in problems]}
        )
    else:
        for case in cases:
            desk.print_line(case)
        for name, why in problems:
            typer.secho(f"DAMAGED {one_line(name)}: {one_line(why)}", fg="red", err=True)
        typer.echo(f"{len(cases)} waiting")
    if problems:
        raise typer.Exit(EXIT_REFUSED)


@reviews.command("show")
def show(
    context: typer.Context,
    doc: Document,
    version: Version = None,
    keys: Keys = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write a file of it, for a reviewer on another machine.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show one document that waits.

    The text with what was noticed, the difference to what stands, who agrees, and what would change.
    """
    if keys is not None:
        publisher = open_publisher(keys)
        shown, findings = publisher.read_case(doc)
        return print_json(desk.shown_facts(shown, findings)) if as_json else desk.print_shown(shown, findings)
    with open_workspace(context) as workspace:
        if out is not None:
            case = workspace.reviews.export(doc, out)
            line = f"Wrote {out}: version {case.version} of {one_line(doc)}; there: trustrag review approve {out} --keys keys/"
            return say(as_json, desk.case_facts(case) | {"file": str(out)}, line)
        details = workspace.reviews.show(doc, version)
    if as_json:
        return print_json(desk.details_facts(details))
    return desk.print_details(details)


@reviews.command("approve")
def approve(
    context: typer.Context,
    doc: Document,
    reason: Annotated[str | None, REASON] = None,
    by: As = None,
    version: Version = None,
    keys: Keys = None,
    out: Out = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask at a terminal whether to go on.")] = False,
    as_json: Json = False,
) -> None:
    """Approve what waits. Once enough people did, it stands.

    It is shown first, with what was noticed; at a terminal you are asked for the reason, and whether to go on. With
    --keys, on the reviewer's own machine: DOC is a file that `review show DOC --out FILE` wrote, and the signed approval
    goes into a file, to be handed in with `review take`.
    """
    asks = sys.stdin.isatty() and not as_json and not yes
    if reason is None and not asks:
        raise typer.BadParameter("say why, with --reason: it is signed and stays in the log", ctx=context)
    if keys is not None:
        publisher = open_publisher(keys)
        shown, findings = publisher.read_case(doc)
        if asks:
            desk.print_shown(shown, findings)
        why = _considered(reason, asks, one_line(shown.claim.doc_id))
        _elsewhere(publisher, doc, True, why, by, out, as_json)
        return None if asks or as_json else desk.print_shown(shown, findings)
    with open_workspace(context) as workspace:
        details = workspace.reviews.show(doc, version)
        case = details.case
        if asks:
            desk.print_details(details)
        why = _considered(reason, asks, f"version {case.version} of {one_line(doc)}")
        decided = workspace.reviews.approve(doc, reason=why, by=by, version=case.version)
        _say(workspace, decided, as_json, case.findings)
        return None if asks or as_json else desk.print_case(case)


def _considered(reason: str | None, asks: bool, what: str) -> str:
    """The reason to sign: asked for where none was given, and whether to go on at all."""
    if reason is None:
        why = f"Why may {what} stand (it is signed, and stays in the log)"
        reason = str(typer.prompt(why, err=True, value_proc=a_reason))
    if asks and not typer.confirm(f"Approve {what}?", err=True):
        raise typer.Exit(complain("nothing was approved: it waits on"))
    return reason


@reviews.command("reject")
def reject(
    context: typer.Context,
    doc: Document,
    reason: Reason,
    by: As = None,
    version: Version = None,
    keys: Keys = None,
    out: Out = None,
    as_json: Json = False,
) -> None:
    """Reject what waits.

    Once as many people did as could have approved it, it is taken out; its bytes stay.
    """
    if keys is not None:
        return _elsewhere(open_publisher(keys), doc, False, reason, by, out, as_json)
    with open_workspace(context) as workspace:
        decided = workspace.reviews.reject(doc, reason=reason, by=by, version=version)
        return _say(workspace, decided, as_json)


@reviews.command("take")
def take(
    context: typer.Context,
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A review or rejection that was signed elsewhere.")
    ],
    as_json: Json = False,
) -> None:
    """Enter what a reviewer signed elsewhere."""
    with open_workspace(context) as workspace:
        return _say(workspace, workspace.reviews.take(file), as_json)


@reviews.command("assign")
def assign(
    context: typer.Context,
    doc: Document,
    to: Annotated[str, typer.Option("--to", help="The reviewer.")],
    version: Version = None,
    as_json: Json = False,
) -> None:
    """Give what waits to one reviewer.

    Others may decide it all the same.
    """
    with open_workspace(context) as workspace:
        snapshot = workspace.reviews.assign(doc, to, version=version)
        facts = {"document": doc, "reviewer": to, "snapshot": snapshot.version}
        say(as_json, facts, f"Assigned {one_line(doc)} to {to}; snapshot {snapshot.version}.")


@reviews.command("questions")
def questions(
    context: typer.Context,
    keep: Annotated[
        int | None,
        typer.Option("--keep", min=0, help="Keep so many of the last ones; 0 forgets them and keeps none."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Show or change whether your last questions are kept.

    They tell what a document would change. They lie under TRUSTRAG_HOME, readable for you alone, and only once you say
    --keep.
    """
    with open_workspace(context) as workspace:
        if keep is not None:
            workspace.reviews.keep_questions(keep)
        kept = workspace.reviews.questions()
        say(as_json, {"questions": kept}, "\n".join(map(one_line, kept)) or "No questions are kept.")


def _elsewhere(
    publisher: "Publisher",
    case: str,
    approves: bool,
    reason: str,
    by: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    from trustrag.workspace import write_new

    shown, envelope = (publisher.approve if approves else publisher.reject)(case, reason=reason, by=by)
    path = out or Path(f"{Path(case).name}.{'approved' if approves else 'rejected'}.dsse.json")
    write_new(path, envelope.encode() + b"\n")
    what = "approves" if approves else "rejects"
    claim = shown.claim
    facts = {
        "document": claim.doc_id,
        "version": claim.version,
        "approves": approves,
        "reason": reason,
        "file": str(path),
    }
    say(as_json, facts, f"{path} {what} version {claim.version} of {one_line(claim.doc_id)}: hand it in, there: "
        f"trustrag review take {path.name}")  # fmt: skip


def _say(
    workspace: "Workspace", decided: "Decided", as_json: bool, findings: "Sequence[Finding]" = ()
) -> None:
    who, doc = decided.by or "the operator", one_line(decided.doc_id)
    did = "approved" if decided.approves else "rejected"
    if not decided.settled:
        after = f"{decided.have} of {decided.needed} say so; it waits on"
    elif decided.approves:
        after = "it stands"
    else:
        after = "it is taken out, its bytes stay"
    facts = {
        "document": decided.doc_id,
        "version": decided.version,
        "by": decided.by,
        "action": "approve" if decided.approves else "reject",
        "settled": decided.settled,
        "have": decided.have,
        "needed": decided.needed,
        "snapshot": decided.snapshot,
        "findings": [asdict(finding) for finding in findings],
    }
    line = f"{who} {did} version {decided.version} of {doc}: {after}; snapshot {decided.snapshot}."
    say(as_json, facts, line)
    if decided.by in workspace.reviews.held_reviewers() and len(workspace.reviews.held_reviewers()) > 1:
        note("the keys of several reviewers are here: whoever runs this machine is all of them")
