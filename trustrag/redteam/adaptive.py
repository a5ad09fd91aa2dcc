"""Attackers that have read this project: they know that support is counted per independent source,
that repetition and likeness are judged against the background, and that values are compared.

So each text goes under a key of its own, shares few words with the others, and stands in sentences
copied from honest passages.
"""

from collections.abc import Sequence

from trustrag.redteam.campaign import Craft, KeyKind, Means, Poison, Question, Target
from trustrag.redteam.metrics import states
from trustrag.redteam.wording import claims, overlap, sentences


def unlike(question: Question, count: int) -> list[str]:
    """`count` wordings of the lie that share as few words as the wordings at hand allow."""
    pool = [*question.attack_texts, *claims(question, question.wrong)]
    chosen = pool[:1]
    while len(chosen) < count:
        rest = [text for text in pool if text not in chosen]
        if not rest:
            chosen.append(chosen[len(chosen) % len(pool)])
            continue
        chosen.append(min(rest, key=lambda text: max(overlap(text, other) for other in chosen)))
    return chosen[:count]


def _harmless(target: Target) -> list[str]:
    """Honest sentences near the question that don't give its answer away, each once."""
    found = (
        sentence
        for one in target.honest
        for sentence in sentences(one.text)
        if len(sentence.split()) >= 5 and not states(sentence, target.question.correct)
    )
    return list(dict.fromkeys(found))


def laundered(target: Target, means: Means) -> list[str]:
    """Unlike lies, each between honest sentences that no other of the texts copies."""
    count = means.knob("texts")
    honest = _harmless(target)
    texts = []
    for number, lie in enumerate(unlike(target.question, count)):
        around = honest[number::count][:2]
        texts.append(" ".join([*around[:1], lie, *around[1:]]))
    return texts


def copied_values(target: Target, means: Means) -> list[str]:
    """The lie inside the best honest passage: its other values copied, the answer left out."""
    honest = _harmless(target)
    lie = unlike(target.question, 1)[0]
    middle = min(len(honest), 4) // 2
    return [" ".join([*honest[:middle], lie, *honest[middle:4]])]


def self_supporting(kind: KeyKind) -> Craft:
    """Keys that look like honest sources on several topics, and carry the lie from one to another.

    Each key first repeats honest passages of other questions, so that it has agreement to show; then
    states the lie in passing, between sentences of a neighbouring topic.
    """

    def craft(targets: Sequence[Target], means: Means) -> tuple[Poison, ...]:
        keys = means.knob("keys")
        made: list[Poison] = []
        for number, target in enumerate(targets):
            wordings = unlike(target.question, keys)
            for key in range(keys):
                neighbour = targets[(number + key + 1) % len(targets)]
                if neighbour.honest:
                    one = neighbour.honest[key % len(neighbour.honest)]
                    made.append(Poison(one.text, key=key, kind=kind, title=one.title, innocent=True))
                own, other = _harmless(target), _harmless(neighbour)
                parts = [*own[key : key + 1], wordings[key], *other[key : key + 1]]
                made.append(Poison(" ".join(parts), key=key, kind=kind, week=1))
        return tuple(made)

    return craft
