"""Every bad file costs itself one clear line, a bounded time and bounded memory, and the rest of the run goes on."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.ingest.reading import bad
from tests.ingest.reading.bad import CASES, Case
from tests.ingest.reading.files import pdf
from trustrag.ingest.document import Document, ReadProblem
from trustrag.ingest.reading import isolation
from trustrag.ingest.reading.formats import Unreadable
from trustrag.ingest.reading.readers import read

SLOW = {
    "PDF page of six million operations",
    "notebook of ten million empty cells",
    "PDF page that unpacks to 3 GB",
}
"""Left to `python -m tests.robustness.badinput`: they are bounded, and take their bound."""

QUICK = [case for case in CASES if case.name not in SLOW]


def test_there_are_as_many_as_are_promised() -> None:
    assert len(CASES) >= 40
    assert len({case.name for case in CASES}) == len(CASES)
    assert {case.name for case in CASES} >= SLOW


@pytest.mark.parametrize("case", QUICK, ids=lambda case: case.name)
def test_a_bad_file_is_one_clear_line_and_the_others_are_read(case: Case, tmp_path: Path) -> None:
    (tmp_path / "0-before.md").write_text("Before.")
    (tmp_path / "zz").mkdir()
    (tmp_path / "zz" / "after.md").write_text("After.")
    case.make(tmp_path)
    began = time.monotonic()
    found = list(read([tmp_path]))
    assert time.monotonic() - began < 60
    texts = {item.doc_id: item.text for item in found if isinstance(item, Document)}
    assert texts.pop("0-before.md") == "Before."
    assert texts.pop("zz/after.md") == "After."
    problems = [item for item in found if isinstance(item, ReadProblem)]
    assert all(problem.reason.isprintable() and 5 < len(problem.reason) <= 310 for problem in problems)
    # Most of a JSONL file of bad lines is told by name before the rest of it is not read.
    assert len(problems) <= 101
    if case.says:
        assert any(case.says in problem.reason for problem in problems), problems
        assert not texts
    assert problems or texts


def test_nothing_outside_of_the_folder_was_read(tmp_path: Path) -> None:
    for case in CASES:
        if "passwd" in case.name or "link" in case.name:
            folder = tmp_path / case.name.replace("/", "-")
            folder.mkdir()
            case.make(folder)
    said = json.dumps([item.text if isinstance(item, Document) else item.reason for item in read([tmp_path])])
    assert "root:" not in said


def test_what_takes_too_long_is_ended_and_the_next_file_is_read() -> None:
    began = time.monotonic()
    with pytest.raises(Unreadable, match="not read within 1 seconds"):
        isolation.extract(bad._slow_page(), "application/pdf", seconds=1)
    assert time.monotonic() - began < 15
    assert isolation.extract(pdf("Still here."), "application/pdf").text == "Still here."


def test_what_takes_too_much_memory_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(isolation, "MEMORY_LIMIT", 512 << 20)
    with pytest.raises(Unreadable, match="needs more than 512 MiB of memory"):
        isolation.extract(bad._empty_cells(), "application/x-ipynb+json")
    assert isolation.extract(pdf("Still here."), "application/pdf").text == "Still here."


def test_a_parser_that_is_killed_is_started_again() -> None:
    isolation.extract(pdf("One."), "application/pdf")
    process = isolation._parsers._process
    assert process is not None
    os.kill(process.pid, 9)
    process.wait()
    assert isolation.extract(pdf("Two."), "application/pdf").text == "Two."


def test_a_parser_that_is_killed_at_work_is_told_as_such() -> None:
    isolation.extract(pdf("One."), "application/pdf")
    process = isolation._parsers._process
    assert process is not None
    page = bad._slow_page()
    threading.Timer(0.5, os.killpg, [process.pid, 9]).start()
    with pytest.raises(Unreadable, match="killed from outside"):
        isolation.extract(page, "application/pdf")


def test_a_parser_that_dies_with_its_file_costs_that_file_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    process = isolation._parsers._running()
    with pytest.raises(Unreadable, match="damaged or malformed"):
        isolation.run("no such task")
    assert isolation._parsers._running() is process


def test_the_parser_is_given_no_secret_and_no_module_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolation._parsers.close()
    monkeypatch.setenv("TRUSTRAG_PASSPHRASE_FILE", "/secret")
    (tmp_path / "pypdf.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (tmp_path / "json.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    assert isolation.extract(pdf("Two."), "application/pdf").text == "Two."
    assert not (tmp_path / "ran").exists()
    process = isolation._parsers._process
    assert process is not None
    if Path("/proc/self/environ").exists():
        assert b"PASSPHRASE" not in Path(f"/proc/{process.pid}/environ").read_bytes()


def test_a_whole_folder_of_it_is_read_in_a_gibibyte(tmp_path: Path) -> None:
    """The process that holds the keys has a bound of its own: it reads all of them within it."""
    for number, case in enumerate(CASES):
        if case.name not in SLOW and any(word in case.name for word in ("MB", "million", "terabyte")):
            folder = tmp_path / f"{number:02}"
            folder.mkdir()
            case.make(folder)
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, resource.RLIM_INFINITY))\n"
        "from trustrag.ingest.reading.readers import read\n"
        "print(sum(1 for _ in read([sys.argv[1]])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 10


@pytest.mark.parametrize("task", ["extract", "concealed"])
@pytest.mark.parametrize("media_type", ["text/html", "text/markdown"])
def test_what_a_parser_needs_is_loaded_before_it_forks(task: str, media_type: str) -> None:
    program = (
        "import sys\n"
        "from trustrag.ingest.parser import _answer, _load\n"
        f"_load({task!r}, {media_type!r})\n"
        "before = set(sys.modules)\n"
        f"answer = _answer({{'task': {task!r}, 'media_type': {media_type!r}}}, b'<p>A page.</p>')\n"
        "assert 'unreadable' not in answer, answer\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert [name for name in done.stdout.split() if not name.startswith("encodings.")] == []
