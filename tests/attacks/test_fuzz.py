"""The short form of `python -m tests.attacks.fuzz`: the same few changes each time, in the whole test suite."""

from tests.attacks.fuzz import run
from tests.attacks.scene import Scene


def test_no_random_change_of_the_files_is_served_sealed_or_a_crash(scene: Scene) -> None:
    fuzz = run(scene, changes=200, seed=7)
    assert fuzz.wrong == []
    assert fuzz.rounds > 50
    assert sum(fuzz.seen.values()) > 100
