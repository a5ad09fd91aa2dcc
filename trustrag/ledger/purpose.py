"""What a ledger is for, as its table `setting` says: context and embedder, written once, when it is made.

The same is in what was signed, in every snapshot and every ingest, and the audit compares the two.
"""

from trustrag.errors import ConfigError, LedgerError, MalformedError
from trustrag.ledger.sqlite import Session
from trustrag.provenance.canonical import Encodable, Fields, encode, parse
from trustrag.provenance.statement import Context, EmbedderId

CONTEXT = "context"
EMBEDDER = "embedder"


def settings_of(context: Context, embedder: EmbedderId) -> dict[str, str]:
    """The rows of `setting` by name, as they are written."""
    identity: dict[str, Encodable] = {
        "name": embedder.name,
        "dimension": embedder.dimension,
        "digest": embedder.digest.hex,
    }
    return {CONTEXT: encode(context.to_json()).decode(), EMBEDDER: encode(identity).decode()}


def purpose_of(session: Session) -> tuple[Context, EmbedderId]:
    """What these rows say. Raises LedgerError where one is missing or damaged, ConfigError where nothing was ever written."""
    settings = session.settings()
    if not settings and not session.log_size():
        raise ConfigError("the ledger was never finished being made: make it again with init")
    for name in (CONTEXT, EMBEDDER):
        if name not in settings:
            raise LedgerError(
                f"ledger.db has lost the row {name!r} of its table setting, and not what it holds: restore it from a backup"
            )
    name = CONTEXT
    try:
        fields = Fields(parse(settings[name].encode()), name)
        context = Context.from_fields(fields)
        fields.close()
        name = EMBEDDER
        fields = Fields(parse(settings[name].encode()), name)
        dimension = fields.integer("dimension", minimum=1, maximum=1 << 16)
        embedder = EmbedderId(fields.text("name"), dimension, fields.digest("digest"))
        fields.close()
    except MalformedError as error:
        raise LedgerError(
            f"the row {name!r} of table setting in ledger.db was changed: {error}; restore it from a backup"
        ) from error
    return context, embedder
