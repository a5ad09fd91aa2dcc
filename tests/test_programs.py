"""Every program under tests/ starts: those that the Makefile and the docs name, and all others that can be run."""

import re
import runpy
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from tests import demo_review
from trustrag.index.embedding import Embedder

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.filterwarnings("ignore:.*found in sys.modules:RuntimeWarning")
PYTHON = [path for path in sorted((ROOT / "tests").rglob("*.py")) if path != Path(__file__).resolve()]


def programs() -> Iterator[str]:
    """Each module under tests/ that `python -m` runs, by the name it is run by."""
    for path in PYTHON:
        if '__name__ == "__main__"' in path.read_text(encoding="utf-8"):
            yield ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")


def shown() -> Iterator[tuple[str, str]]:
    """Each `python -m tests.x [--option]` that is written anywhere, as module and options."""
    told = [ROOT / "Makefile", ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *PYTHON]
    for path in told:
        for line in re.findall(r"-m (tests\b(?!\.bench\.NAME).*)", path.read_text(encoding="utf-8")):
            module, *rest = re.split(r"[^\w.\-]+", line)
            yield module.rstrip("."), " ".join(sorted(word for word in rest if word.startswith("--")))


PROGRAMS = sorted(programs())
SHOWN = sorted({one for one in shown() if one[0] in PROGRAMS})


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(module: str, *arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error of a program, run in this process."""
    out, err = StringIO(), StringIO()
    before, sys.argv = sys.argv, [module, *arguments]
    try:
        with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
            runpy.run_module(module, run_name="__main__")
    finally:
        sys.argv = before
    return int(left.value.code or 0), out.getvalue(), err.getvalue()


@pytest.mark.parametrize("module", PROGRAMS)
def test_a_program_says_what_it_is_for_and_does_nothing_else(module: str, empty: Path, home: Path) -> None:
    status, out, err = run(module, "--help")
    assert (status, err) == (0, "")
    assert out.startswith("usage: ")
    assert len(out.splitlines()) > 4, "its purpose is in its docstring"
    status, out, err = run(module, "--no-such-option")
    assert (status, out) == (2, "")
    assert err.startswith("usage: ")
    assert [*empty.iterdir(), *home.iterdir()] == []


@pytest.mark.parametrize(("module", "options"), SHOWN)
def test_what_is_shown_of_a_program_is_there(module: str, options: str) -> None:
    told = run(module, "--help")[1]
    for option in options.split():
        assert option in told, f"python -m {module} has no {option}"


def test_every_program_that_is_named_is_there() -> None:
    assert {module for module, _ in shown()} <= set(PROGRAMS)


@pytest.mark.filterwarnings("error")
def test_the_life_of_a_poisoned_page_goes_as_it_is_told(
    minilm: Embedder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert demo_review.main([], embedder=minilm) == 0
    told = capsys.readouterr().out
    assert [line.split(".")[0] for line in told.splitlines() if re.match(r"\d", line)] == list("123456789")
    assert "bob rejected: nobody announced a change" in told
