"""Encodes ordered columns as floats: numbers, seconds, text lengths, vector norms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.columns.arrow.clock_texts import clock_seconds
from driftwatch.columns.arrow.decimals import decimal_floats
from driftwatch.columns.arrow.event_time import event_times
from driftwatch.columns.arrow.texts import as_text, is_scalar, is_text
from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.core.schema import NANOSECONDS
from driftwatch.summary.batch import Numbers

#: Texts that are numbers. Arrow can parse whatever matches, so no text depends on its neighbours.
_NUMBER_TEXT = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,5})?$|^[+-]?(?i:inf|infinity|nan)$"


#: Ticks of durations and times of day.
UNITS_PER_SECOND = {"s": 1, "ms": 1_000, "us": 1_000_000, "ns": 1_000_000_000}


def numbers(array: pa.Array) -> Numbers:
    """Encode numbers; texts are parsed as numbers, and an empty text is a null.

    Durations and times of day are seconds, also spelled in a text. A decimal is the nearest float.
    """
    data_type, types = array.type, pa.types
    if types.is_dictionary(data_type):
        return _take_codes(array, numbers(array.dictionary))
    if types.is_float32(data_type) or types.is_float64(data_type):
        nulls = null_positions(array)
        if nulls is None:
            return Numbers(values=array.to_numpy())
        values = np.frombuffer(array.buffers()[1], dtype=data_type.to_pandas_dtype())
        return Numbers(values=values[array.offset : array.offset + len(array)], nulls=nulls)
    if types.is_float16(data_type):
        return replace(numbers(array.cast(pa.float32())), half=True)
    if types.is_integer(data_type):
        return numbers(array.cast(pa.float64(), safe=False))
    if types.is_decimal(data_type):
        return numbers(decimal_floats(array))
    if types.is_duration(data_type) or types.is_time(data_type):
        return Numbers(values=_seconds_of_ticks(array), nulls=null_positions(array))
    if types.is_boolean(data_type):
        return numbers(array.cast(pa.int8()))
    if is_text(data_type):
        return _parse_texts(as_text(array))
    return _wrong_type_rows(array)


def _seconds_of_ticks(array: pa.Array) -> Float64Array:
    # Whole seconds and the rest apart: one result whatever the unit.
    ticks = (
        array.cast(pa.int32()).cast(pa.int64()) if pa.types.is_time32(array.type) else array.cast(pa.int64())
    )
    units = UNITS_PER_SECOND[array.type.unit]
    whole, rest = np.divmod(ticks.fill_null(0).to_numpy(zero_copy_only=False), units)
    values: Float64Array = whole + rest / units
    return values


def seconds(array: pa.Array, timezone: str) -> Numbers:
    """Encode times as seconds since 1970 UTC: the float of the nanoseconds, divided by 1e9."""
    if pa.types.is_dictionary(array.type):
        return _take_codes(array, seconds(array.dictionary, timezone))
    times, usable = event_times(array, timezone)
    values = np.where(usable, times / NANOSECONDS, np.nan)
    nulls = null_positions(array)
    if pa.types.is_floating(array.type):
        usable |= np.isnan(array.cast(pa.float64()).to_numpy(zero_copy_only=False))
    return Numbers(values=values, nulls=nulls, wrong_type=_wrong_type_mask(usable, nulls))


def lengths(array: pa.Array) -> Numbers:
    """Encode each text as its number of characters."""
    data_type, types = array.type, pa.types
    if types.is_dictionary(data_type):
        return _take_codes(array, lengths(array.dictionary))
    if not (is_text(data_type) or is_scalar(data_type)):
        return _wrong_type_rows(array)
    texts = as_text(array) if is_text(data_type) else array.cast(pa.large_string())
    return numbers(pc.utf8_length(texts))


def norms(array: pa.Array) -> Numbers:
    """Encode each vector as its Euclidean norm, NaN where an element is null."""
    data_type, types = array.type, pa.types
    is_list = (
        types.is_list(data_type) or types.is_large_list(data_type) or types.is_fixed_size_list(data_type)
    )
    if not is_list or not (
        types.is_integer(data_type.value_type)
        or types.is_floating(data_type.value_type)
        or types.is_decimal(data_type.value_type)
    ):
        return _wrong_type_rows(array)
    values = np.full(len(array), np.nan)
    vectors = array.drop_null()
    sizes = pc.list_value_length(vectors).to_numpy(zero_copy_only=False).astype(np.int64)
    elements = numbers(vectors.flatten()).values_with_nan().astype(np.float64)
    row_of_element = np.repeat(np.arange(len(sizes)), sizes)
    is_valid = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    with np.errstate(over="ignore"):
        values[is_valid] = np.sqrt(
            np.bincount(row_of_element, weights=elements * elements, minlength=len(sizes))
        )
    return Numbers(values=values, nulls=null_positions(array))


def _parse_texts(texts: pa.Array) -> Numbers:
    trimmed_texts = pc.utf8_trim_whitespace(texts)
    is_number = pc.match_substring_regex(trimmed_texts, _NUMBER_TEXT)
    usable = np.asarray(is_number.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)
    is_empty = pc.or_kleene(pc.equal(trimmed_texts, ""), texts.is_null()).fill_null(True)
    nulls = np.flatnonzero(is_empty.to_numpy(zero_copy_only=False))
    number_texts = pc.if_else(is_number, trimmed_texts, pa.scalar(None, type=trimmed_texts.type))
    number_texts = pc.utf8_ltrim(number_texts, "+")
    values = number_texts.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    if np.count_nonzero(usable) + len(nulls) < len(texts):
        clocks = clock_seconds(trimmed_texts)
        is_clock = ~np.isnan(clocks)
        values, usable = np.where(is_clock, clocks, values), usable | is_clock
    return Numbers(
        values=values, nulls=nulls if len(nulls) else None, wrong_type=_wrong_type_mask(usable, nulls)
    )


def _take_codes(array: pa.Array, values: Numbers) -> Numbers:
    codes = array.indices.cast(pa.int64()).fill_null(len(values.values)).to_numpy(zero_copy_only=False)
    is_null = np.zeros(len(values.values) + 1, dtype=bool)
    is_null[-1 if values.nulls is None else np.append(values.nulls, -1)] = True
    nulls = np.flatnonzero(is_null[codes])
    wrong_type = None if values.wrong_type is None else np.append(values.wrong_type, False)[codes]
    return Numbers(
        values=np.append(values.values, np.nan)[codes],
        nulls=nulls if len(nulls) else None,
        wrong_type=wrong_type if wrong_type is not None and wrong_type.any() else None,
        half=values.half,
    )


def _wrong_type_rows(array: pa.Array) -> Numbers:
    nulls = null_positions(array)
    wrong_type = _wrong_type_mask(np.zeros(len(array), dtype=bool), nulls)
    return Numbers(values=np.full(len(array), np.nan), nulls=nulls, wrong_type=wrong_type)


def null_positions(array: pa.Array) -> Int64Array | None:
    """Return the ascending positions of nulls; None if there are none."""
    if not array.null_count:
        return None
    bits = array.buffers()[0]
    if bits is None or pa.types.is_null(array.type):
        return np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))
    first_byte, bit_offset = divmod(array.offset, 8)
    n_bits = bit_offset + len(array)
    null_bits = ~np.frombuffer(bits, dtype=np.uint8, count=(n_bits + 7) // 8, offset=first_byte)
    is_null = np.unpackbits(null_bits, count=n_bits, bitorder="little").view(bool)
    return is_null[bit_offset:].nonzero()[0]


def _wrong_type_mask(usable: BoolArray, nulls: Int64Array | None) -> BoolArray | None:
    wrong_type = ~usable
    if nulls is not None:
        wrong_type[nulls] = False
    return wrong_type if wrong_type.any() else None
