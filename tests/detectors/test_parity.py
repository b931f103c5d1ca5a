"""Statistics against scipy, numpy and direct computation; p-values against published tables."""

from __future__ import annotations

import warnings
from itertools import combinations

import numpy as np
import pytest
from detector_worlds import exact_grid, gauge, null_of, projection_of, reference_of, stream_list, window_of
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import jensenshannon
from scipy.stats import binom

from driftwatch.detectors._support import p_values
from driftwatch.detectors._support.quantile_bins import quantile_bins
from driftwatch.detectors.base import ReferenceContext
from driftwatch.detectors.mmd import distances
from driftwatch.detectors.mmd_exact import PERMUTATIONS, _side_matrix, kernel_widths, permutation_statistics
from driftwatch.results.results import Statistic
from driftwatch.summary.projection import N_BANDWIDTHS
from driftwatch.summary.serial import decode_reference, encode_reference

TIED = st.sampled_from([-np.inf, -2.5, -1.0, -0.0, 0.0, 1e-300, 1.0, 2.0, 3.5, 1e9, np.inf])
ANY = st.floats(allow_nan=False, width=32)
SAMPLE = st.lists(TIED | ANY, min_size=1, max_size=40)


def measure(name: str, reference_values: object, window_values: object, **grid: object) -> Statistic:
    reference = reference_of({"x": reference_values}, grids={"x": grid["grid"]} if grid else None)  # type: ignore[dict-item]
    return gauge(name, reference, window_of(reference, {"x": window_values}), "x")


def two_sample(reference_values: list[float], window_values: list[float]) -> float:
    """The definition, with both one-sided limits at every value, infinities included."""
    values = np.unique(np.concatenate([reference_values, window_values]) + 0.0)
    f, g = (
        np.searchsorted(np.sort(np.asarray(s) + 0.0), values, side="right") / len(s)
        for s in (reference_values, window_values)
    )
    return float(np.abs(f - g).max())


@given(SAMPLE, SAMPLE)
@settings(max_examples=120, deadline=None)
@example([0.0, 0.0, 10.0], [0.0, 0.0, 10.0])
@example([0.0, 10.0, 20.0], [5.0, 5.0, 5.0])
@example([-np.inf, np.inf], [np.inf, np.inf, 0.0])
def test_ks_is_exact_on_the_reference_values(
    reference_values: list[float], window_values: list[float]
) -> None:
    statistic = measure("ks", np.array(reference_values), np.array(window_values))
    assert statistic.low is None
    assert statistic.value == pytest.approx(two_sample(reference_values, window_values), abs=1e-12)
    if np.isfinite(reference_values + window_values).all():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scipy's p-value warns on tiny samples, not the statistic
            expected = stats.ks_2samp(reference_values, window_values, method="asymp").statistic
        assert statistic.value == pytest.approx(expected, abs=1e-12)


@given(st.lists(ANY, min_size=30, max_size=200), st.lists(ANY | TIED, min_size=1, max_size=60))
@settings(max_examples=40, deadline=None)
def test_ks_on_coarse_cells_brackets_the_exact_one(
    reference_values: list[float], window_values: list[float]
) -> None:
    reference = reference_of({"x": np.array(reference_values)})
    grid = _quantile_grid(reference_values)
    coarse = reference_of({"x": np.array(reference_values)}, grids={"x": grid})
    exact = gauge("ks", reference, window_of(reference, {"x": np.array(window_values)}), "x").value
    statistic = gauge("ks", coarse, window_of(coarse, {"x": np.array(window_values)}), "x")
    assert statistic.value is not None
    assert exact is not None
    low, high = (
        (statistic.value, statistic.value)
        if statistic.low is None
        else (statistic.low, statistic.high or 0.0)
    )
    assert low - 1e-12 <= exact <= high + 1e-12
    cells = coarse.summary.counts["x"].cells
    assert (
        high - low <= cells[::2].max() / len(reference_values) + _widest_share(coarse, window_values) + 1e-12
    )


def _quantile_grid(values: list[float]) -> object:
    from driftwatch.summary.grid import numeric_grid

    return numeric_grid(np.array(values), quantile_edges=9, max_exact_values=4)


def _widest_share(reference: object, window_values: list[float]) -> float:
    window = window_of(reference, {"x": np.array(window_values)})  # type: ignore[arg-type]
    return float(window.counts["x"].cells[::2].max() / len(window_values))


