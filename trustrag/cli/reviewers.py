"""Verbs for the people who review: reviewer add, list, remove, require, new."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustrag.cli.common import (
    Json,
    a_name,
    new_passphrase,
    note,
    open_publisher,
    open_workspace,
    print_json,
    say,
)

if TYPE_CHECKING:
    from trustrag.workspace import Reviewer

Name = Annotated[
    str, typer.Argument(metavar="NAME", callback=a_name, help="The person's name, as readers will see it.")
]

reviewers = typer.Typer(
    no_args_is_help=True, help="Who looks at what the screens held, and how many must agree."
)


@reviewers.command("add")
def add(
    context: typer.Context,
    name: Name,
    key: Annotated[
        str | None,
        typer.Option(help="Their public key (64 hex digits), made elsewhere; else one is made here."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Let a person review.

    A key that is made here can be used by whoever runs this machine: let reviewers make their own
    (`trustrag reviewer new NAME --keys keys/`), and give its public half.
    """
    with open_workspace(context) as workspace:
        added = workspace.reviews.add_reviewer(name, public_key=key)
        facts = _facts(added, workspace.reviews.held_reviewers()) | {"policy": workspace.policy.version}
        line = (
            f"Added reviewer {name} (key {added.keys[-1].key.key_id[:16]}); policy version {facts['policy']}."
        )
        say(as_json, facts, line)
        if key is None:
            note(f"the private key of {name} is here: whoever runs this machine can approve in that name")


@reviewers.command("list")
def list_reviewers(context: typer.Context, as_json: Json = False) -> None:
    """List the reviewers, and how many have to agree."""
    with open_workspace(context) as workspace:
        policy, held = workspace.policy, workspace.reviews.held_reviewers()
        people = [_facts(person, held) for person in policy.review.people]
        needed = {source.name: source.reviews for source in policy.sources if source.reviews}
        if as_json:
            return print_json({"people": people, "every": policy.review.threshold, "held": needed})
        for facts in people:
            mark = "held here" if facts["here"] else "elsewhere" if facts["active"] else "left"
            keys = " ".join(str(key)[:16] for key in facts["keys"])  # type: ignore[attr-defined]
            typer.echo(f"{facts['name']:24} {mark:10} {keys}")
        every = policy.review.threshold
        typer.echo(
            f"Every document needs {every} of them."
            if every
            else "What the screens hold needs one of them, or the operator; other documents need nobody."
        )
        for source, count in needed.items():
            typer.echo(f"What is held of source {source} needs {count}.")
    return None


@reviewers.command("remove")
def remove(context: typer.Context, name: Name, as_json: Json = False) -> None:
    """Let a person approve nothing more; the past stands."""
    with open_workspace(context) as workspace:
        workspace.reviews.remove_reviewer(name)
        version = workspace.policy.version
        say(
            as_json,
            {"name": name, "policy": version},
            f"{name} reviews no longer; what they approved stands; policy version {version}.",
        )


@reviewers.command("require")
def require(
    context: typer.Context,
    count: Annotated[int, typer.Argument(min=0, help="How many people have to approve.")],
    source: Annotated[
        str | None, typer.Option(help="Only what the screens held of this source (default: every document).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say how many people have to approve.

    Every document; or, with --source, what is held of that source.
    """
    with open_workspace(context) as workspace:
        workspace.reviews.require(count, source)
        version = workspace.policy.version
        what = "Every document" if source is None else f"What is held of source {source}"
        facts = {"reviews": count, "source": source, "policy": version}
        say(as_json, facts, f"{what} needs {count} reviewers; policy version {version}.")


@reviewers.command("new")
def new(
    name: Name,
    keys_folder: Annotated[Path, typer.Option("--keys", help="The store's public trust root.")],
    no_passphrase: Annotated[
        bool, typer.Option("--no-passphrase", help="Keep the private key unencrypted.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a reviewer's key, on the reviewer's own machine.

    Its public half is printed. It takes the store's public keys/ folder and nothing else. The operator then says
    `trustrag reviewer add NAME --key PUBLIC`.
    """
    publisher = open_publisher(keys_folder)
    key = publisher.new_reviewer_key(name, lambda: None if no_passphrase else new_passphrase())
    keyring = publisher.authority.keyring
    facts = {
        "name": name,
        "key": key.key_id,
        "public": key.raw.hex(),
        "private_keys": str(keyring.folder),
        "encrypted": keyring.encrypted,
    }
    lines = (
        f"Made a key for reviewer {name}; its private half is in {keyring.folder}.",
        f"  public key  {key.raw.hex()}",
        f"The operator runs: trustrag reviewer add {name} --key {key.raw.hex()}",
    )
    say(as_json, facts, "\n".join(lines))


def _facts(person: "Reviewer", held: tuple[str, ...]) -> dict[str, object]:
    return {
        "name": person.name,
        "active": person.active,
        "here": person.name in held,
        "keys": [key.key.key_id for key in person.keys],
    }
