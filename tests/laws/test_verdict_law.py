"""The law of verdicts over types and contents: a feature gave evidence, broke, or has a reason why not."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_worlds import monitor
from soak import examples

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import NANOSECONDS, Unwatched
from driftwatch.detectors.base import traits_of
from driftwatch.engines.local.count import summarise
from driftwatch.errors import NoFeatures
from driftwatch.monitor.evaluation.evaluator import Evaluator
from driftwatch.monitor.evaluation.initial_state import initial_segment_state
from driftwatch.reference.build import ReferenceBuild, build_reference
from driftwatch.results.results import Reason, State, Verdict

pytestmark = pytest.mark.soak

START, DAY, ROWS, MIN_ROWS = int(datetime(2026, 3, 1, tzinfo=UTC).timestamp()), 86_400, 40, 20
DAYS = 12
Make = Callable[[np.random.Generator, int], pa.Array]


def _texts(rng: np.random.Generator, rows: int) -> pa.Array:
    return pa.array(rng.choice(["a", "b", "c"], rows).tolist())


def _structs(rng: np.random.Generator, rows: int) -> pa.Array:
    return pa.array([[{"v": int(value)}] for value in rng.integers(0, 9, rows)])


#: Contents by name: what a column of a reference or of production holds.
CONTENTS: dict[str, Make] = {
    "numbers": lambda g, n: pa.array(g.normal(size=n)),
    "single numbers": lambda g, n: pa.array(g.normal(size=n).astype(np.float32)),
    "whole numbers": lambda g, n: pa.array(g.poisson(3, n)),
    "texts": _texts,
    "numbers as texts": lambda g, n: pa.array([f"{value:.3f}" for value in g.normal(size=n)]),
    "amounts": lambda g, n: pa.array([f"{value:,.2f}" for value in g.lognormal(9, 1, n)]),
    "truths": lambda g, n: pa.array(g.random(n) < 0.3),
    "times": lambda g, n: pa.array(g.integers(0, START, n), pa.timestamp("s")),
    "durations": lambda g, n: pa.array(g.integers(0, 9000, n), pa.duration("ms")),
    "vectors": lambda g, n: pa.array(g.normal(size=(n, 3)).tolist()),
    "lists of structs": _structs,
    "lists of texts": lambda _g, n: pa.array([["x"]] * n),
    "maps": lambda _g, n: pa.array([[("k", 1)]] * n, pa.map_(pa.string(), pa.int64())),
    "nulls": lambda _g, n: pa.nulls(n, pa.float64()),
    "untyped nulls": lambda _g, n: pa.nulls(n),
    "not a number": lambda _g, n: pa.array(np.full(n, np.nan)),
    "infinities": lambda _g, n: pa.array(np.full(n, np.inf)),
    "one number": lambda _g, n: pa.array(np.full(n, 7.5)),
    "one text": lambda _g, n: pa.array(["EUR"] * n),
    "identifiers": lambda g, n: pa.array([f"id-{value}" for value in g.integers(0, 1 << 62, n)]),
}
ABSENT = "absent"
COLUMNS = st.lists(
    st.tuples(
        st.sampled_from(sorted(CONTENTS)),
        st.sampled_from(["the same", "the same", ABSENT, *sorted(CONTENTS)]),
        st.sampled_from([0.0, 0.0, 0.3, 0.6, 0.95]),
    ),
    min_size=1,
    max_size=6,
)


def with_nulls(array: pa.Array, share: float, rng: np.random.Generator) -> pa.Array:
    if not share:
        return array
    is_kept = pa.array(rng.random(len(array)) >= share)
    return pa.array(
        [value if kept else None for value, kept in zip(array.to_pylist(), is_kept.to_pylist(), strict=True)],
        array.type,
    )


def table(columns: dict[str, pa.Array], start: int, days: int) -> pa.Table:
    moments = [start + day * DAY + row * (DAY // ROWS) for day in range(days) for row in range(ROWS)]
    return pa.table({"when": pa.array(moments, pa.timestamp("s", "UTC")), **columns})


def build(reference: pa.Table, config: MonitorConfig) -> ReferenceBuild | None:
    try:
        return build_reference(config, lambda: reference.to_batches(), built_at=0, source="memory", files=1)
    except NoFeatures:
        return None


def windows(result: ReferenceBuild, config: MonitorConfig, production: pa.Table, days: int) -> list[Any]:
    """The evaluations of each day, in turn."""
    plan, evaluator = result.reference.plan, Evaluator.from_config(result.reference, config)
    segment_state = initial_segment_state(
        evaluator.context, result.blocks, evaluator.targets, config, "configuration"
    )
    start = START + DAYS * DAY
    edges = [(start + day * DAY) * NANOSECONDS for day in range(days + 1)]
    counted = summarise(plan, iter(production.to_batches()), edges)
    evaluations = []
    for day in range(days):
        summary = counted.tiles[edges[day], None]
        measurement = evaluator.measure(summary, segment_state)
        evaluation = evaluator.evaluate(summary, segment_state)
        evaluations.append((segment_state, measurement, evaluation))
        segment_state = evaluation.segment_state
    return evaluations


def features(result: ReferenceBuild) -> set[str]:
    columns = (*result.reference.plan.columns, *result.reference.provenance.set_aside)
    return {column.name for column in columns if column.role.is_feature}


def assert_law(result: ReferenceBuild, segment_state: Any, measurement: Any, verdict: Verdict) -> None:
    unwatched = {item.column: item.reason for item in verdict.unwatched}
    broken = {item.column for item in verdict.breakages}
    names, counts = features(result), measurement.streams
    has_stream = {column for _, column in counts.targets}
    reads_values = {column for name, column in counts.targets if traits_of(name).reads_values}
    assert verdict.watched is not None
    assert verdict.watched.of == len(names)
    drawn = names - set(unwatched) - broken
    assert verdict.watched.drawn == len(drawn)
    for name in drawn:
        assert name in has_stream
        assert name in reads_values or name in verdict.missing_share_columns, name
    for name, reason in unwatched.items():
        assert name in names
        if reason is Unwatched.INCIDENT_OPEN:
            assert name in segment_state.suspended
    if verdict.state in (State.OK, State.CALIBRATING):
        lasting = {name for name, reason in unwatched.items() if reason is not Unwatched.TOO_FEW_VALUES}
        lasting -= segment_state.suspended
        assert drawn
        assert len(lasting) <= 0.1 * len(names) or all(
            unwatched[name] is Unwatched.UNDEFINED for name in lasting
        )
    if verdict.reason is Reason.COLUMNS_UNWATCHED:
        assert verdict.state is State.INSUFFICIENT
        assert unwatched
    listed = {*verdict.unchanged, *verdict.could_not_tell}
    moved = {item.column for item in verdict.named} | segment_state.suspended
    assert not listed & (moved | broken)
    assert not set(verdict.unchanged) & set(unwatched)


@settings(max_examples=examples(40), deadline=None)
@given(COLUMNS, st.integers(0, 1 << 20))
def test_every_feature_gave_evidence_broke_or_has_a_reason(
    contents: list[tuple[str, str, float]], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    days = 3
    reference, production = {}, {}
    for number, (before, after, nulls) in enumerate(contents):
        name = f"c{number}"
        reference[name] = CONTENTS[before](rng, DAYS * ROWS)
        if after != ABSENT:
            content = CONTENTS[before if after == "the same" else after](rng, days * ROWS)
            production[name] = with_nulls(content, nulls, rng)
    config = monitor(time_column="when", window={"length": "1d", "min_rows": MIN_ROWS})
    result = build(table(reference, START, DAYS), config)
    if result is None:
        # Refused: nothing in it could ever be watched.
        assert {before for before, _, _ in contents} <= {
            "lists of structs", "lists of texts", "maps", "amounts", "numbers as texts", "identifiers",
        }  # fmt: skip
        return
    for segment_state, measurement, evaluation in windows(
        result, config, table(production, START + DAYS * DAY, days), days
    ):
        assert_law(result, segment_state, measurement, evaluation.verdict)
