"""Building, storing and loading a reference."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from harness import Line, Options, peak, timed
from line_wide import check, decode, opened
from worlds import UNIVARIATE, numbers, stored, world

from driftwatch.reference import build_reference
from driftwatch.sources.base import SourceConfig
from driftwatch.summary.serial import decode_reference, encode_reference


def wide(options: Options) -> Iterator[Line]:
    """Point 5: 1,000,000 x 100 from Parquet, against its check."""
    import numpy as np

    from driftwatch.config.models import MonitorConfig

    path = stored("wide-float64", lambda: numbers(1_000_000, 100, seed=2, kind=np.float64))
    config = MonitorConfig(
        name="bench",
        reference={"path": "memory", "time_column": "at"},
        source=SourceConfig(type="files", time_column="at"),
        window={"length": "1h"},
        detectors=list(UNIVARIATE),
    )

    def build() -> None:
        build_reference(config, lambda: opened(path).read(None, None).batches, built_at=0, source="", files=1)

    runs = min(options.runs, 3)
    most = peak(build)
    ours = timed(build, runs, warm=0)
    one = world(100, detectors=UNIVARIATE)
    checked = timed(lambda: check(one, path), runs)
    yield Line(
        name="reference.build",
        what="reference of 1,000,000 x 100 built from Parquet",
        value=ours.cpu,
        target=3 * checked.cpu,
        floor=2 * timed(lambda: decode(path), runs).cpu,
        floor_is="decoding twice",
        wall=ours.wall,
        mib=most,
        beside={"its check": checked.cpu},
    )


def load(options: Options) -> Iterator[Line]:
    """Point 5: 100 columns, joint null included."""
    one = world(100, hours=24)
    data = encode_reference(one.built.reference)
    ours = timed(lambda: decode_reference(data), options.runs, calls=5)
    squeezed = zlib.compress(zlib.decompress(zlib.compress(data)), 1)
    floor = timed(lambda: zlib.decompress(squeezed), options.runs, calls=5)
    yield Line(
        name="reference.load",
        what="a stored reference of 100 columns loaded",
        value=ours.cpu,
        target=0.050,
        floor=floor.cpu,
        floor_is="unpacking as many bytes",
        wall=ours.wall,
        beside={"kB stored": len(data) / 1000},
    )


def long(options: Options) -> Iterator[Line]:
    """Point 5: 20,000,000 x 20, generated on the fly; a tenth of it without ``--full``."""
    from bench_reference import Clocked, batches

    from driftwatch.config.models import MonitorConfig

    rows, columns = (20_000_000 if options.full else 2_000_000), 20
    config = MonitorConfig(
        name="bench",
        reference={"path": "memory", "time_column": "event_time"},
        source=SourceConfig(type="files", time_column="event_time"),
    )
    made = Clocked()

    def build() -> None:
        made.seconds = 0.0
        read = lambda: made.each(batches(rows, columns, 90))  # noqa: E731
        build_reference(config, read, built_at=0, source="memory", files=1)

    import time

    began = time.process_time()
    most = peak(build)
    yield Line(
        name="reference.long",
        what=f"reference of {rows:,} x {columns}, two passes, generating not counted",
        value=time.process_time() - began - made.seconds,
        mib=most,
        beside={
            "MiB allowed": 2048,
            "us a value": (time.process_time() - began - made.seconds) / rows / columns * 1e6,
        },
    )


LINES = {"reference.build": wide, "reference.load": load, "reference.long": long}
