"""Parquet files: guards first, then row groups in the span, in batches of bounded weight."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.core.arrays import Int64Array
from driftwatch.results.results import FileProblem
from driftwatch.sources._formats.request import BATCH_BYTES, BATCH_ROWS, BadFile, Request

#: A file that claims more is not read: a few kilobytes can ask for terabytes.
FILE_ROWS = 1 << 32
ROW_GROUP_BYTES = 16 << 30
#: What is held of each column of a local file; without it a row group is held whole, compressed.
BUFFER = 1 << 16
_MAGIC = b"PAR1"


def read_parquet(file: pa.NativeFile, size: int, request: Request) -> Iterator[pa.RecordBatch]:
    """Batches of the row groups that can hold rows of the span."""
    parquet, groups = _open(file, size, request)
    known = dict.fromkeys(parquet.schema_arrow.names)
    wanted = None if request.wanted is None else [name for name in request.wanted if name in known]
    if not groups or wanted == []:
        if wanted == [] and groups:
            yield from _bare(parquet, groups)
        return
    size = int(min(max(BATCH_BYTES / _row_bytes(parquet, groups, wanted), 256), BATCH_ROWS))
    yield from parquet.iter_batches(batch_size=size, row_groups=groups, columns=wanted, use_threads=False)


def _row_bytes(parquet: pq.ParquetFile, groups: list[int], wanted: list[str] | None) -> float:
    """What a row may weigh: as it is stored, or in memory, where codes of a dictionary are values again."""
    meta, known = parquet.metadata, None if wanted is None else set(wanted)
    stored = sum(meta.row_group(group).total_byte_size for group in groups) / max(meta.num_rows, 1)
    kinds = [field.type for field in parquet.schema_arrow if known is None or field.name in known]
    bits = [kind.bit_width for kind in kinds if pa.types.is_primitive(kind)]
    return float(max(stored, sum(bits) / 8, 1.0))


def parquet_extent(file: pa.NativeFile, size: int, request: Request) -> Iterator[Int64Array]:
    """Event times: the two ends of a row group by its statistics, else all of its rows."""
    parquet, groups = _open(file, size, request)
    place = _position(parquet, request.time_column)
    unknown = []
    for group in groups:
        ends = _ends(parquet, group, place, request.timezone)
        if ends is None:
            unknown.append(group)
        else:
            yield np.array(ends, dtype=np.int64)
    if unknown and request.time_column in parquet.schema_arrow.names:
        columns = [request.time_column]
        for batch in parquet.iter_batches(row_groups=unknown, columns=columns, use_threads=False):
            times, usable = event_times(batch.column(0), request.timezone)
            yield times[usable]


def _open(file: pa.NativeFile, size: int, request: Request) -> tuple[pq.ParquetFile, list[int]]:
    _check_magic(file, size)
    # Object stores answer slowly and want few, large reads; of a local file only the pages in turn are held.
    remote = not isinstance(file, pa.OSFile)
    parquet = pq.ParquetFile(file, pre_buffer=remote, buffer_size=0 if remote else BUFFER)
    meta, schema = parquet.metadata, parquet.schema_arrow
    if meta.num_rows > FILE_ROWS:
        raise BadFile(
            FileProblem.TOO_LARGE, f"expected at most {FILE_ROWS:,} rows. The file claims {meta.num_rows:,}."
        )
    request.check(schema.names, schema.types)
    groups = [group for group in range(meta.num_row_groups) if meta.row_group(group).num_rows]
    for group in groups:
        weight = meta.row_group(group).total_byte_size
        if not 0 <= weight <= ROW_GROUP_BYTES:
            raise BadFile(
                FileProblem.TOO_LARGE,
                f"expected row groups of at most {ROW_GROUP_BYTES >> 30} GiB. Row group {group} claims "
                f"{weight:,} bytes.",
            )
    groups = _in_span(parquet, groups, request)
    texts = [
        field.name
        for field in schema
        if pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
    ]
    if groups and texts:
        # Dictionary codes come out of the file as they are: a long value is held once, not once per row.
        parquet = pq.ParquetFile(
            file,
            metadata=meta,
            read_dictionary=texts,
            pre_buffer=remote,
            buffer_size=0 if remote else BUFFER,
        )
    return parquet, groups


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
    place = _position(parquet, request.time_column)
    span = request.span
    if span is None or place is None:
        return groups
    kept = []
    for group in groups:
        ends = _ends(parquet, group, place, request.timezone)
        if ends is None or (ends[0] < span.end and ends[1] >= span.start):
            kept.append(group)
    return kept


def _position(parquet: pq.ParquetFile, name: str | None) -> int | None:
    """Index of a flat column among the file's leaf columns."""
    schema = parquet.schema
    if name is None or parquet.schema_arrow.names.count(name) != 1:
        return None
    return next((place for place in range(len(schema)) if schema.column(place).path == name), None)


def _ends(parquet: pq.ParquetFile, group: int, place: int | None, timezone: str) -> tuple[int, int] | None:
    """Oldest and newest event time of a row group by its statistics; None when they do not say."""
    if place is None:
        return None
    chunk = parquet.metadata.row_group(group).column(place)
    found = chunk.statistics if chunk.is_stats_set else None
    if found is None or not found.has_min_max:
        return None
    raw = _typed(found, parquet.schema.column(place))
    if raw is None:
        return None
    times, usable = event_times(raw, timezone)
    if not usable.all() or times[0] > times[1]:
        return None
    if pa.types.is_integer(raw.type):
        # Numbers of several units in one column are not in the order of their times.
        low, high = raw.to_pylist()
        if low == 0 or high == 0 or times[0] // low != times[1] // high:
            return None
    return int(times[0]), int(times[1])


def _typed(found: Any, column: Any) -> pa.Array | None:
    """The two ends as an Arrow array of the type that is stored."""
    if column.physical_type not in ("INT64", "INT32"):
        return None
    logical = json.loads(column.logical_type.to_json())
    ends = [found.min_raw, found.max_raw]
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


def _bare(parquet: pq.ParquetFile, groups: list[int]) -> Iterator[pa.RecordBatch]:
    """Rows of which no stored column is wanted, for files whose columns all come from the path."""
    for group in groups:
        rows = parquet.metadata.row_group(group).num_rows
        for start in range(0, rows, BATCH_ROWS):
            size = min(BATCH_ROWS, rows - start)
            yield pa.RecordBatch.from_struct_array(pa.array([{}] * size, type=pa.struct([])))
