"""What a document arrives with, and what it meets: the batch it is in, its source's own past, what others say.

Some poison is harmless one by one. So a batch screen is shown a whole batch, embedded, and a narrow look at the store;
for each batch it becomes an ordinary screen, whose findings are kept like all others.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from trustrag.ingest.document import Document
from trustrag.ingest.screening.base import Finding, Screen
from trustrag.ingest.screening.versions import Witness
from trustrag.provenance.policy import Source

Vectors: TypeAlias = NDArray[np.float32]
Signatures: TypeAlias = NDArray[np.uint32]


@dataclass(frozen=True, slots=True, eq=False)
class Arrival:
    """A document of a batch: who publishes it, its passages, and their unit vectors, float32[passages, d]."""

    document: Document
    source: Source
    passages: tuple[str, ...]
    vectors: Vectors

    @property
    def owner(self) -> str:
        """In whose name its source speaks."""
        return self.source.owner or self.source.name


@dataclass(frozen=True, slots=True)
class Near:
    """A passage of the store: the document that it is of, who published that, its text, and whether it stands or waits."""

    doc_id: str
    owner: str
    text: str
    stands: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Usual:
    """How near an owner's passages are to the nearest other one of it: median and robust deviation, and the passages
    (float32[n, d]) from which both are reckoned.
    """

    nearness: float
    deviation: float
    vectors: Vectors


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Places of the store, float32[m, d], and for each, float32[m], how near its k-th nearest other one is."""

    vectors: Vectors
    reach: Vectors


class Past(Protocol):
    """What one owner has published so far and still stands or waits: at most the newest some thousand passages."""

    @property
    def vectors(self) -> Vectors:
        """float32[n, d], oldest first."""
        ...

    @property
    def usual(self) -> Usual | None:
        """How near to each other they are; None where they are too few to tell."""
        ...

    def passage(self, place: int) -> Near | None:
        """The passage of a row of `vectors`; None where its row is damaged."""
        ...


class Around(Protocol):
    """What a batch screen may ask about the store. Hints: none of it is proved, but for what `others` gives."""

    def past(self, owner: str) -> Past:
        """What this owner published before this batch."""
        ...

    def duplicates(self, signatures: Signatures) -> Sequence[Sequence[Near]]:
        """For each MinHash signature, uint32[n, k], the passages of the store that are nearly the same, at most some."""
        ...

    def sample(self) -> Sample:
        """Passages that stand, drawn evenly from the store; the same all through a run."""
        ...

    def others(self, vector: Vectors, source: Source) -> Sequence[Witness]:
        """The proved passages nearest to a vector, of sources that are independent of this one."""
        ...


@runtime_checkable
class BatchScreen(Protocol):
    """A check that needs company. `name` and `version` as for a `Screen`.

    `among` looks at the batch once and gives the screen for its documents; what that screen is asked of another
    document is undefined.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> int: ...

    def among(self, batch: Sequence[Arrival], around: Around) -> Screen:
        """The screen for the documents of this batch."""
        ...


@dataclass(frozen=True, slots=True)
class Found:
    """An ordinary screen of findings that are made already: what `among` gives, by document id."""

    name: str
    version: int
    findings: dict[str, list[Finding]]

    def check(self, document: Document) -> Sequence[Finding]:
        """What was found of this document."""
        return self.findings.get(document.doc_id, ())
