"""c2sp.org/tlog-tiles: names, widths and bytes; and proofs read from tiles are those of the tree."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustrag.errors import LedgerError
from trustrag.provenance import merkle
from trustrag.published.place import open_place
from trustrag.published.tiles import Part, TiledLog, bundle, parts, tile

ENTRIES = [b"entry %d " % number * (number % 5) for number in range(700)]
LEAVES = [merkle.leaf_hash(entry) for entry in ENTRIES]


def node(level: int, index: int) -> bytes:
    return merkle.root(LEAVES[index << level : (index + 1) << level])


def written(folder: Path, old: int, new: int) -> None:
    """What a log that grew from `old` to `new` adds to its folder."""
    for part in parts(old, new):
        path = folder / part.path
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bundle(part, ENTRIES.__getitem__) if part.level < 0 else tile(part, node))


@pytest.mark.parametrize(
    ("part", "path"),
    [
        (Part(0, 1_234_067, 256), "tile/0/x001/x234/067"),
        (Part(0, 5, 256), "tile/0/005"),
        (Part(2, 0, 1), "tile/2/000.p/1"),
        (Part(-1, 1000, 255), "tile/entries/x001/000.p/255"),
        (Part(-1, 999, 256), "tile/entries/999"),
    ],
)
def test_names_are_those_of_the_specification(part: Part, path: str) -> None:
    assert part.path == path


def test_the_examples_of_the_specification() -> None:
    tiles = [part for part in parts(0, 70_000) if part.level >= 0]
    full = [part for part in tiles if part.width == 256]
    assert [sum(part.level == level for part in full) for level in (0, 1, 2)] == [273, 1, 0]
    partial = [(part.level, part.width) for part in tiles if part.width < 256]
    assert partial == [(0, 112), (1, 17), (2, 1)]
    assert [(p.level, p.number, p.width) for p in parts(0, 256) if p.level >= 0] == [(0, 0, 256), (1, 0, 1)]


@given(st.lists(st.integers(0, 70_000), min_size=2, max_size=4).map(sorted))
def test_growing_by_steps_leaves_every_full_part_written(sizes: list[int]) -> None:
    steps = {part for old, new in zip([0, *sizes], sizes, strict=False) for part in parts(old, new)}
    whole = set(parts(0, sizes[-1]))
    assert whole <= steps


def test_a_bundle_holds_each_entry_behind_its_length() -> None:
    data = bundle(Part(-1, 0, 3), [b"", b"ab", b"c" * 300].__getitem__)
    assert data == b"\x00\x00" + b"\x00\x02ab" + b"\x01\x2c" + b"c" * 300


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 513, 700])
def test_proofs_from_tiles_are_those_of_the_tree(tmp_path: Path, size: int) -> None:
    written(tmp_path, 0, size)
    log = TiledLog(open_place(tmp_path), size)
    for index in {0, size // 3, size // 2, size - 1}:
        assert log.entry(index) == ENTRIES[index]
        assert log.inclusion(index) == merkle.inclusion_proof(LEAVES[:size], index)
    for old in {1, size // 2 or 1, size}:
        assert log.consistency(old, size) == merkle.consistency_proof(LEAVES[:size], old)
    assert log.consistency(0, size) == []


def test_a_full_tile_stands_in_for_a_partial_one_that_is_gone(tmp_path: Path) -> None:
    written(tmp_path, 0, 600)
    log = TiledLog(open_place(tmp_path), 200)
    assert log.inclusion(7) == merkle.inclusion_proof(LEAVES[:200], 7)
    assert log.entry(199) == ENTRIES[199]


@pytest.mark.parametrize("name", ["tile/0/002.p/188", "tile/entries/002.p/188"])
@pytest.mark.parametrize("how", ["missing", "short", "long"])
def test_what_is_missing_or_of_another_length_is_named(tmp_path: Path, name: str, how: str) -> None:
    written(tmp_path, 0, 700)
    path = tmp_path / name
    data = path.read_bytes()
    if how == "missing":
        path.unlink()
    else:
        path.write_bytes(data[:-1] if how == "short" else data + b"\x00")
    log = TiledLog(open_place(tmp_path), 700)
    if how == "long" and "entries" not in name:
        assert log.inclusion(699) == merkle.inclusion_proof(LEAVES, 699)
        return
    ask = log.entry if "entries" in name else log.inclusion
    with pytest.raises(LedgerError, match="002"):
        ask(699)


def test_beyond_the_log_there_is_nothing(tmp_path: Path) -> None:
    written(tmp_path, 0, 10)
    log = TiledLog(open_place(tmp_path), 10)
    for act in (
        lambda: log.entry(10),
        lambda: log.entry(-1),
        lambda: log.inclusion(10),
        lambda: log.consistency(3, 11),
        lambda: log.consistency(4, 3),
        lambda: log.node(3, 1),
        lambda: log.node(8, 0),
    ):
        with pytest.raises(LedgerError):
            act()
