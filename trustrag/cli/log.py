"""Verbs for the log: its key and checkpoints, proofs that travel, and the cosignatures of witnesses."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustrag.cli import show
from trustrag.cli.common import EXIT_REFUSED, Json, complain, open_workspace, print_json, say
from trustrag.errors import ConfigError, MalformedError, VerificationError

if TYPE_CHECKING:
    from trustrag.workspace import Gathered

log = typer.Typer(no_args_is_help=True, help="The append-only log: proofs, checkpoints, cosignatures.")

Out = Annotated[
    Path | None, typer.Option("--out", metavar="FILE", help="Write it there (default: print it).")
]


def register(app: typer.Typer) -> None:
    """Add these verbs to the application."""
    app.add_typer(log, name="log")


@log.command("key")
def key(context: typer.Context, as_json: Json = False) -> None:
    """Print the key of the log, as witnesses take it (a vkey)."""
    with open_workspace(context) as workspace:
        keys = [verifier.encode() for verifier in workspace.log.keys]
    say(as_json, {"keys": keys}, "\n".join(keys))


@log.command("checkpoint")
def checkpoint(context: typer.Context, out: Out = None) -> None:
    """Print the newest checkpoint with its cosignatures."""
    with open_workspace(context) as workspace:
        _hand_out(workspace.log.checkpoint(), out)


@log.command("entry")
def entry(
    context: typer.Context,
    index: Annotated[int, typer.Argument(min=0, help="Its index in the log.")],
    out: Out = None,
) -> None:
    """Print one entry of the log, byte for byte as it was hashed."""
    with open_workspace(context) as workspace:
        _hand_out(workspace.log.entry(index), out)


@log.command("proof")
def proof(
    context: typer.Context,
    of: Annotated[str, typer.Argument(metavar="INDEX|DOC", help="A log index, or a document that stands.")],
    out: Out = None,
) -> None:
    """Prove that an entry is in the log.

    The proof is a .tlog-proof (c2sp.org/tlog-proof). Of a document it is the attestation of its
    source. `trustrag log entry` prints what is proved.
    """
    with open_workspace(context) as workspace:
        _hand_out(workspace.log.proof(int(of) if of.isdecimal() else of).encode(), out)


@log.command("consistency")
def consistency(
    context: typer.Context,
    old_size: Annotated[int, typer.Argument(min=0, help="How many entries the log had then.")],
    out: Out = None,
) -> None:
    """Prove that the log only grew since it had so many entries.

    The proof is the body of an add-checkpoint request (c2sp.org/tlog-witness).
    """
    with open_workspace(context) as workspace:
        _hand_out(workspace.log.growth(old_size).encode(), out)


@log.command("verify")
def verify(
    file: Annotated[Path, typer.Argument(help="A .tlog-proof file.")],
    entry: Annotated[Path, typer.Option("--entry", help="What it is a proof of: an envelope.")],
    keys: Annotated[Path, typer.Option("--keys", help="The public trust root (a keys/ folder).")],
    as_json: Json = False,
) -> None:
    """Check that an entry is in the log, from files alone."""
    from trustrag.workspace import verify_log_proof

    for path in (file, entry):
        if not path.is_file():
            raise ConfigError(f"{path} is not a file")
    try:
        # A line of an attestation file is an envelope and its newline.
        found = verify_log_proof(file.read_bytes(), entry.read_bytes().removesuffix(b"\n"), keys)
    except (VerificationError, MalformedError) as error:
        raise typer.Exit(complain(f"{file}, under the trust root in {keys}: {error}")) from error
    facts = {"origin": found.origin, "size": found.size, "witnesses": list(found.witnesses)}
    by = (
        f"witnessed by {', '.join(found.witnesses)}"
        if found.witnesses
        else "not protected against a split view"
    )
    say(as_json, facts, f"VERIFIED {entry} is in the log {found.origin} of {found.size} entries, {by}")


@log.command("gather")
def gather(
    context: typer.Context,
    places: Annotated[
        list[str],
        typer.Argument(
            metavar="PLACE...", help="Checkpoint files, state folders of witnesses, or their addresses."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Keep the cosignatures that witnesses have made.

    Publish again to show them to readers. Exit status 1 where fewer witnesses have signed than the policy asks for.
    """
    with open_workspace(context) as workspace:
        _tell([workspace.log.gather(place) for place in places], as_json)


@log.command("submit")
def submit(
    context: typer.Context,
    addresses: Annotated[
        list[str],
        typer.Argument(metavar="URL...", help="Submission prefixes of witnesses (c2sp.org/tlog-witness)."),
    ],
    as_json: Json = False,
) -> None:
    """Ask witnesses to cosign, and keep what they sign."""
    with open_workspace(context) as workspace:
        _tell([workspace.log.submit(address) for address in addresses], as_json)


def _tell(found: "list[Gathered]", as_json: bool) -> None:
    if as_json:
        print_json([show.plain(one) | {"met": one.met} for one in found])
    else:
        for one in found:
            by = f"{len(one.witnesses)} of {one.quorum} asked for" if one.quorum else "no quorum is asked for"
            new = f"cosigned by {', '.join(one.added)}" if one.added else "nothing new"
            typer.echo(f"Snapshot {one.snapshot} ({one.size} entries): {new}; {by}.")
    if not found[-1].met:
        raise typer.Exit(EXIT_REFUSED)


def _hand_out(data: bytes, out: Path | None) -> None:
    if out is None:
        typer.echo(data.decode(), nl=not data.endswith(b"\n"))
        return
    try:
        out.write_bytes(data)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}") from error
