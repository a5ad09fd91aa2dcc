"""No pickle runs anything: what is not plain data is refused by name."""

import io
import os
import pickle
import pickletools
import struct
import time
from collections import OrderedDict, deque
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.errors import MalformedError
from trustrag.ingest.moving.unpickle import Instance, unpickle

DOCUMENT = "langchain_core.documents.base.Document"
CLASSES = frozenset({DOCUMENT})

KEYS = st.text() | st.integers(-(2**60), 2**60) | st.booleans() | st.none() | st.floats(allow_nan=False)
PLAIN = st.recursive(
    KEYS,
    lambda inner: (
        st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner) | st.sets(st.text())
    ),
    max_leaves=20,
)


@given(PLAIN, st.integers(2, 5))
def test_plain_data_is_what_pickle_makes_of_it(value: object, protocol: int) -> None:
    data = pickle.dumps(value, protocol=protocol)
    assert unpickle(data, CLASSES) == pickle.loads(data) == value
    assert unpickle(pickletools.optimize(data), CLASSES) == value


def test_a_document_is_a_name_and_a_state() -> None:
    from langchain_core.documents import Document

    made = unpickle(pickle.dumps(Document(page_content="x", metadata={"a": 1}, id="d")), CLASSES)
    assert isinstance(made, Instance)
    assert made.of == DOCUMENT
    assert isinstance(made.state, dict)
    assert made.state["__dict__"] == {
        "id": "d",
        "metadata": {"a": 1},
        "page_content": "x",
        "type": "Document",
    }


class Runs:
    """What an attacker pickles."""

    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


def text(value: str) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value.encode()


def named(name: str) -> bytes:
    module, _, last = name.rpartition(".")
    return text(module) + text(last) + b"\x93"


START, END = b"\x80\x04", b"."
NEW = named(DOCUMENT) + b")\x81"


@pytest.fixture
def mark(tmp_path: Path) -> Path:
    return tmp_path / "ran"


def attacks(mark: Path) -> dict[str, tuple[bytes, str]]:
    """What is refused, and what the line names."""
    touch = f"touch {mark}"
    return {
        "os.system": (pickle.dumps(Runs(os.system, (touch,))), "posix.system"),
        "os.system, protocol 0": (f"cos\nsystem\n(S'{touch}'\ntR.".encode(), "os.system"),
        "os.system, protocol 2": (pickle.dumps(Runs(os.system, (touch,)), protocol=2), "posix system".replace(" ", ".")),
        "eval": (pickle.dumps(Runs(eval, ("1",))), "builtins.eval"),
        "getattr": (pickle.dumps(Runs(getattr, ("", "join"))), "builtins.getattr"),
        "nested in a list": (pickle.dumps([{"a": Runs(os.system, (touch,))}]), "posix.system"),
        "nested in a reduce": (pickle.dumps(Runs(set, (Runs(list, (Runs(os.system, (touch,)),)),))), "builtins.list"),
        "a dotted name of ours": (START + text(DOCUMENT[:-9]) + text("Document.__init__") + b"\x93" + END, ".__init__"),
        "a class within a class": (START + named(DOCUMENT + ".__class__") + END, "__class__"),
        "INST": (b"(S'" + touch.encode() + b"'\nios\nsystem\n.", "STRING"),
        "OBJ": (START + b"(" + named(DOCUMENT) + b"o" + END, "OBJ"),
        "NEWOBJ_EX": (START + named(DOCUMENT) + b")}\x92" + END, "NEWOBJ_EX"),
        "NEWOBJ with arguments": (START + named(DOCUMENT) + text("x") + b"\x85\x81" + END, "not a plain document"),
        "NEWOBJ of a set": (START + named("builtins.set") + b")\x81" + END, "not a plain document"),
        "NEWOBJ of a text": (START + text("x") + b")\x81" + END, "not a plain document"),
        "REDUCE of a document": (START + named(DOCUMENT) + b")R" + END, "it calls " + DOCUMENT),
        "REDUCE of a text": (START + text("x") + b")R" + END, "it calls x"),
        "REDUCE of a set of no list": (START + named("builtins.set") + text("abc") + b"\x85R" + END, "it calls builtins.set"),
        "BUILD of a class": (START + named(DOCUMENT) + b"}b" + END, "fills a _Name"),
        "BUILD of a dict": (START + b"}}b" + END, "fills a dict"),
        "BUILD twice": (START + NEW + b"}b}b" + END, "twice"),
        "SETITEM into a document": (START + NEW + text("a") + text("b") + b"s" + END, "fills a Instance"),
        "APPEND to a document": (START + NEW + text("a") + b"a" + END, "fills a Instance"),
        "a class as a value": (START + named(DOCUMENT) + END, "more than one value, or none"),
        "a class for a key": (START + b"}" + named(DOCUMENT) + b"Ns" + END, "for a key"),
        "a list for a key": (START + b"}]Ns" + END, "for a key"),
        "extension registry": (START + b"\x82\x01" + END, "EXT1"),
        "persistent id": (START + text("x") + b"Q" + END, "BINPERSID"),
        "persistent id in text": (b"Px\n.", "PERSID"),
        "out of band buffer": (b"\x80\x05\x97.", "NEXT_BUFFER"),
        "bytes": (pickle.dumps(b"x"), "SHORT_BINBYTES"),
        "a date": (pickle.dumps(datetime(2026, 1, 1)), "datetime.datetime"),
        "an ordered dict": (pickle.dumps(OrderedDict(a=1)), "collections.OrderedDict"),
        "a deque": (pickle.dumps(deque([1])), "collections.deque"),
        "a mark in the memo": (START + b"(\x94" + b"h\x00" + END, "more than one value"),
        "a memo that is not there": (START + b"h\x05" + END, "no sound pickle"),
        "a memo of nothing": (START + b"\x94" + END, "no sound pickle"),
        "an empty stack": (START + b"a" + END, "no sound pickle"),
        "a mark that is missing": (START + b"]e" + END, "without a mark"),
        "a mark for a value": (START + b"}(Ns" + END, "mark"),
        "an odd dict": (START + b"(Nd" + END, "key without a value"),
        "two values": (START + b"NN" + END, "more than one value"),
        "nothing": (b"", "no sound pickle"),
        "no end": (START + b"N", "no sound pickle"),
        "more after the end": (START + b"N." + pickle.dumps(Runs(os.system, (touch,))), "more than one value"),
        "a length that lies": (START + b"\x8d" + struct.pack("<Q", 1 << 40) + b"x" + END, "no sound pickle"),
        "a negative length": (START + b"X" + struct.pack("<I", 0xFFFFFFFF) + b"x" + END, "no sound pickle"),
        "a huge number": (START + b"\x8b" + struct.pack("<i", 1 << 20) + b"\x01" * (1 << 20) + END, "LONG4"),
        "half a character": (START + b"\x8c\x01\xff" + END, "no sound pickle"),
        "text": (b"I am no pickle", "pickle"),
    }  # fmt: skip


