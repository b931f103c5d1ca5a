"""Every Arrow type in the form its kind is counted in."""

from __future__ import annotations

import decimal
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from driftwatch.columns.arrow.encode import encode
from driftwatch.columns.arrow.event_time import event_times
from driftwatch.columns.arrow.levels import DictionaryMemo, levels
from driftwatch.columns.arrow.numbers import numbers
from driftwatch.columns.arrow.texts import hash_carried
from driftwatch.core.hashing import level_table
from driftwatch.core.schema import Column, Kind
from driftwatch.summary.batch import Batch, Levels, Numbers

DAY = 86400 * 10**9


def encode_array(array: pa.Array, kind: Kind) -> Numbers | Levels:
    return encode_arrays({"x": array}, kind).columns["x"]


def encode_arrays(data: dict[str, pa.Array], kind: Kind = Kind.NUMERIC, **changes: Any) -> Batch:
    batch = pa.RecordBatch.from_arrays(list(data.values()), names=list(data))
    settings: dict[str, Any] = {
        "columns": (Column(name="x", kind=kind),),
        "carried": (),
        "time_column": None,
        "timezone": "UTC",
        "segment_column": None,
    }
    return encode(batch, **(settings | changes))


def level_texts(array: pa.Array) -> list[str | None]:
    column = encode_array(array, Kind.CATEGORICAL)
    assert isinstance(column, Levels)
    return [column.levels[code] if code >= 0 else {-1: None, -2: "WRONG"}[code] for code in column.codes]


def test_numbers_written_as_text_are_numbers_and_the_rest_is_wrong() -> None:
    number_texts = pa.array(["1", "+2", " 3.5 ", "1e3", "nan", "-Inf", "", "x", "1,5", "0x1", None])
    column = encode_array(number_texts, Kind.NUMERIC)
    assert isinstance(column, Numbers)
    assert column.nulls is not None
    assert column.wrong_type is not None
    np.testing.assert_array_equal(
        column.values_with_nan(), [1, 2, 3.5, 1000, np.nan, -np.inf, np.nan, np.nan, np.nan, np.nan, np.nan]
    )
    assert column.nulls.tolist() == [6, 10]
    assert np.flatnonzero(column.wrong_type).tolist() == [7, 8, 9]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([True, False, None]), [1.0, 0.0, np.nan]),
        (pa.array([2**63 + 5], pa.uint64()), [float(2**63 + 5)]),
        (pa.array([decimal.Decimal("1.50")]), [1.5]),
        (pa.array([-0.0]), [0.0]),
        (pa.array([1.5], pa.float16()), [1.5]),
        (pa.array(["2", None, "x"]).dictionary_encode(), [2.0, np.nan, np.nan]),
        (pa.nulls(2), [np.nan, np.nan]),
        (pa.array([[1]]), [np.nan]),
    ],
)
def test_numeric(array: pa.Array, expected: list[float]) -> None:
    column = encode_array(array, Kind.NUMERIC)
    assert isinstance(column, Numbers)
    np.testing.assert_array_equal(column.values_with_nan(), expected)


def test_one_zero_and_one_nan_make_rows_equal() -> None:
    payload_nan = np.array([0x7FF8000000000001], dtype=np.uint64).view(np.float64)
    for kind in (np.float64, np.float32):
        hashes = encode_arrays(
            {"x": pa.array(np.array([0.0, -0.0, np.nan, payload_nan[0], 1.0], dtype=kind))}
        ).content_hashes
        assert hashes[0] == hashes[1] != hashes[4]
        assert hashes[2] == hashes[3] == encode_arrays({"x": pa.nulls(1)}).content_hashes[0]


def test_rows_in_single_precision_are_rows_in_double_precision() -> None:
    single_precision = pa.array([0.1, None, 3.0, np.inf], pa.float32())
    assert (
        encode_arrays({"x": single_precision}).content_hashes.tolist()
        == encode_arrays({"x": single_precision.cast(pa.float64())}).content_hashes.tolist()
    )


