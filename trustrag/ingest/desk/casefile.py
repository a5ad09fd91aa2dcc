"""A document that waits, in a file: for a reviewer on another machine, who has the public trust root and a key.

What is in it is held against the signatures of source and ingest before anything of it is shown or signed.
"""

from trustrag.errors import MalformedError
from trustrag.ingest.desk.review import Shown, proved
from trustrag.ledger import Held
from trustrag.provenance.canonical import Encodable, Fields, encode, parse_canonical
from trustrag.provenance.envelope import MAX_ENVELOPE_BYTES, Envelope
from trustrag.provenance.policy import Policy
from trustrag.provenance.standing import ChunkLeaf
from trustrag.provenance.statement import T

CASE_FORMAT = T + "held/v1"
MAX_BYTES = 64 << 20


def encode_case(held: Held) -> bytes:
    """What waits, with the envelopes that speak for it."""
    chunks: list[Encodable] = [
        {"leaf": leaf.encode().decode(), "text": text}
        for leaf, text in zip(held.leaves, held.texts, strict=True)
    ]
    return encode(
        {
            "format": CASE_FORMAT,
            "source": _logged(held.source.envelope, held.source.index),
            "ingest": _logged(held.ingest.envelope, held.ingest.index),
            "chunks": chunks,
            "findings": list(held.version.findings),
        }
    )


def read_case(data: bytes, policy: Policy) -> tuple[Shown, tuple[str, ...]]:
    """What waits, proved under this policy, and what the screens noticed (not signed).

    Raises MalformedError for what is no such file, VerificationError where it is not what source and ingest signed.
    """
    fields = Fields(parse_canonical(data, max_bytes=MAX_BYTES), "held document")
    fields.literal("format", CASE_FORMAT)
    source, ingest = _read_logged(fields.fields("source")), _read_logged(fields.fields("ingest"))
    chunks = fields.objects("chunks", minimum=1)
    findings = tuple(item for item in fields.items("findings") if isinstance(item, str))
    fields.close()
    leaves = tuple(ChunkLeaf.parse(chunk.text("leaf").encode()) for chunk in chunks)
    texts = tuple(chunk.text("text", max_bytes=MAX_BYTES, empty=True) for chunk in chunks)
    for chunk in chunks:
        chunk.close()
    return proved(source, ingest, leaves, texts, policy), findings


def _logged(envelope: Envelope, index: int) -> dict[str, Encodable]:
    return {"envelope": envelope.encode().decode(), "index": index}


def _read_logged(fields: Fields) -> tuple[Envelope, int]:
    envelope = Envelope.parse(fields.text("envelope", max_bytes=MAX_ENVELOPE_BYTES).encode())
    index = fields.integer("index")
    fields.close()
    return envelope, index


def read_verdict(data: bytes) -> Envelope:
    """A signed review or rejection as it is handed in. Raises MalformedError."""
    try:
        return Envelope.parse(data.strip())
    except MalformedError as error:
        raise MalformedError(f"this is no signed review: {error}") from error
