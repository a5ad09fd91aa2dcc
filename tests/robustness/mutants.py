"""Takes every check out of the trusted core, one at a time, and looks whether some test fails.

    python -m tests.robustness.mutants [MODULE ...] [--jobs 2] [--list]

A check is whatever can refuse: an `if` that raises (its condition, and each part of one that says `or` / `and`), a call
that is made for nothing but what it may raise, and a comparison that is off its border by one. Each
is removed from a copy of the module's syntax tree, which a process of its own imports in place of the module, and those
tests of the core that come past it run until one fails. A mutant that every test lets live is named. What was seen to survive
and changes nothing that could be observed is listed in EQUIVALENT with the reason.
"""

import argparse
import ast
import contextlib
import copy
import importlib.abc
import importlib.machinery
import importlib.util
import io
import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

import coverage
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
CORE = ROOT / "trustrag" / "provenance"
TESTS = ROOT / "tests" / "provenance"
LIMIT = 120  # seconds of a processor, of which all tests take twenty; a mutant that hangs was noticed, too

EQUIVALENT: dict[str, str] = {
    "canonical: never: if not math.isfinite(value)": "RFC 8785 has no infinity: what was read is written again, and refused",
    "canonical: without: isinstance(value, dict) in if isinstance(value, dict) and encode_metadata(value) != data": (
        "what is no object is refused two lines later"
    ),
    "evidence: without: proved.add((digest, index, root))": "a fact that is not remembered is proved again",
}
"""Mutants that no test can tell from the original, and why."""

Change: TypeAlias = tuple[ast.expr, str, Callable[[], None]]
"""A place, what is done there, and how."""

Reached: TypeAlias = dict[str, dict[int, set[str]]]
"""The tests that come past each line of each module."""

_BORDERS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}


@dataclass(frozen=True)
class Mutant:
    """A module with one check less. `what` says which, `lines` where."""

    module: str
    lines: range
    what: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return f"{self.module}.py:{self.lines.start} {self.what}"


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every mutant of a module, in the order of its lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    count = sum(1 for _ in _changes(tree))
    for number in range(count):
        bent = copy.deepcopy(tree)
        for at, (place, what, apply) in enumerate(_changes(bent)):
            if at == number:
                lines = range(place.lineno, (place.end_lineno or place.lineno) + 1)
                apply()
                yield Mutant(path.stem, lines, what, ast.fix_missing_locations(bent))
                break


def _changes(tree: ast.Module) -> Iterator[Change]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and _refuses(node.body):
            yield from _conditions(node)
        for field, value in ast.iter_fields(node):
            if field in ("body", "orelse", "finalbody") and isinstance(value, list):
                yield from _calls(node, value)


def _refuses(body: Sequence[ast.stmt]) -> bool:
    """Whether this is where something is refused: it ends in a raise, or in a call of a method that only raises."""
    last = body[-1]
    return isinstance(last, ast.Raise) or (
        isinstance(last, ast.Expr)
        and isinstance(last.value, ast.Call)
        and isinstance(last.value.func, ast.Attribute)
        and last.value.func.attr == "_refuse"
    )


def _conditions(node: ast.If) -> Iterator[Change]:
    test = node.test
    yield test, f"never: if {ast.unparse(test)}", lambda: setattr(node, "test", ast.Constant(False))
    for part in [item for item in ast.walk(test) if isinstance(item, ast.BoolOp)]:
        neutral = isinstance(part.op, ast.And)
        for place in range(len(part.values)):
            said = f"without: {ast.unparse(part.values[place])} in if {ast.unparse(test)}"
            yield (
                test,
                said,
                lambda part=part, place=place, neutral=neutral: part.values.__setitem__(
                    place, ast.Constant(neutral)
                ),
            )
    for compare in [item for item in ast.walk(test) if isinstance(item, ast.Compare)]:
        for place, operator in enumerate(compare.ops):
            other = _BORDERS.get(type(operator))
            if other is not None:
                said = f"border: {ast.unparse(compare)} as {other.__name__}"
                yield (
                    test,
                    said,
                    lambda compare=compare, place=place, other=other: compare.ops.__setitem__(place, other()),
                )


