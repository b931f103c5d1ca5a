"""Turns structures into columns of their fields, named by their path: ``request.age``.

A null structure gives nulls. Lists, maps and structures below ``MAX_DEPTH`` stay as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.errors import SchemaMismatch

#: Names in a path. Logs nest two or three; deeper structures are documents.
MAX_DEPTH = 5
#: Columns beside which no further field becomes one of its own: objects whose keys are data have no end.
MAX_COLUMNS = 2_000
#: Fields that an error lists, and characters of each.
_MAX_LISTED, _MAX_NAME_CHARS = 8, 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A column of the flat form."""

    name: str
    #: Names and positions of the fields that lead to it, from the top.
    path: tuple[str, ...]
    positions: tuple[int, ...]
    data_type: pa.DataType

    def array(self, batch: pa.RecordBatch) -> pa.Array:
        column = batch.column(self.positions[0])
        return column if len(self.positions) == 1 else pc.struct_field(column, list(self.positions[1:]))


def is_flat(schema: pa.Schema) -> bool:
    return not any(map(_is_struct, schema.types))


def _is_struct(data_type: pa.DataType) -> bool:
    return bool(pa.types.is_struct(data_type))


def is_list(data_type: pa.DataType) -> bool:
    types = pa.types
    return bool(
        types.is_list(data_type) or types.is_large_list(data_type) or types.is_fixed_size_list(data_type)
    )


def check_lists(schema: pa.Schema, name: str) -> None:
    """Raise ``SchemaMismatch`` for a column to explode that is no list, in some rows or all."""
    for leaf in _nodes(schema):
        if leaf.name == name and not is_list(leaf.data_type) and not pa.types.is_null(leaf.data_type):
            raise SchemaMismatch(
                f"expected lists in column {_quoted(name)} (explode). Got type {str(leaf.data_type)[:80]}. "
                "Name a column that has lists in every row, or leave explode out."
            )


def leaves(schema: pa.Schema, exploded: str | None = None) -> list[Leaf]:
    """Return the columns of the flat form in order, those of the items in place of ``exploded`` lists."""
    columns = [leaf for leaf in _nodes(schema) if not _has_fields(leaf)]
    lists = next((leaf for leaf in columns if leaf.name == exploded and is_list(leaf.data_type)), None)
    if lists is None:
        return columns
    items = _below(replace(lists, data_type=lists.data_type.value_type))
    return [leaf for leaf in columns if leaf is not lists] + [leaf for leaf in items if not _has_fields(leaf)]


def _has_fields(leaf: Leaf) -> bool:
    return _is_struct(leaf.data_type) and len(leaf.path) < MAX_DEPTH


def _nodes(schema: pa.Schema) -> Iterator[Leaf]:
    # Structures stand before their fields.
    for position, (name, data_type) in enumerate(zip(schema.names, schema.types, strict=True)):
        yield from _below(Leaf(name=name, path=(name,), positions=(position,), data_type=data_type))


def _below(leaf: Leaf) -> Iterator[Leaf]:
    yield leaf
    if not _has_fields(leaf):
        return
    for position in range(leaf.data_type.num_fields):
        child = leaf.data_type.field(position)
        yield from _below(
            Leaf(
                name=f"{leaf.name}.{child.name}",
                path=(*leaf.path, child.name),
                positions=(*leaf.positions, position),
                data_type=child.type,
            )
        )


def select(schema: pa.Schema, wanted: Iterable[str]) -> list[Leaf]:
    """Return the wanted columns that the schema has, in their order.

    A wanted structure comes as it is, and is counted as of the wrong type; a wanted field of an all-null
    column as nulls. Raises ``SchemaMismatch`` for a name that several columns have.
    """
    names = {name: place for place, name in enumerate(wanted)}
    nodes = list(_nodes(schema))
    selected = [leaf for leaf in nodes if leaf.name in names and not _has_fields(leaf)]
    _check_unique(selected)
    missing = set(names) - {leaf.name for leaf in selected}
    for leaf in nodes:
        if _has_fields(leaf) and leaf.name in missing:
            selected.append(leaf)
        elif pa.types.is_null(leaf.data_type):
            inner = sorted(name for name in missing if name.startswith(f"{leaf.name}."))
            selected += [replace(leaf, name=name) for name in inner]
    return sorted(selected, key=lambda leaf: names[leaf.name])


def _check_unique(columns: Iterable[Leaf]) -> None:
    paths: dict[str, tuple[str, ...]] = {}
    for leaf in columns:
        path = paths.setdefault(leaf.name, leaf.path)
        if path is leaf.path:
            continue
        short, long = sorted((path, leaf.path), key=len)
        if len(long) == 1:
            raise SchemaMismatch(f"column {_quoted(leaf.name)} is named twice. Rename one of the two.")
        raise SchemaMismatch(
            f"column {_quoted(leaf.name)} is named twice: by {_path_text(short)} and by {_path_text(long)}. "
            "Rename one of the two."
        )


