"""Verbs that answer: search, ask, verify, audit, mcp."""

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from trustrag.cli import show
from trustrag.cli.common import EXIT_REFUSED, Json, complain, note, open_workspace, parse_pairs, print_json
from trustrag.cli.progress import progress
from trustrag.cli.publication import open_reader
from trustrag.errors import ConfigError, MalformedError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from trustrag.reader import Reader
    from trustrag.workspace import Workspace


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
JudgedBy = Annotated[
    str | None,
    typer.Option(
        "--judge",
        metavar="MODEL",
        help="An NLI cross-encoder (hub name or folder) says who contradicts whom.",
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
    at: Annotated[
        int | None,
        typer.Option(
            "--at", min=1, metavar="SNAPSHOT", help="What stood in that snapshot, under today's keys."
        ),
    ] = None,
    judge: JudgedBy = None,
    evidence: Annotated[
        Path | None, typer.Option(help="Write all that proves the passages to this file.")
    ] = None,
    published: Published = None,
    keys: Keys = None,
    receipt: Annotated[
        Path | None,
        typer.Option(help="Write a signed receipt of this search to this file, for `trustrag replay`."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Find passages that are proved, and why others are not.

    Exit status 1 where a passage was found and refused, or no document has a field of the filter.
    """
    from trustrag.reader import Reader

    _require_words(question)
    if at is not None and evidence is not None:
        raise ConfigError("--evidence proves what stands, and --at asks for what stood: one of them")
    if published is not None:
        _refuse_beside_published({"--at": at, "--receipt": receipt, "--judge": judge})
    with _asked(context, published, keys, judge) as store:
        report = store.search(
            question, k=k, sources=source, where=parse_pairs(where or []) or None, mode=mode, at=at
        )
        if evidence is not None:
            _write(evidence, report.evidence().encode())
        if receipt is not None and not isinstance(store, Reader):
            _write(receipt, store.receipts.of(report))
        if as_json:
            print_json(show.report_facts(report))
        else:
            show.print_report(report)
            if evidence is not None:
                typer.echo(
                    f"Evidence written: trustrag verify {evidence} --keys {store.authority.keys_folder}"
                )
        if report.refused or report.unknown_fields:
            raise typer.Exit(EXIT_REFUSED)


def ask(
    context: typer.Context,
    question: Annotated[str, typer.Argument(help="A question.")],
    k: Annotated[int, typer.Option("-k", min=1, max=100, help="How many passages to answer from.")] = 5,
    source: FromSource = None,
    mode: Ranking = "weighted",
    judge: JudgedBy = None,
    published: Published = None,
    keys: Keys = None,
    as_json: Json = False,
) -> None:
    """Answer in cited sentences, or say why there is no answer.

    Each sentence is quoted from a passage that was proved. Exit status 1 where there is no answer.
    """
    from trustrag.reader import Abstained

    _require_words(question)
    if published is not None:
        _refuse_beside_published({"--judge": judge})
    with _asked(context, published, keys, judge) as store:
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
    context: typer.Context,
    published: Published = None,
    keys: Keys = None,
    incremental: Annotated[
        bool,
        typer.Option(
            "--incremental",
            help="Take over the signatures that the last audit proved; all hashes are computed.",
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Verify everything again, and name each thing that is wrong.

    Log entries, signatures, hash trees, texts, vectors, index rows: the last is how an omission is found. What was proved
    is remembered under TRUSTRAG_HOME, also when this is interrupted: --incremental goes on from there. Of a publication,
    every passage that stands.
    """
    if published is not None:
        _refuse_beside_published({"--incremental": incremental or None})
        _audit_publication(published, keys, as_json)
        return
    with open_workspace(context) as workspace, progress("auditing") as advance:
        report = workspace.audit(progress=advance, incremental=incremental)
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
    """Serve search, fetch and ask to an assistant (MCP, stdio)."""
    from trustrag.service.mcp import serve

    with open_workspace(context) as workspace:
        note("serving on stdin and stdout, until stdin is closed")
        serve(workspace)


@contextmanager
def _asked(
    context: typer.Context, published: Path | None, keys: Path | None, judge: str | None
) -> "Iterator[Workspace | Reader]":
    """Who answers: the workspace, or the publication that was named."""
    if published is not None:
        yield open_reader(published, keys)
        return
    if keys is not None:
        raise ConfigError("--keys is for a publication: name one with --published DIR")
    with open_workspace(context, judge=judge) as workspace:
        yield workspace


def _refuse_beside_published(options: "Mapping[str, object]") -> None:
    """Raises ConfigError for the first of these that was given: what only the workspace has, no publication answers."""
    for name, value in options.items():
        if value is not None:
            raise ConfigError(f"{name} needs the workspace, and --published asks a publication: one of them")


def _require_words(question: str) -> None:
    if not question.strip():
        raise ConfigError("the question is empty")


def _write(path: Path, data: bytes) -> None:
    try:
        path.write_bytes(data)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
