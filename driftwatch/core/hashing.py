"""Stable 64-bit hashes of values and rows, the same in every process and engine.

They order the row sample; they protect nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
import numpy.typing as npt

from driftwatch.core.arrays import Float32Array, Float64Array, Int64Array, UInt64Array

Numeric = Float64Array | Float32Array

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_PRIME = np.uint64(0x100000001B3)
_MISSING = np.uint64(0x6D697373696E6721)
#: What folds to it; a number, as it happens.
_UNFOLDED = _MISSING ^ (_MISSING >> np.uint64(32))


def mix(values: UInt64Array) -> UInt64Array:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014): a bijection that scatters neighbouring inputs."""
    z: UInt64Array = values + _GOLDEN
    # In two buffers: a new one for each step costs more than the step.
    shifted = z >> np.uint64(30)
    np.bitwise_xor(z, shifted, out=z)
    np.multiply(z, _MIX_1, out=z)
    np.right_shift(z, np.uint64(27), out=shifted)
    np.bitwise_xor(z, shifted, out=z)
    np.multiply(z, _MIX_2, out=z)
    np.right_shift(z, np.uint64(31), out=shifted)
    np.bitwise_xor(z, shifted, out=z)
    return z


def hash_numbers(values: Float64Array) -> UInt64Array:
    """Hash float64 values; -0.0 equals 0.0 and every NaN is the same missing value."""
    canonical = values + 0.0
    hashes = mix(canonical.view(np.uint64))
    hashes[np.flatnonzero(np.isnan(canonical))] = _MISSING
    return hashes


def hash_bytes(data: npt.NDArray[np.uint8], offsets: Int64Array) -> UInt64Array:
    """Hash ``len(offsets) - 1`` byte strings laid end to end in ``data``; polynomial, vectorised."""
    lengths = np.diff(offsets)
    hashes = np.zeros(len(lengths), dtype=np.uint64)
    body = data[offsets[0] : offsets[-1]]
    filled = lengths > 0
    if filled.any():
        starts = (offsets[:-1] - offsets[0])[filled]
        position = np.arange(len(body), dtype=np.int64) - np.repeat(starts, lengths[filled])
        powers = np.power(_PRIME, np.arange(int(lengths.max()), dtype=np.uint64))
        hashes[filled] = np.add.reduceat((body.astype(np.uint64) + np.uint64(1)) * powers[position], starts)
    return mix(hashes ^ (lengths.astype(np.uint64) << np.uint64(48)))


def hash_texts(texts: list[str] | tuple[str, ...]) -> UInt64Array:
    """Hash texts by their UTF-8 bytes; lone surrogates are kept apart, never an error."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(item) for item in encoded], out=offsets[1:])
    return hash_bytes(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets)


def level_table(levels: tuple[str, ...]) -> UInt64Array:
    """Hashes of dictionary-coded texts by code; negative codes (missing, wrong type) are missing."""
    return np.append(hash_texts(levels), [_MISSING, _MISSING])


def hash_levels(codes: npt.NDArray[np.int32], levels: tuple[str, ...]) -> UInt64Array:
    """Hash dictionary-coded texts, as ``level_table`` says."""
    return level_table(levels)[codes]


def combine(columns: Iterable[Numeric | UInt64Array], salt: int) -> UInt64Array:
    """One hash per row of its columns, in the order given: floats as they are, anything else as hashes.

    ``mix(sum of a_j x_j)`` modulo 2^64 with odd ``a_j`` (multilinear hashing, Carter, Wegman 1979): rows that
    differ in one column never collide, others by chance only, and a sum may be taken in any order.
    """
    total = np.zeros(1, dtype=np.uint64)
    for place, column in enumerate(columns):
        total = total + weighted(column, place)
    return finish(total, salt)


def finish(total: UInt64Array, salt: int) -> UInt64Array:
    """Row hashes of the sums of ``weighted`` columns."""
    return mix(total ^ mix(np.array([salt & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64)))


class Room:
    """Two arrays that hashing works in, so that columns of one batch do not each get their own."""

    def __init__(self, rows: int) -> None:
        self.bits, self.shifted = np.empty(rows, dtype=np.uint64), np.empty(rows, dtype=np.uint64)


def weighted(
    column: Numeric | UInt64Array | np.uint64,
    place: int,
    nulls: Int64Array | None = None,
    room: Room | None = None,
) -> UInt64Array:
    """What a column at that place adds to its rows' sums; ``nulls`` and ``room`` are as in ``folded``."""
    if isinstance(column, np.ndarray) and column.dtype.kind == "f":
        found = folded(column, nulls, room)  # type: ignore[arg-type]
        return np.multiply(found, _factor(place), out=found)
    with np.errstate(over="ignore"):
        part: UInt64Array = column * _factor(place)  # type: ignore[assignment]
    return part


def folded(values: Numeric, nulls: Int64Array | None = None, room: Room | None = None) -> UInt64Array:
    """The bits of values as float64, their upper half folded into the lower: a product spreads low bits only.

    -0.0 equals 0.0; every NaN, and whatever stands at ``nulls``, is the missing value. The result lies in
    ``room`` until that is used again.
    """
    room = room or Room(len(values))
    bits, shifted = room.bits, room.shifted
    numbers = np.add(values, 0.0, out=bits.view(np.float64), dtype=np.float64)
    if nulls is not None:
        bits[nulls] = _UNFOLDED
    # The greatest is NaN where any is: to find it costs half of looking at each.
    greatest = np.maximum.reduce(numbers, initial=-np.inf)
    if greatest != greatest:
        bits[np.isnan(numbers)] = _UNFOLDED
    np.right_shift(bits, np.uint64(32), out=shifted)
    return np.bitwise_xor(bits, shifted, out=bits)


@cache
def _factor(place: int) -> np.uint64:
    return np.uint64(mix(np.array([place], dtype=np.uint64))[0] | np.uint64(1))


def groups(hashes: UInt64Array) -> tuple[Int64Array, Int64Array]:
    """An order that sorts the hashes, and where in it each distinct one begins.

    Of equal ones it says nothing, and so costs a fifth of ``np.unique`` with its places.
    """
    order = np.argsort(hashes)
    ordered = hashes[order]
    new = np.ones(len(ordered), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=new[1:])
    return order, np.flatnonzero(new)
