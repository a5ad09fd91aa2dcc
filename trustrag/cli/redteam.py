"""The verb redteam: attack a copy of one's own workspace, and be a gate for continuous integration."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustrag.cli.common import EXIT_REFUSED, Json, ask_passphrase, find_workspace, print_json
from trustrag.cli.progress import stages
from trustrag.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

    from trustrag.redteam.campaign import Attack
    from trustrag.redteam.report import RedTeamReport


FEW = 20
"""Below so many questions a share is told with a warning."""


def register(app: typer.Typer) -> None:
    """Add this verb to the application."""
    app.command()(redteam)


def redteam(
    context: typer.Context,
    attack: Annotated[
        list[str] | None, typer.Option("--attack", help="Only this attack of the catalogue (repeatable).")
    ] = None,
    catalogue: Annotated[bool, typer.Option("--list", help="List the attacks and leave.")] = False,
    questions: Annotated[
        Path | None,
        typer.Option(help="Questions in PoisonedRAG's format; without it some are made from the workspace."),
    ] = None,
    per_tier: Annotated[int, typer.Option(min=1, max=10_000, help="Questions asked under each attack.")] = 40,
    seed: Annotated[int, typer.Option(help="The same seed gives the same run.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Write the report with its plots to this page.")] = None,
    out: Annotated[Path | None, typer.Option(help="Write the whole report as JSON to this file.")] = None,
    fail_above: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="Exit with 1 if the worst attack succeeds on more than this share."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Attack a copy of the workspace; say how far attacks come.

    With real keys, as an insider could: undefended, with signatures alone, and against all of it.
    """
    from trustrag.redteam.questions import load_poisonedrag
    from trustrag.redteam.simulator import run

    chosen = _chosen(attack or [])
    if catalogue:
        return _print_catalogue(chosen, as_json)
    if questions is not None and not questions.is_file():
        raise ConfigError(f"{questions} is not a file")
    with stages() as told:
        report = run(
            find_workspace(context),
            attacks=chosen,
            questions=load_poisonedrag(questions) if questions is not None else None,
            per_tier=per_tier,
            seed=seed,
            ask_passphrase=ask_passphrase,
            progress=told,
        )
    _write(html, report.to_html)
    _write(out, report.to_json)
    if as_json:
        print_json(json.loads(report.to_json()))
    else:
        _print_report(report)
    if fail_above is not None and report.exceeds(fail_above):
        raise typer.Exit(EXIT_REFUSED)
    return None


def _chosen(names: list[str]) -> "tuple[Attack, ...]":
    from trustrag.redteam.attacks import select

    try:
        return select(names)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error


def _print_catalogue(attacks: "tuple[Attack, ...]", as_json: bool) -> None:
    if as_json:
        facts = [{"name": a.name, "atlas": list(a.atlas), "description": a.description} for a in attacks]
        return print_json(facts)
    for one in attacks:
        typer.echo(f"{one.name:24} {', '.join(one.atlas):32} {one.description}")
    return None


def _print_report(report: "RedTeamReport") -> None:
    """One line an attack: on which share of the questions the attacker won with no defence, with signatures, with all of it."""
    from trustrag.redteam.results import Defence

    measure, asked = report.success_measure, len(report.questions)
    won = (
        "the reader gave the attacker's answer"
        if report.reader
        else "the attacker's answer outnumbers the true one"
    )
    few = ": few for a percentage, --questions FILE brings more" if asked < FEW else ""
    typer.echo(
        f"{asked} questions{few}. Shares of them on which {won}, and on which an honest passage is found:"
    )
    typer.echo(f"{'':28} {'attacker wins':^35}   {'truth is found':^22}")
    typer.echo(
        f"{'':28} {'undefended':>11} {'signatures':>11} {'full gate':>11}   {'undefended':>11} {'full gate':>10}"
    )
    surpassed = False
    for trial in report.everything():
        by = [trial.measure(measure, one).mean for one in Defence]
        before, after = trial.measure("gold", Defence.NONE), trial.measure("gold", Defence.GATE)
        worse = by[-1] > by[0]
        surpassed |= worse
        typer.echo(
            f"{trial.name:28}{''.join(f'{one:12.2f}' for one in by)}{'*' if worse else ' '}  "
            f"{before.mean:12.2f}{after.mean:11.2f}"
        )
    if surpassed:
        typer.echo(
            "* further than undefended: counted are those of the first five passages that hold the words of an answer, "
            "whatever they are about; in a small store, or with few questions, one passage more or less decides."
        )
    worst = report.worst()
    if worst is not None:
        tied = f" (as far: {', '.join(worst.tied)})" if worst.tied and worst.success.mean else ""
        typer.echo(
            f"worst against the full gate: {worst.attack}, {worst.success.mean:.2f} of {worst.success.n} questions "
            f"(95% interval {worst.success.low:.2f} to {worst.success.high:.2f}){tied}"
        )


def _write(path: Path | None, made: "Callable[[], str]") -> None:
    if path is None:
        return
    try:
        path.write_text(made(), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
