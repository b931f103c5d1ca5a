"""Dictionary codes, bounded prefixes and hashes of texts, and hashes of values that identify rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.columns.arrow.decimals import decimal_floats
from driftwatch.columns.arrow.plain_types import plain
from driftwatch.core.arrays import Int64Array, UInt64Array
from driftwatch.core.hashing import hash_bytes, hash_numbers, hash_texts, mix

#: Leading characters that tell texts apart; carried texts differ by their length too.
PREFIX_CHARS = 512
#: Hash of a missing value, of NaN and of a negative code.
MISSING_HASH = hash_numbers(np.array([np.nan]))[0]
#: Bytes hashed at once: hashing takes about 24 times their size in memory.
_MAX_HASH_BYTES = 1 << 20
#: Largest magnitude up to which float64 holds every integer.
_MAX_EXACT_FLOAT = 1 << 53


def is_text(data_type: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_string(data_type)
        or types.is_large_string(data_type)
        or types.is_string_view(data_type)
        or types.is_binary(data_type)
        or types.is_large_binary(data_type)
        or types.is_fixed_size_binary(data_type)
        or types.is_binary_view(data_type)
    )


def is_scalar(data_type: pa.DataType) -> bool:
    """Whether a type holds single values that have a text: numbers, booleans, all sorts of times."""
    types = pa.types
    return bool(
        (types.is_primitive(data_type) and not types.is_interval(data_type)) or types.is_decimal(data_type)
    )


def as_text(array: pa.Array) -> pa.Array:
    """Cast to ``large_string``; non-UTF-8 bytes, which Parquet may hold, are escaped."""
    if not pa.types.is_large_binary(array.type):
        array = array.cast(pa.large_binary())
    try:
        return array.cast(pa.large_string())
    except pa.ArrowInvalid:
        texts = [
            None if value is None else value.decode("utf-8", "backslashreplace")
            for value in array.to_pylist()
        ]
        return pa.array(texts, type=pa.large_string())


def prefixes(texts: pa.Array) -> pa.Array:
    max_bytes = pc.max(pc.binary_length(texts)).as_py() if len(texts) else 0
    return texts if (max_bytes or 0) <= PREFIX_CHARS else pc.utf8_slice_codeunits(texts, 0, PREFIX_CHARS)


def dictionary_codes(array: pa.Array) -> tuple[Int64Array, pa.Array]:
    """Return a code per row, -1 for nulls, and the distinct values that occur, without nulls."""
    if not pa.types.is_dictionary(array.type):
        array = array.dictionary_encode()
    values = array.dictionary
    codes = array.indices.cast(pa.int64()).fill_null(-1).to_numpy(zero_copy_only=False)
    is_used = np.bincount(codes[codes >= 0], minlength=len(values)) > 0
    if values.null_count:
        is_used &= np.asarray(values.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    code_table = np.full(len(values) + 1, -1, dtype=np.int64)
    code_table[:-1][is_used] = np.arange(np.count_nonzero(is_used))
    return code_table[codes], values if is_used.all() else values.take(pa.array(np.flatnonzero(is_used)))


def hash_carried(array: pa.Array) -> UInt64Array:
    """Hash each value: 1 equals 1.0, times are equal in any unit, nulls hash as missing."""
    array = plain(array)
    data_type, types = array.type, pa.types
    if types.is_dictionary(data_type) or is_text(data_type):
        codes, values = dictionary_codes(array)
        hashes = _hash_texts(as_text(values)) if is_text(values.type) else hash_carried(values)
        return np.append(hashes, MISSING_HASH)[codes]
    if types.is_null(data_type):
        return np.full(len(array), MISSING_HASH, dtype=np.uint64)
    if types.is_decimal(data_type):
        return hash_numbers(decimal_floats(array).to_numpy(zero_copy_only=False))
    if types.is_floating(data_type):
        return hash_numbers(array.cast(pa.float64()).to_numpy(zero_copy_only=False))
    if types.is_boolean(data_type):
        array = array.cast(pa.int8())
    elif types.is_temporal(data_type) and is_scalar(data_type):
        array = _to_nanoseconds(array)
    elif not types.is_integer(data_type):
        return _hash_nested(array)
    return _hash_integers(array)


def _to_nanoseconds(array: pa.Array) -> pa.Array:
    types = pa.types
    if types.is_date(array.type):
        array = array.cast(pa.timestamp("s" if types.is_date32(array.type) else "ms"))
    ticks = array.cast(pa.int32()).cast(pa.int64()) if types.is_time32(array.type) else array.cast(pa.int64())
    # Beyond int64 times wrap, which keeps equal times equal.
    factor = {"s": 1_000_000_000, "ms": 1_000_000, "us": 1_000, "ns": 1}[array.type.unit]
    return pc.multiply(ticks, factor)


def _hash_integers(array: pa.Array) -> UInt64Array:
    values = array.fill_null(0).to_numpy(zero_copy_only=False)
    hashes = hash_numbers(values.astype(np.float64))
    is_large = (
        (values > _MAX_EXACT_FLOAT) | (values < -_MAX_EXACT_FLOAT) if values.dtype.itemsize == 8 else None
    )
    if is_large is not None and is_large.any():
        hashes[is_large] = mix(values[is_large].astype(np.uint64))
    if array.null_count:
        hashes[array.is_null().to_numpy(zero_copy_only=False)] = MISSING_HASH
    return hashes


def _hash_texts(texts: pa.Array) -> UInt64Array:
    lengths = pc.utf8_length(texts).to_numpy(zero_copy_only=False).astype(np.uint64)
    return mix(hash_utf8(prefixes(texts)) ^ mix(lengths))


def hash_utf8(texts: pa.Array) -> UInt64Array:
    """Compute ``hash_texts`` of a ``large_string`` array without nulls, in chunks of bounded memory."""
    if not len(texts):
        return np.empty(0, dtype=np.uint64)
    ends = np.cumsum(pc.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.int64))
    starts = np.flatnonzero(np.diff(ends // _MAX_HASH_BYTES)) + 1
    chunk_hashes = []
    for start, stop in zip([0, *starts], [*starts, len(texts)], strict=True):
        chunk = pa.concat_arrays([texts.slice(start, stop - start)])
        _, offset_buffer, data_buffer = chunk.buffers()
        offsets = np.frombuffer(offset_buffer, dtype=np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
        text_bytes = (
            np.empty(0, dtype=np.uint8) if data_buffer is None else np.frombuffer(data_buffer, dtype=np.uint8)
        )
        chunk_hashes.append(hash_bytes(text_bytes, offsets))
    return np.concatenate(chunk_hashes)


def _hash_nested(array: pa.Array) -> UInt64Array:
    # By Python repr, which is slow; nested values are rarely identifiers.
    try:
        texts = ["" if value is None else repr(value)[: 4 * PREFIX_CHARS] for value in array.to_pylist()]
    except ValueError:
        # Nested nanoseconds have no Python form.
        return np.full(len(array), MISSING_HASH, dtype=np.uint64)
    hashes = hash_texts(texts) if texts else np.empty(0, dtype=np.uint64)
    if array.null_count:
        hashes[array.is_null().to_numpy(zero_copy_only=False)] = MISSING_HASH
    return hashes
