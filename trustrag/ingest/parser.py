"""The other side of `reading.isolation`: `python -m trustrag.ingest.parser`, one fork a file.

It reads length-prefixed requests (a JSON object, then bytes) and answers each with one length-prefixed JSON object.
"""

import importlib
import json
import os
import resource
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import cache
from typing import IO

from trustrag.ingest.reading import Unreadable, extract, one_line

_LOADED_FIRST = {
    "application/pdf": ("pypdf",),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ("docx",),
    "bandit": ("bandit.core.config", "bandit.core.manager"),
    "concealed": ("trustrag.ingest.screening.concealed", "lxml.html"),
}
_PAGE = b"<html><body><p>A page of our own.</p></body></html>"

_RESERVE = 16 * 1024 * 1024


def _extract(request: Mapping[str, object], data: bytes) -> dict[str, object]:
    found = extract(data, str(request["media_type"]))
    return {"text": found.text, "title": found.title}


def _concealed(request: Mapping[str, object], data: bytes) -> dict[str, object]:
    """What a page holds and does not show: see `screening.concealed`."""
    from trustrag.ingest.screening.concealed import pieces

    return {"pieces": [asdict(piece) for piece in pieces(str(request["media_type"]), data)]}


def _bandit(request: Mapping[str, object], data: bytes) -> dict[str, object]:
    """Every issue that bandit finds in Python source, `# nosec` or not: whoever hides something writes that too."""
    from bandit.core.config import BanditConfig
    from bandit.core.manager import BanditManager

    with tempfile.NamedTemporaryFile(suffix=".py") as file:
        file.write(data)
        file.flush()
        manager = BanditManager(BanditConfig(), "file", quiet=True, ignore_nosec=True)
        manager.discover_files([file.name])
        manager.run_tests()
    issues = [
        {
            "line": issue.lineno,
            "test": issue.test_id,
            "severity": issue.severity,
            "confidence": issue.confidence,
            "cwe": issue.cwe.id,
            "text": one_line(issue.text),
        }
        for issue in manager.get_issue_list()
    ]
    return {"issues": issues, "parsed": not manager.skipped}


def _c2pa(request: Mapping[str, object], data: bytes) -> dict[str, object]:
    """What the Content Credentials of a media file come to; nothing is fetched, whatever they ask for."""
    from c2pa import C2paError, Context, Reader, Settings

    offline = {"verify": {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": False}}
    path, kind = str(request["path"]), str(request["format"])
    try:
        with open(path, "rb") as stream, Context(settings=Settings.from_dict(offline)) as context:
            reader = Reader.try_create(kind, stream, context=context)
            if reader is None:
                return {"verdict": "none"}
            state = str(reader.get_validation_state())
            results = reader.get_validation_results() or {}
    except C2paError as error:
        # A kind of file that cannot hold credentials has none; one whose insides make no sense may have lost them.
        unsupported = isinstance(error, C2paError.NotSupported)
        return {"verdict": "none" if unsupported else one_line(f"unreadable: {error}")}
    failures = (results.get("activeManifest") or {}).get("failure") or []
    code = next((str(item.get("code")) for item in failures if isinstance(item, dict)), "")
    verdict = "invalid" if state == "Invalid" else "valid"
    return {"verdict": one_line(f"{verdict}: {code}" if code and verdict == "invalid" else verdict)}


_TASKS: dict[str, Callable[[Mapping[str, object], bytes], dict[str, object]]] = {
    "extract": _extract,
    "concealed": _concealed,
    "bandit": _bandit,
    "c2pa": _c2pa,
}


def main() -> None:
    """Answer until the questions end."""
    questions, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        request = _frame(questions)
        if not request:
            return
        data = _frame(questions)
        answer = _forked(json.loads(request), data)
        answers.write(len(answer).to_bytes(8) + answer)
        answers.flush()


def _frame(stream: IO[bytes]) -> bytes:
    return stream.read(int.from_bytes(stream.read(8)))


def _forked(request: Mapping[str, object], data: bytes) -> bytes:
    """The answer of a child that does this alone; if it dies, what it died of."""
    _load(str(request["task"]), str(request.get("media_type")))
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _work(request, data, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as stream:
        answer = stream.read()
    _, status = os.waitpid(child, 0)
    if status == 0:
        return answer
    return json.dumps({"unreadable": _obituary(status, request)}).encode()


@cache
def _load(task: str, media_type: str) -> None:
    """What a task needs, loaded before forking and so once; trafilatura loads most of itself with its first page."""
    for kind in (task, media_type):
        for name in _LOADED_FIRST.get(kind, ()):
            importlib.import_module(name)
    if media_type == "text/html":
        extract(_PAGE, media_type)


def _work(request: Mapping[str, object], data: bytes, writing: int) -> None:
    """The child: never returns. Its limits are its own, so the one that forks keeps none of them."""
    status = 1
    try:
        # Questions and answers are the business of the one that forks: its pipes are not for hostile bytes to reach.
        nowhere = os.open(os.devnull, os.O_RDWR)
        os.dup2(nowhere, 0)
        os.dup2(nowhere, 1)
        _limit(int(str(request["memory"])), int(float(str(request["seconds"]))) + 1)
        answer = _answer(request, data)
        with os.fdopen(writing, "wb") as stream:
            stream.write(json.dumps(answer, ensure_ascii=False).encode("utf-8", "replace"))
        status = 0
    finally:
        os._exit(status)


def _answer(request: Mapping[str, object], data: bytes) -> dict[str, object]:
    # Given back when memory runs out: to say so takes some.
    reserve = [bytes(_RESERVE)]
    try:
        return _TASKS[str(request["task"])](request, data)
    except Unreadable as error:
        if isinstance(error.__cause__, MemoryError):
            reserve.clear()
            return {"unreadable": _memory(request)}
        return {"unreadable": str(error)}
    except MemoryError:
        reserve.clear()
        return {"unreadable": _memory(request)}
    except Exception as error:
        return {"unreadable": one_line(f"damaged or malformed ({type(error).__name__}: {error})")}


def _limit(memory: int, seconds: int) -> None:
    for kind, most in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(kind)
        wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
        try:
            resource.setrlimit(kind, (wanted, hard))
        except (OSError, ValueError):
            # Not every system bounds the address space (macOS does not); the clock still ends what grows.
            continue


def _obituary(status: int, request: Mapping[str, object]) -> str:
    if not os.WIFSIGNALED(status):
        return "its parser gave up; the file is damaged"
    number = os.WTERMSIG(status)
    if number == signal.SIGXCPU:
        return (
            f"not read within {float(str(request['seconds'])):.0f} seconds; split it, or convert it to text"
        )
    if number == signal.SIGKILL:
        return _memory(request)
    return f"its parser crashed ({signal.Signals(number).name}); the file is damaged"


def _memory(request: Mapping[str, object]) -> str:
    return f"needs more than {int(str(request['memory'])) // (1 << 20):,} MiB of memory to be read; split it"


if __name__ == "__main__":
    main()
