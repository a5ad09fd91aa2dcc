"""Lies put in the place of the truth, and honest edits: what the way in says of a new version of a passage.

    TRUSTRAG_SHARED=../shared python -m tests.bench.versions [--out FILE]

Old versions are passages of the two public pools in which a question's correct answer stands; the lie puts the
attacker's answer in its place. The honest edits are made by rule, from the same passages and as many others. Every
pair goes through `VersionScreen`, which the way in runs; its witnesses are passages of other publishers, as many as
the workspace asks for, that are nearest to the changed sentence among all in the pool.
"""

import argparse
import hashlib
import json
import os
import random
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.shared import shared_path
from trustrag.consistency.reading import DATE, NAME, NUMBER, TERM, read
from trustrag.index.embedding import Embedder, open_embedder
from trustrag.ingest.document import Document
from trustrag.ingest.screening import Finding, Severity
from trustrag.ingest.screening.versions import Predecessor, VersionScreen, Witness
from trustrag.retrieval.retriever import SOURCE_SHARE
from trustrag.workspace.wiring import WITNESSES

SETS = {"nq": "wiki_pool.jsonl", "rtqa": "rtqa_pool.jsonl"}
OTHERS = 300
"""Passages beside the gold ones that are edited honestly."""

Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class Passage:
    """One passage of a pool."""

    text: str
    title: str
    publisher: str

    @property
    def full(self) -> str:
        """As a store would hold it."""
        return f"{self.title}. {self.text}" if self.title else self.text


@dataclass(frozen=True)
class Lie:
    """A passage and its next version, in which `right` became `wrong`; `reworded` says so in the attacker's own words."""

    place: int
    old: str
    new: str
    right: str
    wrong: str
    reworded: str

    @property
    def kind(self) -> str:
        """Of the values: the same kind on both sides, else a plain word."""
        kinds = [{value.kind for value in read(answer).values} for answer in (self.right, self.wrong)]
        return next((kind for kind in (DATE, NUMBER, NAME) if kind in kinds[0] and kind in kinds[1]), TERM)


@dataclass(frozen=True)
class Verdict:
    """What the screen found: a changed value, whether it holds the version, and whether it warns of anything."""

    found: bool
    held: bool
    warned: bool


def pattern(answer: str) -> re.Pattern[str]:
    """The answer at word boundaries, whatever the spaces and case."""
    words = r"\W+".join(map(re.escape, re.findall(r"\w+|[%$£€]", answer))) or r"(?!)"
    return re.compile(rf"(?<!\w){words}(?!\w)", re.I)


def lines(name: str) -> list[dict[str, object]]:
    """A file of the shared data."""
    path = shared_path("data", "bench", name)
    text = path.read_text(encoding="utf-8") if path is not None else ""
    return [json.loads(line) for line in text.splitlines()]