def test_rows_taken_bring_their_nulls() -> None:
    array = pa.array([1.0, None, None, 4.0, None, 6.0, 7.0, None, None, 10.0])
    column = encode_array(array.slice(1), Kind.NUMERIC)
    assert isinstance(column, Numbers)
    values = column.values_with_nan()
    np.testing.assert_array_equal(values, array.slice(1).to_numpy(zero_copy_only=False))
    for rows in (slice(2, 7), slice(0, 0), np.array([8, 0, 3, 3])):
        np.testing.assert_array_equal(column.take(rows).values_with_nan(), values[rows])


def test_rows_that_need_not_be_told_apart_are_not_hashed() -> None:
    batch = encode_arrays({"x": pa.array([1.0, None])}, hashed=False)
    assert batch.content_hashes is None
    assert batch.take(np.array([1])).rows == batch.take(slice(0, 1)).rows == 1


def test_a_nan_of_the_data_is_neither_null_nor_wrong() -> None:
    nans = np.array([0x7FF8000000000001, 0xFFF8000000000000], dtype=np.uint64).view(np.float64)
    column = encode_array(pa.array(nans), Kind.NUMERIC)
    assert isinstance(column, Numbers)
    assert column.nulls is None
    assert column.wrong_type is None


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([3, None]), ["3", None]),
        (pa.array([3.0, 3.5, np.nan, -0.0, 1e300]), ["3", "3.5", None, "0", "1e+300"]),
        (pa.array([decimal.Decimal("3.00"), decimal.Decimal("3.50")]), ["3", "3.5"]),
        (pa.array([True, False, None]), ["true", "false", None]),
        (pa.array([True, None]).dictionary_encode(), ["true", None]),
        (pa.array(["3", None]).dictionary_encode(), ["3", None]),
        (pa.array([b"\xff", b"ok"]), ["\\xff", "ok"]),
        (pa.array([[1], None]), ["WRONG", None]),
        (pa.array([0], pa.timestamp("ns")), ["1970-01-01 00:00:00"]),
        (pa.array([0], pa.timestamp("s")), ["1970-01-01 00:00:00"]),
        (pa.array(["a\nb'\"", ""]), ["a\nb'\"", ""]),
        (pa.array([pa.MonthDayNano([1, 2, 3])]), ["WRONG"]),
    ],
)
def test_levels(array: pa.Array, expected: list[str | None]) -> None:
    assert level_texts(array) == expected


def test_a_level_is_cut_where_the_reference_cuts_it() -> None:
    assert level_texts(pa.array(["é" * 600])) == ["é" * 512]


def test_a_long_dictionary_gives_only_the_levels_that_occur() -> None:
    names = [f"level {number}" for number in range(100)]
    array = pa.DictionaryArray.from_arrays(pa.array([2, 2]), pa.array(names))
    column = encode_array(array, Kind.CATEGORICAL)
    assert isinstance(column, Levels)
    assert column.levels == ("level 2",)


def test_batches_of_one_dictionary_share_what_was_worked_out_for_it() -> None:
    memos: dict[str, DictionaryMemo] = {}
    arrays = [
        pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(["a", None, "c"])) for codes in ([0, 1], [2])
    ]
    first, second = (levels(array, memos, "x") for array in arrays)
    assert first.memo is second.memo
    assert [first.codes.tolist(), second.codes.tolist()] == [[0, -1], [2]]
    new_levels = levels(pa.DictionaryArray.from_arrays(pa.array([0]), pa.array(["z"])), memos, "x")
    assert new_levels.levels == ("z",)


def test_levels_hash_alike_whatever_else_their_dictionary_holds() -> None:
    array = pa.array(["a", "Köln", "", None, "x" * 600, "Köln"])
    dictionary = pa.array([None, "Köln", "x" * 600, "", "never", "a"])
    dictionary_array = pa.DictionaryArray.from_arrays(pa.array([5, 1, 3, 0, 2, 1]), dictionary)
    hashes = [
        encode_arrays({"x": item}, Kind.CATEGORICAL).content_hashes.tolist()
        for item in (array, dictionary_array)
    ]
    assert hashes[0] == hashes[1]
    # Worked out from the dictionary's bytes, it is what the texts give one by one.
    column = encode_array(array, Kind.CATEGORICAL)
    assert isinstance(column, Levels)
    stored_table = column.table(level_table, lambda _: pytest.fail("it was not worked out from the bytes"))
    assert stored_table.tolist() == level_table(column.levels).tolist()
    assert len(set(hashes[0])) == 5


