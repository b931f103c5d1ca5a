"""Draws plots of text characters: evidence over windows, a column's reference and window."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from driftwatch.charts.bars import LevelBar, NumericBars
from driftwatch.cli.output.screen import add_row, clean, literal
from driftwatch.results import text_format
from driftwatch.results.evidence_trail import Trail
from driftwatch.results.results import State

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

_BLOCKS = "▁▂▃▄▅▆▇█"
#: A window that could not look; one that looked but has no evidence yet; a page.
_BLIND_SIGN, _NO_EVIDENCE_SIGN, _PAGE_SIGN = "?", "·", "▲"
#: Characters of a full meter, and of a window where there is space.
_METER_CHARS, _MAX_WINDOW_CHARS = 10, 4
_BLIND_STATES = frozenset(state for state in State if not state.has_data)
#: Characters of a level's name; bars get the width that is left.
_MAX_LABEL_CHARS = 24
#: Columns of the terminal from which a numeric bar takes two characters.
_WIDE_PLOT = 90
REFERENCE_STYLE, WINDOW_STYLE = "dim", "cyan"
_STYLES = {text_format.MOVED: "red", text_format.SAME: "green", text_format.BLIND: "yellow"}


def meter(evidence: float | None) -> Text:
    """Return evidence as a bar, full where a page is due.

    >>> meter(0.5).plain, meter(None).plain
    ('█████····· 0.5', '–')
    """
    if evidence is None:
        return literal("–")
    filled = int(min(max(evidence, 0.0), 1.0) * _METER_CHARS)
    return literal(
        f"{'█' * filled}{'·' * (_METER_CHARS - filled)} {text_format.format_number(round(evidence, 3))}"
    )


def heights(shares: Iterable[float], peak: float) -> str:
    """Return shares as a line of bars, cut at ``peak``; a share above zero never looks like zero.

    >>> heights([0, 0.001, 0.5, 1], 1)
    ' ▁▄█'
    """
    steps = (round(min(share / peak, 1.0) * len(_BLOCKS)) if share else -1 for share in shares)
    return "".join(" " if step < 0 else _BLOCKS[max(step, 1) - 1] for step in steps)


def sparkline(trail: Trail) -> list[Text]:
    """Return a line of bars, one per window, and a second one that marks pages, if any."""
    line = literal("")
    for _, evidence, state, _ in trail:
        line.append(*_sign(evidence, state, 0, 1))
    marks = _page_marks(trail)
    return [line, marks] if marks.plain.strip() else [line]


def timeline(trail: Trail, columns: int, height: int = 4) -> list[Text]:
    """Return evidence per window as a bar of ``height`` lines; below it pages, then dates.

    Each window takes at least one of the terminal's ``columns``.
    """
    lines, window_chars = [], min(max(columns // len(trail), 1), _MAX_WINDOW_CHARS)
    for level in reversed(range(height)):
        label = "a page" if level == height - 1 else "0" if level == 0 else ""
        line = literal(f"{label:>8} │", "dim")
        for _, evidence, state, _ in trail:
            sign, style = _sign(evidence, state, level, height)
            line.append(sign * window_chars, style)
        lines.append(line)
    marks = literal(f"{'pages':>8} │", "dim")
    lines.append(marks.append_text(_page_marks(trail, window_chars)))
    first, last = (text_format.format_time(trail[index][0])[:10] for index in (0, -1))
    n_chars = len(trail) * window_chars - len(first)
    dates = f"{first}{last:>{n_chars}}" if n_chars > len(last) else f"{first} to {last}"
    lines.append(literal(f"{'':>8}  {dates}", "dim"))
    return lines


def _sign(evidence: float | None, state: str, level: int, height: int) -> tuple[str, str]:
    style = _STYLES[text_format.state_kind(state)]
    if state in _BLIND_STATES or evidence is None:
        sign = _BLIND_SIGN if state in _BLIND_STATES else _NO_EVIDENCE_SIGN
        return (sign if level == 0 else " ", style)
    step = round(min(max(evidence, 0.0), 1.0) * height * len(_BLOCKS)) - level * len(_BLOCKS)
    if level == 0:
        step = max(step, 1)
    return (_BLOCKS[min(step, len(_BLOCKS)) - 1] if step > 0 else " ", style)


def _page_marks(trail: Trail, window_chars: int = 1) -> Text:
    return literal(
        "".join(f"{_PAGE_SIGN if page else ' ':<{window_chars}}" for *_, page in trail), "bold red"
    )


def column_plot(
    name: str, effect: str, bars: NumericBars | Sequence[LevelBar], columns: int
) -> tuple[Text, Table]:
    """Plot reference and window on the same cells, at most ``columns`` characters wide."""
    from rich.table import Table

    plot = Table.grid(padding=(0, 1, 0, 0))
    if isinstance(bars, NumericBars):
        _add_numeric(plot, bars, 2 if columns >= _WIDE_PLOT else 1)
    else:
        _add_levels(plot, bars, max((columns - _MAX_LABEL_CHARS - 20) // 2, 5))
    return literal(name, "bold").append(f"  {clean(effect)}", "not bold"), plot


def _add_numeric(plot: Table, bars: NumericBars, bar_chars: int) -> None:
    sides = [("reference", REFERENCE_STYLE, bars.reference), ("window", WINDOW_STYLE, bars.window)]
    peak = max(float(share[1:-1].max()) for _, _, share in sides if share is not None) or 1.0
    for side, style, shares in sides:
        label = literal(f"{side:>11}", "dim")
        if shares is None:
            add_row(plot, label, literal("no row has a value", "yellow"))
            continue
        inner_bars = "".join(sign * bar_chars for sign in heights(map(float, shares[1:-1]), peak))
        lower_bar, upper_bar = (heights([float(shares[index])], peak) for index in (0, -1))
        line = literal(lower_bar, style).append("│", "dim").append(inner_bars, style).append("│", "dim")
        tails = zip(("below", "above"), (float(shares[0]), float(shares[-1])), strict=True)
        tail_text = ", ".join(f"{text_format.format_percent(share)} {tail}" for tail, share in tails if share)
        add_row(plot, label, line.append(upper_bar, style), literal(tail_text, "dim"))
    add_row(plot, "", literal(f"  {_axis(bars, bar_chars)}", "dim"))


def _axis(bars: NumericBars, bar_chars: int) -> str:
    columns = (len(bars.edges) - 1) * bar_chars
    low, high = float(bars.edges[0]), float(bars.edges[-1])
    line, next_column = "", 0
    for value, label in bars.ticks:
        share = (value - low) / (high - low)
        column = round(share * columns - len(label) / 2)
        column = min(max(column, 0), max(columns - len(label), 0))
        if column >= next_column:
            line = f"{line:<{column}}{label}"
            next_column = len(line) + 1
    return line


def _add_levels(plot: Table, bars: Sequence[LevelBar], bar_columns: int) -> None:
    from rich.bar import Bar

    single = [bar for bar in bars if not bar.is_aggregate]
    peak = max([max(bar.reference, bar.window or 0.0) for bar in single], default=1.0) or 1.0
    rest = [bar for bar in bars if bar.is_aggregate and (bar.reference or bar.window)]
    add_row(plot, "", literal("reference", "dim"), "", literal("window", "dim"), "")
    for bar in single + rest:
        cells: list[object] = [
            literal(f"  {text_format.truncate(text_format.escape_invisible(bar.label), _MAX_LABEL_CHARS)}")
        ]
        for share, style in ((bar.reference, "bright_black"), (bar.window, WINDOW_STYLE)):
            drawing = "" if share is None else Bar(peak, 0, min(share, peak), width=bar_columns, color=style)
            cells += [drawing, literal(text_format.format_percent(share), "dim")]
        add_row(plot, *cells)
