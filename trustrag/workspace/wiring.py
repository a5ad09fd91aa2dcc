"""Small parts that `workspace` is put together with: neighbours for records, approvals, tidy beginnings."""

import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from trustrag.authority import Authority
from trustrag.consistency import Judge, open_entailment_judge
from trustrag.errors import ConfigError, MalformedError, UnsignedDocumentError
from trustrag.files import make_folder, write_whole
from trustrag.index.base import Vector
from trustrag.index.embedding import Embedder
from trustrag.ingest.around import Beside as ByVector
from trustrag.ingest.attest import read_attestations
from trustrag.ingest.document import ReadProblem
from trustrag.ingest.pipeline import Signers
from trustrag.ingest.screening.versions import Neighbours as Beside
from trustrag.ingest.screening.versions import Witness
from trustrag.keyring import state_file
from trustrag.ledger import Ledger
from trustrag.monitor.audited import Audited
from trustrag.monitor.record import Assessment, Neighbours, assess, gather
from trustrag.provenance.envelope import Envelope
from trustrag.provenance.evidence import VerifiedPassage
from trustrag.provenance.export import EvidenceReport, verify_evidence_file
from trustrag.provenance.policy import Policy, Source
from trustrag.retrieval.retriever import SOURCE_SHARE, Retriever
from trustrag.settings import FILE_NAME
from trustrag.stored import title_of
from trustrag.trustroot import TrustRoot

NEIGHBOURS = 8
"""How many passages of others a passage is held against when its source's record is gathered."""

WITNESSES = 16
"""How many passages of others are asked about a sentence in which a new version changed a value; of one source at most
a share, or who floods the neighbourhood of a lie would keep the truth from being heard."""

BESIDE = 6
"""How many are asked about a passage that is new: of every one of them, so fewer. Who says the same but for one value is
among the nearest."""


class AuditFile:
    """What audits remember, in the user's own folder; with `forget` only for the next one."""

    def __init__(self, store: str, *, forget: bool) -> None:
        self._path = state_file(store, ".audit")
        self._forget = forget

    def read(self) -> Audited | None:
        """See `audit.AuditMemory`. What cannot be read was never proved."""
        try:
            return None if self._forget else Audited.parse(self._path.read_bytes())
        except (FileNotFoundError, MalformedError):
            return None

    def write(self, audited: Audited) -> None:
        """See `audit.AuditMemory`."""
        make_folder(self._path.parent, mode=0o700)
        write_whole(self._path, audited.encode(), mode=0o600)


def opened_judge(given: Judge | str | None) -> Judge | None:
    """The judge that was meant; a name is that of an NLI cross-encoder."""
    return open_entailment_judge(given) if isinstance(given, str) else given


def require_room(folder: Path, keys_folder: Path) -> None:
    """Raises `ConfigError` where a new workspace would mix with what is there."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        is_workspace = (folder / FILE_NAME).exists()
        what = "already holds a workspace" if is_workspace else "exists and is not an empty folder"
        raise ConfigError(f"{folder} {what}: give init a new folder")
    if keys_folder.exists() and any(keys_folder.iterdir()):
        raise ConfigError(f"{keys_folder} is not empty: one trust root belongs to one store")


@contextmanager
def undone_on_failure(*folders: Path) -> Iterator[None]:
    """Remove what was being made if it fails: half a workspace opens for nobody, and the next one finds it in its way."""
    try:
        yield
    except BaseException:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        raise


def listed(given: str | Path | Iterable[str | Path]) -> list[str | Path]:
    """One name or many. A text is a sequence of letters, too: taken for one, "docs/" would name the folder "/"."""
    return [given] if isinstance(given, str | Path) else list(given)


def named(given: str | Iterable[str]) -> list[str]:
    """As `listed`, for names that are no paths."""
    return [given] if isinstance(given, str) else list(given)


def slug(name: str) -> str:
    """A name as the readable part of a store id."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "store"