class Pool:
    """The passages of one set with their vectors, and who else says something near."""

    def __init__(self, name: str, embedder: Embedder, kept: Mapping[str, NDArray[np.float32]]) -> None:
        self.passages = [
            Passage(str(row["text"]), str(row["title"]), str(row["publisher"])) for row in lines(SETS[name])
        ]
        self.questions = lines(f"{name}_questions.jsonl")
        self._embedder = embedder
        self._asked: dict[str, NDArray[np.float32]] = {}
        self._publishers = np.array([passage.publisher for passage in self.passages])
        self.vectors = self._embedded([passage.full for passage in self.passages], kept)

    def _embedded(self, texts: Sequence[str], kept: Mapping[str, NDArray[np.float32]]) -> Vectors:
        rows = [kept.get(hashlib.sha1(text.encode()).hexdigest()[:16]) for text in texts]
        missing = [place for place, row in enumerate(rows) if row is None]
        made = self._embedder.embed([texts[place] for place in missing]) if missing else np.empty((0, 0))
        for place, row in zip(missing, made, strict=True):
            rows[place] = row
        return np.stack([row for row in rows if row is not None])

    def nearest(self, text: str, count: int, *, without: str | None = None) -> list[int]:
        """Places of the passages nearest to a text, those of one publisher left out."""
        scores = self.vectors @ self._vector(text)
        if without is not None:
            scores = np.where(self._publishers == without, -2.0, scores)
        return [int(place) for place in np.argsort(-scores, kind="stable")[:count]]

    def _vector(self, text: str) -> NDArray[np.float32]:
        if text not in self._asked:
            self._asked[text] = self._embedder.embed_query(text)
        return self._asked[text]

    def witnesses(self, place: int) -> Callable[[str], list[Witness]]:
        """As the workspace finds them: standing passages of other owners, nearest first."""
        mine = self.passages[place].publisher

        def near(text: str) -> list[Witness]:
            taken: Counter[str] = Counter()
            heard: list[Witness] = []
            for witness in map(self._witness, self.nearest(text, len(self.passages), without=mine)):
                taken[witness.source] += 1
                heard += [witness] * (taken[witness.source] <= SOURCE_SHARE)
                if len(heard) == WITNESSES:
                    break
            return heard

        return near

    def _witness(self, place: int) -> Witness:
        passage = self.passages[place]
        return Witness(passage.publisher, passage.publisher, passage.full, place)

    def lies(self) -> Iterator[Lie]:
        """Each passage among the twenty nearest to a question that states the answer, and the lie in its place."""
        for row in self.questions:
            answers = [answer for answer in map(str, row["correct"]) if answer.lower() not in ("yes", "no")]  # type: ignore[call-overload]
            wrong, lie = str(row["incorrect"]), str(row["attack_texts"][0])  # type: ignore[index]
            for place in self.nearest(str(row["question"]), 20):
                new = old = self.passages[place].full
                right = ""
                for answer in sorted(answers, key=len, reverse=True):
                    right = right or (answer if pattern(answer).search(new) else "")
                    new = pattern(answer).sub(lambda _, wrong=wrong: wrong, new)  # type: ignore[misc]
                if new != old:
                    told = [lie if pattern(right).search(each) else each for each in sentences(old)]
                    yield Lie(place, old, new, right, wrong, " ".join(dict.fromkeys(told)))

    def stated_elsewhere(self, lie: Lie) -> bool:
        """Whether another publisher's passage near the old one states the right answer, and not the wrong one."""
        mine = self.passages[lie.place].publisher
        texts = (self.passages[other].full for other in self.nearest(lie.old, WITNESSES, without=mine))
        return any(pattern(lie.right).search(text) and not pattern(lie.wrong).search(text) for text in texts)

    def judge(self, place: int, old: str, new: str) -> Verdict:
        """What the way in would say."""
        found = self.findings(place, old, new)
        changed = [finding for finding in found if finding.code == "CHANGED_VALUE"]
        return Verdict(
            bool(changed),
            any(finding.severity is Severity.HOLD for finding in changed),
            any(finding.severity is not Severity.NOTE for finding in found),
        )

    def findings(self, place: int, old: str, new: str) -> list[Finding]:
        """All of its findings."""
        screen = VersionScreen(Predecessor(1, old, place), self.witnesses(place))
        return list(screen.check(Document("page", new.encode(), "text/plain", new)))


# ---- honest edits: each gives the old and the new version, or None where it does not apply

Edit = Callable[[str, random.Random, Sequence[str]], tuple[str, str] | None]

_SYNONYMS = dict(
    pair.split(":")
    for pair in """
    big:large large:big began:started started:began begins:starts starts:begins movie:film film:movie show:programme
    shows:displays buy:purchase bought:purchased built:constructed constructed:built made:produced used:employed
    often:frequently usually:normally also:additionally because:since about:around near:close important:significant
    main:principal chief:main show's:programme's people:persons children:kids home:house country:nation city:town
    said:stated stated:said says:states helped:assisted help:assist ended:finished end:finish many:numerous
    several:various famous:renowned quickly:rapidly former:previous whole:entire total:overall reported:announced
    announced:reported according:pursuant received:got won:gained lost:forfeited great:grand small:little
    different:distinct similar:alike song:track album:record wrote:penned written:penned located:situated
    """.split()
)
_PHRASES = {
    r"\bis located in\b": "lies in",
    r"\bwas born in\b": "came into the world in",
    r"\bin order to\b": "to",
    r"\bas well as\b": "and also",
    r"\bdue to\b": "because of",
    r"\ba number of\b": "several",
    r"\bwas released on\b": "came out on",
    r"\bwas released in\b": "came out in",
    r"\bpremiered on\b": "was first shown on",
    r"\btook place\b": "was held",
    r"\bsuch as\b": "like",
    r"\bas of\b": "at the time of",
    r"\bat the end of\b": "when it came to the end of",
    r"\bit is\b": "it's",
    r"\bdid not\b": "didn't",
    r"\bhas been\b": "was",
    r"\bwas written by\b": "comes from the pen of",
    r"\bis known for\b": "owes its fame to",
    r"\bwhich is\b": "that is",
    r"\bmore than\b": "over",
    r"\bless than\b": "under",
    r"\bis one of\b": "belongs to",
    r"\bwas one of\b": "belonged to",
    r"\bconsists of\b": "is made up of",
    r"\bis a\b": "happens to be a",
    r"\bwas a\b": "used to be a",
    r"\baccording to\b": "as told by",
}
_WORDS = {
    "2": "two",
    "3": "three",
    "4": "four",
    "5": "five",
    "6": "six",
    "7": "seven",
    "8": "eight",
    "9": "nine",
}


