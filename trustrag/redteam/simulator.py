"""The run: a workspace is copied, attacked, and asked again, attack by attack.

report = run("kb", per_tier=40, seed=1)
Path("redteam.html").write_text(report.to_html())
sys.exit(report.exceeds(0.1))
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from trustrag.errors import ConfigError
from trustrag.redteam.attacks import select
from trustrag.redteam.campaign import Attack, Honest, Poison, Question, Target
from trustrag.redteam.metrics import TOP, Outcome, Shown, judge, states
from trustrag.redteam.placing import Foothold, place
from trustrag.redteam.questions import make_questions
from trustrag.redteam.reader import Reader, read
from trustrag.redteam.report import RedTeamReport
from trustrag.redteam.results import Defence, Placed, Trial
from trustrag.redteam.scratch import RememberingEmbedder, Scratch, scratch
from trustrag.workspace import AnyEmbedder, Workspace

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how much of it is done, and how much there is."""

DEPTH = 20
"""Honest passages of each question that an attacker sees and that plain similarity ranks."""

_SAMPLE = 400
"""Documents that are read, at most, to make questions from."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What similarity alone finds for a question before the attack: passages and their cosines."""

    passages: tuple[Honest, ...]
    relevance: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class _Bench:
    """What all trials of a run share."""

    scratch: Scratch
    clean: Workspace
    targets: tuple[Target, ...]
    reader: Reader | None
    seed: int
    progress: Progress

    @property
    def embedder(self) -> RememberingEmbedder:
        return self.scratch.embedder


def run(
    folder: str | Path,
    *,
    attacks: Sequence[Attack] | None = None,
    questions: Sequence[Question] | None = None,
    per_tier: int = 40,
    seed: int = 0,
    reader: Reader | None = None,
    embedder: AnyEmbedder | None = None,
    ask_passphrase: Callable[[], bytes] | None = None,
    progress: Progress | None = None,
) -> RedTeamReport:
    """Attack copies of the workspace in `folder` and report how far each attack came.

    `attacks` defaults to the whole catalogue; `questions` to some made from the workspace's own passages. Of
    more than `per_tier` questions a sample is drawn; those whose answer the workspace doesn't hold are left
    out. With a `reader` the attacker's success is what it answers, else what most passages say. The same
    seed gives the same report. `embedder` and `ask_passphrase` are as for `Workspace.open`. Raises
    `ConfigError` where the workspace has no question to ask.
    """
    chosen = tuple(select()) if attacks is None else tuple(attacks)
    told = progress or (lambda what, done, total: None)
    with scratch(folder, ask_passphrase, embedder=embedder) as copies, copies.copy("clean") as clean:
        targets = _targets(clean, questions, per_tier, np.random.default_rng(seed), told)
        if not targets:
            raise ConfigError("the workspace answers no question of this run: give some, or ingest more")
        bench = _Bench(copies, clean, targets, reader, seed, told)
        before = _trial_without_attack(bench)
        trials = tuple(_trial(bench, attack, number) for number, attack in enumerate(chosen))
        return RedTeamReport(
            collection=f"{clean.policy.context.tenant}/{clean.policy.context.collection}",
            embedder=copies.embedder.id.name,
            reader=type(reader).__name__ if reader is not None else "",
            seed=seed,
            questions=tuple(target.question for target in targets),
            clean=before,
            trials=trials,
        )


def _targets(
    clean: Workspace,
    questions: Sequence[Question] | None,
    count: int,
    rng: np.random.Generator,
    progress: Progress,
) -> tuple[Target, ...]:
    """Up to `count` questions that the clean workspace can answer, with the passages it has on them."""
    if questions is None:
        questions = make_questions(_sample(clean, rng, progress), count=2 * count, rng=rng)
    targets: list[Target] = []
    for at in rng.permutation(len(questions)):
        if len(targets) == count:
            break
        question = questions[int(at)]
        found = _similar(clean, question.text)
        if any(states(one.text, question.correct) for one in found.passages):
            targets.append(Target(question, found.passages))
            progress("questions", len(targets), count)
    return tuple(targets)


def _sample(clean: Workspace, rng: np.random.Generator, progress: Progress) -> list[Honest]:
    """The passages of some documents that stand, drawn by `rng`."""
    rows = clean.standing_documents()
    drawn = rng.permutation(len(rows))[:_SAMPLE]
    passages: list[Honest] = []
    for done, at in enumerate(drawn):
        for one in clean.read(rows[int(at)].doc_id):
            passages.append(Honest(one.text, one.source, one.doc_id))
        progress("reading", done + 1, len(drawn))
    return passages


