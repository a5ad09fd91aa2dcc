"""Honest disagreement: does a defence that looks for lies silence the truth where truths differ?

A RAMDocs question has several right answers beside misinformation and noise. Every document is taken as of a
source of its own, all of equal standing, which is the worst case for a judge of sources: nothing but the
texts can tell a lie from another truth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trustrag.redteam.campaign import TextEmbedder
from trustrag.redteam.metrics import TOP, Interval, interval, paired
from trustrag.redteam.questions import Disagreement
from trustrag.retrieval.ranking import Candidate, Mode, rerank


@dataclass(frozen=True, slots=True)
class Kept:
    """What one ranking hands on, a share per question, in the questions' order.

    `correct`: of the documents that are right (of as many as have room), `answers`: of the different right
    answers. `misinformation`: of what is handed on. `contested` is 1 where the ranking said so.
    """

    correct: tuple[float, ...]
    answers: tuple[float, ...]
    misinformation: tuple[float, ...]
    contested: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """Similarity alone beside the product's ranking, on the same questions."""

    similarity: Kept
    ranking: Kept

    def change(self, measure: str, *, seed: int = 0) -> Interval:
        """The paired change that the ranking makes to one of `Kept`'s shares."""
        return paired(getattr(self.similarity, measure), getattr(self.ranking, measure), seed=seed)

    def means(self, measure: str, *, seed: int = 0) -> tuple[Interval, Interval]:
        """One of `Kept`'s shares under similarity alone, and under the ranking."""
        before, after = getattr(self.similarity, measure), getattr(self.ranking, measure)
        return interval(before, seed=seed), interval(after, seed=seed)


def compare(questions: Sequence[Disagreement], embedder: TextEmbedder, *, limit: int = TOP) -> Comparison:
    """Rank every question's documents both ways and say what was kept."""
    return Comparison(
        _kept(questions, embedder, "report", limit), _kept(questions, embedder, "weighted", limit)
    )


def _kept(questions: Sequence[Disagreement], embedder: TextEmbedder, mode: Mode, limit: int) -> Kept:
    rows = [_one(question, embedder, mode, limit) for question in questions if question.documents]
    correct, answers, misinformation, contested = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Kept(correct, answers, misinformation, contested)


def _one(
    question: Disagreement, embedder: TextEmbedder, mode: Mode, limit: int
) -> tuple[float, float, float, float]:
    """The four shares of one question."""
    texts = [one.text for one in question.documents]
    vectors = embedder.embed(texts)
    relevance = vectors @ embedder.embed_query(question.question)
    candidates = [
        Candidate(text, f"source-{at}", float(relevance[at]), np.asarray(vectors[at]))
        for at, text in enumerate(texts)
    ]
    ranking = rerank(question.question, candidates, limit=limit, mode=mode)
    chosen = {ranked.index for ranked in ranking.passages}
    right = [at for at, one in enumerate(question.documents) if one.kind == "correct"]
    wrong = sum(question.documents[at].kind == "misinfo" for at in chosen)
    told = {question.documents[at].answer for at in right}
    heard = {question.documents[at].answer for at in chosen.intersection(right)}
    return (
        len(chosen.intersection(right)) / min(len(right), limit) if right else 1.0,
        len(heard) / len(told) if told else 1.0,
        wrong / len(chosen) if chosen else 0.0,
        float(bool(ranking.contested)),
    )
