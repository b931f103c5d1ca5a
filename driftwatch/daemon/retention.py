"""Takes care of the store beside the ticks: old history, removed monitors, and a disk that fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial

from driftwatch.config.models import Config, RetentionConfig
from driftwatch.core.schema import NANOSECONDS
from driftwatch.daemon.notifiers import Senders
from driftwatch.daemon.own_health.background_job import BackgroundJob
from driftwatch.daemon.own_health.clock.clock_watch import TrustedClock
from driftwatch.daemon.own_health.health_board import HealthBoard
from driftwatch.daemon.own_health.store.store_watch import StoreEvents, StoreWatch
from driftwatch.daemon.reference_loader import ReferenceLoader
from driftwatch.daemon.runner import Runner
from driftwatch.daemon.status.monitor_views import MonitorViews
from driftwatch.errors import StoreError
from driftwatch.monitor.session import Session
from driftwatch.monitor.succession.lost_history import end_lost
from driftwatch.monitor.succession.removed_monitors import RemovedMonitors
from driftwatch.store.database import Footing
from driftwatch.store.history import History
from driftwatch.store.locks import DaemonLock
from driftwatch.store.reserve import Reserve

log = logging.getLogger(__name__)

_HOUR = 3600 * NANOSECONDS


class Retention:
    def __init__(self, history: History) -> None:
        self._history = history
        # On the steady clock.
        self._applied_at: int | None = None
        self.store_errors = 0

    def apply_next(self) -> None:
        """Let the next ``apply`` delete, however short ago the last one was."""
        self._applied_at = None

    def apply(self, config: RetentionConfig, now: int, steady: int) -> None:
        if self._applied_at is not None and abs(steady - self._applied_at) <= _HOUR:
            return
        self._applied_at = steady
        try:
            self._history.forget(now - config.tiles * NANOSECONDS, now - config.verdicts * NANOSECONDS)
        except StoreError as error:
            self.store_errors += 1
            log.error("old history cannot be dropped", extra={"error": str(error)})


class StoreCare:
    """Nothing here is done by the thread of the ticks, which never waits for the disk."""

    def __init__(
        self,
        session: Session,
        lock: DaemonLock,
        clock: TrustedClock,
        *,
        runner: Runner,
        loader: ReferenceLoader,
        views: MonitorViews,
        senders: Senders,
        health: HealthBoard,
        on_loss: Callable[[str], None],  # the process has to end, with the reason
    ) -> None:
        #: Replaced at a reload.
        self.session = session
        self._clock = clock
        self._runner, self._loader = runner, loader
        self._retention, self._removed_monitors = Retention(session.history), RemovedMonitors()
        self._troubles, self._lost_errors = health.troubles, 0
        self._job = BackgroundJob(self._tend, "store-jobs")
        events = StoreEvents(
            sinks=lambda: senders.sinks,
            announce=senders.announce,
            adopt=senders.announcements.adopt,
            incident_keys=lambda: tuple(item.key for view in views.all() for item in view.incidents),
            url=partial(_own_page, session.config),
            on_full=self._drop_history,
            on_recovery=self._go_on,
            on_loss=on_loss,
        )
        reserve = Reserve(session.config.storage.path)
        self.watch = StoreWatch(session.database, lock, reserve, session.clock, health.troubles, events)
        senders.announcements.on_delivered = self.watch.note_delivery
        health.store = self.watch.health

    @property
    def store_errors(self) -> int:
        return self._retention.store_errors + self._removed_monitors.store_errors + self._lost_errors

    @property
    def has_history(self) -> bool:
        return self.session.database.footing is not Footing.MEMORY

    def begin(self, *, is_full: bool) -> None:
        self.watch.begin(is_full=is_full)
        self._end_lost()
        self.close_removed()
        if self.has_history:
            self._loader.restore(self.session)

    def tick(self, session: Session, tick_seconds: float) -> None:
        self.session = session
        self._job.run()
        self.watch.start(tick_seconds)

    def _end_lost(self) -> None:
        if not self.watch.may_decide:
            return
        try:
            end_lost(self.session, self._troubles.note)
        except StoreError as error:
            # The note of the loss stays until it is told.
            self._lost_errors += 1
            log.error("what was lost with a history cannot be told yet", extra={"error": str(error)})

    def close_removed(self) -> None:
        if self.watch.may_decide:
            self._removed_monitors.close(self.session, self._runner.leaving)

    def _tend(self) -> None:
        if self._clock.is_proven:
            self._retention.apply(self.session.config.retention, self._clock.now(), self._clock.steady())
        self.close_removed()

    def _drop_history(self) -> None:
        self._retention.apply_next()
        self._job.run()

    def _go_on(self, is_first: bool) -> None:
        """Go on after an outage of the store; ``is_first`` when it could not be read before."""
        self._end_lost()
        for slot in self._runner.slots():
            slot.backoff.end()
            slot.owed_backoff.end()
        if is_first:
            self._loader.restore(self.session)
            self._loader.load(self.session)


def _own_page(config: Config) -> str:
    return f"{config.web.site_url.rstrip('/')}/daemon"
