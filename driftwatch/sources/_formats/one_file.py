"""One file of any format: its batches or its event times, or ``BadFile`` with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TypeVar

import pyarrow as pa

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.core.arrays import Int64Array
from driftwatch.results.results import FileProblem
from driftwatch.sources._formats.csv import read_csv
from driftwatch.sources._formats.file_formats import SUFFIXES, Format, format_of
from driftwatch.sources._formats.jsonl import read_jsonl
from driftwatch.sources._formats.listing import Entry
from driftwatch.sources._formats.parquet import parquet_extent, read_parquet
from driftwatch.sources._formats.partitions import constant
from driftwatch.sources._formats.request import HELD_BYTES, BadFile, Request

T = TypeVar("T")


def rows_of(entry: Entry, request: Request, given: Format | None) -> Iterator[pa.RecordBatch]:
    """The file's rows, with the partitions that were asked for.

    All of them or ``BadFile`` before the first, as long as they fit into 32 MiB; a bigger file may turn out
    bad after rows were delivered.
    """
    held: list[pa.RecordBatch] = []
    weight = 0
    for whole in _placed(_named(_read(entry, request, given)), entry, request, given):
        if weight > HELD_BYTES:
            yield whole
            continue
        held.append(whole)
        weight += whole.nbytes
        if weight > HELD_BYTES:
            yield from held
            held.clear()
    yield from held


def _placed(
    batches: Iterator[pa.RecordBatch], entry: Entry, request: Request, given: Format | None
) -> Iterator[pa.RecordBatch]:
    """Batches with their partitions; ``BadFile`` at the end when a span was asked for and no row has a time.

    Of most files only the first batch is looked at.
    """
    rows, timed = 0, request.span is None or request.time_column is None
    for batch in batches:
        rows += batch.num_rows
        whole = _with_partitions(batch, entry, request)
        timed = timed or _any(_times_in(whole, request))
        yield whole
    if timed or not rows:
        return
    parquet = (given or format_of(entry.path)) == "parquet"
    # Row groups whose statistics lie outside of the span were not read, and have times.
    if parquet and _any(times_of(entry, replace(request, span=None), given)):
        return
    raise BadFile(
        FileProblem.FOREIGN_SCHEMA,
        f"expected times in column {request.time_column!r}. None of {rows:,} rows has a usable one. Write "
        "timestamps, ISO 8601 texts (2026-01-31T08:00:00Z) or numbers since 1970.",
    )


def _any(found: Iterator[Int64Array]) -> bool:
    return any(len(times) for times in found)


def _times_in(batch: pa.RecordBatch, request: Request) -> Iterator[Int64Array]:
    column = request.time_column or ""
    if column in batch.schema.names:
        times, usable = event_times(batch.column(batch.schema.names.index(column)), request.timezone)
        yield times[usable]


def times_of(entry: Entry, request: Request, given: Format | None) -> Iterator[Int64Array]:
    """Event times of the file: of a Parquet row group only the two ends where its statistics tell."""
    column = request.time_column or ""
    if column not in request.partitions and (given or format_of(entry.path)) == "parquet" and entry.size:
        yield from _named(_parquet_times(entry, request))
        return
    for batch in rows_of(entry, request, given):
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


def _read(entry: Entry, request: Request, given: Format | None) -> Iterator[pa.RecordBatch]:
    _check(entry)
    kind = given or format_of(entry.path)
    if kind is None:
        raise BadFile(
            FileProblem.UNREADABLE,
            f"expected a name ending in {', '.join(SUFFIXES)} (csv, jsonl also .gz). Set format for others.",
        )
    if kind == "parquet":
        with entry.open() as file:
            yield from read_parquet(file, entry.size, request)
    elif kind == "csv":
        yield from read_csv(entry, request, gzipped=entry.path.lower().endswith(".gz"))
    else:
        yield from read_jsonl(entry, request, gzipped=entry.path.lower().endswith(".gz"))


def _named(items: Iterator[T]) -> Iterator[T]:
    """Whatever a reader of foreign bytes raises, as ``BadFile``; messages may quote rows and are left out."""
    try:
        yield from items
    except BadFile:
        raise
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
    """The batch with each name once, and the path's values for asked columns that the file lacks."""
    names = batch.schema.names
    known, wanted = set(names), request.wanted
    added = [
        (key, value)
        for key, value in entry.partitions
        if key not in known and (wanted is None or key in wanted)
    ]
    if not added and len(known) == len(names):
        return batch
    arrays = {name: batch.column(place) for place, name in reversed(list(enumerate(names)))}
    ordered = {name: arrays[name] for name in names}
    ordered |= {key: constant(key, value, batch.num_rows) for key, value in added}
    return pa.RecordBatch.from_arrays(list(ordered.values()), names=list(ordered))
