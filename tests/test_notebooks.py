"""Every notebook runs from top to bottom, offline, and what is committed of it tells nothing of a machine."""

import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
LONGEST_CELL = 300  # seconds, on a machine that is busy with other tests
MACHINE = re.compile(
    r"(?<![\w.:/])/(home|root|Users|tmp|private|var|work|mnt|opt|usr|workspace|builds)/[\w.-]+"
)
"""An absolute path of somebody's machine; addresses on the web are none."""


def texts(value: object) -> Iterator[str]:
    """Every string in an output: printed text, data and tracebacks alike."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def machine_paths(notebook: nbformat.NotebookNode) -> list[str]:
    """Paths of this machine in what the cells gave out."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [found[0] for cell in cells for text in texts(cell.outputs) if (found := MACHINE.search(text))]


@pytest.fixture(params=sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")))
def notebook(request: pytest.FixtureRequest) -> nbformat.NotebookNode:
    found = nbformat.read(NOTEBOOKS / request.param, as_version=4)
    nbformat.validate(found)
    return found


def test_it_runs(notebook: nbformat.NotebookNode, tmp_path: Path) -> None:
    client = NotebookClient(
        notebook, timeout=LONGEST_CELL, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    assert machine_paths(notebook) == []


def test_it_is_committed_as_it_ran(notebook: nbformat.NotebookNode) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    assert machine_paths(notebook) == []


def test_the_test_knows_a_path() -> None:
    assert MACHINE.search("made in\n/tmp/tmpabc123/kb")
    assert not MACHINE.search("default/default/wiki, https://example.org/home/page, a/tmp/b")
