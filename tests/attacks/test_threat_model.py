"""docs/threat-model.md names tests that exist, and every attack of this folder; and it claims no more than is so."""

import ast
import re
from importlib import import_module
from pathlib import Path

import pytest

from tests.attacks.__main__ import MODULES
from tests.attacks.scene import ATTACKS

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")


def functions(path: Path) -> set[str]:
    """The tests that a file defines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_test_that_it_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    there = {name for path in (ROOT / "tests" / "attacks").glob("test_*.py") for name in functions(path)}
    assert len(named) > 80
    assert named <= there, sorted(named - there)


def test_every_file_that_it_names_exists() -> None:
    for name in re.findall(r"`(tests/[\w/]+\.py)`", TEXT):
        assert (ROOT / name).is_file(), name


def test_it_names_every_attack() -> None:
    for name in MODULES:
        import_module(f"tests.attacks.test_{name}")
    made = {attack.run.__name__ for attack in ATTACKS}
    assert len(made) == len(ATTACKS)
    named = set(re.findall(r"`(test_\w+)`", TEXT))
    assert made <= named, sorted(made - named)


def test_every_test_of_an_attack_is_in_the_table() -> None:
    listed = {attack.run.__name__ for attack in ATTACKS}
    for name in MODULES:
        assert functions(ROOT / "tests" / "attacks" / f"test_{name}.py") <= listed, name


@pytest.mark.parametrize("word", ["immutable", "unhackable", "compliant", "tamper-proof", "unbreakable"])
def test_it_never_says(word: str) -> None:
    assert word not in TEXT.lower()
