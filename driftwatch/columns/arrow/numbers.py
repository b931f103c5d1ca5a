"""Ordered columns: numbers, times as seconds, texts as lengths, vectors as norms."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.columns.arrow.texts import as_text, is_plain, is_text
from driftwatch.core.arrays import BoolArray, Int64Array
from driftwatch.core.schema import NANOSECONDS
from driftwatch.summary.batch import Numbers

#: Texts that are numbers. Whatever matches, Arrow can read; so no text depends on its neighbours.
_NUMBER = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]{1,5})?$|^[+-]?(?i:inf|infinity|nan)$"


def numbers(array: pa.Array) -> Numbers:
    """Values of a numeric column; texts are read as numbers, an empty one is a null."""
    kind, types = array.type, pa.types
    if types.is_dictionary(kind):
        return _decoded(array, numbers(array.dictionary))
    if types.is_float32(kind) or types.is_float64(kind):
        nulls = null_places(array)
        if nulls is None:
            return Numbers(values=array.to_numpy())
        raw = np.frombuffer(array.buffers()[1], dtype=kind.to_pandas_dtype())
        return Numbers(values=raw[array.offset : array.offset + len(array)], nulls=nulls)
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return numbers(array.cast(pa.float64(), safe=False))
    if types.is_boolean(kind):
        return numbers(array.cast(pa.int8()))
    if is_text(kind):
        return _parsed(as_text(array))
    return _all_wrong(array)


def seconds(array: pa.Array, timezone: str) -> Numbers:
    """Times of a datetime column as seconds since 1970 UTC."""
    times, usable = event_times(array, timezone)
    values = np.where(usable, times / NANOSECONDS, np.nan)
    nulls = null_places(array)
    if pa.types.is_floating(array.type):
        usable |= np.isnan(array.cast(pa.float64()).to_numpy(zero_copy_only=False))
    return Numbers(values=values, nulls=nulls, wrong=_wrong(usable, nulls))


def lengths(array: pa.Array) -> Numbers:
    """Characters of each text."""
    kind, types = array.type, pa.types
    if types.is_dictionary(kind):
        return _decoded(array, lengths(array.dictionary))
    if not (is_text(kind) or is_plain(kind)):
        return _all_wrong(array)
    texts = as_text(array) if is_text(kind) else array.cast(pa.large_string())
    return numbers(pc.utf8_length(texts))


def norms(array: pa.Array) -> Numbers:
    """Euclidean norm of each vector; an element that is null makes it NaN."""
    kind, types = array.type, pa.types
    listed = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    if not listed or not (
        types.is_integer(kind.value_type)
        or types.is_floating(kind.value_type)
        or types.is_decimal(kind.value_type)
    ):
        return _all_wrong(array)
    values = np.full(len(array), np.nan)
    vectors = array.drop_null()
    sizes = pc.list_value_length(vectors).to_numpy(zero_copy_only=False).astype(np.int64)
    flat = vectors.flatten().cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy(zero_copy_only=False)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    present = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    with np.errstate(over="ignore"):
        values[present] = np.sqrt(np.bincount(owner, weights=flat * flat, minlength=len(sizes)))
    return Numbers(values=values, nulls=null_places(array))


def _parsed(texts: pa.Array) -> Numbers:
    trimmed = pc.utf8_trim_whitespace(texts)
    matching = pc.match_substring_regex(trimmed, _NUMBER)
    usable = np.asarray(matching.fill_null(False).to_numpy(zero_copy_only=False), dtype=bool)
    empty = pc.or_kleene(pc.equal(trimmed, ""), texts.is_null()).fill_null(True)
    nulls = np.flatnonzero(empty.to_numpy(zero_copy_only=False))
    readable = pc.if_else(matching, trimmed, pa.scalar(None, type=trimmed.type))
    readable = pc.utf8_ltrim(readable, "+")
    values = readable.cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    return Numbers(values=values, nulls=nulls if len(nulls) else None, wrong=_wrong(usable, nulls))


def _decoded(array: pa.Array, values: Numbers) -> Numbers:
    """One row of ``values`` per code of a dictionary-coded array; null codes are nulls."""
    codes = array.indices.cast(pa.int64()).fill_null(len(values.values)).to_numpy(zero_copy_only=False)
    absent = np.zeros(len(values.values) + 1, dtype=bool)
    absent[-1 if values.nulls is None else np.append(values.nulls, -1)] = True
    nulls = np.flatnonzero(absent[codes])
    wrong = None if values.wrong is None else np.append(values.wrong, False)[codes]
    return Numbers(
        values=np.append(values.values, np.nan)[codes],
        nulls=nulls if len(nulls) else None,
        wrong=wrong if wrong is not None and wrong.any() else None,
    )


def _all_wrong(array: pa.Array) -> Numbers:
    """No number at all; what is there is of the wrong type."""
    nulls = null_places(array)
    wrong = _wrong(np.zeros(len(array), dtype=bool), nulls)
    return Numbers(values=np.full(len(array), np.nan), nulls=nulls, wrong=wrong)


def null_places(array: pa.Array) -> Int64Array | None:
    """Where values are null, ascending; None where none is."""
    if not array.null_count:
        return None
    bits = array.buffers()[0]
    if bits is None or pa.types.is_null(array.type):
        return np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False))
    first, before = divmod(array.offset, 8)
    size = before + len(array)
    absent = ~np.frombuffer(bits, dtype=np.uint8, count=(size + 7) // 8, offset=first)
    marked = np.unpackbits(absent, count=size, bitorder="little").view(bool)
    return marked[before:].nonzero()[0]


def _wrong(usable: BoolArray, nulls: Int64Array | None) -> BoolArray | None:
    """What is neither usable nor null; None where nothing is."""
    wrong = ~usable
    if nulls is not None:
        wrong[nulls] = False
    return wrong if wrong.any() else None