def sentences(text: str) -> list[str]:
    """Its sentences, as read."""
    return [sentence for sentence in read(text).sentences if sentence]


def typo(text: str, draw: random.Random, _: Sequence[str]) -> tuple[str, str] | None:
    """A typing error in one word, mended by the new version: a letter swapped, doubled, lost or wrong."""
    words = list(re.finditer(r"[A-Za-z]{4,}", text))
    if not words:
        return None
    match = draw.choice(words)
    word, at = match.group(), draw.randrange(1, len(match.group()) - 1)
    made = draw.choice(
        [
            word[:at] + word[at + 1] + word[at] + word[at + 2 :],
            word[:at] + word[at] + word[at:],
            word[:at] + word[at + 1 :],
            word[:at] + draw.choice("aeinorst") + word[at + 1 :],
        ]
    )
    return (text[: match.start()] + made + text[match.end() :], text) if made != word else None


def paraphrase(text: str, draw: random.Random, others: Sequence[str]) -> tuple[str, str] | None:
    """Turns of phrase for others, synonyms beside them, and the clauses of one sentence the other way round."""
    new = text
    for was, now in _PHRASES.items():
        new = re.sub(was, now, new, flags=re.I)
    swapped = synonyms(new, draw, others)
    new = swapped[1] if swapped else new
    turned = [s for s in sentences(new) if s.count(", ") == 1 and s.endswith(".") and len(s) > 40]
    if turned:
        first, second = turned[0][:-1].split(", ")
        new = new.replace(turned[0], f"{second[0].upper()}{second[1:]}, {first}.")
    return (text, new) if new != text else None


def synonyms(text: str, draw: random.Random, _: Sequence[str]) -> tuple[str, str] | None:
    """Up to three words for others that mean the same."""
    places = [match for match in re.finditer(r"[a-z]+", text) if match.group() in _SYNONYMS]
    new = text
    for match in sorted(draw.sample(places, min(3, len(places))), key=lambda m: -m.start()):
        new = new[: match.start()] + _SYNONYMS[match.group()] + new[match.end() :]
    return (text, new) if new != text else None


def reordering(text: str, draw: random.Random, _: Sequence[str]) -> tuple[str, str] | None:
    """The sentences in another order."""
    parts = sentences(text)
    moved = draw.sample(parts, len(parts))
    return (" ".join(parts), " ".join(moved)) if moved != parts else None


def deletion(text: str, draw: random.Random, _: Sequence[str]) -> tuple[str, str] | None:
    """One sentence less."""
    parts = sentences(text)
    if len(parts) < 2:
        return None
    gone = draw.randrange(len(parts))
    return " ".join(parts), " ".join(part for place, part in enumerate(parts) if place != gone)


def addition(text: str, draw: random.Random, others: Sequence[str]) -> tuple[str, str] | None:
    """One sentence more, of another passage, at the end."""
    more = sentences(draw.choice(others))
    return (text, f"{text} {draw.choice(more)}") if more else None


def casing(text: str, draw: random.Random, _: Sequence[str]) -> tuple[str, str] | None:
    """All small, all capitals, or every word with a capital."""
    new = draw.choice([str.lower, str.upper, str.title])(text)
    return (text, new) if new != text else None


def punctuation(text: str, draw: random.Random, _: Sequence[str]) -> tuple[str, str] | None:
    """Commas lost, semicolons for commas, other quotation marks and dashes."""
    new = draw.choice(
        [
            text.replace(", ", " "),
            text.replace(", ", "; "),
            text.replace('"', "\u201d").replace("'", "\u2019"),
            text.replace(" (", ", ").replace(")", ","),
            text.replace(" - ", " \u2013 ").replace("; ", ", "),
        ]
    )
    return (text, new) if new != text else None


def number_format(text: str, _: random.Random, __: Sequence[str]) -> tuple[str, str] | None:
    """Thousands with a comma or without, small counts as words or as figures."""
    new = re.sub(r"(?<=\d),(?=\d{3})", "", text)
    if new == text:
        new = re.sub(r"(?<![\d,.])(\d{1,3})(\d{3})(?![\d,.])(?!\s*(?:AD|BC))", _with_comma, text)
    new = re.sub(r"(?<![\w.,:-])[2-9](?![\w.,:%-])", lambda match: _WORDS[match.group()], new)
    return (text, new) if new != text else None


