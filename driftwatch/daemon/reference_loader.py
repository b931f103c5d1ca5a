"""Builds or loads references in threads of their own, so that a slow one delays neither ticks nor signals.

Every monitor is a job, and as many jobs run at a time as there are workers; two jobs of one monitor never do,
so that the newest session's reference is stored last. A job's failure, a bug too, is its result: it is
reported and retried, and the other jobs run.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future, InvalidStateError
from concurrent.futures import wait as wait_for
from contextlib import suppress
from functools import partial
from typing import Protocol

from driftwatch.config.models import MonitorConfig
from driftwatch.core.memory import release_memory
from driftwatch.core.schema import NANOSECONDS
from driftwatch.daemon.own_health.loops.heartbeat import Moment, RunningSteps
from driftwatch.daemon.own_health.loops.loop_supervisor import Revival
from driftwatch.daemon.own_health.loops.ordered_jobs import OrderedJobs
from driftwatch.daemon.own_health.own_health import LoopHealth
from driftwatch.errors import DriftwatchError, ReaderDied, SourceTimeout, SourceUnavailable
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.session import Session
from driftwatch.store.records import ActiveReference

log = logging.getLogger(__name__)

#: Seconds between attempts to load a reference that failed.
_RETRY_SECONDS = 60
#: Errors that may pass; the stored reference serves meanwhile.
_TRANSIENT_ERRORS = (SourceUnavailable, SourceTimeout, ReaderDied)
#: Reads of a job, each within ``limits.seconds``, and as long again for waiting until a reader is free;
#: seconds for building a reference of what was read.
_READS_PER_LOAD, _BUILD_SECONDS = 6, 300.0


class OnLoaded(Protocol):
    #: ``stored``: the reference is the stored one and could not be compared with its files.
    def __call__(self, item: MonitorConfig, monitor: Monitor, *, stored: bool) -> None: ...


class ReferenceLoader:
    def __init__(
        self,
        *,
        on_stored: Callable[[MonitorConfig, ActiveReference], None],
        on_loaded: OnLoaded,
        on_failure: Callable[[MonitorConfig, str], None],  # with the reason
        on_round_end: Callable[[], None],
        workers: int = 1,
    ) -> None:
        self._on_stored = on_stored
        self._on_loaded = on_loaded
        self._on_failure = on_failure
        self._on_round_end = on_round_end
        self._jobs = OrderedJobs(workers)
        self._lock = threading.RLock()
        self._stopping = threading.Event()
        self._newest: Session | None = None
        self._unreported: set[str] = set()
        self._round_end: Future[None] = Future()
        self._round_end.set_result(None)
        self._missing: set[str] = set()
        self._tried_at = 0
        self._steps = RunningSteps("load")

    def restore(self, session: Session) -> None:
        """Report every monitor's stored reference, before anything is read from its source."""
        jobs = [
            (item, self._jobs.reports.submit(self._restore, session, item))
            for item in session.config.monitors
        ]
        for item, job in jobs:
            error = job.exception()
            if error is not None:
                log.error("stored state cannot be shown", exc_info=error, extra={"monitor": item.name})

    def load(self, session: Session, first: str | None = None) -> None:
        """Load the references of all monitors from ``first`` on; loading for an older session ends early."""
        if self._stopping.is_set():
            return
        self._newest = session
        names = [item.name for item in session.config.monitors]
        place = names.index(first) if first in names else 0
        self._start_round(session, (*names[place:], *names[:place]))

    def retry(self, session: Session, now: int) -> None:
        """Retry failed references at intervals; ``now`` is on the steady clock."""
        if (
            self._missing
            and self._round_end.done()
            and abs(now - self._tried_at) >= _RETRY_SECONDS * NANOSECONDS
        ):
            self._tried_at = now
            self._start_round(session, tuple(self._missing))

    def wait(self, seconds: float | None) -> bool:
        """Wait until loading ends; False means that ``seconds`` passed first."""
        jobs = self._jobs.running() if self._stopping.is_set() else [self._round_end]
        return not wait_for(jobs, timeout=seconds).not_done

    def stop(self) -> None:
        """Start no more loads; a running read ends when the readers are closed."""
        self._stopping.set()
        self._jobs.stop()
        _finish(self._round_end)

    def loops(self, moment: Moment) -> tuple[LoopHealth, ...]:
        return (self._steps.health(moment),)

    def revive(self) -> Revival:
        """Load again with new threads when one has ended: what it was to do would be waited for for ever."""
        if not self._jobs.replace_dead_threads():
            return Revival()
        if self._newest is not None:
            self.load(self._newest)
        return Revival(restarted=("load",))

    def _start_round(self, session: Session, names: Iterable[str]) -> None:
        items = {item.name: item for item in session.config.monitors}
        names = [name for name in names if name in items]
        round_end: Future[None] = Future()
        with self._lock:
            _finish(self._round_end)
            self._round_end, self._unreported = round_end, set(names)
        if not names:
            self._jobs.reports.submit(self._end_round, session, "", round_end)

        def report(name: str, job: Future[None]) -> None:
            for work in (partial(self._report, session, items[name], job), end_round(name)):
                self._jobs.reports.submit(work).add_done_callback(_log_failure)

        def end_round(name: str) -> Callable[[], None]:
            return partial(self._end_round, session, name, round_end)

        self._jobs.start({name: partial(self._load, session, items[name]) for name in names}, report)

    def _is_superseded(self, session: Session) -> bool:
        return self._stopping.is_set() or self._newest is not session

    def _restore(self, session: Session, item: MonitorConfig) -> None:
        active = session.history.references.active(item.name)
        if active is not None:
            self._on_stored(item, active)

    def _load(self, session: Session, item: MonitorConfig) -> None:
        if self._is_superseded(session):
            return
        self._steps.begin(item.name, 2 * _READS_PER_LOAD * item.limits.seconds + _BUILD_SECONDS)
        try:
            self._build(session, item)
        finally:
            self._steps.end(item.name)

    def _build(self, session: Session, item: MonitorConfig) -> None:
        try:
            monitor = session.monitor(item)
        except _TRANSIENT_ERRORS as error:
            active = session.history.references.active(item.name)
            if active is None or self._stopping.is_set():
                raise
            if self._is_superseded(session):
                return
            log.warning(
                "the reference's files cannot be read, the stored reference is used",
                extra={"monitor": item.name, "error": str(error)},
            )
            self._missing.add(item.name)
            self._on_loaded(item, session.with_reference(item, active.reference), stored=True)
            return
        if self._newest is session:
            self._missing.discard(item.name)
            self._on_loaded(item, monitor, stored=False)

    def _report(self, session: Session, item: MonitorConfig, job: Future[None]) -> None:
        error = None if job.cancelled() else job.exception()
        if error is None or self._is_superseded(session):
            return
        facts = {"monitor": item.name, "error": str(error)}
        log.error(
            "reference unusable", exc_info=None if isinstance(error, DriftwatchError) else error, extra=facts
        )
        self._missing.add(item.name)
        self._on_failure(item, str(error))

    def _end_round(self, session: Session, name: str, round_end: Future[None]) -> None:
        """End the round with its last monitor."""
        with self._lock:
            if round_end is not self._round_end or self._is_superseded(session):
                return
            self._unreported.discard(name)
            if self._unreported:
                return
            self._missing &= {monitor.name for monitor in session.config.monitors}
        try:
            release_memory()
            self._on_round_end()
        finally:
            _finish(round_end)


def _finish(round_end: Future[None]) -> None:
    # ``stop``, a new round and the round itself may all end it.
    with suppress(InvalidStateError):
        round_end.set_result(None)


def _log_failure(job: Future[None]) -> None:
    error = None if job.cancelled() else job.exception()
    if error is not None:
        log.error("what was loaded cannot be shown", exc_info=error)
