"""The red team on a corpus of one's own choice: real workspace, real keys, the product's own defaults.

    python -m tests.robustness.redteam --corpus pool.jsonl --questions questions.jsonl --reader --out found/

The corpus is JSON lines with `text`, `publisher` and perhaps `title`; each publisher becomes a source. The
questions are a PoisonedRAG file, or JSON lines with `question`, `correct`, `incorrect` and `attack_texts`.
Prints a table and writes report.json and report.html. Embedding a large corpus takes minutes. With --ramdocs
it asks instead whether honest disagreement survives the ranking:

    python -m tests.robustness.redteam --ramdocs RAMDocs_test.jsonl
"""

import argparse
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from trustrag import Workspace
from trustrag.index.embedding import open_embedder
from trustrag.redteam.attacks import select
from trustrag.redteam.disagreement import compare
from trustrag.redteam.metrics import MEASURES
from trustrag.redteam.placing import Paper
from trustrag.redteam.questions import load_poisonedrag, load_ramdocs
from trustrag.redteam.reader import SmolReader
from trustrag.redteam.report import RedTeamReport
from trustrag.redteam.results import Defence
from trustrag.redteam.simulator import run

_SHORT = {"poison_share": "p@5", "poisoned": "any", "attacker": "att", "correct": "cor", "gold": "gold"}
_SHORT |= {"contested": "cont", "deceived": "asr", "answered": "acc", "refused": "ref"}


def main(argv: Sequence[str] | None = None) -> int:
    """Build, attack, print; the exit status is 1 where an attack succeeds more often than allowed."""
    asked = _arguments(argv)
    if asked.ramdocs is not None:
        print("\n".join(disagreement(asked.ramdocs, asked.embedder)))
        return 0
    reader = None if asked.reader is None else SmolReader(Path(asked.reader) if asked.reader else None)
    with placed(asked.keep) as place:
        folder = place / "kb"
        if not folder.exists():
            build(folder, asked.corpus, asked.embedder)
        report = run(
            folder,
            attacks=select(asked.attacks),
            questions=load_poisonedrag(asked.questions) if asked.questions else None,
            per_tier=asked.count,
            seed=asked.seed,
            reader=reader,
            progress=tell,
        )
    print("\n".join(table(report)))
    if asked.out is not None:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "report.json").write_text(report.to_json(), encoding="utf-8")
        (asked.out / "report.html").write_text(report.to_html(), encoding="utf-8")
    return int(asked.fail_above is not None and report.exceeds(asked.fail_above))


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--corpus", type=Path)
    what.add_argument("--ramdocs", type=Path)
    parser.add_argument("--questions", type=Path, help="made from the corpus where none are given")
    parser.add_argument("--attacks", nargs="*", default=(), help="names from the catalogue; all by default")
    parser.add_argument("--count", type=int, default=60, help="questions")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--embedder", default="minilm")
    parser.add_argument(
        "--reader", nargs="?", const="", metavar="GGUF", help="ask the small model in its wheel, or this"
    )
    parser.add_argument(
        "--keep", type=Path, help="build the workspace here, and take it from here the next time"
    )
    parser.add_argument("--out", type=Path)
    parser.add_argument("--fail-above", type=float)
    asked = parser.parse_args(argv)
    for path in (asked.corpus, asked.ramdocs, asked.questions):
        if path is not None and not path.is_file():
            parser.error(f"{path} is not there: name the shared data in TRUSTRAG_SHARED, or another file")
    return asked


@contextmanager
def placed(keep: Path | None) -> Iterator[Path]:
    """A folder for the workspace and, so that the user's own keys are left alone, for its home."""
    with tempfile.TemporaryDirectory() as temporary:
        place = (keep or Path(temporary)).resolve()
        os.environ["TRUSTRAG_HOME"] = str(place / "home")
        yield place


def build(folder: Path, corpus: Path, embedder: str) -> None:
    """A workspace of the corpus: each publisher a source with its own key."""
    papers: dict[str, list[Paper]] = defaultdict(list)
    for at, line in enumerate(corpus.read_text(encoding="utf-8").splitlines()):
        record = json.loads(line)
        title = record.get("title") or ""
        text = f"{title}. {record['text']}" if title else record["text"]
        papers[record["publisher"]].append(Paper(text, f"d{at}", {"title": title} if title else {}))
    first, *others = sorted(papers)
    with Workspace.init(folder, source=first, embedder=embedder, passphrase=None) as workspace:
        workspace.add_sources(others)
        for done, source in enumerate(sorted(papers)):
            workspace.ingest_documents(papers[source], source=source)
            tell("sources", done + 1, len(papers))


def table(report: RedTeamReport) -> list[str]:
    """One line a trial and defence, with every measure that was taken."""
    lines = []
    for trial in report.everything():
        for defence in Defence:
            taken = trial.summary(defence, seed=report.seed)
            cells = " ".join(
                f"{_SHORT[name]} {taken[name].mean:.2f} [{taken[name].low:.2f},{taken[name].high:.2f}]"
                for name, _ in MEASURES
                if name in taken
            )
            lines.append(f"{trial.name:18s} {defence.value:10s} {cells}")
    return lines


def disagreement(path: Path, embedder: str) -> list[str]:
    """What similarity alone and the ranking keep of RAMDocs' right documents and answers, at three sizes."""
    questions = load_ramdocs(path)
    opened = open_embedder(embedder)
    lines = []
    for limit in (2, 3, 5):
        found = compare(questions, opened, limit=limit)
        for measure in ("correct", "answers", "misinformation"):
            before, after = found.means(measure)
            change = found.change(measure)
            lines.append(
                f"k={limit} {measure:14s} similarity {before.mean:.3f} ranking {after.mean:.3f} "
                f"change {change.mean:+.3f} [{change.low:+.3f},{change.high:+.3f}] n={change.n}"
            )
    return lines


def tell(what: str, done: int, total: int) -> None:
    """Progress, on a terminal; elsewhere only that something is done."""
    if sys.stderr.isatty() or done == total:
        print(f"\r{what}: {done}/{total}", end="\n" if done == total else "", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
