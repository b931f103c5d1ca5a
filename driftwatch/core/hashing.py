"""Stable 64-bit hashes of values and rows, the same in every process and engine.

Stored row samples depend on them, so a changed hash is a changed format. They are not cryptographic.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import numpy as np
import numpy.typing as npt

from driftwatch.core.arrays import Float32Array, Float64Array, Int64Array, UInt64Array

FloatArray = Float64Array | Float32Array

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_PRIME = np.uint64(0x100000001B3)
_MISSING = np.uint64(0x6D697373696E6721)
#: The bits that fold to ``_MISSING``. As a float64 they are a number, not NaN.
_MISSING_UNFOLDED = _MISSING ^ (_MISSING >> np.uint64(32))


def mix(values: UInt64Array) -> UInt64Array:
    """Apply the SplitMix64 finaliser (Steele, Lea, Flood 2014), a bijection that scatters similar inputs."""
    z: UInt64Array = values + _GOLDEN
    # Two buffers: allocating one per step costs more than the step.
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
    """Hash floats; -0.0 hashes as 0.0, and every NaN as a missing value."""
    canonical = values + 0.0
    hashes = mix(canonical.view(np.uint64))
    hashes[np.flatnonzero(np.isnan(canonical))] = _MISSING
    return hashes


def hash_bytes(data: npt.NDArray[np.uint8], offsets: Int64Array) -> UInt64Array:
    """Compute a polynomial hash of each byte string ``data[offsets[i] : offsets[i + 1]]``."""
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
    """Hash the UTF-8 bytes of texts, lone surrogates included."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
    np.cumsum([len(item) for item in encoded], out=offsets[1:])
    return hash_bytes(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets)


def level_table(levels: tuple[str, ...]) -> UInt64Array:
    """Return hashes indexed by level code; codes -1 (missing) and -2 (wrong type) hash as missing."""
    return np.append(hash_texts(levels), [_MISSING, _MISSING])


def hash_levels(codes: npt.NDArray[np.int32], levels: tuple[str, ...]) -> UInt64Array:
    return level_table(levels)[codes]


def hash_rows(columns: Iterable[FloatArray | UInt64Array], salt: int) -> UInt64Array:
    """Hash rows: ``mix(sum of a_j x_j)`` modulo 2^64, ``a_j`` odd (multilinear hashing, Carter, Wegman 1979).

    The columns ``x_j`` are floats or hashes. Rows that differ in one column never collide, others only by
    chance. The terms may be summed in any order.
    """
    total = np.zeros(1, dtype=np.uint64)
    for position, column in enumerate(columns):
        total = total + hash_term(column, position)
    return finish_row_hashes(total, salt)


def finish_row_hashes(total: UInt64Array, salt: int) -> UInt64Array:
    return mix(total ^ mix(np.array([salt & 0xFFFFFFFFFFFFFFFF], dtype=np.uint64)))


class HashBuffers:
    def __init__(self, rows: int) -> None:
        self.bits, self.shifted = np.empty(rows, dtype=np.uint64), np.empty(rows, dtype=np.uint64)


def hash_term(
    column: FloatArray | UInt64Array | np.uint64,
    position: int,
    nulls: Int64Array | None = None,
    buffers: HashBuffers | None = None,
) -> UInt64Array:
    """Return ``a_j x_j`` of ``hash_rows`` for column j; ``nulls`` and ``buffers`` are as in ``fold_bits``."""
    if isinstance(column, np.ndarray) and column.dtype.kind == "f":
        bits = fold_bits(column, nulls, buffers)  # type: ignore[arg-type]
        return np.multiply(bits, _factor(position), out=bits)
    with np.errstate(over="ignore"):
        term: UInt64Array = column * _factor(position)  # type: ignore[assignment]
    return term


def fold_bits(
    values: FloatArray, nulls: Int64Array | None = None, buffers: HashBuffers | None = None
) -> UInt64Array:
    """Return float64 bits, upper half XORed into the lower; NaN and ``nulls`` count as missing, -0.0 as 0.0.

    The next use of ``buffers`` overwrites the result.
    """
    # A product spreads only low bits upwards, so the upper half is folded into the lower.
    buffers = buffers or HashBuffers(len(values))
    bits, shifted = buffers.bits, buffers.shifted
    numbers = np.add(values, 0.0, out=bits.view(np.float64), dtype=np.float64)
    if nulls is not None:
        bits[nulls] = _MISSING_UNFOLDED
    # The maximum is NaN if any value is: finding it costs half of testing each.
    maximum = np.maximum.reduce(numbers, initial=-np.inf)
    if maximum != maximum:
        bits[np.isnan(numbers)] = _MISSING_UNFOLDED
    np.right_shift(bits, np.uint64(32), out=shifted)
    return np.bitwise_xor(bits, shifted, out=bits)


@cache
def _factor(position: int) -> np.uint64:
    return np.uint64(mix(np.array([position], dtype=np.uint64))[0] | np.uint64(1))


def group_starts(hashes: UInt64Array) -> tuple[Int64Array, Int64Array]:
    """Return an order that sorts hashes, and where each distinct hash starts in it."""
    # Equal hashes stay in no particular order: a fifth of the cost of ``np.unique`` with indices.
    order = np.argsort(hashes)
    ordered = hashes[order]
    is_start = np.ones(len(ordered), dtype=bool)
    np.not_equal(ordered[1:], ordered[:-1], out=is_start[1:])
    return order, np.flatnonzero(is_start)
