"""Verbs for witnesses: being one (init ... serve), and naming them in the policy (add, remove, quorum, list)."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustrag.cli.common import (
    EXIT_REFUSED,
    Json,
    ask_passphrase,
    complain,
    new_passphrase,
    open_workspace,
    print_json,
    say,
)
from trustrag.errors import ConfigError, TrustragError

if TYPE_CHECKING:
    from trustrag.witness import Cosigned, Witness

witness = typer.Typer(
    no_args_is_help=True,
    help="Be a witness of somebody's log, or name witnesses of yours.",
)

Name = Annotated[str | None, typer.Option("--name", help="Which witness (default: the only one kept here).")]
State = Annotated[
    Path | None,
    typer.Option("--state", metavar="DIR", help="Its state folder (default: under TRUSTRAG_HOME)."),
]


def register(app: typer.Typer) -> None:
    """Add these verbs to the application."""
    app.add_typer(witness, name="witness")


# ---- being one


@witness.command("init")
def init(
    name: Annotated[
        str, typer.Argument(help="The witness's name: best an address without scheme, as w.example/1.")
    ],
    state: State = None,
    no_passphrase: Annotated[
        bool,
        typer.Option(
            "--no-passphrase", help="Keep the key unencrypted: whoever reads your files can sign as you."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Make a witness: its key, and a folder for what it sees."""
    from trustrag.witness import Witness

    passphrase = None if no_passphrase else new_passphrase()
    made = Witness.init(name, state=state, passphrase=passphrase, clock=_now)
    say(
        as_json,
        {"name": name, "key": made.key.encode(), "state": str(made.state)},
        f"Made witness {name}; what it has seen is kept in {made.state}\n  its key  {made.key.encode()}\n"
        "Next: trustrag witness follow PLACE --log VKEY",
    )


@witness.command("key")
def key(name: Name = None, state: State = None, as_json: Json = False) -> None:
    """Print the witness's key, as an operator takes it (a vkey)."""
    made = _open(name, state)
    say(as_json, {"name": made.name, "key": made.key.encode(), "state": str(made.state)}, made.key.encode())


@witness.command("follow")
def follow(
    log: Annotated[
        str, typer.Option("--log", metavar="VKEY", help="The log's key: `trustrag log key` prints it.")
    ],
    place: Annotated[
        str | None,
        typer.Argument(
            help="Where it publishes: a folder, or the address of one (none: it comes to `serve`)."
        ),
    ] = None,
    name: Name = None,
    state: State = None,
    as_json: Json = False,
) -> None:
    """Follow a log, by the key that its operator told you."""
    there = place if place is None or "://" in place else str(Path(place).resolve())
    made = _open(name, state).follow(there, log)
    facts = {"origin": made.origin, "place": made.place, "keys": [one.encode() for one in made.keys]}
    say(as_json, facts, f"Following {made.origin} at {made.place or 'whatever address it comes from'}.")


@witness.command("once")
def once(name: Name = None, state: State = None, as_json: Json = False) -> None:
    """Look at every log that is followed, and cosign.

    Only what extends all that was seen is signed.
    Exit status 1 where a log was refused: cut back (ROLLBACK), another history (FORK), or not signed.
    """
    seen, refused = _look(_open(name, state), quiet=as_json)
    if as_json:
        print_json({"cosigned": [_facts(one) for one in seen], "refused": refused})
    if refused or not seen:
        raise typer.Exit(EXIT_REFUSED)


@witness.command("run")
def run(
    every: Annotated[
        int, typer.Option(min=1, metavar="SECONDS", help="How long to wait between looks.")
    ] = 60,
    name: Name = None,
    state: State = None,
) -> None:
    """Look at every log again and again, until you stop it."""
    made = _open(name, state)
    while True:
        _look(made)
        time.sleep(every)


