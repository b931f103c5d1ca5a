"""Reads files named on the command line, in this process."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from driftwatch.columns.found_options import found_options
from driftwatch.errors import SchemaMismatch
from driftwatch.results.results import FileProblem
from driftwatch.sources.files import CONFIG as FilesConfig
from driftwatch.sources.files import open_source

if TYPE_CHECKING:
    import pyarrow as pa

    from driftwatch.sources.base import Reading


#: Delimiters of CSV files, the most common one first.
_DELIMITERS = (",", ";", "\t", "|")
#: Tried in this order where bytes are not UTF-8; the last one has a character for every byte.
_ENCODINGS = ("utf-16", "cp1252", "latin-1")
#: Stands for the columns of a file whose names are refused: more than any wrong delimiter gives.
_REFUSED_COLUMNS = 1_000_000
#: A CSV file is refused for one odd row; its header tells columns all the same.
_RAGGED = re.compile(r"expected (\d+) values in every row", re.ASCII)
#: Rows that tell how values are written.
_MAX_SNIFFED_ROWS = 20_000


def file_batches(path: str, options: Mapping[str, Any] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield all rows of a file or glob, read as its own texts ask for or with ``options``.

    Raises ``SchemaMismatch`` naming unreadable files.
    """
    reading = _read(path, **(options_of(path) if options is None else options))
    yield from reading.batches
    if reading.rejected:
        files = reading.rejected[:5]
        problems = "; ".join(f"{item.name}: {item.problem}, {item.detail}".rstrip(".") for item in files)
        raise SchemaMismatch(f"{path}: expected every file to be readable. Got {problems}.")


def options_of(path: str, hint: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the settings, other than the defaults, that the files' bytes and texts ask for."""
    options, batch = _first_batch(path)
    return options if batch is None else options | found_options(batch.slice(0, _MAX_SNIFFED_ROWS), hint)


def options_of_both(reference: str, current: str) -> dict[str, dict[str, Any]]:
    """Return the settings of both sides by path; what one leaves open (03/04/2026) the other settles."""
    first = options_of(reference)
    second = options_of(current, first)
    return {current: second, reference: options_of(reference, second)}


def _first_batch(path: str) -> tuple[dict[str, Any], pa.RecordBatch | None]:
    """Return encoding and delimiter with which the first file can be read, and its first rows."""
    tried: list[dict[str, Any]] = []
    for encoding in (None, *_ENCODINGS):
        options = {} if encoding is None else {"encoding": encoding}
        delimiter = delimiter_of(path, **options)
        options |= {} if delimiter == _DELIMITERS[0] else {"delimiter": delimiter}
        reading = _read(path, **options)
        batch = next(iter(reading.batches), None)
        if not reading.rejected:
            return options, batch
        tried.append(options)
    # It is refused for something else, which is said when it is read.
    return tried[0], None


def delimiter_of(path: str, **options: Any) -> str:
    """Return the delimiter of CSV files: the one that gives the most columns.

    It is a comma if that leaves no other delimiter in a column's name.
    """
    comma, *alternatives = _DELIMITERS
    names = _column_names(path, comma, options)
    if names and "?" not in names and not any(mark in name for name in names for mark in alternatives):
        return comma
    return max(_DELIMITERS, key=lambda delimiter: len(_column_names(path, delimiter, options)))


def _details(reading: Reading) -> list[str]:
    return [item.detail for item in reading.rejected]


def _column_names(path: str, delimiter: str, options: dict[str, Any]) -> list[str]:
    reading = _read(path, delimiter=delimiter, **options)
    batch = next(iter(reading.batches), None)
    if batch is None and any(item.problem is FileProblem.FOREIGN_SCHEMA for item in reading.rejected):
        # It has columns with this delimiter, but names that are refused, such as one twice.
        return ["?"] * _REFUSED_COLUMNS
    ragged = None if batch is not None else next(map(_RAGGED.search, _details(reading)), None)
    if ragged is not None:
        return ["?"] * int(ragged[1])
    return [] if batch is None else list(batch.schema.names)


def _read(path: str, **options: Any) -> Reading:
    config = FilesConfig(type="files", path=path, unfinished=0, **options)
    return open_source(config).read(None, None)
