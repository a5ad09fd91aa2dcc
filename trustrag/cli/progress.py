"""A bar on a terminal while something takes long, out of the way of whatever else has to be said."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

_shown: "list[Progress]" = []


@contextmanager
def progress(what: str) -> Iterator[Callable[[int, int | None, str], None]]:
    """A function to call with (done, total, name); draws a bar where a person is watching, and nothing elsewhere."""
    with _bar(what) as told:
        yield lambda done, total, name: told(what, done, total)


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """As `progress`, for work of several stages: a function to call with (stage, done, total)."""
    with _bar("") as told:
        yield told


@contextmanager
def _bar(what: str) -> Iterator[Callable[[str, int, int | None], None]]:
    if not sys.stderr.isatty() or os.environ.get("CI"):
        yield lambda what, done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)
        _shown.append(bar)
        try:
            yield lambda what, done, total: bar.update(task, description=what, completed=done, total=total)
        finally:
            _shown.remove(bar)


@contextmanager
def paused() -> Iterator[None]:
    """No bar is drawn for as long as this lasts: somebody is being asked something."""
    for bar in _shown:
        bar.stop()
    try:
        yield
    finally:
        for bar in _shown:
            bar.start()
