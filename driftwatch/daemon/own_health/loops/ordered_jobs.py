"""Jobs by name on several threads; two of one name never run at the same time, and the newest waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial

from driftwatch.daemon.own_health.loops.loop_threads import has_dead_thread

Job = Callable[[], None]
#: Called with the job's name and its result, on the thread of reports.
Report = Callable[[str, Future[None]], None]


class OrderedJobs:
    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._lock = threading.RLock()
        self._is_stopped = False
        # By name: jobs that run or are queued, and what waits for the end of such a job.
        self._jobs: dict[str, Future[None]] = {}
        self._waiting: dict[str, tuple[Job, Report]] = {}
        self._open()

    def _open(self) -> None:
        self.pool = ThreadPoolExecutor(self._workers, thread_name_prefix="load")
        #: Reports what the jobs came to, one at a time.
        self.reports = ThreadPoolExecutor(1, thread_name_prefix="loaded")

    def start(self, jobs: Mapping[str, Job], report: Report) -> None:
        """Start jobs in their order; they take the place of those that still wait."""
        with self._lock:
            if not self._is_stopped:
                self._waiting = {name: (job, report) for name, job in jobs.items()}
                self._submit_waiting()

    def running(self) -> list[Future[None]]:
        with self._lock:
            return list(self._jobs.values())

    def stop(self) -> None:
        """Start no more jobs, and report none."""
        with self._lock:
            self._is_stopped = True
            self._waiting = {}
        # Queued jobs are not cancelled: each sees that it has to return.
        self.pool.shutdown(wait=False)
        self.reports.shutdown(wait=False)

    def replace_dead_threads(self) -> bool:
        """Drop all jobs and go on with new threads if one has ended; False when all live."""
        with self._lock:
            if self._is_stopped or not (has_dead_thread(self.pool) or has_dead_thread(self.reports)):
                return False
            previous = (self.pool, self.reports)
            self._jobs, self._waiting = {}, {}
            self._open()
        for threads in previous:
            threads.shutdown(wait=False, cancel_futures=True)
        return True

    def _submit_waiting(self) -> None:
        # The caller holds the lock.
        ready = [name for name in self._waiting if name not in self._jobs]
        for name, (job, report) in [(name, self._waiting.pop(name)) for name in ready]:
            self._jobs[name] = future = self.pool.submit(job)
            future.add_done_callback(partial(self._finish, name, report))

    def _finish(self, name: str, report: Report, future: Future[None]) -> None:
        with self._lock:
            # Jobs of threads that were replaced are forgotten.
            if self._is_stopped or self._jobs.get(name) is not future:
                return
            del self._jobs[name]
            self.reports.submit(report, name, future)
            if name in self._waiting:
                self._submit_waiting()
