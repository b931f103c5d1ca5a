"""Arrow columns in the few forms a profile needs: functions of content, never of order."""

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

#: Texts are told apart by this many leading characters and their length.
PREFIX = 512
_HASHED_BYTES = 4 << 20
_EXACT_FLOAT = 1 << 53


class Shape(StrEnum):
    """Families of Arrow types that are looked at in the same way."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    FLOAT = "float"
    TEXT = "text"
    TIMESTAMP = "timestamp"
    VECTOR = "vector"
    NULL = "null"
    OTHER = "other"

    @property
    def number(self) -> bool:
        """True for integers and floats."""
        return self in (Shape.INTEGER, Shape.FLOAT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """One column of one batch: ``hashes[n]`` of its values (0 where null) and its non-null values.

    ``values`` and ``value_hashes`` stand per non-null row, but for floats per row, NaN where null, and for
    texts per distinct text: ``values`` are then positions in ``texts``, with ``counts`` rows and ``lengths``
    characters each.
    """

    shape: Shape
    hashes: UInt64Array
    nulls: int
    values: npt.NDArray[Any]
    value_hashes: UInt64Array
    counts: Int64Array | None = None
    lengths: Int64Array | None = None
    texts: pa.Array | None = None
    dimension: int | None = None


def shape_of(kind: pa.DataType) -> Shape:
    """The family of an Arrow type; a dictionary counts as its values."""
    types = pa.types
    if types.is_dictionary(kind):
        return shape_of(kind.value_type)
    if types.is_boolean(kind):
        return Shape.BOOLEAN
    if types.is_integer(kind):
        return Shape.INTEGER
    if types.is_floating(kind) or types.is_decimal(kind):
        return Shape.FLOAT
    if types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind) or _bytes(kind):
        return Shape.TEXT
    if types.is_timestamp(kind) or types.is_date(kind):
        return Shape.TIMESTAMP
    if types.is_null(kind):
        return Shape.NULL
    listed = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    return Shape.VECTOR if listed and shape_of(kind.value_type).number else Shape.OTHER


def plain(array: pa.Array) -> pa.Array:
    """The array without dictionary coding, texts in one type; bytes that are no UTF-8 are escaped."""
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if shape_of(array.type) is not Shape.TEXT:
        return array
    try:
        texts = array.cast(pa.large_string())
        texts.validate(full=True)
    except pa.ArrowInvalid:
        raw = array.cast(pa.large_binary()).to_pylist()
        texts = pa.array([_escaped(item) for item in raw], type=pa.large_string())
    return texts


def _bytes(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_binary(kind)
        or types.is_large_binary(kind)
        or types.is_fixed_size_binary(kind)
        or types.is_binary_view(kind)
    )


def _escaped(item: bytes | None) -> str | None:
    return None if item is None else item.decode("utf-8", "backslashreplace")


def cells(array: pa.Array) -> Cells:
    """One column of one batch, hashed. O(n)."""
    shape = shape_of(array.type)
    if shape is Shape.TEXT:
        return _texts(array)
    array = plain(array)
    dimension = None
    if shape is Shape.FLOAT:
        found = numbers(array)
        values = found.marked().astype(np.float64, copy=False)
        hashes = own = hash_values(values)
        if found.nulls is not None:
            own[found.nulls] = 0
    else:
        values, dimension = _values(array.drop_null() if array.null_count else array, shape)
        hashes = own = hash_values(values)
        if array.null_count:
            hashes = np.zeros(len(array), dtype=np.uint64)
            hashes[~_mask(array)] = own
    return Cells(
        shape=shape,
        hashes=hashes,
        nulls=array.null_count,
        values=values,
        value_hashes=own,
        dimension=dimension,
    )


def row_hashes(columns: dict[str, Cells], rows: int) -> UInt64Array:
    """One hash per row over all columns, in any order; an absent column equals one that is null."""
    summed = np.zeros(rows, dtype=np.uint64)
    for column, own in zip(columns.values(), hash_texts(list(columns)), strict=True):
        mixed = mix(column.hashes ^ own)
        if column.nulls:
            mixed[np.flatnonzero(column.hashes == 0)] = 0
        summed += mixed
    return mix(summed)


def iso_like(texts: pa.Array) -> bool:
    """True when every text begins as an ISO 8601 date does; plain digits are rather a code than a time."""
    found = pc.all(pc.match_substring_regex(texts, r"^\s*[0-9]{4}-[0-9]")).as_py()
    return bool(found)


def _mask(array: pa.Array) -> BoolArray:
    return np.asarray(array.is_null().to_numpy(zero_copy_only=False), dtype=bool)


def _values(array: pa.Array, shape: Shape) -> tuple[npt.NDArray[Any], int | None]:
    if shape is Shape.BOOLEAN:
        return array.cast(pa.int8()).to_numpy(zero_copy_only=False).astype(np.int64), None
    if shape is Shape.INTEGER:
        numbers = array.to_numpy(zero_copy_only=False)
        beyond = numbers.dtype == np.uint64 and len(numbers) and numbers.max() > np.iinfo(np.int64).max
        return numbers.astype(np.float64 if beyond else np.int64), None
    if shape is Shape.TIMESTAMP:
        numbers = array.cast(pa.int32()).cast(pa.int64()) if pa.types.is_date32(array.type) else array
        return numbers.cast(pa.int64()).to_numpy(zero_copy_only=False), None
    if shape is Shape.VECTOR:
        return _fold_vectors(array)
    return np.zeros(len(array), dtype=np.int64), None


def _fold_vectors(array: pa.Array) -> tuple[npt.NDArray[Any], int | None]:
    """A hash of each vector as int64, and the dimension when it is the same for all."""
    lengths = pc.list_value_length(array).to_numpy(zero_copy_only=False).astype(np.int64)
    flat = array.flatten().cast(pa.float64()).fill_null(np.nan).to_numpy(zero_copy_only=False)
    rows = np.repeat(np.arange(len(lengths)), lengths)
    place = np.arange(len(flat)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    folded = mix(lengths.astype(np.uint64))
    np.add.at(folded, rows, mix(hash_numbers(flat) ^ mix(place.astype(np.uint64))))
    same = int(lengths[0]) if len(lengths) and (lengths == lengths[0]).all() else None
    return folded.view(np.int64), same


def hash_values(values: npt.NDArray[Any]) -> UInt64Array:
    """Hash numbers by value, so that 1 equals 1.0; integers beyond float64's reach stay apart."""
    if values.dtype == np.float64:
        return _never_zero(hash_numbers(values))
    hashes = hash_numbers(values.astype(np.float64))
    large = (values > _EXACT_FLOAT) | (values < -_EXACT_FLOAT)
    if large.any():
        hashes[large] = mix(values[large].view(np.uint64))
    return _never_zero(hashes)


