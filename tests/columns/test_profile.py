"""Pass one: exact where it says so, and the same for any split and order of the rows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftwatch.columns import profile as module
from driftwatch.columns import row_sample
from driftwatch.columns.profile import Profile, Shape, profile
from driftwatch.columns.value_counts import Tally
from driftwatch.core.hashing import hash_numbers


def table(rows: int = 500, seed: int = 0) -> pa.Table:
    random = np.random.default_rng(seed)
    numbers = np.round(random.normal(size=rows), 2)
    numbers[::17] = np.nan
    return pa.table(
        {
            "number": pa.array(numbers),
            "count": pa.array(random.poisson(3, rows), mask=random.random(rows) < 0.1),
            "city": pa.array(random.choice(["Köln", "Rome", "", "\ud7ff"], rows)).dictionary_encode(),
            "when": pa.array(np.sort(random.integers(0, 10**7, rows)), pa.timestamp("s")),
            "vector": pa.array(list(random.normal(size=(rows, 3))), pa.list_(pa.float32())),
            "flag": pa.array(random.random(rows) < 0.5),
            "nothing": pa.nulls(rows),
        }
    )


def same(left: Profile, right: Profile) -> bool:
    if left.rows != right.rows or repr(left.sample.to_pylist()) != repr(right.sample.to_pylist()):
        return False
    if not np.array_equal(left.weights, right.weights) or left.complete != right.complete:
        return False
    for one, other in zip(left.columns, right.columns, strict=True):
        for name in one.__slots__:
            a, b = getattr(one, name), getattr(other, name)
            if not (np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b):
                return False
    return True


def test_counts_are_exact() -> None:
    data = table()
    looked = profile(data.to_batches(max_chunksize=70))
    number, count, city = (looked.column(name) for name in ("number", "count", "city"))
    assert number is not None
    assert count is not None
    assert city is not None
    frame = data.to_pandas()
    assert (number.nans, number.nulls) == (int(frame["number"].isna().sum()), 0)
    assert number.distinct == frame["number"].nunique()
    assert (number.minimum, number.maximum) == (frame["number"].min(), frame["number"].max())
    assert count.nulls == data["count"].null_count
    assert dict(zip(count.values.tolist(), count.counts.tolist(), strict=True)) == (
        frame["count"].dropna().astype(int).value_counts().to_dict()
    )
    assert dict(zip(city.values.tolist(), city.counts.tolist(), strict=True)) == (
        frame["city"].astype(str).value_counts().to_dict()
    )
    shapes = [column.shape for column in looked.columns]
    assert shapes == [
        Shape.FLOAT,
        Shape.INTEGER,
        Shape.TEXT,
        Shape.TIMESTAMP,
        Shape.VECTOR,
        Shape.BOOLEAN,
        Shape.NULL,
    ]
    assert looked.column("vector").dimension == 3  # type: ignore[union-attr]
    assert looked.complete
    assert int(looked.weights.sum()) == 500


@given(st.integers(0, 10**6), st.lists(st.integers(1, 499), max_size=6), st.booleans())
@settings(max_examples=15, deadline=None)
def test_any_split_and_order_gives_the_same(seed: int, cuts: list[int], plain: bool) -> None:
    data = table()
    shuffled = data.take(np.random.default_rng(seed).permutation(500))
    if plain:
        shuffled = shuffled.set_column(2, "city", shuffled["city"].cast(pa.string()))
    edges = sorted({0, 500, *cuts})
    parts = [
        shuffled.slice(start, end - start).combine_chunks().to_batches()[0] for start, end in pairwise(edges)
    ]
    assert same(profile(parts), profile(data.to_batches()))


def test_bounded_samples_are_the_same_for_any_split(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SAMPLE_ROWS", 100)
    monkeypatch.setattr(module, "DISTINCT", 64)
    random = np.random.default_rng(1)
    texts = ["x" * int(size) for size in random.integers(1, 3000, 4000)]
    data = pa.table({"a": random.normal(size=4000), "t": texts})
    monkeypatch.setattr(row_sample, "BYTES", 60_000)
    one = profile(data.to_batches())
    shuffled = data.take(random.permutation(4000))
    assert same(one, profile(shuffled.to_batches(max_chunksize=33)))
    assert not one.complete
    assert 20 < one.sample.num_rows < 100
    column = one.column("a")
    assert column is not None
    assert not column.exact
    assert 0.6 < column.distinct / 4000 < 1.6


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_floats_with_holes_of_every_sort(kind: pa.DataType) -> None:
    values = [2.0, float("nan"), None, -0.0, float("inf"), 0.0, 2.0, None]
    column = profile([pa.RecordBatch.from_arrays([pa.array(values, kind).slice(1)], names=["a"])]).columns[0]
    assert (column.rows, column.nulls, column.nans, column.distinct) == (7, 2, 1, 3)
    assert (column.minimum, column.maximum, column.integers) == (0.0, float("inf"), True)
    counted = dict(zip(column.values.tolist(), column.counts.tolist(), strict=True))
    assert counted == {0.0: 2, 2.0: 1, float("inf"): 1}
    # One zero, not two.
    assert column.minimum is not None
    assert not np.signbit([column.minimum, *column.values]).any()
    nothing = pa.array([None, None], kind)
    assert profile([pa.RecordBatch.from_arrays([nothing], names=["a"])]).columns[0].nulls == 2


def test_a_tally_counts_what_it_keeps_exactly() -> None:
    random = np.random.default_rng(2)
    values = random.integers(0, 5000, 60_000).astype(np.float64)
    tally = Tally(limit=500)
    for part in np.array_split(values, 13):
        hashes = hash_numbers(part)
        wanted = tally.wanted(hashes)
        part, hashes = (part, hashes) if wanted is None else (part[wanted], hashes[wanted])
        kept, first, counts = np.unique(hashes, return_index=True, return_counts=True)
        tally.add(kept, counts, part[first])
    tally.settle()
    assert tally.values is not None
    assert len(tally.values) == 500
    for value, count in zip(tally.values, tally.counts, strict=True):
        assert count == (values == value).sum()
    assert abs(tally.distinct() - 5000) < 5000 * 4 / np.sqrt(500)


def test_a_column_that_comes_late_was_null_before() -> None:
    first = pa.RecordBatch.from_pydict({"a": [1, 2]})
    second = pa.RecordBatch.from_pydict({"a": [3], "b": ["x"]})
    looked = profile([first, second, first])
    late = looked.column("b")
    assert late is not None
    assert (late.rows, late.nulls, late.present) == (5, 4, 1)


def test_hostile_columns_are_looked_at() -> None:
    bad = pa.array([b"\xff\xfe", b"ok", None], pa.binary()).view(pa.string())
    looked = profile(
        [
            pa.record_batch(
                {
                    "bad": bad,
                    "long": pa.array(["y" * 100_000, "", None]),
                    "huge": pa.array([2**64 - 1, 0, None], pa.uint64()),
                    "inf": pa.array([np.inf, -np.inf, np.nan]),
                    "struct": pa.array([{"a": 1}, None, {"a": 2}]),
                    "line\nbreak": pa.array([1, 2, 3]),
                }
            )
        ]
    )
    assert [column.distinct for column in looked.columns] == [2, 2, 2, 2, 1, 3]
    assert looked.column("struct").shape is Shape.OTHER  # type: ignore[union-attr]


def test_types_that_do_not_go_together_are_said() -> None:
    looked = profile([pa.RecordBatch.from_pydict({"a": [1]}), pa.RecordBatch.from_pydict({"a": ["x"]})])
    column = looked.column("a")
    assert column is not None
    assert column.shape is Shape.OTHER
    assert column.types == ("int64", "large_string")
    assert looked.sample.num_rows == 2