def test_codes_of_a_slice_with_nulls() -> None:
    array = pa.array(["a", "b", None, "b", "c", None, "a"]).dictionary_encode()
    assert level_texts(array.slice(1, 5)) == ["b", None, "b", "c", None]
    assert level_texts(array.slice(3, 2)) == ["b", "c"]


def test_lengths_norms_and_seconds() -> None:
    length = encode_array(pa.array(["é", "", None, "abc"]).dictionary_encode(), Kind.TEXT)
    assert isinstance(length, Numbers)
    np.testing.assert_array_equal(length.values, [1, 0, np.nan, 3])
    for kind in (pa.list_(pa.float32()), pa.list_(pa.int64()), pa.list_(pa.float64(), 2)):
        norm = encode_array(pa.array([[3, 4], None, [0, 0]], kind), Kind.VECTOR)
        assert isinstance(norm, Numbers)
        np.testing.assert_array_equal(norm.values, [5, np.nan, 0])
        assert norm.wrong_type is None
    moment = encode_array(pa.array(["1970-01-02", "never", None]), Kind.DATETIME)
    assert isinstance(moment, Numbers)
    np.testing.assert_array_equal(moment.values, [86400, np.nan, np.nan])
    assert moment.wrong_type is not None
    assert np.flatnonzero(moment.wrong_type).tolist() == [1]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (pa.array([1], pa.date32()), DAY),
        (pa.array([DAY // 10**6], pa.date64()), DAY),
        *[(pa.array([DAY // f], pa.timestamp(u)), DAY) for u, f in (("s", 10**9), ("ms", 10**6), ("ns", 1))],
        (pa.array([1364774400]), 1364774400 * 10**9),
        (pa.array([1364774400000]), 1364774400 * 10**9),
        (pa.array([1364774400000000]), 1364774400 * 10**9),
        (pa.array([1364774400000000000]), 1364774400 * 10**9),
        (pa.array([1.5]), 1_500_000_000),
        (pa.array(["1970-01-02"]), DAY),
        (pa.array(["1970-01-02T00:00:00.000000001Z"]), DAY + 1),
        (pa.array(["1970-01-02 02:00:00+02:00"]), DAY),
        (pa.array(["1364774400"]), 1364774400 * 10**9),
        (pa.array(["1970-01-02"]).dictionary_encode(), DAY),
    ],
)
def test_event_times(array: pa.Array, expected: int) -> None:
    times, usable = event_times(array, "UTC")
    assert usable.all()
    assert times.tolist() == [expected]


def test_a_time_reads_the_same_beside_any_other() -> None:
    """The fast ways read whole batches of one form, the slow way mixed ones."""
    time_texts = ["2013-04-01", "2013-04-01T05", "2013-04-01 05:00:00.123456789", "2013-04-01T05:00Z",
               "2013-04-01T05:00:00+0230", "1364774400", "-5", "1364774400000000000", "2013-02-31",
               "9999-01-01", "soon", "", " 2013-04-01 ", "9223372036854775807"]  # fmt: skip
    times, usable = event_times(pa.array(time_texts), "America/New_York")
    for position, text in enumerate(time_texts):
        single_time, single_usable = event_times(pa.array([text]), "America/New_York")
        assert (single_time[0], single_usable[0]) == (times[position], usable[position]), text
    assert usable.tolist() == [True] * 8 + [False] * 4 + [True] * 2


def test_clock_changes_and_times_out_of_range() -> None:
    local_times = pa.array(["2013-03-10 02:30:00", "2013-11-03 01:30:00"]).cast(pa.timestamp("us"))
    times, usable = event_times(local_times, "America/New_York")
    assert usable.all()
    assert (times // 10**9).tolist() == [1362898800, 1383456600]
    assert not event_times(pa.array([10**12], pa.timestamp("s")), "UTC")[1].any()
    assert not event_times(pa.array([2**64 - 1], pa.uint64()), "UTC")[1].any()


def test_summer_time_ends_with_the_rules_of_2037() -> None:
    local_times = pa.array(["2037-07-01", "2038-07-01"])
    times = event_times(local_times, "Europe/Berlin")[0] // 10**9
    assert (times - event_times(local_times, "UTC")[0] // 10**9).tolist() == [-7200, -3600]


def test_rows_without_a_time_are_left_out_and_counted() -> None:
    batch = encode_arrays(
        {"x": pa.array([1, 2, 3]), "t": pa.array(["1970-01-02", None, "x"])}, time_column="t"
    )
    assert (batch.rows, batch.untimed_rows) == (1, 2)
    assert batch.time is not None
    assert batch.time.tolist() == [DAY]


@pytest.mark.parametrize(
    "kind", [pa.string_view(), pa.binary_view(), pa.run_end_encoded(pa.int32(), pa.int64())]
)
def test_rows_are_left_out_of_types_that_arrow_cannot_filter(kind: pa.DataType) -> None:
    if pa.types.is_run_end_encoded(kind):
        array = pc.run_end_encode(pa.array([4, 5, 6]))
    else:
        array = pa.array(["4", "5", "6"]).cast(kind)
    batch = encode_arrays({"x": array, "t": pa.array([None, 1, 1]), "other": array}, time_column="t")
    column = batch.columns["x"]
    assert isinstance(column, Numbers)
    assert column.values.tolist() == [5.0, 6.0]
    assert column.wrong_type is None


def test_a_nan_among_times_is_missing_in_a_dictionary_too() -> None:
    floats = pa.array([np.nan, 5.0, None, np.inf])
    for array in (floats, floats.dictionary_encode()):
        column = encode_array(array, Kind.DATETIME)
        assert isinstance(column, Numbers)
        assert column.wrong_type is not None
        assert column.wrong_type.tolist() == [False, False, False, True]


def test_absent_columns_segments_and_repeated_names() -> None:
    batch = encode_arrays({"y": pa.array([1])}, segment_column="s")
    assert batch.absent_columns == {"x"}
    assert batch.segment is not None
    assert batch.segment.codes.tolist() == [-1]
    repeated = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    encoded = encode(repeated, columns=(Column(name="x", kind=Kind.NUMERIC),), carried=(), time_column=None,
                  timezone="UTC", segment_column=None)  # fmt: skip
    column = encoded.columns["x"]
    assert isinstance(column, Numbers)
    assert column.values.tolist() == [1.0]


def row_hashes(array: pa.Array) -> list[int]:
    content: list[int] = encode_arrays(
        {"x": pa.nulls(len(array)), "id": array}, carried=("id",)
    ).content_hashes.tolist()
    return content


def test_ids_beyond_float64_stay_apart_and_types_do_not_matter() -> None:
    assert len(set(row_hashes(pa.array([2**53, 2**53 + 1, 2**53 + 2])))) == 3
    assert row_hashes(pa.array([7])) == row_hashes(pa.array([7.0])) == row_hashes(pa.array([7], pa.int8()))
    assert row_hashes(pa.array([1], pa.timestamp("s"))) == row_hashes(pa.array([10**9], pa.timestamp("ns")))
    texts = pa.array(["a", "b", None, "a" * 600, "a" * 601])
    assert row_hashes(texts) == row_hashes(texts.dictionary_encode())
    assert len(set(row_hashes(texts))) == 5
    assert row_hashes(pa.array([[1], [2], None]))[0] != row_hashes(pa.array([[2], [2], None]))[0]


@pytest.mark.parametrize(
    "data_type", [pa.decimal64(9, 2), pa.decimal128(12, 2), pa.decimal128(38, 2), pa.decimal256(60, 2)]
)
def test_a_decimal_is_the_nearest_float(data_type: pa.DataType) -> None:
    prices = [
        Decimal(int(cents)) / 100 for cents in np.random.default_rng(0).integers(-(10**9), 10**9, 20_000)
    ]
    if data_type.precision > 9:
        prices += [Decimal(10**10) + Decimal("0.07")]
    array = pa.array([*(round(price % 10**7, 2) for price in prices), None], data_type)
    expected = [float(value) for value in array.to_pylist() if value is not None]
    assert numbers(array).values[:-1].tolist() == expected
    assert hash_carried(array).tolist() == hash_carried(pa.array([*expected, None])).tolist()
