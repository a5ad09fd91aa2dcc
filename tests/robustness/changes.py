"""Are values changed in place found between two versions, and are honest edits left alone?

    python -m tests.robustness.changes [--sets nq,rtqa]

Needs the shared evaluation data (TRUSTRAG_SHARED). Recall: in passages near a question, the correct answer is replaced
wherever it stands by the attacker's. False holds: two passages a question are edited honestly, at random with a fixed seed.
"""

import argparse
import random
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from tests.robustness.ablation import poisonbench
from trustrag.consistency import changed_values
from trustrag.consistency.reading import read

SYNONYMS: Mapping[str, str] = dict(
    pair.split(":")
    for pair in """said:stated big:large started:began film:movie author:writer received:got built:constructed
    located:situated created:made important:significant announced:declared ended:concluded also:additionally many:numerous
    often:frequently main:primary part:portion people:persons although:though usually:typically released:issued
    known:recognized called:termed found:discovered different:various several:multiple small:little around:about
    country:nation later:afterwards because:since however:but""".split()
)
DIGITS = {
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
}
DATED = re.compile(
    r"\b(?:1\d{3}|20\d\d)\b|january|february|march|april|june|july|august|(?:septem|octo|novem|decem)ber"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Print recall by kind of value, and false holds by kind of edit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default="nq,rtqa")
    asked = parser.parse_args(argv)
    bench = poisonbench()
    found: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for name in asked.sets.split(","):
        questions, _, lists = bench.candidates(name, "clean", None)
        for number, (question, rows) in enumerate(zip(questions, lists, strict=True)):
            texts = [row["text"] for row in rows[:10]]
            for kind, was, now in replaced(texts, question["correct"], question["incorrect"]):
                found["found", kind].append(bool(changed_values(was, now).values))
            for text in texts[:2]:
                for edit, now in honest(text, random.Random(number)):
                    found["held", edit].append(bool(changed_values(text, now).values))
                lie = f"{text} {question['attack_texts'][0]}"
                found["held", "a claim appended"].append(bool(changed_values(text, lie).values))
    for (measure, kind), outcomes in sorted(found.items()):
        print(f"{measure} {kind:20s} {sum(outcomes) / len(outcomes):.2f} of {len(outcomes)}")
    return 0


def replaced(texts: Sequence[str], right: Sequence[str], wrong: str) -> Iterator[tuple[str, str, str]]:
    """(kind, old, new) for each text that states a right answer."""
    for text in texts:
        for answer in right:
            new = re.sub(rf"(?<!\w){re.escape(answer)}(?!\w)", lambda _: wrong, text, flags=re.I)
            if new != text:
                kinds = {_kind(answer), _kind(wrong)}
                yield ("other" if "other" in kinds else min(kinds)), text, new
                break


def _kind(answer: str) -> str:
    if DATED.search(answer.lower()):
        return "date"
    if any(character.isdigit() for character in answer) or answer.lower() in DIGITS:
        return "number"
    return "name" if answer[:1].isupper() else "other"


def honest(text: str, chance: random.Random) -> Iterator[tuple[str, str]]:
    """(name, edited text) of edits that change no fact."""
    sentences = list(read(text).sentences)
    if len(sentences) > 1:
        yield "sentences moved", " ".join(chance.sample(sentences, len(sentences)))
        yield "a sentence less", " ".join(sentences[:-1])
    yield "casing", text.lower()
    yield "punctuation", re.sub(r'[,;:()"]', "", text)
    formatted = re.sub(r"\b(\d{1,3}),(\d{3})\b", r"\1\2", text)
    yield (
        "number format",
        re.sub(r"\b[a-z]+\b", lambda match: DIGITS.get(match.group(), match.group()), formatted),
    )
    words = text.split()
    common = [place for place, word in enumerate(words) if word in SYNONYMS]
    if common:
        one = chance.choice(common)
        yield (
            "a synonym",
            " ".join(SYNONYMS[word] if place == one else word for place, word in enumerate(words)),
        )
        yield "a paraphrase", _fronted(" ".join(SYNONYMS.get(word, word) for word in words))
    plain = [place for place, word in enumerate(words) if word.isalpha() and word.islower() and len(word) > 4]
    if plain:
        yield "a typing error", _misspelt(words, chance.choice(plain), chance)


def _fronted(text: str) -> str:
    """ "In 1804, X happened." becomes "X happened in 1804." """
    return re.sub(r"^In ([^,]{3,30}), ([A-Z][^.]+)\.", r"\2 in \1.", text)


def _misspelt(words: Sequence[str], place: int, chance: random.Random) -> str:
    word = words[place]
    at = chance.randrange(1, len(word) - 1)
    wrong = (
        word[:at] + word[at + 1] + word[at] + word[at + 2 :]
        if chance.random() < 0.5
        else word[:at] + word[at + 1 :]
    )
    return " ".join([*words[:place], wrong, *words[place + 1 :]])


if __name__ == "__main__":
    sys.exit(main())
