"""Verbs for the trust root's own keys: who may say what the policy is, and how several sign one change of it."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustrag.cli.common import (
    Json,
    NoPassphrase,
    ask_passphrase,
    new_passphrase,
    note,
    one_line,
    open_workspace,
    print_json,
    say,
)
from trustrag.cli.keys import written
from trustrag.errors import ConfigError

if TYPE_CHECKING:
    from trustrag.signatory import Signing

File = Annotated[Path, typer.Argument(metavar="FILE", help="The ceremony file.")]

root = typer.Typer(no_args_is_help=True, help="The trust root's keys and thresholds, changed by many.")


def register(app: typer.Typer) -> None:
    """Add these verbs to the application."""
    app.add_typer(root, name="root")


@root.command("show")
def root_show(context: typer.Context, as_json: Json = False) -> None:
    """Show the trust root: its roles, keys, thresholds and expiry."""
    with open_workspace(context) as workspace:
        trust = workspace.authority.trust_root()
        facts = {
            "store": trust.policy.context.store,
            "policy": trust.policy.version,
            "roles": [
                {
                    "role": role.role,
                    "version": role.version,
                    "threshold": role.threshold,
                    "keys": [key.key_id for key in role.keys],
                    "expires": written(role.expires),
                }
                for role in trust.roles
            ],
        }
        if as_json:
            return print_json(facts)
        typer.echo(f"store {trust.policy.context.store}, policy version {trust.policy.version}")
        for role in trust.roles:
            typer.echo(
                f"{role.role:10} version {role.version:<4} {role.threshold} of {len(role.keys)} keys  "
                f"until {written(role.expires)}"
            )
            for key in role.keys:
                typer.echo(f"           {key.key_id}")
    return None


@root.command("key")
def root_key(
    store: Annotated[
        str, typer.Argument(help="The store's id, as `trustrag root show` prints it where the store is.")
    ],
    name: Annotated[str, typer.Argument(help="What to call the key here, such as root-alice.")],
    no_passphrase: NoPassphrase = False,
    as_json: Json = False,
) -> None:
    """Make a signer's key here, where nothing of the store is.

    Its public half is printed; whoever keeps the store puts it in a role with `trustrag root propose --add
    ROLE=PUBLIC`.
    """
    from trustrag.signatory import new_key

    key, keyring = new_key(store, name, lambda: None if no_passphrase else new_passphrase())
    facts = {
        "store": store,
        "name": name,
        "key": key.key_id,
        "public": key.hex,
        "private_keys": str(keyring.folder),
        "encrypted": keyring.encrypted,
    }
    sealed = "encrypted" if keyring.encrypted else "NOT encrypted"
    say(
        as_json,
        facts,
        f"Made key {name} for store {store}; its private half is in {keyring.folder} ({sealed}).\n"
        f"  public key  {key.hex}",
    )


@root.command("propose")
def root_propose(
    context: typer.Context,
    out: Annotated[Path, typer.Option("--out", help="Where the ceremony file goes.")],
    add: Annotated[
        list[str] | None,
        typer.Option("--add", metavar="ROLE=PUBLIC", help="Give a role this key too (repeatable)."),
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="KEY", help="Take this key away (repeatable).")
    ] = None,
    threshold: Annotated[
        list[str] | None,
        typer.Option("--threshold", metavar="ROLE=N", help="How many of a role's keys have to sign."),
    ] = None,
    rotate: Annotated[
        list[str] | None,
        typer.Option(
            "--rotate", metavar="ROLE", help="Replace the only key of this role by a new one made here."
        ),
    ] = None,
    renew: Annotated[
        bool,
        typer.Option("--renew", help="Have the root and the policy in force signed anew, to expire later."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write the next root to a file, for others to sign.

    Nothing is signed or changed yet. The roles are root, targets (signs the policy), snapshot and timestamp (sign
    with every change, so their keys lie where the store is).
    """
    from trustrag.signatory import described, read_proposal

    if not (add or remove or threshold or rotate or renew):
        raise typer.BadParameter(
            "say what changes: --add, --remove, --threshold, --rotate or --renew", ctx=context
        )
    with open_workspace(context) as workspace:
        workspace.keys.propose(
            out,
            add=_pairs(add, "--add ROLE=PUBLIC"),
            remove=remove or (),
            thresholds=_pairs(threshold, "--threshold ROLE=N"),
            rotate=rotate or (),
            renew=renew,
        )
    lines = described(read_proposal([out]))
    say(
        as_json,
        {"file": str(out), "proposes": lines},
        "\n".join(
            [
                *map(one_line_indented, lines),
                f"Written to {out}: each signer runs `trustrag root sign` on it.",
            ]
        ),
    )


@root.command("read")
def root_read(file: File, as_json: Json = False) -> None:
    """Show what a ceremony file proposes, and who signed it."""
    from trustrag.signatory import Signing

    signing = Signing.open(file)
    _warn_first(signing)
    say(
        as_json,
        {"file": str(file), "first_use": signing.first_use, "proposes": signing.lines},
        "\n".join(map(one_line_indented, signing.lines)),
    )


@root.command("sign")
def root_sign(
    context: typer.Context,
    file: File,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write the signed copy here (default: into the file).")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before signing.")] = False,
    as_json: Json = False,
) -> None:
    """Show what a ceremony file proposes, ask, and sign it.

    With the keys that are held here. Needs the file and your own key, and nothing else of the store. A file that does
    not go on from the root that was pinned here is refused.
    """
    from trustrag.signatory import Signing

    signing = Signing.open(file)
    signing.require_say()
    if not yes and not sys.stdin.isatty():
        raise ConfigError(
            "nobody is here to ask whether to sign this: see `trustrag root read`, and say --yes"
        )
    _warn_first(signing)
    if not as_json:
        typer.echo("\n".join(map(one_line_indented, signing.lines)))
    if not yes:
        typer.confirm("Sign this?", abort=True, err=True)
    missing = signing.sign(ask_passphrase, out)
    place = out or file
    then = f"still missing: {'; '.join(missing)}" if missing else "that is enough: trustrag root publish"
    say(as_json, {"file": str(place), "missing": missing}, f"Signed into {place}; {then}.")


@root.command("publish")
def root_publish(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="The ceremony file, or several signed copies of it."),
    ],
    as_json: Json = False,
) -> None:
    """Put what enough people signed in force.

    Takes the signed copies of one ceremony file together. Interrupted, the same command goes on where this one
    stopped.
    """
    from trustrag.signatory import described, read_proposal

    proposal = read_proposal(files)
    with open_workspace(context, notices=False) as workspace:
        versions = workspace.keys.publish(proposal)
    lines = described(proposal)
    say(
        as_json,
        {"versions": versions, "published": lines},
        "\n".join(
            [
                *map(one_line_indented, lines),
                f"In force: root version {versions['root']}, policy version {versions['policy']}.",
            ]
        ),
    )


def one_line_indented(line: str) -> str:
    """A line of a ceremony for a terminal: nothing in it is obeyed, and what belongs together stays so."""
    return ("  " if line.startswith("  ") else "") + one_line(line)


def _warn_first(signing: "Signing") -> None:
    if signing.first_use:
        note(
            "this store is seen here for the first time: the roots in this file are believed as they are; compare the "
            f"key ids of its first root with the publisher's: {', '.join(signing.first_keys)}"
        )


def _pairs(given: list[str] | None, how: str) -> list[tuple[str, str]]:
    found = []
    for pair in given or ():
        role, separator, value = pair.partition("=")
        if not separator or not value:
            raise typer.BadParameter(f"{pair!r} is not {how}")
        found.append((role, value))
    return found
