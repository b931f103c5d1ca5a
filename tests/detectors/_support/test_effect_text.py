"""What a page says about one column."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

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


@pytest.mark.parametrize("factor", [1.3, 5.0, 7.0, 30.0])
def test_one_factor_of_all_rows_is_named_though_no_unit_has_it(factor: float) -> None:
    assert effect("ks", NUMBERS, NUMBERS * factor).endswith(f", looks like x{factor:g}")


@pytest.mark.parametrize("factor", [1.0, 1.05, 1.3, 5.0, 7.0, 30.0])
def test_no_factor_is_guessed_when_none_fits(factor: float) -> None:
    assert "looks like" not in effect("ks", NUMBERS, NUMBERS + 40 * factor)
    assert "looks like" not in effect("ks", NUMBERS, NUMBERS * min(factor, 1.05))


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
    news = effect("unseen", north, ["mars"] * 12 + ["south"] * 88)
    assert news == 'levels never seen 0 % → 12 %: "mars" 12 %'
    full = np.arange(100.0)
    assert effect("missing", full, np.where(full < 12, np.nan, full)) == "missing 0 % → 12 %"


def stored_effect(name: str, reference_values: object, window_values: object) -> str:
    """On the cells of a stored grid, with the row sample of a sealed tile."""
    reference = reference_of({"x": reference_values})
    window = window_of(reference, {"x": window_values}).seal(reference.plan)
    return gauge(name, reference, window, "x").effect


def replaced(values: Any, share: float, value: float) -> Any:
    return np.where(np.arange(len(values)) < share * len(values), value, values)


@pytest.mark.parametrize("detector", ["ks", "wasserstein"])
@pytest.mark.parametrize("seed", range(5))
def test_a_value_that_takes_the_place_of_others_is_named(detector: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, after = rng.normal(41, 12, 5000), rng.normal(41, 12, 1000)
    text = stored_effect(detector, before, replaced(after, 0.03, -1))
    assert text.startswith(("3 % are -1 (before ", "about 3 % are -1 (before at most 0."))
    assert "median" not in text


@pytest.mark.parametrize(
    ("value", "share", "text"),
    [
        (-999.0, 0.03, "3 % are -999 (before 0 %)"),
        (41.37251, 0.3, "about 30 % are 41.3725 (before at most 0.4 %)"),
        (np.inf, 0.1, "10 % are infinity (before 0 %)"),
        (99999999.0, 0.1, "10 % are 99,999,999 (before 0 %)"),
    ],
)
def test_a_value_inside_a_gap_is_named_too(value: float, share: float, text: str) -> None:
    rng = np.random.default_rng(7)
    before, after = rng.normal(41, 2, 50_000), rng.normal(41, 2, 1000)
    assert stored_effect("ks", before, replaced(after, share, value)) == text


def test_a_value_that_the_reference_had_is_told_with_its_share() -> None:
    rng = np.random.default_rng(3)
    before, after = (replaced(rng.lognormal(3, 1, size), 0.1, 0) for size in (5000, 2000))
    after[:800] = 0
    assert stored_effect("ks", before, after) == "40 % are 0 (before 10 %)"


def test_a_value_that_went_away_is_named() -> None:
    rng = np.random.default_rng(3)
    before, after = (
        replaced(rng.lognormal(3, 1, size), share, 0) for size, share in ((5000, 0.31), (2000, 0.02))
    )
    assert stored_effect("ks", before, after) == "2 % are 0 (before 31 %)"


def test_a_jump_of_one_value_beside_a_shift_of_all_others_is_told_too() -> None:
    rng = np.random.default_rng(3)
    before, after = (
        replaced(rng.normal(size, 12, 5000), share, 0) for size, share in ((60, 0.02), (90, 0.31))
    )
    text = stored_effect("ks", before, after)
    assert text.startswith("median 59")
    assert text.endswith(", and 31 % are 0 (before 2 %)")


def test_in_a_small_window_a_value_of_the_reference_does_not_stand_for_a_shift() -> None:
    usual = np.repeat(np.arange(10.0, 30.0), 50)
    shifted = np.array([26.0] * 9 + [20.0, 21, 22, 23, 24, 25, 27, 28, 29] * 3)
    assert stored_effect("ks", usual, shifted).startswith("median ")
    assert stored_effect("ks", usual, np.where(shifted == 26, -1, shifted)).startswith("25 % are -1")


def test_where_the_rest_moves_too_both_are_told_and_a_shift_is_no_value() -> None:
    rng = np.random.default_rng(3)
    before, after = rng.normal(41, 12, 20_000), rng.normal(44, 12, 20_000)
    assert stored_effect("ks", before, after).startswith("median 41")
    text = stored_effect("ks", before, replaced(after, 0.15, -999))
    assert text == "15 % are -999 (before 0 %), and other values moved"
    assert stored_effect("ks", before, replaced(after + 40, 0.15, -999)).startswith("median 41")
    days = rng.integers(1, 31, 20_000).astype(float)
    assert stored_effect("ks", days, days * 10).endswith(", looks like x10")


def test_a_value_beyond_the_range_is_named_where_the_range_is_left() -> None:
    before, after = np.random.default_rng(1).normal(41, 2, (2, 5000))
    assert (
        stored_effect("out_of_range", before, replaced(after, 0.03, -1))
        == "below the reference's range 0 % → 3.0 %, 3 % are -1 (before 0 %)"
    )


def test_of_many_values_beyond_the_range_none_stands_for_them() -> None:
    rng = np.random.default_rng(1)
    before, after = rng.normal(41, 2, 5000), rng.choice([70.04, 71.5, 72.1, 73.3, 74.9], 1000)
    after[:400] = 70.04
    assert stored_effect("out_of_range", before, after) == "above the reference's range 0 % → 100 %"


def test_new_levels_are_named_largest_first_and_only_if_they_repeat() -> None:
    usual = ["card"] * 600 + ["cash"] * 400
    news = [name for number, name in enumerate("abcdefg", 10) for _ in range(number)]
    assert effect("unseen", usual, usual + news) == (
        'levels never seen 0 % → 8.3 %: "g" 1.5 %, "f" 1.4 %, "e" 1.3 %, "d" 1.2 %, "c" 1.1 % and others'
    )
    assert effect("chi2", usual, ["card"] * 300 + ["cash"] * 500 + ["GIFT_CARD"] * 200) == (
        '"card" 60 % → 30 %; levels never seen 0 % → 20 %: "GIFT_CARD" 20 %'
    )
    assert effect("tv", usual, usual + ["GIFT_CARD"] * 500) == (
        'levels never seen 0 % → 33 %: "GIFT_CARD" 33 %'
    )
    secrets = [f"user{number}@mail.example" for number in range(500)]
    text = effect("unseen", usual, usual + secrets + secrets[:100])
    assert text == "levels never seen 0 % → 38 %, too many or too rare to name"
    assert effect("unseen", usual, [*usual, "x"]) == "levels never seen 0 % → 0.1 %"


def test_a_new_level_is_named_among_many_rare_ones() -> None:
    usual = ["card"] * 600 + ["cash"] * 400
    rare = [f"shop {number}" for number in range(900)]
    text = effect("unseen", usual, usual + rare + ["GIFT_CARD"] * 100)
    assert text == 'levels never seen 0 % → 50 %: "GIFT_CARD" 5.0 % and others'


def test_hostile_new_levels_are_escaped_and_cut() -> None:
    usual = ["card"] * 600 + ["cash"] * 400
    hostile = ["<script>alert(1)</script>", "a\nb\x1b[31m", "\u202egpj", "x" * 10_000]
    text = effect("unseen", usual, usual + hostile * 100)
    assert "\\n" in text
    assert "\\u202e" in text
    assert text.isprintable()
    assert len(text) < 300


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
    assert unseen.effect == 'levels never seen 0 % → 80 %: "b" 80 %'
