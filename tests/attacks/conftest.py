"""One honest store for all attacks, and a copy of it for each."""

from collections.abc import Iterator

import pytest

from tests.attacks.scene import Scene, World, build, staged


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The honest store, built once."""
    return build(tmp_path_factory.mktemp("world"))


@pytest.fixture
def scene(world: World) -> Iterator[Scene]:
    """A copy of it that may be bent."""
    with staged(world) as made:
        yield made
