"""Reads the event times of sampled rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.core.arrays import Int64Array

#: Marks a missing time.
NO_TIME = int(np.iinfo(np.int64).min)


def epoch_nanoseconds(array: pa.Array | pa.ChunkedArray, timezone: str) -> Int64Array:
    """Return nanoseconds since 1970 UTC, and ``NO_TIME`` where a value is no time."""
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    times, usable = event_times(array, timezone)
    return np.where(usable, times, NO_TIME)
