"""The log as static files: c2sp.org/tlog-tiles.

A tile holds up to 256 hashes of one level of the tree, an entry bundle the entries below a tile of level 0. Full ones
never change; the last one of each level is partial, and named by its width.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import NamedTuple

from trustrag.errors import LedgerError
from trustrag.provenance.merkle import HASH_SIZE, Node, consistency_path, inclusion_path, node_hash
from trustrag.published.place import Place

CHECKPOINT = "checkpoint"
PENDING = "checkpoint.pending"
"""A checkpoint that waits for its witnesses; readers go by `checkpoint` until it has them."""

MAX_CHECKPOINT = 1 << 17
WIDTH = 256
_BITS = 8  # levels of the tree in one tile
_MAX_BUNDLE = WIDTH * (2 + 65_535)
_KEPT_TILES = 512
_KEPT_BUNDLES = 8


class Part(NamedTuple):
    """A tile or entry bundle: `number` of its `level` (-1: entries), with `width` of 256 places taken."""

    level: int
    number: int
    width: int

    @property
    def path(self) -> str:
        """Its name below the prefix (tlog-tiles, "Merkle Tree" and "Log entries")."""
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return self.full + partial

    @property
    def full(self) -> str:
        """Its name once it is full."""
        level = "entries" if self.level < 0 else str(self.level)
        return f"tile/{level}/{_number(self.number)}"


def _number(number: int) -> str:
    """1234067 is x001/x234/067."""
    digits = f"{number % 1000:03}"
    while number := number // 1000:
        digits = f"x{number % 1000:03}/{digits}"
    return digits


def parts(old_size: int, new_size: int) -> Iterator[Part]:
    """What a log that grew from `old_size` to `new_size` entries has to publish, entries first."""
    for level in range(-1, 8):
        shift = _BITS * max(level, 0)
        old, new = old_size >> shift, new_size >> shift
        if new == old:
            continue
        for number in range(old // WIDTH, -(-new // WIDTH)):
            yield Part(level, number, min(WIDTH, new - number * WIDTH))


def tile(part: Part, node: Node) -> bytes:
    """The hashes of one tile; `node` as in `provenance.merkle`."""
    start = part.number * WIDTH
    return b"".join(node(_BITS * part.level, start + at) for at in range(part.width))


def bundle(part: Part, entry: Callable[[int], bytes]) -> bytes:
    """The entries of one bundle, each behind its length in two bytes, big-endian."""
    start = part.number * WIDTH
    entries = (entry(start + at) for at in range(part.width))
    return b"".join(len(data).to_bytes(2, "big") + data for data in entries)


class TiledLog:
    """A log of `size` entries, read from its tiles. Nothing in them is verified: proofs are, where they lead.

    Raises LedgerError for a tile or bundle that is missing or has another length than it must have.
    """

    def __init__(self, place: Place, size: int) -> None:
        self._place = place
        self.size = size
        self._tiles: OrderedDict[Part, bytes] = OrderedDict()
        self._bundles: OrderedDict[Part, list[bytes]] = OrderedDict()

    def inclusion(self, index: int) -> list[bytes]:
        """The audit path of the entry at `index`."""
        if not 0 <= index < self.size:
            raise LedgerError(f"log entry {index} is not among the first {self.size}")
        return inclusion_path(index, self.size, self.node)

    def consistency(self, old_size: int, new_size: int) -> list[bytes]:
        """Proves that the first `new_size` entries extend the first `old_size`; empty where there is nothing to prove."""
        if not 0 <= old_size <= new_size <= self.size:
            raise LedgerError(f"the log has {self.size} entries: nothing leads from {old_size} to {new_size}")
        return consistency_path(old_size, new_size, self.node) if old_size else []

    def node(self, level: int, index: int) -> bytes:
        """See `provenance.merkle`: from the tile that holds it, or from those below it within that tile."""
        tile_level, height = divmod(level, _BITS)
        first = index << height
        data = self._tile(self._part(tile_level, first // WIDTH))
        at = first % WIDTH
        if at + (1 << height) > len(data) // HASH_SIZE:
            raise LedgerError(f"the tiles of {self._place.name} do not reach node {index} of level {level}")
        hashes = [data[HASH_SIZE * i : HASH_SIZE * (i + 1)] for i in range(at, at + (1 << height))]
        while len(hashes) > 1:
            hashes = [node_hash(*hashes[i : i + 2]) for i in range(0, len(hashes), 2)]
        return hashes[0]

    def entry(self, index: int) -> bytes:
        """One entry."""
        if not 0 <= index < self.size:
            raise LedgerError(f"log entry {index} is not among the first {self.size}")
        part = self._part(-1, index // WIDTH)
        known = self._bundles.get(part)
        if known is None:
            known = self._bundles[part] = _entries(self._read(part, _MAX_BUNDLE), part)
            if len(self._bundles) > _KEPT_BUNDLES:
                self._bundles.popitem(last=False)
        return known[index % WIDTH]

    def _part(self, level: int, number: int) -> Part:
        taken = (self.size >> _BITS * max(level, 0)) - number * WIDTH
        if taken <= 0:
            raise LedgerError(f"a log of {self.size} entries has no tile {number} at level {level}")
        return Part(level, number, min(WIDTH, taken))

    def _tile(self, part: Part) -> bytes:
        known = self._tiles.get(part)
        if known is None:
            known = self._read(part, WIDTH * HASH_SIZE)[: part.width * HASH_SIZE]
            if len(known) != part.width * HASH_SIZE:
                raise LedgerError(f"{part.path} of {self._place.name} is too short")
            self._tiles[part] = known
            if len(self._tiles) > _KEPT_TILES:
                self._tiles.popitem(last=False)
        return known

    def _read(self, part: Part, limit: int) -> bytes:
        data = self._place.read(part.path, limit)
        if data is None and part.width < WIDTH:
            data = self._place.read(part.full, limit)  # the log went on, and a partial one may be gone then
        if data is None:
            raise LedgerError(f"{part.path} is missing in {self._place.name}")
        return data


def _entries(data: bytes, part: Part) -> list[bytes]:
    found: list[bytes] = []
    at = 0
    while at < len(data) and len(found) < WIDTH:
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        found.append(data[at + 2 : end])
        at = end
    if at != len(data) or len(found) < part.width:
        raise LedgerError(f"entry bundle {part.path} does not hold {part.width} entries")
    return found
