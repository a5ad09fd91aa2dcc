"""Verbs for the store itself: init, source, keys."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from trustrag.cli.common import Json, new_passphrase, open_workspace, print_json

if TYPE_CHECKING:
    from trustrag.workspace import Source

sources = typer.Typer(
    no_args_is_help=True, help="Who may publish here: sources, their keys, scope and trust."
)
keys = typer.Typer(
    no_args_is_help=True, help="The trust root under keys/ and the private keys that are held here."
)


def register(app: typer.Typer) -> None:
    """Add these verbs to the application."""
    app.command()(init)
    app.add_typer(sources, name="source")
    app.add_typer(keys, name="keys")


def init(
    folder: Annotated[Path, typer.Argument(help="The new workspace folder.")],
    source: Annotated[
        str | None,
        typer.Option("--source", help="The first source: who publishes (default: the folder's name)."),
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", help="The store's name; a random ending makes it unique.")
    ] = None,
    keys_folder: Annotated[
        Path | None, typer.Option("--keys", help="Where the public trust root goes (default: DIR/keys).")
    ] = None,
    tenant: Annotated[str, typer.Option(help="The tenant that the documents belong to.")] = "default",
    collection: Annotated[str, typer.Option(help="The collection that this workspace holds.")] = "default",
    embedder: Annotated[
        str, typer.Option(help="minilm, hash, a model folder or a hub name of a sentence-transformers model.")
    ] = "minilm",
    index: Annotated[
        str, typer.Option(help="flat (exact) or hnsw (faster above some 100,000 passages).")
    ] = "flat",
    no_passphrase: Annotated[
        bool,
        typer.Option(
            "--no-passphrase", help="Keep private keys unencrypted: whoever reads your files can sign as you."
        ),
    ] = False,
) -> None:
    """Make a workspace: keys, policy, trust root, ledger and a first source, in one step."""
    from trustrag.workspace import Workspace

    passphrase = None if no_passphrase else new_passphrase()
    name = source or folder.resolve().name
    with Workspace.init(
        folder, source=name, keys=keys_folder, store=store, tenant=tenant, collection=collection,
        embedder=embedder, index=index, passphrase=passphrase,
    ) as workspace:  # fmt: skip
        typer.echo(f"Made workspace {workspace.folder} (store {workspace.settings.store}).")
        typer.echo(
            f"  trust root    {workspace.authority.keys_folder}  (public: give it to whoever verifies)"
        )
        typer.echo(
            f"  private keys  {workspace.authority.keyring.folder}  ({'NOT encrypted' if no_passphrase else 'encrypted'})"
        )
        typer.echo(f"  first source  {name}")
        typer.echo("  not protected against a split view: no outside witness is named in the policy")
        typer.echo(f"Next: trustrag -w {folder} ingest PATH... --sign")


@sources.command("add")
def source_add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="The source's name.")],
    trust: Annotated[
        float, typer.Option(min=0, max=1, help="Weight in ranking, 0 to 1: a prior, not a proof.")
    ] = 1.0,
    scope: Annotated[
        list[str] | None,
        typer.Option(help="Prefix of tenant/collection/docId it may publish under (repeatable)."),
    ] = None,
    owner: Annotated[
        str | None, typer.Option(help="Who is behind it; sources of one owner have one voice.")
    ] = None,
    key: Annotated[
        str | None,
        typer.Option(help="Its public key (64 hex digits) when it signs elsewhere; else one is made here."),
    ] = None,
    probation: Annotated[
        bool,
        typer.Option("--probation", help="New and unproved: shares one slot with all others on probation."),
    ] = False,
) -> None:
    """Let a new source publish."""
    with open_workspace(context) as workspace:
        source = workspace.add_source(
            name, trust=trust, scope=scope or (), owner=owner, public_key=key, probation=probation
        )
        made = "its public key was given" if key else "its private key was made here"
        typer.echo(
            f"Added source {name} (key {source.keys[0].key.key_id[:16]}, {made}); policy version {workspace.policy.version}."
        )


@sources.command("list")
def source_list(context: typer.Context, as_json: Json = False) -> None:
    """List the sources of the policy."""
    with open_workspace(context) as workspace:
        found = workspace.policy.sources
        if as_json:
            return print_json([_source_facts(source) for source in found])
        for source in found:
            facts = _source_facts(source)
            marks = ", ".join(m for m in (str(facts["status"]), "probation" if source.probation else "") if m)
            typer.echo(
                f"{source.name:24} trust {source.trust / 1000:.2f}  {marks:20} {' '.join(source.scope)}"
            )
    return None


@sources.command("show")
def source_show(context: typer.Context, name: str, as_json: Json = False) -> None:
    """Show one source: keys, scope, trust, and what of it stands."""
    with open_workspace(context) as workspace:
        facts = _source_facts(workspace.authority.source(name)) | {
            "documents": len(workspace.standing_documents(name))
        }
        if as_json:
            return print_json(facts)
        for label, value in facts.items():
            typer.echo(f"{label:12} {value}")
    return None


@sources.command("suspend")
def source_suspend(context: typer.Context, name: str) -> None:
    """Silence a source from the next query on; nothing is erased."""
    with open_workspace(context) as workspace:
        workspace.authority.set_active(name, False)
        typer.echo(f"Suspended source {name}; policy version {workspace.policy.version}.")


@sources.command("resume")
def source_resume(context: typer.Context, name: str) -> None:
    """Let a suspended source be heard again."""
    with open_workspace(context) as workspace:
        workspace.authority.set_active(name, True)
        typer.echo(f"Resumed source {name}; policy version {workspace.policy.version}.")


@keys.command("list")
def keys_list(context: typer.Context, as_json: Json = False) -> None:
    """List every key: its purpose, its id, when its role expires, and whether its private half is here."""
    with open_workspace(context) as workspace:
        rows = workspace.authority.key_facts()
        if as_json:
            return print_json([asdict(row) for row in rows])
        for row in rows:
            until = "" if row.expires is None else f"until {_date(row.expires)}"
            typer.echo(
                f"{row.purpose:24} {row.key[:16]}  {'held here' if row.held else 'elsewhere':10} {until}"
            )
    return None


@keys.command("show")
def keys_show(
    context: typer.Context,
    prefix: Annotated[str, typer.Argument(metavar="KEY", help="A key id or the first digits of one.")],
) -> None:
    """Show one key, with its public half in full."""
    with open_workspace(context) as workspace:
        rows = [asdict(row) for row in workspace.authority.key_facts() if row.key.startswith(prefix)]
        if not rows:
            raise typer.BadParameter(f"no key id begins with {prefix!r}; see `trustrag keys list`")
        print_json(rows)


@keys.command("refresh")
def keys_refresh(
    context: typer.Context,
    root: Annotated[
        bool, typer.Option("--root", help="Renew the root role too (its key has to be here).")
    ] = False,
) -> None:
    """Renew what expires: the trust root's roles, and the snapshot of what stands."""
    with open_workspace(context, notices=False) as workspace:
        expires = workspace.refresh(root=root)
        for role, until in expires.items():
            typer.echo(f"{role:12} until {_date(until)}")


def _source_facts(source: "Source") -> dict[str, object]:
    return {
        "name": source.name,
        "status": "active" if source.active else "suspended",
        "trust": source.trust / 1000,
        "probation": source.probation,
        "owner": source.owner,
        "scope": list(source.scope),
        "keys": [key.key.key_id for key in source.keys],
    }


def _date(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
