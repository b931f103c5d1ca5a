"""Reads CSV files. Types are inferred from the first block; a cell that does not fit makes a column text."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.csv as pacsv

from driftwatch.columns.rows.index_columns import index_columns
from driftwatch.columns.rows.nested import listed
from driftwatch.results.results import FileProblem
from driftwatch.sources._formats.header import looks_like_values
from driftwatch.sources._formats.listing import Entry
from driftwatch.sources._formats.request import BATCH_ROWS, COMMENT, BadFile, Request
from driftwatch.sources._formats.whole_lines import Tail, ends, is_utf8, tail_of

_BLOCK_BYTES = 4 << 20
_TYPO = re.compile(r"In CSV column #(\d+): ")
_RAGGED = re.compile(r"Expected (\d+) columns, got (\d+)")
#: Columns that may turn into text within one file; each costs another pass.
_MAX_RETRIES = 64
_UNENDED = (
    "its last row has no newline, and it changed a moment ago: it may still be written. End the last row, or "
    "set source.unfinished."
)
_ENCODED = "Set encoding, such as latin-1 or utf-16."
#: Byte order marks of UTF-16, either way.
_OTHER_MARKS = (b"\xff\xfe", b"\xfe\xff")
_CUT = "its last row has no newline, and a row lacks a value or an end: it is still being written, or cut."


def read_csv(entry: Entry, request: Request, *, gzipped: bool) -> Iterator[pa.RecordBatch]:
    """Yield each row once, although reading starts again when a column turns into text."""
    with entry.open() as file:
        names = _header(file, entry, request, gzipped=gzipped)
    if len(names) == 1 and names[0].startswith("#"):
        raise BadFile(FileProblem.UNREADABLE, COMMENT)
    request.check(names, None)
    selected = _selected(names, request)
    # Event times are read as text.
    forced = {} if request.time_column is None else {request.time_column: pa.string()}
    delivered = 0
    for _ in range(_MAX_RETRIES):
        rows = 0
        try:
            with entry.open() as file:
                for batch in _batches(file, request, selected, forced, gzipped=gzipped):
                    skipped = max(0, min(batch.num_rows, delivered - rows))
                    rows += batch.num_rows
                    delivered = max(delivered, rows)
                    for start in range(skipped, batch.num_rows, BATCH_ROWS):
                        yield batch.slice(start, BATCH_ROWS)
            return
        except pa.ArrowInvalid as error:
            forced = _forced(error, names, forced, request)
    raise BadFile(FileProblem.UNREADABLE, f"more than {_MAX_RETRIES} columns change type within the file.")


def _header(file: pa.NativeFile, entry: Entry, request: Request, *, gzipped: bool) -> list[str]:
    # In file order: Arrow's errors name columns by position.
    if not gzipped and is_utf8(request.encoding) and not request.ended and not ends(file, entry.size):
        # Checked before any row is read: reading a file that is being written is wasted time.
        raise BadFile(FileProblem.HALF_WRITTEN, _UNENDED)
    head = tail_of(file, gzipped=gzipped, encoding=request.encoding).read(1 << 20)
    line = head[: head.find(b"\n") + 1]
    if head.startswith(_OTHER_MARKS) or b"\0" in line:
        raise BadFile(
            FileProblem.UNREADABLE, f"its line of column names is not {request.encoding}. {_ENCODED}"
        )
    if not line and len(head) < 1 << 20:
        raise BadFile(FileProblem.HALF_WRITTEN, "its line of column names has no newline: there may be more.")
    if line[:20].removeprefix(b"\xef\xbb\xbf").lower().startswith(b"sep="):
        raise BadFile(
            FileProblem.UNREADABLE,
            'its first line names a delimiter ("sep="): delete it, so that the column names come first.',
        )
    for piece in (line or head, head):
        try:
            reader = pacsv.open_csv(pa.BufferReader(piece), parse_options=_parsing(request))
            return list(reader.schema.names)
        except pa.ArrowInvalid:
            continue
        except UnicodeDecodeError as error:
            raise BadFile(
                FileProblem.UNREADABLE,
                f"its line of column names holds bytes that are not {request.encoding}. {_ENCODED}",
            ) from error
    raise BadFile(FileProblem.UNREADABLE, "expected a line of column names. Got none.")


def _selected(names: list[str], request: Request) -> list[str]:
    """Return the columns to read, at least one. Raises ``BadFile`` for one that is named twice."""
    if request.wanted is None:
        if looks_like_values(names):
            raise BadFile(
                FileProblem.FOREIGN_SCHEMA,
                f"expected a line of column names. Got {listed(names)}, which look like values.",
            )
        ignored = index_columns(names) - {request.time_column}
        selected = [name for name in dict.fromkeys(names) if name not in ignored]
    else:
        selected = [name for name in request.wanted if name in set(names)]
    # Lines that end in delimiters give several columns without a name.
    twice = next((name for name in selected if name and names.count(name) > 1), None)
    if twice is not None:
        raise BadFile(
            FileProblem.FOREIGN_SCHEMA, f"column {twice[:60]!r} is named twice. Rename one of the two."
        )
    return selected or names[:1]


def _batches(
    file: pa.NativeFile,
    request: Request,
    selected: list[str],
    forced: dict[str, pa.DataType],
    *,
    gzipped: bool,
) -> Iterator[pa.RecordBatch]:
    tail = tail_of(file, gzipped=gzipped, encoding=request.encoding)
    try:
        for batch in pacsv.open_csv(
            pa.PythonFile(tail, mode="r"),
            read_options=pacsv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
            parse_options=_parsing(request),
            convert_options=pacsv.ConvertOptions(
                # These texts are null in every column, also in text columns.
                strings_can_be_null=True,
                null_values=["", "NA", "N/A", "NULL", "null", "NaN", "nan"],
                include_columns=selected,
                column_types={name: kind for name, kind in forced.items() if name in selected},
                decimal_point=request.options.decimal,
            ),
        ):
            foreign = next((item.name for item in batch.schema if pa.types.is_binary(item.type)), None)
            if foreign is not None:
                raise _other_bytes(foreign, request)
            yield batch if request.wanted is not None else _without_unnamed(batch)
    except pa.ArrowInvalid as error:
        if _TYPO.search(str(error)) is None and tail.unended():
            raise BadFile(FileProblem.HALF_WRITTEN, _CUT) from error
        raise
    _check_end(tail, request)


def _without_unnamed(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Leave out a column without name and values, as of lines that end in a delimiter."""
    place = batch.schema.get_field_index("")
    is_empty = place >= 0 and batch.column(place).null_count == batch.num_rows
    return batch.remove_column(place) if is_empty and batch.num_columns > 1 else batch


def _other_bytes(name: str, request: Request) -> BadFile:
    text = f"column {name[:60]!r} holds bytes that are not {request.encoding}. {_ENCODED}"
    return BadFile(FileProblem.UNREADABLE, text)


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
    error: pa.ArrowInvalid, names: list[str], forced: dict[str, pa.DataType], request: Request
) -> dict[str, pa.DataType]:
    text = str(error)
    typo = _TYPO.search(text)
    if typo is not None and int(typo[1]) < len(names):
        name = names[int(typo[1])]
        if name in forced:
            raise _other_bytes(name, request) from error
        return {**forced, name: pa.string()}
    ragged = _RAGGED.search(text)
    detail = "the rows cannot be taken apart (a quote left open, a line longer than 4 MiB, other bytes)."
    if ragged is not None:
        detail = f"expected {ragged[1]} values in every row. Got a row with {ragged[2]}."
        if names[0].startswith("#"):
            detail = f"{detail} Perhaps {COMMENT}"
    raise BadFile(FileProblem.UNREADABLE, detail) from error
