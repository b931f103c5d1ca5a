"""Building a large reference: prints rows, seconds and the peak of resident memory.

Batches are generated on the fly, so the memory is what the build itself takes.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from driftwatch.config.models import MonitorConfig
from driftwatch.reference import build_reference
from driftwatch.sources.base import SourceConfig

BATCH = 65_536
START = 1_767_225_600


def batches(rows: int, columns: int, days: int) -> Iterator[pa.RecordBatch]:
    """Batches by time: timestamps, an id, booleans, few and many levels, integers, floats with nulls."""
    levels = [pa.array([f"level-{place:05}" for place in range(count)]) for count in (5, 2_000)]
    for start in range(0, rows, BATCH):
        random = np.random.default_rng(start)
        n = min(BATCH, rows - start)
        data: dict[str, pa.Array] = {
            "event_time": pa.array(
                (START + (start + np.arange(n)) * (days * 86400 / rows)).astype("datetime64[s]")
            ),
            "request_id": pa.array(random.permutation(n) + start),
            "flag": pa.array(random.random(n) < 0.3),
        }
        for place, values in enumerate(levels):
            codes = np.minimum(random.zipf(1.3, n) - 1, len(values) - 1).astype(np.int32)
            data[f"level{place}"] = pa.DictionaryArray.from_arrays(codes, values)
        data["count"] = pa.array(random.poisson(4, n))
        base = random.standard_normal(n)
        for place in range(columns - len(data)):
            values = np.exp(0.5 * base + random.standard_normal(n))
            data[f"number{place}"] = pa.array(values, mask=random.random(n) < 0.01)
        yield pa.RecordBatch.from_pydict(data)


class BatchClock:
    """A clock of the seconds spent in generating batches, so that they can be subtracted."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def time_batches(self, stream: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the batches of ``stream`` and count the seconds that it takes to generate them."""
        while True:
            start = time.perf_counter()
            batch = next(stream, None)
            self.seconds += time.perf_counter() - start
            if batch is None:
                return
            yield batch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--columns", type=int, default=20)
    parser.add_argument("--days", type=int, default=90)
    options = parser.parse_args()
    clock = BatchClock()
    monitor = MonitorConfig(
        name="bench",
        reference={"path": "memory", "time_column": "event_time"},
        source=SourceConfig(type="files", time_column="event_time"),
    )
    start = time.perf_counter()
    build = build_reference(
        monitor,
        lambda: clock.time_batches(batches(options.rows, options.columns, options.days)),
        built_at=0,
        source="memory",
        files=1,
    )
    seconds = time.perf_counter() - start - clock.seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{build.reference.summary.rows:,} x {options.columns} values, {build.reference.blocks} blocks: "
        f"{seconds:.1f} s (both passes, generating the data not counted), peak {peak:.2f} GiB"
    )


if __name__ == "__main__":
    main()
