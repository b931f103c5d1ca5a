"""Reads Parquet files: limits are checked, then row groups in the span are read in bounded batches."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from driftwatch.columns.arrow.event_time import event_times, ordered_by_time
from driftwatch.columns.rows.index_columns import index_columns
from driftwatch.columns.rows.nested import is_flat, leaves, select
from driftwatch.core.arrays import Int64Array
from driftwatch.results.results import FileProblem
from driftwatch.sources._formats.request import BATCH_BYTES, BATCH_ROWS, BadFile, Request

#: A file whose footer claims more is not read: a few kilobytes can demand terabytes.
MAX_FILE_ROWS = 1 << 32
MAX_ROW_GROUP_BYTES = 16 << 30
#: Bytes of a text column's values, above which they are read as texts.
MAX_DICTIONARY_BYTES = 8 << 20
#: Bytes buffered per column of a local file; without it a whole compressed row group is in memory.
BUFFER_BYTES = 1 << 16
_MAGIC = b"PAR1"


def read_parquet(file: pa.NativeFile, size: int, request: Request) -> Iterator[pa.RecordBatch]:
    parquet, groups = _open(file, size, request)
    yield from _batches(parquet, groups, request)


def _batches(parquet: pq.ParquetFile, groups: list[int], request: Request) -> Iterator[pa.RecordBatch]:
    schema, stored, flattening = parquet.schema_arrow, request.stored, request.columns_read.flattening
    ignored = index_columns(schema.names, schema.metadata) - {request.time_column}
    if stored is None:
        columns = leaves(schema)
        wanted = [leaf for leaf in columns if leaf.name not in ignored]
        paths = None if len(wanted) == len(columns) else [".".join(leaf.path) for leaf in wanted]
    else:
        wanted = select(schema, stored)
        paths = _item_paths(parquet, request, [".".join(leaf.path) for leaf in wanted])
    if not groups or not wanted:
        if not wanted and groups:
            yield from _empty_rows(parquet, groups)
        return
    kinds = [leaf.data_type for leaf in wanted]
    size = int(min(max(BATCH_BYTES / _row_bytes(parquet, groups, kinds), 256), BATCH_ROWS))
    # A path also matches columns whose names go on with a dot.
    plain = is_flat(schema) and not any("." in name for name in schema.names)
    exact = (
        plain
        and len(set(schema.names)) == len(schema.names)
        and all(len(leaf.path[0]) == len(leaf.name) for leaf in wanted)
    )
    for batch in parquet.iter_batches(batch_size=size, row_groups=groups, columns=paths, use_threads=False):
        yield batch if exact else flattening.flatten(batch, stored, ignored)


def _item_paths(parquet: pq.ParquetFile, request: Request, paths: list[str]) -> list[str]:
    """Return the paths, of exploded items only the wanted fields."""
    lists = request.options.explode
    if lists is None or lists not in paths or request.wanted is None:
        return paths
    stored = [path for path in _places(parquet) if path.startswith(f"{lists}.")]
    # Between the list and its items stand one or two names that depend on the writer.
    inner = {
        path: (path[len(lists) + 1 :].split(".", 2)[2:] or path[len(lists) + 1 :].split(".", 1)[1:])
        for path in stored
    }
    wanted = [
        path
        for path, rest in inner.items()
        if not rest
        or any(
            f"{lists}.{rest[0]}" == name or f"{lists}.{rest[0]}".startswith(f"{name}.")
            for name in request.wanted
        )
    ]
    return [path for path in paths if path != lists] + (wanted or stored[:1] or [lists])


def _row_bytes(parquet: pq.ParquetFile, groups: list[int], kinds: list[pa.DataType]) -> float:
    # An upper bound: as stored, or in memory with dictionary codes decoded.
    meta = parquet.metadata
    stored = sum(meta.row_group(group).total_byte_size for group in groups) / max(meta.num_rows, 1)
    bits = [kind.bit_width for kind in kinds if pa.types.is_primitive(kind)]
    return float(max(stored, sum(bits) / 8, 1.0))


def parquet_extent(file: pa.NativeFile, size: int, request: Request) -> Iterator[Int64Array]:
    """Yield event times: a row group's minimum and maximum by its statistics, or else all its times."""
    parquet, groups = _open(file, size, request)
    place = _place(parquet, request.time_column)
    without_statistics = []
    for group in groups:
        ends = _ends(parquet, group, place, request.timezone)
        if ends is None:
            without_statistics.append(group)
        else:
            yield np.array(ends, dtype=np.int64)
    if without_statistics:
        for batch in _batches(parquet, without_statistics, replace(request, columns=())):
            if request.time_column in batch.schema.names:
                times, usable = event_times(batch.column(request.time_column), request.timezone)
                yield times[usable]


