"""Parsers that we did not write, in a process that may die of what they are given.

PDF, Word, HTML, media and Python source are parsed by other people's code. The limits in `formats` bound what authors
do; they cannot bound a content stream that unpacks without end, a regular expression that never returns, or a fault
in C. Only a process can be ended from outside, and only its memory is bounded by the kernel. So each such file is read
in a process of its own (`parser`), forked off one that has the libraries loaded: a fork costs milliseconds, what it
took is given back when it ends, and it is handed no other file. It has no key: it is started without this process's
environment, and answers in JSON, so that a parser which was taken over can tell lies, and run nothing here.

It is no jail: it may still read what this user can read. `ulimit`, containers and the like go around all of it.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic
from typing import IO, TypeAlias

from trustrag.ingest.reading.formats import TEXT_LIMIT, Extract, Unreadable, one_line

SECONDS_LIMIT = 150
"""Most seconds that one file may take; the reader of PDFs gives up after 120 by itself, with a clearer word."""

MEMORY_LIMIT = 2 * 1024 * 1024 * 1024
"""Most bytes of memory that reading one file may take."""

ISOLATED = frozenset(
    {
        "text/html",
        "application/pdf",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/x-ipynb+json",
    }
)
"""Media types whose readers hand the bytes to other people's parsers, or build far more than the file is long."""

_ANSWER_LIMIT = 6 * TEXT_LIMIT  # a character of JSON in UTF-8 takes at most six bytes: \u0000
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")

Answer: TypeAlias = dict[str, object]


class _Parsers:
    """The process that forks: started when it is first needed, and again after it had to be killed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0

    def ask(self, request: Mapping[str, object], data: bytes, seconds: float) -> Answer:
        """What the parser says of these bytes. Raises Unreadable where it takes too long or dies."""
        with self._lock:
            process = self._running()
            # The limit inside is on the processor's time; this one is on the clock, for what waits or sleeps.
            timer = threading.Timer(seconds + 5, _strike, [process])
            timer.daemon = True
            timer.start()
            began = monotonic()
            try:
                answer = _exchange(process, {**request, "seconds": seconds, "memory": MEMORY_LIMIT}, data)
            except (OSError, ValueError) as error:
                _end(process)
                raise Unreadable(_why(monotonic() - began, seconds)) from error
            except BaseException:
                # Interrupted between question and answer: the next answer would be taken for this one.
                _end(process)
                raise
            finally:
                timer.cancel()
        problem = answer.get("unreadable")
        if problem is not None:
            raise Unreadable(one_line(str(problem)))
        return answer

    def close(self) -> None:
        """End the process, if this one started it."""
        if self._process is not None and self._owner == os.getpid():
            _end(self._process)

    def _running(self) -> "subprocess.Popen[bytes]":
        # A process that was forked off this one must not talk into its parent's pipes.
        if self._process is None or self._owner != os.getpid() or self._process.poll() is not None:
            self._process, self._owner = _start(), os.getpid()
        return self._process


def _strike(process: "subprocess.Popen[bytes]") -> None:
    """Kill it and what it forked. One that is gone is left alone: its number may be another's by now."""
    if process.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _end(process: "subprocess.Popen[bytes]") -> None:
    _strike(process)
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):  # what was left to be flushed has nobody to go to
                stream.close()


def _start() -> "subprocess.Popen[bytes]":
    found = str(Path(__file__).resolve().parents[3])
    path = os.pathsep.join([found, *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | {"PYTHONPATH": path}
    # -P: a json.py in the folder that is being read must not be what the parser imports.
    command = [sys.executable, "-P", "-m", "trustrag.ingest.parser"]
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,  # Ctrl-C is for us; and what it forks is killed together with it
        )
    except OSError as error:
        raise Unreadable(f"its parser cannot be started: {error.strerror}") from error


def _exchange(process: "subprocess.Popen[bytes]", request: Mapping[str, object], data: bytes) -> Answer:
    """One question and its answer. Raises OSError or ValueError where there is none."""
    if process.stdin is None or process.stdout is None:
        raise ValueError("no pipes")
    for part in (json.dumps(request).encode(), data):
        process.stdin.write(len(part).to_bytes(8))
        process.stdin.write(part)
    process.stdin.flush()
    size = int.from_bytes(_exactly(process.stdout, 8))
    if size > _ANSWER_LIMIT:
        raise ValueError("an answer without end")
    answer = json.loads(_exactly(process.stdout, size))
    if not isinstance(answer, dict):
        raise ValueError("no answer")
    return answer


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise ValueError("it died")
    return data


def _why(took: float, seconds: float) -> str:
    if took < seconds:
        return "its parser was killed from outside; is the machine short of memory? Try again"
    return f"not read within {seconds:.0f} seconds; split it, or convert it to text"


_parsers = _Parsers()
atexit.register(_parsers.close)


def extract(data: bytes, media_type: str, *, seconds: float = SECONDS_LIMIT) -> Extract:
    """As `formats.extract`, in a process of its own."""
    answer = _parsers.ask({"task": "extract", "media_type": media_type}, data, seconds)
    text, title = answer.get("text"), answer.get("title")
    if not isinstance(text, str) or not isinstance(title, str) or len(text) > TEXT_LIMIT:
        raise Unreadable("its parser gave no text")
    return Extract(text, title)


def run(task: str, data: bytes = b"", *, seconds: float = SECONDS_LIMIT, **fields: str) -> Answer:
    """Another task of `parser` over these bytes: JSON values by name. Raises Unreadable."""
    return _parsers.ask({"task": task, **fields}, data, seconds)
