"""The law: the same bytes for any split of the rows and any order."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import plain_engine
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from driftwatch.core.schema import Column, Kind
from driftwatch.core.spellings import Form
from driftwatch.engines.local.count import summarise
from driftwatch.summary.grid import LevelGrid, numeric_grid
from driftwatch.summary.plan import Plan, Segmentation
from driftwatch.summary.projection import Projection
from driftwatch.summary.serial import encode_summary, with_fingerprint

KINDS = {"n": Kind.NUMERIC, "m": Kind.NUMERIC, "c": Kind.CATEGORICAL, "s": Kind.TEXT}
PROJECTION = Projection(
    inputs=np.array([[0, -1], [1, -1], [2, 0]]),
    center=np.zeros(3),
    scale=np.ones(3),
    frequencies=np.linspace(-1, 1, 12, dtype=np.float32).reshape(3, 4),
    pairs=np.array([[0, 1]]),
)
PLAN = with_fingerprint(
    Plan(
        columns=tuple(Column(name=name, kind=kind) for name, kind in KINDS.items()),
        grids={
            "n": numeric_grid(np.array([0.0, 1.0, 2.0])),
            "m": numeric_grid(np.linspace(0, 5, 400)),
            "c": LevelGrid(levels=("a", "b")),
            "s": numeric_grid(np.array([1.0, 2.0])),
        },
        identity_columns=("t", "id"),
        time_column="t",
        segmentation=Segmentation(column="c", levels=("a", "b")),
        projection=PROJECTION,
        sample_rows=5,
        salt=7,
    )
)
EDGES = [0, 100, 200, 400]

ROW = st.tuples(
    st.one_of(st.none(), st.integers(-50, 450)),
    st.one_of(st.none(), st.floats(width=16), st.sampled_from([0.0, -0.0, 1.0])),
    st.one_of(st.none(), st.sampled_from(["1", "2.5", "x", "", "nan"])),
    st.one_of(st.none(), st.sampled_from(["a", "b", "c", "zz"])),
    st.one_of(st.none(), st.text(max_size=3)),
    st.integers(0, 3),
)


def record_batch(rows: list[Any], *, coded: bool = False) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) if rows else [()] * 6
    kinds = (pa.timestamp("ns"), pa.float64(), pa.string(), pa.string(), pa.string(), pa.int64())
    arrays = [pa.array(list(values), kind) for values, kind in zip(columns, kinds, strict=True)]
    if coded:
        arrays[3] = arrays[3].dictionary_encode()
    return pa.RecordBatch.from_arrays(arrays, names=["t", "n", "m", "c", "s", "id"])


def summaries(batches: list[pa.RecordBatch]) -> dict[Any, bytes]:
    counted = summarise(PLAN, batches, EDGES)
    return {place: encode_summary(summary) for place, summary in counted.tiles.items()}


def test_without_a_sample_everything_else_is_the_same() -> None:
    rows = [(at % 200, float(at % 7), str(at % 5), "abc"[at % 3], "x", at) for at in range(900)]
    with_sample = summarise(PLAN, [record_batch(rows)], EDGES)
    counts_alone = summarise(replace(PLAN, sample_rows=0, identity_columns=()), [record_batch(rows)], EDGES)
    assert counts_alone.tiles.keys() == with_sample.tiles.keys()
    for place, tile in counts_alone.tiles.items():
        assert tile.sample is None
        assert tile.sums is None
        # Numbers in gaps are named from the sample, levels from the rows.
        named = {name: rows for name, rows in with_sample.tiles[place].named.items() if rows.names}
        assert tile == replace(with_sample.tiles[place], sample=None, sums=None, named=named)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(ROW, max_size=40), st.randoms(use_true_random=False), st.lists(st.integers(0, 40), max_size=4)
)
def test_any_split_and_order_gives_the_same_bytes(rows: list[Any], random: Any, cuts: list[int]) -> None:
    whole = summaries([record_batch(rows)])
    shuffled = random.sample(rows, len(rows))
    edges = [0, *sorted(min(cut, len(rows)) for cut in cuts), len(rows)]
    parts = [
        record_batch(shuffled[low:high], coded=place % 2 == 1)
        for place, (low, high) in enumerate(itertools.pairwise(edges))
    ]
    assert summaries(parts) == whole


def test_tiles_are_closed_at_their_start_and_open_at_their_end() -> None:
    rows = [(time, 1.0, "1", "a", "x", 0) for time in (-1, 0, 99, 100, 199, 200, 399, 400, None)]
    counted = summarise(PLAN, [record_batch(rows)], EDGES)
    assert [counted.tiles[start, None].rows for start in EDGES[:-1]] == [2, 2, 2]
    assert (counted.rows, counted.outside, counted.untimed, counted.newest_row) == (6, 2, 1, 399)
    assert counted.tiles[0, None].span.end == 100


def test_segments_are_all_rows_together_and_the_rest_is_other() -> None:
    rows = [(1, 1.0, "1", level, "x", 0) for level in ("a", "a", "b", "new", None)]
    counted = summarise(PLAN, [record_batch(rows)], EDGES)
    segment_rows = {name: part.rows for (start, name), part in counted.tiles.items() if start == 0}
    assert segment_rows == {None: 5, "a": 2, "b": 1, "other": 2}
    assert {name for start, name in counted.tiles if start == 100} == {None}
    gone = record_batch(rows).drop_columns(["c"])
    counted = summarise(PLAN, [gone], EDGES)
    assert counted.tiles[0, "other"].rows == 5
    assert counted.tiles[0, None].counts["c"].absent == 5


def test_tiles_without_rows_are_zero_and_sealed() -> None:
    counted = summarise(PLAN, [], EDGES)
    assert [part.rows for part in counted.tiles.values()] == [0, 0, 0]
    assert all(part.sums is not None for part in counted.tiles.values())
    assert all(part.sums is None for part in summarise(PLAN, [], EDGES, seal=False).tiles.values())
    assert counted.newest_row is None


def test_without_time_every_row_goes_to_the_one_tile() -> None:
    plan = with_fingerprint(replace(PLAN, time_column=None))
    rows = [(time, 1.0, "1", "a", "x", 0) for time in (-1, None, 10**15)]
    counted = summarise(plan, [record_batch(rows)], [0, 1])
    assert (counted.tiles[0, None].rows, counted.untimed, counted.newest_row) == (3, 0, None)
    with pytest.raises(ValueError, match="one tile"):
        summarise(plan, [], [0, 1, 2])
    with pytest.raises(ValueError, match="increasing"):
        summarise(PLAN, [], [5, 5])


def test_a_column_may_change_its_type_between_batches() -> None:
    times = pa.array([1, 2], pa.timestamp("ns"))
    as_numbers = pa.RecordBatch.from_pydict({"t": times, "m": [1, 2], "c": [3.0, 4.0]})
    as_texts = pa.RecordBatch.from_pydict({"t": times, "m": ["1", "2"], "c": ["3", "4"]})
    assert summaries([as_numbers]) == summaries([as_texts])
    mixed = summarise(PLAN, [as_numbers, as_texts], EDGES).tiles[0, None]
    assert mixed.rows == 4
    assert mixed.counts["m"].wrong_type == 0


TYPES = {
    "whole": pa.array([1, None], pa.int16()),
    "empty": pa.nulls(2, pa.float64()),
    "null": pa.nulls(2),
    "run_end": pc.run_end_encode(pa.array([None, None], pa.float64())),
    "coded": pa.array(["a", None]).dictionary_encode(),
}
SEEN = {"whole": ("integer",), "coded": ("text",)}


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from([0, 100]), st.sampled_from(sorted(TYPES))), max_size=9), st.booleans()
)
def test_types_are_those_of_values_by_tile_however_rows_are_cut(
    pieces: list[tuple[int, str]], coded_column: bool
) -> None:
    name = "c" if coded_column else "n"
    batches = [
        pa.RecordBatch.from_arrays([pa.array([at, at], pa.timestamp("ns")), TYPES[kind]], names=["t", name])
        for at, kind in pieces
    ]
    expected: dict[int, dict[str, tuple[str, ...]]] = {}
    for at, kind in pieces:
        if kind in SEEN:
            names = {*SEEN[kind], *expected.get(at, {}).get(name, ())}
            expected[at] = {name: tuple(sorted(names))}
    cut = [batch.slice(row, 1) for batch in batches for row in (0, 1)]
    for parts in (batches, batches[::-1], cut):
        assert summarise(PLAN, parts, [0, 100, 200]).types == expected


def test_equal_values_of_another_type_are_of_one_segment() -> None:
    clothes = {
        Form.BOOLEAN: [
            pa.array([True, False]),
            pa.array([1, 0]),
            pa.array([1.0, 0.0]),
            pa.array(["True", "0"]),
        ],
        Form.NUMBER: [
            pa.array([1, 0]),
            pa.array([True, False]),
            pa.array([1.0, 0.0]),
            pa.array(["1.0", "0"]),
        ],
    }
    levels = {Form.BOOLEAN: ("true", "false"), Form.NUMBER: ("1", "0")}
    for form, values in clothes.items():
        plan = replace(
            PLAN,
            grids={**PLAN.grids, "c": LevelGrid(levels=levels[form], form=form)},
            segmentation=Segmentation(column="c", levels=levels[form]),
        )
        for array in map(pa.array, values):
            times = pa.array([0, 0], pa.timestamp("ns"))
            batch = pa.RecordBatch.from_arrays([times, array], names=["t", "c"])
            counted = [engine(plan, [batch], [0, 100]).tiles for engine in (summarise, plain_engine.count)]
            for tiles in counted:
                rows = {segment: tile.rows for (_, segment), tile in tiles.items()}
                assert rows == {None: 2, levels[form][0]: 1, levels[form][1]: 1}, (form, array)


def test_texts_among_texts_are_segments_of_their_own() -> None:
    plan = replace(
        PLAN,
        grids={**PLAN.grids, "c": LevelGrid(levels=("1", "t"))},
        segmentation=Segmentation(column="c", levels=("1", "t")),
    )
    times = pa.array([0] * 4, pa.timestamp("ns"))
    batch = pa.RecordBatch.from_arrays([times, pa.array(["1", "1.0", "true", None])], names=["t", "c"])
    tiles = summarise(plan, [batch], [0, 100]).tiles
    assert {segment: tile.rows for (_, segment), tile in tiles.items()} == {None: 4, "1": 1, "other": 3}