@witness.command("serve")
def serve(
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port; 0 takes one that is free.")] = 8090,
    name: Name = None,
    state: State = None,
) -> None:
    """Answer logs that come by themselves, over HTTP.

    The protocol is c2sp.org/tlog-witness, without TLS: put a server that speaks it in front.
    """
    from trustrag.witness.server import make_server

    try:
        server = make_server(_open(name, state), host, port)
    except OSError as error:
        raise ConfigError(f"{host}:{port} cannot be listened at: {error.strerror}") from error
    typer.echo(f"http://{host}:{server.server_address[1]}/")
    with server:
        server.serve_forever()


def _look(made: "Witness", *, quiet: bool = False) -> "tuple[list[Cosigned], list[dict[str, str]]]":
    """One look at each log; what was refused is told in one line each, and costs no other log its signature."""
    seen, refused = [], []
    followed = [log for log in made.logs() if log.place is not None]
    if not followed:
        raise ConfigError("no log is followed: trustrag witness follow PLACE --log VKEY")
    for log in followed:
        try:
            found = made.look(log)
        except TrustragError as error:
            complain(f"REFUSED {log.origin}: {error}")
            refused.append({"origin": log.origin, "reason": str(error)})
            continue
        seen.append(found)
        if not quiet:
            typer.echo(f"Cosigned {log.origin} at {found.size} entries ({found.before} before).")
    return seen, refused


def _facts(seen: "Cosigned") -> dict[str, object]:
    facts = asdict(seen)
    return facts | {"line": seen.line.encode().rstrip("\n")}


def _open(name: str | None, state: Path | None) -> "Witness":
    from trustrag.witness import Witness

    return Witness.open(name, state=state, ask_passphrase=ask_passphrase, clock=_now)


def _now() -> int:
    return int(time.time())


# ---- naming them


@witness.command("add")
def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The witness's name.")],
    vkey: Annotated[
        str, typer.Option("--key", metavar="VKEY", help="Its key: `trustrag witness key` prints it.")
    ],
    as_json: Json = False,
) -> None:
    """Name a witness in the policy."""
    with open_workspace(context) as workspace:
        policy = workspace.log.add_witness(name, vkey)
    say(
        as_json,
        {"name": name, "policy": policy.version},
        f"Witness {name} is named; policy version {policy.version}.",
    )


@witness.command("remove")
def remove(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The witness's name.")],
    as_json: Json = False,
) -> None:
    """Take a witness out of the policy."""
    with open_workspace(context) as workspace:
        policy = workspace.log.remove_witness(name)
    say(
        as_json,
        {"name": name, "policy": policy.version},
        f"Witness {name} is gone; policy version {policy.version}.",
    )


@witness.command("quorum")
def quorum(
    context: typer.Context,
    count: Annotated[int, typer.Argument(min=0, help="How many witnesses have to cosign; 0 asks for none.")],
    as_json: Json = False,
) -> None:
    """Say how many witnesses must have seen what readers are shown."""
    with open_workspace(context) as workspace:
        policy = workspace.log.set_quorum(count)
    of = f"{policy.quorum} of {len(policy.witnesses)} witnesses"
    say(
        as_json,
        {"quorum": policy.quorum, "policy": policy.version},
        f"Readers ask for {of}; policy version {policy.version}.",
    )


@witness.command("list")
def list_witnesses(context: typer.Context, as_json: Json = False) -> None:
    """Show the witnesses of the policy, and the quorum."""
    with open_workspace(context) as workspace:
        policy = workspace.policy
    named = [
        {"name": one.name, "key": one.verifier.encode(), "revoked": one.key.revoked}
        for one in policy.witnesses
    ]
    if as_json:
        return print_json({"quorum": policy.quorum, "witnesses": named})
    for one in policy.witnesses:
        typer.echo(f"{one.name:32} {one.verifier.encode()}")
    typer.echo(f"Readers ask for {policy.quorum} of {len(named)}.")
    return None
