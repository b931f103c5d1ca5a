"""What every detector promises. A new detector file is picked up unedited."""

from __future__ import annotations

import copy
import doctest
import inspect
import math
import re
from typing import Any

import numpy as np
import pytest
from detector_worlds import World, gauge, reference_of, stream_list, window_of
from scipy.stats import binom

from driftwatch.core import plugins
from driftwatch.decide.evalues.stream_index import COMBINED_SCORE
from driftwatch.detectors.base import (
    BatchDetector,
    ColumnBatch,
    ColumnPair,
    Detector,
    JointDetector,
    OrderedDetector,
    ReferenceContext,
    gauges_of,
    get,
    streams_of,
)
from driftwatch.results.gauges import Gauges
from driftwatch.results.results import Score, Shares, Statistic
from driftwatch.summary.reference import Reference
from driftwatch.summary.serial import decode_reference, encode_reference
from driftwatch.summary.summary import Summary

NAMES = plugins.names("detectors")
SECTIONS = ("Null hypothesis:", "Formula:", "Source:", "False alarms:", "Cost:", "Example:")


def world(rng: np.random.Generator, rows: int, **replacements: Any) -> dict[str, np.ndarray]:
    """Two related numbers, whole numbers, a heavy tail with gaps, a category and a two-valued one."""
    age = rng.normal(40, 10, rows)
    columns = {
        "age": age,
        "income": 0.6 * (age - 40) / 10 + rng.normal(0, 0.8, rows),
        "visits": rng.poisson(3, rows).astype(float),
        "paid": np.where(rng.random(rows) < 0.1, np.nan, rng.lognormal(3, 1, rows)),
        "city": rng.choice(["north", "south", "east", "west"], rows, p=[0.4, 0.3, 0.2, 0.1]),
        "new": rng.choice(["no", "yes"], rows, p=[0.7, 0.3]),
    }
    return columns | replacements


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    detector_name: str = request.param
    return detector_name


@pytest.fixture
def detector(name: str) -> Detector:
    return get(name)


@pytest.fixture(scope="module")
def reference() -> Reference:
    return reference_of(world(np.random.default_rng(1), 4000), joint=True, block_rows=900.0)


def target_columns(reference: Reference, detector: Detector) -> list[str | None]:
    if isinstance(detector, JointDetector):
        return [None] if detector.applies(reference) else []
    return [c.name for c in reference.plan.columns if detector.applies(c, reference)]


def check(statistic: Statistic, detector: Detector, column: str | None) -> None:
    assert statistic.detector == detector.name
    assert statistic.column == column
    assert statistic.unit == detector.unit != ""
    assert (statistic.value is None) == bool(statistic.undefined)
    for number in (statistic.value, statistic.low, statistic.high):
        assert number is None or math.isfinite(number)
    assert statistic.p_value is None or 0 < statistic.p_value <= 1
    if statistic.value is None:
        assert statistic.p_value is None
    if statistic.low is not None:
        assert statistic.high is not None
        assert statistic.value is not None
        assert statistic.low <= statistic.value <= statistic.high
    assert all(char.isprintable() for char in statistic.effect)


def test_names_and_documentation(name: str) -> None:
    detector = get(name)
    assert detector.name == name != COMBINED_SCORE[0]
    missing = [section for section in SECTIONS if section not in (type(detector).__doc__ or "")]
    assert not missing


def test_reproduces_a_published_number(name: str) -> None:
    """The last section cites a source with its year; its doctest runs this detector and prints a result."""
    _, _, section = inspect.cleandoc(type(get(name)).__doc__ or "").partition("\nExample: ")
    citation, _, _ = section.partition(">>>")
    assert re.search(r"\b(18|19|20)\d\d\b", citation), "no source with its year stands before the doctest"
    examples = doctest.DocTestParser().get_examples(section)
    assert any(f'"{name}"' in example.source for example in examples), "the detector does not run"
    assert examples[-1].want, "the doctest does not end with what is expected"


