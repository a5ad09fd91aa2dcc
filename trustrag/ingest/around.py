"""What a batch meets in the store: its owner's own past, near-duplicates of what stands, and a sample of everything.

Read from rows that are not signed, so all of it is a hint: whoever edits them can blind a screen or make it hold too
much, and lets nothing in. The MinHash signatures are kept beside the index, as a cache: delete it, and it is made again.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from trustrag.files import make_folder, write_whole
from trustrag.ingest.screening.company import Near, Sample, Signatures, Usual, Vectors
from trustrag.ingest.screening.geometry import sampled, usual_nearness
from trustrag.ingest.screening.minhash import ALGORITHM, PERMUTATIONS, SignatureIndex, signatures
from trustrag.ingest.screening.versions import Witness
from trustrag.ledger import Ledger
from trustrag.provenance.policy import Policy, Source

PAST = 20_000
"""The newest passages of an owner that its new ones are held against."""
SAMPLE = 1_000
"""Passages of the store that stand for all of it."""
CACHE = "index/minhash.bin"
UNSAVED = 512
"""Signatures that are made again at the next run rather than written: they cost less than the file."""
_HEADER = 4096

Beside: TypeAlias = Callable[[Vectors, Source], Sequence[Witness]]
"""The proved passages nearest to a vector, of sources that are independent of its publisher."""


class LedgerAround:
    """One run's look at the store. `sync` after each commit; `close` keeps what it learnt."""

    def __init__(self, ledger: Ledger, policy: Policy, beside: Beside) -> None:
        self._ledger = ledger
        self._owners = {source.name: source.owner or source.name for source in policy.sources}
        self._beside = beside
        self._pasts: dict[str, LedgerPast] = {}
        self._index = SignatureIndex(_load(ledger))
        self._saved = len(self._index)
        self._sample: Sample | None = None
        self._seen: dict[int, Near] = {}

    def past(self, owner: str) -> "LedgerPast":
        """See `company.Around`."""
        if owner not in self._pasts:
            names = [name for name, voice in self._owners.items() if voice == owner]
            self._pasts[owner] = LedgerPast(self, self._chunks_of(names))
        return self._pasts[owner]

    def duplicates(self, signatures: Signatures) -> list[list[Near]]:
        """See `company.Around`."""
        self.sync()
        found = [[self.near(number) for number in self._index.near(row)] for row in signatures]
        return [[near for near in line if near is not None] for line in found]

    def sample(self) -> Sample:
        """See `company.Around`."""
        if self._sample is None:
            with self._ledger.view() as view:
                ids = view.select()
                step = max(1, len(ids) // SAMPLE)
                self._sample = sampled(view.vectors(ids[::step][:SAMPLE]))
        return self._sample

    def others(self, vector: Vectors, source: Source) -> Sequence[Witness]:
        """See `company.Around`."""
        return self._beside(vector, source)

    def near(self, chunk_id: int) -> Near | None:
        """The passage of a chunk; None where there is no such row."""
        if chunk_id in self._seen:
            return self._seen[chunk_id]
        with self._ledger.reading() as (session, _):
            chunk = session.chunk(chunk_id)
            version = session.version(chunk.version) if chunk is not None else None
        if chunk is None or version is None:
            return None
        if len(self._seen) >= PAST:
            self._seen.clear()
        owner = self._owners.get(version.source_name, version.source_name)
        near = self._seen[chunk_id] = Near(version.doc_id, owner, chunk.text, version.standing == "active")
        return near

    def vectors(self, chunk_ids: Sequence[int]) -> Vectors:
        """float32[n, d] of these chunks."""
        with self._ledger.view() as view:
            return view.vectors(np.asarray(chunk_ids, np.int64))

    def sync(self) -> None:
        """Take in what was committed since: signatures of new chunks, and new passages of owners asked about."""
        with self._ledger.reading() as (session, _):
            total, known = session.vector_rows(), len(self._index)
            new = [chunk for chunk, _ in session.chunks(known, total - known)] if total > known else []
            versions = {row: session.version(row) for row in {chunk.version for chunk in new}}
        if len(new) != max(0, total - known):
            return  # damaged rows: the audit's business; no signature may stand under another chunk's number
        self._index.add(signatures([chunk.text for chunk in new]))
        added: dict[str, list[int]] = {}
        for chunk in new:
            version = versions[chunk.version]
            if version is not None:
                added.setdefault(self._owners.get(version.source_name, ""), []).append(chunk.id)
        for owner, chunk_ids in added.items():
            if owner in self._pasts:
                self._pasts[owner].add(chunk_ids)

    def close(self) -> None:
        """Write the signatures, where enough of them are new."""
        self.sync()
        if len(self._index) - self._saved >= UNSAVED:
            _save(self._ledger, self._index.rows)

    def _chunks_of(self, names: Sequence[str]) -> list[int]:
        self.sync()
        with self._ledger.view() as view:
            standing = view.select(sources=names) if names else np.empty(0, np.int64)
        with self._ledger.reading() as (session, _):
            waiting = [row for name in names for row in session.versions_in(("quarantined",), name)]
        held = [at for row in waiting for at in range(row.first_chunk, row.first_chunk + row.chunk_count)]
        return sorted({*standing.tolist(), *held} & set(range(len(self._index))))[-PAST:]


class LedgerPast:
    """See `company.Past`."""

    def __init__(self, around: LedgerAround, chunk_ids: list[int]) -> None:
        self._around = around
        self._ids = chunk_ids
        self._vectors = around.vectors(chunk_ids)
        self._usual: tuple[int, Usual | None] | None = None

    @property
    def vectors(self) -> Vectors:
        """See `company.Past`."""
        return self._vectors

    @property
    def usual(self) -> Usual | None:
        """See `company.Past`. Reckoned anew whenever a quarter has been added."""
        if self._usual is None or len(self._ids) > 1.25 * self._usual[0]:
            self._usual = len(self._ids), usual_nearness(self._vectors)
        return self._usual[1]

    def passage(self, place: int) -> Near | None:
        """See `company.Past`."""
        return self._around.near(self._ids[place])

    def add(self, chunk_ids: Sequence[int]) -> None:
        """What was committed since."""
        new = [chunk_id for chunk_id in chunk_ids if not self._ids or chunk_id > self._ids[-1]]
        if new:
            self._ids = [*self._ids, *new][-PAST:]
            self._vectors = np.concatenate([self._vectors, self._around.vectors(new)])[-PAST:]


def _save(ledger: Ledger, rows: Signatures) -> None:
    """A cache that can't be written costs time at the next run, and nothing else."""
    path = ledger.folder / CACHE
    body = np.ascontiguousarray(rows, dtype="<u4").tobytes()
    facts = {"format": ALGORITHM, "rows": len(rows), "last": _last(ledger, len(rows))}
    header = json.dumps({**facts, "sha256": hashlib.sha256(body).hexdigest()}).encode()
    try:
        make_folder(path.parent)
        write_whole(path, header + b"\n" + body)
    except OSError:
        return


def _load(ledger: Ledger) -> Signatures | None:
    """The signatures that were kept; None where there are none, or they are damaged or of another ledger."""
    try:
        data = (ledger.folder / CACHE).read_bytes()
        end = data.index(b"\n", 0, _HEADER)
        facts, body = json.loads(data[:end]), data[end + 1 :]
        if not isinstance(facts, Mapping) or facts.get("format") != ALGORITHM:
            return None
        if hashlib.sha256(body).hexdigest() != facts.get("sha256") or len(body) % (4 * PERMUTATIONS):
            return None
        rows = np.frombuffer(body, "<u4").reshape(-1, PERMUTATIONS).astype(np.uint32)
        fits = facts.get("rows") == len(rows) and facts.get("last") == _last(ledger, len(rows))
    except (OSError, ValueError, RecursionError):
        return None
    return rows if fits else None


def _last(ledger: Ledger, rows: int) -> str:
    """The digest of the last chunk that has a signature: another ledger has another one."""
    with ledger.reading() as (session, _):
        chunk = session.chunk(rows - 1) if 0 < rows <= session.vector_rows() else None
    return chunk.text_digest.hex if chunk is not None else ""
