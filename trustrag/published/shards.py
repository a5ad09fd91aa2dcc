"""What stands, as files: 1,024 shards of 64 buckets of the standing tree each, and the state that lists them.

    state/SIZE             for the log of SIZE entries: a line of JSON, then root and file digest of each shard
    standing/0a3/DIGEST    one shard as it then was: a line of JSON, a table of its documents, their terms, their records
    vectors/N.f32          the vectors of chunks N * 16384 and on: little-endian float32 rows, zero where none ever stood

A shard is named by its own digest and never changes; a document that moved costs its shard. So the folder holds what
stands, and once older states are cleared away it holds nothing else. All of it is a hint: a passage is served for what
its hashes lead to. Table and terms are there to find records without reading any.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from json.encoder import encode_basestring_ascii
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trustrag.errors import MalformedError
from trustrag.provenance.canonical import Digest, Fields, encode, parse
from trustrag.provenance.merkle import EMPTY_ROOT, leaf_hash, node_hash, root
from trustrag.provenance.standing import BUCKETS, StandingEntry
from trustrag.provenance.statement import Context, EmbedderId

SHARDS: Final = 1 << 10
SHARD_BUCKETS: Final = BUCKETS // SHARDS
PACK_ROWS: Final = 1 << 14
STATE_FORMAT: Final = "urn:trustrag:published-state/v1"
SHARD_FORMAT: Final = "urn:trustrag:published-shard/v1"
MAX_RECORD: Final = 1 << 28  # bytes of one document with all its chunks
MAX_HEADER: Final = 1 << 20

DOCUMENT: Final = np.dtype(
    [
        ("first", "<i8"),  # the id of its first chunk
        ("offset", "<i8"),  # of its record, from the first record
        ("length", "<i8"),
        ("count", "<i4"),  # of its chunks
        ("source", "<i2"),  # its place in the header's list
        ("bucket", "<i2"),  # within the shard
        ("leaf", "V32"),  # the leaf hash of its standing entry
    ]
)
TERM: Final = np.dtype([("term", "<u8"), ("row", "<i4")])  # 8 bytes of a metadata field, and who has it

_LEAST_CHUNK = 160  # bytes that a chunk takes in a record, at least: two digests in hex and some JSON
NO_FILE: Final = bytes(32)
_EMPTY_BUCKET: Final = leaf_hash(EMPTY_ROOT)


def above(hashes: Sequence[bytes]) -> list[list[bytes]]:
    """A complete tree over 2^n hashes, level by level, from these to the root."""
    levels = [list(hashes)]
    while len(levels[-1]) > 1:
        below = levels[-1]
        levels.append([node_hash(below[at], below[at + 1]) for at in range(0, len(below), 2)])
    return levels


def path_in(levels: Sequence[Sequence[bytes]], index: int) -> list[bytes]:
    """The hashes beside the way from one of the lowest to the root."""
    return [level[index >> height ^ 1] for height, level in enumerate(levels[:-1])]


EMPTY_SHARD: Final = above([_EMPTY_BUCKET] * SHARD_BUCKETS)[-1][0]


def term_hash(name: str, term: str) -> int:
    """What stands for a metadata field in the table of terms. Two that share it cost a look at the record."""
    return int.from_bytes(sha256(f"{name}\0{term}".encode(errors="surrogatepass")).digest()[:8], "little")


@dataclass(frozen=True, slots=True)
class State:
    """What stands in one snapshot, by shard: (root, digest of its file; NO_FILE where nothing stands there)."""

    size: int
    snapshot: int
    chunks: int
    context: Context
    embedder: EmbedderId
    shards: tuple[tuple[bytes, bytes], ...]

    def encode(self) -> bytes:
        """The bytes of the state file."""
        header = encode(
            {
                "format": STATE_FORMAT,
                "size": self.size,
                "snapshot": self.snapshot,
                "chunks": self.chunks,
                "context": self.context.to_json(),
                "embedder": {
                    "name": self.embedder.name,
                    "dimension": self.embedder.dimension,
                    "digest": self.embedder.digest.hex,
                },
            }
        )
        return header + b"\n" + b"".join(one + digest for one, digest in self.shards)

    @classmethod
    def parse(cls, data: bytes) -> "State":
        """Reads a state file; raises MalformedError."""
        header, _, body = data.partition(b"\n")
        if len(body) != SHARDS * 64:
            raise MalformedError(f"a state lists {SHARDS} shards")
        fields = Fields(parse(header), "state")
        fields.literal("format", STATE_FORMAT)
        made_with = fields.fields("embedder")
        name, dimension = made_with.text("name"), made_with.integer("dimension", minimum=1, maximum=1 << 16)
        return cls(
            fields.integer("size", minimum=1),
            fields.integer("snapshot", minimum=1),
            fields.integer("chunks", maximum=1 << 40),
            Context.from_fields(fields.fields("context")),
            EmbedderId(name, dimension, made_with.digest("digest")),
            tuple((body[at : at + 32], body[at + 32 : at + 64]) for at in range(0, len(body), 64)),
        )


@dataclass(frozen=True, slots=True)
class Record:
    """One document that stands: its entry, what it was filed under, and its chunks."""

    entry: StandingEntry
    first: int
    source: str
    metadata: bytes
    metadata_digest: Digest
    chunks: tuple["Chunk", ...]

    def encode(self) -> bytes:
        """A line of JSON. Texts are escaped, so that no text has a newline of its own."""
        chunks = ",".join(chunk.encode() for chunk in self.chunks)
        return (
            f'{{"entry":{_quoted(self.entry.encode().decode())},"first":{self.first},'
            f'"source":{_quoted(self.source)},"metadata":{_quoted(self.metadata.decode())},"metadataDigest":"{self.metadata_digest.hex}",'
            f'"chunks":[{chunks}]}}\n'
        ).encode()

    @classmethod
    def parse(cls, data: bytes) -> "Record":
        """Reads a record; raises MalformedError."""
        fields = Fields(parse(data, max_bytes=MAX_RECORD), "record")
        wide = len(data)
        return cls(
            StandingEntry.parse(fields.text("entry", max_bytes=wide).encode()),
            fields.integer("first"),
            fields.text("source", max_bytes=wide),
            fields.text("metadata", max_bytes=wide).encode(),
            fields.digest("metadataDigest"),
            tuple(Chunk.from_fields(item, wide) for item in fields.objects("chunks", maximum=wide)),
        )


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk as it is published, without its vector."""

    text: str
    start: int
    end: int
    text_digest: Digest
    vector_digest: Digest

    def encode(self) -> str:
        """A JSON object."""
        return (
            f'{{"text":{_quoted(self.text)},"start":{self.start},"end":{self.end},'
            f'"textDigest":"{self.text_digest.hex}","vectorDigest":"{self.vector_digest.hex}"}}'
        )

    @classmethod
    def from_fields(cls, fields: Fields, wide: int) -> "Chunk":
        """Reads one."""
        return cls(
            fields.text("text", max_bytes=wide, empty=True),
            fields.integer("start"),
            fields.integer("end"),
            fields.digest("textDigest"),
            fields.digest("vectorDigest"),
        )


