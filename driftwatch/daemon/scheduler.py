"""The scheduler, the only importer of APScheduler. It only ticks; the runner decides what is due.

It avoids these traps of APScheduler. A misfire grace of 1 s drops late runs; here it is None. A run that
overlaps the previous one is skipped with only a log line; here it is counted. A scheduler with a dead thread
reports that it runs; here the thread is examined. Jitter drifts and a restart shifts the phase; here there is
no jitter, and due windows follow from the history, so a tick at any time finds them. Stored jobs are
unpickled; here they stay in memory. It waits for a moment on the wall clock, so that a clock set back stops
it for as long; here its zone's time is steady, and nobody sets it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, tzinfo

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from driftwatch.core.clock import Clock, steady_now
from driftwatch.core.schema import NANOSECONDS
from driftwatch.daemon.own_health.loops.heartbeat import STORE_STEP_SECONDS, Moment
from driftwatch.daemon.own_health.loops.loop_supervisor import Revival
from driftwatch.daemon.own_health.own_health import LoopHealth

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Failed ticks in a row after which the scheduler counts as dead, and seconds that they take at least.
_MAX_FAILED_TICKS, _FAILING_SECONDS = 10, 10.0


class SteadyZone(tzinfo):
    """A zone whose present is a steady clock: ``datetime.now(zone)`` never jumps.

    APScheduler asks for the time in no other way. No other moment can be converted to the zone.
    """

    def __init__(self, steady: Callable[[], int]) -> None:
        self._steady = steady

    def moment(self, nanoseconds: int) -> datetime:
        return (_EPOCH + timedelta(microseconds=nanoseconds // 1000)).replace(tzinfo=self)

    def fromutc(self, _moment: datetime) -> datetime:
        return self.moment(self._steady())

    def utcoffset(self, _moment: datetime | None) -> timedelta:
        return timedelta(0)

    def dst(self, _moment: datetime | None) -> timedelta:
        return timedelta(0)

    def tzname(self, _moment: datetime | None) -> str:
        return "steady"


class _SteadyTrigger(BaseTrigger):  # type: ignore[misc]
    """Fires at multiples of an interval; those that passed in a suspend are one."""

    def __init__(self, zone: SteadyZone, seconds: float) -> None:
        self._zone = zone
        self._step = int(seconds * NANOSECONDS)

    def get_next_fire_time(self, _previous: datetime | None, now: datetime) -> datetime:
        steady = (now - _EPOCH) // timedelta(microseconds=1) * 1000
        return self._zone.moment(steady // self._step * self._step + self._step)


class Scheduler:
    """Calls ``tick`` every ``seconds``, never twice at a time."""

    def __init__(
        self,
        tick: Callable[[], None],
        clock: Clock,
        seconds: float = 1.0,
        *,
        steady: Callable[[], int] = steady_now,  # nanoseconds, also while ``clock`` is replayed
    ) -> None:
        self._tick = tick
        self._clock = clock
        self._seconds = seconds
        self._zone = SteadyZone(steady)
        self._lock = threading.Lock()
        self._last: int | None = None
        #: Ticks that were missed, overlapped or failed.
        self._lost = 0
        #: Failed ticks since the last one that did not.
        self._failed = 0
        self._marked = time.monotonic()
        self._is_started = False
        self._scheduler = self._new_scheduler()

    def _new_scheduler(self) -> BackgroundScheduler:
        scheduler = BackgroundScheduler(
            timezone=self._zone,
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        scheduler.add_listener(self._count, EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES | EVENT_JOB_ERROR)
        return scheduler

    def start(self) -> None:
        self._is_started = True
        self._scheduler.add_job(self._run, _SteadyTrigger(self._zone, self._seconds), id="tick")
        self._scheduler.start()
        self._marked = time.monotonic()

    def _run(self) -> None:
        self._tick()
        # A failed tick started nothing: when all fail, the scheduler is as good as dead.
        with self._lock:
            self._marked, self._failed = time.monotonic(), 0
            self._last = self._clock.now()

    def _count(self, event: JobExecutionEvent) -> None:
        with self._lock:
            self._lost += 1
            self._failed += event.code == EVENT_JOB_ERROR

    @property
    def last_tick(self) -> int | None:
        """Return the daemon's time of the newest successful tick; None before the first."""
        with self._lock:
            return self._last

    @property
    def lost(self) -> int:
        with self._lock:
            return self._lost

    @property
    def alive(self) -> bool:
        """Return True while the thread lives and not all ticks fail; one that lasts is the loop's matter."""
        thread = getattr(self._scheduler, "_thread", None)
        with self._lock:
            has_failed = (
                self._failed >= _MAX_FAILED_TICKS and time.monotonic() - self._marked >= _FAILING_SECONDS
            )
        return thread is not None and thread.is_alive() and not has_failed

    def loops(self, moment: Moment) -> tuple[LoopHealth, ...]:
        silent = time.monotonic() - self._marked
        return (moment.health("scheduler", silent, STORE_STEP_SECONDS),) if self._is_started else ()

    def revive(self) -> Revival:
        thread = getattr(self._scheduler, "_thread", None)
        if not self._is_started or thread is None or thread.is_alive():
            return Revival()
        self._scheduler.shutdown(wait=False)
        self._scheduler = self._new_scheduler()
        self.start()
        return Revival(restarted=("scheduler",))

    def stop(self) -> None:
        """Stop ticking; a running tick ends by itself."""
        self._is_started = False
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)
