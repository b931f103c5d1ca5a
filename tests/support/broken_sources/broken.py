"""What broken sources share."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import ClassVar

import pyarrow as pa
from pieces_source import PiecesConfig, PiecesSource

from driftwatch.core.schema import Span

Part = Span | None
Names = Sequence[str] | None
Batches = Iterator[pa.RecordBatch]


class Broken(PiecesSource):
    #: The rule that it breaks.
    breaks: ClassVar[str]
    config_model: ClassVar[type[PiecesConfig]] = PiecesConfig


def mapped(
    batch: pa.RecordBatch, fits: Callable[[pa.DataType], bool], change: Callable[[pa.Array], pa.Array]
) -> pa.RecordBatch:
    """Change the columns whose type fits, but not the times."""
    arrays = [
        change(array) if name != "t" and fits(array.type) else array
        for name, array in zip(batch.schema.names, batch.columns, strict=True)
    ]
    return pa.RecordBatch.from_arrays(arrays, names=batch.schema.names)