def _quoted(text: str) -> str:
    return encode_basestring_ascii(text)


@dataclass(frozen=True, slots=True)
class Filed:
    """One document on its way into a shard: its record, its bucket within it, and the hashes of its terms."""

    record: Record
    bucket: int
    terms: tuple[int, ...]


def shard_file(number: int, documents: Sequence[Filed]) -> tuple[bytes, bytes, bytes]:
    """The shard's root, its file, and the digest of that.

    Requires documents in the order of their buckets and, within one, of their ids in UTF-8.
    """
    names = sorted({item.record.source for item in documents})
    table = np.zeros(len(documents), dtype=DOCUMENT)
    terms: list[tuple[int, int]] = []
    records, offset = [], 0
    for row, item in enumerate(documents):
        data = item.record.encode()
        leaf = leaf_hash(item.record.entry.encode())
        table[row] = (
            item.record.first,
            offset,
            len(data),
            len(item.record.chunks),
            names.index(item.record.source),
            item.bucket,
            np.void(leaf),
        )
        terms += ((term, row) for term in item.terms)
        records.append(data)
        offset += len(data)
    header = encode(
        {
            "format": SHARD_FORMAT,
            "shard": number,
            "documents": len(documents),
            "terms": len(terms),
            "sources": names,
        }
    )
    filed = np.array(sorted(terms), dtype=TERM)
    data = header + b"\n" + table.tobytes() + filed.tobytes() + b"".join(records)
    return above(bucket_leaves(table))[-1][0], data, sha256(data).digest()


