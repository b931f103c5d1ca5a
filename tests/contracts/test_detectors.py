"""What every detector promises. A new detector file is picked up unedited."""

from __future__ import annotations

import copy
import doctest
import inspect
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from detector_worlds import World, exact_grid, reference_of, window_of
from scipy.stats import binom

from driftwatch.core import plugins
from driftwatch.detectors.base import Detector, get
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


@pytest.fixture(scope="module")
def reference() -> Reference:
    return reference_of(world(np.random.default_rng(1), 4000), joint=True, block_rows=900.0)


def target_columns(reference: Reference, detector: Detector) -> list[str | None]:
    if detector.joint:
        return [None] if detector.applies(None, reference) else []
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


@pytest.mark.parametrize("name", NAMES)
def test_names_and_documentation(name: str) -> None:
    detector = get(name)
    assert detector.name == name
    assert isinstance(detector.default, bool)
    missing = [section for section in SECTIONS if section not in (type(detector).__doc__ or "")]
    assert not missing


@pytest.mark.parametrize("name", NAMES)
def test_reproduces_a_published_number(name: str) -> None:
    """The last section cites a source with its year; its doctest runs this detector and prints a result."""
    _, _, section = inspect.cleandoc(type(get(name)).__doc__ or "").partition("\nExample: ")
    citation, _, _ = section.partition(">>>")
    assert re.search(r"\b(18|19|20)\d\d\b", citation), "no source with its year stands before the doctest"
    examples = doctest.DocTestParser().get_examples(section)
    assert any(f'"{name}"' in example.source for example in examples), "the detector does not run"
    assert examples[-1].want, "the doctest does not end with what is expected"


@pytest.mark.parametrize("name", NAMES)
def test_is_deterministic_and_mutates_nothing(name: str, reference: Reference) -> None:
    detector = get(name)
    window = window_of(reference, world(np.random.default_rng(2), 700))
    frozen = copy.deepcopy(window), encode_reference(reference)
    columns = target_columns(reference, detector)
    assert columns
    for column in columns:
        first = detector.measure(reference, window, column), detector.streams(reference, window, column)
        decoded = decode_reference(encode_reference(reference))
        second = detector.measure(decoded, window, column), detector.streams(decoded, window, column)
        check(first[0], detector, column)
        assert first[0] == second[0]
        assert repr(first[1]) == repr(second[1])
    assert encode_reference(reference) == frozen[1]
    assert all(window.counts[key] == counts for key, counts in frozen[0].counts.items())
    assert frozen[0].sample == window.sample


