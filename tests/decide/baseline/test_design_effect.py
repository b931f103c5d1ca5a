"""Design effects of many columns: alike ones are pooled, an odd one keeps its own."""

from __future__ import annotations

import numpy as np

from driftwatch.core.arrays import Float64Array
from driftwatch.decide.baseline.design_effect import upper_limits
from driftwatch.decide.evalues.stream_index import StreamIndex


def measured_ratios(rng: np.random.Generator, effect: Float64Array, degrees: float) -> Float64Array:
    return np.asarray(effect * rng.chisquare(degrees, len(effect)) / degrees)


def limits(ratio: Float64Array, degrees: float) -> Float64Array:
    keys = StreamIndex(("ks", f"c{k}", "") for k in range(len(ratio)))
    return upper_limits(keys, ratio, np.full(len(ratio), degrees), 0.8)


def test_what_is_alike_is_told_from_all() -> None:
    """The spread of 40 estimates of one design effect is a fraction of the ratios'."""
    ratio = measured_ratios(np.random.default_rng(1), np.full(40, 6.0), 27.0)
    effects = limits(ratio, 27.0)
    assert np.log(effects).std() < np.log(ratio).std() / 2
    # The common estimate has a standard error of 4 %: five of them, and the upper limit above it.
    assert 6.0 * 0.8 < np.median(effects) < 6.0 * 1.5


def test_one_odd_column_keeps_its_own() -> None:
    """One of 40 columns has five times the others' design effect: 15 standard errors."""
    effect = np.append(np.full(39, 2.0), 10.0)
    effects = limits(measured_ratios(np.random.default_rng(2), effect, 200.0), 200.0)
    # A ratio of 200 degrees is 10 % off; an upper limit lies above it.
    assert effects[-1] > 8.0
    assert effects[:-1].max() < 4.0


def test_what_was_not_measured_is_not_known() -> None:
    effects = limits(np.array([3.0, np.nan]), 27.0)
    assert effects[0] > 3.0
    assert np.isnan(effects[1])
