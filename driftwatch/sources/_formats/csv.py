"""Reads CSV files. Types are inferred from the first block; a cell that does not fit makes a column text."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.csv as pacsv

from driftwatch.results.results import FileProblem
from driftwatch.sources._formats.listing import Entry
from driftwatch.sources._formats.request import BATCH_ROWS, BadFile, Request
from driftwatch.sources._formats.whole_lines import Tail, ends, tail_of

_BLOCK_BYTES = 4 << 20
_TYPO = re.compile(r"In CSV column #(\d+): ")
_RAGGED = re.compile(r"Expected (\d+) columns, got (\d+)")
#: Columns that may turn into text within one file; each costs another pass.
_MAX_RETRIES = 64
_UNENDED = (
    "its last row has no newline, and it changed a moment ago: it may still be written. End the last row, or "
    "set source.unfinished."
)
_CUT = "its last row has no newline, and a row lacks a value or an end: it is still being written, or cut."


def read_csv(entry: Entry, request: Request, *, gzipped: bool) -> Iterator[pa.RecordBatch]:
    """Yield each row once, although reading starts again when a column turns into text."""
    with entry.open() as file:
        names = _header(file, entry, request, gzipped=gzipped)
    request.check(names, None)
    # Event times are read as text.
    forced = {} if request.time_column is None else {request.time_column: pa.string()}
    delivered = 0
    for _ in range(_MAX_RETRIES):
        rows = 0
        try:
            with entry.open() as file:
                for batch in _batches(file, request, names, forced, gzipped=gzipped):
                    skipped = max(0, min(batch.num_rows, delivered - rows))
                    rows += batch.num_rows
                    delivered = max(delivered, rows)
                    for start in range(skipped, batch.num_rows, BATCH_ROWS):
                        yield batch.slice(start, BATCH_ROWS)
            return
        except pa.ArrowInvalid as error:
            forced = _forced(error, names, forced)
    raise BadFile(FileProblem.UNREADABLE, f"more than {_MAX_RETRIES} columns change type within the file.")


def _header(file: pa.NativeFile, entry: Entry, request: Request, *, gzipped: bool) -> list[str]:
    # In file order: Arrow's errors name columns by position.
    if not gzipped and not request.ended and not ends(file, entry.size):
        # Checked before any row is read: reading a file that is being written is wasted time.
        raise BadFile(FileProblem.HALF_WRITTEN, _UNENDED)
    head = tail_of(file, gzipped=gzipped).read(1 << 20)
    line = head[: head.find(b"\n") + 1]
    if not line and len(head) < 1 << 20:
        raise BadFile(FileProblem.HALF_WRITTEN, "its line of column names has no newline: there may be more.")
    for piece in (line or head, head):
        try:
            reader = pacsv.open_csv(pa.BufferReader(piece), parse_options=_parsing(request))
            return list(reader.schema.names)
        except pa.ArrowInvalid:
            continue
    raise BadFile(FileProblem.UNREADABLE, "expected a line of column names. Got none.")


def _batches(
    file: pa.NativeFile,
    request: Request,
    names: list[str],
    forced: dict[str, pa.DataType],
    *,
    gzipped: bool,
) -> Iterator[pa.RecordBatch]:
    tail = tail_of(file, gzipped=gzipped)
    unique = set(names)
    wanted = [name for name in (dict.fromkeys(names) if request.wanted is None else request.wanted)]
    try:
        yield from pacsv.open_csv(
            pa.PythonFile(tail, mode="r"),
            read_options=pacsv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
            parse_options=_parsing(request),
            convert_options=pacsv.ConvertOptions(
                # These texts are null in every column, also in text columns.
                strings_can_be_null=True,
                null_values=["", "NA", "N/A", "NULL", "null", "NaN", "nan"],
                include_columns=[name for name in wanted if name in unique] or names[:1],
                column_types={name: kind for name, kind in forced.items() if name in unique},
            ),
        )
    except pa.ArrowInvalid as error:
        if _TYPO.search(str(error)) is None and tail.unended():
            raise BadFile(FileProblem.HALF_WRITTEN, _CUT) from error
        raise
    _check_end(tail, request)


def _check_end(tail: Tail, request: Request) -> None:
    """Raise ``BadFile`` when the last row has no newline and may be cut."""
    if not tail.unended():
        return
    if not request.ended:
        raise BadFile(FileProblem.HALF_WRITTEN, _UNENDED)
    if tail.quotes % 2:
        # Arrow treats the end of the file as the end of the quoted value.
        raise BadFile(FileProblem.HALF_WRITTEN, _CUT)


def _parsing(request: Request) -> pacsv.ParseOptions:
    return pacsv.ParseOptions(delimiter=request.delimiter, newlines_in_values=True)


def _forced(
    error: pa.ArrowInvalid, names: list[str], forced: dict[str, pa.DataType]
) -> dict[str, pa.DataType]:
    # First text, then bytes.
    text = str(error)
    typo = _TYPO.search(text)
    if typo is not None and int(typo[1]) < len(names):
        name = names[int(typo[1])]
        if forced.get(name) != pa.binary():
            return {**forced, name: pa.binary() if name in forced else pa.string()}
    ragged = _RAGGED.search(text)
    detail = "the rows cannot be taken apart (a quote left open, a line longer than 4 MiB, other bytes)."
    if ragged is not None:
        detail = f"expected {ragged[1]} values in every row. Got a row with {ragged[2]}."
    raise BadFile(FileProblem.UNREADABLE, detail) from error
