"""docs/history.md is run as it stands: its commands, what they print, and its Python."""

import os
import re
import shlex
from pathlib import Path

import pytest

from tests.cli.script import trustrag

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "history.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


def test_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "retention.md").write_text("Audit logs are kept for 30 days.\n")
    (tmp_path / "docs" / "lunch.md").write_text("Lunch is served at noon.\n")
    for kind, block in BLOCKS:
        if kind == "console":
            for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
                run(command, expected)
        elif kind == "python":
            exec(compile(block, "docs/history.md", "exec"), {})
    told = capsys.readouterr().out
    assert "Audit logs are kept for 30 days." in told
    assert "True ['file', 'attestation'" in told


def run(command: str, expected: str) -> None:
    """One command of the page; `...` stands for anything, also for whole lines."""
    if command.startswith("echo "):
        _, text, arrow, path = shlex.split(command)
        assert arrow == ">"
        Path(os.curdir, path).write_text(text + "\n", encoding="utf-8")
        return
    done = trustrag(*shlex.split(command)[1:])
    assert done.status == 0, done
    printed, skipping = done.out.splitlines(), False
    for line in expected.splitlines():
        if line == "...":
            skipping = True
            continue
        pattern = re.compile(re.escape(line).replace(r"\.\.\.", ".*") + r"\s*")
        while skipping and printed and not pattern.fullmatch(printed[0]):
            printed.pop(0)
        assert printed, f"{command}\n{done.out}\nhas no {line!r}"
        assert pattern.fullmatch(printed.pop(0)), f"{command}\n{done.out}\nhas another line than {line!r}"
        skipping = False
    assert skipping or not printed, f"{command}\nprints more: {printed}"