def _similar(clean: Workspace, asked: str) -> _Found:
    report = clean.search(asked, k=DEPTH, mode="report")
    passages = tuple(
        Honest(one.passage.text, one.passage.source, one.passage.doc_id) for one in report.passages
    )
    return _Found(passages, tuple(one.relevance for one in report.passages))


def _trial_without_attack(bench: _Bench) -> Trial:
    nothing = Foothold(Placed(), frozenset(), {}, frozenset())
    asked = [target.question.text for target in bench.targets]
    outcomes = {
        Defence.NONE: _undefended(bench, asked, ()),
        Defence.SIGNATURES: _defended(bench, bench.clean, asked, nothing, Defence.SIGNATURES, "clean"),
        Defence.GATE: _defended(bench, bench.clean, asked, nothing, Defence.GATE, "clean"),
    }
    return Trial("clean", (), "Nobody attacks.", (), nothing.placed, outcomes)


def _trial(bench: _Bench, attack: Attack, number: int) -> Trial:
    """One attack on a fresh copy, measured under every defence."""
    bench.progress(f"{attack.name}: making texts", 0, len(bench.targets))
    poisons = attack.poisons(bench.targets, bench.embedder, np.random.default_rng([bench.seed, number]))
    asked = [attack.asked(target.question.text) for target in bench.targets]
    outcomes = {Defence.NONE: _undefended(bench, asked, poisons)}
    with bench.scratch.copy(f"attack-{number}") as copy:
        foothold = place(
            copy, poisons, bench.targets, partial(bench.progress, f"{attack.name}: bringing texts")
        )
        for defence in (Defence.SIGNATURES, Defence.GATE):
            outcomes[defence] = _defended(bench, copy, asked, foothold, defence, attack.name)
    return Trial(
        attack.name, attack.atlas, attack.description, attack.knobs, foothold.placed, outcomes, attack.goal
    )


def _undefended(bench: _Bench, asked: Sequence[str], poisons: Sequence[Poison]) -> tuple[Outcome, ...]:
    """Plain similarity over the clean workspace and everything the attacker wrote, signed or not."""
    gone = {poison.original for poison in poisons if poison.replaces is not None}
    vectors = bench.embedder.embed([poison.text for poison in poisons])
    outcomes = []
    for target, text in zip(bench.targets, asked, strict=True):
        found = _similar(bench.clean, text)
        shown = [
            (relevance, Shown(one.text, False))
            for one, relevance in zip(found.passages, found.relevance, strict=True)
            if one.text not in gone
        ]
        shown += _nearest(poisons, vectors, bench.embedder.embed_query(text))
        shown.sort(key=lambda pair: -pair[0])
        outcomes.append(_outcome(bench, target, text, [one for _, one in shown[:TOP]], contested=False))
    return tuple(outcomes)


def _nearest(
    poisons: Sequence[Poison], vectors: NDArray[np.float32], aim: NDArray[np.float32]
) -> list[tuple[float, Shown]]:
    if not poisons:
        return []
    scores = vectors @ aim
    best = np.argsort(-scores, kind="stable")[:TOP]
    return [(float(scores[at]), Shown(poisons[at].text, not poisons[at].innocent)) for at in map(int, best)]


def _defended(
    bench: _Bench,
    workspace: Workspace,
    asked: Sequence[str],
    foothold: Foothold,
    defence: Defence,
    name: str,
) -> tuple[Outcome, ...]:
    """The workspace's own searches: `report` ranks what is proved by similarity, `weighted` is ours."""
    outcomes = []
    for target, text in zip(bench.targets, asked, strict=True):
        report = workspace.search(text, k=TOP, mode="report" if defence is Defence.SIGNATURES else "weighted")
        shown = [Shown(one.passage.text, foothold.wrote(one.passage)) for one in report.passages]
        contested = bool(report.contested) and defence is Defence.GATE
        outcomes.append(_outcome(bench, target, text, shown, contested=contested))
        bench.progress(f"{name}: asking, {defence.value}", len(outcomes), len(bench.targets))
    return tuple(outcomes)


def _outcome(
    bench: _Bench, target: Target, asked: str, shown: Sequence[Shown], *, contested: bool
) -> Outcome:
    outcome = judge(target.question, shown, contested=contested)
    if bench.reader is None:
        return outcome
    return read(outcome, bench.reader, target.question, asked, [one.text for one in shown])
