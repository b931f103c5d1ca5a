"""Threads for one reading: columns are counted beside each other while the next batch is decoded.

Columns know nothing of each other, and what is added up of them is whole numbers: results do not depend on
how many threads there were, or which was first. numpy and Arrow let other threads run while they work.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

import pyarrow as pa

from driftwatch.summary.summary import Shares, alone

T = TypeVar("T")

#: Rows, or values in all columns, of a batch from which on it is worth waking other threads.
_ROWS, _VALUES = 1 << 15, 1 << 20
_MOST = 4
#: Shares of the columns for each thread: so much is left for one that comes late.
_SHARES = 2


def _large(batch: pa.RecordBatch) -> bool:
    rows: int = batch.num_rows
    return rows >= _ROWS or rows * batch.num_columns >= _VALUES


class Threads:
    """At most one thread for each core this process may use; none before a batch is large enough.

    The one that calls counts too. The others read the next batch first: who still reads is not waited for.
    More threads than cores would only be in each other's way.
    """

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or min(len(os.sched_getaffinity(0)), _MOST)
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Threads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()

    def shares(self, batch: pa.RecordBatch) -> Shares[Any]:
        """``alone`` for a small batch, for a large one a share of the columns for every hand."""
        pool, step = self._for(batch), self._threads * _SHARES
        if pool is None:
            return alone
        return lambda work, count: _together(pool, work, [range(first, count, step) for first in range(step)])

    def _for(self, batch: pa.RecordBatch) -> ThreadPoolExecutor | None:
        if self._threads < 2 or not _large(batch) or batch.num_columns < self._threads:
            return None
        return self._threaded()

    def _threaded(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads - 1, thread_name_prefix="counting")
        return self._pool

    def ahead(self, items: Iterator[T]) -> Iterator[T]:
        """The same items; from the second on each is made ready while the one before it is in use."""
        first = next(items, None)
        if first is None:
            return
        if self._threads < 2 or not (isinstance(first, pa.RecordBatch) and _large(first)):
            yield first
            yield from items
            return
        item: T | None = first
        while item is not None:
            coming = self._threaded().submit(next, items, None)
            yield item
            del item
            item = coming.result()


def _together(pool: ThreadPoolExecutor, work: Callable[[Any], T], parts: Sequence[Any]) -> list[T]:
    """``work`` on each part, by this thread and by those of the pool that have nothing else to do."""
    begun = [pool.submit(work, part) for part in parts]
    mine = {place: work(part) for place, part in enumerate(parts) if begun[place].cancel()}
    return [mine[place] if place in mine else each.result() for place, each in enumerate(begun)]