def _calls(node: ast.AST, body: list[ast.stmt]) -> Iterator[Change]:
    for place, statement in enumerate(body):
        if (
            isinstance(statement, ast.Expr)
            and isinstance(statement.value, ast.Call)
            and not _refuses([statement])
        ):
            said = f"without: {ast.unparse(statement)}"
            yield statement.value, said, lambda place=place: body.__setitem__(place, ast.Pass())


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports the mutant where the module is asked for."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self._name = f"trustrag.provenance.{mutant.module}"

    def find_spec(
        self, name: str, path: object, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self._name:
            return None
        return importlib.util.spec_from_loader(name, self, origin=str(CORE / f"{self._mutant.module}.py"))

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._mutant.tree, f"<{self._mutant.name}>", "exec"), module.__dict__)


class _Only:
    """Has pytest run these tests alone, those of the module's own file first."""

    def __init__(self, tests: set[str], module: str) -> None:
        self._tests = tests
        self._own = f"test_{module}.py::"

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = sorted(
            (item for item in items if item.nodeid in self._tests),
            key=lambda item: self._own not in item.nodeid,
        )


def reached() -> Reached:
    """Runs all tests of the core once, on the code as it is, and looks which lines they come past.

    Raises RuntimeError where one fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "coverage"
        run = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(TESTS)]
        run += ["--cov=trustrag.provenance", "--cov-context=test", "--cov-report="]
        done = subprocess.run(
            run, cwd=ROOT, env=os.environ | {"COVERAGE_FILE": str(file)}, capture_output=True
        )
        if done.returncode != 0:
            raise RuntimeError(f"the tests fail without any mutant:\n{done.stdout.decode()[-2000:]}")
        data = coverage.CoverageData(str(file))
        data.read()
        return {
            path.stem: {
                line: {context.rpartition("|")[0] for context in contexts if context}
                for line, contexts in data.contexts_by_lineno(str(path)).items()
            }
            for path in CORE.glob("*.py")
        }


def survives(mutant: Mutant, tests: set[str]) -> bool:
    """Whether all these tests let it live. Runs them in a child that dies with its answer."""
    child = os.fork()
    if child == 0:
        # Not by the clock: on a busy machine tests that pass would look like tests that hang.
        resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
        os._exit(_judge(mutant, tests))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def _judge(mutant: Mutant, tests: set[str]) -> int:
    silence = open(os.devnull, "w")  # noqa: SIM115 - for as long as this process lives
    os.dup2(silence.fileno(), 1)
    os.dup2(silence.fileno(), 2)
    os.chdir(ROOT)
    sys.meta_path.insert(0, _Finder(mutant))
    # The plug-ins that happen to be installed take longer to import than most tests to run.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    given = ["-x", "-q", "-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin"]
    given += sorted({test.partition("::")[0] for test in tests})
    with contextlib.redirect_stdout(io.StringIO()):
        came = pytest.main(given, plugins=[_Only(tests, mutant.module)])
    return int(came not in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("modules", nargs="*", help="by default all of trustrag/provenance")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--list", action="store_true", help="name the mutants and run nothing")
    given = parser.parse_args()
    paths = [path for path in sorted(CORE.glob("*.py")) if not given.modules or path.stem in given.modules]
    mutants = [mutant for path in paths for mutant in mutants_of(path)]
    if given.list:
        print("\n".join(mutant.name for mutant in mutants))
        return
    for heavy in ("hypothesis", "nacl.bindings", "rfc8785", "numpy"):
        importlib.import_module(heavy)  # once, for every child
    warnings.simplefilter("ignore")
    started, alive, past = time.monotonic(), [], reached()
    tests = [set().union(*(past[one.module].get(line, set()) for line in one.lines)) for one in mutants]
    with ThreadPoolExecutor(given.jobs) as pool:
        judged = zip(mutants, pool.map(survives, mutants, tests), strict=True)
        for number, (mutant, lives) in enumerate(judged, 1):
            if lives:
                known = f"{mutant.module}: {mutant.what}" in EQUIVALENT
                alive.append((mutant.name, known))
                print(f"{'equivalent' if known else 'SURVIVES'}: {mutant.name}", flush=True)
            if number % 25 == 0:
                print(f"{number} of {len(mutants)}, {time.monotonic() - started:.0f} s", flush=True)
    unknown = sum(not known for _, known in alive)
    print(
        f"{len(mutants)} mutants of {len(paths)} modules: {len(mutants) - len(alive)} noticed, {len(alive) - unknown} "
        f"equivalent, {unknown} survived, in {time.monotonic() - started:.0f} s"
    )
    sys.exit(1 if unknown else 0)


if __name__ == "__main__":
    main()
