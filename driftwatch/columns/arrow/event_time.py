"""Event time of Arrow columns, in nanoseconds since 1970 UTC. One reading of time for sources and engines.

Every value is read on its own: the result does not depend on which other rows share its batch.
"""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array

_UNIT = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}
_DAY = 86_400
_MOST = np.iinfo(np.int64).max
#: Local times near the ends of int64 are refused, so that no change of zone leaves the range.
_REACH = _MOST - 2 * _DAY * _UNIT["s"]
_EPOCH = date(1970, 1, 1).toordinal()
_ISO = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d)(?::?(\d\d)(?::?(\d\d)(?:[.,](\d{1,9})\d*)?)?)?)?"
    r"\s*(?:(Z|z|UTC)|([+-])(\d\d):?(\d\d)?)?",
    re.ASCII,
)
_DIGITS = re.compile(r"-?\d{1,19}", re.ASCII)
_INTEGER = r"^-?[0-9]{1,19}$"


def is_time(kind: pa.DataType) -> bool:
    """True when a column of this type can hold event times.

    >>> is_time(pa.timestamp("us")), is_time(pa.bool_())
    (True, False)
    """
    types = pa.types
    if types.is_dictionary(kind):
        return is_time(kind.value_type)
    return bool(
        types.is_timestamp(kind)
        or types.is_date(kind)
        or types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_null(kind)
    )


def event_times(array: pa.Array, timezone: str) -> tuple[Int64Array, BoolArray]:
    """Times ``int64[n]`` and ``bool[n]``, which of them are usable; an unusable one is 0.

    Timestamps of any unit, dates (midnight), ISO 8601 texts, and numbers since 1970 whose unit follows
    from their size (seconds up to 9.2e9, then milliseconds, microseconds, nanoseconds). Times without a
    zone are read in ``timezone``; an hour that happens twice is its first, one that is skipped is the end
    of the gap.

    >>> event_times(pa.array(["1970-01-02", "soon"]), "UTC")
    (array([86400000000000, 0]), array([ True, False]))
    """
    kind, types = array.type, pa.types
    if types.is_dictionary(kind):
        return _of_coded(array, timezone)
    if types.is_timestamp(kind):
        return _of_stamps(array, timezone)
    if types.is_date(kind):
        unit = "s" if types.is_date32(kind) else "ms"
        return _of_stamps(array.cast(pa.timestamp(unit)), timezone)
    if types.is_integer(kind):
        return _of_integers(array)
    if types.is_floating(kind):
        return _of_floats(array.cast(pa.float64()).to_numpy(zero_copy_only=False))
    if types.is_null(kind) or not is_time(kind):
        return np.zeros(len(array), dtype=np.int64), np.zeros(len(array), dtype=bool)
    return _of_texts(array, timezone)


def _present(array: pa.Array) -> BoolArray:
    return np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=bool)


def _of_coded(array: pa.Array, timezone: str) -> tuple[Int64Array, BoolArray]:
    values, usable = event_times(array.dictionary, timezone)
    codes = array.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    return np.append(values, 0)[codes], np.append(usable, False)[codes]


