"""Reads JSON lines. Each block has its own types: a column may be a number in one and text in another."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.json as pajson

from driftwatch.results.results import FileProblem
from driftwatch.sources._formats.listing import Entry
from driftwatch.sources._formats.request import BATCH_ROWS, BadFile, Request
from driftwatch.sources._formats.whole_lines import check_object, ends, last_line, line_blocks, tail_of


def read_jsonl(entry: Entry, request: Request, *, gzipped: bool) -> Iterator[pa.RecordBatch]:
    """Yield the file's rows; dates stay text, because Arrow would drop their zone."""
    texts: frozenset[str] = frozenset()
    checked = False
    with entry.open() as file:
        if not gzipped and not ends(file, entry.size) and (last := last_line(file, entry.size)).strip():
            # Checked before any row is read: reading a file that is being written is wasted time.
            check_object(last)
        for block in line_blocks(tail_of(file, gzipped=gzipped)):
            table, texts = _parse(block, texts)
            if not table.num_rows:
                continue
            if not checked:
                request.check(table.schema.names, table.schema.types)
                checked = True
            places = {name: place for place, name in reversed(list(enumerate(table.schema.names)))}
            wanted = request.wanted
            positions = [place for name, place in places.items() if wanted is None or name in wanted]
            yield from table.select(sorted(positions) or [*places.values()][:1]).to_batches(
                max_chunksize=BATCH_ROWS
            )


def _parse(block: bytes, texts: frozenset[str]) -> tuple[pa.Table, frozenset[str]]:
    try:
        table = _arrow(block, texts)
        dated = {field.name for field in table.schema if pa.types.is_timestamp(field.type)}
        if dated:
            texts = texts | dated
            table = _arrow(block, texts)
        return table, texts
    except pa.ArrowInvalid:
        return _python(block), texts


def _arrow(block: bytes, texts: frozenset[str]) -> pa.Table:
    schema = pa.schema([(name, pa.string()) for name in sorted(texts)]) if texts else None
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
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise BadFile(FileProblem.UNREADABLE, "a line is not JSON.") from error
        if not isinstance(row, dict):
            raise BadFile(FileProblem.UNREADABLE, f"expected an object per line. Got a {type(row).__name__}.")
        rows.append(row)
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({_printable(name): _array([row.get(name) for row in rows]) for name in names})


def _printable(name: str) -> str:
    return name.encode("utf-8", "backslashreplace").decode()


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