def given_lines(
    attestations: str | Path | Sequence[Envelope], source: str | None
) -> list[Envelope | ReadProblem]:
    """Attestations, or those that a file holds; a bad line is a problem of its own, and costs no other line.

    Raises `UnsignedDocumentError` where there is none, and no source to sign instead; `MalformedError` for a file of
    several lines, of which none is one.
    """
    given: list[Envelope | ReadProblem] = []
    try:
        if isinstance(attestations, str | Path):
            given += read_attestations(Path(attestations))
            if len(given) > 1 and all(isinstance(line, ReadProblem) for line in given):
                raise MalformedError(
                    f"{attestations} holds no attestation: give what `trustrag attest` wrote"
                )
        else:
            given += attestations
    except OSError as error:
        raise ConfigError(f"{attestations} cannot be read: {error.strerror}") from error
    if source is None and not given:
        raise UnsignedDocumentError(
            "nothing says who publishes these documents: name a source to sign them, or give attestations"
        )
    return given


def independent_of(policy: Policy, source: Source) -> list[str]:
    """The active sources that speak in another name than this one's."""
    voice = source.owner or source.name
    return [other.name for other in policy.sources if other.active and (other.owner or other.name) != voice]


def neighbours_of(searcher: Retriever, source: Source, now: int) -> Neighbours:
    """Finds the proved passages nearest to one of this source's, among the sources that are independent of it."""
    others = independent_of(searcher.gate.policy, source)

    def near(passage: VerifiedPassage, without: frozenset[str]) -> Sequence[VerifiedPassage]:
        vector = np.frombuffer(passage.vector, "<f4")
        left = [name for name in others if name not in without]
        if not left or not vector.any():
            return ()
        return searcher.near(vector, k=NEIGHBOURS, sources=left, now=now)

    return near


def witnesses_beside(
    searcher: Callable[[], Retriever], now: Callable[[], int], *, most: int = WITNESSES
) -> ByVector:
    """Finds what independent sources, none of them on probation, say near a vector: proved, as of this moment."""

    def beside(vector: Vector, source: Source) -> list[Witness]:
        retriever = searcher()
        policy = retriever.gate.policy
        others = independent_of(policy, source)
        others = [one.name for one in policy.sources if one.name in others and not one.probation]
        if not others or not vector.any():
            return []
        found = retriever.near(vector, k=most, sources=others, now=now(), share=SOURCE_SHARE)
        return [
            Witness(
                item.source, item.owner or item.source, item.text, item.source_index, title_of(item.metadata)
            )
            for item in found
        ]

    return beside


def witnesses_near(beside: ByVector, embedder: Embedder) -> Beside:
    """The same near a text."""
    return lambda text, source: beside(embedder.embed([text])[0], source)


def assessed(
    searcher: Retriever, ledger: Ledger, sources: Sequence[Source], now: int
) -> tuple[Assessment, ...]:
    """What the record of each source makes of its prior, under the policy of the searcher's gate."""
    found = []
    for source in sources:
        record = gather(ledger, searcher.gate, source, neighbours_of(searcher, source, now), now=now)
        found.append(assess(record, source, searcher.gate.policy.standing))
    return tuple(found)


def signers_of(authority: Authority) -> Signers:
    """Who signs on the way in, with keys that are held here."""
    policy = authority.policy
    return Signers(
        authority.signer(policy.ingest.keys, "ingest"), authority.signer(policy.screen.keys, "screen")
    )


def verify_evidence(data: bytes, keys: str | Path, *, now: int | None = None) -> EvidenceReport:
    """Prove an evidence file with a public trust root alone: no workspace, no database, no network.

    Raises `MalformedError` for what is no evidence file, and `VerificationError` when trust root or head do not hold.
    """
    moment = unix_now() if now is None else now
    root = TrustRoot.open(Path(keys), moment)
    return verify_evidence_file(data, root.policy, now=moment)


def unix_now() -> int:
    """The clock, in whole unix seconds."""
    return int(time.time())
