"""Reads JSON lines. Each block has its own types: a column may be a number in one and text in another."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json as pajson

from driftwatch.columns.rows.index_columns import index_columns
from driftwatch.columns.rows.nested import object_arrays, printable
from driftwatch.results.results import FileProblem
from driftwatch.sources._formats.listing import Entry
from driftwatch.sources._formats.request import BATCH_ROWS, BadFile, Request
from driftwatch.sources._formats.whole_lines import (
    check_object,
    ends,
    is_utf8,
    last_line,
    line_blocks,
    tail_of,
)

#: Objects and lists inside each other.
MAX_DEPTH = 64
_ESCAPE = re.compile(rb"\\.", re.DOTALL)
_NO_TOKENS = bytes(byte for byte in range(256) if byte not in b'[]{}"')
#: What a byte adds to the depth, as int8; a quotation mark nothing.
_STEPS = bytes({ord("["): 1, ord("{"): 1, ord("]"): 255, ord("}"): 255}.get(byte, 0) for byte in range(256))


def read_jsonl(entry: Entry, request: Request, *, gzipped: bool) -> Iterator[pa.RecordBatch]:
    """Yield the file's rows; dates stay text, because Arrow would drop their zone."""
    types: dict[str, pa.DataType] = {}
    checked = False
    with entry.open() as file:
        plain = not gzipped and is_utf8(request.encoding)
        if plain and not ends(file, entry.size) and (last := last_line(file, entry.size)).strip():
            # Checked before any row is read: reading a file that is being written is wasted time.
            _check_depth(last)
            check_object(last)
        for block in line_blocks(tail_of(file, gzipped=gzipped, encoding=request.encoding)):
            _check_encoding(block, request)
            _check_depth(block)
            table, types = _parse(block, types)
            if not table.num_rows:
                continue
            (request.note if checked else request.check_schema)(table.schema)
            checked = True
            request.check_lists(table.schema)
            ignored = index_columns(table.schema.names) - {request.time_column}
            for batch in table.to_batches(max_chunksize=BATCH_ROWS):
                yield request.columns_read.flattening.flatten(batch, request.stored, ignored)


def _check_encoding(block: bytes, request: Request) -> None:
    # Arrow takes any bytes.
    if block.isascii():
        return
    try:
        block.decode("utf-8")
    except UnicodeDecodeError as error:
        start = block.rfind(b"\n", 0, error.start) + 1
        line = block[start : block.find(b"\n", error.start)].decode("latin-1")
        raise BadFile(
            FileProblem.UNREADABLE,
            f"{_odd_column(line)}holds bytes that are not {request.encoding}. Set encoding, such as latin-1.",
        ) from error


def _check_depth(block: bytes) -> None:
    # Arrow recurses over types and ends the process; what lies so deep crosses no pipe between processes.
    if _is_too_deep(block):
        raise BadFile(
            FileProblem.UNREADABLE,
            f"a line is nested deeper than {MAX_DEPTH} objects and lists. Log such a value as text.",
        )


def _is_too_deep(block: bytes) -> bool:
    """Whether brackets outside of texts nest deeper than ``MAX_DEPTH``, also over lines."""
    if b"\\" in block:
        block = _ESCAPE.sub(b"", block)
    steps = np.frombuffer(block.translate(_STEPS, _NO_TOKENS), dtype=np.int8)
    quotes = steps == 0
    texts = np.logical_xor.accumulate(quotes)
    return bool((steps * ~texts).cumsum(dtype=np.int32).max(initial=0) > MAX_DEPTH)


def _odd_column(line: str) -> str:
    try:
        names = [
            name
            for name, value in json.loads(line).items()
            if not json.dumps(value, ensure_ascii=False).isascii()
        ]
    except (ValueError, RecursionError, AttributeError):
        return "a line "
    return f"column {names[0][:60]!r} " if names and names[0].isascii() else "a name "


def _parse(block: bytes, types: dict[str, pa.DataType]) -> tuple[pa.Table, dict[str, pa.DataType]]:
    """Parse a block; ``types`` are of columns whose texts Arrow would turn into timestamps."""
    try:
        table = _arrow(block, types)
        dated = {item.name: part for item in table.schema if (part := _undated(item.type)) is not None}
        if dated:
            types = {**types, **{name: _merged(types.get(name), part) for name, part in dated.items()}}
            table = _arrow(block, types)
        return table, types
    except pa.ArrowInvalid:
        return _python(block), types


def _undated(data_type: pa.DataType) -> pa.DataType | None:
    """Return the type with texts for timestamps, of a structure only the fields that hold some."""
    kinds = pa.types
    if kinds.is_timestamp(data_type):
        return pa.string()
    if kinds.is_list(data_type):
        item = _undated(data_type.value_type)
        return None if item is None else pa.list_(item)
    if not kinds.is_struct(data_type):
        return None
    fields = {item.name: part for item in data_type if (part := _undated(item.type)) is not None}
    return pa.struct(fields) if fields else None


def _merged(left: pa.DataType | None, right: pa.DataType) -> pa.DataType:
    if left is None or left.equals(right) or not (pa.types.is_nested(left) and left.id == right.id):
        return right
    if pa.types.is_list(left):
        return pa.list_(_merged(left.value_type, right.value_type))
    fields = {item.name: item.type for item in left}
    return pa.struct({**fields, **{item.name: _merged(fields.get(item.name), item.type) for item in right}})


def _arrow(block: bytes, types: dict[str, pa.DataType]) -> pa.Table:
    schema = pa.schema(sorted(types.items())) if types else None
    return pajson.read_json(
        pa.BufferReader(block),
        read_options=pajson.ReadOptions(use_threads=False, block_size=max(len(block), 1)),
        parse_options=pajson.ParseOptions(explicit_schema=schema, newlines_in_values=False),
    )


def _python(block: bytes) -> pa.Table:
    # Arrow refuses rows when a column changes type. This is slower, but every value keeps its type.
    rows: list[dict[str, Any]] = []
    for line in block.split(b"\n"):
        if not line.strip():
            continue
        try:
            row = json.loads(line, object_pairs_hook=_object)
        except (ValueError, RecursionError) as error:
            raise BadFile(FileProblem.UNREADABLE, "a line is not JSON.") from error
        if not isinstance(row, dict):
            raise BadFile(FileProblem.UNREADABLE, f"expected an object per line. Got a {type(row).__name__}.")
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    fields = [
        (printable(name), array)
        for name in names
        for array in object_arrays([row.get(name) for row in rows], _array)
    ]
    return pa.table([array for _, array in fields], names=[name for name, _ in fields])


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadFile(
            FileProblem.FOREIGN_SCHEMA,
            f"column {printable(twice)[:60]!r} is named twice in one object. Rename one of the two.",
        )
    return row


def _array(values: list[Any]) -> pa.Array:
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float} or len(kinds) == 1:
        try:
            return pa.array(values)
        except (pa.ArrowException, UnicodeError, OverflowError):
            pass
    return pa.array([None if value is None else _text(value) for value in values], type=pa.string())


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text.encode("utf-8", "backslashreplace").decode()
