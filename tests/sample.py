"""Makes the small signed sample that lies under keys/sample: a public trust root, and evidence that it proves.

    python -m tests.sample FOLDER

Every private key is made at random, used in memory and forgotten with the process: nobody can sign for the
sample again, so it can neither be renewed nor changed, and a new one is another store with other keys. That is
also why its lifetimes are a hundred years where a store in use takes months (see `trustrag.trustroot`).
"""

import tempfile
from pathlib import Path

from tests.arguments import parser
from trustrag.errors import ConfigError
from trustrag.files import write_whole
from trustrag.index.embedding import HashEmbedder
from trustrag.ingest.chunking import Chunker
from trustrag.ingest.document import Document
from trustrag.ingest.pipeline import Pipeline, Signers
from trustrag.ledger import Ledger, Sealer, StoredPassage
from trustrag.provenance.canonical import Digest
from trustrag.provenance.export import EvidenceFile, ShownPassage
from trustrag.provenance.keys import PrivateKey
from trustrag.provenance.policy import Log, Policy, PolicyKey, Reviewers, Role, Source
from trustrag.provenance.statement import Context, EmbedderId
from trustrag.trustroot import DAY, ROLES, Lifetimes, create_trust_root

EVIDENCE = "evidence.json"
DATED = 1_735_689_600
"""2025-01-01T00:00:00Z. What is dated in the future is refused, and a reader's clock may be wrong by a year."""

CENTURY = 36_525 * DAY
CONTEXT = Context("sample", "default", "default")

TEXTS = {
    "harbour": {
        "harbour/audit.md": (
            "Every movement of a ship is written into the harbour log, with the hour, the berth and the name of "
            "the officer on watch. A line is never erased: a mistake is struck through and corrected below.\n\n"
            "The log is kept for twelve years. After that the harbour office hands it to the town archive, which "
            "keeps it for good."
        ),
        "harbour/lights.md": (
            "The light on the north pier shows two white flashes every ten seconds and is visible for eleven "
            "nautical miles. In fog a horn sounds once a minute."
        ),
    },
    "pilots": {
        "pilots/lights.txt": (
            "Coming in at night, steer for the two white flashes of the north pier until the green light of the "
            "inner mole opens behind it."
        ),
    },
}
"""Who publishes what. Written for this sample; the harbour is made up."""


def documents(source: str) -> list[Document]:
    """What a source publishes."""
    kinds = {"md": "text/markdown", "txt": "text/plain"}
    return [
        Document(
            doc_id=doc_id,
            data=text.encode(),
            media_type=kinds[doc_id.rpartition(".")[2]],
            text=text,
            metadata={"language": "en"},
            licence="Apache-2.0",
        )
        for doc_id, text in TEXTS[source].items()
    ]


def make(folder: Path, *, now: int) -> None:
    """Writes a trust root and evidence.json into `folder`, which must be new or empty; `now` in unix seconds."""
    if folder.exists() and any(folder.iterdir()):
        raise ConfigError(f"{folder} is not empty: a sample cannot be renewed, only made anew")
    keys = {name: PrivateKey.generate() for name in ("ingest", "screen", "seal", "log", *TEXTS, *ROLES)}

    def known(name: str) -> tuple[PolicyKey, ...]:
        return (PolicyKey(keys[name].public_key),)

    policy = Policy(
        version=1,
        context=CONTEXT,
        issued_at=now,
        log=Log(CONTEXT.store, known("log")),
        ingest=Role(known("ingest")),
        screen=Role(known("screen")),
        review=Reviewers(),
        seal=Role(known("seal")),
        sources=tuple(Source(name, None, known(name), (f"default/default/{name}",), 1000) for name in TEXTS),
        snapshot_age=CENTURY,
    )
    lifetimes = Lifetimes(CENTURY, CENTURY, CENTURY, CENTURY)
    create_trust_root(folder, policy, {role: [keys[role]] for role in ROLES}, now=now, lifetimes=lifetimes)
    evidence = _seal(policy, keys, now)
    write_whole(folder / EVIDENCE, evidence.encode())


def _seal(policy: Policy, keys: dict[str, PrivateKey], now: int) -> EvidenceFile:
    """Takes the texts in, in a ledger that is thrown away, and keeps the proof of every passage."""
    embedder = HashEmbedder(64)
    identity = EmbedderId(embedder.id.name, embedder.id.dimension, Digest(embedder.id.digest))
    sealer = Sealer(policy.log.origin, keys["seal"], keys["log"], CENTURY)
    signers = Signers(keys["ingest"], keys["screen"])
    with tempfile.TemporaryDirectory() as scratch, Ledger.create(Path(scratch), CONTEXT, identity) as ledger:
        ledger.reseal(sealer, now)
        chunker = Chunker(size=240, overlap=0)
        pipeline = Pipeline(ledger, policy, embedder, signers, sealer, chunker=chunker, clock=lambda: now)
        for source in TEXTS:
            report = pipeline.ingest(documents(source), source=keys[source])
            assert len(report.admitted) == len(TEXTS[source]), report
        with ledger.view() as view:
            passages = [item for item in view.passages(view.select()) if isinstance(item, StoredPassage)]
            shown = (ShownPassage(item.text, item.metadata, item.vector, item.evidence) for item in passages)
            return EvidenceFile(view.head(), tuple(shown))


if __name__ == "__main__":
    taking = parser(__doc__)
    taking.add_argument("folder", metavar="FOLDER", type=Path)
    make(taking.parse_args().folder, now=DATED)