@pytest.mark.parametrize("name", NAMES)
def test_all_columns_at_once_say_what_each_says_alone(name: str, reference: Reference) -> None:
    detector = get(name)
    window = window_of(reference, world(np.random.default_rng(2), 700, age=np.full(700, 1e3)))
    window_with_memo = window.with_memo()
    for column in target_columns(reference, detector):
        single, batched = (detector.measure(reference, item, column) for item in (window, window_with_memo))
        for single_value, batched_value in ((single.value, batched.value), (single.p_value, batched.p_value)):
            assert single_value == (None if batched_value is None else pytest.approx(batched_value, rel=1e-9))
        assert (single.effect, single.undefined) == (batched.effect, batched.undefined)
        streams = [detector.streams(reference, item, column) for item in (window, window_with_memo)]
        for single_stream, batched_stream in zip(*streams, strict=True):
            if isinstance(single_stream, Shares) and isinstance(batched_stream, Shares):
                assert single_stream.successes.tolist() == batched_stream.successes.tolist()
                assert single_stream.reference.tolist() == batched_stream.reference.tolist()
            elif isinstance(single_stream, Score) and isinstance(batched_stream, Score):
                assert single_stream.value == pytest.approx(batched_stream.value, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_streams_are_the_same_in_every_window(name: str, reference: Reference) -> None:
    detector = get(name)
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
        for stream in detector.streams(reference, windows[1], column):
            check_stream(stream, detector, column)


@pytest.mark.parametrize("name", NAMES)
def test_a_detector_says_whether_it_yields_evidence(name: str, reference: Reference) -> None:
    detector = get(name)
    window = window_of(reference, world(np.random.default_rng(3), 700))
    streams = [detector.streams(reference, window, column) for column in target_columns(reference, detector)]
    assert detector.evidence == any(streams)
    assert not detector.evidence or all(streams), "a column that is looked at and never heard"


def stream_labels(
    detector: Detector, reference: Reference, window: Summary, column: str | None
) -> list[object]:
    streams = detector.streams(reference, window, column)
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


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_itself_is_not_suspicious(name: str, reference: Reference) -> None:
    detector = get(name)
    same = window_of(reference, world(np.random.default_rng(1), 4000), salt=1)
    for column in target_columns(reference, detector):
        statistic = detector.measure(reference, same, column)
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


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("case", sorted(DEGENERATE))
def test_degenerate_data_is_undefined_never_an_error(name: str, case: str) -> None:
    detector = get(name)
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
        statistic = detector.measure(reference, window, column)
        check(statistic, detector, column)
        for stream in detector.streams(reference, window, column):
            check_stream(stream, detector, column)
        if case == "no rows" and name != "volume":
            assert statistic.undefined
        if case == "all missing" and not detector.joint and name != "missing":
            assert statistic.undefined


REPEATS = 100


@pytest.mark.parametrize("name", NAMES)
def test_p_values_are_not_too_small_when_nothing_changed(name: str) -> None:
    """P(p <= level) is at most the level: exact counts against a bound passed once in 100,000 runs."""
    detector = get(name)
    rng = np.random.default_rng(11)
    p_values: dict[str | None, list[float]] = {}
    small = name == "mmd_exact"
    for repeat in range(60 if detector.joint else REPEATS):
        if not detector.joint or small:
            reference = reference_of(world(rng, 40 if small else 400), joint=small, draws=10)
        elif repeat % 10 == 0:
            # One reference errs in one way for all its windows, so there are several.
            reference = reference_of(world(rng, 1000), joint=True, draws=300 if name == "mmd" else 2)
        window = window_of(reference, world(rng, 30 if small else 250), salt=repeat + 3)
        for column in target_columns(reference, detector):
            p_value = detector.measure(reference, window, column).p_value
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


#: Columns a detector is declared to see the shift in; else all but income, whose marginal stays.
SHIFTED_COLUMNS: dict[str, list[str | None]] = {
    "missing": ["paid"],
    "out_of_range": ["age", "paid"],
}


@pytest.mark.parametrize("name", NAMES)
def test_finds_a_declared_shift(name: str, reference: Reference) -> None:
    detector = get(name)
    rng = np.random.default_rng(21)
    healthy_window = window_of(reference, world(rng, 800), salt=5)
    shifted_window = window_of(reference, shifted(rng, 1600), salt=6)
    for column in SHIFTED_COLUMNS.get(
        name, [target for target in target_columns(reference, detector) if target != "income"]
    ):
        healthy, moved = (
            detector.measure(reference, window, column) for window in (healthy_window, shifted_window)
        )
        assert moved.value is not None
        assert healthy.value is not None
        assert moved.value > healthy.value
        if moved.p_value is not None:
            assert moved.p_value < 0.003
            assert healthy.p_value is not None
            assert healthy.p_value > 1e-3
        assert moved.effect


def test_the_default_set_leaves_out_what_is_slow() -> None:
    assert not get("mmd_exact").default
    assert all(get(name).default for name in NAMES if name != "mmd_exact")


def test_marks_are_stored_with_the_plan(reference: Reference) -> None:
    decoded = decode_reference(encode_reference(reference))
    window = window_of(reference, world(np.random.default_rng(4), 500))
    streams: Callable[[Reference], str] = lambda r: repr(get("ks").streams(r, window, "visits"))  # noqa: E731
    assert streams(decoded) == streams(reference)
    assert "q1" in streams(decoded)
    assert exact_grid([1.0], [2.0]).stream_edges == ()
