"""Building, storing and loading a reference."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from harness import Line, Options, measure_time, peak
from line_wide import check_window, decode, open_file_source
from worlds import UNIVARIATE, cached_parquet, numbers, world

from driftwatch.reference import build_reference
from driftwatch.sources.base import SourceConfig
from driftwatch.summary.serial import decode_reference, encode_reference


def wide(options: Options) -> Iterator[Line]:
    """Point 5: 1,000,000 x 100 from Parquet, compared with a check of the same file."""
    import numpy as np

    from driftwatch.config.models import MonitorConfig

    path = cached_parquet("wide-float64", lambda: numbers(1_000_000, 100, seed=2, kind=np.float64))
    config = MonitorConfig(
        name="bench",
        reference={"path": "memory", "time_column": "at"},
        source=SourceConfig(type="files", time_column="at"),
        window={"length": "1h"},
        detectors=list(UNIVARIATE),
    )

    def build() -> None:
        build_reference(
            config, lambda: open_file_source(path).read(None, None).batches, built_at=0, source="", files=1
        )

    runs = min(options.runs, 3)
    peak_mib = peak(build)
    timing = measure_time(build, runs, warm=0)
    monitor = world(100, detectors=UNIVARIATE)
    check_timing = measure_time(lambda: check_window(monitor, path), runs)
    yield Line(
        name="reference.build",
        what="reference of 1,000,000 x 100 built from Parquet",
        value=timing.cpu,
        target=3 * check_timing.cpu,
        floor=2 * measure_time(lambda: decode(path), runs).cpu,
        floor_is="decoding twice",
        wall=timing.wall,
        mib=peak_mib,
        beside={"its check": check_timing.cpu},
    )


def load(options: Options) -> Iterator[Line]:
    """Point 5: load a stored reference of 100 columns with its joint null."""
    monitor = world(100, hours=24)
    data = encode_reference(monitor.build.reference)
    timing = measure_time(lambda: decode_reference(data), options.runs, calls=5)
    archive = zlib.compress(zlib.decompress(zlib.compress(data)), 1)
    floor = measure_time(lambda: zlib.decompress(archive), options.runs, calls=5)
    yield Line(
        name="reference.load",
        what="a stored reference of 100 columns loaded",
        value=timing.cpu,
        target=0.050,
        floor=floor.cpu,
        floor_is="unpacking as many bytes",
        wall=timing.wall,
        beside={"kB stored": len(data) / 1000},
    )


def long(options: Options) -> Iterator[Line]:
    """Point 5: 20,000,000 x 20, generated on the fly; a tenth of the rows without ``--full``."""
    from bench_reference import BatchClock, batches

    from driftwatch.config.models import MonitorConfig

    rows, columns = (20_000_000 if options.full else 2_000_000), 20
    config = MonitorConfig(
        name="bench",
        reference={"path": "memory", "time_column": "event_time"},
        source=SourceConfig(type="files", time_column="event_time"),
    )
    clock = BatchClock()

    def build() -> None:
        clock.seconds = 0.0
        read = lambda: clock.time_batches(batches(rows, columns, 90))  # noqa: E731
        build_reference(config, read, built_at=0, source="memory", files=1)

    import time

    start = time.process_time()
    peak_mib = peak(build)
    yield Line(
        name="reference.long",
        what=f"reference of {rows:,} x {columns}, two passes, generating not counted",
        value=time.process_time() - start - clock.seconds,
        mib=peak_mib,
        beside={
            "MiB allowed": 2048,
            "us a value": (time.process_time() - start - clock.seconds) / rows / columns * 1e6,
        },
    )


LINES = {"reference.build": wide, "reference.load": load, "reference.long": long}
