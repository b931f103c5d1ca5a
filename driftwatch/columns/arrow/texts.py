"""Texts and other carried values: dictionary codes, bounded prefixes, hashes."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.core.arrays import Int64Array, UInt64Array
from driftwatch.core.hashing import hash_bytes, hash_numbers, hash_texts, mix

#: Texts are told apart by this many leading characters (and, when only carried, by their length).
PREFIX = 512
#: The hash of a value that is not there; the same as of a NaN or a negative code.
MISSING = hash_numbers(np.array([np.nan]))[0]
#: Bytes hashed together: hashing takes about 24 times their size in memory.
_HASHED_BYTES = 1 << 20
_EXACT_FLOAT = 1 << 53


def is_text(kind: pa.DataType) -> bool:
    """True for texts and raw bytes."""
    types = pa.types
    return bool(
        types.is_string(kind)
        or types.is_large_string(kind)
        or types.is_string_view(kind)
        or types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    )


def is_plain(kind: pa.DataType) -> bool:
    """True for single values that have a text: numbers, booleans, times of all sorts."""
    types = pa.types
    return bool((types.is_primitive(kind) and not types.is_interval(kind)) or types.is_decimal(kind))


def as_text(array: pa.Array) -> pa.Array:
    """Texts or bytes as ``large_string``. Parquet may hold bytes that are no UTF-8: they are escaped."""
    if not pa.types.is_large_binary(array.type):
        array = array.cast(pa.large_binary())
    try:
        return array.cast(pa.large_string())
    except pa.ArrowInvalid:
        decoded = [
            None if item is None else item.decode("utf-8", "backslashreplace") for item in array.to_pylist()
        ]
        return pa.array(decoded, type=pa.large_string())


def prefixes(texts: pa.Array) -> pa.Array:
    """The first ``PREFIX`` characters of each text."""
    longest = pc.max(pc.binary_length(texts)).as_py() if len(texts) else 0
    return texts if (longest or 0) <= PREFIX else pc.utf8_slice_codeunits(texts, 0, PREFIX)


def coded(array: pa.Array) -> tuple[Int64Array, pa.Array]:
    """Codes ``int64[n]`` (-1 where null) and the distinct values that occur, without nulls."""
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    values = array.dictionary
    codes = array.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    used = np.bincount(codes[codes >= 0], minlength=len(values)) > 0
    if values.null_count:
        used &= np.asarray(values.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    table = np.full(len(values) + 1, -1, dtype=np.int64)
    table[:-1][used] = np.arange(np.count_nonzero(used))
    return table[codes], values if used.all() else values.take(pa.array(np.flatnonzero(used)))


def hash_values(array: pa.Array) -> UInt64Array:
    """Hash each value of a carried column: 1 equals 1.0, times equal in any unit, nulls are missing."""
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    kind, types = array.type, pa.types
    if types.is_dictionary(kind) or is_text(kind):
        codes, values = coded(array)
        hashes = _hash_texts(as_text(values)) if is_text(values.type) else hash_values(values)
        return np.append(hashes, MISSING)[codes]
    if types.is_null(kind):
        return np.full(len(array), MISSING, dtype=np.uint64)
    if types.is_floating(kind) or types.is_decimal(kind):
        return hash_numbers(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    if types.is_boolean(kind):
        array = array.cast(pa.int8())
    elif types.is_temporal(kind) and is_plain(kind):
        array = _whole(array)
    elif not types.is_integer(kind):
        return _hash_odd(array)
    return _hash_integers(array)


def _whole(array: pa.Array) -> pa.Array:
    """Times as integers in nanoseconds; microseconds when that does not fit."""
    types = pa.types
    if types.is_date(array.type):
        array = array.cast(pa.timestamp("s" if types.is_date32(array.type) else "ms"))
    raw = array.cast(pa.int32()).cast(pa.int64()) if types.is_time32(array.type) else array.cast(pa.int64())
    factor = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}[array.type.unit]
    return pc.multiply(raw, factor)


def _hash_integers(array: pa.Array) -> UInt64Array:
    raw = array.fill_null(0).to_numpy(zero_copy_only=False)
    hashes = hash_numbers(raw.astype(np.float64))
    large = (raw > _EXACT_FLOAT) | (raw < -_EXACT_FLOAT) if raw.dtype.itemsize == 8 else None
    if large is not None and large.any():
        hashes[large] = mix(raw[large].astype(np.uint64))
    if array.null_count:
        hashes[array.is_null().to_numpy(zero_copy_only=False)] = MISSING
    return hashes


def _hash_texts(texts: pa.Array) -> UInt64Array:
    size = pc.utf8_length(texts).to_numpy(zero_copy_only=False).astype(np.uint64)
    return mix(hash_utf8(prefixes(texts)) ^ mix(size))


def hash_utf8(texts: pa.Array) -> UInt64Array:
    """``hash_texts`` of a ``large_string`` array without nulls, piece by piece: bounded memory."""
    if not len(texts):
        return np.empty(0, dtype=np.uint64)
    ends = np.cumsum(pc.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.int64))
    cuts = np.flatnonzero(np.diff(ends // _HASHED_BYTES)) + 1
    pieces = []
    for start, stop in zip([0, *cuts], [*cuts, len(texts)], strict=True):
        part = pa.concat_arrays([texts.slice(start, stop - start)])
        _, places, data = part.buffers()
        offsets = np.frombuffer(places, dtype=np.int64)[part.offset : part.offset + len(part) + 1]
        body = np.empty(0, dtype=np.uint8) if data is None else np.frombuffer(data, dtype=np.uint8)
        pieces.append(hash_bytes(body, offsets))
    return np.concatenate(pieces)


def _hash_odd(array: pa.Array) -> UInt64Array:
    """Lists, structs and the like, by their JSON-like text: slow, and rarely an id."""
    try:
        texts = ["" if item is None else repr(item)[: 4 * PREFIX] for item in array.to_pylist()]
    except ValueError:
        # Nested nanoseconds have no Python form.
        return np.full(len(array), MISSING, dtype=np.uint64)
    hashes = hash_texts(texts) if texts else np.empty(0, dtype=np.uint64)
    if array.null_count:
        hashes[array.is_null().to_numpy(zero_copy_only=False)] = MISSING
    return hashes
