"""Takes every check out of the trusted core, one at a time, and looks whether some test fails.

    python -m tests.robustness.mutants [MODULE ...] [--jobs 2] [--list]

A check is whatever can refuse: an `if` that raises (its condition, and each part of one that says `or` / `and`), a call
that is made for nothing but what it may raise, and a comparison that is off its border by one. Each
is removed from a copy of the module's syntax tree, which a process of its own imports in place of the module, and the
tests of the core run against it until one fails. A mutant that every test lets live is named. What was seen to survive
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
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TypeAlias

ROOT = Path(__file__).resolve().parent.parent.parent
CORE = ROOT / "trustrag" / "provenance"
TESTS = ROOT / "tests" / "provenance"
TIMEOUT = 300  # seconds; a mutant that hangs was noticed, too

EQUIVALENT: dict[str, str] = {
    "canonical: never: if not math.isfinite(value)": "RFC 8785 has no infinity: what was read is written again, and refused",
    "canonical: without: isinstance(value, dict) in if isinstance(value, dict) and encode_metadata(value) != data": (
        "what is no object is refused two lines later"
    ),
    "evidence: without: proved.add((digest, index, root))": "a fact that is not remembered is proved again",
}
"""Mutants that no test can tell from the original, and why."""

Change: TypeAlias = tuple[int, str, Callable[[], None]]
"""A line, what is done there, and how."""

_BORDERS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}


@dataclass(frozen=True)
class Mutant:
    """A module with one check less. `what` says which, `line` where."""

    module: str
    line: int
    what: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return f"{self.module}.py:{self.line} {self.what}"


def mutants_of(path: Path) -> Iterator[Mutant]:
    """Every mutant of a module, in the order of its lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    count = sum(1 for _ in _changes(tree))
    for number in range(count):
        bent = copy.deepcopy(tree)
        for at, (line, what, apply) in enumerate(_changes(bent)):
            if at == number:
                apply()
                yield Mutant(path.stem, line, what, ast.fix_missing_locations(bent))
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
    yield node.lineno, f"never: if {ast.unparse(test)}", lambda: setattr(node, "test", ast.Constant(False))
    for part in [item for item in ast.walk(test) if isinstance(item, ast.BoolOp)]:
        neutral = isinstance(part.op, ast.And)
        for place in range(len(part.values)):
            said = f"without: {ast.unparse(part.values[place])} in if {ast.unparse(test)}"
            yield (
                node.lineno,
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
                    node.lineno,
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
            yield statement.lineno, said, lambda place=place: body.__setitem__(place, ast.Pass())


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


def survives(mutant: Mutant) -> bool:
    """Whether every test of the core lets it live. Runs them in a child that dies with its answer."""
    child = os.fork()
    if child == 0:
        os._exit(_judge(mutant))
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status) == 0
        time.sleep(0.02)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return False


def _judge(mutant: Mutant) -> int:
    import hypothesis
    import pytest

    hypothesis.settings.register_profile("mutants", max_examples=25, deadline=None, database=None)
    hypothesis.settings.load_profile("mutants")
    silence = open(os.devnull, "w")  # noqa: SIM115 - for as long as this process lives
    os.dup2(silence.fileno(), 1)
    os.dup2(silence.fileno(), 2)
    sys.meta_path.insert(0, _Finder(mutant))
    own = TESTS / f"test_{mutant.module}.py"
    others = [path for path in sorted(TESTS.glob("test_*.py")) if path != own]
    # The module's own tests notice most of what is wrong with it: the others are not even collected then.
    for files in ([own] if own.exists() else [], others):
        with contextlib.redirect_stdout(io.StringIO()):
            if files and pytest.main(["-x", "-q", "-p", "no:cacheprovider", *map(str, files)]) != 0:
                return 1
    return 0


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
    for heavy in ("pytest", "hypothesis", "nacl.bindings", "rfc8785", "numpy"):
        importlib.import_module(heavy)  # once, for every child
    warnings.simplefilter("ignore")
    started, alive = time.monotonic(), []
    with ThreadPoolExecutor(given.jobs) as pool:
        for number, (mutant, lives) in enumerate(zip(mutants, pool.map(survives, mutants), strict=True), 1):
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
