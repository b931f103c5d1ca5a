"""Bars show what was counted; drawings are well-formed whatever they are given."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from xml.parsers.expat import ParserCreate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftwatch.charts import column_chart
from driftwatch.charts.bars import MAX_BARS, MAX_LEVELS, NumericBars, level_bars, numeric_bars
from driftwatch.charts.evidence_chart import sparkline, timeline
from driftwatch.charts.svg import _COLOURS, _RULES, standalone_svg
from driftwatch.core.arrays import Float64Array
from driftwatch.core.schema import Kind
from driftwatch.daemon.web.http import assets
from driftwatch.results import text_format
from driftwatch.results.results import State
from driftwatch.summary.batch import Levels, Numbers
from driftwatch.summary.counts import Counts
from driftwatch.summary.grid import LevelGrid, numeric_grid


def bars(reference: Float64Array, window: Float64Array, kind: Kind = Kind.NUMERIC) -> NumericBars | None:
    grid = numeric_grid(reference[~np.isnan(reference)])
    return numeric_bars(
        grid,
        Counts.from_column(grid, Numbers(values=reference)),
        Counts.from_column(grid, Numbers(values=window)),
        kind,
    )


def well_formed(drawing: str) -> None:
    ParserCreate().Parse(drawing, True)


def test_few_values_get_a_bar_each_and_strangers_go_between_and_beyond() -> None:
    chart_bars = bars(np.array([1.0, 1, 2, 3]), np.array([0.0, 1.0, 2.5, 3.0, 99.0]))
    assert chart_bars is not None
    assert chart_bars.window is not None
    np.testing.assert_allclose(chart_bars.edges, [0.5, 1.5, 2.5, 3.5])
    np.testing.assert_allclose(chart_bars.reference, [0, 0.5, 0.25, 0.25, 0])
    np.testing.assert_allclose(chart_bars.window, [0.2, 0.2, 0.1, 0.3, 0.2], atol=0.05)
    assert [label for _, label in chart_bars.ticks] == ["1", "2", "3"]


def test_many_values_agree_with_counting_the_rows() -> None:
    rng = np.random.default_rng(3)
    reference, window = rng.normal(size=20_000), rng.normal(2, 1, size=20_000)
    chart_bars = bars(reference, window)
    assert chart_bars is not None
    assert chart_bars.window is not None
    assert len(chart_bars.edges) == MAX_BARS + 1
    cuts = np.concatenate(([-np.inf], chart_bars.edges, [np.inf]))
    exact_reference, exact_window = (np.histogram(rows, cuts)[0] / len(rows) for rows in (reference, window))
    # A bar may be wrong by what one cell of the frozen grid holds at each of its two ends.
    assert np.abs(chart_bars.reference - exact_reference).max() < 2 / 255
    # The outer bounds are edges of the grid, so what lies beyond is exact for any window.
    assert (chart_bars.window[0], chart_bars.window[-1]) == (exact_window[0], exact_window[-1])
    assert exact_window[-1] > 0


def test_long_tails_do_not_squeeze_the_middle() -> None:
    reference = np.concatenate([np.linspace(0, 1, 10_000), [1e9]])
    chart_bars = bars(reference, reference)
    assert chart_bars is not None
    assert chart_bars.edges[-1] < 1.1
    assert chart_bars.reference[-1] > 0


finite = st.floats(allow_nan=False, width=64)


@settings(max_examples=200, deadline=None)
@given(st.lists(finite, min_size=1, max_size=400), st.lists(st.floats(), max_size=50), st.sampled_from(Kind))
def test_bars_hold_every_row_and_draw_well_formed(
    reference: list[float], window: list[float], kind: Kind
) -> None:
    chart_bars = bars(np.array(reference), np.array(window), kind)
    if chart_bars is None:
        assert not (np.abs(reference) < 1e150).any()
        return
    for shares in (chart_bars.reference, chart_bars.window):
        if shares is not None:
            assert shares.min() >= -1e-12
            assert shares.sum() == pytest.approx(1)
    well_formed(column_chart.histogram(chart_bars, "<&\"' \0"))


def test_levels_keep_the_largest_and_sum_the_rest() -> None:
    levels = tuple(f"level {n}" for n in range(30))
    grid = LevelGrid(levels=levels)
    codes = np.repeat(np.arange(30), np.arange(40, 10, -1)).astype(np.int32)
    reference = Counts.from_column(grid, Levels(codes=codes, levels=levels))
    window = Counts.from_column(
        grid, Levels(codes=np.array([29, 29, 0, 1], dtype=np.int32), levels=(*levels[:29], "new"))
    )
    chart_bars = level_bars(grid, reference, window)
    assert len(chart_bars) == MAX_LEVELS + 2
    assert chart_bars[0].label == "level 0"
    assert (chart_bars[-1].label, chart_bars[-1].window) == ("never seen before", 0.5)
    assert sum(bar.reference for bar in chart_bars) == pytest.approx(1)
    assert sum(bar.window or 0 for bar in chart_bars) == pytest.approx(1)
    well_formed(column_chart.level_chart(chart_bars, "x"))


def test_empty_sides_are_not_zero() -> None:
    grid = LevelGrid(levels=("a",))
    full = Counts.from_column(grid, Levels(codes=np.zeros(4, dtype=np.int32), levels=("a",)))
    assert [bar.window for bar in level_bars(grid, full, Counts.zero(grid))] == [None, None]
    assert level_bars(grid, Counts.zero(grid), full) == []
    chart_bars = bars(np.array([1.0, 2.0]), np.array([np.nan]))
    assert chart_bars is not None
    assert chart_bars.window is None


trail_points = st.tuples(
    st.integers(0, 2**62),
    st.none() | st.floats(0, 1),
    st.sampled_from([*map(str, State), "foreign"]),
    st.booleans(),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(trail_points, max_size=200), st.none() | st.integers(0, 2**62))
def test_trails_draw_well_formed(trail: list[tuple[int, float | None, str, bool]], onset: int | None) -> None:
    trail.sort(key=lambda item: item[0])
    for drawing in (sparkline(trail), timeline(trail, 2**60, onset)):
        assert bool(drawing) == bool(trail)
        if drawing:
            well_formed(drawing)


def test_a_line_is_never_drawn_over_a_gap() -> None:
    trail = [(n, None if n == 5 else 0.5, "source_error" if n == 5 else "ok", False) for n in range(10)]
    drawing = sparkline(trail)
    assert drawing.count("<polyline") == 2
    assert drawing.count('class="blind"') == 1


def test_a_drawing_on_its_own_has_the_colours_of_the_page() -> None:
    sheet = (Path(assets.__file__).parents[1] / "static" / "driftwatch.css").read_text(encoding="utf-8")
    light, dark = (
        dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", part)) for part in sheet.split("@media")[:2]
    )
    for name, pair in _COLOURS.items():
        assert pair == (light[name], dark[name])
    chart_rules = set(_RULES.split("\n"))
    rules = re.findall(r"^svg [^:{]+{.*(?:fill|stroke).*}$", sheet, re.MULTILINE)
    assert len(rules) > 20
    assert [rule for rule in rules if rule not in chart_rules] == []


def test_a_drawing_on_its_own_is_a_whole_file() -> None:
    drawing = standalone_svg(timeline([(n, 0.5, "ok", n == 5) for n in range(10)], 0))
    well_formed(drawing)
    assert drawing.startswith('<svg xmlns="http://www.w3.org/2000/svg" width="720" height="196" viewBox=')
    assert 'role="img"' in drawing
    assert "<title>evidence in 10 windows, 1 page</title>" in drawing
    assert "var(" not in drawing
    assert not re.search("script|href|<a ", drawing)


@given(st.floats())
def test_numbers_are_short_and_never_not_a_number(value: float) -> None:
    for text in (
        text_format.format_number(value),
        text_format.format_p_value(value),
        text_format.format_percent(abs(value) if abs(value) <= 1 else 0.5),
    ):
        assert len(text) <= 12
        assert "nan" not in text
    assert (
        text_format.format_number(None)
        == text_format.format_percent(None)
        == text_format.format_p_value(None)
        == "–"
    )


WORD = re.compile(r'<text x="([0-9.]+)" y="([0-9.]+)" text-anchor="(start|end)" class="tick said">([^<]+)<')


@pytest.mark.parametrize("length", [4, 30, 120])
def test_words_of_changed_references_never_lie_on_each_other(length: int) -> None:
    trail = [(n * 10**9, 0.5, "ok", False) for n in range(length)]
    changes = [(n, ("rebased", "rebased", "new reference")[n % 3]) for n in range(1, length)]
    drawing = str(timeline(trail, 0, None, changes))
    assert drawing.count('class="newreference"') == length - 1, "a line each"
    rows: dict[float, list[tuple[float, float]]] = {}
    for x, y, anchor, label in WORD.findall(drawing):
        label_start = float(x) - (6 * len(label) if anchor == "end" else 0)
        rows.setdefault(float(y), []).append((label_start, label_start + 6 * len(label)))
    assert {label for *_, label in WORD.findall(drawing)} == {change_label for _, change_label in changes}
    for spans in rows.values():
        assert all(left[1] <= right[0] for left, right in pairwise(spans))


def test_a_changed_reference_says_its_word_wherever_there_is_room() -> None:
    trail = [(n * 10**9, 0.5, "ok", False) for n in range(120)]
    near = str(timeline(trail, 0, None, [(60, "rebased"), (64, "rebased"), (90, "rebased")]))
    assert near.count(">rebased<") == 2
    assert str(timeline(trail, 0, None, [(60, "rebased"), (75, "rebased")])).count(">rebased<") == 2
