"""Verbs that answer: search, ask, verify, audit, mcp."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from trustrag.cli import show
from trustrag.cli.common import EXIT_REFUSED, Json, complain, open_workspace, parse_pairs, print_json
from trustrag.cli.progress import progress
from trustrag.cli.publication import open_reader
from trustrag.errors import ConfigError, MalformedError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trustrag.reader import Reader
    from trustrag.workspace import SearchReport, Workspace


FromSource = Annotated[
    list[str] | None, typer.Option("--source", metavar="NAME", help="Only from this source (repeatable).")
]
Where = Annotated[
    list[str] | None,
    typer.Option("--where", metavar="KEY=VALUE", help="Only where the metadata say so (repeatable)."),
]
Ranking = Annotated[
    Literal["weighted", "strict", "report"],
    typer.Option(
        "--mode", help="strict: only what nobody contests; report: rank as if undefended, mark all."
    ),
]


Published = Annotated[
    Path | None,
    typer.Option(
        "--published", metavar="DIR", help="Ask a publication (`trustrag publish`) instead of a workspace."
    ),
]
Keys = Annotated[
    Path | None,
    typer.Option("--keys", help="The trust root to read a publication by (default: the one in it)."),
]


def register(app: typer.Typer) -> None:
    """Add these verbs to the application."""
    for command in (search, ask, verify, audit, mcp):
        app.command()(command)


def search(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="What to look for, in your own words.")],
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many passages.")] = 5,
    source: FromSource = None,
    where: Where = None,
    mode: Ranking = "weighted",
    evidence: Annotated[
        Path | None, typer.Option(help="Write all that proves the passages to this file.")
    ] = None,
    published: Published = None,
    keys: Keys = None,
    as_json: Json = False,
) -> None:
    """Find passages: those that are proved, and why others are not."""
    _require_words(question)
    with _asked(context, published, keys) as store:
        report = store.search(
            question, k=k, sources=source, where=parse_pairs(where or []) or None, mode=mode
        )
        if evidence is not None:
            _write_evidence(report, evidence)
        if as_json:
            print_json(show.report_facts(report))
        else:
            show.print_report(report)
            if evidence is not None:
                typer.echo(
                    f"Evidence written: trustrag verify {evidence} --keys {store.authority.keys_folder}"
                )


def ask(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="A question.")],
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many passages to answer from.")] = 5,
    source: FromSource = None,
    mode: Ranking = "weighted",
    published: Published = None,
    keys: Keys = None,
    as_json: Json = False,
) -> None:
    """Answer in cited sentences, or say why there is no answer.

    Each sentence is quoted from a passage that was proved. Exit status 1 where there is no answer.
    """
    from trustrag.reader import Abstained

    _require_words(question)
    with _asked(context, published, keys) as store:
        answer = store.ask(question, k=k, sources=source, mode=mode)
        if as_json:
            print_json(show.answer_facts(answer))
        else:
            show.print_answer(answer)
        if isinstance(answer, Abstained):
            raise typer.Exit(EXIT_REFUSED)


def verify(
    file: Annotated[Path, typer.Argument(help="An evidence file (from `trustrag search --evidence`).")],
    keys: Annotated[Path, typer.Option("--keys", help="The public trust root (a keys/ folder).")],
    as_json: Json = False,
) -> None:
    """Prove an evidence file from files alone.

    No workspace, no database, no network: the file and the public trust root say it all.
    """
    from trustrag.workspace import RefusedPassage, verify_evidence

    if not file.is_file():
        raise ConfigError(f"{file} is not a file")
    try:
        results = verify_evidence(file.read_bytes(), keys).results
    except (VerificationError, MalformedError) as error:
        raise typer.Exit(complain(f"{file}, under the trust root in {keys}: {error}")) from error
    if as_json:
        print_json([show.outcome_facts(outcome) for outcome in results])
    else:
        for outcome in results:
            show.print_outcome(outcome)
    if not results or any(isinstance(outcome, RefusedPassage) for outcome in results):
        raise typer.Exit(EXIT_REFUSED)


def audit(
    context: typer.Context, published: Published = None, keys: Keys = None, as_json: Json = False
) -> None:
    """Verify everything again, and name each thing that is wrong.

    Log entries, signatures, hash trees, texts, vectors, index rows: the last is how an omission is found. Of a
    publication, every passage that stands.
    """
    if published is not None:
        _audit_publication(published, keys, as_json)
        return
    with open_workspace(context) as workspace, progress("auditing") as advance:
        report = workspace.audit(progress=advance)
    if as_json:
        print_json(show.plain(report))
    else:
        show.print_audit(report)
    if report.problems:
        raise typer.Exit(EXIT_REFUSED)


def _audit_publication(published: Path, keys: Path | None, as_json: bool) -> None:
    with progress("auditing") as advance:
        refused = open_reader(published, keys).audit(advance)
    if as_json:
        print_json({"refused": [show.outcome_facts(one) for one in refused]})
    else:
        show.print_refused(refused)
        typer.echo(f"audited {published}: {len(refused)} passages that stand cannot be proved")
    if refused:
        raise typer.Exit(EXIT_REFUSED)


def mcp(context: typer.Context) -> None:
    """Serve search, fetch and ask to an assistant (MCP over stdio)."""
    from trustrag.service.mcp import serve

    with open_workspace(context) as workspace:
        serve(workspace)


@contextmanager
def _asked(
    context: typer.Context, published: Path | None, keys: Path | None
) -> "Iterator[Workspace | Reader]":
    """Who answers: the workspace, or the publication that was named."""
    if published is not None:
        yield open_reader(published, keys)
        return
    if keys is not None:
        raise ConfigError("--keys is for a publication: name one with --published DIR")
    with open_workspace(context) as workspace:
        yield workspace


def _require_words(question: str) -> None:
    if not question.strip():
        raise ConfigError("the question is empty")


def _write_evidence(report: "SearchReport", path: Path) -> None:
    try:
        path.write_bytes(report.evidence().encode())
    except OSError as error:
        raise ConfigError(f"evidence cannot be written to {path}: {error.strerror}") from error