def test_is_deterministic_and_mutates_nothing(detector: Detector, reference: Reference) -> None:
    window = window_of(reference, world(np.random.default_rng(2), 700))
    frozen = copy.deepcopy(window), encode_reference(reference)
    columns = target_columns(reference, detector)
    assert columns
    for column in columns:
        first = gauge(detector, reference, window, column), stream_list(detector, reference, window, column)
        decoded = decode_reference(encode_reference(reference))
        second = gauge(detector, decoded, window, column), stream_list(detector, decoded, window, column)
        check(first[0], detector, column)
        assert first[0] == second[0]
        assert repr(first[1]) == repr(second[1])
    assert encode_reference(reference) == frozen[1]
    assert all(window.counts[key] == counts for key, counts in frozen[0].counts.items())
    assert frozen[0].sample == window.sample


def test_traits(detector: Detector, reference: Reference) -> None:
    assert not detector.is_share or detector.comparable
    assert not (detector.default and detector.max_sample_rows), "what is slow runs only when named"
    if isinstance(detector, JointDetector):
        assert detector.label, "no column names it"
        return
    window = window_of(reference, shifted(np.random.default_rng(2), 900))
    values = [gauge(detector, reference, window, name).value for name in target_columns(reference, detector)]
    assert not detector.comparable or all(value is None or 0 <= value <= 1 for value in values)


def assert_same(one: Statistic, other: Statistic) -> None:
    assert (one.effect, one.undefined, one.n_reference, one.n_window) == (
        other.effect, other.undefined, other.n_reference, other.n_window,
    )  # fmt: skip
    for name in ("value", "p_value", "low", "high"):
        number = getattr(other, name)
        assert getattr(one, name) == (None if number is None else pytest.approx(number, rel=1e-9)), name


def assert_fast_form_is_the_plain_one(detector: Detector, reference: Reference, window: Summary) -> None:
    """``measure_all`` and ``streams_all`` of all columns at once say what ``measure`` says of each alone."""
    columns = target_columns(reference, detector)
    context = ReferenceContext(reference).window(window)
    batch_gauges = gauges_of(detector, context, columns)
    for column, statistic in zip(columns, batch_gauges, strict=True):
        assert_same(gauge(detector, reference, window, column), statistic)
    expected = [item for column in columns for item in stream_list(detector, reference, window, column)]
    for one, other in zip(expected, streams_of(detector, context, columns), strict=True):
        assert (one.detector, one.column) == (other.detector, other.column)
        if isinstance(one, Shares) and isinstance(other, Shares):
            for name in ("labels", "reference_trials", "tolerance", "bursts", "ordered"):
                assert getattr(one, name) == getattr(other, name), name
            for name in ("successes", "trials", "reference"):
                assert getattr(one, name).tolist() == getattr(other, name).tolist(), name
        else:
            assert isinstance(one, Score)
            assert isinstance(other, Score)
            assert (one.label, one.floor, one.signed) == (other.label, other.floor, other.signed)
            assert one.value == pytest.approx(other.value, rel=1e-9, abs=1e-12)


def test_the_fast_form_says_what_the_plain_one_says(detector: Detector, reference: Reference) -> None:
    for number, columns in enumerate((world, shifted)):
        window = window_of(reference, columns(np.random.default_rng(2 + number), 700))
        assert_fast_form_is_the_plain_one(detector, reference, window)


class Spread(BatchDetector, OrderedDetector):
    """The number of filled cells; the fast form can be told to be wrong in one column."""

    name, unit = "spread", "cells"
    wrong_column = -1

    def measure(self, pair: ColumnPair) -> Statistic:
        return self.gauge(pair, float(np.count_nonzero(pair.window_counts)))

    def measure_all(self, batch: ColumnBatch) -> Gauges:
        counts = [np.count_nonzero(batch.pair(k).window_counts) for k in range(len(batch.names))]
        value = np.array(counts, dtype=np.float64)
        if self.wrong_column >= 0:
            value[self.wrong_column] += 1
        return self.gauges(batch, value, effect=lambda _: "", undefined={})


def test_a_fast_form_that_differs_is_caught(reference: Reference) -> None:
    detector, window = Spread(), window_of(reference, world(np.random.default_rng(2), 700))
    assert_fast_form_is_the_plain_one(detector, reference, window)
    for column in range(len(target_columns(reference, detector))):
        detector.wrong_column = column
        with pytest.raises(AssertionError):
            assert_fast_form_is_the_plain_one(detector, reference, window)


