"""The standing tree in storage: what one changed document costs is its bucket and 16 hashes.

Its top has 65,536 leaves, one for each bucket, and is stored as a heap: node 1 is the root, the children of n
are 2n and 2n + 1, bucket b is node 65536 + b. Nodes that were never written are those of an empty tree.

A change starts from what was signed: the touched buckets and the nodes beside their paths must lead to the
old root before anything is put on top of them. Otherwise a row that somebody slipped into the database would
be sealed by the next honest writer.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple, TypeAlias

from trustrag.errors import LedgerError, MalformedError
from trustrag.ledger.rows import StandingRow
from trustrag.ledger.sqlite import Session
from trustrag.provenance.canonical import Digest
from trustrag.provenance.merkle import EMPTY_ROOT, inclusion_proof, leaf_hash, node_hash, root
from trustrag.provenance.standing import BUCKETS, TOP_LEVELS, StandingEntry, StandingProof, bucket_of

_READ_AT_ONCE = 10_000  # ids in one statement; SQLite takes 32,766


def _empty_nodes() -> tuple[bytes, ...]:
    """The node of an empty tree for each bit length of a heap number; nothing at 0."""
    by_depth = [leaf_hash(EMPTY_ROOT)]
    for _ in range(TOP_LEVELS):
        by_depth.append(node_hash(by_depth[-1], by_depth[-1]))
    return (b"", *reversed(by_depth))


_EMPTY = _empty_nodes()
EMPTY_TREE = Digest(_EMPTY[1])


def bucket_node(entries: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The top's leaf for a bucket with these (document id in UTF-8, leaf hash of its standing entry)."""
    return leaf_hash(root([leaf for _, leaf in sorted(entries)]))


def lift(leaves: Mapping[int, bytes], beside: Callable[[int], bytes]) -> dict[int, bytes]:
    """All nodes above these leaves of the top, and the leaves; `beside` gives the nodes next to their
    paths.
    """
    nodes, level = dict(leaves), set(leaves)
    for _ in range(TOP_LEVELS):
        level = {child >> 1 for child in level}
        for parent in level:
            left, right = 2 * parent, 2 * parent + 1
            nodes[parent] = node_hash(
                nodes[left] if left in nodes else beside(left),
                nodes[right] if right in nodes else beside(right),
            )
    return nodes


def empty_node(number: int) -> bytes:
    """What node `number` of the heap is in an empty tree."""
    return _EMPTY[number.bit_length()]


class StandingTree:
    """What stands, as one read transaction sees it: now, or as of a past snapshot.

    `kept` has the tree of the past that was asked for last, where it led to the root that was `signed`.
    """

    def __init__(
        self,
        session: Session,
        as_of: int | None = None,
        signed: Digest | None = None,
        kept: "Kept | None" = None,
    ) -> None:
        self._session = session
        self._as_of = as_of
        self._signed = signed
        self._kept: Kept = {} if kept is None else kept
        self._computed: Past | None = None
        self._nodes: dict[int, bytes] = {}

    def root(self) -> Digest:
        return Digest(self._top([1])[0])

    def proof(self, doc_id: str) -> tuple[StandingRow, StandingProof] | None:
        """What stands of this document, and its place in the tree; None when nothing does."""
        bucket = bucket_of(doc_id)
        past = self._past()
        rows = self._session.bucket(bucket) if past is None else past.buckets.get(bucket, [])
        for position, row in enumerate(rows):
            if row.doc_id == doc_id:
                path = inclusion_proof([leaf_hash(other.entry) for other in rows], position)
                number = BUCKETS + bucket
                top = self._top([number >> level ^ 1 for level in range(TOP_LEVELS)])
                return row, StandingProof(position, len(rows), tuple(path), top)
        return None

    def _top(self, numbers: list[int]) -> tuple[bytes, ...]:
        past = self._past()
        if past is not None:
            return tuple(past.nodes.get(number) or empty_node(number) for number in numbers)
        missing = [number for number in numbers if number not in self._nodes]
        if missing:
            self._nodes.update(stored_nodes(self._session, missing))
        return tuple(self._nodes[number] for number in numbers)

    def _past(self) -> "Past | None":
        if self._as_of is not None and self._computed is None:
            self._computed = self._kept.get(self._signed) if self._signed else None
            if self._computed is None:
                self._computed = Past(self._session.standing_at(self._as_of))
                if self._signed and self._computed.root == self._signed:
                    self._kept.clear()
                    self._kept[self._signed] = self._computed
        return self._computed


