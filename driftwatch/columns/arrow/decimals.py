"""Reads decimals as the nearest float, like texts of the same digits.

Arrow multiplies the float of the digits with the float of the power of ten, which rounds twice: 727 of 20,000
prices with two places differ from the nearest float in the last bit.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from driftwatch.core.arrays import Int64Array

#: Digits of which every whole number, and exponent up to which every power of ten, is a float.
_MAX_EXACT_FLOAT, _MAX_EXACT_POWER = 1 << 53, 22
#: Digits of a decimal that is 16 bytes wide.
_MAX_WIDE_PRECISION = 38


def decimal_floats(array: pa.Array) -> pa.Array:
    """Return the nearest ``float64`` of each decimal; nulls stay."""
    # One division of two exact floats is rounded once. What is too long for that goes through its text.
    precision, scale = array.type.precision, array.type.scale
    if precision > _MAX_WIDE_PRECISION or not 0 <= scale <= _MAX_EXACT_POWER:
        return array.cast(pa.large_string()).cast(pa.float64())
    if not pa.types.is_decimal128(array.type):
        array = array.cast(pa.decimal128(precision, scale))
    digits, is_long = _digits(array)
    values = pa.array(digits / 10.0**scale, mask=array.is_null().to_numpy(zero_copy_only=False))
    if not len(is_long):
        return values
    texts = array.take(pa.array(is_long)).cast(pa.large_string())
    exact_values = values.to_numpy(zero_copy_only=False).copy()
    exact_values[is_long] = texts.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return pa.array(exact_values, mask=array.is_null().to_numpy(zero_copy_only=False))


def _digits(array: pa.Array) -> tuple[Int64Array, Int64Array]:
    """Return each decimal without its point, and the positions of those whose digits are no exact float."""
    words = np.frombuffer(array.buffers()[1], dtype="<i8").reshape(-1, 2)
    words = words[array.offset : array.offset + len(array)]
    low = words[:, 0].astype(np.int64)
    is_exact = (words[:, 1] == low >> 63) & (low <= _MAX_EXACT_FLOAT) & (low >= -_MAX_EXACT_FLOAT)
    if array.null_count:
        is_exact |= array.is_null().to_numpy(zero_copy_only=False)
    return low, np.flatnonzero(~is_exact)
