"""Bytes for plans, summaries and references: a JSON header and raw arrays, compressed. No pickle.

Layout: ``DW1`` + uint32 header length + zlib(JSON header) + zlib(arrays end to end). The header lists each
array's dtype and shape. Integers are narrowed to the smallest type that holds them.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from driftwatch.core.arrays import Int64Array
from driftwatch.errors import StoreError

_MAGIC = b"DW1"
_ALLOWED = frozenset("biuf")
#: What four bits hold of a number that stands elsewhere in full.
_IN_FULL = 15
#: No single stored object is bigger than this once unpacked.
MAX_BYTES = 1 << 31

Arrays = dict[str, npt.NDArray[Any]]


def pack(header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], *, level: int = 1) -> bytes:
    """One object as bytes; equal input gives equal bytes. ``level`` is zlib's: 0 compresses no array."""
    listing, body = [], []
    for name in sorted(arrays):
        array = np.ascontiguousarray(_narrow(arrays[name]))
        listing.append([name, array.dtype.str, list(array.shape), arrays[name].dtype.str])
        body.append(array.tobytes())
    head = zlib.compress(json.dumps([header, listing], sort_keys=True).encode(), 6)
    return _MAGIC + struct.pack("<I", len(head)) + head + zlib.compress(b"".join(body), level)


def unpack(data: bytes) -> tuple[dict[str, Any], Arrays]:
    """The header and arrays that ``pack`` was given. Raises ``StoreError`` on anything else."""
    try:
        if data[:3] != _MAGIC:
            raise ValueError("it does not begin with DW1")
        (length,) = struct.unpack("<I", data[3:7])
        header, listing = json.loads(zlib.decompress(data[7 : 7 + length]).decode())
        decompressor = zlib.decompressobj()
        body = decompressor.decompress(data[7 + length :], MAX_BYTES)
        arrays: Arrays = {}
        position = 0
        for name, stored, shape, original in listing:
            dtype = np.dtype(stored)
            if dtype.kind not in _ALLOWED:
                raise ValueError(f"array {name!r} has type {stored}")
            size = math.prod(shape)
            array = np.frombuffer(body, dtype=dtype, count=size, offset=position).reshape(shape)
            position += size * dtype.itemsize
            arrays[name] = array.astype(np.dtype(original))
        return header, arrays
    except (ValueError, TypeError, struct.error, zlib.error, json.JSONDecodeError) as error:
        raise StoreError(
            f"stored object: expected the DW1 format. Got {error}. The store is damaged."
        ) from error


def _narrow(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if array.dtype.kind not in "iu" or not array.size:
        return array
    low, high = int(array.min()), int(array.max())
    for dtype in (np.uint8, np.uint16, np.uint32) if low >= 0 else (np.int8, np.int16, np.int32):
        limits = np.iinfo(dtype)
        if limits.min <= low and high <= limits.max:
            return array.astype(dtype)
    return array


def halved(numbers: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]] | None:
    """Whole numbers from 0 on at four bits each, two in a byte, and those in full that are 15 or more.

    Counts of a tile are mostly 0 to 14: a third less to store, and unpacked in half the time. None where more
    than one in sixteen is in full.
    """
    large = numbers[numbers >= _IN_FULL]
    if len(large) * 16 > len(numbers) or numbers.min(initial=0) < 0:
        return None
    small = np.zeros(len(numbers) + len(numbers) % 2, dtype=np.uint8)
    np.minimum(numbers, _IN_FULL, out=small[: len(numbers)], casting="unsafe")
    return small[::2] | (small[1::2] << 4), large


def doubled(halves: npt.NDArray[np.uint8], large: Int64Array, size: int) -> Int64Array:
    """The ``size`` numbers that ``halved`` was given. Raises ``StoreError`` when they are not as many."""
    pairs = halves.astype("<u2")
    small = ((pairs | (pairs << 4)) & 0x0F0F).view(np.uint8)[:size]
    places = np.flatnonzero(small == _IN_FULL)
    if len(small) != size or len(places) != len(large):
        raise StoreError(
            f"stored object: expected {size} counts, {len(places)} of them in full. Got {len(small)} and "
            f"{len(large)}. The store is damaged."
        )
    numbers: Int64Array = small.astype(np.int64)
    numbers[places] = large
    return numbers
