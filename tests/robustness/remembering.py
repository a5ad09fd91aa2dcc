"""A reader that is asked once: its answers are kept on disk, so that an hour of asking can be interrupted and goes on."""

import json
from pathlib import Path

from trustrag.redteam.reader import Reader


class Remembering:
    """A greedy reader that is never asked the same twice: answers are kept in a file of the folder, where there is one."""

    def __init__(self, reader: Reader, folder: Path | None) -> None:
        self._reader = reader
        self._file = None if folder is None else folder / "answers.jsonl"
        self._known: dict[str, str] = {}
        if self._file is not None and self._file.exists():
            # Who was interrupted may have left half a line.
            whole = [
                line for line in self._file.read_text(encoding="utf-8").splitlines() if line.endswith("]")
            ]
            self._known = dict(map(json.loads, whole))

    def invoke(self, input: str, /) -> str:
        """See `Reader`."""
        if input not in self._known:
            self._known[input] = str(self._reader.invoke(input))
            if self._file is not None:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                with self._file.open("a", encoding="utf-8") as kept:
                    kept.write("\n" + json.dumps([input, self._known[input]]))
        return self._known[input]
