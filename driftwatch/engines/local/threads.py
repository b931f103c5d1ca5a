"""Counts the columns of a batch in parallel while the next batch is decoded.

Columns are independent and their counts are integers, so results depend neither on the number of threads nor
on their order. numpy and Arrow release the GIL while they work.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

import pyarrow as pa

from driftwatch.summary.summary import ParallelMap, serial_map

T = TypeVar("T")

#: Batches of at least so many rows, or values in all columns, are worth waking other threads.
_MIN_ROWS, _MIN_VALUES = 1 << 15, 1 << 20
#: More threads than this wait for memory, not for cores.
_MAX_THREADS = 4
#: Shares of the columns per thread: a thread that becomes free later still has one to do.
_SHARES_PER_THREAD = 2


def _large(batch: pa.RecordBatch) -> bool:
    rows: int = batch.num_rows
    return rows >= _MIN_ROWS or rows * batch.num_columns >= _MIN_VALUES


class Threads:
    """A pool of at most one thread per core that this process may use, the caller's included.

    No thread starts until a batch is large enough.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or min(len(os.sched_getaffinity(0)), _MAX_THREADS)
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Threads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def shares(self, batch: pa.RecordBatch) -> ParallelMap[Any]:
        """Return a ``map`` that divides columns among threads, or a serial one for a small batch."""
        pool, step = self._pool_for(batch), self._threads * _SHARES_PER_THREAD
        if pool is None:
            return serial_map
        return lambda work, count: _map(pool, work, [range(first, count, step) for first in range(step)])

    def _pool_for(self, batch: pa.RecordBatch) -> ThreadPoolExecutor | None:
        if self._threads < 2 or not _large(batch) or batch.num_columns < self._threads:
            return None
        return self._started_pool()

    def _started_pool(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads - 1, thread_name_prefix="counting")
        return self._pool

    def prefetch(self, items: Iterator[T]) -> Iterator[T]:
        """Yield the same items; the next is prepared while one is in use."""
        first = next(items, None)
        if first is None:
            return
        if self._threads < 2 or not (isinstance(first, pa.RecordBatch) and _large(first)):
            yield first
            yield from items
            return
        item: T | None = first
        while item is not None:
            following = self._started_pool().submit(next, items, None)
            yield item
            del item
            item = following.result()


def _map(pool: ThreadPoolExecutor, work: Callable[[Any], T], parts: Sequence[Any]) -> list[T]:
    # This thread works too. It takes over the parts of threads that still decode the next batch, and does
    # not wait for them.
    futures = [pool.submit(work, part) for part in parts]
    results = {place: work(part) for place, part in enumerate(parts) if futures[place].cancel()}
    return [results[place] if place in results else future.result() for place, future in enumerate(futures)]
