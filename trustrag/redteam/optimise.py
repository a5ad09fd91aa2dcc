"""Texts fitted to the workspace's own embedder, by greedy search over its answers.

Both searches are free of gradients: they only ask the embedder for vectors, so they work against every
embedder alike. A search by gradients (HotFlip as Ebrahimi et al. 2018 have it) would need fewer calls;
what it finds is a text of the same kind. The budget is the number of texts embedded.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from trustrag.redteam.campaign import Means, Poison, Target, TextEmbedder
from trustrag.redteam.metrics import states
from trustrag.redteam.wording import content_words, declare, lies, sentences

Vectors: TypeAlias = NDArray[np.float32]


def flip(
    claim: str,
    question: str,
    vocabulary: Sequence[str],
    *,
    embedder: TextEmbedder,
    rng: np.random.Generator,
    words: int,
    budget: int,
) -> str:
    """The claim behind `words` words that were flipped one at a time to bring it near the question.

    Starts from words drawn at random; one position after another tries a handful from the vocabulary
    and keeps the best, until the budget of embedded texts is spent.
    """
    if not vocabulary:
        return claim
    aim = embedder.embed_query(question)
    opening = [vocabulary[int(at)] for at in rng.integers(0, len(vocabulary), words)]
    best = _nearness(embedder, [_joined(opening, claim)], aim)[0]
    handful = max(1, min(len(vocabulary), budget // max(1, 2 * words)))
    spent, position = 1, 0
    while spent + handful <= budget:
        tried = [vocabulary[int(at)] for at in rng.choice(len(vocabulary), handful, replace=False)]
        texts = [_joined([*opening[:position], word, *opening[position + 1 :]], claim) for word in tried]
        scores = _nearness(embedder, texts, aim)
        spent += handful
        top = int(np.argmax(scores))
        if scores[top] > best:
            opening[position], best = tried[top], scores[top]
        position = (position + 1) % words
    return _joined(opening, claim)


def _joined(opening: Iterable[str], claim: str) -> str:
    return f"{' '.join(opening)}. {claim}"


def _nearness(embedder: TextEmbedder, texts: Sequence[str], aim: Vectors) -> Vectors:
    return np.asarray(embedder.embed(texts) @ aim, dtype=np.float32)


def hotflip(targets: Sequence[Target], means: Means) -> tuple[Poison, ...]:
    """White-box poison, one key: each lie opened with words flipped towards its question."""
    made = []
    common = content_words(" ".join(target.question.text for target in targets))
    for target in targets:
        seen = content_words(" ".join(one.text for one in target.honest[:3]))
        vocabulary = [*content_words(target.question.text), *seen, *common][:400]
        for text in lies(target.question, means.knob("texts")):
            made.append(
                flip(
                    text, target.question.text, vocabulary, embedder=means.embedder, rng=means.rng,
                    words=means.knob("words"), budget=means.knob("budget"),
                )
            )  # fmt: skip
    return tuple(Poison(text) for text in made)


def gather(
    pool: Sequence[str], aims: Vectors, *, embedder: TextEmbedder, parts: int, budget: int
) -> list[str]:
    """Up to `parts` texts of the pool whose joined vector has the highest mean cosine to the aims.

    Greedy: each round adds the text that helps most, and stops when none helps. `aims` is float32[n, d].
    """
    centre = aims.mean(axis=0)
    chosen: list[str] = []
    best, spent = -np.inf, 0
    for _ in range(parts):
        rest = [text for text in pool if text not in chosen][: max(0, budget - spent)]
        if not rest:
            break
        scores = embedder.embed([" ".join([*chosen, text]) for text in rest]) @ centre
        spent += len(rest)
        top = int(np.argmax(scores))
        if scores[top] <= best:
            break
        chosen.append(rest[top])
        best = float(scores[top])
    return chosen


def hubs(targets: Sequence[Target], means: Means) -> tuple[Poison, ...]:
    """`hubs` passages, each near a whole group of questions and carrying the lies of that group."""
    if not targets:
        return ()
    aims = np.stack([means.embedder.embed_query(target.question.text) for target in targets])
    made = []
    for members in _groups(aims, means.knob("hubs")):
        group = [targets[at] for at in members]
        pool = [target.question.text for target in group] + [
            sentence
            for target in group
            for one in target.honest[:2]
            for sentence in sentences(one.text)[:2]
            if not states(sentence, target.question.correct)
        ]
        parts, budget = means.knob("parts"), means.knob("budget")
        bait = gather(pool, aims[members], embedder=means.embedder, parts=parts, budget=budget)
        lie = [declare(target.question, target.question.wrong) for target in group[: means.knob("lies")]]
        made.append(Poison(f"{' '.join(bait)} {'. '.join(lie)}."))
    return tuple(made)


def _groups(aims: Vectors, count: int) -> list[list[int]]:
    """The rows in `count` groups of like size: each the nearest of those left to the first of them."""
    left = list(range(len(aims)))
    size = -(-len(left) // max(1, count))
    groups = []
    while left:
        near = np.argsort(-(aims[left] @ aims[left[0]]), kind="stable")[:size]
        groups.append([left[int(at)] for at in near])
        left = [at for at in left if at not in groups[-1]]
    return groups