def _of_stamps(array: pa.Array, timezone: str) -> tuple[Int64Array, BoolArray]:
    kind = array.type
    factor = _UNIT[kind.unit]
    raw = array.cast(pa.int64()).fill_null(0).to_numpy(zero_copy_only=False)
    usable = _present(array) & (raw <= _REACH // factor) & (raw >= -(_REACH // factor))
    raw = np.where(usable, raw, 0)
    if kind.tz is None and timezone != "UTC":
        local = pa.array(raw).cast(pa.timestamp(kind.unit))
        moments = pc.assume_timezone(local, timezone, ambiguous="earliest", nonexistent="latest")
        raw = np.where(usable, moments.cast(pa.int64()).to_numpy(zero_copy_only=False), 0)
    return raw * factor, usable


def _of_integers(array: pa.Array) -> tuple[Int64Array, BoolArray]:
    usable = _present(array)
    raw = array.fill_null(0).to_numpy(zero_copy_only=False)
    if raw.dtype == np.uint64:
        usable &= raw <= np.uint64(_MOST)
    raw = np.where(usable, raw, 0).astype(np.int64)
    usable &= raw > -_MOST
    raw = np.where(usable, raw, 0)
    return raw * _factor(np.abs(raw).astype(np.float64)), usable


def _of_floats(raw: Float64Array) -> tuple[Int64Array, BoolArray]:
    usable = np.isfinite(raw) & (np.abs(raw) <= float(_REACH))
    raw = np.where(usable, raw, 0.0)
    return np.rint(raw * _factor(np.abs(raw))).astype(np.int64), usable


def _factor(size: Float64Array) -> Int64Array:
    """Nanoseconds per unit of numbers since 1970, by their size."""
    steps = np.array([_REACH / _UNIT[unit] for unit in ("s", "ms", "us")])
    return np.array(list(_UNIT.values()), dtype=np.int64)[np.searchsorted(steps, size)]


def _of_texts(array: pa.Array, timezone: str) -> tuple[Int64Array, BoolArray]:
    try:
        texts = pc.utf8_trim_whitespace(array.cast(pa.large_string()))
        if pc.all(pc.match_substring_regex(texts, _INTEGER)).as_py():
            return _of_integers(texts.cast(pa.int64()))
    except pa.ArrowInvalid:
        return _one_by_one(array, timezone)
    for kind in (pa.timestamp("ns"), pa.timestamp("ns", "UTC")):
        try:
            return _of_stamps(texts.cast(kind), timezone)
        except pa.ArrowInvalid:
            continue
    return _one_by_one(texts, timezone)


def _one_by_one(array: pa.Array, timezone: str) -> tuple[Int64Array, BoolArray]:
    """Texts of mixed form: each distinct one is parsed in Python, which is slow and never common."""
    coded = array.cast(pa.large_binary()).dictionary_encode()
    parsed = [_parse(text.decode("utf-8", "replace").strip()) for text in coded.dictionary.to_pylist()]
    values = np.zeros(len(parsed), dtype=np.int64)
    usable = np.zeros(len(parsed), dtype=bool)
    for zoned in (True, False):
        mine = [place for place, item in enumerate(parsed) if item is not None and item[1] is zoned]
        if not mine:
            continue
        stamps = pa.array([parsed[place][0] for place in mine], type=pa.int64())  # type: ignore[index]
        kind = pa.timestamp("ns", "UTC") if zoned else pa.timestamp("ns")
        values[mine], usable[mine] = _of_stamps(stamps.cast(kind), timezone)
    codes = coded.indices.fill_null(len(values)).to_numpy(zero_copy_only=False)
    return np.append(values, 0)[codes], np.append(usable, False)[codes]


def _parse(text: str) -> tuple[int, bool] | None:
    """Nanoseconds and whether a zone was given; None when the text is no time."""
    if _DIGITS.fullmatch(text):
        values, usable = _of_integers(pa.array([int(text)])) if abs(int(text)) < _MOST else ([0], [False])
        return (int(values[0]), True) if usable[0] else None
    match = _ISO.fullmatch(text)
    if match is None or (match[4] is None and (match[8] or match[9])):
        return None
    year, month, day = int(match[1]), int(match[2]), int(match[3])
    hour, minute, second = (int(part or 0) for part in match.group(4, 5, 6))
    if hour > 23 or minute > 59 or second > 59:
        return None
    try:
        days = date(year, month, day).toordinal() - _EPOCH
    except ValueError:
        return None
    seconds = days * _DAY + hour * 3600 + minute * 60 + second
    if match[9]:
        offset = int(match[10]) * 3600 + int(match[11] or 0) * 60
        seconds -= offset if match[9] == "+" else -offset
    moment = seconds * _UNIT["s"] + int((match[7] or "").ljust(9, "0"))
    return (moment, bool(match[8] or match[9])) if abs(moment) <= _REACH else None
