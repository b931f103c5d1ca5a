"""The composition root: store, readers, runner, scheduler, delivery, web; start, reload, stop."""

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
from driftwatch.daemon.reference_loader import Loader
from driftwatch.daemon.runner import Runner, Slot
from driftwatch.daemon.scheduler import Scheduler
from driftwatch.daemon.status.history_view import Past
from driftwatch.daemon.status.snapshot import MonitorView, Snapshot
from driftwatch.daemon.status.views import refreshed_view, restored_view, unloaded_view
from driftwatch.daemon.systemd import notify_systemd
from driftwatch.daemon.web.http.server import WebServer
from driftwatch.daemon.web.site import create_app
from driftwatch.errors import DriftwatchError, StoreError
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.session import Session, opened
from driftwatch.store.database import quarantine
from driftwatch.store.locks import DaemonLock

log = logging.getLogger(__name__)

_HOUR = 3600 * NANOSECONDS


class Daemon:
    """The running process. ``read`` loads the configuration anew each time it is called.

    Without ``deliver`` messages wait in the outbox until ``senders.start`` is called.
    """

    def __init__(
        self, read: Callable[[], Config], clock: Clock, *, tick_seconds: float = 1.0, deliver: bool = True
    ) -> None:
        self._read = read
        self.clock = clock
        self._tick_seconds = tick_seconds
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
        """Open everything and begin. The web answers before references are built; ready comes after.

        Without ``wait_loaded`` references are built behind, so that a signal is heard meanwhile.
        """
        self.config = self._read()
        self._stack.callback(DaemonLock(self.config.storage.path).release)
        self._store_errors += quarantine(self.config.storage.path, self.clock.now()) is not None
        self.session: Session = self._stack.enter_context(
            opened(self.config, self.clock, log.info, checkpoints=True)
        )
        self.past = Past(self.session.database)
        self.runner = Runner(
            self.clock,
            self.session.acknowledgements,
            self._changed,
            workers=self.config.limits.workers,
            catch_up=self.config.limits.catch_up,
        )
        self.loader = Loader(self._watch, self._unusable, self._all_loaded)
        self.scheduler = Scheduler(self._tick, self.clock, self._tick_seconds)
        self.senders = Senders(self.session)
        self._restore()
        app = create_app(self, self.config.web, self.config.export)
        self._metrics: MetricsPage = app.state.metrics
        self.server = WebServer(app, self.config.web)
        self.server.start()
        if self._deliver:
            self.senders.start()
        self.scheduler.start()
        self._ticking = True
        # Building references may take longer than a supervisor waits, and the stored state is served already.
        notify_systemd("READY=1")
        self.loader.load(self.session)
        if wait_loaded:
            self.loader.wait(None)

    def _restore(self) -> None:
        """Show what the store knows before the first scrape, so that no alert resolves by a restart."""
        for item in self.config.monitors:
            self._show(item.name, unloaded_view(item))
            try:
                active = self.session.history.active_reference(item.name)
                if active is None:
                    continue
                monitor = self.session.with_reference(item, active[0])
                slot = Slot(monitor=monitor, last_end=self.session.history.last_end(item.name))
                self._loaded[item.name] = active[2]
                self._show(item.name, restored_view(slot, self.session.history, active[2]))
            except Exception:
                log.exception("stored state cannot be shown", extra={"monitor": item.name})

    def _all_loaded(self) -> None:
        if not self._ready:
            self._ready = True
            log.info("ready", extra={"url": self.server.url, "monitors": len(self._views)})

    def _unusable(self, item: MonitorConfig, why: str) -> None:
        """Its reference cannot be had: a monitor that runs goes on with the one it has."""
        self.runner.failed(item.name, "reference_unusable", why)
        shown = self._views[item.name]
        if self.runner.slot(item.name) is not None:
            self._changed(item.name)
        elif shown.reference is not None:
            # What was known before a restart ages on the page; taking it away would resolve alerts.
            self._show(item.name, replace(shown, last_failure=why, failures=(("reference_unusable", 1),)))
        else:
            self._show(item.name, unloaded_view(item, why))

    def _watch(self, item: MonitorConfig, monitor: Monitor, *, stored: bool) -> None:
        if stored and self.runner.slot(item.name) is not None:
            return
        active = self.session.history.active_reference(item.name)
        self._loaded[item.name] = active[2] if active else self.clock.now()
        self.runner.add(monitor, self.session.history.last_end(item.name))
        self._changed(item.name)

    def _tick(self) -> None:
        self.runner.tick()
        now = self.clock.now()
        self.loader.retry(self.session, now)
        if abs(now - self._retained_at) > _HOUR:
            self._retained_at = now
            self._forget(now)
        notify_systemd("WATCHDOG=1")

    def _forget(self, now: int) -> None:
        keep = self.config.retention
        try:
            self.session.history.forget(now - keep.tiles * NANOSECONDS, now - keep.verdicts * NANOSECONDS)
        except StoreError as error:
            self._store_errors += 1
            log.error("old history cannot be dropped", extra={"error": str(error)})

    def _show(self, name: str, view: MonitorView) -> None:
        with self._lock:
            self._views = {**self._views, name: view}

    def _changed(self, name: str) -> None:
        slot = self.runner.slot(name)
        if slot is None:
            return
        loaded = self._loaded.get(name, self._started_at)
        old = self._views.get(name)
        if old is None or old.reference is None:
            view = restored_view(slot, self.session.history, loaded)
        else:
            if old.reference.fingerprint != slot.monitor.reference.fingerprint:
                loaded = self._loaded[name] = self.clock.now()
            view = refreshed_view(old, slot, self.session.history, loaded)
        # First rendered, then shown: a scrape in between would render it once more, and wait for that.
        self._metrics.warm(view, self.clock.now())
        self._show(name, view)
        self.senders.wake()

    def snapshot(self) -> Snapshot:
        """The whole process at this moment."""
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
        """Nanoseconds since 1970 UTC."""
        return self.clock.now()

    def reload(self) -> tuple[str, ...]:
        """Swap in a whole valid configuration, or keep the old one and say so.

        Returns what of it takes effect only later, for people. References that are missing or changed are
        built behind; until then a monitor goes on as it was.
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
            notes = self._waiting(config)
            for note in notes:
                log.warning(note)
            return notes

    def _waiting(self, config: Config) -> tuple[str, ...]:
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
        # Whatever can refuse comes first: past it nothing is half swapped.
        self.server.reload_certificate()
        self.senders.reconfigure(session)
        self.config, self.session = config, session
        self._metrics.reconfigure(config.export)
        self.runner.catch_up = config.limits.catch_up
        kept = {item.name for item in config.monitors}
        for name in self._views.keys() - kept:
            self.runner.remove(name)
        with self._lock:
            views = {item.name: self._views.get(item.name, unloaded_view(item)) for item in config.monitors}
            self._views = views
        self.loader.load(session)

    def close(self) -> None:
        """Let go of what a start that failed has opened."""
        self._stack.close()

    def stop(self) -> bool:
        """Finish or abandon what is going on within ``limits.shutdown``; nothing half done is kept."""
        notify_systemd("STOPPING=1")
        self._ready = False
        self.scheduler.stop()
        self.loader.stop()
        finished = self.runner.stop(self.config.limits.shutdown)
        self.senders.stop(2.0)
        self.server.stop(2.0)
        if not finished:
            # A read that ends because its reader is killed must not be taken for the source's failure.
            self.session.database.close()
        self._stack.close()
        finished = self.loader.wait(1.0) and finished
        log.info("stopped", extra={"finished": finished})
        return finished