class Past:
    """The whole tree of a past snapshot, computed from the rows that stood then: linear in their number."""

    def __init__(self, rows: Iterable[StandingRow]) -> None:
        self.buckets: dict[int, list[StandingRow]] = {}
        for row in rows:
            self.buckets.setdefault(bucket_of(row.doc_id), []).append(row)
        leaves = {BUCKETS + bucket: _node_of_rows(rows) for bucket, rows in self.buckets.items()}
        self.nodes = lift(leaves, empty_node)

    @property
    def root(self) -> Digest:
        return Digest(self.nodes.get(1) or empty_node(1))


Kept: TypeAlias = dict[Digest, Past]
"""Trees of the past by their root."""


class Replay:
    """What stood from one snapshot on, each held against the root that was signed for it.

    Raises LedgerError when the rows of the past do not lead there. Linear in what stood first and what moved since.
    """

    def __init__(self, session: Session, first: int, signed: Digest) -> None:
        self._session = session
        self._stood = [(row, entry_of(row)) for row in session.standing_at(first)]
        self._buckets: dict[int, dict[bytes, bytes]] = {}
        for row, entry in self._stood:
            self._bucket(entry.doc_id)[entry.doc_id.encode()] = leaf_hash(row.entry)
        self._nodes: dict[int, bytes] = {}
        self._lift(self._buckets, first, signed)

    def stood(self) -> list[tuple[StandingRow, StandingEntry]]:
        """What stood in the first snapshot."""
        return self._stood

    def step(
        self, snapshot: int, signed: Digest
    ) -> tuple[list[tuple[StandingRow, StandingEntry]], list[tuple[StandingRow, StandingEntry]]]:
        """What ended and what began in this snapshot, the next one."""
        moved = [(row, entry_of(row)) for row in self._session.moved_in(snapshot)]
        ended = [(row, entry) for row, entry in moved if row.until == snapshot]
        began = [(row, entry) for row, entry in moved if row.since == snapshot]
        for _, entry in ended:
            self._bucket(entry.doc_id).pop(entry.doc_id.encode(), None)
        for row, entry in began:
            self._bucket(entry.doc_id)[entry.doc_id.encode()] = leaf_hash(row.entry)
        self._lift({bucket_of(entry.doc_id) for _, entry in moved}, snapshot, signed)
        return ended, began

    def _bucket(self, doc_id: str) -> dict[bytes, bytes]:
        return self._buckets.setdefault(bucket_of(doc_id), {})

    def _lift(self, touched: Collection[int], snapshot: int, signed: Digest) -> None:
        leaves = {BUCKETS + bucket: bucket_node(self._buckets[bucket].items()) for bucket in touched}
        if leaves:
            self._nodes |= lift(leaves, lambda number: self._nodes.get(number) or empty_node(number))
        if (self._nodes.get(1) or empty_node(1)) != signed.value:
            raise LedgerError(
                f"what ledger.db says stood in snapshot {snapshot} is not what was signed: rows were changed from"
                " outside; `trustrag audit` names them, a backup restores them"
            )


class Stood(NamedTuple):
    """What stood of a document before a change: its version's row, and what its signed entry says."""

    row: int
    version: int
    document: Digest
    source: Digest
    source_index: int


