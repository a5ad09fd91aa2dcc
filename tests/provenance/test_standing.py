"""Chunk leaves, standing entries and the two trees over them."""

import unicodedata
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from json import loads

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.provenance.forge import Doc, Forge, places, refused
from trustrag.errors import MalformedError, ProofError, Refusal
from trustrag.provenance import merkle
from trustrag.provenance.canonical import Digest, encode, parse
from trustrag.provenance.standing import (
    BUCKETS,
    ChunkLeaf,
    StandingEntry,
    bucket_of,
    bucket_root,
    chunk_leaves,
    chunk_path,
    chunk_root,
    root_of_chunk,
    standing_root,
)

numbers = st.integers(0, 2**53 - 1)
digests = st.binary(min_size=32, max_size=32).map(Digest)
names = st.text(min_size=1, max_size=30).filter(
    lambda name: (
        unicodedata.is_normalized("NFC", name)
        and not any(unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for letter in name)
    )
)
leaves = st.builds(
    ChunkLeaf, digests, numbers, numbers.map(lambda n: n or 1), digests, digests, digests, numbers, numbers
)
entries = st.builds(
    StandingEntry,
    names,
    st.integers(1, 2**53 - 1),
    digests,
    digests,
    numbers,
    digests,
    numbers,
    st.lists(st.tuples(digests, numbers), max_size=3).map(tuple),
    digests,
    st.integers(1, 2**53 - 1),
    st.none() | numbers,
)
DOC = Doc()
FORGE = Forge()
BATCH = FORGE.publish(DOC)
ENTRY = FORGE.entry(BATCH, DOC)


@given(leaves)
def test_a_leaf_is_canonical_and_read_back(leaf: ChunkLeaf) -> None:
    data = leaf.encode()
    assert encode(parse(data)) == data
    assert ChunkLeaf.parse(data) == leaf


@given(entries)
def test_an_entry_is_canonical_and_read_back(entry: StandingEntry) -> None:
    data = entry.encode()
    assert encode(parse(data)) == data
    assert StandingEntry.parse(data) == entry


@given(st.sampled_from([DOC.leaves[0], ENTRY]), st.integers(0, 2000), st.integers(1, 255))
def test_one_changed_byte_is_another_value_or_none(
    value: ChunkLeaf | StandingEntry, at: int, by: int
) -> None:
    data = bytearray(value.encode())
    data[at % len(data)] ^= by
    with suppress(MalformedError):
        read = type(value).parse(bytes(data))
        assert read != value
        assert read.encode() == bytes(data)


@given(st.binary(max_size=99))
def test_noise_is_malformed(noise: bytes) -> None:
    for kind in (ChunkLeaf, StandingEntry):
        with pytest.raises(MalformedError):
            kind.parse(noise)


@pytest.mark.parametrize("value", [DOC.leaves[0], ENTRY])
def test_missing_and_unknown_fields_are_refused(value: ChunkLeaf | StandingEntry) -> None:
    content = loads(value.encode())
    for holder, key in list(places(content)):
        if isinstance(holder, dict):
            kept = holder.pop(key)
            refused(Refusal.MALFORMED, type(value).parse, encode(content))
            holder[key] = kept
            holder["more"] = 1
            refused(Refusal.MALFORMED, type(value).parse, encode(content))
            del holder["more"]
    assert type(value).parse(encode(content)) == value


@pytest.mark.parametrize("doc_id", ["a\nb", "Cafe\u0301", "x" * 1025])
def test_an_entry_for_a_name_that_cannot_be_is_refused(doc_id: str) -> None:
    refused(Refusal.MALFORMED, StandingEntry.parse, replace(ENTRY, doc_id=doc_id).encode())


@given(st.integers(1, 40))
def test_every_chunk_leads_to_the_chunk_root(count: int) -> None:
    texts = [f"chunk {at}" for at in range(count)]
    made = chunk_leaves(
        Digest.of(b"doc"),
        texts,
        [text.encode() for text in texts],
        b"{}",
        [(at, at + 1) for at in range(count)],
    )
    root = chunk_root(made)
    for leaf in made:
        assert root_of_chunk(leaf, chunk_path(made, leaf.index)) == root
        assert leaf.count == count
    assert made[0].text == Digest.of(b"chunk 0")


def test_chunks_come_with_their_vectors_and_spans() -> None:
    with pytest.raises(ValueError, match="shorter"):
        chunk_leaves(Digest.of(b""), ["a", "b"], [b"1"], b"{}", [(0, 1), (1, 2)])
    with pytest.raises(ValueError, match="shorter"):
        chunk_leaves(Digest.of(b""), ["a", "b"], [b"1", b"2"], b"{}", [(0, 1)])


def test_a_bucket_is_the_first_two_bytes_of_the_name() -> None:
    assert bucket_of("guide/logs.md") == int(sha256(b"guide/logs.md").hexdigest()[:4], 16)
    assert 0 <= bucket_of("ä") < BUCKETS == 65_536


def test_the_standing_root_is_a_plain_tree_over_all_buckets() -> None:
    """The forge hashes only what is not empty; here every one of the 65,536 leaves is written out."""
    sealed = FORGE.seal()
    top = [merkle.leaf_hash(merkle.EMPTY_ROOT)] * BUCKETS
    for number, found in FORGE.standing().items():
        top[number] = merkle.leaf_hash(bucket_root([entry.encode() for entry in found]))
    evidence = sealed.passage().evidence
    assert standing_root(evidence.entry, evidence.standing) == Digest(merkle.root(top))
    assert len(evidence.standing.top_path) == 16
    with pytest.raises(ProofError):
        standing_root(evidence.entry, replace(evidence.standing, top_path=evidence.standing.top_path[:15]))
