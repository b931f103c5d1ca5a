"""Hashes of rows as a database's driver gives them: equal in every process, whatever rows stand beside."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cache
from types import NoneType
from typing import Any

import numpy as np

from driftwatch.core.arrays import UInt64Array
from driftwatch.core.hashing import mix

#: Numbers of 64 bits that are a row's hash, each by factors of its own.
LANES = 2
_INT64 = range(-(1 << 63), 1 << 63)


def row_hashes(columns: Sequence[Sequence[Any]]) -> tuple[UInt64Array, int]:
    """Return ``LANES`` hashes of each row of some columns, and about how many bytes their values have.

    Rows that differ in one number never have equal hashes, others only by chance.
    """
    hashes, weight = np.zeros((LANES, len(columns[0])), dtype=np.uint64), 0
    for position, values in enumerate(columns):
        column, bytes_of_column = _column_hashes(values)
        hashes += column * _factors(position)
        weight += bytes_of_column
    return mix(hashes), weight


def _column_hashes(values: Sequence[Any]) -> tuple[UInt64Array, int]:
    kinds = set(map(type, values))
    if len(kinds) == 1 and NoneType not in kinds:
        return _value_hashes(kinds.pop(), values)
    hashes, weight = np.zeros((LANES, len(values)), dtype=np.uint64), 0
    for kind in kinds - {NoneType}:
        places = [place for place, value in enumerate(values) if type(value) is kind]
        hashes[:, places], bytes_of_part = _value_hashes(kind, [values[place] for place in places])
        weight += bytes_of_part
    return hashes, weight


def _value_hashes(kind: type[Any], values: Sequence[Any]) -> tuple[UInt64Array, int]:
    if kind is float:
        return mix(np.array(values, dtype=np.float64).view(np.uint64) ^ _tag(kind.__name__)), 8 * len(values)
    if kind is int and min(values) in _INT64 and max(values) in _INT64:
        return mix(np.array(values, dtype=np.int64).view(np.uint64) ^ _tag(kind.__name__)), 8 * len(values)
    if kind is int and len(values) > 1:
        # The hash of a small number is the same beside a large one.
        parts = [_value_hashes(kind, [value]) for value in values]
        return np.hstack([np.broadcast_to(part, (LANES, 1)) for part, _ in parts]), sum(n for _, n in parts)
    if kind is memoryview:
        return _value_hashes(bytes, list(map(bytes, values)))
    return _text_hashes(kind, values if kind is str else list(map(repr, values)))


def _text_hashes(kind: type[Any], texts: Sequence[str]) -> tuple[UInt64Array, int]:
    places = {text: place for place, text in enumerate(dict.fromkeys(texts))}
    encoded = [f"{kind.__name__} {text}".encode("utf-8", "surrogatepass") for text in places]
    digests = b"".join([hashlib.sha256(item).digest() for item in encoded])
    lanes = np.frombuffer(digests, dtype="<u8").reshape(len(places), -1)[:, :LANES]
    return lanes[[places[text] for text in texts]].T, sum(map(len, texts))


@cache
def _tag(kind: str) -> np.uint64:
    return np.uint64(int.from_bytes(hashlib.sha256(kind.encode()).digest()[:8], "little"))


@cache
def _factors(position: int) -> UInt64Array:
    numbers = np.arange(LANES, dtype=np.uint64) + np.uint64(LANES * position)
    return (mix(numbers) | np.uint64(1)).reshape(LANES, 1)
