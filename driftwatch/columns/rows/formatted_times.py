"""Reads event times in declared formats, such as ``%d/%b/%Y:%H:%M:%S %z``.

Each distinct text of a batch is parsed once, by Arrow and numpy: about a microsecond.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.columns.arrow.calendar_numbers import days_since_1970
from driftwatch.columns.arrow.event_time import event_times
from driftwatch.columns.arrow.texts import as_text, is_text
from driftwatch.columns.rows.time_formats import MONTHS, format_pattern
from driftwatch.core.arrays import BoolArray, Int64Array

_NANOSECONDS = 1_000_000_000
#: Two-digit years from here on are of the 1900s, as in POSIX.
_PIVOT = 69
#: Years that nanoseconds hold whole.
_MIN_YEAR, _MAX_YEAR = 1678, 2261


def parse_times(array: pa.Array, formats: Sequence[str], timezone: str) -> pa.Array:
    """Return ``timestamp[ns, UTC]``: by the first format that fits a text, else as without formats.

    Times without a zone are in ``timezone``; what is no time is null. Only texts and integers change.
    """
    if pa.types.is_dictionary(array.type):
        return parse_times(array.dictionary, formats, timezone).take(array.indices)
    if not (is_text(array.type) or pa.types.is_integer(array.type)):
        return array
    texts = as_text(array) if is_text(array.type) else array.cast(pa.large_string())
    encoded = pc.utf8_trim_whitespace(texts).dictionary_encode()
    times = np.zeros(len(encoded.dictionary), dtype=np.int64)
    usable = np.zeros(len(times), dtype=bool)
    for text in formats:
        rest = np.flatnonzero(~usable)
        times[rest], usable[rest] = _parsed(encoded.dictionary.take(pa.array(rest)), text, timezone)
    rest = np.flatnonzero(~usable)
    times[rest], usable[rest] = event_times(encoded.dictionary.take(pa.array(rest)), timezone)
    values = pa.array(times, mask=~usable).cast(pa.timestamp("ns", "UTC"))
    return values.take(encoded.indices)


def fits_format(texts: pa.Array, text: str) -> bool:
    return bool(_parsed(pc.utf8_trim_whitespace(texts.cast(pa.large_string())), text, "UTC")[1].all())


def in_times(
    batch: pa.RecordBatch, name: str | None, formats: Sequence[str], timezone: str
) -> pa.RecordBatch:
    position = -1 if name is None or not formats else batch.schema.get_field_index(name)
    if position < 0:
        return batch
    return batch.set_column(position, name, parse_times(batch.column(position), formats, timezone))


def _parsed(texts: pa.Array, text: str, timezone: str) -> tuple[Int64Array, BoolArray]:
    fields = pc.extract_regex(texts, format_pattern(text))
    fits = np.asarray(fields.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    parts = {name: fields.field(name) for name in (item.name for item in fields.type)}

    def number(name: str, default: int = 0) -> Int64Array:
        if name not in parts:
            return np.full(len(texts), default, dtype=np.int64)
        cells = pc.if_else(pa.array(fits), parts[name], str(default)).cast(pa.int64())
        return np.asarray(cells.to_numpy(zero_copy_only=False), dtype=np.int64)

    year = number("Y") if "Y" in parts else number("y") + np.where(number("y") < _PIVOT, 2000, 1900)
    month = _months(parts["b"]) if "b" in parts else number("m", 1)
    hour = _hours(number("I", 12), parts.get("p")) if "I" in parts else number("H")
    days, is_day = days_since_1970(year, month, number("d", 1))
    minute, second = number("M"), number("S")
    fits = fits & is_day & (hour >= 0) & (hour < 24) & (minute < 60) & (second < 60)
    fits &= (year >= _MIN_YEAR) & (year <= _MAX_YEAR)
    seconds = reduce(lambda total, part: total * 60 + part, (days * 24 + hour, minute, second))
    values = np.where(fits, seconds, 0) * _NANOSECONDS + _fractions(parts.get("f"), len(texts))
    if "z" in parts:
        return values - _offsets(parts["z"], fits) * _NANOSECONDS, fits
    local, usable = event_times(pa.array(values).cast(pa.timestamp("ns")), timezone)
    return local, fits & usable


def _months(names: pa.Array) -> Int64Array:
    positions = pc.index_in(
        pc.utf8_lower(pc.utf8_slice_codeunits(names, 0, 3)), value_set=pa.array(MONTHS, names.type)
    )
    return np.asarray(positions.fill_null(-1).to_numpy(zero_copy_only=False), dtype=np.int64) + 1


def _hours(hour: Int64Array, half: pa.Array | None) -> Int64Array:
    # Twelve comes before one.
    is_valid = (hour >= 1) & (hour <= 12)
    after_noon = np.zeros(len(hour), dtype=bool)
    if half is not None:
        after_noon = pc.equal(pc.utf8_lower(half), "p").fill_null(False).to_numpy(zero_copy_only=False)
    return np.where(is_valid, hour % 12 + 12 * after_noon, -1)


def _fractions(digits: pa.Array | None, rows: int) -> Int64Array:
    if digits is None:
        return np.zeros(rows, dtype=np.int64)
    padded = pc.utf8_rpad(digits, 9, "0").fill_null("0").cast(pa.int64())
    return np.asarray(padded.to_numpy(zero_copy_only=False), dtype=np.int64)


def _offsets(zones: pa.Array, fits: BoolArray) -> Int64Array:
    # Seconds east of UTC.
    texts = pc.if_else(pa.array(fits), pc.replace_substring(zones, ":", ""), "z")
    plain = pc.if_else(pc.equal(pc.utf8_lower(texts), "z"), "+0000", texts)
    clock: Int64Array = pc.utf8_slice_codeunits(plain, 1).cast(pa.int64()).to_numpy(zero_copy_only=False)
    seconds = clock // 100 * 3600 + clock % 100 * 60
    is_west = np.asarray(pc.starts_with(plain, "-").to_numpy(zero_copy_only=False), dtype=bool)
    return np.where(is_west, -seconds, seconds)
