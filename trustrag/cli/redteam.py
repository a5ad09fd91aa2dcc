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
    """What is counted, one line an attack, and the attack that came furthest against all of it."""
    asked, few = len(report.questions), ""
    if asked < FEW:
        few = ": few for a percentage, --questions FILE brings more"
    won = (
        "the reader gives the attacker's answer"
        if report.reader
        else "the attacker's answer outnumbers the true one"
    )
    typer.echo(f"{asked} questions{few}.")
    typer.echo(f"Shares on which {won}, and on which an honest passage with the answer is found:")
    _print_table(report)
    worst = report.worst()
    if worst is not None:
        tied = f" (as far: {', '.join(worst.tied)})" if worst.tied and worst.success.mean else ""
        typer.echo(
            f"worst against the full gate: {worst.attack}, {worst.success.mean:.2f} of {worst.success.n} questions "
            f"(95% interval {worst.success.low:.2f} to {worst.success.high:.2f}){tied}"
        )


def _print_table(report: "RedTeamReport") -> None:
    from trustrag.redteam.results import Defence

    typer.echo(f"{'':18} {'attacker wins':>32}  {'truth is found':>21}")
    typer.echo(
        f"{'':18} {'undefended':>10} {'signatures':>10} {'full gate':>10}  {'undefended':>10} {'full gate':>10}"
    )
    surpassed = False
    for trial in report.everything():
        wins = [trial.measure(report.success_measure, one).mean for one in Defence]
        found = [trial.measure("gold", one).mean for one in (Defence.NONE, Defence.GATE)]
        mark = "*" if wins[-1] > wins[0] else " "
        surpassed |= mark == "*"
        left, right = ("".join(f"{one:11.2f}" for one in part) for part in (wins, found))
        typer.echo(f"{trial.name:18}{left}{mark}{right}")
    if surpassed:
        typer.echo(
            "* further than undefended: counted are those of the first five passages that hold the words of an answer,\n"
            "  whatever they are about; in a small store, or with few questions, one passage more or less decides."
        )


def _write(path: Path | None, made: "Callable[[], str]") -> None:
    if path is None:
        return
    try:
        path.write_text(made(), encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}") from error
