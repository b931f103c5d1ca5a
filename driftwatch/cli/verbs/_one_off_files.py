"""Files named on the command line, as Arrow batches read in this process; for one-off verbs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from driftwatch.errors import SchemaMismatch
from driftwatch.sources.files import CONFIG as FilesConfig
from driftwatch.sources.files import open_source

if TYPE_CHECKING:
    import pyarrow as pa

    from driftwatch.sources.base import Reading


#: What may stand between the values of a CSV file, the usual one first.
_DELIMITERS = (",", ";", "\t", "|")


def file_batches(path: str) -> Iterator[pa.RecordBatch]:
    """All rows of a file or glob, CSV files by their own delimiter.

    Raises ``SchemaMismatch`` naming the files that could not be read.
    """
    reading = _read(path, delimiter_of(path))
    yield from reading.batches
    if reading.rejected:
        first = reading.rejected[:5]
        named = "; ".join(f"{item.name}: {item.problem}, {item.detail}".rstrip(".") for item in first)
        raise SchemaMismatch(f"{path}: expected every file to be readable. Got {named}.")


def delimiter_of(path: str) -> str:
    """What stands between the values of the path's CSV files: the one of the most columns, or a comma.

    Others are tried only where a comma cannot take the rows apart or leaves them in a column's name.
    """
    usual, *others = _DELIMITERS
    names = _names(path, usual)
    if names and not any(mark in name for name in names for mark in others):
        return usual
    return max(_DELIMITERS, key=lambda mark: len(_names(path, mark)))


def _names(path: str, delimiter: str) -> list[str]:
    """The columns of the first rows; none when they cannot be read so."""
    first = next(iter(_read(path, delimiter).batches), None)
    return [] if first is None else list(first.schema.names)


def _read(path: str, delimiter: str) -> Reading:
    config = FilesConfig(type="files", path=path, unfinished=0, delimiter=delimiter)
    return open_source(config).read(None, None)
