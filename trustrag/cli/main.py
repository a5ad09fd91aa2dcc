"""The entry point: one application, and the border where every error becomes one line."""

import os
import sys
from typing import Annotated

import typer

from trustrag import __version__
from trustrag.cli import answers, documents, stores
from trustrag.cli.common import EXIT_REFUSED, Options, fail
from trustrag.errors import TrustragError

app = typer.Typer(
    name="trustrag",
    help="Retrieval that proves every passage: sign documents, take them in, get back only what is proved.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
stores.register(app)
documents.register(app)
answers.register(app)


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
            envvar="TRUSTRAG_WORKSPACE",
            help="The workspace folder (default: the nearest one upward from here).",
        ),
    ] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and leave.")
    ] = False,
) -> None:
    context.obj = Options(workspace)


def main() -> None:
    """Run the command. No traceback reaches its user, unless `TRUSTRAG_DEBUG` is set."""
    try:
        app()
    except TrustragError as error:
        fail(str(error))
    except KeyboardInterrupt:
        fail(
            "interrupted: what was reported as done is done; the same command goes on where this one stopped",
            130,
        )
    except BrokenPipeError:
        # The reader of our output left (`trustrag search ... | head`). Nothing is wrong, and nobody is there to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(EXIT_REFUSED)
    except Exception as error:
        if os.environ.get("TRUSTRAG_DEBUG"):
            raise
        fail(
            f"internal error: {type(error).__name__}: {error} (set TRUSTRAG_DEBUG=1 to see where, and please report it)"
        )