def test_no_window_changes_what_is_said_of_the_next(detector: Detector, reference: Reference) -> None:
    """What is derived from the reference is computed once for many windows, and changes none."""
    rng, columns = np.random.default_rng(4), target_columns(reference, detector)
    windows = [
        window_of(reference, columns_of(rng, rows), salt=rows)
        for columns_of, rows in ((world, 300), (shifted, 800), (world, 1))
    ]
    context = ReferenceContext(reference)
    for window in (*windows, *reversed(windows)):
        shared, alone = context.window(window), ReferenceContext(reference).window(window)
        assert list(gauges_of(detector, shared, columns)) == list(gauges_of(detector, alone, columns))
        streams = [list(streams_of(detector, item, columns)) for item in (shared, alone)]
        assert repr(streams[0]) == repr(streams[1])


def test_streams_are_the_same_in_every_window(detector: Detector, reference: Reference) -> None:
    rng = np.random.default_rng(3)
    windows = [
        window_of(reference, world(rng, rows, age=rng.normal(centre, 10, rows)), salt=rows)
        for rows, centre in ((300, 40), (800, 90), (650, -1e6))
    ]
    rest = reference.leave_out(window_of(reference, world(np.random.default_rng(1), 4000)))
    assert rest.summary.rows == 0
    for column in target_columns(reference, detector):
        labels = {tuple(stream_labels(detector, reference, window, column)) for window in windows}
        assert len(labels) == 1
        for stream in stream_list(detector, reference, windows[1], column):
            check_stream(stream, detector, column)


def test_a_detector_says_whether_it_yields_evidence(detector: Detector, reference: Reference) -> None:
    window = window_of(reference, world(np.random.default_rng(3), 700))
    streams = [
        stream_list(detector, reference, window, column) for column in target_columns(reference, detector)
    ]
    assert detector.evidence == any(streams)
    assert not detector.evidence or all(streams), "a column that is looked at and never heard"


def stream_labels(
    detector: Detector, reference: Reference, window: Summary, column: str | None
) -> list[object]:
    streams = stream_list(detector, reference, window, column)
    return [stream.label if isinstance(stream, Score) else stream.labels for stream in streams]


def check_stream(stream: Shares | Score, detector: Detector, column: str | None) -> None:
    assert stream.detector == detector.name
    assert stream.column == column
    if isinstance(stream, Score):
        assert math.isfinite(stream.value)
        assert stream.floor > 0
        return
    sizes = {len(stream.labels), len(stream.successes), len(stream.trials), len(stream.reference)}
    assert sizes == {len(set(stream.labels))}
    assert stream.successes.dtype == stream.trials.dtype == np.int64
    assert np.all((stream.successes >= 0) & (stream.successes <= stream.trials))
    assert np.all((stream.reference >= 0) & (stream.reference <= 1))
    assert stream.reference_trials > 0


def test_the_reference_itself_is_not_suspicious(detector: Detector, reference: Reference) -> None:
    same = window_of(reference, world(np.random.default_rng(1), 4000), salt=1)
    for column in target_columns(reference, detector):
        statistic = gauge(detector, reference, same, column)
        assert statistic.p_value is None or statistic.p_value > 0.2


DEGENERATE: dict[str, tuple[World, World]] = {
    "no rows": ({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "x"]}, {"a": np.empty(0), "b": np.empty(0, str)}),
    "all missing": ({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "x"]}, {"a": [np.nan] * 2, "b": ["", ""]}),
    "nothing in the reference": ({"a": [np.nan] * 3, "b": ["", "", ""]}, {"a": [1.0, 2.0], "b": ["x", "y"]}),
    "constant": ({"a": [5.0] * 9, "b": ["x"] * 9}, {"a": [5.0] * 4, "b": ["x"] * 4}),
    "constant that moved": ({"a": [5.0] * 9, "b": ["x"] * 9}, {"a": [7.0] * 4, "b": ["z"] * 4}),
    "one row": ({"a": [5.0], "b": ["x"]}, {"a": [6.0], "b": ["y"]}),
    "infinities": (
        {"a": [-np.inf, 1.0, np.inf, np.inf], "b": ["x"] * 4},
        {"a": [np.inf, -np.inf, 0.0, 3.0], "b": ["x"] * 4},
    ),
    "nothing but infinities": ({"a": [np.inf] * 3, "b": ["x"] * 3}, {"a": [-np.inf] * 3, "b": ["x"] * 3}),
    "huge numbers": (
        {"a": [-1.7e308, 0.0, 1.7e308], "b": ["x"] * 3},
        {"a": [1.7e308, 1e308, -1e308], "b": ["x"] * 3},
    ),
    "hostile level": (
        {"a": [1.0, 2.0], "b": ["x", "y"]},
        {"a": [1.0, 2.0], "b": ["\x1b[31m\n\u202e" * 50] * 2},
    ),
}


