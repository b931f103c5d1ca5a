"""Encodes categorical columns with one text per level, whatever type a file stores it in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from driftwatch.columns.arrow.numbers import numbers
from driftwatch.columns.arrow.plain_types import plain
from driftwatch.columns.arrow.texts import (
    MISSING_HASH,
    as_text,
    dictionary_codes,
    hash_utf8,
    is_scalar,
    is_text,
    prefixes,
)
from driftwatch.core.hashing import level_table
from driftwatch.core.spellings import Form
from driftwatch.summary.batch import Levels

#: Largest float written as an integer: beyond it, integer digits would be invented.
_MAX_WHOLE_FLOAT = 1e15
#: Dictionary values per row of the batch, above which only the values that occur are read.
_MAX_DICTIONARY_RATIO = 4


@dataclass(slots=True)
class DictionaryMemo:
    #: The last dictionary of a column: batches of one file mostly share it.
    dictionary: pa.Array
    levels: Levels
    #: ``[dictionary values + 1]``: the code of each value, -1 where it is no level; the last entry is -1, for
    #: nulls. None where every value is a level.
    value_codes: npt.NDArray[np.int32] | None


def levels(
    array: pa.Array, memos: dict[str, DictionaryMemo] | None = None, name: str = "", *, hashed: bool = True
) -> Levels:
    """Encode a categorical or boolean column; ``memos`` holds the last dictionary of column ``name``.

    Integers and whole floats or decimals have one text (3 and 3.0 are ``3``); a float of 32 or 16 bits has
    the shortest text that names it (``0.1``). Booleans are ``false`` and ``true``, NaN is missing, lists and
    structs are of a wrong type. With ``hashed`` the levels are hashed too where that is cheaper here.
    """
    array = plain(array)
    data_type, types = array.type, pa.types
    value_type = data_type.value_type if types.is_dictionary(data_type) else data_type
    if types.is_null(value_type):
        return Levels(codes=np.full(len(array), -1, dtype=np.int32), levels=())
    if not (is_text(value_type) or is_scalar(value_type)):
        is_null = array.is_null().to_numpy(zero_copy_only=False)
        return Levels(codes=np.where(is_null, -1, -2).astype(np.int32), levels=())
    if types.is_boolean(data_type):
        booleans = array.cast(pa.int8()).fill_null(-1).to_numpy(zero_copy_only=False)
        return Levels(codes=booleans.astype(np.int32), levels=("false", "true"), form=Form.BOOLEAN)
    if not types.is_dictionary(data_type):
        array = array.dictionary_encode()
    if len(array.dictionary) > _MAX_DICTIONARY_RATIO * len(array):
        codes, values = dictionary_codes(array)
        array = pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), values)
    memo = None if memos is None else memos.get(name)
    if memo is None or not _is_same_dictionary(memo.dictionary, array.dictionary):
        memo = _make_memo(array.dictionary, hashed)
        if memos is not None:
            memos[name] = memo
    indices = _dictionary_indices(array.indices)
    return replace(memo.levels, codes=indices if memo.value_codes is None else memo.value_codes[indices])


def _dictionary_indices(indices: pa.Array) -> npt.NDArray[np.int32]:
    return np.asarray(indices.cast(pa.int32()).fill_null(-1).to_numpy())


def _is_same_dictionary(left: pa.Array, right: pa.Array) -> bool:
    return bool(left.type == right.type and left.equals(right))


def _make_memo(dictionary: pa.Array, hashed: bool) -> DictionaryMemo:
    # Null and NaN are no levels.
    texts = _level_texts(dictionary.drop_null())
    if dictionary.null_count:
        valid_positions = np.flatnonzero(dictionary.is_valid().to_numpy(zero_copy_only=False))
        text_by_position = dict(zip(valid_positions.tolist(), texts, strict=True))
        texts = [text_by_position.get(position) for position in range(len(dictionary))]
    value_codes = None
    if None in texts:
        value_codes = np.array(
            [*(-1 if text is None else position for position, text in enumerate(texts)), -1], dtype=np.int32
        )
        texts = [text or "" for text in texts]
    empty_codes = np.empty(0, dtype=np.int32)
    dictionary_levels = Levels(
        codes=empty_codes,
        levels=tuple(texts),  # type: ignore[arg-type]
        form=form_of(dictionary.type),
    )
    if hashed and value_codes is None and is_text(dictionary.type):
        # Equals hashing the level texts one by one, without encoding each to bytes again.
        hashes = hash_utf8(prefixes(as_text(dictionary)))
        dictionary_levels.table(level_table, lambda _: np.append(hashes, [MISSING_HASH, MISSING_HASH]))
    return DictionaryMemo(dictionary=dictionary, levels=dictionary_levels, value_codes=value_codes)


def _level_texts(values: pa.Array) -> list[str | None]:
    data_type, types = values.type, pa.types
    if is_text(data_type):
        prefix_texts: list[str | None] = prefixes(as_text(values)).to_pylist()
        return prefix_texts
    if types.is_float64(data_type):
        return [float_text(value) for value in values.to_pylist()]
    if types.is_floating(data_type):
        # The shortest text, as 0.1 is: the digits that a double adds would be invented.
        return [float_text(float(str(value))) for value in values.to_numpy(zero_copy_only=False)]
    if types.is_duration(data_type):
        return [float_text(value) for value in numbers(values).values.tolist()]
    if types.is_decimal(data_type):
        return [_decimal_text(value) for value in values.to_pylist()]
    if types.is_timestamp(data_type):
        if data_type.tz is not None:
            values = values.cast(pa.timestamp(data_type.unit, "UTC"))
        return [_timestamp_text(text) for text in values.cast(pa.large_string()).to_pylist()]
    cast_texts: list[str | None] = values.cast(pa.large_string()).to_pylist()
    if types.is_time(data_type):
        return [_timestamp_text(text) for text in cast_texts if text is not None]
    return cast_texts


def form_of(data_type: pa.DataType) -> Form:
    """Return the form of a type's levels."""
    types = pa.types
    if types.is_boolean(data_type):
        return Form.BOOLEAN
    if types.is_float16(data_type):
        return Form.HALF
    if types.is_float32(data_type):
        return Form.SINGLE
    if types.is_integer(data_type) or types.is_floating(data_type) or types.is_decimal(data_type):
        return Form.NUMBER
    return Form.TIME if types.is_timestamp(data_type) or types.is_date(data_type) else Form.TEXT


def float_text(value: float) -> str | None:
    if value != value:
        return None
    return str(int(value)) if abs(value) < _MAX_WHOLE_FLOAT and value == int(value) else repr(value)


def _decimal_text(value: Decimal) -> str:
    return str(int(value)) if value == value.to_integral_value() else format(value.normalize(), "f")


def _timestamp_text(text: str) -> str:
    # Trailing zeros are dropped, so that a time's unit does not matter.
    body, zone = (text[:-1], "Z") if text.endswith("Z") else (text, "")
    return (body.rstrip("0").rstrip(".") if "." in body else body) + zone
