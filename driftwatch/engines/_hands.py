"""Threads for one reading: columns are counted beside each other while the next batch is decoded.

Columns know nothing of each other, and what is added up of them is whole numbers: results do not depend on
how many threads there were, or which was first. numpy and Arrow let other threads run while they work.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

import pyarrow as pa

T = TypeVar("T")

#: Has work done on the numbers below a count, in shares.
Shares = Callable[[Callable[[Iterable[int]], T], int], list[T]]

#: Rows, or values in all columns, of a batch from which on it is worth waking other threads.
_ROWS, _VALUES = 1 << 15, 1 << 20
_MOST = 4


def alone(work: Callable[[Iterable[int]], T], count: int) -> list[T]:
    """All of it in one share."""
    return [work(range(count))]


def _large(batch: pa.RecordBatch) -> bool:
    rows: int = batch.num_rows
    return rows >= _ROWS or rows * batch.num_columns >= _VALUES


class Hands:
    """At most one thread for each core this process may use; none before a batch is large enough."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or min(len(os.sched_getaffinity(0)), _MOST)
        self._counting: ThreadPoolExecutor | None = None
        self._reading: ThreadPoolExecutor | None = None

    def __enter__(self) -> Hands:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in (self._reading, self._counting):
            if pool is not None:
                pool.shutdown()

    def each(self, batch: pa.RecordBatch) -> Callable[..., Iterable[Any]]:
        """``map`` for a small batch, for a large one the same with a share of the items for every hand."""
        pool, step = self._pool(batch), self._threads
        if pool is None:
            return map

        def shared(work: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
            every = list(items)
            made: list[Any] = [None] * len(every)
            parts = [every[first::step] for first in range(step)]
            for first, part in enumerate(pool.map(lambda part: [work(item) for item in part], parts)):
                made[first::step] = part
            return made

        return shared

    def shares(self, batch: pa.RecordBatch) -> Shares[Any]:
        """``alone`` for a small batch, for a large one a share of the columns for every hand."""
        pool = self._pool(batch)
        if pool is None:
            return alone
        step = self._threads
        return lambda work, count: list(pool.map(work, [range(first, count, step) for first in range(step)]))

    def _pool(self, batch: pa.RecordBatch) -> ThreadPoolExecutor | None:
        if self._threads < 2 or not _large(batch) or batch.num_columns < self._threads:
            return None
        if self._counting is None:
            self._counting = ThreadPoolExecutor(self._threads, thread_name_prefix="counting")
        return self._counting

    def ahead(self, items: Iterator[T]) -> Iterator[T]:
        """The same items; from the second on each is made ready while the one before it is in use."""
        first = next(items, None)
        if first is None:
            return
        if self._threads < 2 or not (isinstance(first, pa.RecordBatch) and _large(first)):
            yield first
            yield from items
            return
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="reading")
        item: T | None = first
        while item is not None:
            coming = self._reading.submit(next, items, None)
            yield item
            del item
            item = coming.result()