def _with_comma(match: re.Match[str]) -> str:
    whole = match.group()
    return whole if re.fullmatch(r"1\d{3}|20\d\d", whole) else f"{match.group(1)},{match.group(2)}"


EDITS: dict[str, Edit] = {
    "typo": typo,
    "paraphrase": paraphrase,
    "synonyms": synonyms,
    "reordering": reordering,
    "deletion": deletion,
    "addition": addition,
    "casing": casing,
    "punctuation": punctuation,
    "number format": number_format,
}


# ---- measuring


def interval(values: Sequence[bool]) -> str:
    """The share, and Wilson's 95% interval."""
    n = len(values)
    if not n:
        return "- (n=0)"
    share, z = sum(values) / n, 1.96
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    return f"{share:.3f} [{max(0.0, middle - half):.3f}, {min(1.0, middle + half):.3f}] n={n}"


def measure(name: str, pool: Pool, misses: list[dict[str, object]]) -> None:
    """Print the rows of one set."""
    attacks = [(lie, pool.judge(lie.place, lie.old, lie.new)) for lie in pool.lies()]
    for kind in (NUMBER, DATE, NAME, TERM):
        print(f"{name} found, {kind}: {interval([v.found for lie, v in attacks if lie.kind == kind])}")
    named = [verdict.found for lie, verdict in attacks if lie.kind != TERM]
    print(f"{name} found, numbers, dates and names: {interval(named)}")
    print(f"{name} found, all: {interval([verdict.found for _, verdict in attacks])}")
    print(f"{name} held, all: {interval([verdict.held for _, verdict in attacks])}")
    stated = [verdict.held for lie, verdict in attacks if pool.stated_elsewhere(lie)]
    print(f"{name} held where others state the old value: {interval(stated)}")
    alone = [verdict.held for lie, verdict in attacks if not pool.stated_elsewhere(lie)]
    print(f"{name} held where none of them does: {interval(alone)}", flush=True)
    reworded = [pool.judge(lie.place, lie.old, lie.reworded) for lie, _ in attacks]
    print(f"{name} reworded, found: {interval([verdict.found for verdict in reworded])}")
    print(
        f"{name} reworded, warned of at all: {interval([verdict.warned for verdict in reworded])}", flush=True
    )
    misses += [
        {"set": name, "kind": lie.kind, "right": lie.right, "wrong": lie.wrong, "old": lie.old}
        for lie, verdict in attacks
        if not verdict.found
    ]
    draw = random.Random(20261123)
    gold = sorted({lie.place for lie, _ in attacks})
    rest = [place for place in range(len(pool.passages)) if place not in set(gold)]
    places = gold + draw.sample(rest, OTHERS)
    texts = [passage.full for passage in pool.passages]
    for kind, edit in EDITS.items():
        verdicts = []
        for place in places:
            pair = edit(texts[place], draw, texts)
            if pair is not None:
                verdicts.append(pool.judge(place, *pair))
                if verdicts[-1].found:
                    misses.append(
                        {"set": name, "edit": kind, "held": verdicts[-1].held, "old": pair[0], "new": pair[1]}
                    )
        print(f"{name} {kind}: false findings {interval([verdict.found for verdict in verdicts])}")
        print(f"{name} {kind}: false holds {interval([verdict.held for verdict in verdicts])}", flush=True)
        if kind == "addition":
            print(
                f"{name} addition: warned of {interval([verdict.warned for verdict in verdicts])}", flush=True
            )


def known_vectors() -> dict[str, NDArray[np.float32]]:
    """Vectors of an earlier run of the shared benchmark, by the first digits of their text's SHA-1."""
    folder = Path(os.environ.get("POISONBENCH_CACHE", "~/.cache/poisonbench")).expanduser()
    if not (folder / "emb.npy").exists():
        return {}
    names = json.loads((folder / "emb.json").read_text())
    return dict(zip(names, np.load(folder / "emb.npy"), strict=True))


def main(arguments: Sequence[str] = ()) -> None:
    """Measure both sets; `--out` keeps what was missed and what was found falsely."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="JSON lines of misses and false findings")
    parser.add_argument("--sets", default="nq,rtqa")
    options = parser.parse_args(arguments)
    if shared_path("data", "bench") is None:
        print("data/bench is not in the shared folder: set TRUSTRAG_SHARED")
        return
    embedder, kept = open_embedder("minilm"), known_vectors()
    misses: list[dict[str, object]] = []
    for name in options.sets.split(","):
        measure(name, Pool(name, embedder, kept), misses)
    if options.out is not None:
        options.out.write_text("".join(json.dumps(miss) + "\n" for miss in misses), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
