"""The report of a run: what it found, the gate it can be for CI, and its two forms, JSON and a page."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from trustrag.redteam.campaign import Question
from trustrag.redteam.metrics import MEASURES, Interval
from trustrag.redteam.page import page
from trustrag.redteam.results import Defence, Trial, Worst

FORMAT = "urn:trustrag:redteam/v1"


@dataclass(frozen=True, slots=True)
class RedTeamReport:
    """The findings of one run. The same workspace, questions and seed give the same report."""

    collection: str
    embedder: str
    reader: str
    seed: int
    questions: tuple[Question, ...]
    clean: Trial
    trials: tuple[Trial, ...]

    @property
    def success_measure(self) -> str:
        """What counts as the attacker's success: the reader's answer where asked, else the majority."""
        return "deceived" if self.reader else "attacker"

    def worst(self) -> Worst | None:
        """The most successful attack against the full gate; None where no attack was run.

        An attack whose goal is another than to deceive is measured by its own goal where a reader was asked.
        """
        measures = [(one.goal if self.reader else self.success_measure, one) for one in self.trials]
        found = [
            (one.measure(measure, Defence.GATE, seed=self.seed), measure, one) for measure, one in measures
        ]
        if not found:
            return None
        success, measure, trial = max(found, key=lambda each: (each[0].mean, each[2].name))
        tied = (each[2].name for each in found if each[0].mean == success.mean and each[2] is not trial)
        return Worst(trial.name, measure, success, tuple(sorted(tied)))

    def exceeds(self, limit: float) -> bool:
        """Whether the worst attack succeeds on more than this share of the questions: the CI gate."""
        if not 0.0 <= limit <= 1.0:
            raise ValueError(f"a limit is a share between 0 and 1, not {limit}")
        worst = self.worst()
        return worst is not None and worst.success.mean > limit

    def everything(self) -> Sequence[Trial]:
        """The clean run, then every attack."""
        return (self.clean, *self.trials)

    def to_json(self) -> str:
        """The whole report as JSON text, with an outcome per question; shares rounded to six places."""
        worst = self.worst()
        whole = {
            "format": FORMAT,
            "collection": self.collection,
            "embedder": self.embedder,
            "reader": self.reader or None,
            "seed": self.seed,
            "worst": worst
            and {
                "attack": worst.attack,
                "tied": list(worst.tied),
                "measure": worst.measure,
                **_interval(worst.success),
            },
            "questions": [_question(one) for one in self.questions],
            "trials": [_trial(one, self.seed) for one in self.everything()],
        }
        return json.dumps(whole, ensure_ascii=False, indent=1)

    def to_html(self) -> str:
        """The report as one HTML page that needs nothing else: styles and plots are inside."""
        opening = (
            self._verdict(),
            f"{len(self.questions)} questions, {len(self.trials)} attacks, embedder {self.embedder}, "
            f"reader {self.reader or 'none asked'}, seed {self.seed}.",
            "Attacks were brought into a copy of the workspace, with real keys, by the ordinary way in.",
        )
        return page(f"Red team: {self.collection}", opening, self.everything(), seed=self.seed)

    def _verdict(self) -> str:
        worst = self.worst()
        if worst is None:
            return "No attack was run."
        success = worst.success
        tied = f" (as far came {', '.join(worst.tied)})" if worst.tied and success.mean else ""
        return (
            f"Worst against the full gate: {worst.attack}{tied}, {dict(MEASURES)[worst.measure]} on "
            f"{success.mean:.0%} of {success.n} questions "
            f"(95% interval {success.low:.0%} to {success.high:.0%})."
        )


def _question(one: Question) -> dict[str, object]:
    return {"question": one.text, "correct": list(one.correct), "wrong": one.wrong}


def _trial(trial: Trial, seed: int) -> dict[str, object]:
    return {
        "attack": trial.name,
        "atlas": list(trial.atlas),
        "description": trial.description,
        "knobs": dict(trial.knobs),
        "placed": asdict(trial.placed),
        "measures": {
            defence.value: {
                name: _interval(value) for name, value in trial.summary(defence, seed=seed).items()
            }
            for defence in trial.outcomes
        },
        "outcomes": {
            defence.value: [asdict(outcome) for outcome in outcomes]
            for defence, outcomes in trial.outcomes.items()
        },
    }


def _interval(value: Interval) -> dict[str, float]:
    return {
        "mean": round(value.mean, 6),
        "low": round(value.low, 6),
        "high": round(value.high, 6),
        "n": value.n,
    }