class StandingChange:
    """A change of what stands in some buckets: read and checked against the signed root, then altered, then
    stored.

    `doc_ids` are those that may change; None reads all that stands, so that nothing is missing. Raises LedgerError
    when the rows do not lead to `signed`: then the database was changed behind the ledger's back.
    """

    def __init__(self, session: Session, doc_ids: Collection[str] | None, signed: Digest) -> None:
        self._session = session
        self._stood: dict[str, Stood] = {}
        buckets = {bucket_of(doc_id) for doc_id in doc_ids or ()}
        self._buckets: dict[int, dict[bytes, bytes]] = {bucket: {} for bucket in buckets}
        for bucket, row in _filed(session, None if doc_ids is None else buckets):
            # Under another name an entry would lead to the root all the same, and no change of its document
            # would find it: what is taken out or superseded would stay in what is signed next.
            entry = entry_of(row)
            self._stood[row.doc_id] = Stood(
                row.version, entry.version, entry.document, entry.source, entry.source_index
            )
            self._buckets.setdefault(bucket, {})[row.doc_id.encode()] = leaf_hash(row.entry)
        self._beside: Callable[[int], bytes] = empty_node
        if doc_ids is not None:
            self._beside = stored_nodes(session, _beside(self._buckets) or [1]).__getitem__
        if self._lifted()[1] != signed.value:
            raise LedgerError(
                "what ledger.db says stands does not lead to the signed snapshot: rows were changed from"
                " outside; `trustrag audit` names them, a backup restores them"
            )

    def stood(self, doc_id: str) -> Stood | None:
        """What stood of a document before this change, as it was signed; None where nothing did."""
        return self._stood.get(doc_id)

    def all_stood(self) -> Iterable[tuple[str, Stood]]:
        """All that was read, by document: everything that stood, where no documents were named."""
        return self._stood.items()

    def put(self, doc_id: str, entry: bytes) -> None:
        """Lets this entry stand for the document, instead of whatever did."""
        self._buckets.setdefault(bucket_of(doc_id), {})[doc_id.encode()] = leaf_hash(entry)

    def remove(self, doc_id: str) -> None:
        self._buckets[bucket_of(doc_id)].pop(doc_id.encode(), None)

    def store(self) -> Digest:
        """Writes the new nodes and returns the new root."""
        nodes = self._lifted()
        self._session.put_nodes(nodes.items())
        return Digest(nodes[1])

    def _lifted(self) -> dict[int, bytes]:
        if not self._buckets:
            return {1: self._beside(1)}
        leaves = {BUCKETS + bucket: bucket_node(entries.items()) for bucket, entries in self._buckets.items()}
        return lift(leaves, self._beside)


def _filed(session: Session, buckets: Collection[int] | None) -> Iterator[tuple[int, StandingRow]]:
    """What stands in these buckets, or in all of them, each row with its bucket."""
    if buckets is None:
        yield from ((bucket_of(row.doc_id), row) for row in session.standing_now())
    else:
        yield from ((bucket, row) for bucket in buckets for row in session.bucket(bucket))


def entry_of(row: StandingRow) -> StandingEntry:
    """What a row says stood. Raises MalformedError for no entry, LedgerError for one of another document."""
    try:
        entry = StandingEntry.parse(row.entry)
    except MalformedError as error:
        raise MalformedError(
            f"the entry of {row.doc_id} in table standing of ledger.db is none: {error}"
        ) from error
    if entry.doc_id != row.doc_id:
        raise LedgerError(f"an entry of another document is filed in ledger.db as {row.doc_id}")
    return entry


def stored_nodes(session: Session, numbers: Collection[int]) -> dict[int, bytes]:
    """These nodes of the top as stored, or as in an empty tree where nothing is."""
    ordered, found = list(numbers), dict[int, bytes]()
    for start in range(0, len(ordered), _READ_AT_ONCE):
        found |= session.nodes(ordered[start : start + _READ_AT_ONCE])
    return {number: found.get(number) or empty_node(number) for number in ordered}


def _beside(buckets: Iterable[int]) -> list[int]:
    """The heap numbers next to the paths from these buckets to the root."""
    level, beside = {BUCKETS + bucket for bucket in buckets}, list[int]()
    for _ in range(TOP_LEVELS):
        beside += [number ^ 1 for number in level if number ^ 1 not in level]
        level = {number >> 1 for number in level}
    return beside


def _node_of_rows(rows: Iterable[StandingRow]) -> bytes:
    return bucket_node((row.doc_id.encode(), leaf_hash(row.entry)) for row in rows)
