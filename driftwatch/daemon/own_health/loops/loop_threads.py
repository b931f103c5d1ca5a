"""Whether an executor still has its threads: it never replaces one that has ended, and its jobs then wait."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor


def has_dead_thread(pool: ThreadPoolExecutor) -> bool:
    return any(not thread.is_alive() for thread in tuple(pool._threads))