@pytest.mark.parametrize("name", [*attacks(Path("x"))])
def test_an_attack_is_refused_by_name_and_runs_nothing(name: str, mark: Path) -> None:
    data, says = attacks(mark)[name]
    with pytest.raises(MalformedError) as caught:
        unpickle(data, CLASSES)
    assert says in str(caught.value)
    assert str(caught.value).isprintable()
    assert not mark.exists()


def test_the_attacks_are_attacks(mark: Path) -> None:
    """The module of the standard library runs what is refused here."""
    pickle.loads(attacks(mark)["os.system"][0])
    assert mark.exists()


def test_set_state_is_not_called() -> None:
    made = unpickle(START + NEW + b"}" + text("__setstate__") + text("x") + b"sb" + END, CLASSES)
    assert isinstance(made, Instance)
    assert made.state == {"__setstate__": "x"}


@pytest.mark.parametrize("opening", [b"]", b"(", b"}N", b"]\x94h\x00a"])
def test_depth_and_length_cost_no_more_than_they_are_long(opening: bytes) -> None:
    data = START + opening * 300_000 + b"a" * 299_999 + END
    began = time.process_time()
    with suppress(MalformedError):
        unpickle(data, CLASSES)
    assert time.process_time() - began < 10


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_one_error(data: bytes) -> None:
    for program in (data, START + data + END):
        with suppress(MalformedError):
            unpickle(program, CLASSES)


@given(st.data())
def test_a_pickle_with_one_byte_changed_runs_nothing(data: st.DataObject) -> None:
    whole = bytearray(pickle.dumps([{"a": 1, "b": [1.5, "x", None]}, ("y", {"z"})]))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    with suppress(MalformedError):
        unpickle(bytes(whole), CLASSES)


def test_what_it_reads_is_told_by_pickletools() -> None:
    """Every instruction that the protocols 2 to 5 write for plain data is one that it knows."""
    out = io.StringIO()
    pickletools.dis(pickle.dumps([{"a": {1}}, ("x", 1.5, 2**40, None, True)]), out=out)
    assert "EMPTY_SET" in out.getvalue()