@pytest.mark.parametrize(
    ("numerator", "n", "m", "expected"),
    [
        (6, 3, 4, 0.6571428571),
        (15, 5, 7, 0.5454545455),
        (19500, 300, 520, 0.004697693694),
        (2320, 100, 110, 0.015739183865607353),
        (2290, 100, 110, 0.017803803861026313),
        (80, 16, 16, 0.4262934613454952),
        (500, 50, 50, 0.2719135602),
    ],
)
def test_ks_p_values_published(numerator: int, n: int, m: int, expected: float) -> None:
    assert p_values.kolmogorov_smirnov(numerator, n, m) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 5), (2, 3), (4, 4), (3, 6), (5, 6)])
def test_exact_ks_p_values_count_every_arrangement(n: int, m: int) -> None:
    """All orders of n and m rows are equally likely when nothing changed."""
    numerators = []
    for places in combinations(range(n + m), n):
        steps = np.full(n + m, -n)
        steps[list(places)] = m
        numerators.append(int(np.abs(np.cumsum(steps)).max()))
    for numerator in set(numerators):
        expected = np.mean(np.array(numerators) >= numerator)
        assert p_values.kolmogorov_smirnov(numerator, n, m) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "m"), [(40, 25), (300, 299), (900, 64), (17, 800), (400, 400)])
@pytest.mark.parametrize("shift", [0.0, 0.4, 1.5])
def test_exact_ks_p_values_equal_scipy(n: int, m: int, shift: float) -> None:
    rng = np.random.default_rng(n)
    reference_values, window_values = rng.normal(size=n), rng.normal(shift, 1, m)
    expected = stats.ks_2samp(reference_values, window_values, method="exact")
    p_value = p_values.kolmogorov_smirnov(expected.statistic * n * m, n, m)
    assert p_value == pytest.approx(expected.pvalue, rel=1e-7)


def test_large_ks_p_values_are_near_scipy_and_never_zero() -> None:
    rng = np.random.default_rng(1)
    for shift in (0.0, 0.01, 0.03, 0.06):
        reference_values, window_values = rng.normal(size=20_000), rng.normal(shift, 1, size=5_000)
        expected = stats.ks_2samp(reference_values, window_values, method="asymp")
        p_value = p_values.kolmogorov_smirnov(expected.statistic * 1e8, 20_000, 5_000)
        assert p_value == pytest.approx(expected.pvalue, rel=5e-3)
    assert p_values.kolmogorov_smirnov(1e10, 100_000, 100_000) > 0


@given(
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40),
    st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40),
)
@settings(max_examples=60, deadline=None)
def test_wasserstein_is_exact_when_all_rows_sit_on_edges(
    reference_values: list[float], window_values: list[float]
) -> None:
    statistic = measure(
        "wasserstein",
        np.array(reference_values),
        np.array(window_values),
        grid=exact_grid(reference_values, window_values),
    )
    assert statistic.value == pytest.approx(
        stats.wasserstein_distance(reference_values, window_values), rel=1e-9, abs=1e-9
    )
    assert statistic.p_value is None


def test_wasserstein_on_stored_cells_is_close() -> None:
    rng = np.random.default_rng(2)
    reference_values, window_values = rng.gamma(2, 10, 20_000), rng.gamma(2, 12, 3_000)
    statistic = measure("wasserstein", reference_values, window_values)
    assert statistic.value == pytest.approx(
        stats.wasserstein_distance(reference_values, window_values), rel=0.03
    )
    assert "interquartile range" in statistic.effect


COUNTS = st.tuples(st.integers(0, 90), st.integers(0, 90), st.integers(1, 90))


@given(COUNTS, COUNTS)
@settings(max_examples=60, deadline=None)
def test_levels_equal_scipy(left: tuple[int, ...], right: tuple[int, ...]) -> None:
    table = np.array([left, right])
    reference_values, window_values = (np.repeat(["a", "b", "c"], side) for side in (left, right))
    p, q = table[0] / len(reference_values), table[1] / len(window_values)
    assert measure("tv", reference_values, window_values).value == pytest.approx(
        np.abs(p - q).sum() / 2, abs=1e-12
    )
    share = min(len(reference_values), len(window_values)) / (len(reference_values) + len(window_values))
    if (table.sum(axis=0) * share < 5).any():
        return
    if (table[0] > 0).all():
        expected = stats.chi2_contingency(table, correction=False)
        chi2 = measure("chi2", reference_values, window_values)
        assert chi2.value == pytest.approx(expected.statistic, abs=1e-9)
        assert chi2.p_value == pytest.approx(expected.pvalue, rel=1e-9)
        js = measure("js", reference_values, window_values)
        assert js.value == pytest.approx(jensenshannon(p, q, base=2), abs=1e-7)
        g = stats.chi2_contingency(table, correction=False, lambda_="log-likelihood")
        assert js.p_value == pytest.approx(g.pvalue, rel=1e-6)


