"""Copies of a workspace that can be attacked and thrown away.

A copy has everything of its own: ledger, trust root, private keys and rollback memory. The user's memory
must not see a copy grow, or it would take the original for rolled back; so each copy lives under a
TRUSTRAG_HOME of its own, which is set for this process while the copy is opened.
"""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from trustrag.workspace import AnyEmbedder, Workspace

_HOME = "TRUSTRAG_HOME"


class RememberingEmbedder:
    """The workspace's embedder, asked once for each text: every copy embeds the same questions again."""

    def __init__(self, workspace: Workspace) -> None:
        self._inner = workspace.embedder
        self._passages: dict[str, NDArray[np.float32]] = {}
        self._questions: dict[str, NDArray[np.float32]] = {}
        self.id = self._inner.id

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """float32[n, d], unit rows."""
        new = [text for text in dict.fromkeys(texts) if text not in self._passages]
        if new:
            self._passages.update(zip(new, self._inner.embed(new), strict=True))
        if not texts:
            return self._inner.embed([])
        return np.stack([self._passages[text] for text in texts])

    def embed_query(self, text: str) -> NDArray[np.float32]:
        """float32[d], of length one."""
        if text not in self._questions:
            self._questions[text] = self._inner.embed_query(text)
        return self._questions[text]


class Scratch:
    """Makes copies of one workspace below a temporary folder that goes with it."""

    def __init__(self, workspace: Workspace, place: Path, ask_passphrase: Callable[[], bytes] | None) -> None:
        self.embedder = RememberingEmbedder(workspace)
        self._workspace = workspace
        # Looked up now: a moment later TRUSTRAG_HOME says where a copy's keys are.
        self._held = workspace.authority.keyring.folder
        self._place = place
        # Every copy has to be unlocked, and people are asked once.
        self._ask = None if ask_passphrase is None else cache(ask_passphrase)

    @contextmanager
    def copy(self, name: str) -> Iterator[Workspace]:
        """A copy of the workspace as it stands, open until the context ends, and deleted then."""
        place = self._place / name
        folder, home = place / "kb", place / "home"
        self._copy_files(folder, home)
        before = os.environ.get(_HOME)
        os.environ[_HOME] = str(home)
        try:
            with Workspace.open(folder, embedder=self.embedder, ask_passphrase=self._ask) as copy:
                yield copy
        finally:
            if before is None:
                del os.environ[_HOME]
            else:
                os.environ[_HOME] = before
            shutil.rmtree(place, ignore_errors=True)

    def _copy_files(self, folder: Path, home: Path) -> None:
        original = self._workspace
        shutil.copytree(original.folder, folder)
        root = original.authority.keys_folder
        if not root.is_relative_to(original.folder):
            # A trust root beside the workspace moves into the copy: the attacker's keys must not go there.
            shutil.copytree(root, folder / "keys", dirs_exist_ok=True)
            replace(original.settings, keys="keys").write(folder)
        home.mkdir(mode=0o700, parents=True)
        shutil.copytree(self._held, home / "keys" / self._held.name)


@contextmanager
def scratch(
    folder: str | Path,
    ask_passphrase: Callable[[], bytes] | None = None,
    *,
    embedder: AnyEmbedder | None = None,
) -> Iterator[Scratch]:
    """Copies of the workspace in `folder`; nothing of the original is written. One at a time in a process.

    `embedder` is needed where the workspace was made with an embedder object.

    The private keys of the workspace are copied with it, encrypted if they are, and deleted at the end.
    Raises `ConfigError` where there is no workspace, or where its keys are not held here.
    """
    with (
        Workspace.open(folder, embedder=embedder, ask_passphrase=ask_passphrase) as workspace,
        TemporaryDirectory(prefix="trustrag-redteam-") as place,
    ):
        yield Scratch(workspace, Path(place), ask_passphrase)
