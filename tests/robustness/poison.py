"""PoisonedRAG's texts among clean passages, through the whole way in: what is held, and what it costs the honest.

    TRUSTRAG_SHARED=../shared python -m tests.robustness.poison [--model minilm] [--only poison|held-out|unseen|optimised]

One source publishes everything: 5,000 clean passages of an encyclopaedia and the five texts of fifty questions, 1:20;
twice, so that all hundred questions are asked. The texts come as the paper's black-box attack writes them (question, full
stop, text) and bare; five in a row, or strewn over all batches. Singles are one text of each question, strewn.
Held-out passages are published by their publishers. `unseen` is data that no screen had been written, mended or tuned
with when it was first run: the texts against a hundred questions about news (RealTimeQA) among the correct documents of
RAMDocs, half of which bait and gibberish were mended by afterwards.
"""

import argparse
import json
import os
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.shared import shared_path
from trustrag.index.embedding import Embedder, open_embedder
from trustrag.ingest.screening import Finding
from trustrag.ingest.screening.bait import BaitScreen
from trustrag.ingest.screening.gibberish import GibberishScreen
from trustrag.redteam.optimise import flip
from trustrag.redteam.wording import content_words
from trustrag.workspace import Document, Workspace

CLEAN, SHARE = 5_000, 20
SCREEN_OF: Mapping[str, str] = {
    "ECHOED_QUESTION": "bait",
    "OPENING_QUESTION": "bait",
    "KEYWORD_STUFFING": "bait",
    "FLOOD": "floods",
    "GIBBERISH": "gibberish",
    "WORD_SALAD": "gibberish",
    "ORDER": "injection",
    "DISGUISED_ORDER": "injection",
    "HINT": "injection",
    "HUB": "hubs",
    "CONTRADICTED": "contradiction",
    "HOMOGLYPH": "lookalikes",
    "SYMBOL_LETTERS": "lookalikes",
    "PERSONAL_NUMBER": "personal-data",
    "SECRET": "secrets",
    "ROLE_TOKEN": "markers",
    "ROLE_LINE": "markers",
    "FALSE_PROOF": "markers",
    "FALSE_ENTRY": "markers",
    "PROMPT_BOUNDARY": "markers",
}


class KeptEmbedder:
    """An embedder that remembers: each arrangement brings the same texts again."""

    def __init__(self, inner: Embedder) -> None:
        self._inner = inner
        self.id = inner.id
        self._kept: dict[str, NDArray[np.float32]] = {}

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        new = [text for text in dict.fromkeys(texts) if text not in self._kept]
        if new:
            self._kept.update(zip(new, self._inner.embed(new), strict=True))
        return np.stack([self._kept[text] for text in texts]) if texts else self._inner.embed(texts)

    def embed_query(self, text: str) -> NDArray[np.float32]:
        return self._inner.embed_query(text)


@dataclass
class Tally:
    """What became of some documents: how many there were, which were held, and by which screens."""

    documents: set[str] = field(default_factory=set)
    held: set[str] = field(default_factory=set)
    by: dict[str, set[str]] = field(default_factory=dict)

    def add(self, doc_id: str, findings: Sequence[Finding]) -> None:
        self.documents.add(doc_id)
        for finding in findings:
            if finding.severity.decides:
                self.held.add(doc_id)
                self.by.setdefault(SCREEN_OF.get(finding.code, finding.code), set()).add(doc_id)

    def lines(self, what: str) -> Iterator[str]:
        yield f"  {what:34s} {rate(len(self.held), len(self.documents))}"
        for screen, names in sorted(self.by.items()):
            yield f"    by {screen:30s} {rate(len(names), len(self.documents))}"


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927)."""
    if not count:
        return 0.0, 1.0
    z, share = 1.959964, hits / count
    middle, spread = (
        share + z * z / (2 * count),
        z * ((share * (1 - share) + z * z / (4 * count)) / count) ** 0.5,
    )
    scale = 1 + z * z / count
    return max(0.0, (middle - spread) / scale), min(1.0, (middle + spread) / scale)


def rate(hits: int, count: int) -> str:
    low, high = wilson(hits, count)
    return f"{hits / max(1, count):.4f} [{low:.4f}, {high:.4f}] {hits} of {count}"


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def published(
    batches: Mapping[str, Sequence[tuple[str, str]]], embedder: Embedder
) -> dict[str, list[Finding]]:
    """Take (id, text) in as each source in a new workspace; what was found of each."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["TRUSTRAG_HOME"] = str(Path(name) / "home")
        first, *rest = batches
        with Workspace.init(Path(name) / "kb", source=first, embedder=embedder, passphrase=None) as workspace:
            for start in range(0, len(rest), 500):
                workspace.add_sources(rest[start : start + 500])
            for source, texts in batches.items():
                documents = [Document(doc_id, text.encode(), "text/plain", text) for doc_id, text in texts]
                report = workspace.ingest_documents(documents, source=source)
                assert not report.refused, report.refused[0]
            found = {}
            for texts in batches.values():
                for doc_id, _ in texts:
                    (row,) = workspace.history.document(doc_id)
                    found[doc_id] = [Finding.parse(line) for line in row.findings]
                    assert (row.standing == "quarantined") == any(
                        one.severity.decides for one in found[doc_id]
                    )
    return found


