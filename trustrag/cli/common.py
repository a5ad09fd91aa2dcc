"""What every command shares: finding the workspace, passphrases, and how things are said."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from trustrag.errors import ConfigError
from trustrag.settings import FILE_NAME

if TYPE_CHECKING:
    from trustrag.workspace import Metadata, Workspace

EXIT_REFUSED = 1

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@dataclass(frozen=True, slots=True)
class Options:
    """What stands before the verb."""

    workspace: str | None


def fail(message: str, code: int = EXIT_REFUSED) -> NoReturn:
    """One line to stderr, and out."""
    typer.echo(f"trustrag: {message}", err=True)
    sys.exit(code)


def print_json(value: object) -> None:
    """JSON for programs: readable, UTF-8, keys in the order in which they were given."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def one_line(text: str) -> str:
    """Text of a document as one line for a terminal: no control character of it is obeyed."""
    return "".join(c if c.isprintable() else " " for c in " ".join(text.split()))


def find_workspace(context: typer.Context) -> Path:
    """The folder that was named, or the nearest workspace upward from here."""
    options = context.obj
    if isinstance(options, Options) and options.workspace:
        return Path(options.workspace)
    here = Path.cwd()
    for folder in (here, *here.parents):
        if (folder / FILE_NAME).is_file():
            return folder
    raise ConfigError(
        "no workspace here or above: make one with `trustrag init DIR`, or name one with -w DIR"
    )


def open_workspace(context: typer.Context, *, notices: bool = True) -> "Workspace":
    """Open it; a passphrase is asked for when a private key has to be unlocked, never before.

    `notices` tells what the trust root has to say of itself, which needs one that has not expired.
    """
    from trustrag.workspace import Workspace

    workspace = Workspace.open(find_workspace(context), ask_passphrase=ask_passphrase)
    for notice in workspace.authority.notices() if notices else ():
        typer.echo(f"trustrag: note: {notice}", err=True)
    return workspace


def ask_passphrase() -> bytes:
    """The passphrase from `TRUSTRAG_PASSPHRASE_FILE` or from a prompt. Raises `ConfigError` where neither can be."""
    from trustrag.keyring import passphrase_from_environment

    given = passphrase_from_environment()
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise ConfigError(
            "a private key has to be unlocked and nobody is here to ask: name a file in TRUSTRAG_PASSPHRASE_FILE"
        )
    return str(typer.prompt("Passphrase", hide_input=True, err=True)).encode()


def new_passphrase() -> bytes:
    """A passphrase for new keys: from `TRUSTRAG_PASSPHRASE_FILE`, or asked for twice."""
    from trustrag.keyring import passphrase_from_environment

    given = passphrase_from_environment()
    if given is not None:
        return given
    if not sys.stdin.isatty():
        raise ConfigError(
            "new keys need a passphrase and nobody is here to ask: name a file in TRUSTRAG_PASSPHRASE_FILE, "
            "or say --no-passphrase (the keys are then readable for whoever can read your files)"
        )
    typer.echo("The private keys are encrypted with a passphrase. It cannot be recovered.", err=True)
    return str(typer.prompt("New passphrase", hide_input=True, confirmation_prompt=True, err=True)).encode()


def parse_pairs(pairs: list[str]) -> dict[str, "Metadata"]:
    """`key=value` filters; a value that reads as JSON (12, true, "text") is taken as such."""
    found: dict[str, Metadata] = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key:
            raise typer.BadParameter(f"{pair!r} is not KEY=VALUE")
        try:
            found[key] = json.loads(value)
        except ValueError:
            found[key] = value
    return found


def is_interactive() -> bool:
    """Whether progress may be drawn: a person is watching and has not said otherwise."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and not os.environ.get("CI")
