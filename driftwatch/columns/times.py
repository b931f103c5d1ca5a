"""Event times of sampled rows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from driftwatch.eventtime import event_times

#: What a missing moment is.
NO_TIME = int(np.iinfo(np.int64).min)


def moments(array: pa.Array | pa.ChunkedArray, timezone: str) -> npt.NDArray[np.int64]:
    """Nanoseconds since 1970 UTC of each value, ``NO_TIME`` where it is no time."""
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks) if array.num_chunks else pa.array([], array.type)
    times, usable = event_times(array, timezone)
    return np.where(usable, times, NO_TIME)
