"""Profiles: exact where they say so, and the same for any split and order of the rows."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from driftwatch.columns import profile as module
from driftwatch.columns import row_sample
from driftwatch.columns.profile import Profile, TypeFamily, profile
from driftwatch.columns.value_counts import ValueCounts
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
    if not np.array_equal(left.weights, right.weights) or left.is_complete != right.is_complete:
        return False
    for left_column, right_column in zip(left.columns, right.columns, strict=True):
        for name in left_column.__slots__:
            left_value, right_value = getattr(left_column, name), getattr(right_column, name)
            if not (
                np.array_equal(left_value, right_value)
                if isinstance(left_value, np.ndarray)
                else left_value == right_value
            ):
                return False
    return True


def test_counts_are_exact() -> None:
    data = table()
    data_profile = profile(data.to_batches(max_chunksize=70))
    number, count, city = (data_profile.column(name) for name in ("number", "count", "city"))
    assert number is not None
    assert count is not None
    assert city is not None
    frame = data.to_pandas()
    assert (number.nans, number.nulls) == (int(frame["number"].isna().sum()), 0)
    assert number.n_distinct == frame["number"].nunique()
    assert (number.minimum, number.maximum) == (frame["number"].min(), frame["number"].max())
    assert count.nulls == data["count"].null_count
    assert dict(zip(count.values.tolist(), count.counts.tolist(), strict=True)) == (
        frame["count"].dropna().astype(int).value_counts().to_dict()
    )
    assert dict(zip(city.values.tolist(), city.counts.tolist(), strict=True)) == (
        frame["city"].astype(str).value_counts().to_dict()
    )
    families = [column.family for column in data_profile.columns]
    assert families == [
        TypeFamily.FLOAT,
        TypeFamily.INTEGER,
        TypeFamily.TEXT,
        TypeFamily.TIMESTAMP,
        TypeFamily.VECTOR,
        TypeFamily.BOOLEAN,
        TypeFamily.NULL,
    ]
    assert data_profile.column("vector").dimension == 3  # type: ignore[union-attr]
    assert data_profile.is_complete
    assert int(data_profile.weights.sum()) == 500


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
    monkeypatch.setattr(module, "MAX_SAMPLE_ROWS", 100)
    monkeypatch.setattr(module, "MAX_DISTINCT", 64)
    random = np.random.default_rng(1)
    texts = ["x" * int(size) for size in random.integers(1, 3000, 4000)]
    data = pa.table({"a": random.normal(size=4000), "t": texts})
    monkeypatch.setattr(row_sample, "MAX_SAMPLE_BYTES", 60_000)
    data_profile = profile(data.to_batches())
    shuffled = data.take(random.permutation(4000))
    assert same(data_profile, profile(shuffled.to_batches(max_chunksize=33)))
    assert not data_profile.is_complete
    assert 20 < data_profile.sample.num_rows < 100
    column = data_profile.column("a")
    assert column is not None
    assert not column.is_exact
    assert 0.6 < column.n_distinct / 4000 < 1.6


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()])
def test_floats_with_holes_of_every_sort(kind: pa.DataType) -> None:
    values = [2.0, float("nan"), None, -0.0, float("inf"), 0.0, 2.0, None]
    column = profile([pa.RecordBatch.from_arrays([pa.array(values, kind).slice(1)], names=["a"])]).columns[0]
    assert (column.rows, column.nulls, column.nans, column.n_distinct) == (7, 2, 1, 3)
    assert (column.minimum, column.maximum, column.all_integers) == (0.0, float("inf"), True)
    counts = dict(zip(column.values.tolist(), column.counts.tolist(), strict=True))
    assert counts == {0.0: 2, 2.0: 1, float("inf"): 1}
    # One zero, not two.
    assert column.minimum is not None
    assert not np.signbit([column.minimum, *column.values]).any()
    nulls = pa.array([None, None], kind)
    assert profile([pa.RecordBatch.from_arrays([nulls], names=["a"])]).columns[0].nulls == 2


def test_a_tally_counts_what_it_keeps_exactly() -> None:
    random = np.random.default_rng(2)
    values = random.integers(0, 5000, 60_000).astype(np.float64)
    value_counts = ValueCounts(limit=500)
    for part in np.array_split(values, 13):
        hashes = hash_numbers(part)
        mask = value_counts.below_threshold(hashes)
        part, hashes = (part, hashes) if mask is None else (part[mask], hashes[mask])
        distinct_hashes, first, counts = np.unique(hashes, return_index=True, return_counts=True)
        value_counts.add(distinct_hashes, counts, part[first])
    value_counts.merge()
    assert value_counts.values is not None
    assert len(value_counts.values) == 500
    for value, count in zip(value_counts.values, value_counts.counts, strict=True):
        assert count == (values == value).sum()
    assert abs(value_counts.n_distinct() - 5000) < 5000 * 4 / np.sqrt(500)


def test_a_column_that_comes_late_was_null_before() -> None:
    first = pa.RecordBatch.from_pydict({"a": [1, 2]})
    second = pa.RecordBatch.from_pydict({"a": [3], "b": ["x"]})
    data_profile = profile([first, second, first])
    column = data_profile.column("b")
    assert column is not None
    assert (column.rows, column.nulls, column.n_present) == (5, 4, 1)


def test_hostile_columns_are_looked_at() -> None:
    bad_texts = pa.array([b"\xff\xfe", b"ok", None], pa.binary()).view(pa.string())
    data_profile = profile(
        [
            pa.record_batch(
                {
                    "bad": bad_texts,
                    "long": pa.array(["y" * 100_000, "", None]),
                    "huge": pa.array([2**64 - 1, 0, None], pa.uint64()),
                    "inf": pa.array([np.inf, -np.inf, np.nan]),
                    "struct": pa.array([{"a": 1}, None, {"a": 2}]),
                    "line\nbreak": pa.array([1, 2, 3]),
                }
            )
        ]
    )
    assert [column.n_distinct for column in data_profile.columns] == [2, 2, 2, 2, 1, 3]
    assert data_profile.column("struct").family is TypeFamily.UNSUPPORTED  # type: ignore[union-attr]


def test_types_that_do_not_go_together_are_said() -> None:
    data_profile = profile([pa.RecordBatch.from_pydict({"a": [1]}), pa.RecordBatch.from_pydict({"a": ["x"]})])
    column = data_profile.column("a")
    assert column is not None
    assert column.family is TypeFamily.UNSUPPORTED
    assert column.types == ("int64", "large_string")
    assert data_profile.sample.num_rows == 2


def test_a_structure_that_some_batches_have_as_nulls_is_no_column() -> None:
    """JSON tells no fields of it there; its fields are columns by the other batches."""
    batches = [
        pa.RecordBatch.from_pydict({"request": pa.nulls(2), "x": [1, 2]}),
        pa.RecordBatch.from_pydict({"request.age": [30, 31], "x": [3, 4]}),
    ]
    assert [column.name for column in profile(batches).columns] == ["x", "request.age"]
    assert [column.name for column in profile(batches[:1]).columns] == ["request", "x"]
