"""The entry point: one application, and the border where every error becomes one line."""

import errno
import logging
import os
import sys
import warnings
from collections.abc import Sequence
from typing import Annotated, NoReturn, Protocol, runtime_checkable

import typer

from trustrag import __version__
from trustrag.cli import (
    answers,
    contracts,
    custody,
    documents,
    history,
    keys,
    log,
    moving,
    publication,
    receipts,
    redteam,
    review,
    reviewers,
    root,
    stores,
    witness,
)
from trustrag.cli.common import EXIT_INTERRUPTED, EXIT_MISUSE, EXIT_REFUSED, Options, complain, write_anywhere
from trustrag.errors import ConfigError, NotFoundError, TrustragError, UnsignedDocumentError

_NOT_THERE = (FileNotFoundError, FileExistsError, PermissionError, NotADirectoryError, IsADirectoryError)

app = typer.Typer(
    name="trustrag",
    help="Retrieval that proves every passage: sign documents, take them in, get back only what is proved.",
    epilog="Exit status: 0 done; 1 something was refused or is wrong, and is named; "
    "2 used wrongly: it could not be tried with these arguments, or what they name is not there.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
stores.register(app)
keys.register(app)
root.register(app)
documents.register(app)
moving.register(app)
answers.register(app)
publication.register(app)
log.register(app)
witness.register(app)
receipts.register(app)
history.register(app)
custody.register(app)
redteam.register(app)
app.add_typer(contracts.contracts, name="contract")
app.add_typer(reviewers.reviewers, name="reviewer")
app.add_typer(review.reviews, name="review")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"trustrag {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    workspace: Annotated[
        str | None,
        typer.Option(
            "-w",
            "--workspace",
            metavar="DIR",
            envvar="TRUSTRAG_WORKSPACE",
            help="The workspace folder (default: the nearest one upward from here).",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    context.obj = Options(workspace)
    if os.environ.get("NO_COLOR"):
        context.color = False


@runtime_checkable
class _Misuse(Protocol):
    """What the command line parser raises for arguments that it can't take."""

    exit_code: int

    def format_message(self) -> str: ...


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command and leave with its exit status. No traceback reaches its user, unless `TRUSTRAG_DEBUG` is set."""
    write_anywhere()
    if not os.environ.get("TRUSTRAG_DEBUG"):
        # What libraries below us say of themselves is not for the user of this command; errors are told below.
        logging.getLogger().addHandler(logging.NullHandler())
        warnings.simplefilter("ignore")
    try:
        status = _run(arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of our output left (`trustrag search ... | head`). Nothing is wrong, and nobody is there to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = EXIT_REFUSED
    sys.exit(status)


def _run(arguments: Sequence[str] | None) -> int:
    """The exit status of the command; whatever stopped it was told in one line."""
    try:
        # The verbs return nothing: a number is the status that one of them left with.
        status = app(arguments, prog_name="trustrag", standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        status = EXIT_INTERRUPTED
    except (ConfigError, NotFoundError, UnsignedDocumentError) as error:
        status = complain(str(error), EXIT_MISUSE)
    except TrustragError as error:
        status = complain(str(error))
    except BrokenPipeError:
        raise
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        misused = isinstance(error, _NOT_THERE) or error.errno == errno.EROFS
        status = complain(f"{where}{error.strerror or error}", EXIT_MISUSE if misused else EXIT_REFUSED)
    except Exception as error:
        if isinstance(error, _Misuse):
            return _misused(error)
        if os.environ.get("TRUSTRAG_DEBUG"):
            raise
        status = complain(
            f"internal error: {type(error).__name__}: {error} (set TRUSTRAG_DEBUG=1 to see where, and please report it)"
        )
    if status == EXIT_INTERRUPTED:
        complain("interrupted: what was committed stays, and the same command goes on where this one stopped")
    return int(status)


def _misused(error: _Misuse) -> int:
    """Arguments that cannot be taken: one line; the whole help where there were none at all."""
    message = error.format_message()
    if "\n" in message:
        typer.echo(message, err=True)
        return EXIT_MISUSE
    path = getattr(getattr(error, "ctx", None), "command_path", "trustrag")
    return complain(f"{message[:1].lower()}{message[1:].rstrip('.')}; see {path} --help", error.exit_code)
