"""What stands, as hashes: the chunk tree of one document version, and the standing tree of a collection.

A chunk leaf binds a chunk's text, vector and metadata to its document and its place in it. A standing entry
binds a document version to its chunk root and to the envelopes that speak for it. Entries lie in 65,536
buckets by the first two bytes of SHA-256(docId); each bucket is an RFC 6962 tree over its entries, sorted by
the UTF-8 bytes of docId, and the top is an RFC 6962 tree over the bucket roots. So one changed document costs
one bucket and sixteen hashes, however many there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from json.encoder import encode_basestring
from typing import Final

from trustrag.errors import MalformedError
from trustrag.provenance import merkle
from trustrag.provenance.canonical import Digest, Fields, parse
from trustrag.provenance.names import MAX_DOC_ID_BYTES, check_text

BUCKETS: Final = 1 << 16
TOP_LEVELS: Final = 16


@dataclass(frozen=True, slots=True)
class ChunkLeaf:
    """One chunk by its digests: chunk `index` of `count`, from character `start` to `end` of the document.

    `vector` is the digest of the little-endian float32 bytes, `metadata` that of the document's metadata.
    """

    document: Digest
    index: int
    count: int
    text: Digest
    vector: Digest
    metadata: Digest
    start: int
    end: int

    def encode(self) -> bytes:
        """Canonical JSON: hex and integers need no escaping, so it is written without an encoder."""
        return (
            f'{{"count":{self.count},"document":"{self.document.hex}","end":{self.end},"index":{self.index},'
            f'"metadata":"{self.metadata.hex}","start":{self.start},"text":"{self.text.hex}",'
            f'"vector":"{self.vector.hex}"}}'
        ).encode()

    @classmethod
    def parse(cls, data: bytes) -> "ChunkLeaf":
        """Reads what `encode` wrote; raises MalformedError, and nothing else, on anything else."""
        fields = Fields(parse(data), "leaf")
        leaf = cls(
            document=fields.digest("document"),
            index=fields.integer("index"),
            count=fields.integer("count", minimum=1),
            text=fields.digest("text"),
            vector=fields.digest("vector"),
            metadata=fields.digest("metadata"),
            start=fields.integer("start"),
            end=fields.integer("end"),
        )
        if leaf.encode() != data:
            raise MalformedError("the leaf has unknown fields or is not in canonical form")
        return leaf


def chunk_leaves(
    document: Digest,
    texts: Sequence[str],
    vectors: Sequence[bytes],
    metadata: bytes,
    spans: Sequence[tuple[int, int]],
) -> tuple[ChunkLeaf, ...]:
    """The leaves of one document version; `vectors` are little-endian float32 bytes, one for each text.

    Raises ValueError when the three sequences differ in length.
    """
    of_metadata = Digest.of(metadata)
    count = len(texts)
    return tuple(
        ChunkLeaf(
            document, index, count, Digest.of(text.encode()), Digest.of(vector), of_metadata, span[0], span[1]
        )
        for index, (text, vector, span) in enumerate(zip(texts, vectors, spans, strict=True))
    )


def chunk_root(leaves: Sequence[ChunkLeaf]) -> Digest:
    """The root of a document version's chunk tree."""
    return Digest(merkle.root([merkle.leaf_hash(leaf.encode()) for leaf in leaves]))


def chunk_path(leaves: Sequence[ChunkLeaf], index: int) -> tuple[bytes, ...]:
    """Proves the chunk at `index`; `root_of_chunk` is its other half."""
    return tuple(merkle.inclusion_proof([merkle.leaf_hash(leaf.encode()) for leaf in leaves], index))


def root_of_chunk(leaf: ChunkLeaf, path: Sequence[bytes]) -> Digest:
    """The chunk root that this leaf and path lead to. Raises ProofError for a path of the wrong shape."""
    return Digest(merkle.root_from_inclusion(leaf.index, leaf.count, merkle.leaf_hash(leaf.encode()), path))


@dataclass(frozen=True, slots=True)
class StandingEntry:
    """One document version that stands, and the envelopes that speak for it: (envelope digest, log index)."""

    doc_id: str
    version: int
    document: Digest
    source: Digest
    source_index: int
    ingest: Digest
    ingest_index: int
    reviews: tuple[tuple[Digest, int], ...]
    chunk_root: Digest
    chunk_count: int
    expires: int | None

    def encode(self) -> bytes:
        """Canonical JSON; only docId needs an encoder. `expires` is in unix seconds."""
        reviews = ",".join(f'{{"envelope":"{digest.hex}","index":{index}}}' for digest, index in self.reviews)
        return (
            f'{{"chunkCount":{self.chunk_count},"chunkRoot":"{self.chunk_root.hex}",'
            f'"docId":{encode_basestring(self.doc_id)},"document":"{self.document.hex}",'
            f'"expires":{"null" if self.expires is None else self.expires},'
            f'"ingest":{{"envelope":"{self.ingest.hex}","index":{self.ingest_index}}},"reviews":[{reviews}],'
            f'"source":{{"envelope":"{self.source.hex}","index":{self.source_index}}},"version":{self.version}}}'
        ).encode()

    @classmethod
    def parse(cls, data: bytes) -> "StandingEntry":
        """Reads what `encode` wrote; raises MalformedError, and nothing else, on anything else."""
        fields = Fields(parse(data), "entry")
        source, ingest = fields.fields("source"), fields.fields("ingest")
        entry = cls(
            doc_id=fields.text("docId"),
            version=fields.integer("version", minimum=1),
            document=fields.digest("document"),
            source=source.digest("envelope"),
            source_index=source.integer("index"),
            ingest=ingest.digest("envelope"),
            ingest_index=ingest.integer("index"),
            reviews=tuple(
                (review.digest("envelope"), review.integer("index"))
                for review in fields.objects("reviews", maximum=64)
            ),
            chunk_root=fields.digest("chunkRoot"),
            chunk_count=fields.integer("chunkCount", minimum=1),
            expires=fields.nullable("expires", fields.integer),
        )
        check_text(entry.doc_id, "docId", MAX_DOC_ID_BYTES)
        if entry.encode() != data:
            raise MalformedError("the entry has unknown fields or is not in canonical form")
        return entry


@dataclass(frozen=True, slots=True)
class StandingProof:
    """The way from an entry to the standing root: its place in its bucket, and the bucket's way to the top.

    The bucket's own number is not in it: it follows from the entry's docId.
    """

    position: int
    bucket_size: int
    bucket_path: tuple[bytes, ...]
    top_path: tuple[bytes, ...]


def bucket_of(doc_id: str) -> int:
    """The bucket of a document: the first two bytes of SHA-256(docId)."""
    return int.from_bytes(sha256(doc_id.encode()).digest()[:2], "big")


def bucket_root(entries: Sequence[bytes]) -> bytes:
    """The root of one bucket over its encoded entries, in the order of their docIds' UTF-8 bytes."""
    return merkle.root([merkle.leaf_hash(entry) for entry in entries])


def standing_root(entry: StandingEntry, proof: StandingProof) -> Digest:
    """The standing root that this entry and proof lead to; ProofError for a proof of the wrong shape."""
    leaf = merkle.leaf_hash(entry.encode())
    bucket = merkle.root_from_inclusion(proof.position, proof.bucket_size, leaf, proof.bucket_path)
    number = bucket_of(entry.doc_id)
    return Digest(merkle.root_from_inclusion(number, BUCKETS, merkle.leaf_hash(bucket), proof.top_path))
