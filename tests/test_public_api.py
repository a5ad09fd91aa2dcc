"""The public names are a decision: complete, sorted, and cheap to import."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import trustrag
import trustrag.errors

HEAVY = (
    "torch",
    "faiss",
    "langchain_core",
    "langchain_text_splitters",
    "tuf",
    "sentence_transformers",
    "numpy",
)


def loaded_after(code: str) -> set[str]:
    """The top-level modules in memory after running `code` in a fresh interpreter."""
    program = f"{code}\nimport json, sys\nprint(json.dumps(sorted({{m.split('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_all_is_sorted_and_names_each_thing_once() -> None:
    assert trustrag.__all__ == sorted(set(trustrag.__all__))


@pytest.mark.parametrize("name", trustrag.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(trustrag, name).__name__ == name


def test_nothing_public_is_left_out() -> None:
    face = ast.parse(Path(trustrag.__file__).read_text(encoding="utf-8"))
    imported = {
        alias.asname or alias.name
        for node in ast.walk(face)
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("trustrag")
        for alias in node.names
    }
    assert imported == set(trustrag.__all__)


def test_every_error_is_public() -> None:
    errors = {
        name
        for name, value in vars(trustrag.errors).items()
        if isinstance(value, type) and value.__module__ == "trustrag.errors"
    }
    assert errors <= set(trustrag.__all__)


def test_dir_offers_what_all_promises() -> None:
    assert set(trustrag.__all__) <= set(dir(trustrag))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Wrokspace'"):
        getattr(trustrag, "Wrokspace")  # noqa: B009


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_after("import trustrag").isdisjoint(HEAVY)


@pytest.mark.parametrize("module", ["trustrag.provenance.evidence", "trustrag.trustroot", "trustrag.keyring"])
def test_proving_and_keys_load_nothing_heavy(module: str) -> None:
    assert loaded_after(f"import {module}").isdisjoint(HEAVY)


def test_the_command_shows_its_help_without_loading_anything_heavy() -> None:
    code = """
import contextlib, io, sys
from trustrag.cli import main
sys.argv = ["trustrag", "--help"]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
"""
    assert loaded_after(code).isdisjoint(HEAVY)


def test_importing_the_package_needs_no_development_dependency() -> None:
    assert loaded_after("import trustrag").isdisjoint({"pytest", "hypothesis", "mypy", "jsonschema"})
