"""Verbs for keys over time: list, make, renew, rotate, retire, revoke; and for one's own key files."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustrag.cli.common import (
    REASON,
    Json,
    NoPassphrase,
    Reason,
    a_name,
    ask_passphrase,
    find_workspace,
    in_words,
    new_passphrase,
    open_publisher,
    open_workspace,
    print_json,
    say,
)
from trustrag.errors import ConfigError, NotFoundError
from trustrag.settings import Settings

if TYPE_CHECKING:
    from trustrag.keyring import Keyring
    from trustrag.workspace import KeyChange, KeyFact

KeyId = Annotated[str, typer.Argument(metavar="KEY", help="A key id, or the first digits of one.")]
Store = Annotated[
    str | None, typer.Option("--store", help="The store's id, where there is no workspace here.")
]
PassphraseFile = Annotated[
    Path | None, typer.Option("--passphrase-file", help="Read that passphrase from this file.")
]

keys = typer.Typer(no_args_is_help=True, help="Keys over time, and the private keys held here.")


def register(app: typer.Typer) -> None:
    """Add these verbs to the application."""
    app.add_typer(keys, name="keys")


@keys.command("new")
def keys_new(
    context: typer.Context,
    source: Annotated[
        str, typer.Argument(metavar="NAME", callback=a_name, help="The source that will sign with it.")
    ],
    keys_folder: Annotated[
        Path | None,
        typer.Option("--keys", help="The store's public trust root (default: that of the workspace)."),
    ] = None,
    no_passphrase: NoPassphrase = False,
    as_json: Json = False,
) -> None:
    """Make a source's key and print its public half.

    For a source on its own machine, which needs the store's public keys/ folder and nothing else. The private half
    stays under TRUSTRAG_HOME; the operator lets the source publish with `trustrag source add NAME --key PUBLIC`.
    """
    if keys_folder is None:
        workspace = find_workspace(context)
        keys_folder = Settings.read(workspace).keys_folder(workspace)
    publisher = open_publisher(keys_folder)
    key = publisher.new_key(source, lambda: None if no_passphrase else new_passphrase())
    keyring = publisher.authority.keyring
    facts = {
        "source": source,
        "key": key.key_id,
        "public": key.raw.hex(),
        "private_keys": str(keyring.folder),
        "encrypted": keyring.encrypted,
    }
    sealed = "encrypted" if keyring.encrypted else "NOT encrypted"
    lines = (
        f"Made a key for source {source}; its private half is in {keyring.folder} ({sealed}).",
        f"  public key  {key.raw.hex()}",
        f"The operator of {publisher.authority.policy.context.store} runs: trustrag source add {source} --key {key.raw.hex()}",
    )
    say(as_json, facts, "\n".join(lines))


@keys.command("list")
def keys_list(context: typer.Context, as_json: Json = False) -> None:
    """List every key: what it is for, and how long it may speak.

    A key of the policy speaks from one log entry to another; a role of the trust root until a date. Held: it is here.
    """
    with open_workspace(context) as workspace:
        rows = workspace.authority.key_facts()
        if as_json:
            return print_json([_key_facts(row) for row in rows])
        for row in rows:
            where = "revoked" if row.revoked else "held here" if row.held else "elsewhere"
            typer.echo(f"{row.purpose:24} {row.key[:16]}  {where:10} {_when(row)}")
    return None


@keys.command("show")
def keys_show(
    context: typer.Context,
    prefix: Annotated[str, typer.Argument(metavar="KEY", help="A key id or the first digits of one.")],
    as_json: Json = False,
) -> None:
    """Show one key, with its public half in full."""
    with open_workspace(context) as workspace:
        rows = [_key_facts(row) for row in workspace.authority.key_facts() if row.key.startswith(prefix)]
        if not rows:
            raise NotFoundError(f"no key id begins with {prefix!r}; see `trustrag keys list`")
        if as_json:
            return print_json(rows)
        for row in rows:
            for label, value in row.items():
                typer.echo(f"{label:8} {in_words(value)}")
    return None


@keys.command("refresh")
def keys_refresh(
    context: typer.Context,
    root: Annotated[
        bool, typer.Option("--root", help="Renew the root role too (its key has to be here).")
    ] = False,
    as_json: Json = False,
) -> None:
    """Renew what expires: trust root's roles, and the snapshot."""
    with open_workspace(context, notices=False) as workspace:
        expires = workspace.refresh(root=root)
        lines = (f"{role:12} until {_date(until)}" for role, until in expires.items())
        facts = {role: written(until) for role, until in expires.items()}
        say(as_json, facts, "\n".join(lines))


