"""Reads texts that spell times of day and durations as seconds.

One odd value makes a column of times of day in a CSV one of texts: the others stay what they were.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.schema import NANOSECONDS

#: Two digits each, hours of a duration up to five; "0 days 00:00:12.5" as pandas writes, and PT12.345S.
_FORMS = (
    r"^(?:(?P<d>[0-9]{1,6}) days? )?(?P<h>[0-9]{2,5}):(?P<m>[0-5][0-9])"
    r"(?::(?P<s>[0-5][0-9])(?:[.](?P<f>[0-9]{1,9}))?)?$",
    r"^P(?:(?P<d>[0-9]{1,6})D)?T(?:(?P<h>[0-9]{1,9})H)?(?:(?P<m>[0-9]{1,9})M)?"
    r"(?:(?P<s>[0-9]{1,9})(?:[.](?P<f>[0-9]{1,9}))?S)?$",
)
_PART_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}


def clock_seconds(texts: pa.Array) -> Float64Array:
    """Return the seconds of each trimmed text, NaN where it spells no time of day or duration.

    >>> clock_seconds(pa.array(["01:00:00.5", "PT1M", "ERR", "PT"], pa.large_string())).tolist()
    [3600.5, 60.0, nan, nan]
    """
    seconds = np.full(len(texts), np.nan)
    is_candidate = pc.match_substring_regex(texts, "^P.*T.*[0-9][HMS]$|^[0-9].*:[0-9]").fill_null(False)
    positions = np.flatnonzero(is_candidate.to_numpy(zero_copy_only=False))
    if not len(positions):
        return seconds
    candidates = texts.take(pa.array(positions))
    for pattern in _FORMS:
        parts = pc.extract_regex(candidates, pattern)
        is_match = np.asarray(parts.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
        if is_match.any():
            seconds[positions[is_match]] = _seconds(parts.drop_null())
    return seconds


def _seconds(parts: pa.StructArray) -> Float64Array:
    # Whole seconds and the rest apart, as of a typed time.
    whole = np.zeros(len(parts), dtype=np.int64)
    for name, n_seconds in _PART_SECONDS.items():
        whole += n_seconds * _integers(parts.field(name))
    nanoseconds = _integers(pc.utf8_rpad(parts.field("f"), 9, "0"))
    values: Float64Array = whole + nanoseconds / NANOSECONDS
    return values


def _integers(digits: pa.Array) -> Int64Array:
    filled = pc.if_else(pc.equal(digits, ""), "0", digits)
    integers: Int64Array = filled.cast(pa.int64()).to_numpy(zero_copy_only=False)
    return integers
