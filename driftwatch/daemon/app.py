"""Connects the daemon's parts: store, readers, runner, scheduler, delivery and web."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial

from driftwatch import __version__
from driftwatch.config.models import Config, MonitorConfig
from driftwatch.core.clock import Clock
from driftwatch.daemon.metrics.exporter import MetricsPage
from driftwatch.daemon.notifiers import Senders
from driftwatch.daemon.own_health.clock.clock_watch import TrustedClock
from driftwatch.daemon.own_health.clock.clock_witness import compare_with_store
from driftwatch.daemon.own_health.health_board import HealthBoard
from driftwatch.daemon.own_health.loops.loop_supervisor import LoopSupervisor
from driftwatch.daemon.own_health.loops.reader_starter import ReaderStarter
from driftwatch.daemon.own_health.store.store_damage import watch_damage
from driftwatch.daemon.reference_loader import ReferenceLoader
from driftwatch.daemon.retention import StoreCare
from driftwatch.daemon.runner import Runner
from driftwatch.daemon.scheduler import Scheduler
from driftwatch.daemon.status.history_view import HistoryView
from driftwatch.daemon.status.monitor_slot import MonitorSlot
from driftwatch.daemon.status.monitor_views import MonitorViews
from driftwatch.daemon.status.snapshot import Snapshot
from driftwatch.daemon.systemd import notify_systemd
from driftwatch.daemon.web.http.server import WebServer
from driftwatch.daemon.web.site import create_app
from driftwatch.errors import DriftwatchError, StoreError
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.session import Session, open_session
from driftwatch.store.locks import DaemonLock
from driftwatch.store.records import ActiveReference
from driftwatch.store.recovery.corrupt_file import CorruptFiles
from driftwatch.store.reserve import Reserve
from driftwatch.store.tables.start_order import StartOrder

log = logging.getLogger(__name__)


class Daemon:
    def __init__(
        self, read: Callable[[], Config], clock: Clock, *, tick_seconds: float = 1.0, deliver: bool = True
    ) -> None:
        #: Loads the configuration.
        self._read = read
        self.health = HealthBoard()
        self.clock = TrustedClock(clock, self.health.troubles)
        self.health.clock = self.clock.health
        self._tick_seconds = tick_seconds
        #: If false, messages wait in the outbox until ``senders.start`` is called.
        self._deliver = deliver
        self._stack = ExitStack()
        # One reload at a time. Its failure, a bug too, is the job's result and ends no other thread.
        self._reloads = ThreadPoolExecutor(1, thread_name_prefix="reload")
        self._reload_ok, self._reloaded_at = True, clock.now()
        self._started_at = clock.now()
        self._ready = self._ticking = False
        #: Ends the process with an error, for its supervisor; with the reason. Set by who runs it.
        self.on_give_up: Callable[[str], None] = lambda reason: None

    def start(self, *, wait_loaded: bool = True) -> None:
        """Start the daemon; without ``wait_loaded``, return before all references are built."""
        self.config = self._read()
        with ExitStack() as stack:
            lock = DaemonLock(self.config.storage.path)
            stack.callback(lock.release)
            is_full = Reserve(self.config.storage.path).release_if_full()
            self._corrupt_files = CorruptFiles(self.config.storage.path, self.clock.now)
            session = stack.enter_context(
                open_session(
                    self.config, self.clock, log.info, checkpoints=True, prepare=self._corrupt_files.set_aside
                )
            )
            self._create_parts(session, lock)
            stack.callback(self.store_care.watch.stop)
            stack.callback(self.loader.stop)
            # Before the first scrape, so that no alert resolves by a restart.
            self.views.show_configured(self.config.monitors)
            self.store_care.begin(is_full=is_full)
            # The web server answers before references are built; readiness follows.
            self.server.start()
            if self._deliver:
                self.senders.start()
            self.store_care.watch.start(self._tick_seconds)
            self.scheduler.start()
            self._ticking = True
            stack.callback(self.supervisor.stop)
            self.supervisor.start()
            # Building references may take longer than systemd waits, and the stored state is served already.
            notify_systemd("READY=1")
            if self.store_care.has_history:
                self.loader.load(self.session, first_monitor(self.session))
            # A start that fails leaves neither lock nor readers behind; after this one ``stop`` closes them.
            self._stack = stack.pop_all()
        if wait_loaded:
            self.loader.wait(None)

    def _create_parts(self, session: Session, lock: DaemonLock) -> None:
        self.session = session
        compare_with_store(self.clock, session.history, [item.name for item in self.config.monitors])
        watch_damage(self.health, session.database, self.clock.now)
        self.past = HistoryView(session.database)
        self.views = MonitorViews(session.history, self.clock)
        self.runner = Runner(
            self.clock,
            session.acknowledgements,
            self._update_view,
            workers=self.config.limits.workers,
            catch_up=self.config.limits.catch_up,
        )
        self.loader = ReferenceLoader(
            on_stored=self._show_stored,
            on_loaded=self._watch,
            on_failure=self._reference_failed,
            on_round_end=self._all_loaded,
            workers=self.config.limits.workers,
        )
        self.scheduler = Scheduler(self._tick, self.clock, self._tick_seconds)
        self.senders = Senders(session)
        self.store_care = StoreCare(
            session,
            lock,
            self.clock,
            runner=self.runner,
            loader=self.loader,
            views=self.views,
            senders=self.senders,
            health=self.health,
            on_loss=lambda reason: self.on_give_up(reason),
        )
        app = create_app(self, self.config.web, self.config.export)
        self._metrics: MetricsPage = app.state.metrics
        self.server = WebServer(app, self.config.web)
        self.health.oldest_check_seconds = self.runner.steps.oldest_seconds
        readers = ReaderStarter(session.readers.starter)
        self.supervisor = LoopSupervisor(
            (self.scheduler, self.senders, self.server, self.loader, self.runner, readers),
            self.health,
            self.clock.now,
            tick_seconds=self._tick_seconds,
            feed_watchdog=partial(notify_systemd, "WATCHDOG=1"),
            end_process=lambda reason: self.on_give_up(reason),
        )

    def _show_stored(self, item: MonitorConfig, active: ActiveReference) -> None:
        monitor = self.session.with_reference(item, active.reference)
        last_end = self.session.history.verdicts.last_end(item.name)
        self.views.set_reference_since(item.name, active.since)
        self.views.show_stored(MonitorSlot(monitor=monitor, last_end=last_end))

    def _all_loaded(self) -> None:
        if not self._ready:
            self._ready = True
            log.info("ready", extra={"url": self.server.url, "monitors": len(self.views.all())})

    def _reference_failed(self, item: MonitorConfig, reason: str) -> None:
        slot = self.runner.slot(item.name)
        if slot is not None:
            # It goes on with the reference that it has.
            slot.tally.count_failure("reference_unusable", reason)
        self.views.show_reference_failure(item, reason, slot)

    def _watch(self, item: MonitorConfig, monitor: Monitor, *, stored: bool) -> None:
        if stored and self.runner.slot(item.name) is not None:
            return
        active = self.session.history.references.active(item.name)
        self.views.set_reference_since(item.name, active.since if active else self.clock.now())
        history = self.session.history
        self.runner.add(monitor, history.verdicts.last_end(item.name), history.owed.count(item.name))
        # A reload may have removed the monitor while its reference was being read.
        if self.config.monitor(item.name) is None:
            self.runner.remove(item.name)
        self._update_view(item.name)

    def _update_view(self, name: str) -> None:
        slot = self.runner.slot(name)
        if slot is None:
            return
        view = self.views.next_view(slot)
        # Rendered before it is shown: a scrape in between would have to render it itself.
        self._metrics.warm(view, self.clock.now())
        self.views.show(view)
        self.senders.wake()

    def _tick(self) -> None:
        if self.store_care.watch.may_decide:
            self.runner.tick()
            self.loader.retry(self.session, self.clock.steady())
        self.store_care.tick(self.session, self._tick_seconds)

    def snapshot(self) -> Snapshot:
        return Snapshot(
            version=__version__,
            taken_at=self.clock.now(),
            started_at=self._started_at,
            ready=self._ready,
            scheduler_tick_at=self.scheduler.last_tick,
            scheduler_alive=not self._ticking or self.scheduler.alive,
            scheduler_ticks_lost=self.scheduler.lost,
            reload_successful=self._reload_ok,
            reload_success_at=self._reloaded_at,
            store_errors=self._corrupt_files.count
            + self.runner.store_errors
            + self.store_care.store_errors
            + self.senders.store_errors,
            checks_running=self.runner.running,
            monitors=self.views.all(),
            sinks=self.senders.views(),
            own_health=self.health.view(),
        )

    def now(self) -> int:
        return self.clock.now()

    def reload(self) -> tuple[str, ...]:
        """Apply a valid configuration as a whole, or keep the old one and raise ``DriftwatchError``.

        Returns notes on settings that take effect only at a restart.
        """
        try:
            job = self._reloads.submit(self._reload)
            error = job.exception()
        except (RuntimeError, CancelledError) as stopped:
            raise DriftwatchError("reload: expected a running daemon. It is being stopped.") from stopped
        if error is None:
            return job.result()
        if isinstance(error, DriftwatchError):
            log.error("reload failed, the running configuration was kept", extra={"error": str(error)})
            raise error
        log.error("reload failed, the running configuration was kept", exc_info=error)
        raise DriftwatchError(f"reload failed: {type(error).__name__}: {error}") from error

    def _reload(self) -> tuple[str, ...]:
        is_applied = False
        try:
            config = self._read()
            self._apply(config)
            is_applied = True
        finally:
            self._reload_ok = is_applied
        self._reloaded_at = self.clock.now()
        log.info("reloaded", extra={"monitors": len(config.monitors)})
        notes = deferred_settings(config, self.runner.workers)
        for note in notes:
            log.warning(note)
        return notes

    def _apply(self, config: Config) -> None:
        if config.storage != self.config.storage or config.web != self.config.web:
            raise DriftwatchError(
                "storage and web: expected them unchanged at a reload. They changed; restart the daemon."
            )
        session = self.session.reconfigured(config)
        # Steps that can fail come first, so that no configuration is applied in part.
        self.server.reload_certificate()
        self.senders.reconfigure(session)
        self.config, self.session = config, session
        self._metrics.reconfigure(config.export)
        self.runner.catch_up = config.limits.catch_up
        self.views.show_configured(config.monitors)
        for slot in self.runner.slots():
            if config.monitor(slot.monitor.config.name) is None:
                self.runner.remove(slot.monitor.config.name)
        self.store_care.session = session
        self.store_care.close_removed()
        # Missing or changed references are built in the background; until then a monitor keeps its old one.
        self.loader.load(session)

    def stop(self) -> bool:
        """Stop within ``limits.shutdown``; a check still running then is abandoned and commits nothing."""
        notify_systemd("STOPPING=1")
        self._ready = False
        self.supervisor.stop()
        self.scheduler.stop()
        self.store_care.watch.stop()
        self.loader.stop()
        finished = self.runner.stop(self.config.limits.shutdown)
        self.senders.stop(2.0)
        self.server.stop(2.0)
        self._reloads.shutdown(wait=False, cancel_futures=True)
        if not finished:
            # A read that fails because its reader was killed must not be recorded as the source's failure.
            self.session.database.close()
        self._stack.close()
        finished = self.loader.wait(1.0) and finished
        log.info("stopped", extra={"finished": finished})
        return finished


def first_monitor(session: Session) -> str | None:
    """Return the monitor that this start begins with; None: the configuration's first."""
    try:
        return StartOrder(session.database).advance([item.name for item in session.config.monitors])
    except StoreError as error:
        log.error("the order of this start cannot be stored", extra={"error": str(error)})
        return None


def deferred_settings(config: Config, workers: int) -> tuple[str, ...]:
    """Return notes on settings that a daemon with ``workers`` workers applies only when it restarts."""
    if config.limits.workers == workers:
        return ()
    return (
        f"limits.workers: {config.limits.workers} takes effect at the next restart; "
        f"until then {workers} checks run at the same time.",
    )
