"""The files of what stands: they come back as they went, and whatever is bent is malformed or bounded."""

from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.errors import MalformedError
from trustrag.provenance import merkle
from trustrag.provenance.canonical import Digest
from trustrag.provenance.standing import StandingEntry
from trustrag.provenance.statement import Context, EmbedderId
from trustrag.published.shards import (
    DOCUMENT,
    EMPTY_SHARD,
    NO_FILE,
    SHARDS,
    Chunk,
    Filed,
    Record,
    ShardHead,
    State,
    above,
    path_in,
    shard_file,
    term_hash,
)

ONE = Digest.of(b"one")
SHARD_LIST = ((EMPTY_SHARD, NO_FILE),) * (SHARDS - 1) + ((b"r" * 32, b"d" * 32),)
STATE = State(17, 4, 900, Context("s", "t", "c"), EmbedderId("e", 8, ONE), SHARD_LIST)


def entry(doc_id: str, count: int) -> StandingEntry:
    return StandingEntry(doc_id, 1, ONE, ONE, 1, ONE, 2, ((ONE, 3),), ONE, count, None)


def filed(doc_id: str, first: int, *texts: str, bucket: int = 3) -> Filed:
    chunks = tuple(Chunk(text, at, at + len(text), ONE, ONE) for at, text in enumerate(texts))
    record = Record(entry(doc_id, len(texts)), first, "acme", b'{"a":1.5}', ONE, chunks)
    return Filed(record, bucket, (term_hash("a", "1.5"),))


DOCUMENTS = (filed("a", 0, "text", "more\n\u2028text"), filed("\u20ac \U0001f600", 9, "x", bucket=63))
ROOT, SHARD, DIGEST = shard_file(5, DOCUMENTS)


def head_of(data: bytes, number: int = 5) -> ShardHead:
    head = ShardHead.parse(data, number, len(data))
    assert isinstance(head, ShardHead)
    return head


def test_a_state_comes_back_as_it_went() -> None:
    assert State.parse(STATE.encode()) == STATE


def test_a_shard_tells_where_its_records_are() -> None:
    head = head_of(SHARD)
    assert Digest.of(SHARD).value == DIGEST
    assert head.sources == ("acme",)
    for row, document in enumerate(DOCUMENTS):
        at = head.records_at + int(head.table[row]["offset"])
        data = SHARD[at : at + int(head.table[row]["length"])]
        assert Record.parse(data) == document.record
        assert data.count(b"\n") == 1


def test_a_shard_says_how_much_of_it_is_needed() -> None:
    want: ShardHead | int = 10
    while isinstance(want, int):
        want = ShardHead.parse(SHARD[:want], 5, len(SHARD))
    assert want.records_at == head_of(SHARD).records_at


@given(st.integers(0, 10), st.data())
def test_a_complete_tree_and_the_way_up(height: int, data: st.DataObject) -> None:
    leaves = [merkle.leaf_hash(b"%d" % number) for number in range(1 << height)]
    index = data.draw(st.integers(0, len(leaves) - 1))
    levels = above(leaves)
    assert levels[-1] == [merkle.root(leaves)]
    assert path_in(levels, index) == merkle.inclusion_proof(leaves, index)


@pytest.mark.parametrize(
    "data", [b"", b"{}\n", STATE.encode()[:-1], STATE.encode() + b"x", b"[]\n" + bytes(65536)]
)
def test_what_is_no_state_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedError):
        State.parse(data)


def test_a_shard_under_another_number_is_malformed() -> None:
    with pytest.raises(MalformedError, match="not shard 6"):
        head_of(SHARD, 6)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("first", -1),
        ("first", 1 << 50),
        ("offset", -1),
        ("offset", 1 << 40),
        ("length", 0),
        ("length", -5),
        ("length", 1 << 40),
        ("count", 0),
        ("count", 1 << 30),
        ("source", 1),
        ("source", -1),
        ("bucket", 64),
        ("bucket", -1),
    ],
)
def test_a_table_that_names_what_cannot_be_is_malformed(column: str, value: int) -> None:
    start = SHARD.index(b"\n") + 1
    table = np.frombuffer(SHARD, DOCUMENT, 2, start).copy()
    table[1][column] = value
    with pytest.raises(MalformedError):
        head_of(SHARD[:start] + table.tobytes() + SHARD[start + table.nbytes :])


@given(st.data())
def test_bent_bytes_raise_nothing_but_malformed(data: st.DataObject) -> None:
    bent = bytearray(SHARD)
    for _ in range(data.draw(st.integers(1, 4))):
        bent[data.draw(st.integers(0, len(bent) - 1))] ^= data.draw(st.integers(1, 255))
    cut = bytes(bent[: data.draw(st.integers(1, len(bent)))])
    try:
        head = ShardHead.parse(cut, 5, len(cut))
    except MalformedError:
        return
    if isinstance(head, ShardHead):
        for where in head.table:
            at = head.records_at + int(where["offset"])
            with suppress(MalformedError):
                Record.parse(cut[at : at + int(where["length"])])
