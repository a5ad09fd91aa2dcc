"""The words that people and machines type here exist and say what they do."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import trustrag

ROOT = Path(__file__).resolve().parent.parent


def test_make_alone_lists_every_target() -> None:
    done = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = dict(re.findall(r"make ([\w-]+) +(\S.*)", done.stdout))
    declared = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert declared is not None
    assert set(listed) == set(declared.group(1).split())
    assert {"demo", "test", "lint", "bench", "interop"} <= set(listed)


def test_continuous_integration_can_be_started() -> None:
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_what_is_declared_is_what_is_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == "trustrag-provenance"
    assert project["scripts"] == {"trustrag": "trustrag.cli:main"}
    assert project["license"] == "Apache-2.0"
    assert "Version 2.0, January 2004" in (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert (ROOT / "trustrag" / "py.typed").exists()
    assert re.fullmatch(r"\d+\.\d+\.\d+", trustrag.__version__)
