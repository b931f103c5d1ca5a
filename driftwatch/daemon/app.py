"""Connects the daemon's parts: store, readers, runner, scheduler, delivery and web."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace

from driftwatch import __version__
from driftwatch.config.models import Config, MonitorConfig
from driftwatch.core.clock import Clock
from driftwatch.core.schema import NANOSECONDS
from driftwatch.daemon.metrics.exporter import MetricsPage
from driftwatch.daemon.notifiers import Senders
from driftwatch.daemon.reference_loader import ReferenceLoader
from driftwatch.daemon.runner import MonitorSlot, Runner
from driftwatch.daemon.scheduler import Scheduler
from driftwatch.daemon.status.history_view import HistoryView
from driftwatch.daemon.status.snapshot import MonitorView, Snapshot
from driftwatch.daemon.status.views import refreshed_view, restored_view, unloaded_view
from driftwatch.daemon.systemd import notify_systemd
from driftwatch.daemon.web.http.server import WebServer
from driftwatch.daemon.web.site import create_app
from driftwatch.errors import DriftwatchError, StoreError
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.session import Session, open_session
from driftwatch.store.database import quarantine
from driftwatch.store.locks import DaemonLock

log = logging.getLogger(__name__)

_HOUR = 3600 * NANOSECONDS


class Daemon:
    def __init__(
        self, read: Callable[[], Config], clock: Clock, *, tick_seconds: float = 1.0, deliver: bool = True
    ) -> None:
        #: Loads the configuration.
        self._read = read
        self.clock = clock
        self._tick_seconds = tick_seconds
        #: If false, messages wait in the outbox until ``senders.start`` is called.
        self._deliver = deliver
        self._lock = threading.Lock()
        self._reloading = threading.Lock()
        self._views: dict[str, MonitorView] = {}
        self._loaded: dict[str, int] = {}
        self._stack = ExitStack()
        self._reload_ok, self._reloaded_at = True, clock.now()
        self._started_at = clock.now()
        self._ready = self._ticking = False
        self._retained_at = 0
        self._store_errors = 0

    def start(self, *, wait_loaded: bool = True) -> None:
        """Start the daemon; without ``wait_loaded``, return before all references are built."""
        self.config = self._read()
        self._stack.callback(DaemonLock(self.config.storage.path).release)
        self._store_errors += quarantine(self.config.storage.path, self.clock.now()) is not None
        self.session: Session = self._stack.enter_context(
            open_session(self.config, self.clock, log.info, checkpoints=True)
        )
        self.past = HistoryView(self.session.database)
        self.runner = Runner(
            self.clock,
            self.session.acknowledgements,
            self._update_view,
            workers=self.config.limits.workers,
            catch_up=self.config.limits.catch_up,
        )
        self.loader = ReferenceLoader(self._watch, self._reference_failed, self._all_loaded)
        self.scheduler = Scheduler(self._tick, self.clock, self._tick_seconds)
        self.senders = Senders(self.session)
        # Before the first scrape, so that no alert resolves by a restart.
        self._restore()
        app = create_app(self, self.config.web, self.config.export)
        self._metrics: MetricsPage = app.state.metrics
        # The web server answers before references are built; readiness follows.
        self.server = WebServer(app, self.config.web)
        self.server.start()
        if self._deliver:
            self.senders.start()
        self.scheduler.start()
        self._ticking = True
        # Building references may take longer than systemd waits, and the stored state is served already.
        notify_systemd("READY=1")
        self.loader.load(self.session)
        if wait_loaded:
            self.loader.wait(None)

    def _restore(self) -> None:
        for item in self.config.monitors:
            self._show(item.name, unloaded_view(item))
            try:
                active = self.session.history.references.active(item.name)
                if active is None:
                    continue
                monitor = self.session.with_reference(item, active.reference)
                slot = MonitorSlot(
                    monitor=monitor, last_end=self.session.history.verdicts.last_end(item.name)
                )
                self._loaded[item.name] = active.since
                self._show(item.name, restored_view(slot, self.session.history, active.since))
            except Exception:
                log.exception("stored state cannot be shown", extra={"monitor": item.name})

    def _all_loaded(self) -> None:
        if not self._ready:
            self._ready = True
            log.info("ready", extra={"url": self.server.url, "monitors": len(self._views)})

    def _reference_failed(self, item: MonitorConfig, reason: str) -> None:
        self.runner.count_failure(item.name, "reference_unusable", reason)
        view = self._views[item.name]
        if self.runner.slot(item.name) is not None:
            # A running monitor keeps the reference that it has.
            self._update_view(item.name)
        elif view.reference is not None:
            # The state from before a restart ages on the page; removing it would resolve alerts.
            self._show(item.name, replace(view, last_failure=reason, failures=(("reference_unusable", 1),)))
        else:
            self._show(item.name, unloaded_view(item, reason))

    def _watch(self, item: MonitorConfig, monitor: Monitor, *, stored: bool) -> None:
        if stored and self.runner.slot(item.name) is not None:
            return
        active = self.session.history.references.active(item.name)
        self._loaded[item.name] = active.since if active else self.clock.now()
        self.runner.add(monitor, self.session.history.verdicts.last_end(item.name))
        self._update_view(item.name)

    def _tick(self) -> None:
        self.runner.tick()
        now = self.clock.now()
        self.loader.retry(self.session, now)
        if abs(now - self._retained_at) > _HOUR:
            self._retained_at = now
            self._apply_retention(now)
        notify_systemd("WATCHDOG=1")

    def _apply_retention(self, now: int) -> None:
        retention = self.config.retention
        try:
            self.session.history.forget(
                now - retention.tiles * NANOSECONDS, now - retention.verdicts * NANOSECONDS
            )
        except StoreError as error:
            self._store_errors += 1
            log.error("old history cannot be dropped", extra={"error": str(error)})

    def _show(self, name: str, view: MonitorView) -> None:
        with self._lock:
            self._views = {**self._views, name: view}

    def _update_view(self, name: str) -> None:
        slot = self.runner.slot(name)
        if slot is None:
            return
        loaded = self._loaded.get(name, self._started_at)
        previous = self._views.get(name)
        if previous is None or previous.reference is None:
            view = restored_view(slot, self.session.history, loaded)
        else:
            if previous.reference.fingerprint != slot.monitor.reference.fingerprint:
                loaded = self._loaded[name] = self.clock.now()
            view = refreshed_view(previous, slot, self.session.history, loaded)
        # Rendered before it is shown: a scrape in between would have to render it itself.
        self._metrics.warm(view, self.clock.now())
        self._show(name, view)
        self.senders.wake()

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
            store_errors=self._store_errors + self.runner.store_errors + self.senders.store_errors,
            checks_running=self.runner.running,
            monitors=tuple(self._views.values()),
            sinks=self.senders.views(),
        )

    def now(self) -> int:
        return self.clock.now()

    def reload(self) -> tuple[str, ...]:
        """Apply a valid configuration as a whole, or keep the old one and raise ``DriftwatchError``.

        Returns notes on settings that take effect only at a restart.
        """
        with self._reloading:
            try:
                config = self._read()
                self._swap(config)
            except Exception as error:
                self._reload_ok = False
                if isinstance(error, DriftwatchError):
                    log.error(
                        "reload failed, the running configuration was kept", extra={"error": str(error)}
                    )
                    raise
                log.exception("reload failed, the running configuration was kept")
                raise DriftwatchError(f"reload failed: {type(error).__name__}: {error}") from error
            self._reload_ok, self._reloaded_at = True, self.clock.now()
            log.info("reloaded", extra={"monitors": len(config.monitors)})
            notes = self._deferred_settings(config)
            for note in notes:
                log.warning(note)
            return notes

    def _deferred_settings(self, config: Config) -> tuple[str, ...]:
        if config.limits.workers == self.runner.workers:
            return ()
        return (
            f"limits.workers: {config.limits.workers} takes effect at the next restart; "
            f"until then {self.runner.workers} checks run at the same time.",
        )

    def _swap(self, config: Config) -> None:
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
        names = {item.name for item in config.monitors}
        for name in self._views.keys() - names:
            self.runner.remove(name)
        with self._lock:
            views = {item.name: self._views.get(item.name, unloaded_view(item)) for item in config.monitors}
            self._views = views
        # Missing or changed references are built in the background; until then a monitor keeps its old one.
        self.loader.load(session)

    def close(self) -> None:
        # Only for a start that failed; a running daemon is ended by ``stop``.
        self._stack.close()

    def stop(self) -> bool:
        """Stop within ``limits.shutdown``; a check still running then is abandoned and commits nothing."""
        notify_systemd("STOPPING=1")
        self._ready = False
        self.scheduler.stop()
        self.loader.stop()
        finished = self.runner.stop(self.config.limits.shutdown)
        self.senders.stop(2.0)
        self.server.stop(2.0)
        if not finished:
            # A read that fails because its reader was killed must not be recorded as the source's failure.
            self.session.database.close()
        self._stack.close()
        finished = self.loader.wait(1.0) and finished
        log.info("stopped", extra={"finished": finished})
        return finished