def arranged(
    clean: Sequence[tuple[str, str]], groups: Sequence[Sequence[tuple[str, str]]], together: bool, seed: int
) -> list[tuple[str, str]]:
    """Poison among clean passages in a random order, each group in a row or each text by itself."""
    units = [[item] for item in clean]
    units += [list(group) for group in groups] if together else [[item] for group in groups for item in group]
    random.Random(seed).shuffle(units)
    return [item for unit in units for item in unit]


def arrangement(
    clean: Sequence[tuple[str, str]],
    questions: Sequence[Mapping[str, object]],
    *,
    echoes: bool,
    together: bool,
    texts: int,
    embedder: Embedder,
) -> None:
    """Run one arrangement over both halves of the questions and print what came of it."""
    honest, poison, floods = Tally(), Tally(), Counter[int]()
    size = SHARE * texts * len(questions) // 2
    for half in (0, 1):
        asked = [
            (number, questions[number])
            for number in range(half * len(questions) // 2, (half + 1) * len(questions) // 2)
        ]
        groups = [
            [
                (f"poison-{number}-{place}", f"{row['question']}. {text}" if echoes else str(text))
                for place, text in enumerate(list(row["adv_texts"])[:texts])  # type: ignore[call-overload]
            ]
            for number, row in asked
        ]
        some = clean[:size] if half == 0 else clean[-size:]
        found = published({"wiki": arranged(some, groups, together, seed=half)}, embedder)
        for doc_id, findings in found.items():
            (poison if doc_id.startswith("poison") else honest).add(doc_id, findings)
        for group in groups:
            floods[sum(doc_id in poison.held for doc_id, _ in group)] += 1
    how = "one a question" if texts == 1 else "five in a row" if together else "five, strewn"
    print(f"{'question and text' if echoes else 'text alone'}, {how}", flush=True)
    for line in (*poison.lines("poison held"), *honest.lines("clean passages held")):
        print(line)
    if texts > 1:
        print(f"  {'floods: all five held':34s} {rate(floods[5], len(questions))}")
        print(
            f"  {'floods: at least three held':34s} {rate(floods[5] + floods[4] + floods[3], len(questions))}"
        )
    sys.stdout.flush()


def held_out(path: Path, embedder: Embedder) -> None:
    """Clean passages of other pools, each published by its publisher; no flood threshold was set by them."""
    batches: dict[str, list[tuple[str, str]]] = {}
    for number, row in enumerate(lines_of(path)):
        name = "".join(char if char.isalnum() else "-" for char in str(row["publisher"]).lower()).strip("-")[
            :60
        ]
        batches.setdefault(name or "nobody", []).append((f"{path.stem}/{number}", str(row["text"])))
    tally = Tally()
    for doc_id, findings in published(batches, embedder).items():
        tally.add(doc_id, findings)
    print(f"{path.stem}, {len(batches)} publishers")
    print("\n".join(tally.lines("clean passages held")), flush=True)


ARRANGEMENTS = tuple(
    (echoes, *how) for echoes in (True, False) for how in ((True, 5), (False, 5), (False, 1))
)
"""With the question in front or not; together or strewn; texts of each question."""


def unseen(data: Path, embedder: Embedder) -> None:
    """Floods and singles of one set of questions among the documents of another; then what RAMDocs itself has wrong."""
    documents: dict[str, list[tuple[str, str]]] = {"correct": [], "misinfo": [], "noise": []}
    for row in lines_of(data / "ramdocs/RAMDocs_test.jsonl"):
        for document in row["documents"]:  # type: ignore[attr-defined]
            kept = documents[document["type"]]
            kept.append((f"{document['type']}-{len(kept)}", document["text"]))
    first: dict[str, str] = {}
    for doc_id, text in documents["correct"]:
        first.setdefault(text, doc_id)
    clean = [(doc_id, text) for text, doc_id in first.items()]
    for half in (0, 1):
        tally = Tally()
        for doc_id, text in clean[half::2]:
            document = Document(doc_id, text.encode(), "text/plain", text)
            tally.add(
                doc_id,
                [one for screen in (BaitScreen(), GibberishScreen()) for one in screen.check(document)],
            )
        which = "the other one" if half else "which bait and gibberish were mended by"
        print("\n".join(tally.lines(f"half of the documents, {which}")), flush=True)
    questions = [
        {"question": row["question"], "adv_texts": row["attack_texts"]}
        for row in lines_of(data / "bench/rtqa_questions.jsonl")
    ]
    for echoes, together, texts in ARRANGEMENTS:
        arrangement(clean, questions, echoes=echoes, together=together, texts=texts, embedder=embedder)
    wrong = documents["misinfo"] + documents["noise"]
    found = published({"right": clean, "wrong": wrong}, embedder)
    for kind in ("misinfo", "noise"):
        tally = Tally()
        for doc_id, _ in documents[kind]:
            tally.add(doc_id, found[doc_id])
        print("\n".join(tally.lines(f"{kind} of one more source held")), flush=True)


def optimised(data: Path) -> None:
    """Words flipped towards a question in front of its lie (white-box), through the screen for gibberish alone."""
    embedder, screen, draw = open_embedder("hash"), GibberishScreen(), np.random.default_rng(0)
    for name, file in (("nq", "poisonedrag/nq.jsonl"), ("rtqa", "bench/rtqa_questions.jsonl")):
        rows = lines_of(data / file)[:50]
        common = content_words(" ".join(str(row["question"]) for row in rows))
        for words in (10, 16, 24, 32):
            held = 0
            for row in rows:
                question, text = str(row["question"]), str((row.get("adv_texts") or row["attack_texts"])[0])  # type: ignore[index]
                vocabulary = [*content_words(f"{question} {text}"), *common][:400]
                made = flip(text, question, vocabulary, embedder=embedder, rng=draw, words=words, budget=400)
                found = screen.check(Document("made", made.encode(), "text/plain", made))
                held += any(finding.severity.decides for finding in found)
            print(f"{name}, {words} flipped words: held {rate(held, len(rows))}", flush=True)


def main(argv: Sequence[str] | None = None) -> int:
    """Run every arrangement; the exit status is 2 where the data is not there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="minilm")
    parser.add_argument("--only", choices=("poison", "held-out", "unseen", "optimised"))
    asked = parser.parse_args(argv)
    data = shared_path("data")
    if data is None:
        print("the evaluation data is not here: set TRUSTRAG_SHARED to its folder", file=sys.stderr)
        return 2
    embedder = KeptEmbedder(open_embedder(asked.model))
    if asked.only in (None, "poison"):
        clean = [
            (f"clean-{at}", str(row["text"]))
            for at, row in enumerate(lines_of(data / "clean_2wiki/corpus.jsonl"))
        ]
        questions = lines_of(data / "poisonedrag/nq.jsonl")
        for echoes, together, texts in ARRANGEMENTS:
            arrangement(clean, questions, echoes=echoes, together=together, texts=texts, embedder=embedder)
    if asked.only in (None, "held-out"):
        for name in ("wiki_pool", "rtqa_pool"):
            held_out(data / f"bench/{name}.jsonl", embedder)
    if asked.only in (None, "unseen"):
        unseen(data, embedder)
    if asked.only in (None, "optimised"):
        optimised(data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
