"""Bar charts as plain SVG text: no library, no script, readable in light and dark."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from trustrag.redteam.metrics import Interval

_LABEL, _WIDTH, _BAR, _GAP, _VALUE = 190, 420, 11, 9, 70


@dataclass(frozen=True, slots=True)
class Row:
    """A label with one interval for each series."""

    label: str
    values: tuple[Interval, ...]


def bars(title: str, series: Sequence[str], rows: Sequence[Row]) -> str:
    """Horizontal bars from 0 to 1, one a series and row, each with the whiskers of its interval.

    Bars take their colour from the classes `s0`, `s1`, ... that the page styles.
    """
    group = len(series) * _BAR + _GAP
    top = 24
    height = top + len(rows) * group + 22
    width = _LABEL + _WIDTH + _VALUE
    parts = [
        f'<svg class="chart" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        *_grid(top, height - 22),
    ]
    for number, row in enumerate(rows):
        parts += _row(row, top + number * group, group)
    return "\n".join([*parts, "</svg>"])


def _grid(top: int, bottom: int) -> list[str]:
    parts = []
    for step in range(6):
        x = _LABEL + _WIDTH * step / 5
        parts.append(f'<line class="grid" x1="{x:.0f}" y1="{top - 4}" x2="{x:.0f}" y2="{bottom}"/>')
        parts.append(f'<text class="tick" x="{x:.0f}" y="{bottom + 14}">{step * 20}%</text>')
    return parts


def _row(row: Row, top: int, group: int) -> list[str]:
    middle = top + (group - _GAP) / 2 + 4
    parts = [f'<text class="label" x="{_LABEL - 8}" y="{middle:.0f}">{escape(row.label)}</text>']
    for number, value in enumerate(row.values):
        y = top + number * _BAR
        parts += _bar(value, y, number)
    return parts


def _bar(value: Interval, y: int, number: int) -> list[str]:
    low, mean, high = (
        _LABEL + _WIDTH * min(1.0, max(0.0, share)) for share in (value.low, value.mean, value.high)
    )
    middle = y + (_BAR - 1) / 2
    ends = f"M{low:.1f} {y + 2}v5M{high:.1f} {y + 2}v5"
    return [
        f'<rect class="s{number}" x="{_LABEL}" y="{y}" width="{mean - _LABEL:.1f}" height="{_BAR - 2}"/>',
        f'<path class="whisker" d="M{low:.1f} {middle}H{high:.1f}{ends}"/>',
        f'<text class="value" x="{max(mean, high) + 5:.1f}" y="{y + _BAR - 2}">{value.mean:.2f}</text>',
    ]
