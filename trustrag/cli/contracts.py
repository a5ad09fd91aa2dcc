"""Verbs for contracts: init, check, sign, show."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustrag.cli.common import EXIT_REFUSED, Json, find_workspace, open_workspace, print_json, say
from trustrag.errors import ConfigError

if TYPE_CHECKING:
    from trustrag.workspace import Contract

File = Annotated[Path, typer.Argument(metavar="FILE", help="The contract, a YAML file.")]

contracts = typer.Typer(
    no_args_is_help=True,
    help="What is agreed with a source about its documents.",
)


@contracts.command("init")
def init(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="The source that it is agreed with.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Where it goes (default: SOURCE.contract.yaml).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write a contract to be edited.

    It has sensible defaults, and a comment on every clause.
    """
    with open_workspace(context) as workspace:
        path = workspace.contracts.init(source, out)
    line = f"Wrote {path}. Edit it, then: trustrag contract check {path}; trustrag contract sign {path}"
    say(as_json, {"source": source, "file": str(path)}, line)


@contracts.command("check")
def check(context: typer.Context, file: File, as_json: Json = False) -> None:
    """Say what is wrong in a contract.

    Each thing with its line and clause. Nothing changes.
    """
    from trustrag.workspace import check_file

    try:
        find_workspace(context)
    except ConfigError:
        contract, problems = check_file(file)
    else:
        with open_workspace(context) as workspace:
            contract, problems = workspace.contracts.check(file)
    facts: dict[str, object] = {
        "file": str(file),
        "good": contract is not None,
        "problems": [{"line": one.line, "clause": one.clause, "what": one.what} for one in problems],
    }
    if as_json:
        print_json(facts if contract is None else facts | _facts(contract))
    else:
        for problem in problems:
            typer.secho(f"{file}: {problem}", fg="red", err=True)
        if contract is not None:
            typer.echo(f"{file} is a contract with source {contract.source}; it counts once it is signed.")
    if contract is None:
        raise typer.Exit(EXIT_REFUSED)


@contracts.command("sign")
def sign(context: typer.Context, file: File, as_json: Json = False) -> None:
    """Put a contract in force.

    Its file is kept in the workspace; its digest, and how many reviewers it asks for, are signed into the policy. What is
    taken in from now on is held to it. Edit the kept file, and that source's documents are refused.
    """
    with open_workspace(context) as workspace:
        contract = workspace.contracts.sign(file)
        version = workspace.policy.version
        line = (
            f"The contract with {contract.source} is in force (sha256 {contract.digest.hex[:16]}, "
            f"{contract.reviewers} reviewers); policy version {version}."
        )
        say(as_json, _facts(contract) | {"policy": version}, line)


@contracts.command("show")
def show(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="The source's name.")],
    as_json: Json = False,
) -> None:
    """Show the contract in force with a source."""
    with open_workspace(context) as workspace:
        contract = workspace.contracts.of(source)
        facts = {"source": source, "contract": None} if contract is None else _facts(contract)
        if as_json:
            return print_json(facts)
        if contract is None:
            typer.echo(f"No contract is signed with {source}.")
        for label, value in facts.items() if contract is not None else ():
            typer.echo(f"{label:12} {value}")
    return None


def _facts(contract: "Contract") -> dict[str, object]:
    return {
        "source": contract.source,
        "name": contract.name,
        "version": contract.version,
        "sha256": contract.digest.hex,
        "contact": contract.contact,
        "reviewers": contract.reviewers,
        "probation": contract.probation,
        "advisory": list(contract.advisory),
    }
