"""Turns values of decoded messages, as JSON has them, into Arrow cells of a declared kind.

Each value is read as the same value in a file would be: "2.5" is a number, 3.0 and 3 are one level.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.columns.arrow.levels import float_text
from driftwatch.columns.arrow.numbers import numbers
from driftwatch.core.arrays import BoolArray
from driftwatch.core.schema import Kind

_MAX_INT64 = np.iinfo(np.int64).max
_TIME = pa.timestamp("ns", "UTC")
#: Stands for a value that cannot be read as the kind.
_WRONG_TYPE = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedCells:
    array: pa.Array
    #: Mask of values that cannot be read as the kind; ``array`` is null there.
    wrong_type: BoolArray


def arrow_type(kind: Kind) -> pa.DataType:
    if kind is Kind.NUMERIC:
        return pa.float64()
    if kind is Kind.DATETIME:
        return _TIME
    if kind is Kind.VECTOR:
        return pa.list_(pa.float64())
    return pa.string()


def typed_cells(kind: Kind, values: Sequence[object], timezone: str) -> TypedCells:
    """Return values as cells of ``arrow_type(kind)``; ``timezone`` is that of times without a zone.

    >>> typed_cells(Kind.NUMERIC, [1, "2.5", None, "x"], "UTC").array.to_pylist()
    [1.0, 2.5, None, None]
    """
    # Values of one Python type are read at once: parsing texts one by one is slow.
    positions: dict[type, list[int]] = {}
    for position, value in enumerate(values):
        positions.setdefault(type(value), []).append(position)
    cells: list[object] = [None] * len(values)
    for python_type, places in positions.items():
        same_type = [values[place] for place in places]
        if python_type is not type(None):
            for place, cell in zip(places, _cells(kind, python_type, same_type, timezone), strict=True):
                cells[place] = cell
    wrong_type = np.array([cell is _WRONG_TYPE for cell in cells], dtype=bool)
    readable = [None if cell is _WRONG_TYPE else cell for cell in cells]
    return TypedCells(array=pa.array(readable, type=arrow_type(kind)), wrong_type=wrong_type)


def _cells(kind: Kind, python_type: type, values: list[Any], timezone: str) -> Sequence[object]:
    if kind is Kind.NUMERIC:
        if python_type is str:
            return _text_numbers([_printable(value) for value in values])
        if python_type in (bool, int, float):
            return [_float(value) for value in values]
    elif kind is Kind.DATETIME:
        if python_type is str:
            return _times(pa.array([_printable(value) for value in values], pa.large_string()), timezone)
        if python_type is int:
            integers = [value if abs(value) <= _MAX_INT64 else None for value in values]
            return _times(pa.array(integers, pa.int64()), timezone)
        if python_type is float:
            times = _times(pa.array(values, pa.float64()), timezone)
            return [None if value != value else time for value, time in zip(values, times, strict=True)]
    elif kind is Kind.VECTOR:
        if python_type is list:
            return [_vector(value) for value in values]
    else:
        texts: dict[type, Callable[[Any], object]] = {
            str: _printable,
            bool: _boolean_text,
            int: _integer_text,
            float: float_text,
        }
        if python_type in texts:
            return [texts[python_type](value) for value in values]
    return [_WRONG_TYPE] * len(values)


def _text_numbers(texts: list[str]) -> list[object]:
    parsed = numbers(pa.array(texts, pa.large_string()))
    cells: list[object] = parsed.values.tolist()
    for position in () if parsed.nulls is None else parsed.nulls:
        cells[position] = None
    for position in () if parsed.wrong_type is None else np.flatnonzero(parsed.wrong_type):
        cells[position] = _WRONG_TYPE
    return cells


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _times(array: pa.Array, timezone: str) -> list[object]:
    times, usable = event_times(array, timezone)
    return [
        time if is_usable else _WRONG_TYPE
        for time, is_usable in zip(times.tolist(), usable.tolist(), strict=True)
    ]


def _vector(value: list[Any]) -> object:
    if any(item is not None and type(item) not in (int, float) for item in value):
        return _WRONG_TYPE
    return [None if item is None else _float(item) for item in value]


def _printable(text: str) -> str:
    # UTF-8 cannot hold lone surrogates.
    return text.encode("utf-8", "backslashreplace").decode()


def _boolean_text(value: bool) -> str:
    return "true" if value else "false"


def _integer_text(value: int) -> object:
    try:
        return str(value)
    except ValueError:
        # More digits than Python writes.
        return _WRONG_TYPE
