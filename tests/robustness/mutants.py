"""Takes every check out of the trusted core, one at a time, and looks whether some test fails.

    python -m tests.robustness.mutants [MODULE ...] [--jobs 2] [--list]

A check is whatever can refuse: an `if` that raises (its condition, and each part of one that says `or` / `and`), a call
that is made for nothing but what it may raise, and a comparison that is off its border by one. Each
is removed from a copy of the module's syntax tree; a process of its own gives the functions of the module the code that
they have in that tree, and runs those tests of the core that come past it until one fails. A mutant that every test
lets live is named. What was seen to survive and changes nothing that could be observed is listed in EQUIVALENT with
the reason.
"""

import argparse
import ast
import copy
import importlib
import inspect
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FunctionType
from typing import TypeAlias

import coverage
import hypothesis
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
CORE = ROOT / "trustrag" / "provenance"
TESTS = ROOT / "tests" / "provenance"
LIMIT = 60  # seconds of a processor, of which all tests take twenty; a mutant that hangs was noticed, too

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

    @property
    def known(self) -> bool:
        """Whether it is one of those that no test can notice."""
        return f"{self.module}: {self.what}" in EQUIVALENT


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


class _Trial:
    """Lets pytest collect all tests of the core, and then judges mutant after mutant in place of running them."""

    def __init__(self, mutants: Sequence[Mutant], past: Reached, jobs: int) -> None:
        self._mutants = mutants
        self._past = past
        self._jobs = jobs
        self.alive: list[Mutant] = []

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        started = time.monotonic()
        with ThreadPoolExecutor(self._jobs) as pool:
            judged = pool.map(
                lambda mutant: survives(mutant, session, self._tests(mutant, session)), self._mutants
            )
            for number, (mutant, lives) in enumerate(zip(self._mutants, judged, strict=True), 1):
                if lives:
                    self.alive.append(mutant)
                    print(f"{'equivalent' if mutant.known else 'SURVIVES'}: {mutant.name}", flush=True)
                if number % 25 == 0:
                    spent = time.monotonic() - started
                    print(f"{number} of {len(self._mutants)}, {spent:.0f} s", flush=True)
        return True

    def _tests(self, mutant: Mutant, session: pytest.Session) -> list[pytest.Item]:
        """The tests that come past it: those that try a single case first, for they are quick."""
        names = set[str]().union(*(self._past[mutant.module].get(line, set()) for line in mutant.lines))
        chosen = [item for item in session.items if item.nodeid in names]
        return sorted(chosen, key=lambda item: hypothesis.is_hypothesis_test(getattr(item, "function", None)))


def survives(mutant: Mutant, session: pytest.Session, tests: Sequence[pytest.Item]) -> bool:
    """Whether all these tests let it live. Runs them in a child that dies with its answer."""
    child = os.fork()
    if child == 0:
        try:
            # Not by the clock: on a busy machine tests that pass would look like tests that hang.
            resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
            silence = os.open(os.devnull, os.O_WRONLY)
            os.dup2(silence, 1)
            os.dup2(silence, 2)
            graft(mutant)
            for item, following in zip(tests, (*tests[1:], None), strict=True):
                item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                if session.testsfailed:
                    os._exit(1)
            os._exit(0)
        finally:
            os._exit(2)
    came = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if came == 2:
        raise RuntimeError(f"{mutant.name} could not be tried")
    return came == 0


def graft(mutant: Mutant) -> None:
    """Give the functions of the module, wherever they are held already, the code that they have in the mutant.

    Raises RuntimeError where no function differs: then the tests would judge the original.
    """
    module = importlib.import_module(f"trustrag.provenance.{mutant.module}")
    codes = dict(_codes(compile(mutant.tree, str(module.__file__), "exec")))
    changed = 0
    for function in _functions(vars(module), module.__name__):
        code = codes[function.__code__.co_qualname]
        if code != function.__code__:
            function.__code__ = code
            changed += 1
    if not changed:
        raise RuntimeError(f"{mutant.name} changes nothing that runs")


def _codes(code: CodeType) -> Iterator[tuple[str, CodeType]]:
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield inner.co_qualname, inner
            yield from _codes(inner)


def _functions(held: Mapping[str, object], module: str) -> Iterator[FunctionType]:
    """The functions that a module wrote, its methods and properties too; dataclasses write others themselves."""
    for value in held.values():
        if isinstance(value, type) and value.__module__ == module:
            yield from _functions(vars(value), module)
        value = getattr(value, "fget", value)
        value = getattr(value, "__func__", value)
        if callable(value):
            value = inspect.unwrap(value)
        if (
            isinstance(value, FunctionType)
            and value.__module__ == module
            and value.__code__.co_filename != "<string>"
        ):
            yield value


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
    started, trial = time.monotonic(), _Trial(mutants, reached(), given.jobs)
    with tempfile.TemporaryDirectory() as folder:
        # The plug-ins that happen to be installed are slow to import, and none of them is needed.
        os.environ |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_DEBUG_TEMPROOT": folder}
        options = ["-s", "-p", "no:terminal", "-p", "no:cacheprovider", "-p", "pytest_asyncio.plugin"]
        if pytest.main([*options, str(TESTS)], plugins=[trial]) != pytest.ExitCode.OK:
            sys.exit("the tests cannot be collected")
    unknown = [mutant for mutant in trial.alive if not mutant.known]
    # Were these noticed, then the tests would fail for another reason than the mutant.
    listed = [mutant.name for mutant in mutants if mutant.known and mutant not in trial.alive]
    print("".join(f"noticed, and listed as equivalent: {name}\n" for name in listed), end="")
    print(
        f"{len(mutants)} mutants of {len(paths)} modules: {len(mutants) - len(trial.alive)} noticed, "
        f"{len(trial.alive) - len(unknown)} equivalent, {len(unknown)} survived, in {time.monotonic() - started:.0f} s"
    )
    sys.exit(1 if unknown or listed else 0)


if __name__ == "__main__":
    main()
