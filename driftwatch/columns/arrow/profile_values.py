"""Hashes and values of a batch's columns, as a profile needs them, whatever the order of rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.columns.arrow.numbers import numbers
from driftwatch.core.arrays import BoolArray, Int64Array, UInt64Array
from driftwatch.core.hashing import hash_bytes, hash_numbers, hash_texts, mix

#: Leading characters that, with the length, tell texts apart.
PREFIX_CHARS = 512
#: Bytes hashed at once, to bound memory.
_MAX_HASH_BYTES = 4 << 20
#: Largest magnitude up to which float64 holds every integer.
_MAX_EXACT_FLOAT = 1 << 53


class TypeFamily(StrEnum):
    BOOLEAN = "boolean"
    INTEGER = "integer"
    FLOAT = "float"
    TEXT = "text"
    TIMESTAMP = "timestamp"
    VECTOR = "vector"
    NULL = "null"
    UNSUPPORTED = "other"

    @property
    def is_number(self) -> bool:
        return self in (TypeFamily.INTEGER, TypeFamily.FLOAT)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnValues:
    family: TypeFamily
    #: Hash of each row ``[rows]``, 0 where null.
    hashes: UInt64Array
    nulls: int
    #: One per non-null row; for floats one per row, NaN where null; for texts the positions in ``texts`` of
    #: those that occur.
    values: npt.NDArray[Any]
    value_hashes: UInt64Array
    #: Rows and characters of each distinct text.
    counts: Int64Array | None = None
    lengths: Int64Array | None = None
    texts: pa.Array | None = None
    dimension: int | None = None


def is_duration(data_type: pa.DataType) -> bool:
    """Whether values are lengths of time or times of day, which count as seconds."""
    return bool(pa.types.is_duration(data_type) or pa.types.is_time(data_type))


def family_of(data_type: pa.DataType) -> TypeFamily:
    """Return the family of an Arrow type; a dictionary has that of its values."""
    types = pa.types
    if types.is_dictionary(data_type):
        return family_of(data_type.value_type)
    if types.is_boolean(data_type):
        return TypeFamily.BOOLEAN
    if types.is_integer(data_type):
        return TypeFamily.INTEGER
    if types.is_floating(data_type) or types.is_decimal(data_type) or is_duration(data_type):
        return TypeFamily.FLOAT
    if (
        types.is_string(data_type)
        or types.is_large_string(data_type)
        or types.is_string_view(data_type)
        or _is_binary(data_type)
    ):
        return TypeFamily.TEXT
    if types.is_timestamp(data_type) or types.is_date(data_type):
        return TypeFamily.TIMESTAMP
    if types.is_null(data_type):
        return TypeFamily.NULL
    is_list = (
        types.is_list(data_type) or types.is_large_list(data_type) or types.is_fixed_size_list(data_type)
    )
    return (
        TypeFamily.VECTOR if is_list and family_of(data_type.value_type).is_number else TypeFamily.UNSUPPORTED
    )


def decode(array: pa.Array) -> pa.Array:
    """Undo dictionary encoding; texts become ``large_string``, non-UTF-8 bytes are escaped."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if family_of(array.type) is not TypeFamily.TEXT:
        return array
    try:
        texts = array.cast(pa.large_string())
        texts.validate(full=True)
    except pa.ArrowInvalid:
        values = array.cast(pa.large_binary()).to_pylist()
        texts = pa.array([_escape(value) for value in values], type=pa.large_string())
    return texts


def _is_binary(data_type: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_binary(data_type)
        or types.is_large_binary(data_type)
        or types.is_fixed_size_binary(data_type)
        or types.is_binary_view(data_type)
    )


def _escape(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")


def column_values(array: pa.Array) -> ColumnValues:
    family = family_of(array.type)
    if family is TypeFamily.TEXT:
        return _text_values(array)
    if family is TypeFamily.UNSUPPORTED:
        return _uncountable_values(array)
    array = decode(array)
    dimension = None
    if family is TypeFamily.FLOAT:
        encoded_column = numbers(array)
        values = encoded_column.values_with_nan().astype(np.float64, copy=False)
        hashes = value_hashes = hash_values(values)
        if encoded_column.nulls is not None:
            value_hashes[encoded_column.nulls] = 0
    else:
        values, dimension = _values_and_dimension(array.drop_null() if array.null_count else array, family)
        hashes = value_hashes = hash_values(values)
        if array.null_count:
            hashes = np.zeros(len(array), dtype=np.uint64)
            hashes[~_null_mask(array)] = value_hashes
    return ColumnValues(
        family=family,
        hashes=hashes,
        nulls=array.null_count,
        values=values,
        value_hashes=value_hashes,
        dimension=dimension,
    )


def _uncountable_values(array: pa.Array) -> ColumnValues:
    # Of what cannot be counted only the missing are told from the rest.
    is_valid = np.asarray(array.is_valid().to_numpy(zero_copy_only=False), dtype=bool)
    value_hashes = np.ones(np.count_nonzero(is_valid), dtype=np.uint64)
    return ColumnValues(
        family=TypeFamily.UNSUPPORTED,
        hashes=is_valid.astype(np.uint64),
        nulls=len(array) - len(value_hashes),
        values=np.zeros(len(value_hashes), dtype=np.int64),
        value_hashes=value_hashes,
    )


def row_hashes(columns: dict[str, ColumnValues], rows: int) -> UInt64Array:
    """Return a hash per row, whatever the order of columns; absent columns hash like nulls."""
    hash_sum = np.zeros(rows, dtype=np.uint64)
    for column, name_hash in zip(columns.values(), hash_texts(list(columns)), strict=True):
        terms = mix(column.hashes ^ name_hash)
        if column.nulls:
            terms[np.flatnonzero(column.hashes == 0)] = 0
        hash_sum += terms
    return mix(hash_sum)


def is_iso_like(texts: pa.Array) -> bool:
    """Whether every text begins like an ISO 8601 date; plain digits are more likely a code."""
    is_match = pc.all(pc.match_substring_regex(texts, r"^\s*[0-9]{4}-[0-9]")).as_py()
    return bool(is_match)


def _null_mask(array: pa.Array) -> BoolArray:
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False), dtype=bool)


