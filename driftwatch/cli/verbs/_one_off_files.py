"""Reads files named on the command line, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from driftwatch.errors import SchemaMismatch
from driftwatch.sources.files import CONFIG as FilesConfig
from driftwatch.sources.files import open_source

if TYPE_CHECKING:
    import pyarrow as pa

    from driftwatch.sources.base import Reading


#: Delimiters of CSV files, the most common one first.
_DELIMITERS = (",", ";", "\t", "|")


def file_batches(path: str) -> Iterator[pa.RecordBatch]:
    """Yield all rows of a file or glob. Raises ``SchemaMismatch`` naming unreadable files."""
    reading = _read(path, delimiter_of(path))
    yield from reading.batches
    if reading.rejected:
        files = reading.rejected[:5]
        problems = "; ".join(f"{item.name}: {item.problem}, {item.detail}".rstrip(".") for item in files)
        raise SchemaMismatch(f"{path}: expected every file to be readable. Got {problems}.")


def delimiter_of(path: str) -> str:
    """Return the delimiter of CSV files: the one that gives the most columns.

    It is a comma if that leaves no other delimiter in a column's name.
    """
    comma, *alternatives = _DELIMITERS
    names = _column_names(path, comma)
    if names and not any(delimiter in name for name in names for delimiter in alternatives):
        return comma
    return max(_DELIMITERS, key=lambda delimiter: len(_column_names(path, delimiter)))


def _column_names(path: str, delimiter: str) -> list[str]:
    batch = next(iter(_read(path, delimiter).batches), None)
    return [] if batch is None else list(batch.schema.names)


def _read(path: str, delimiter: str) -> Reading:
    config = FilesConfig(type="files", path=path, unfinished=0, delimiter=delimiter)
    return open_source(config).read(None, None)
