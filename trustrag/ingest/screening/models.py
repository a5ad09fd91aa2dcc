"""Two screens that load a model or a framework: slow, off unless asked for, of the extra `screens`.

Both only tell. How rude a text is says nothing of its truth, and what presidio takes for a telephone number may be one.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from trustrag.ingest.document import Document
from trustrag.ingest.screening.base import Finding, Severity

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine

PARTS = 1_000
"""Sentences that are judged, each by itself: in a long text a single insult would be lost."""
RUDE = 0.9
"""Probability of being offensive from which a part is told."""
SURE = 0.4
"""Score from which presidio's finding is told: that of a well-formed telephone number without any context."""
_PARTS = re.compile(r"[^.!?\n]*\w[^.!?\n]*")
_LEFT_OUT = frozenset(
    {"EMAIL_ADDRESS", "EMAIL", "URL", "DATE_TIME", "PERSON", "LOCATION", "NRP", "ORGANIZATION"}
)
"""What needs a model of a hub, or would look up public suffixes over the network."""


@dataclass(frozen=True, slots=True)
class ToxicityScreen:
    """Offensive parts of English text, by alt-profanity-check (a linear model inside its wheel)."""

    name: str = "toxicity"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Warn of each offensive part."""
        from profanity_check import predict_prob

        parts = [match for match, _ in zip(_PARTS.finditer(document.text), range(PARTS), strict=False)]
        if not parts:
            return
        for match, probability in zip(parts, predict_prob([part[0] for part in parts]), strict=True):
            if probability >= RUDE:
                reason = f"offensive with probability {probability:.2f}"
                yield Finding("TOXIC", Severity.WARN, match.start(), match.end(), reason)


@dataclass(frozen=True, slots=True)
class PresidioScreen:
    """Personal data by presidio's patterns, without a language model: telephone numbers, licences, wallets."""

    name: str = "presidio"
    version: int = 1

    def check(self, document: Document) -> Iterator[Finding]:
        """Warn of what it is sure of."""
        engine, kinds = _presidio()
        for start in range(0, len(document.text), 50_000):
            part = document.text[start : start + 50_000]
            for found in engine.analyze(part, language="en", entities=list(kinds), score_threshold=SURE):
                reason = f"{found.entity_type.lower().replace('_', ' ')}, score {found.score:.2f}"
                yield Finding(
                    "PERSONAL_DATA", Severity.WARN, start + found.start, start + found.end, reason, "CWE-359"
                )


@cache
def _presidio() -> "tuple[AnalyzerEngine, tuple[str, ...]]":
    import spacy
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import SpacyNlpEngine

    nlp = SpacyNlpEngine(models=[{"lang_code": "en", "model_name": "blank"}])
    nlp.nlp = {"en": spacy.blank("en")}  # nothing is downloaded
    engine = AnalyzerEngine(nlp_engine=nlp, supported_languages=["en"])
    kinds = tuple(sorted(set(engine.get_supported_entities("en")) - _LEFT_OUT))
    return engine, kinds