def _path_text(path: tuple[str, ...]) -> str:
    if len(path) == 1:
        return "a column of that name"
    return f"the field {_quoted('.'.join(path[1:]))} of the structure {_quoted(path[0])}"


def _quoted(name: str) -> str:
    return repr(name[:_MAX_NAME_CHARS])


@dataclass(slots=True)
class Flattening:
    """Flattens the batches of one reading."""

    #: Columns met so far.
    names: set[str] = field(default_factory=set)

    def flatten(
        self, batch: pa.RecordBatch, wanted: Sequence[str] | None, ignored: AbstractSet[str] = frozenset()
    ) -> pa.RecordBatch:
        """Return the flat form of all columns without the ``ignored``, or of the wanted ones.

        Fields beyond ``MAX_COLUMNS`` stay in their structure. Raises ``SchemaMismatch`` for a name that
        several columns have.
        """
        if wanted is not None:
            return _batch_of(batch, select(batch.schema, wanted))
        if is_flat(batch.schema):
            names = [name for name in batch.schema.names if name not in ignored]
            if len(names) == batch.num_columns == len(set(names)):
                return batch
        return self._bounded(batch, ignored)

    def _bounded(self, batch: pa.RecordBatch, ignored: AbstractSet[str]) -> pa.RecordBatch:
        columns = [leaf for leaf in leaves(batch.schema) if leaf.name not in ignored]
        _check_unique(columns)
        self.names |= {leaf.name for leaf in columns if len(leaf.path) == 1}
        flat_columns: list[Leaf] = []
        rest: dict[str, list[Leaf]] = {}
        for leaf in columns:
            if len(leaf.path) > 1 and leaf.name not in self.names and len(self.names) >= MAX_COLUMNS:
                rest.setdefault(leaf.path[0], []).append(leaf)
                continue
            self.names.add(leaf.name)
            flat_columns.append(leaf)
        flat = _batch_of(batch, flat_columns)
        for name, remaining in rest.items():
            arrays = [leaf.array(batch) for leaf in remaining]
            fields = [".".join(leaf.path[1:]) for leaf in remaining]
            flat = flat.append_column(name, pa.StructArray.from_arrays(arrays, names=fields))
        return flat


def _batch_of(batch: pa.RecordBatch, columns: Sequence[Leaf]) -> pa.RecordBatch:
    if not columns:
        # Rows are counted, although they have no column.
        return pa.RecordBatch.from_struct_array(pa.array([{}] * batch.num_rows, type=pa.struct([])))
    arrays = [
        pa.nulls(batch.num_rows) if pa.types.is_null(leaf.data_type) else leaf.array(batch)
        for leaf in columns
    ]
    return pa.RecordBatch.from_arrays(arrays, names=[leaf.name for leaf in columns])


def object_arrays(
    values: Sequence[Any], encode: Callable[[list[Any]], pa.Array], depth: int = 1
) -> list[pa.Array]:
    """Return Python values as arrays of one column; objects become structures, field by field.

    ``encode`` takes plain values. Objects beside plain values give two arrays; where one has a value, the
    other is null.
    """
    objects = [value if isinstance(value, dict) else None for value in values]
    if depth == MAX_DEPTH or all(item is None for item in objects):
        return [encode(list(values))]
    plain_values = [None if isinstance(value, dict) else value for value in values]
    names = dict.fromkeys(name for item in objects if item for name in item)
    if not names:
        return [encode(plain_values)]
    fields: list[tuple[str, pa.Array]] = []
    for name in names:
        cells = [None if item is None else item.get(name) for item in objects]
        fields += [(printable(str(name)), array) for array in object_arrays(cells, encode, depth + 1)]
    absent = pa.array([item is None for item in objects])
    arrays = [array for _, array in fields]
    structs = pa.StructArray.from_arrays(arrays, names=[name for name, _ in fields], mask=absent)
    return [structs] if all(value is None for value in plain_values) else [structs, encode(plain_values)]


def printable(name: str) -> str:
    """Return a name that Arrow takes: half a surrogate pair is escaped."""
    return name.encode("utf-8", "backslashreplace").decode()


def listed(names: Sequence[str]) -> str:
    """Return the first names for an error.

    >>> listed(["a", "b"]), listed([])
    ("'a', 'b'", 'no columns')
    """
    shown = ", ".join(map(_quoted, names[:_MAX_LISTED]))
    rest = len(names) - _MAX_LISTED
    return f"{shown} and {rest} more" if rest > 0 else shown or "no columns"
