"""Every notebook runs from top to bottom, offline, and what is committed of it tells nothing of a machine."""

import json
import re
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


def outputs(notebook: nbformat.NotebookNode) -> list[str]:
    """The JSON of each output: text, data and tracebacks alike."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [json.dumps(output, ensure_ascii=False) for cell in cells for output in cell.outputs]


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
    assert not any(MACHINE.search(output) for output in outputs(notebook))


def test_it_is_committed_as_it_ran(notebook: nbformat.NotebookNode) -> None:
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not any(output.output_type == "error" for cell in code for output in cell.outputs)
    assert [found[0] for output in outputs(notebook) if (found := MACHINE.search(output))] == []


def test_the_test_knows_a_path() -> None:
    assert MACHINE.search("made in /tmp/tmpabc123/kb")
    assert not MACHINE.search("default/default/wiki, https://example.org/home/page, a/tmp/b")
