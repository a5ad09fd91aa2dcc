"""Verbs for the store itself: init, source."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from trustrag.cli import standing
from trustrag.cli.common import (
    Json,
    NoPassphrase,
    a_name,
    in_words,
    new_passphrase,
    open_workspace,
    print_json,
    say,
)
from trustrag.errors import ConfigError

if TYPE_CHECKING:
    from trustrag.workspace import Source, Workspace

SourceName = Annotated[str, typer.Argument(help="The source's name.")]

sources = typer.Typer(
    no_args_is_help=True, help="Who may publish here: sources, their keys, scope and trust."
)


def register(app: typer.Typer) -> None:
    """Add these verbs to the application."""
    app.command()(init)
    standing.register(sources)
    app.add_typer(sources, name="source")


def init(
    folder: Annotated[Path, typer.Argument(help="The new workspace folder.")],
    source: Annotated[
        str | None,
        typer.Option(
            "--source", callback=a_name, help="The first source: who publishes (default: the folder's name)."
        ),
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", help="The store's name; a random ending makes it unique.")
    ] = None,
    keys_folder: Annotated[
        Path | None, typer.Option("--keys", help="Where the public trust root goes (default: DIR/keys).")
    ] = None,
    tenant: Annotated[
        str, typer.Option(callback=a_name, help="The tenant that the documents belong to.")
    ] = "default",
    collection: Annotated[
        str, typer.Option(callback=a_name, help="The collection that this workspace holds.")
    ] = "default",
    embedder: Annotated[
        str, typer.Option(help="minilm, hash, a model folder or a hub name of a sentence-transformers model.")
    ] = "minilm",
    index: Annotated[
        Literal["flat", "hnsw"],
        typer.Option(help="flat is exact; hnsw is faster above some 100,000 passages."),
    ] = "flat",
    no_passphrase: NoPassphrase = False,
    as_json: Json = False,
) -> None:
    """Make a workspace, its keys and a first source, in one step.

    The passphrase for the private keys is asked for twice, or read from the file that TRUSTRAG_PASSPHRASE_FILE names.
    The public trust root may be copied anywhere; private keys lie under TRUSTRAG_HOME and belong in no repository.
    """
    from trustrag.workspace import Workspace

    name = source or folder.resolve().name
    _require_free(folder)
    passphrase = None if no_passphrase else new_passphrase()
    with Workspace.init(
        folder, source=name, keys=keys_folder, store=store, tenant=tenant, collection=collection,
        embedder=embedder, index=index, passphrase=passphrase,
    ) as workspace:  # fmt: skip
        facts = _workspace_facts(workspace, name)
        say(as_json, facts, "\n".join(_made(workspace, name, folder)))


def _made(workspace: "Workspace", source: str, folder: Path) -> tuple[str, ...]:
    encrypted = workspace.authority.keyring.encrypted
    sealed = "encrypted" if encrypted else "NOT encrypted: whoever reads your files can sign as you"
    return (
        f"Made workspace {workspace.folder} (store {workspace.settings.store}).",
        f"  trust root    {workspace.authority.keys_folder}  (public: give it to whoever verifies)",
        f"  private keys  {workspace.authority.keyring.folder}  ({sealed})",
        f"  first source  {source}",
        "  not protected against a split view: no outside witness is named in the policy",
        f"Next: trustrag -w {folder} ingest PATH... --sign",
    )


def _require_free(folder: Path) -> None:
    """Tell before a passphrase is asked for; `Workspace.init` decides."""
    if (folder.is_dir() and any(folder.iterdir())) or folder.is_file():
        raise ConfigError(f"{folder} exists and is not an empty folder: give init a new one")


def _workspace_facts(workspace: "Workspace", source: str) -> dict[str, object]:
    return {
        "workspace": str(workspace.folder),
        "store": workspace.settings.store,
        "keys": str(workspace.authority.keys_folder),
        "private_keys": str(workspace.authority.keyring.folder),
        "encrypted": workspace.authority.keyring.encrypted,
        "source": source,
    }


@sources.command("add")
def source_add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(callback=a_name, help="The source's name.")],
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
        typer.Option(
            "--probation", help="New: waits for people, and shares one slot with all others on probation."
        ),
    ] = False,
    as_json: Json = False,
) -> None:
    """Let a new source publish.

    Its key is made here, unless --key gives the public half of one that was made elsewhere (`trustrag keys new`). What
    it signed before it was added may be taken in afterwards.
    """
    with open_workspace(context) as workspace:
        source = workspace.add_source(
            name, trust=trust, scope=scope or (), owner=owner, public_key=key, probation=probation
        )
        made = "its public key was given" if key else "its private key was made here"
        version = workspace.policy.version
        say(
            as_json,
            _source_facts(source) | {"policy": version},
            f"Added source {name} (key {source.keys[0].key.key_id[:16]}, {made}); policy version {version}.",
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
def source_show(context: typer.Context, name: SourceName, as_json: Json = False) -> None:
    """Show one source: keys, scope, trust, and what of it stands."""
    with open_workspace(context) as workspace:
        facts = _source_facts(workspace.authority.source(name)) | {
            "documents": len(workspace.standing_documents(name))
        }
        if as_json:
            return print_json(facts)
        for label, value in facts.items():
            typer.echo(f"{label:12} {in_words(value)}")
    return None


@sources.command("suspend")
def source_suspend(context: typer.Context, name: SourceName, as_json: Json = False) -> None:
    """Silence a source from the next query on; nothing is erased."""
    _set_active(context, name, False, as_json)


@sources.command("resume")
def source_resume(context: typer.Context, name: SourceName, as_json: Json = False) -> None:
    """Let a suspended source be heard again."""
    _set_active(context, name, True, as_json)


def _set_active(context: typer.Context, name: str, active: bool, as_json: bool) -> None:
    with open_workspace(context) as workspace:
        workspace.authority.set_active(name, active)
        version = workspace.policy.version
        facts = _source_facts(workspace.authority.source(name)) | {"policy": version}
        say(
            as_json, facts, f"{'Resumed' if active else 'Suspended'} source {name}; policy version {version}."
        )


def _source_facts(source: "Source") -> dict[str, object]:
    return {
        "name": source.name,
        "status": "active" if source.active else "suspended",
        "trust": source.trust / 1000,
        "prior": source.prior / 1000,
        "probation": source.probation,
        "owner": source.owner,
        "scope": list(source.scope),
        "keys": [key.key.key_id for key in source.keys],
    }