@given(st.integers(0, 60), st.integers(1, 400), st.integers(0, 60), st.integers(1, 400))
@settings(max_examples=80, deadline=None)
def test_two_shares_equal_scipy(a: int, n: int, b: int, m: int) -> None:
    a, b = min(a, n), min(b, m)
    table = np.array([[a, n - a], [b, m - b]])
    p_value = p_values.two_shares((a, b), (n, m))
    if a + b in (0, n + m):
        assert p_value == 1.0
    elif min(a + b, n + m - a - b) * min(n, m) / (n + m) < 5:
        assert p_value == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-5)
    else:
        assert p_value == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue, rel=1e-9)


#: statistics.md 1.2: critical PSI at 5 % on ten bins for reference and window sizes.
PSI_TABLE = [(100, 100, 0.338), (100_000, 100, 0.169), (100_000, 1_000, 0.0171), (100_000, 5_000, 0.0036)]


@pytest.mark.parametrize(("n", "m", "critical"), PSI_TABLE)
def test_psi_reaches_its_published_critical_values(n: int, m: int, critical: float) -> None:
    """About 5 % of healthy windows exceed the chi-square rule's critical PSI (measured .043-.050)."""
    rng = np.random.default_rng(3)
    repeats, above, rejected = 400, 0, 0
    for _ in range(repeats):
        reference_values, window_values = rng.multinomial(n, [0.1] * 10), rng.multinomial(m, [0.1] * 10)
        p, q = (reference_values + 0.5) / (n + 5), (window_values + 0.5) / (m + 5)
        value = float((q - p) @ np.log(q / p))
        above += value > critical
        rejected += p_values.chi_square(value / (1 / n + 1 / m), 9) <= 0.05
    for count in (above, rejected):
        assert binom.ppf(1e-4, repeats, 0.04) <= count <= binom.ppf(1 - 1e-4, repeats, 0.052)


def test_psi_bins_are_tenths_of_the_reference_and_do_not_move() -> None:
    rng = np.random.default_rng(4)
    reference_values = rng.normal(size=10_000)
    reference = reference_of({"x": reference_values}, grids={"x": exact_grid(reference_values)})
    window_values = rng.normal(size=2_000)
    values = []
    for window in (window_values, np.append(window_values, [1e12])):
        context = ReferenceContext(reference).window(window_of(reference, {"x": window}))
        assert quantile_bins(context).reference_counts.tolist() == [[1000] * 10]
        values.append(gauge("psi", reference, window_of(reference, {"x": window}), "x").value)
    edges = np.sort(reference_values)[999:-1:1000][:9]
    counts = np.bincount(np.searchsorted(edges, window_values), minlength=10)
    p, q = (np.full(10, 1000) + 0.5) / 10_005, (counts + 0.5) / 2_005
    assert values[0] == pytest.approx(float((q - p) @ np.log(q / p)), rel=1e-9)
    assert values[1] == pytest.approx(values[0], rel=0.1)


def direct_mmd(pooled: np.ndarray, n: int, widths: np.ndarray) -> float:
    """Gretton et al. 2012, equation 3, in float64."""
    squared = ((pooled[:, None, :] - pooled[None, :, :]) ** 2).sum(axis=2)
    kernel = np.mean([np.exp(-squared / (2 * width**2)) for width in widths], axis=0)
    np.fill_diagonal(kernel, 0.0)
    m = len(pooled) - n
    return float(
        kernel[:n, :n].sum() / (n * (n - 1))
        + kernel[n:, n:].sum() / (m * (m - 1))
        - 2 * kernel[:n, n:].sum() / (n * m)
    )


@pytest.mark.parametrize("shift", [0.0, 0.5])
@pytest.mark.parametrize("rows", [(300, 200), (900, 400)])
def test_mmd_exact_equals_the_direct_computation(shift: float, rows: tuple[int, int]) -> None:
    rng = np.random.default_rng(5)
    reference_columns = {"a": rng.normal(size=rows[0]), "b": rng.gamma(2, 1, rows[0])}
    window_columns = {"a": rng.normal(shift, 1, rows[1]), "b": rng.gamma(2, 1, rows[1])}
    reference = reference_of(reference_columns, joint=True)
    window = window_of(reference, window_columns)
    statistic = gauge("mmd_exact", reference, window)
    reference_sample, window_sample, projection = (
        reference.summary.sample,
        window.sample,
        reference.plan.projection,
    )
    assert reference_sample is not None
    assert window_sample is not None
    assert projection is not None
    pooled = projection.scale_rows(np.concatenate([reference_sample.rows, window_sample.rows]))
    widths = kernel_widths(pooled, np.concatenate([reference_sample.hashes, window_sample.hashes]))
    assert widths is not None
    assert statistic.value == pytest.approx(direct_mmd(pooled, rows[0], widths), rel=1e-4, abs=2e-7)
    assert statistic.p_value is not None
    assert (statistic.p_value < 0.01) == (shift > 0)


