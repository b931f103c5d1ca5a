"""What a page says about one column."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from detector_worlds import exact_grid, gauge, reference_of, window_of

from driftwatch.core.schema import Kind
from driftwatch.detectors._support.effect_text import escape, format_percent, quote


def effect(name: str, reference_values: object, window_values: object, kind: Kind | None = None) -> str:
    grids = None
    if not isinstance(reference_values, list):
        grids = {"x": exact_grid(reference_values, window_values)}  # type: ignore[arg-type]
    kinds = {} if kind is None else {"x": kind}
    reference = reference_of({"x": reference_values}, kinds=kinds, grids=grids)  # type: ignore[arg-type]
    return gauge(name, reference, window_of(reference, {"x": window_values}), "x").effect


RNG = np.random.default_rng(1)
NUMBERS = RNG.lognormal(3, 0.7, 2000)


def test_a_moved_median() -> None:
    assert (
        effect("ks", np.repeat([40.0, 41.0, 42.0], 5), np.repeat([28.0, 29.0, 30.0], 5)) == "median 41 → 29"
    )


def test_a_moved_tail_when_the_median_stays() -> None:
    values = np.arange(1.0, 101.0)
    assert effect("ks", values, np.where(values > 90, values * 10, values)).startswith("p95 95 → 95")


def test_two_humps_name_the_edge_between_them() -> None:
    reference_values = np.arange(1.0, 100.0)
    window_values = np.where(
        (reference_values >= 10) & (reference_values <= 40),
        39.0,
        np.where((reference_values >= 60) & (reference_values <= 90), 61.0, reference_values),
    )
    assert effect("ks", reference_values, window_values) == "at or below 38: 38 % → 9.1 %"
    assert effect("ks", reference_values, reference_values) == "median 50 → 50"


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        (1000.0, "x1000"),
        (0.001, "x1/1000"),
        (10.0, "x10"),
        (60.0, "x60"),
        (1 / 3600, "x1/3600"),
        (1.609344, "x1.609"),
        (1 / 2.204623, "x1/2.205"),
    ],
)
def test_a_change_of_unit_is_named_when_clear(factor: float, words: str) -> None:
    assert effect("ks", NUMBERS, NUMBERS * factor).endswith(f", looks like {words}")


def test_temperatures() -> None:
    celsius = RNG.normal(15, 8, 2000)
    assert "C turned into F" in effect("ks", celsius, celsius * 1.8 + 32)
    assert "F turned into C" in effect("ks", celsius * 1.8 + 32, celsius)


@pytest.mark.parametrize("factor", [1.0, 1.05, 1.3, 5.0, 7.0, 30.0])
def test_no_unit_is_guessed_when_none_fits(factor: float) -> None:
    assert "looks like" not in effect("ks", NUMBERS, NUMBERS * factor)
    assert "looks like" not in effect("ks", NUMBERS, NUMBERS + 40 * factor)


def test_a_thousandfold_shows_on_stored_cells_too() -> None:
    reference = reference_of({"x": NUMBERS})
    statistic = gauge("ks", reference, window_of(reference, {"x": NUMBERS * 1000}), "x")
    assert "looks like x1000" in statistic.effect


def test_dates_lengths_levels_and_gaps() -> None:
    day = 86400.0
    times = 1.7e9 + np.arange(100.0) * day
    assert effect("ks", times, times + 365 * day, Kind.DATETIME) == "median 2024-01-02 → 2025-01-01"
    lengths = np.repeat([10.0, 12.0, 14.0], 9)
    assert effect("ks", lengths, lengths + 30, Kind.TEXT) == "median length 12 → 42"
    north = ["north"] * 22 + ["south"] * 78
    assert effect("chi2", north, ["north"] * 41 + ["south"] * 59) == '"north" 22 % → 41 %'
    assert effect("unseen", north, ["mars"] * 12 + ["south"] * 88) == "levels never seen 0 % → 12 %"
    full = np.arange(100.0)
    assert effect("missing", full, np.where(full < 12, np.nan, full)) == "missing 0 % → 12 %"


def test_hostile_names_are_cut_and_escaped() -> None:
    assert quote('a"b\\c\n\x1b[31m\u202e') == '"a\\"b\\\\c\\n\\x1b[31m\\u202e"'
    assert len(escape("x" * 1000)) == 40
    assert escape("\ud800") == "\\ud800"
    assert escape("Ærø") == "Ærø"


def test_shares_never_round_to_nothing() -> None:
    assert [format_percent(x) for x in (0.0, 1e-6, 0.004, 0.5, 0.9999, 1 - 1e-9, 1.0)] == [
        "0 %",
        "0.0001 %",
        "0.4 %",
        "50 %",
        "99.99 %",
        ">99.99 %",
        "100 %",
    ]


def test_what_is_new_to_a_segment_though_not_to_all_rows() -> None:
    columns = {"x": np.arange(1000.0), "k": np.array(["a"] * 500 + ["b"] * 500)}
    reference = reference_of(columns)
    segment_summary = window_of(reference, {name: values[:500] for name, values in columns.items()})
    segment = replace(reference, segments={"s": segment_summary}).for_segment("s")
    window = window_of(reference, {name: values[480:580] for name, values in columns.items()})
    outside = gauge("out_of_range", segment, window, "x")
    assert outside.value == pytest.approx(0.8, abs=0.05)
    assert outside.effect.startswith("above the reference's range 0 % → ")
    unseen = gauge("unseen", segment, window, "k")
    assert unseen.value == pytest.approx(0.8)
    assert unseen.effect == "levels never seen 0 % → 80 %"
