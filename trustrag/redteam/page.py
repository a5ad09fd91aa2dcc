"""The page: tables and plots of trials, with styles inside and no script."""

from collections.abc import Sequence
from html import escape

from trustrag.redteam.metrics import MEASURES, Interval
from trustrag.redteam.plots import Row, bars
from trustrag.redteam.results import Defence, Trial

_DEFENCES = tuple(Defence)
_CAPTIONS = {
    Defence.NONE: "no defence",
    Defence.SIGNATURES: "signatures only",
    Defence.GATE: "the full gate",
}
_STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --faint: #cfd6dd; --paper: #fff; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --faint: #3b4652; --paper: #12181f; } }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 2rem auto;
  max-width: 62rem; padding: 0 1rem; }
table { border-collapse: collapse; margin: .6rem 0 1.6rem; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--faint); padding: .25rem .6rem; text-align: right; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1rem 0; overflow-x: auto; }
.chart text { fill: var(--ink); font-size: 11px; }
.chart .label { text-anchor: end; } .chart .tick { text-anchor: middle; }
.chart .grid { stroke: var(--faint); } .chart .whisker { stroke: var(--ink); fill: none; }
.s0 { fill: #c2452d; background: #c2452d; } .s1 { fill: #d9a326; background: #d9a326; }
.s2 { fill: #2f7d6b; background: #2f7d6b; }
.key { display: inline-block; width: .8em; height: .8em; margin: 0 .4em 0 1em; }
"""


def page(title: str, opening: Sequence[str], trials: Sequence[Trial], *, seed: int) -> str:
    """One self-contained HTML page. `opening` are paragraphs of plain text."""
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>",
        *(f"<p>{escape(one)}</p>" for one in opening),
        *(_figure(trials, name, caption, seed) for name, caption in MEASURES if _taken(trials, name)),
        "<h2>Every attack</h2>",
        *(_section(trial, seed) for trial in trials),
        "</body></html>",
    ]
    return "\n".join(parts)


def _taken(trials: Sequence[Trial], name: str) -> bool:
    return any(trial.measure(name, one).n for trial in trials for one in trial.outcomes)


def _figure(trials: Sequence[Trial], name: str, caption: str, seed: int) -> str:
    rows = [
        Row(trial.name, tuple(trial.measure(name, one, seed=seed) for one in _DEFENCES)) for trial in trials
    ]
    keys = "".join(f'<i class="key s{at}"></i>{_CAPTIONS[one]}' for at, one in enumerate(_DEFENCES))
    drawn = bars(caption, [_CAPTIONS[one] for one in _DEFENCES], rows)
    return f"<figure><figcaption><b>{escape(caption)}</b>{keys}</figcaption>{drawn}</figure>"


def _section(trial: Trial, seed: int) -> str:
    placed = trial.placed
    techniques = ", ".join(escape(one) for one in trial.atlas)
    head = "".join(f"<th>{_CAPTIONS[one]}</th>" for one in _DEFENCES)
    brought = (
        f"{placed.brought} texts brought: {placed.admitted} admitted, {placed.quarantined} quarantined, "
        f"{placed.refused} refused."
    )
    return (
        f"<h3>{escape(trial.name)}</h3><p>{escape(trial.description)} {techniques}</p><p>{brought}</p>"
        f"<table><tr><th></th>{head}<th>change, paired</th></tr>{''.join(_lines(trial, seed))}</table>"
    )


def _lines(trial: Trial, seed: int) -> Sequence[str]:
    lines = []
    for name, caption in MEASURES:
        values = [trial.measure(name, one, seed=seed) for one in _DEFENCES]
        if not all(value.n for value in values):
            continue
        cells = "".join(f"<td>{_cell(value)}</td>" for value in values)
        lines.append(
            f"<tr><td>{escape(caption)}</td>{cells}<td>{_cell(trial.change(name, seed=seed))}</td></tr>"
        )
    return lines


def _cell(value: Interval) -> str:
    return f"{value.mean:.2f} [{value.low:.2f}, {value.high:.2f}]"