def _never_zero(hashes: UInt64Array) -> UInt64Array:
    return np.maximum(hashes, np.uint64(1), out=hashes)


def _texts(array: pa.Array) -> Cells:
    coded = array if pa.types.is_dictionary(array.type) else array.dictionary_encode()
    levels = plain(coded.dictionary)
    codes = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    if levels.null_count:
        codes = np.append(np.where(_mask(levels), -1, np.arange(len(levels))), -1)[codes]
    counts = np.bincount(codes[codes >= 0], minlength=len(levels)).astype(np.int64)
    used = np.flatnonzero(counts)
    lengths = pc.utf8_length(levels).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    table = np.append(_hash_levels(levels.fill_null(""), lengths), np.uint64(0))
    return Cells(
        shape=Shape.TEXT,
        hashes=table[codes],
        nulls=int(np.count_nonzero(codes < 0)),
        values=used,
        value_hashes=table[used],
        counts=counts[used],
        lengths=lengths[used],
        texts=levels,
    )


def _hash_levels(levels: pa.Array, lengths: Int64Array) -> UInt64Array:
    short = pc.utf8_slice_codeunits(levels, 0, PREFIX) if (lengths > PREFIX).any() else levels
    if not len(short):
        return np.empty(0, dtype=np.uint64)
    sizes = np.cumsum(pc.binary_length(short).to_numpy(zero_copy_only=False).astype(np.int64))
    pieces = []
    for chunk in np.split(np.arange(len(short)), np.flatnonzero(np.diff(sizes // _HASHED_BYTES)) + 1):
        part = pa.concat_arrays([short.slice(int(chunk[0]), len(chunk))])
        _, offsets, data = part.buffers()
        places = np.frombuffer(offsets, dtype=np.int64)[part.offset : part.offset + len(part) + 1]
        body = np.frombuffer(data, dtype=np.uint8) if data is not None else np.empty(0, dtype=np.uint8)
        pieces.append(hash_bytes(body, places))
    return _never_zero(mix(np.concatenate(pieces) ^ lengths.astype(np.uint64)))