def _values_and_dimension(array: pa.Array, family: TypeFamily) -> tuple[npt.NDArray[Any], int | None]:
    if family is TypeFamily.BOOLEAN:
        return array.cast(pa.int8()).to_numpy(zero_copy_only=False).astype(np.int64), None
    if family is TypeFamily.INTEGER:
        integers = array.to_numpy(zero_copy_only=False)
        exceeds_int64 = (
            integers.dtype == np.uint64 and len(integers) and integers.max() > np.iinfo(np.int64).max
        )
        return integers.astype(np.float64 if exceeds_int64 else np.int64), None
    if family is TypeFamily.TIMESTAMP:
        integers = array.cast(pa.int32()).cast(pa.int64()) if pa.types.is_date32(array.type) else array
        return integers.cast(pa.int64()).to_numpy(zero_copy_only=False), None
    if family is TypeFamily.VECTOR:
        return _hash_vectors(array)
    return np.zeros(len(array), dtype=np.int64), None


def _hash_vectors(array: pa.Array) -> tuple[npt.NDArray[Any], int | None]:
    lengths = pc.list_value_length(array).to_numpy(zero_copy_only=False).astype(np.int64)
    elements = numbers(array.flatten()).values_with_nan().astype(np.float64)
    row_of_element = np.repeat(np.arange(len(lengths)), lengths)
    position = np.arange(len(elements)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    vector_hashes = mix(lengths.astype(np.uint64))
    np.add.at(vector_hashes, row_of_element, mix(hash_numbers(elements) ^ mix(position.astype(np.uint64))))
    dimension = int(lengths[0]) if len(lengths) and (lengths == lengths[0]).all() else None
    return vector_hashes.view(np.int64), dimension


def hash_values(values: npt.NDArray[Any]) -> UInt64Array:
    """Hash numbers by value: 1 equals 1.0; integers too large for float64 keep distinct hashes."""
    if values.dtype == np.float64:
        return _nonzero(hash_numbers(values))
    hashes = hash_numbers(values.astype(np.float64))
    is_large = (values > _MAX_EXACT_FLOAT) | (values < -_MAX_EXACT_FLOAT)
    if is_large.any():
        hashes[is_large] = mix(values[is_large].view(np.uint64))
    return _nonzero(hashes)


def _nonzero(hashes: UInt64Array) -> UInt64Array:
    return np.maximum(hashes, np.uint64(1), out=hashes)


def _text_values(array: pa.Array) -> ColumnValues:
    dictionary_array = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    levels = decode(dictionary_array.dictionary)
    codes = dictionary_array.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    if levels.null_count:
        codes = np.append(np.where(_null_mask(levels), -1, np.arange(len(levels))), -1)[codes]
    counts = np.bincount(codes[codes >= 0], minlength=len(levels)).astype(np.int64)
    used_positions = np.flatnonzero(counts)
    lengths = pc.utf8_length(levels).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    level_hashes = np.append(_hash_levels(levels.fill_null(""), lengths), np.uint64(0))
    return ColumnValues(
        family=TypeFamily.TEXT,
        hashes=level_hashes[codes],
        nulls=int(np.count_nonzero(codes < 0)),
        values=used_positions,
        value_hashes=level_hashes[used_positions],
        counts=counts[used_positions],
        lengths=lengths[used_positions],
        texts=levels,
    )


def _hash_levels(levels: pa.Array, lengths: Int64Array) -> UInt64Array:
    prefix_texts = (
        pc.utf8_slice_codeunits(levels, 0, PREFIX_CHARS) if (lengths > PREFIX_CHARS).any() else levels
    )
    if not len(prefix_texts):
        return np.empty(0, dtype=np.uint64)
    byte_ends = np.cumsum(pc.binary_length(prefix_texts).to_numpy(zero_copy_only=False).astype(np.int64))
    chunk_hashes = []
    for chunk_positions in np.split(
        np.arange(len(prefix_texts)), np.flatnonzero(np.diff(byte_ends // _MAX_HASH_BYTES)) + 1
    ):
        chunk = pa.concat_arrays([prefix_texts.slice(int(chunk_positions[0]), len(chunk_positions))])
        _, offset_buffer, data_buffer = chunk.buffers()
        offsets = np.frombuffer(offset_buffer, dtype=np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
        text_bytes = (
            np.frombuffer(data_buffer, dtype=np.uint8)
            if data_buffer is not None
            else np.empty(0, dtype=np.uint8)
        )
        chunk_hashes.append(hash_bytes(text_bytes, offsets))
    return _nonzero(mix(np.concatenate(chunk_hashes) ^ lengths.astype(np.uint64)))
