"""Files named on the command line, as Arrow batches read in this process; for one-off verbs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from driftwatch.errors import SchemaMismatch
from driftwatch.sources.files import CONFIG as FilesConfig
from driftwatch.sources.files import open_source

if TYPE_CHECKING:
    import pyarrow as pa


def file_batches(path: str) -> Iterator[pa.RecordBatch]:
    """All rows of a file or glob. Raises ``SchemaMismatch`` naming the files that could not be read."""
    reading = open_source(FilesConfig(type="files", path=path, unfinished=0)).read(None, None)
    yield from reading.batches
    if reading.rejected:
        first = reading.rejected[:5]
        named = "; ".join(f"{item.name}: {item.problem}, {item.detail}".rstrip(".") for item in first)
        raise SchemaMismatch(f"{path}: expected every file to be readable. Got {named}.")
