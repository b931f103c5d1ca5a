"""Builds or loads references in a thread of its own, so that a slow one delays neither ticks nor signals.

Every monitor is a job of that thread, one after the other. Its failure, a bug too, is the job's result: it is
reported and retried, and the next monitor's job runs.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import Protocol

from driftwatch.config.models import MonitorConfig
from driftwatch.core.memory import release_memory
from driftwatch.core.schema import NANOSECONDS
from driftwatch.errors import DriftwatchError, ReaderDied, SourceTimeout, SourceUnavailable
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.session import Session
from driftwatch.store.records import ActiveReference

log = logging.getLogger(__name__)

#: Seconds between attempts to load a reference that failed.
_RETRY_SECONDS = 60
#: Errors that may pass; the stored reference serves meanwhile.
_TRANSIENT_ERRORS = (SourceUnavailable, SourceTimeout, ReaderDied)


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
    ) -> None:
        self._on_stored = on_stored
        self._on_loaded = on_loaded
        self._on_failure = on_failure
        self._on_round_end = on_round_end
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._stopping = threading.Event()
        self._round_end: Future[None] | None = None
        self._newest: Session | None = None
        self._missing: set[str] = set()
        self._tried_at = 0

    def restore(self, session: Session) -> None:
        """Report every monitor's stored reference, before anything is read from its source."""
        jobs = [(item, self._thread.submit(self._restore, session, item)) for item in session.config.monitors]
        for item, job in jobs:
            error = job.exception()
            if error is not None:
                log.error("stored state cannot be shown", exc_info=error, extra={"monitor": item.name})

    def load(self, session: Session) -> None:
        """Load the references of all monitors; loading for an older session ends early."""
        if self._stopping.is_set():
            return
        self._newest = session
        self._start_round(session, {item.name for item in session.config.monitors})

    def retry(self, session: Session, now: int) -> None:
        """Retry failed references at intervals; ``now`` is on the steady clock."""
        is_idle = self._round_end is None or self._round_end.done()
        if self._missing and is_idle and abs(now - self._tried_at) >= _RETRY_SECONDS * NANOSECONDS:
            self._tried_at = now
            self._start_round(session, set(self._missing))

    def wait(self, seconds: float | None) -> bool:
        """Wait until loading ends; False means that ``seconds`` passed first."""
        return self._round_end is None or not wait_for([self._round_end], timeout=seconds).not_done

    def stop(self) -> None:
        """Start no more loads; a running read ends when the readers are closed."""
        self._stopping.set()
        # Queued jobs are not cancelled: each returns at once, and ``wait`` waits for the running one.
        self._thread.shutdown(wait=False)

    def _start_round(self, session: Session, names: set[str]) -> None:
        for item in session.config.monitors:
            if item.name in names:
                job = self._thread.submit(self._load, session, item)
                self._thread.submit(self._report, session, item, job).add_done_callback(_log_failure)
        self._round_end = self._thread.submit(self._end_round, session)
        self._round_end.add_done_callback(_log_failure)

    def _is_superseded(self, session: Session) -> bool:
        return self._stopping.is_set() or self._newest is not session

    def _restore(self, session: Session, item: MonitorConfig) -> None:
        active = session.history.references.active(item.name)
        if active is not None:
            self._on_stored(item, active)

    def _load(self, session: Session, item: MonitorConfig) -> None:
        if self._is_superseded(session):
            return
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
        error = job.exception()
        if error is None or self._is_superseded(session):
            return
        facts = {"monitor": item.name, "error": str(error)}
        log.error(
            "reference unusable", exc_info=None if isinstance(error, DriftwatchError) else error, extra=facts
        )
        self._missing.add(item.name)
        self._on_failure(item, str(error))

    def _end_round(self, session: Session) -> None:
        if self._is_superseded(session):
            return
        self._missing &= {item.name for item in session.config.monitors}
        release_memory()
        self._on_round_end()


def _log_failure(job: Future[None]) -> None:
    error = None if job.cancelled() else job.exception()
    if error is not None:
        log.error("what was loaded cannot be shown", exc_info=error)
