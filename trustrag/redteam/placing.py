"""Bringing poison into a copy of a workspace: with real keys by the ordinary way in, or past it.

New keys are sources that the operator has just let in: as trusted as any other, and on probation. Aged keys
have left it. A stolen key is that of the honest source that answers most of the questions.
"""

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeAlias

from trustrag.errors import TrustragError
from trustrag.provenance.evidence import VerifiedPassage
from trustrag.redteam.campaign import KeyKind, Poison, Target
from trustrag.redteam.results import Placed
from trustrag.workspace import Source, Workspace

_PREFIX = "redteam-"

ADVISORY = ("bait", "floods", "gibberish", "injection", "markers", "hubs", "contradiction")
"""Screens of content that tell and don't hold while poison is brought: what is measured is what stands behind the
door, against an attacker whose texts pass it. What they hold is measured by itself (docs/screening.md)."""


@dataclass(frozen=True, slots=True)
class Paper:
    """A document as `Workspace.ingest_documents` takes it."""

    page_content: str
    id: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Foothold:
    """What the attacker holds in a copy after the campaign."""

    placed: Placed
    documents: frozenset[str]
    """Ids of poison that came as documents of its own."""
    versions: Mapping[str, int]
    """Of each document that was replaced: the last honest version."""
    texts: frozenset[str]
    """What was written over stored passages."""

    def wrote(self, passage: VerifiedPassage) -> bool:
        """Whether a passage that was served is the attacker's."""
        later = passage.version > self.versions.get(passage.doc_id, passage.version)
        return passage.doc_id in self.documents or later or passage.text in self.texts


Progress: TypeAlias = Callable[[int, int], None]
"""Called with how many texts were brought, and how many there are."""


def place(
    workspace: Workspace,
    poisons: Sequence[Poison],
    targets: Sequence[Target],
    progress: Progress = lambda done, total: None,
) -> Foothold:
    """Bring a campaign, in the order of its weeks, one key after another."""
    run = _Run(workspace, targets, lambda done: progress(done, len(poisons)))
    run.register(poisons)
    for _, week in groupby(poisons, key=lambda poison: poison.week):
        brought: dict[str, list[tuple[Paper, Poison]]] = {}
        for poison in week:
            if poison.kind is not KeyKind.NONE:
                brought.setdefault(run.source_of(poison), []).append((run.paper(poison), poison))
            elif poison.replaces is not None:
                run.overwrite(poison)
            else:
                run.push_in(poison)
        for source, papers in brought.items():
            run.publish(source, papers)
    return run.foothold()


class _Run:
    """One campaign on its way in."""

    def __init__(
        self, workspace: Workspace, targets: Sequence[Target], progress: Callable[[int], None]
    ) -> None:
        self._workspace = workspace
        self._progress = progress
        self._settled = 0
        self._sources = {one.doc_id: one.source for target in targets for one in target.honest}
        counts = Counter(one.source for target in targets for one in target.honest)
        self._stolen = [name for name, _ in counts.most_common()]
        self._count: Counter[str] = Counter()
        self._documents: set[str] = set()
        self._versions: dict[str, int] = {}
        self._texts: set[str] = set()
        self._new: tuple[Source, ...] = ()

    def register(self, poisons: Iterable[Poison]) -> None:
        """Let the attacker's own keys in, in one policy for each kind."""
        for kind in (KeyKind.NEW, KeyKind.AGED):
            keys = sorted({poison.key for poison in poisons if poison.kind is kind})
            if keys:
                names = [f"{_PREFIX}{kind.value}-{key}" for key in keys]
                made = self._workspace.add_sources(names)
                self._new += made if kind is KeyKind.NEW else ()

    def source_of(self, poison: Poison) -> str:
        """The source as which a poison is signed."""
        if poison.kind is not KeyKind.STOLEN:
            return f"{_PREFIX}{poison.kind.value}-{poison.key}"
        if poison.replaces is not None:
            return self._sources[poison.replaces]
        return self._stolen[poison.key % len(self._stolen)] if self._stolen else f"{_PREFIX}nobody"

    def paper(self, poison: Poison) -> Paper:
        """The document that carries a poison: one of its own, or the next version of an honest one."""
        if poison.replaces is not None:
            self._versions[poison.replaces] = self._workspace.history.document(poison.replaces)[-1].version
            return Paper(self._edited(poison), poison.replaces, _titled(poison))
        self._count["named"] += 1
        name = f"{_PREFIX}{self._count['named']}"
        if not poison.innocent:
            self._documents.add(name)
        return Paper(poison.text, name, _titled(poison))

    def publish(self, source: str, papers: Sequence[tuple[Paper, Poison]]) -> None:
        """Sign as the source and take in; what raises counts as refused."""
        poisoned = {paper.id for paper, poison in papers if not poison.innocent}
        self._count["brought"] += len(poisoned)
        settled = self._settled
        self._settled += len(papers)
        try:
            report = self._workspace.ingest_documents(
                [paper for paper, _ in papers],
                source=source,
                advisory=ADVISORY,
                progress=lambda done, total, name: self._progress(settled + done),
            )
        except TrustragError:
            self._count["refused"] += len(poisoned)
            return
        for fate in ("admitted", "quarantined", "refused"):
            self._count[fate] += sum(one.doc_id in poisoned for one in getattr(report, fate))

    def push_in(self, poison: Poison) -> None:
        """Try to bring a text that nobody signed."""
        self._count["brought"] += 1
        paper = self.paper(poison)
        try:
            self._workspace.ingest_documents([paper])
        except TrustragError:
            self._count["refused"] += 1
        else:
            self._count["admitted"] += 1

    def overwrite(self, poison: Poison) -> None:
        """Change the stored bytes of a passage, as somebody with a shell on the machine could."""
        self._count["brought"] += 1
        self._workspace.close()
        with sqlite3.connect(self._workspace.folder / "ledger.db") as database:
            done = database.execute(
                "UPDATE chunk SET text = ? WHERE text = ?", (poison.text, poison.original)
            )
            self._count["admitted"] += min(1, done.rowcount)
        database.close()
        self._texts.add(poison.text)

    def foothold(self) -> Foothold:
        """The sum of it; from here on the new keys are on probation.

        At the door all that a newcomer brings waits for people. What is measured is what stands once they let it in.
        """
        if self._new:
            self._workspace.authority.reassess({one.name: (one.trust, True) for one in self._new})
        count = self._count
        placed = Placed(count["brought"], count["admitted"], count["quarantined"], count["refused"])
        return Foothold(placed, frozenset(self._documents), dict(self._versions), frozenset(self._texts))

    def _edited(self, poison: Poison) -> str:
        """The whole document with the passage exchanged; overlaps of its passages are joined."""
        whole = ""
        for passage in self._workspace.read(str(poison.replaces)):
            whole = whole[: passage.start].ljust(passage.start) + passage.text
        return whole.replace(poison.original, poison.text)


def _titled(poison: Poison) -> dict[str, str]:
    return {"title": poison.title} if poison.title else {}
