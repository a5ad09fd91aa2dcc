"""Random changes of a published folder: nothing altered is served, and whatever goes wrong is one of our errors."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.attacks.publication import Publication, publication
from tests.attacks.scene import NOW, QUESTION, World, at_home, staged, told
from trustrag.errors import TrustragError
from trustrag.reader import Reader


@pytest.fixture(scope="module")
def made(world: World) -> Iterator[Publication]:
    """One publication for all examples; it is put back after each."""
    with staged(world) as scene:
        yield publication(scene)


def files(made: Publication) -> list[Path]:
    return sorted(path for path in made.folder.rglob("*") if path.is_file())


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_random_change_of_a_publication_is_served_or_a_crash(
    made: Publication, data: st.DataObject
) -> None:
    path = data.draw(st.sampled_from(files(made)))
    before = path.read_bytes()
    bent = bytearray(before)
    match data.draw(st.sampled_from(["flip", "flip", "flip", "cut", "grow", "gone"])):
        case "flip":
            for _ in range(data.draw(st.sampled_from([1, 1, 3, 40]))):
                bent[data.draw(st.integers(0, len(bent) - 1))] ^= data.draw(st.integers(1, 255))
        case "cut":
            del bent[data.draw(st.integers(0, len(bent) - 1)) :]
        case "grow":
            bent += data.draw(st.binary(min_size=1, max_size=50))
        case "gone":
            path.unlink()
    if path.exists():
        path.write_bytes(bent)
    home = made.home.with_name("reader-now")
    shutil.copytree(made.home, home)
    try:
        use(made, home)
    finally:
        path.write_bytes(before)
        shutil.rmtree(home)


def use(made: Publication, home: Path) -> None:
    """Open it, ask, read and audit; only our own errors may stop that."""
    with at_home(home):
        try:
            reader = Reader.open(made.folder, clock=lambda: NOW)
            found = [ranked.passage for ranked in reader.search(QUESTION, k=10).passages]
            found += reader.read("retention.txt")
            found += [r.passage for r in reader.search(QUESTION, where={"audience": "staff"}).passages]
            reader.audit()
        except TrustragError:
            return
    assert {told(passage) for passage in found} <= made.scene.honest