@keys.command("rotate")
def keys_rotate(
    context: typer.Context,
    purpose: Annotated[
        str, typer.Argument(metavar="[PURPOSE]", help="ingest, screen, seal, answer or log.")
    ] = "",
    source: Annotated[str | None, typer.Option("--source", help="The key of this source instead.")] = None,
    reviewer: Annotated[
        str | None, typer.Option("--reviewer", help="The key of this reviewer instead.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="The new public key (64 hex digits), where its private half is elsewhere."),
    ] = None,
    replaces: Annotated[
        str | None, typer.Option("--replaces", metavar="KEY", help="Which key goes, where several speak.")
    ] = None,
    reason: Annotated[str, REASON] = "rotated",
    as_json: Json = False,
) -> None:
    """Let a new key speak from the next log entry on.

    The one before it keeps what it signed. What stands is sealed anew with it, at once. A source that signs elsewhere
    makes its new key there (`trustrag keys new`), hands in what it signed with the old one, and has the new one put
    in its place with --key.
    """
    if sum(bool(one) for one in (purpose, source, reviewer)) != 1:
        raise typer.BadParameter("name a purpose, --source or --reviewer, one of them", ctx=context)
    with open_workspace(context) as workspace:
        change = workspace.keys.rotate(
            purpose, source=source, reviewer=reviewer, public_key=key, replaces=replaces, reason=reason
        )
        _say_changed(as_json, "Rotated", change)


@keys.command("retire")
def keys_retire(
    context: typer.Context,
    key: KeyId,
    reason: Annotated[str, REASON] = "retired",
    as_json: Json = False,
) -> None:
    """Let a key sign nothing more; what it signed in time counts.

    The last key for ingest, screen, seal, answer or log is not retired: rotate it.
    """
    with open_workspace(context) as workspace:
        _say_changed(as_json, "Retired", workspace.keys.retire(key, reason=reason))


@keys.command("revoke")
def keys_revoke(
    context: typer.Context,
    key: KeyId,
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Silence all that a key ever signed, in every process.

    From the next query on, and nothing is indexed again. Where the operator could not go on without it (ingest,
    screen, seal, answer, log), a new one takes its place at once. Of a seal or log key, evidence made before is
    refused from now on: make it again. Run again, it goes on where it was interrupted.
    """
    with open_workspace(context) as workspace:
        _say_changed(as_json, "Revoked", workspace.keys.revoke(key, reason=reason))


@keys.command("passphrase")
def keys_passphrase(
    context: typer.Context,
    store: Store = None,
    new_file: Annotated[
        Path | None,
        typer.Option("--new-passphrase-file", help="Read the new passphrase from this file."),
    ] = None,
    no_passphrase: NoPassphrase = False,
    as_json: Json = False,
) -> None:
    """Change the passphrase of all private keys held here.

    The old one is asked for, or read from the file that TRUSTRAG_PASSPHRASE_FILE names; the new one is asked for
    twice. Files that were exported before keep the old one.
    """
    keyring = _keyring(context, store)
    given = None if new_file is None else _passphrase_in(new_file)
    keyring.change_passphrase(None if no_passphrase else given or new_passphrase(environment=False))
    facts = {
        "private_keys": str(keyring.folder),
        "encrypted": keyring.encrypted,
        "keys": len(keyring.names()),
    }
    sealed = "encrypted with the new passphrase" if keyring.encrypted else "NOT encrypted any more"
    say(as_json, facts, f"{len(keyring.names())} keys in {keyring.folder} are {sealed}.")


@keys.command("export")
def keys_export(
    context: typer.Context,
    key: Annotated[str, typer.Argument(metavar="KEY", help="The name of a key file here, or a key id.")],
    out: Annotated[Path, typer.Option("--out", help="Where the key file goes; never under keys/.")],
    store: Store = None,
    as_json: Json = False,
) -> None:
    """Write one of your own private keys to a file.

    For a backup, or another machine of yours. It is encrypted as it is here. Whoever has the file and the passphrase
    signs as you.
    """
    from trustrag.keyring import write_key_file

    keyring = _keyring(context, store)
    name = _held_name(keyring, key)
    write_key_file(out, keyring.export(name))
    facts = {
        "name": name,
        "key": keyring.public_key(name).key_id,
        "file": str(out),
        "encrypted": keyring.encrypted,
    }
    sealed = "encrypted" if keyring.encrypted else "NOT encrypted: the file is the key"
    say(as_json, facts, f"Wrote key {name} to {out} ({sealed}).")


@keys.command("import")
def keys_import(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="A key file that `trustrag keys export` wrote.")],
    name: Annotated[
        str | None, typer.Option("--name", help="What to call it here (default: the file's name).")
    ] = None,
    store: Store = None,
    passphrase_file: PassphraseFile = None,
    as_json: Json = False,
) -> None:
    """Take in a private key of your own from another machine.

    --passphrase-file is for the passphrase that the file came with, where it is another than that of the keys here.
    """
    from trustrag.keyring import Keyring

    of_file = ask_passphrase if passphrase_file is None else lambda: _passphrase_in(passphrase_file)
    public = Keyring.take(_store(context, store), file, name or file.stem, of_file, ask_passphrase)
    facts = {"name": name or file.stem, "key": public.key_id, "public": public.hex}
    say(as_json, facts, f"Took in key {name or file.stem} ({public.key_id[:16]}).")


def _store(context: typer.Context, store: str | None) -> str:
    return store or Settings.read(find_workspace(context)).store


def _keyring(context: typer.Context, store: str | None) -> "Keyring":
    from trustrag.keyring import Keyring

    return Keyring.open(_store(context, store), ask_passphrase)


def _held_name(keyring: "Keyring", key: str) -> str:
    found = [name for name in keyring.names() if name == key] or [
        name for name in keyring.names() if key and keyring.public_key(name).key_id.startswith(key)
    ]
    if len(found) != 1:
        raise NotFoundError(f"{len(found)} keys in {keyring.folder} are called {key!r} or have such an id")
    return found[0]


def _passphrase_in(path: Path) -> bytes:
    try:
        found = path.read_bytes().removesuffix(b"\n").removesuffix(b"\r")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}") from error
    if not found:
        raise ConfigError(f"{path} is empty: no passphrase at all")
    return found


def _say_changed(as_json: bool, done: str, change: "KeyChange") -> None:
    old = "no key before it" if change.key is None else f"key {change.key[:16]}"
    new = "" if change.successor is None else f"; key {change.successor[:16]} takes its place"
    say(as_json, asdict(change), f"{done} {old} of {change.purpose}{new}; policy version {change.policy}.")


def _when(fact: "KeyFact") -> str:
    if fact.expires is not None:
        return f"until {_date(fact.expires)}"
    reason = "" if fact.reason is None else f" ({fact.reason})"
    if fact.revoked:
        return (fact.reason or "") + ("; its private half is still here" if fact.held else "")
    if fact.last_valid_index is not None:
        return f"entries {fact.first_valid_index} to {fact.last_valid_index}, retired{reason}"
    return f"from entry {fact.first_valid_index} on" if fact.first_valid_index else ""


def _key_facts(fact: "KeyFact") -> dict[str, object]:
    return asdict(fact) | {"expires": None if fact.expires is None else written(fact.expires)}


def written(seconds: int) -> str:
    """Unix seconds as a time in UTC."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
