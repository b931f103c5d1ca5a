"""Stable 64-bit hashes of values and rows, the same in every process and engine.

They order the row sample; they protect nothing.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

UInt64Array = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_PRIME = np.uint64(0x100000001B3)
_MISSING = np.uint64(0x6D697373696E6721)


def mix(values: UInt64Array) -> UInt64Array:
    """SplitMix64's finaliser (Steele, Lea, Flood 2014): a bijection that scatters neighbouring inputs."""
    z = values + _GOLDEN
    z = (z ^ (z >> np.uint64(30))) * _MIX_1
    z = (z ^ (z >> np.uint64(27))) * _MIX_2
    return z ^ (z >> np.uint64(31))


def hash_numbers(values: npt.NDArray[np.float64]) -> UInt64Array:
    """Hash float64 values; -0.0 equals 0.0 and every NaN is the same missing value."""
    canonical = values + 0.0
    hashes = mix(canonical.view(np.uint64))
    hashes[np.isnan(canonical)] = _MISSING
    return hashes


def hash_bytes(data: npt.NDArray[np.uint8], offsets: npt.NDArray[np.int64]) -> UInt64Array:
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


def hash_levels(codes: npt.NDArray[np.int32], levels: tuple[str, ...]) -> UInt64Array:
    """Hash dictionary-coded texts; negative codes (missing, wrong type) are the missing value."""
    table = np.append(hash_texts(levels), _MISSING)
    return table[np.where(codes < 0, len(levels), codes)]


def combine(columns: list[UInt64Array], salt: int) -> UInt64Array:
    """One hash per row of the columns' hashes, in the order given."""
    rows = mix(np.full(len(columns[0]) if columns else 0, np.uint64(salt & 0xFFFFFFFFFFFFFFFF)))
    for column in columns:
        rows = mix(rows ^ column)
    return rows
