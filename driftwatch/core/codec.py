"""Encode stored objects as bytes: a JSON header and raw arrays, compressed, without pickle."""

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

#: Layout: ``DW1`` + uint32 header length + zlib(JSON header) + zlib(concatenated arrays). The header lists
#: each array's dtype and shape. Integers are stored in the smallest dtype that holds them.
_MAGIC = b"DW1"
_ALLOWED_DTYPE_KINDS = frozenset("biuf")
#: The four-bit value that marks a number stored in full elsewhere.
_ESCAPE = 15
#: Decompressed bytes of one stored object: limits the memory that damaged bytes can take.
MAX_BYTES = 1 << 31

Arrays = dict[str, npt.NDArray[Any]]


def pack(header: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]], *, level: int = 1) -> bytes:
    """Encode a header and arrays; equal input gives equal bytes. ``level`` 0 compresses no array."""
    listing, body = [], []
    for name in sorted(arrays):
        array = np.ascontiguousarray(_narrow(arrays[name]))
        listing.append([name, array.dtype.str, list(array.shape), arrays[name].dtype.str])
        body.append(array.tobytes())
    head = zlib.compress(json.dumps([header, listing], sort_keys=True).encode(), 6)
    return _MAGIC + struct.pack("<I", len(head)) + head + zlib.compress(b"".join(body), level)


def unpack(data: bytes) -> tuple[dict[str, Any], Arrays]:
    """Decode the bytes of ``pack``. Raises ``StoreError`` for any other bytes."""
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
            if dtype.kind not in _ALLOWED_DTYPE_KINDS:
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


def pack_nibbles(numbers: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]] | None:
    """Pack integers at four bits each, two per byte; those of 15 or more go into a second array.

    Returns None for a negative integer, or if more than one in sixteen is that large.
    """
    # Counts of a tile are mostly 0 to 14: this stores a third less and decodes in half the time.
    large = numbers[numbers >= _ESCAPE]
    if len(large) * 16 > len(numbers) or numbers.min(initial=0) < 0:
        return None
    small = np.zeros(len(numbers) + len(numbers) % 2, dtype=np.uint8)
    np.minimum(numbers, _ESCAPE, out=small[: len(numbers)], casting="unsafe")
    return small[::2] | (small[1::2] << 4), large


def unpack_nibbles(nibble_pairs: npt.NDArray[np.uint8], large: Int64Array, size: int) -> Int64Array:
    """Decode the arrays of ``pack_nibbles``. Raises ``StoreError`` if their lengths are wrong."""
    pairs = nibble_pairs.astype("<u2")
    small = ((pairs | (pairs << 4)) & 0x0F0F).view(np.uint8)[:size]
    escapes = np.flatnonzero(small == _ESCAPE)
    if len(small) != size or len(escapes) != len(large):
        raise StoreError(
            f"stored object: expected {size} counts, {len(escapes)} of them in full. Got {len(small)} and "
            f"{len(large)}. The store is damaged."
        )
    numbers: Int64Array = small.astype(np.int64)
    numbers[escapes] = large
    return numbers
