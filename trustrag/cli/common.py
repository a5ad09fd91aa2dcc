"""What every command shares: finding the workspace, passphrases, and how things are said."""

import io
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustrag.cli.progress import paused
from trustrag.errors import ConfigError, MalformedError
from trustrag.settings import FILE_NAME

if TYPE_CHECKING:
    from collections.abc import Callable

    from trustrag.publisher import Publisher
    from trustrag.workspace import Metadata, Workspace

EXIT_REFUSED = 1
"""What was asked for was tried, and something was refused or is wrong: damaged, expired, contradicted, not allowed."""

EXIT_MISUSE = 2
"""It could not be tried: the arguments are wrong, or what they name (a workspace, file, source, document, key) is not
there or cannot be read or written."""

EXIT_INTERRUPTED = 130

NoPassphrase = Annotated[
    bool,
    typer.Option(
        "--no-passphrase", help="Keep private keys unencrypted: whoever reads your files can sign as you."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]


@dataclass(frozen=True, slots=True)
class Options:
    """What stands before the verb."""

    workspace: str | None


def write_anywhere() -> None:
    """Let no character of a document stop the output: what a terminal cannot show is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def a_name(value: str | None) -> str | None:
    """An option or argument that becomes a name in a policy. Raises `BadParameter`."""
    from trustrag.workspace import check_segment

    return _checked(value, lambda text: check_segment(text, "it"))


def a_reason(value: str | None) -> str | None:
    """A reason as statements take it: one line, of at most so many bytes. Raises `BadParameter`."""
    from trustrag.workspace import MAX_REASON_BYTES, check_text

    return _checked(value, lambda text: check_text(text, "it", MAX_REASON_BYTES))


def _checked(value: str | None, check: "Callable[[str], None]") -> str | None:
    try:
        if value is not None:
            check(value)
    except MalformedError as error:
        raise typer.BadParameter(str(error)) from error
    return value


REASON = typer.Option("--reason", callback=a_reason, help="Why; it is signed and stays in the log.")
Reason = Annotated[str, REASON]


def complain(message: str, status: int = EXIT_REFUSED) -> int:
    """One line to stderr; returns the exit status."""
    typer.echo(f"trustrag: {one_line(message)}", err=True)
    return status


def note(message: str) -> None:
    """Something that is worth knowing and stops nothing, to stderr."""
    typer.echo(f"trustrag: note: {one_line(message)}", err=True)


def print_json(value: object) -> None:
    """JSON for programs: readable, keys in the order in which they were given, plain ASCII where nothing else fits."""
    narrow = "utf" not in (getattr(sys.stdout, "encoding", None) or "utf-8").lower()
    typer.echo(json.dumps(value, indent=2, ensure_ascii=narrow, default=str))


def say(as_json: bool, facts: object, line: str) -> None:
    """What was done: as JSON for a program, else as a line."""
    if as_json:
        print_json(facts)
    else:
        typer.echo(line)


def in_words(value: object) -> str:
    """A fact as a person reads it."""
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    return " ".join(map(str, value)) if isinstance(value, list) else one_line(str(value))


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


def open_workspace(context: typer.Context, *, notices: bool = True, judge: str | None = None) -> "Workspace":
    """Open it; a passphrase is asked for when a private key has to be unlocked, never before.

    `judge` names an NLI model for ranking. `notices` tells what the trust root has to say of itself, which needs
    one that has not expired.
    """
    from trustrag.workspace import Workspace

    workspace = Workspace.open(find_workspace(context), judge=judge, ask_passphrase=ask_passphrase)
    for notice in workspace.authority.notices() if notices else ():
        note(notice)
    return workspace


def open_publisher(keys: Path) -> "Publisher":
    """A source that has the public trust root and nothing else of the store; passphrases as for `open_workspace`."""
    from trustrag.publisher import Publisher

    publisher = Publisher.open(keys, ask_passphrase=ask_passphrase)
    for notice in publisher.authority.notices():
        note(notice)
    return publisher


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
    with paused():
        return str(typer.prompt("Passphrase", hide_input=True, err=True)).encode()


def new_passphrase(*, environment: bool = True) -> bytes:
    """A passphrase for new keys: from `TRUSTRAG_PASSPHRASE_FILE`, unless that holds the old one, or asked for twice."""
    from trustrag.keyring import passphrase_from_environment

    given = passphrase_from_environment() if environment else None
    if given == b"":
        raise ConfigError("the file that TRUSTRAG_PASSPHRASE_FILE names is empty: no passphrase at all")
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
