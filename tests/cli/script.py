"""A test is a script with its files in it.

    # what the script shows
    trustrag init kb --embedder hash --no-passphrase
    out 'Made workspace'
    2 trustrag -w nowhere search anything
    err 'is not a workspace'
    -- docs/a.md --
    Audit logs are kept for ninety days.

A line is a command; `1 trustrag` and `2 trustrag` expect that exit status. What follows looks at the last run:
`out` and `err` search a regular expression in its streams, `no-out` and `no-err` must not find it, `json PATH VALUE`
walks into its standard output (`#` is a length). `copy`, `remove`, `write FILE TEXT`, `append FILE TEXT`, `home NAME` and
`set NAME VALUE` change the world between runs; `$NAME` in a line is what `keep NAME PATH` kept of the last JSON.

Every run is held to what is promised of all: no traceback, an error in one line, and with --json nothing but JSON.
"""

import io
import json
import re
import shlex
import shutil
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from trustrag.cli import main

_FILE = re.compile(r"^-- (.+) --\n", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Run:
    """What one run of the command left behind."""

    status: int
    out: str
    err: str

    @property
    def data(self) -> object:
        """Its standard output as JSON."""
        return json.loads(self.out)


def trustrag(*arguments: str) -> Run:
    """Run the command in this process, and hold it to what is promised of every run."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as left:
        main(arguments)
    run = Run(int(left.value.code or 0), out.getvalue(), err.getvalue())
    said = f"trustrag {shlex.join(arguments)}\n{run}"
    assert "Traceback" not in run.err + run.out, said
    assert "internal error" not in run.err, said
    complaints = [line for line in run.err.splitlines() if not line.startswith("trustrag: note: ")]
    if run.status == 2 and arguments:
        assert len(complaints) == 1, said
        assert complaints[0].startswith("trustrag: "), said
        assert not run.out, said
    if "--json" in arguments and run.out:
        json.loads(run.out)
    return run


def walk(value: object, path: str) -> object:
    """The part of a JSON value at a path such as `passages.0.source`; `#` is a length, `.` the whole."""
    for step in path.split(".") if path != "." else ():
        if step == "#":
            assert isinstance(value, Sequence)
            value = len(value)
        elif isinstance(value, list):
            value = value[int(step)]
        else:
            assert isinstance(value, dict)
            value = value[step]
    return value


class Script:
    """One script, run in a folder of its own (which must be the current one)."""

    def __init__(self, text: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        commands, *files = _FILE.split(text)
        for name, content in zip(files[::2], files[1::2], strict=True):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content, encoding="utf-8")
        self._lines = [line for line in commands.splitlines() if line and not line.startswith("#")]
        self._folder = folder
        self._monkeypatch = monkeypatch
        self._kept: dict[str, str] = {}
        self._last = Run(0, "", "")

    def run(self) -> None:
        """Every line in turn; the first that does not hold fails, by name."""
        for line in self._lines:
            for name, value in self._kept.items():
                line = line.replace(f"${name}", value)
            self._do(line, *shlex.split(line))

    def _do(self, line: str, verb: str, *rest: str) -> None:
        match verb:
            case "trustrag" | "1" | "2" | "130":
                self._last = trustrag(*rest[verb != "trustrag" :])
                expected = 0 if verb == "trustrag" else int(verb)
                assert self._last.status == expected, f"{line}\n{self._last}"
            case "out" | "err" | "no-out" | "no-err":
                stream = self._last.err if verb.endswith("err") else self._last.out
                found = re.search(rest[0], stream, re.MULTILINE) is not None
                assert found is not verb.startswith("no-"), f"{line}\n{self._last}"
            case "json":
                assert str(walk(self._last.data, rest[0])) == rest[1], f"{line}\n{self._last.out}"
            case "keep":
                self._kept[rest[0]] = str(walk(self._last.data, rest[1]))
            case "set":
                self._monkeypatch.setenv(*rest)
            case "home":
                self._monkeypatch.setenv("TRUSTRAG_HOME", str(self._folder / rest[0]))
            case _:
                _change(verb, *map(Path, rest[:1]), *rest[1:])


def _change(verb: str, path: Path, argument: str = "") -> None:
    match verb:
        case "write":
            path.write_text(argument + "\n", encoding="utf-8")
        case "append":
            path.write_text(path.read_text(encoding="utf-8") + argument + "\n", encoding="utf-8")
        case "copy" if path.is_dir():
            shutil.copytree(path, argument)
        case "copy":
            shutil.copyfile(path, argument)
        case "remove" if path.is_dir():
            shutil.rmtree(path)
        case "remove":
            path.unlink()
        case _:
            pytest.fail(f"no such verb: {verb}")