@pytest.mark.parametrize(("columns", "power"), [(40, 2), (6, 3), (2, 5), (1, 11)])
def test_powers_of_the_widest_kernel_are_the_narrower_ones(columns: int, power: int) -> None:
    rng = np.random.default_rng(columns)
    pooled = np.concatenate([rng.normal(size=(700, columns)), rng.normal(0.3, 1, (500, columns))])
    widths = kernel_widths(pooled, rng.permutation(1200).astype(np.uint64))
    assert widths is not None
    assert (widths[1:] / widths[:-1]) ** 2 == pytest.approx([power] * 4)
    value, null = permutation_statistics(pooled, 700, widths, np.random.default_rng(1))
    assert value == pytest.approx(direct_mmd(pooled, 700, widths), rel=1e-4, abs=2e-7)
    assert len(null) == PERMUTATIONS
    assert value > null.max()


def test_every_permutation_takes_as_many_rows() -> None:
    for rows, n in ((3, 1), (400, 399), (900, 300)):
        sides = _side_matrix(rows, n, np.random.default_rng(rows))
        assert (sides[:, : PERMUTATIONS + 1].sum(axis=0) == n).all()
        share = sides[:, 1 : PERMUTATIONS + 1].mean(axis=1)
        assert np.abs(share - n / rows).max() < 6 * np.sqrt(n / rows * (1 - n / rows) / PERMUTATIONS)


def test_mmd_exact_refuses_what_would_take_too_long() -> None:
    rng = np.random.default_rng(6)
    reference = reference_of(
        {"a": rng.normal(size=6000), "b": rng.normal(size=6000)}, joint=True, sample_rows=6000
    )
    statistic = gauge("mmd_exact", reference, reference.summary)
    assert statistic.value is None
    assert "5,000" in statistic.undefined


def test_mmd_statistic_equals_the_definition() -> None:
    rng = np.random.default_rng(7)
    reference_columns = {"a": rng.normal(size=500), "b": rng.normal(size=500)}
    window_columns = {"a": rng.normal(size=200), "b": rng.normal(1, 1, 200)}
    reference = reference_of(reference_columns, joint=True)
    window = window_of(reference, window_columns)
    projection = projection_of(reference_columns, 0)
    assert projection is not None
    assert reference.summary.sums is not None
    assert window.sums is not None
    points = [
        projection.scale_rows(np.column_stack([side["a"], side["b"]]))
        for side in (reference_columns, window_columns)
    ]
    angles = [side.astype(np.float32) @ projection.frequencies for side in points]
    squared_distances = np.abs(np.exp(1j * angles[0]).mean(axis=0) - np.exp(1j * angles[1]).mean(axis=0)) ** 2
    expected = squared_distances.reshape(N_BANDWIDTHS, -1).mean(axis=1) / (1 / 500 + 1 / 200)
    statistics = distances(reference.summary.sums, window.sums, N_BANDWIDTHS)
    assert statistics == pytest.approx(expected, rel=1e-4)
    assert null_of(projection, points[0], 1).kernel.mean() == pytest.approx(
        reference.joint.kernel.mean() if reference.joint else None, rel=0.2
    )


def test_correlation_equals_numpy() -> None:
    rng = np.random.default_rng(8)
    a = rng.normal(size=2000)
    reference_columns = {"age": a, "income": 0.9 * a + rng.normal(0, 0.4, 2000)}
    b = rng.normal(size=600)
    window_columns = {"age": b, "income": -0.9 * b + rng.normal(0, 0.4, 600)}
    reference = reference_of(reference_columns, joint=True)
    statistic = gauge("correlation", reference, window_of(reference, window_columns))
    r = [np.corrcoef(side["age"], side["income"])[0, 1] for side in (reference_columns, window_columns)]
    assert statistic.value == pytest.approx(abs(r[1] - r[0]), abs=1e-6)
    assert statistic.effect == f"corr(age, income) {r[0]:.2f} → {r[1]:.2f}"
    assert statistic.p_value is not None
    assert statistic.p_value < 1e-30


def test_stream_edges_are_stored_with_the_plan() -> None:
    rng = np.random.default_rng(4)
    reference = reference_of({"visits": rng.poisson(3, 4000).astype(float)})
    decoded = decode_reference(encode_reference(reference))
    window = window_of(reference, {"visits": rng.poisson(3, 500).astype(float)})
    streams = repr(stream_list("ks", reference, window, "visits"))
    assert repr(stream_list("ks", decoded, window, "visits")) == streams
    assert "q1" in streams
    assert exact_grid([1.0], [2.0]).stream_edges == ()
