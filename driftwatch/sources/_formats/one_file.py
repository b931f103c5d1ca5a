"""Reads rows or event times of one file of any format. Raises ``BadFile`` with the reason on failure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

import pyarrow as pa

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.columns.rows.declared_rows import NO_OPTIONS, declared_rows
from driftwatch.core.arrays import Int64Array
from driftwatch.errors import SchemaMismatch
from driftwatch.results.results import FileProblem
from driftwatch.sources._formats.csv import read_csv
from driftwatch.sources._formats.file_formats import SUFFIXES, Format, format_of
from driftwatch.sources._formats.jsonl import read_jsonl
from driftwatch.sources._formats.listing import Entry
from driftwatch.sources._formats.parquet import parquet_extent, read_parquet
from driftwatch.sources._formats.partitions import constant
from driftwatch.sources._formats.request import (
    BATCH_BYTES,
    BATCH_ROWS,
    MAX_HELD_BACK_BYTES,
    BadFile,
    NoEventTime,
    Request,
)

T = TypeVar("T")


def rows_of(entry: Entry, request: Request, declared: Format | None) -> Iterator[pa.RecordBatch]:
    """Yield the file's rows.

    For a file of up to 32 MiB ``BadFile`` is raised before the first row or not at all; for a larger one it
    may come later.
    """
    buffer: list[pa.RecordBatch] = []
    weight = 0
    for whole in _bad_file_errors(_with_times(_read(entry, request, declared), entry, request, declared)):
        if weight > MAX_HELD_BACK_BYTES:
            yield whole
            continue
        buffer.append(whole)
        weight += whole.nbytes
        if weight > MAX_HELD_BACK_BYTES:
            yield from buffer
            buffer.clear()
    yield from buffer


def _with_times(
    batches: Iterator[pa.RecordBatch], entry: Entry, request: Request, declared: Format | None
) -> Iterator[pa.RecordBatch]:
    """Add partitions. Raises ``BadFile`` at the end when a span was requested and no row has a time."""
    # In most files the first batch already has times, and no further one is examined.
    rows, timed = 0, request.span is None or request.time_column is None
    for batch in _declared(batches, request):
        rows += batch.num_rows
        whole = _with_partitions(batch, entry, request)
        timed = timed or _any(_times_in(whole, request))
        yield whole
    if timed or not rows:
        return
    parquet = (declared or format_of(entry.path)) == "parquet"
    # Row groups whose statistics lie outside the span were not read and have times.
    if parquet and _any(times_of(entry, replace(request, span=None), declared)):
        return
    raise NoEventTime(
        FileProblem.FOREIGN_SCHEMA,
        f"expected times in column {request.time_column!r}. None of {rows:,} rows has a usable one. Write "
        "timestamps, ISO 8601 texts (2026-01-31T08:00:00Z) or numbers since 1970.",
    )


def _declared(batches: Iterator[pa.RecordBatch], request: Request) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield from declared_rows(
            batch,
            request.options,
            wanted=request.wanted,
            time_column=request.time_column,
            timezone=request.timezone,
            flattening=request.columns_read.flattening,
            max_rows=BATCH_ROWS,
            max_bytes=BATCH_BYTES,
        )


def _any(arrays: Iterator[Int64Array]) -> bool:
    return any(len(times) for times in arrays)


def _times_in(batch: pa.RecordBatch, request: Request) -> Iterator[Int64Array]:
    column = request.time_column or ""
    if column in batch.schema.names:
        times, usable = event_times(batch.column(batch.schema.names.index(column)), request.timezone)
        yield times[usable]


def times_of(entry: Entry, request: Request, declared: Format | None) -> Iterator[Int64Array]:
    """Yield event times; a Parquet row group with statistics gives only minimum and maximum."""
    column = request.time_column or ""
    parquet = (declared or format_of(entry.path)) == "parquet"
    if column not in request.partitions and parquet and entry.size and request.options == NO_OPTIONS:
        yield from _bad_file_errors(_parquet_times(entry, request))
        return
    for batch in rows_of(entry, request, declared):
        yield from _times_in(batch, request)


def _parquet_times(entry: Entry, request: Request) -> Iterator[Int64Array]:
    _check(entry)
    with entry.open() as file:
        yield from parquet_extent(file, entry.size, request)


def _check(entry: Entry) -> None:
    if entry.fault:
        raise BadFile(FileProblem.UNREADABLE, entry.fault)
    if entry.size == 0:
        raise BadFile(FileProblem.EMPTY, "the file has 0 bytes.")


def _read(entry: Entry, request: Request, declared: Format | None) -> Iterator[pa.RecordBatch]:
    _check(entry)
    kind = declared or format_of(entry.path)
    if kind is None:
        raise BadFile(
            FileProblem.UNREADABLE,
            f"expected a name ending in {', '.join(SUFFIXES)} (csv, jsonl also .gz). Unpack an archive, and "
            "rename a file of one of these formats, or set format in the configuration.",
        )
    if kind == "parquet":
        with entry.open() as file:
            yield from read_parquet(file, entry.size, request)
    elif kind == "csv":
        yield from read_csv(entry, request, gzipped=entry.path.lower().endswith(".gz"))
    else:
        yield from read_jsonl(entry, request, gzipped=entry.path.lower().endswith(".gz"))


def _bad_file_errors(items: Iterator[T]) -> Iterator[T]:
    """Turn errors of format readers into ``BadFile`` without their messages, which may quote rows."""
    try:
        yield from items
    except BadFile:
        raise
    except SchemaMismatch as error:
        raise BadFile(FileProblem.FOREIGN_SCHEMA, str(error)) from error
    except MemoryError as error:
        raise BadFile(
            FileProblem.TOO_LARGE, "reading it takes more memory than limits.memory allows."
        ) from error
    except FileNotFoundError as error:
        raise BadFile(FileProblem.UNREADABLE, "it was removed while it was to be read.") from error
    except PermissionError as error:
        raise BadFile(FileProblem.UNREADABLE, "driftwatch may not read it.") from error
    except (pa.ArrowException, OSError, EOFError, ValueError, OverflowError, RecursionError) as error:
        kind = type(error).__name__
        raise BadFile(
            FileProblem.UNREADABLE, f"its bytes are damaged or of another format ({kind})."
        ) from error


def _with_partitions(batch: pa.RecordBatch, entry: Entry, request: Request) -> pa.RecordBatch:
    """Drop duplicate columns, and add the path's values for requested columns that the file lacks."""
    names = batch.schema.names
    unique, wanted = set(names), request.wanted
    added = [
        (key, value)
        for key, value in entry.partitions
        if key not in unique and (wanted is None or key in wanted)
    ]
    if not added and len(unique) == len(names):
        return batch
    arrays = {name: batch.column(place) for place, name in reversed(list(enumerate(names)))}
    ordered = {name: arrays[name] for name in names}
    ordered |= {key: constant(key, value, batch.num_rows) for key, value in added}
    return pa.RecordBatch.from_arrays(list(ordered.values()), names=list(ordered))
