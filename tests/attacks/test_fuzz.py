"""The short form of `python -m tests.attacks.fuzz`: the same few changes each time, in the whole test suite."""

from tests.attacks.fuzz import run
from tests.attacks.scene import Scene


def test_no_random_change_of_the_files_is_served_sealed_or_a_crash(scene: Scene) -> None:
    fuzz = run(scene, rounds=100, seed=7)
    assert fuzz.wrong == []
    assert sum(fuzz.seen.values()) > 150
