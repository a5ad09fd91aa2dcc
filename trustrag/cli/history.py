"""Verbs for the past: snapshots, diff, rollback, approve."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustrag.cli import show
from trustrag.cli.common import (
    Json,
    Reason,
    one_line,
    open_publisher,
    open_workspace,
    print_json,
    say,
)
from trustrag.cli.progress import progress
from trustrag.errors import ConfigError, in_file

if TYPE_CHECKING:
    from trustrag.workspace import Change, RollbackStatement, RollbackStep, SnapshotFact

_LISTED = 20  # documents named of each kind before the rest is counted
_WHERE = {"added": "+", "removed": "-", "replaced": "~"}

Version = Annotated[int, typer.Argument(min=1, metavar="SNAPSHOT", help="A snapshot's version.")]


def register(app: typer.Typer) -> None:
    """Add these verbs to the application."""
    for command in (snapshots, diff, rollback, approve):
        app.command()(command)


def snapshots(
    context: typer.Context,
    last: Annotated[int, typer.Option("--last", min=0, help="Only the newest so many (0: all).")] = 0,
    as_json: Json = False,
) -> None:
    """List every snapshot: what was done, and what stood after it.

    As it was signed: each step has to lead from one sealed root to the next.
    """
    with open_workspace(context) as workspace, progress("reading") as advance:
        found = workspace.history.snapshots(advance)[-last:]
    if as_json:
        return print_json([_snapshot_facts(one) for one in found])
    for one in found:
        changed = f"+{one.added} -{one.removed} ~{one.replaced}"
        typer.echo(
            f"{one.version:>6}  {show.time_of(one.issued_at)}  {one.action:10} {one.standing:>7} documents  "
            f"{changed:16} {_why(one)}".rstrip()
        )
        if one.refusal:
            typer.secho(f"        {one_line(one.refusal)}", fg="red")
    return None


def _why(one: "SnapshotFact") -> str:
    parts = []
    if one.target is not None:
        approved = f", approved by {len(one.approved_by)}" if one.approved_by else ""
        parts.append(f"to snapshot {one.target}{approved}:")
    return " ".join([*parts, one_line(one.reason or "")])


def _snapshot_facts(one: "SnapshotFact") -> dict[str, object]:
    return asdict(one) | {
        "issued_at": show.time_of(one.issued_at),
        "root": one.root.hex,
        "approved_by": list(one.approved_by),
    }


def diff(
    context: typer.Context,
    old: Annotated[int, typer.Argument(min=1, metavar="A", help="A snapshot's version.")],
    new: Annotated[int, typer.Argument(min=1, metavar="B", help="Another one's.")],
    document: Annotated[
        str | None, typer.Option("--document", metavar="DOC", help="Compare the text of this document.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say which documents differ between two snapshots.

    With --document, how the text of one does, by passages that are proved. What stood is told by the roots that were
    sealed, not by rows.
    """
    with open_workspace(context) as workspace:
        if document is not None:
            lines = workspace.history.text_diff(old, new, document)
            say(
                as_json,
                {"document": document, "old": old, "new": new, "diff": lines},
                "\n".join(_printable(line) for line in lines) or "No difference.",
            )
            return
        found = workspace.history.diff(old, new)
    if as_json:
        print_json(
            {
                "old": {"snapshot": found.old, "root": found.old_root.hex},
                "new": {"snapshot": found.new, "root": found.new_root.hex},
                "unchanged": found.unchanged,
                "changes": [_change_facts(change) for change in found.changes],
            }
        )
        return
    for change in found.changes:
        versions = " -> ".join(str(version) for version in (change.old, change.new) if version is not None)
        typer.echo(f"{_WHERE[change.kind]} {one_line(change.doc_id)}  version {versions}")
    kinds = [change.kind for change in found.changes]
    typer.echo(
        f"snapshot {old} to {new}: {kinds.count('added')} added, {kinds.count('removed')} removed, "
        f"{kinds.count('replaced')} replaced, {found.unchanged} unchanged"
    )


def _printable(line: str) -> str:
    """A line of a document as it is, except for what a terminal would obey."""
    return "".join(c if c.isprintable() else " " for c in line)


def _change_facts(change: "Change") -> dict[str, object]:
    return {
        "document": change.doc_id,
        "kind": change.kind,
        "old": None
        if change.old is None
        else {"version": change.old, "sha256": change.old_digest and change.old_digest.hex},
        "new": None
        if change.new is None
        else {"version": change.new, "sha256": change.new_digest and change.new_digest.hex},
    }


