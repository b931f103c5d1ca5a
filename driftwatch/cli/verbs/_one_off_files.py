"""Reads files named on the command line, in a reader process with limits as any other foreign bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from driftwatch.columns.found_options import found_options
from driftwatch.config.models import ReadLimitsConfig
from driftwatch.engines.local.answers import FilesRead
from driftwatch.errors import PieceLeftOut, SchemaMismatch
from driftwatch.results.results import FileProblem, RejectedFile
from driftwatch.sources.files import CONFIG as FilesConfig

if TYPE_CHECKING:
    import pyarrow as pa

    from driftwatch.engines.local.pool import ReaderPool


#: Delimiters of CSV files, the most common one first.
_DELIMITERS = (",", ";", "\t", "|")
#: Tried in this order where bytes are not UTF-8; the last one has a character for every byte.
_ENCODINGS = ("utf-16", "cp1252", "latin-1")
#: Stands for the columns of a file whose names are refused: more than any wrong delimiter gives.
_REFUSED_COLUMNS = 1_000_000
#: A CSV file is refused for one odd row; its header tells columns all the same.
_RAGGED = re.compile(r"expected (\d+) values in every row", re.ASCII)
_LIMITS = ReadLimitsConfig()
#: Limits of one look at the files: those of a monitor that sets none.
SECONDS, MEMORY = _LIMITS.seconds, int(_LIMITS.memory)
#: Rows that tell how values are written.
_MAX_SNIFFED_ROWS = 20_000


@contextmanager
def one_off_files() -> Iterator[OneOffFiles]:
    from driftwatch.engines.local.pool import ReaderPool

    readers = ReaderPool(1)
    try:
        yield OneOffFiles(readers)
    finally:
        readers.close()


class OneOffFiles:
    def __init__(self, readers: ReaderPool) -> None:
        self._readers = readers

    def batches(self, path: str, options: Mapping[str, Any] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield all rows of a file or glob, read as its own texts ask for or with ``options``.

        Raises ``SchemaMismatch`` naming unreadable files.
        """
        files_read = FilesRead()
        chosen = self.options_of(path) if options is None else options
        try:
            yield from self._batches(path, files_read, **chosen)
        except PieceLeftOut as error:
            names = ", ".join(error.names)
            raise SchemaMismatch(
                f"{path}: expected every file to be readable. Got {names}, which ends the process that reads "
                "it, also when it is read alone."
            ) from None
        if files_read.rejected:
            files = files_read.rejected[:5]
            problems = "; ".join(f"{item.name}: {item.problem}, {item.detail}".rstrip(".") for item in files)
            raise SchemaMismatch(f"{path}: expected every file to be readable. Got {problems}.")

    def options_of(self, path: str, hint: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the settings, other than the defaults, that the files' bytes and texts ask for."""
        options, batch = self._first_batch(path)
        return options if batch is None else options | found_options(batch.slice(0, _MAX_SNIFFED_ROWS), hint)

    def options_of_both(self, reference: str, current: str) -> dict[str, dict[str, Any]]:
        """Return the settings of both by path; what one leaves open (03/04/2026) the other settles."""
        first = self.options_of(reference)
        second = self.options_of(current, first)
        return {current: second, reference: self.options_of(reference, second)}

    def delimiter_of(self, path: str, **options: Any) -> str:
        """Return the delimiter of CSV files: the one that gives the most columns.

        It is a comma if that leaves no other delimiter in a column's name.
        """
        comma, *alternatives = _DELIMITERS
        names = self._column_names(path, comma, options)
        if names and "?" not in names and not any(mark in name for name in names for mark in alternatives):
            return comma
        return max(_DELIMITERS, key=lambda delimiter: len(self._column_names(path, delimiter, options)))

    def _first_batch(self, path: str) -> tuple[dict[str, Any], pa.RecordBatch | None]:
        """Return encoding and delimiter with which the first file can be read, and its first rows."""
        tried: list[dict[str, Any]] = []
        for encoding in (None, *_ENCODINGS):
            options = {} if encoding is None else {"encoding": encoding}
            delimiter = self.delimiter_of(path, **options)
            options |= {} if delimiter == _DELIMITERS[0] else {"delimiter": delimiter}
            batch, rejected = self._first(path, **options)
            if not rejected:
                return options, batch
            tried.append(options)
        # It is refused for something else, which is said when it is read.
        return tried[0], None

    def _column_names(self, path: str, delimiter: str, options: dict[str, Any]) -> list[str]:
        batch, rejected = self._first(path, delimiter=delimiter, **options)
        if batch is not None:
            return list(batch.schema.names)
        if any(item.problem is FileProblem.FOREIGN_SCHEMA for item in rejected):
            # It has columns with this delimiter, but names that are refused, such as one twice.
            return ["?"] * _REFUSED_COLUMNS
        ragged = next((match for item in rejected if (match := _RAGGED.search(item.detail))), None)
        return [] if ragged is None else ["?"] * int(ragged[1])

    def _first(self, path: str, **options: Any) -> tuple[pa.RecordBatch | None, tuple[RejectedFile, ...]]:
        """Return the first rows, and files that were left out on the way there."""
        files_read = FilesRead()
        try:
            batches = list(self._batches(path, files_read, limit=1, **options))
        except PieceLeftOut:
            # It is named when all is read.
            return None, ()
        return (batches[0] if batches else None), files_read.rejected

    def _batches(
        self, path: str, files_read: FilesRead, *, limit: int | None = None, **options: Any
    ) -> Iterator[pa.RecordBatch]:
        config = FilesConfig(type="files", path=path, unfinished=0, **options)
        return self._readers.batches(
            config,
            None,
            seconds=SECONDS,
            memory=MEMORY,
            limit=limit,
            files_read=files_read,
        )
