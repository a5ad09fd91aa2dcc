"""Verbs for the standing of sources: what their record makes of the trust that they were given."""

from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from trustrag.cli.common import Json, one_line, open_workspace, print_json, say
from trustrag.errors import ConfigError, MalformedError

if TYPE_CHECKING:
    from trustrag.workspace import Assessment, Bounds


def register(sources: typer.Typer) -> None:
    """Add these verbs to those of `source`."""
    sources.command("set")(set_standing)
    sources.command("assess")(assess)
    sources.command("bounds")(bounds)


def set_standing(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The source's name.")],
    trust: Annotated[
        float | None, typer.Option(min=0, max=1, help="Weight in ranking, 0 to 1: a prior, not a proof.")
    ] = None,
    probation: Annotated[
        bool | None, typer.Option("--probation/--no-probation", help="Put it on probation, or end that.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Say anew how far a source is trusted, or end its probation."""
    if trust is None and probation is None:
        raise ConfigError("say what to set: --trust, --probation or --no-probation")
    with open_workspace(context) as workspace:
        source = workspace.authority.set_standing(name, trust=trust, probation=probation)
        version = workspace.policy.version
        facts = {
            "name": name,
            "trust": source.trust / 1000,
            "prior": source.prior / 1000,
            "probation": source.probation,
            "policy": version,
        }
        mark = ", on probation" if source.probation else ""
        say(
            as_json,
            facts,
            f"Source {name} has trust {source.trust / 1000:.2f} (given {source.prior / 1000:.2f}){mark}; "
            f"policy version {version}.",
        )


def assess(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(help="The source's name (default: all that are active).")
    ] = None,
    apply: Annotated[
        bool, typer.Option("--apply", help="Sign what is proposed into a new version of the policy.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show what a source's record makes of its trust, and why.

    Trust in the policy is where a source begins. What it did since moves it, within the policy's bounds: documents that
    were approved and stand, rulings against it, and what independent sources said before it and say of the same things.
    Without --apply nothing changes.
    """
    with open_workspace(context) as workspace:
        found = workspace.assess([name] if name is not None else [], apply=apply)
        version = workspace.policy.version
        if as_json:
            return print_json(
                {"policy": version, "applied": apply, "sources": [_facts(one) for one in found]}
            )
        for one in found:
            _show(one)
        changes = sum(one.changes for one in found)
        if not changes:
            typer.echo(f"Nothing to change; policy version {version}.")
        elif apply:
            typer.echo(f"Changed {changes}; policy version {version}.")
        else:
            typer.echo(f"{changes} to change: run again with --apply to sign it into a new policy.")
    return None


def _show(found: "Assessment") -> None:
    record = found.record
    arrow = f" -> {found.trust / 1000:.2f}" if found.trust != found.trust_now else ""
    marks = {
        (True, False): "  leaves probation",
        (False, True): "  to probation",
        (True, True): "  on probation",
    }
    mark = marks.get((found.probation_now, found.probation), "")
    typer.echo(
        f"{record.source:24} trust {found.trust_now / 1000:.2f}{arrow} (given {found.prior / 1000:.2f}){mark}"
    )
    tally = record.earlier + record.recent
    typer.echo(
        f"  {record.documents} documents stand, {record.superseded} versions superseded, {record.withdrawn} withdrawn, "
        f"{len(record.held)} held, {len(record.ruled)} ruled against; {record.age} log entries since the first"
    )
    typer.echo(
        f"  of {tally.looked} documents looked at: {tally.corroborated} corroborated, {tally.contradicted} contradicted"
    )
    for reason in found.reasons:
        typer.echo(f"  {one_line(reason)}")


def _facts(found: "Assessment") -> dict[str, object]:
    return {
        "name": found.record.source,
        "prior": found.prior / 1000,
        "trust": found.trust_now / 1000,
        "probation": found.probation_now,
        "proposed": {"trust": found.trust / 1000, "probation": found.probation},
        "changes": found.changes,
        "reasons": list(found.reasons),
        "record": asdict(found.record),
    }


def bounds(
    context: typer.Context,
    approvals: Annotated[
        int | None, typer.Option(min=1, help="Approved documents that end a probation.")
    ] = None,
    age: Annotated[
        int | None, typer.Option(min=0, help="Log entries since its first document that end a probation.")
    ] = None,
    step: Annotated[
        float | None, typer.Option(min=0, max=1, help="Trust that one ruling against a source costs.")
    ] = None,
    floor: Annotated[
        float | None, typer.Option(min=0, max=1, help="Below this no record moves trust.")
    ] = None,
    ceiling: Annotated[
        float | None, typer.Option(min=0, max=1, help="Above this no record moves trust.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show or change how far a record may move a source's trust.

    With options, the new bounds are signed into a new version of the policy.
    """
    with open_workspace(context) as workspace:
        before = workspace.policy.standing
        after = _changed(
            before,
            probation_approvals=before.probation_approvals if approvals is None else approvals,
            probation_age=before.probation_age if age is None else age,
            trust_step=before.trust_step if step is None else round(step * 1000),
            trust_floor=before.trust_floor if floor is None else round(floor * 1000),
            trust_ceiling=before.trust_ceiling if ceiling is None else round(ceiling * 1000),
        )
        if after != before:
            workspace.authority.set_bounds(after)
        facts = _bounds_facts(after) | {"policy": workspace.policy.version}
        say(as_json, facts, "\n".join(f"{label:10} {value}" for label, value in facts.items()))


def _changed(bounds: "Bounds", **values: int) -> "Bounds":
    try:
        return replace(bounds, **values)
    except MalformedError as error:
        raise ConfigError(str(error)) from error


def _bounds_facts(found: "Bounds") -> dict[str, object]:
    return {
        "approvals": found.probation_approvals,
        "age": found.probation_age,
        "step": found.trust_step / 1000,
        "floor": found.trust_floor / 1000,
        "ceiling": found.trust_ceiling / 1000,
    }
