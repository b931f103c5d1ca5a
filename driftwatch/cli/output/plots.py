"""Small drawings of letters: evidence over windows, and a column before and after on the same cells."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from driftwatch.charts.bars import LevelBar, NumericBars
from driftwatch.cli.output.screen import clean, row, said
from driftwatch.results import words
from driftwatch.results.evidence_trail import Trail
from driftwatch.results.results import State

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_STEPS = "▁▂▃▄▅▆▇█"
#: A window that could not look, and one that looked but whose evidence is not known yet.
_BLIND, _UNKNOWN, _PAGE = "?", "·", "▲"
_METER, _WIDE_WINDOW = 10, 4
_DARK = frozenset(state for state in State if not state.looked)
_LABEL = 24
REFERENCE, WINDOW = "dim", "cyan"
_STYLES = {words.MOVED: "red", words.SAME: "green", words.BLIND: "yellow"}


def meter(evidence: float | None) -> Text:
    """Evidence as a bar that is full at a page.

    >>> meter(0.5).plain, meter(None).plain
    ('█████····· 0.5', '–')
    """
    if evidence is None:
        return said("–")
    filled = int(min(max(evidence, 0.0), 1.0) * _METER)
    return said(f"{'█' * filled}{'·' * (_METER - filled)} {words.number(round(evidence, 3))}")


def heights(shares: Iterable[float], peak: float) -> str:
    """Shares as bars of one line, cut at ``peak``. What is not zero never reads as zero.

    >>> heights([0, 0.001, 0.5, 1], 1)
    ' ▁▄█'
    """
    steps = (round(min(share / peak, 1.0) * len(_STEPS)) if share else -1 for share in shares)
    return "".join(" " if step < 0 else _STEPS[max(step, 1) - 1] for step in steps)


def sparkline(trail: Trail) -> list[Text]:
    """Evidence of each window in one line, and beneath it which of them were pages, if any."""
    drawn = said("")
    for _, evidence, state, _ in trail:
        drawn.append(*_place(evidence, state, 0, 1))
    marks = _marks(trail)
    return [drawn, marks] if marks.plain.strip() else [drawn]


def timeline(trail: Trail, room: int, tall: int = 4) -> list[Text]:
    """Evidence of each window as columns, beneath them the pages, beneath those the dates of both ends.

    ``room`` are the terminal's columns for the windows, at least one each; few windows are drawn wider.
    """
    lines, each = [], min(max(room // len(trail), 1), _WIDE_WINDOW)
    for level in reversed(range(tall)):
        label = "a page" if level == tall - 1 else "0" if level == 0 else ""
        drawn = said(f"{label:>8} │", "dim")
        for _, evidence, state, _ in trail:
            sign, style = _place(evidence, state, level, tall)
            drawn.append(sign * each, style)
        lines.append(drawn)
    marks = said(f"{'pages':>8} │", "dim")
    lines.append(marks.append_text(_marks(trail, each)))
    first, last = (words.instant(trail[place][0])[:10] for place in (0, -1))
    left = len(trail) * each - len(first)
    ends = f"{first}{last:>{left}}" if left > len(last) else f"{first} to {last}"
    lines.append(said(f"{'':>8}  {ends}", "dim"))
    return lines


def _place(evidence: float | None, state: str, level: int, tall: int) -> tuple[str, str]:
    """One window at one height of a drawing, and its colour."""
    style = _STYLES[words.kind_of(state)]
    if state in _DARK or evidence is None:
        sign = _BLIND if state in _DARK else _UNKNOWN
        return (sign if level == 0 else " ", style)
    step = round(min(max(evidence, 0.0), 1.0) * tall * len(_STEPS)) - level * len(_STEPS)
    if level == 0:
        step = max(step, 1)
    return (_STEPS[min(step, len(_STEPS)) - 1] if step > 0 else " ", style)


def _marks(trail: Trail, each: int = 1) -> Text:
    return said("".join(f"{_PAGE if page else ' ':<{each}}" for *_, page in trail), "bold red")


def before_and_after(
    name: str, effect: str, bars: NumericBars | Sequence[LevelBar], wide: int
) -> tuple[Text, Table]:
    """One column's reference and window on the same cells, at most ``wide`` columns of the terminal."""
    from rich.table import Table

    made = Table.grid(padding=(0, 1, 0, 0))
    if isinstance(bars, NumericBars):
        _numeric(made, bars, 2 if wide >= 90 else 1)
    else:
        _levels(made, bars, max((wide - _LABEL - 20) // 2, 5))
    return said(name, "bold").append(f"  {clean(effect)}", "not bold"), made


def _numeric(into: Table, bars: NumericBars, each: int) -> None:
    sides = [("reference", REFERENCE, bars.reference), ("window", WINDOW, bars.window)]
    peak = max(float(share[1:-1].max()) for _, _, share in sides if share is not None) or 1.0
    for side, style, shares in sides:
        label = said(f"{side:>11}", "dim")
        if shares is None:
            row(into, label, said("no row has a value", "yellow"))
            continue
        drawn = "".join(sign * each for sign in heights(map(float, shares[1:-1]), peak))
        below, above = (heights([float(shares[place])], peak) for place in (0, -1))
        line = said(below, style).append("│", "dim").append(drawn, style).append("│", "dim")
        ends = zip(("below", "above"), (float(shares[0]), float(shares[-1])), strict=True)
        beyond = ", ".join(f"{words.percent(share)} {where}" for where, share in ends if share)
        row(into, label, line.append(above, style), said(beyond, "dim"))
    row(into, "", said(f"  {_axis(bars, each)}", "dim"))


def _axis(bars: NumericBars, each: int) -> str:
    """The values beneath the bars: each where it belongs, and left out where it would not fit."""
    room = (len(bars.edges) - 1) * each
    low, high = float(bars.edges[0]), float(bars.edges[-1])
    line, free = "", 0
    for value, label in bars.ticks:
        share = (value - low) / (high - low)
        place = round(share * room - len(label) / 2)
        place = min(max(place, 0), max(room - len(label), 0))
        if place >= free:
            line = f"{line:<{place}}{label}"
            free = len(line) + 1
    return line


def _levels(into: Table, bars: Sequence[LevelBar], wide: int) -> None:
    from rich.bar import Bar

    single = [bar for bar in bars if not bar.rest]
    peak = max([max(bar.reference, bar.window or 0.0) for bar in single], default=1.0) or 1.0
    rest = [bar for bar in bars if bar.rest and (bar.reference or bar.window)]
    row(into, "", said("reference", "dim"), "", said("window", "dim"), "")
    for bar in single + rest:
        cells: list[object] = [said(f"  {words.shortened(words.visible(bar.label), _LABEL)}")]
        for share, style in ((bar.reference, "bright_black"), (bar.window, WINDOW)):
            drawn = "" if share is None else Bar(peak, 0, min(share, peak), width=wide, color=style)
            cells += [drawn, said(words.percent(share), "dim")]
        row(into, *cells)
