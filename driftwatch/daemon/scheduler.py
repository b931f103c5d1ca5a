"""The heartbeat: the only importer of APScheduler. It ticks; what is due is worked out elsewhere.

The traps it closes. A misfire grace of 1 s drops late runs: here None. A run that overlaps the last one is
skipped with a log line only: here counted. A dead scheduler thread still says it is running: here its thread
is looked at. Jitter drifts and a restart shifts the phase: there is no jitter, and due windows come from the
history, so a tick at any time finds them. Stored jobs are unpickled: the store is memory.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from driftwatch.core.clock import Clock

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Ticks in a row that may be lost before the scheduler counts as dead.
_MISSED = 10


class Scheduler:
    """Calls ``tick`` every ``seconds``, never twice at a time."""

    def __init__(self, tick: Callable[[], None], clock: Clock, seconds: float = 1.0) -> None:
        self._tick = tick
        self._clock = clock
        self._seconds = seconds
        self._lock = threading.Lock()
        self._last: int | None = None
        self._lost = 0
        self._marked = time.monotonic()
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(
            self._count, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES | EVENT_JOB_ERROR
        )

    def start(self) -> None:
        """Begin ticking."""
        trigger = IntervalTrigger(seconds=self._seconds, start_date=_EPOCH, timezone=UTC)
        self._scheduler.add_job(self._run, trigger, id="tick")
        self._scheduler.start()
        self._marked = time.monotonic()

    def _run(self) -> None:
        self._tick()
        # A tick that fails looked for nothing: when all do, the scheduler is as good as dead.
        with self._lock:
            self._marked = time.monotonic()
            self._last = self._clock.now()

    def _count(self, _event: JobExecutionEvent) -> None:
        with self._lock:
            self._lost += 1

    @property
    def last_tick(self) -> int | None:
        """When a tick last succeeded, by the daemon's clock; None before the first."""
        with self._lock:
            return self._last

    @property
    def lost(self) -> int:
        """Ticks that were missed, overlapped or failed."""
        with self._lock:
            return self._lost

    @property
    def alive(self) -> bool:
        """True while its thread lives and a tick succeeded lately."""
        thread = getattr(self._scheduler, "_thread", None)
        limit = max(_MISSED * self._seconds, 10.0)
        return thread is not None and thread.is_alive() and time.monotonic() - self._marked < limit

    def stop(self) -> None:
        """Stop ticking; a running tick ends by itself."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