def rollback(
    context: typer.Context,
    snapshot: Version,
    reason: Reason,
    approvals: Annotated[
        Path | None, typer.Option(help="What the reviewers signed (from `trustrag approve`).")
    ] = None,
    propose: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write what reviewers are to sign, and change nothing."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change, and change nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Let stand again what stood in a snapshot.

    In a new snapshot, and nothing is erased. Where the policy asks reviewers, so many of them have to approve it.
    Documents that were quarantined or withdrawn since stay out, as does what today's policy would refuse or has
    expired; each is named.
    """
    if sum((approvals is not None, propose is not None, dry_run)) > 1:
        raise ConfigError("--approvals, --propose and --dry-run: one of them at a time")
    with open_workspace(context) as workspace:
        if propose is not None:
            _write(propose, workspace.history.propose(snapshot, reason=reason))
        if propose is not None or dry_run:
            step, sealed = workspace.history.plan(snapshot), None
        else:
            done = workspace.history.rollback(snapshot, reason=reason, approvals=approvals or ())
            step, sealed = done.step, done.snapshot.version
        needed = workspace.policy.review.threshold
    if as_json:
        print_json(_step_facts(step) | {"sealed": sealed, "approvals_needed": needed})
        return
    _print_step(step)
    if sealed is not None:
        typer.echo(f"Done: rollback to snapshot {snapshot}; snapshot {sealed}.")
    elif propose is not None:
        typer.echo(f"Proposed in {propose}: {needed} reviewers sign it (trustrag approve {propose}).")
    else:
        typer.echo(f"Nothing was changed; {needed} reviewers would have to approve it.")


def _print_step(step: "RollbackStep") -> None:
    for mark, names in (
        ("back", [f"{one_line(one.doc_id)} version {one.version}" for one in step.back]),
        ("gone", [one_line(name) for name in step.gone]),
    ):
        for name in names[:_LISTED]:
            typer.echo(f"{mark}      {name}")
        if len(names) > _LISTED:
            typer.echo(f"{mark}      ... and {len(names) - _LISTED} more (--json names them)")
    for left in step.left_out:
        typer.secho(
            f"LEFT OUT  {one_line(left.doc_id)} version {left.version}: {one_line(left.reason)}", fg="yellow"
        )
    typer.echo(
        f"From snapshot {step.present} to {step.target}: {len(step.back)} come back, {len(step.gone)} stand no more, "
        f"{len(step.left_out)} left out."
    )


def _step_facts(step: "RollbackStep") -> dict[str, object]:
    return {
        "target": step.target,
        "present": step.present,
        "back": [asdict(one) for one in step.back],
        "gone": list(step.gone),
        "left_out": [asdict(one) for one in step.left_out],
    }


def approve(
    context: typer.Context,
    proposal: Annotated[Path, typer.Argument(help="What was proposed (from `trustrag rollback --propose`).")],
    out: Annotated[
        Path, typer.Option("--out", help="Where the approval goes; one is added to those that are there.")
    ] = Path("approvals.intoto.jsonl"),
    keys: Annotated[
        Path | None,
        typer.Option("--keys", help="The store's public trust root, where there is no workspace here."),
    ] = None,
    key: Annotated[
        str,
        typer.Option("--key", help="How the id of the reviewer's key begins, where several are held here."),
    ] = "",
    as_json: Json = False,
) -> None:
    """Approve a proposed rollback, as a reviewer.

    The approval names both snapshots by their roots: it is good for this one step, and for no other.
    """
    from trustrag.workspace import approve_rollback

    try:
        data = proposal.read_bytes()
        before = out.read_bytes() if out.exists() else b""
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be read: {error.strerror}") from error
    if keys is not None:
        authority = open_publisher(keys).authority
    else:
        with open_workspace(context) as workspace:
            authority = workspace.authority
    with in_file(proposal):
        envelope, said = approve_rollback(authority, data, key=key)
    between = b"\n" if before and not before.endswith(b"\n") else b""
    _write(out, before + between + envelope.encode() + b"\n")
    facts = {"key": envelope.key_id, "out": str(out), **_asked_facts(said)}
    say(as_json, facts, f"{_asked(said)}\nApproved with key {envelope.key_id[:16]} in {out}.")


def _asked(said: "RollbackStatement") -> str:
    return (
        f"Rollback of {said.context.store} from snapshot {said.present} ({said.present_root.hex[:16]}) to snapshot "
        f"{said.target} ({said.target_root.hex[:16]}): {one_line(said.reason)}"
    )


def _asked_facts(said: "RollbackStatement") -> dict[str, object]:
    return {
        "target": {"snapshot": said.target, "root": said.target_root.hex},
        "present": {"snapshot": said.present, "root": said.present_root.hex},
        "reason": said.reason,
    }


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
