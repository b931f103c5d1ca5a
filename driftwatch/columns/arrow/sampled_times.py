"""Event times of sampled rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from driftwatch.columns.arrow.event_time import event_times
from driftwatch.core.arrays import Int64Array

#: What a missing moment is.
NO_TIME = int(np.iinfo(np.int64).min)


def moments(array: pa.Array | pa.ChunkedArray, timezone: str) -> Int64Array:
    """Nanoseconds since 1970 UTC of each value, ``NO_TIME`` where it is no time."""
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    times, usable = event_times(array, timezone)
    return np.where(usable, times, NO_TIME)
