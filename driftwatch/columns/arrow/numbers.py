"""Encodes ordered columns as floats: numbers, seconds, text lengths, vector norms."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.columns.arrow.texts import as_text, is_scalar, is_text
from driftwatch.core.arrays import BoolArray, Int64Array
from driftwatch.core.schema import NANOSECONDS
from driftwatch.summary.batch import Numbers

#: Texts that are numbers. Arrow can parse whatever matches, so no text depends on its neighbours.
_NUMBER_TEXT = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,5})?$|^[+-]?(?i:inf|infinity|nan)$"


def numbers(array: pa.Array) -> Numbers:
    """Encode numbers; texts are parsed as numbers, and an empty text is a null.

    A decimal is the float of its digits times the float of its power of ten, as Arrow casts it. That is not
    always the nearest float, which a text of the same digits becomes.
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
    if types.is_integer(data_type) or types.is_floating(data_type) or types.is_decimal(data_type):
        return numbers(array.cast(pa.float64(), safe=False))
    if types.is_boolean(data_type):
        return numbers(array.cast(pa.int8()))
    if is_text(data_type):
        return _parse_texts(as_text(array))
    return _wrong_type_rows(array)


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
    elements = (
        vectors.flatten().cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)
    )
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
