"""The short form of `python -m tests.attacks.fuzz`: the same few changes each time, in the whole test suite."""

import shutil
import struct

import pytest

from tests.attacks.fuzz import run
from tests.attacks.scene import VECTOR_BYTES, Scene
from trustrag.errors import Refusal


def test_no_random_change_of_the_files_is_served_sealed_or_a_crash(scene: Scene) -> None:
    fuzz = run(scene, changes=200, seed=7)
    assert fuzz.wrong == []
    assert fuzz.rounds > 50
    assert sum(fuzz.seen.values()) > 100


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_a_vector_that_is_no_number_takes_its_own_passage_only(scene: Scene, number: float) -> None:
    """Found by the fuzz: it ended the search of whoever had no index yet in a ValueError."""
    with (scene.folder / "vectors.f32").open("r+b") as file:
        file.seek(scene.chunk("retention.txt") * VECTOR_BYTES)
        file.write(struct.pack("<f", number))
    shutil.rmtree(scene.folder / "index")
    scene.refuses_passage(Refusal.TAMPERED_VECTOR, "retention.txt")
    scene.audit_names("vector was changed")