def bucket_leaves(table: NDArray[np.void]) -> list[bytes]:
    """The leaves of the standing tree's top that lie in this shard, 64 of them."""
    leaves = [_EMPTY_BUCKET] * SHARD_BUCKETS
    for bucket in np.unique(table["bucket"]).tolist():
        if 0 <= bucket < SHARD_BUCKETS:
            rows = table["leaf"][table["bucket"] == bucket]
            leaves[bucket] = leaf_hash(root([bytes(leaf) for leaf in rows.tolist()]))
    return leaves


@dataclass(frozen=True, slots=True)
class ShardHead:
    """What is read of a shard to find its records: its table, where its terms and records begin."""

    sources: tuple[str, ...]
    table: NDArray[np.void]
    terms_at: int
    terms: int
    records_at: int

    @classmethod
    def parse(cls, data: bytes, number: int, length: int) -> "ShardHead | int":
        """From the beginning of a shard's file of `length` bytes; how many bytes it takes, where there are too few.

        Raises MalformedError for what is no such file, and for a table that names what cannot be.
        """
        header, newline, _ = data[:MAX_HEADER].partition(b"\n")
        if not newline:
            if len(data) >= min(MAX_HEADER, length):
                raise MalformedError("the header of a shard is one line")
            return min(2 * len(data), length)
        fields = Fields(parse(header), "shard")
        fields.literal("format", SHARD_FORMAT)
        if fields.integer("shard") != number:
            raise MalformedError(f"this is not shard {number}")
        documents, terms = fields.integer("documents"), fields.integer("terms")
        sources = tuple(str(name) for name in fields.items("sources", maximum=1 << 15))
        terms_at = len(header) + 1 + documents * DOCUMENT.itemsize
        records_at = terms_at + terms * TERM.itemsize
        if records_at > length:
            raise MalformedError("a shard is cut off within its tables")
        if terms_at > len(data):
            return terms_at
        table = np.frombuffer(data, DOCUMENT, documents, len(header) + 1)
        _require_sound(table, len(sources), length - records_at)
        return cls(sources, table, terms_at, terms, records_at)


def _require_sound(table: NDArray[np.void], sources: int, room: int) -> None:
    """Bounds for whatever is later reckoned with: no number of the table may make us read or allocate beyond the file."""
    if not len(table):
        return
    lengths, offsets = table["length"], table["offset"]
    good = (
        (offsets >= 0)
        & (lengths > 0)
        & (lengths <= min(room, MAX_RECORD))
        & (offsets <= room - lengths)
        & (table["first"] >= 0)
        & (table["first"] < 1 << 40)
        & (table["count"] > 0)
        & (table["count"].astype(np.int64) * _LEAST_CHUNK <= lengths)
        & (table["source"] >= 0)
        & (table["source"] < sources)
        & (table["bucket"] >= 0)
        & (table["bucket"] < SHARD_BUCKETS)
    )
    if not bool(good.all()) or int(lengths.sum()) > room:
        raise MalformedError("the table of a shard names what cannot be in it")
