"""Moving in: what another store holds, signed as a source here and taken in like anything else.

    imported = import_faiss(ws, "faiss_index", source="acme")      # a folder that LangChain's FAISS.save_local wrote

One way only: nothing here writes the other store's format. Documents keep their ids, texts and metadata; interrupted, the
same call goes on where this one stopped.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from trustrag.errors import ConfigError
from trustrag.ingest.moving import FaissFolder, KeptVectors
from trustrag.workspace import IngestReport, Workspace

__all__ = ["Imported", "import_faiss"]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the documents; of the vectors, how many were embedded again, and the lowest cosine among those.

    `checked` is 0 where all were made anew: then there was nothing to check.
    """

    report: IngestReport
    checked: int
    least: float


def import_faiss(
    workspace: Workspace,
    folder: str | Path,
    *,
    source: str,
    name: str = "index",
    prefix: str = "",
    licence: str | None = None,
    re_embed: bool = False,
    progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Imported:
    """Take over a folder with `name`.faiss and `name`.pkl, signed as `source`. Nothing in the pickle is run.

    The vectors in it are kept if they are of this workspace's embedder, which a random part of them has to show (see
    `KeptVectors.checked`); with `re_embed` all are made anew. Raises ConfigError and MalformedError, and nothing was
    written, for a folder that cannot be taken over; single documents that cannot are in the report.
    """
    if not Path(folder).is_dir():
        raise ConfigError(f"{folder} is not a folder: give the one that FAISS.save_local wrote")
    old = FaissFolder.read(Path(folder), name=name, prefix=prefix, licence=licence)
    kept = None
    if not re_embed:
        kept = KeptVectors.checked(
            old, workspace.embedder, lambda done, total: progress("checking vectors", done, total)
        )
    report = workspace.ingest_documents(
        old.items(),
        source=source,
        kept=kept,
        progress=lambda done, total, _: progress("taking over", done, total or done),
    )
    return Imported(report, kept.checked_count if kept else 0, kept.least if kept else 1.0)
