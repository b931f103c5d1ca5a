"""Other threads are woken for batches that are worth it: long ones, and short ones of many columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from driftwatch.engines.local.threads import Threads
from driftwatch.summary.summary import serial_map


@pytest.mark.parametrize(
    ("rows", "columns", "woken"),
    [(40_000, 5, True), (20_000, 100, True), (10_000, 100, False), (9, 100, False)],
)
def test_large_batches_wake_other_threads(rows: int, columns: int, woken: bool) -> None:
    batch = pa.record_batch({f"c{place}": np.zeros(rows) for place in range(columns)})
    with Threads(2) as threads:
        shares = threads.shares(batch)
        assert (shares is not serial_map) == woken
        # Every number below is in one share, whoever had it.
        assert sorted(number for part in shares(list, columns) for number in part) == list(range(columns))
        # Batches come in order and none is lost, made ready ahead or not.
        assert len(list(threads.prefetch(iter([batch] * 3)))) == 3