def _open(file: pa.NativeFile, size: int, request: Request) -> tuple[pq.ParquetFile, list[int]]:
    _check_magic(file, size)
    # Object stores are slow per request, so reads are few and large; a local file is read page by page.
    remote = not isinstance(file, pa.OSFile)
    options: dict[str, Any] = {
        "pre_buffer": remote,
        "buffer_size": 0 if remote else BUFFER_BYTES,
        # Pages without a checksum are read all the same.
        "page_checksum_verification": True,
    }
    parquet = pq.ParquetFile(file, **options)
    meta, schema = parquet.metadata, parquet.schema_arrow
    if meta.num_rows > MAX_FILE_ROWS:
        raise BadFile(
            FileProblem.TOO_LARGE,
            f"expected at most {MAX_FILE_ROWS:,} rows. The file claims {meta.num_rows:,}.",
        )
    request.check_schema(schema)
    groups = [group for group in range(meta.num_row_groups) if meta.row_group(group).num_rows]
    for group in groups:
        weight = meta.row_group(group).total_byte_size
        if not 0 <= weight <= MAX_ROW_GROUP_BYTES:
            raise BadFile(
                FileProblem.TOO_LARGE,
                f"expected row groups of at most {MAX_ROW_GROUP_BYTES >> 30} GiB. Row group {group} claims "
                f"{weight:,} bytes.",
            )
    groups = _in_span(parquet, groups, request)
    texts = _texts_with_small_dictionary(parquet, groups)
    if groups and texts:
        # Dictionary codes are read as they are: a long value is in memory once, not once per row.
        parquet = pq.ParquetFile(file, metadata=meta, read_dictionary=texts, **options)
    return parquet, groups


def _texts_with_small_dictionary(parquet: pq.ParquetFile, groups: list[int]) -> list[str]:
    schema, places = parquet.schema_arrow, _places(parquet)
    columns = leaves(schema) if not is_flat(schema) else None
    fields = zip(schema.names, schema.types, strict=True)
    named = fields if columns is None else ((".".join(leaf.path), leaf.data_type) for leaf in columns)
    return [
        path
        for path, kind in named
        if (pa.types.is_string(kind) or pa.types.is_large_string(kind))
        and _has_small_dictionary(parquet, groups, places.get(path))
    ]


def _has_small_dictionary(parquet: pq.ParquetFile, groups: list[int], place: int | None) -> bool:
    # Every batch of a row group carries all values up to its last row. A plain value takes four bytes and its
    # own, a code less than four.
    if place is None:
        return False
    chunks = [parquet.metadata.row_group(group).column(place) for group in groups]
    plain = [chunk.total_uncompressed_size - 4 * chunk.num_values for chunk in chunks]
    return max(plain, default=0) <= MAX_DICTIONARY_BYTES


def _check_magic(file: pa.NativeFile, size: int) -> None:
    head = bytes(file.read(4))
    if size >= 12:
        file.seek(size - 4)
        if bytes(file.read(4)) == _MAGIC:
            file.seek(0)
            return
    if head == _MAGIC[: len(head)]:
        raise BadFile(FileProblem.HALF_WRITTEN, "the file has no Parquet footer: it is still being written.")
    raise BadFile(FileProblem.UNREADABLE, "expected a Parquet file. Got other bytes.")


def _in_span(parquet: pq.ParquetFile, groups: list[int], request: Request) -> list[int]:
    place = _place(parquet, request.time_column)
    span = request.span
    if span is None or place is None:
        return groups
    overlapping = []
    for group in groups:
        ends = _ends(parquet, group, place, request.timezone)
        if ends is None or (ends[0] < span.end and ends[1] >= span.start):
            overlapping.append(group)
    return overlapping


def _places(parquet: pq.ParquetFile) -> dict[str, int]:
    """Return the positions of leaf columns by their path, without paths that several have."""
    paths = [parquet.schema.column(place).path for place in range(len(parquet.schema))]
    counts = Counter(paths)
    return {path: place for place, path in enumerate(paths) if counts[path] == 1}


def _place(parquet: pq.ParquetFile, name: str | None) -> int | None:
    return None if name is None else _places(parquet).get(name)


def _ends(parquet: pq.ParquetFile, group: int, place: int | None, timezone: str) -> tuple[int, int] | None:
    """Return the oldest and newest event time, or None without usable statistics."""
    if place is None:
        return None
    chunk = parquet.metadata.row_group(group).column(place)
    statistics = chunk.statistics if chunk.is_stats_set else None
    if statistics is None or not statistics.has_min_max:
        return None
    raw = _typed(statistics, parquet.schema.column(place))
    if raw is None:
        return None
    times, usable = event_times(raw, timezone)
    if not usable.all() or times[0] > times[1]:
        return None
    # Numbers of several units in one column are not ordered by time.
    if pa.types.is_integer(raw.type) and not ordered_by_time(*raw.to_pylist()):
        return None
    return int(times[0]), int(times[1])


def _typed(statistics: Any, column: Any) -> pa.Array | None:
    if column.physical_type not in ("INT64", "INT32"):
        return None
    logical = json.loads(column.logical_type.to_json())
    ends = [statistics.min_raw, statistics.max_raw]
    kind = logical.get("Type")
    if kind == "Timestamp":
        unit = {"milliseconds": "ms", "microseconds": "us", "nanoseconds": "ns"}.get(logical["timeUnit"])
        zone = "UTC" if logical["isAdjustedToUTC"] else None
        return None if unit is None else pa.array(ends, pa.int64()).cast(pa.timestamp(unit, zone))
    if kind == "Date":
        return pa.array(ends, pa.int32()).cast(pa.date32())
    if kind in ("None", "Int") and logical.get("isSigned", True):
        return pa.array(ends, pa.int64())
    return None


def _empty_rows(parquet: pq.ParquetFile, groups: list[int]) -> Iterator[pa.RecordBatch]:
    """Yield rows without columns, for requests whose columns all come from the path."""
    for group in groups:
        rows = parquet.metadata.row_group(group).num_rows
        for start in range(0, rows, BATCH_ROWS):
            size = min(BATCH_ROWS, rows - start)
            yield pa.RecordBatch.from_struct_array(pa.array([{}] * size, type=pa.struct([])))
