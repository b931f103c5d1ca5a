"""Categorical columns: one text per level, the same whatever type a file stored it in."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from driftwatch.columns.arrow.texts import MISSING, as_text, coded, hash_utf8, is_plain, is_text, prefixes
from driftwatch.core.hashing import level_table
from driftwatch.summary.batch import Levels

#: Above this a float is written as a float: its digits as an integer would be an invention.
_WHOLE = 1e15


#: A dictionary so many times longer than its batch is not worth reading whole.
_LONGER = 4


@dataclass(slots=True)
class Met:
    """The dictionary of a column's last batch and what its values came to: batches of a file mostly share it.

    ``place[v]`` is the code of each value and -1 of those that are none, which the last entry is; None where
    every value is one.
    """

    dictionary: pa.Array
    levels: Levels
    place: npt.NDArray[np.int32] | None


def levels(
    array: pa.Array, met: dict[str, Met] | None = None, name: str = "", *, hashed: bool = True
) -> Levels:
    """Levels of a categorical or boolean column; ``met`` remembers the dictionary of column ``name``.

    With ``hashed`` their hashes, which telling rows apart takes, are made along where that is cheaper.

    Integers, and floats or decimals that are whole, are the same text (3 and 3.0 are ``3``); booleans are
    ``false`` and ``true``; NaN is missing; lists and structs are a wrong type.
    """
    if isinstance(array, pa.ExtensionArray):
        array = array.storage
    kind, types = array.type, pa.types
    inner = kind.value_type if types.is_dictionary(kind) else kind
    if types.is_null(inner):
        return Levels(codes=np.full(len(array), -1, dtype=np.int32), levels=())
    if not (is_text(inner) or is_plain(inner)):
        null = array.is_null().to_numpy(zero_copy_only=False)
        return Levels(codes=np.where(null, -1, -2).astype(np.int32), levels=())
    if types.is_boolean(kind):
        raw = array.cast(pa.int8()).fill_null(-1).to_numpy(zero_copy_only=False)
        return Levels(codes=raw.astype(np.int32), levels=("false", "true"))
    if not types.is_dictionary(kind):
        array = array.dictionary_encode()
    if len(array.dictionary) > _LONGER * len(array):
        codes, values = coded(array)
        array = pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), values)
    found = None if met is None else met.get(name)
    if found is None or not _same(found.dictionary, array.dictionary):
        found = _meet(array.dictionary, hashed)
        if met is not None:
            met[name] = found
    places = _codes(array.indices)
    return replace(found.levels, codes=places if found.place is None else found.place[places])


def _codes(indices: pa.Array) -> npt.NDArray[np.int32]:
    """The codes of a dictionary-coded array, -1 where null."""
    return np.asarray(indices.cast(pa.int32()).fill_null(-1).to_numpy())


def _same(one: pa.Array, other: pa.Array) -> bool:
    return bool(one.type == other.type and one.equals(other))


def _meet(dictionary: pa.Array, hashed: bool) -> Met:
    """The texts of a dictionary's values; a null among them is no value, nor is NaN."""
    texts = _texts(dictionary.drop_null())
    if dictionary.null_count:
        valid = np.flatnonzero(dictionary.is_valid().to_numpy(zero_copy_only=False))
        found = dict(zip(valid.tolist(), texts, strict=True))
        texts = [found.get(at) for at in range(len(dictionary))]
    place = None
    if None in texts:
        place = np.array([*(-1 if text is None else at for at, text in enumerate(texts)), -1], dtype=np.int32)
        texts = [text or "" for text in texts]
    none = np.empty(0, dtype=np.int32)
    met = Levels(codes=none, levels=tuple(texts))  # type: ignore[arg-type]
    if hashed and place is None and is_text(dictionary.type):
        # The same as of the texts one by one, without making bytes of each again.
        hashes = hash_utf8(prefixes(as_text(dictionary)))
        met.table(level_table, lambda _: np.append(hashes, [MISSING, MISSING]))
    return Met(dictionary=dictionary, levels=met, place=place)


def _texts(values: pa.Array) -> list[str | None]:
    """The text of each distinct value; None for NaN."""
    kind, types = values.type, pa.types
    if is_text(kind):
        listed: list[str | None] = prefixes(as_text(values)).to_pylist()
        return listed
    if types.is_floating(kind):
        return [_float(value) for value in values.cast(pa.float64()).to_pylist()]
    if types.is_decimal(kind):
        return [_decimal(value) for value in values.to_pylist()]
    if types.is_timestamp(kind):
        if kind.tz is not None:
            values = values.cast(pa.timestamp(kind.unit, "UTC"))
        return [_stamp(text) for text in values.cast(pa.large_string()).to_pylist()]
    cast: list[str | None] = values.cast(pa.large_string()).to_pylist()
    return cast


def _float(value: float) -> str | None:
    if value != value:
        return None
    return str(int(value)) if abs(value) < _WHOLE and value == int(value) else repr(value)


def _decimal(value: Decimal) -> str:
    return str(int(value)) if value == value.to_integral_value() else format(value.normalize(), "f")


def _stamp(text: str) -> str:
    """A time without trailing zeros, so that its unit does not matter."""
    body, zone = (text[:-1], "Z") if text.endswith("Z") else (text, "")
    return (body.rstrip("0").rstrip(".") if "." in body else body) + zone