@pytest.mark.parametrize("case", sorted(DEGENERATE))
def test_degenerate_data_is_undefined_never_an_error(detector: Detector, case: str) -> None:
    reference_columns, window_columns = DEGENERATE[case]
    # On these no projection can be built, and the joint detectors have to say so.
    without_projection = case in (
        "nothing in the reference",
        "infinities",
        "nothing but infinities",
        "huge numbers",
    )
    reference = reference_of(reference_columns, joint=detector.joint and not without_projection)
    window = window_of(reference, window_columns)
    for column in [None] if detector.joint else target_columns(reference, detector):
        statistic = gauge(detector, reference, window, column)
        check(statistic, detector, column)
        for stream in stream_list(detector, reference, window, column):
            check_stream(stream, detector, column)
        if case == "no rows" and detector.pools:
            assert statistic.undefined
        if case == "all missing" and not detector.joint and detector.reads_values:
            assert statistic.undefined


REPEATS = 100


def test_p_values_are_not_too_small_when_nothing_changed(detector: Detector) -> None:
    """P(p <= level) is at most the level: exact counts against a bound passed once in 100,000 runs."""
    rng = np.random.default_rng(11)
    p_values: dict[str | None, list[float]] = {}
    small = detector.max_sample_rows is not None
    for repeat in range(60 if detector.joint else REPEATS):
        if not detector.joint or small:
            reference = reference_of(world(rng, 40 if small else 400), joint=small, draws=10)
        elif repeat % 10 == 0:
            # One reference errs in one way for all its windows, so there are several.
            reference = reference_of(world(rng, 1000), joint=True, draws=300)
        window = window_of(reference, world(rng, 30 if small else 250), salt=repeat + 3)
        for column in target_columns(reference, detector):
            p_value = gauge(detector, reference, window, column).p_value
            if p_value is not None:
                p_values.setdefault(column, []).append(p_value)
        if not p_values:
            return  # a detector without p-value
    for column, values in p_values.items():
        for level in (0.01, 0.05, 0.2):
            allowed = int(binom.ppf(1 - 1e-5, len(values), level))
            count = int((np.array(values) <= level).sum())
            assert count <= allowed, (
                f"{column}: {count} of {len(values)} p-values <= {level}, {allowed} allowed"
            )


def shifted(rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """Every column moves in some way."""
    columns = world(rng, rows)
    columns["age"] = columns["age"] + 30
    columns["income"] = -columns["income"]
    columns["visits"] = columns["visits"] * 3
    columns["paid"] = np.where(rng.random(rows) < 0.3, np.nan, columns["paid"] * 1000)
    columns["city"] = rng.choice(["north", "south", "mars"], rows)
    columns["new"] = rng.choice(["no", "yes", "maybe"], rows)
    return columns


def test_finds_a_declared_shift(detector: Detector, reference: Reference) -> None:
    rng = np.random.default_rng(21)
    healthy_window = window_of(reference, world(rng, 800), salt=5)
    shifted_window = window_of(reference, shifted(rng, 1600), salt=6, wrong_type={"visits": 0.3})
    n_seen = 0
    for column in target_columns(reference, detector):
        healthy, moved = (
            gauge(detector, reference, window, column) for window in (healthy_window, shifted_window)
        )
        assert moved.value is not None
        assert healthy.value is not None
        # A share sees its own kind of shift; the marginal of income stays.
        if moved.value <= healthy.value + 0.05 and (detector.is_share or column == "income"):
            continue
        n_seen += 1
        assert moved.value > healthy.value
        if moved.p_value is not None:
            assert moved.p_value < 0.003
            assert healthy.p_value is not None
            assert healthy.p_value > 1e-3
        assert moved.effect
    assert n_seen
