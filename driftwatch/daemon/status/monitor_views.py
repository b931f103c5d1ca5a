"""Holds the newest view of every monitor; each is replaced as a whole."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from driftwatch.config.models import MonitorConfig
from driftwatch.core.clock import Clock
from driftwatch.daemon.status.monitor_slot import MonitorSlot
from driftwatch.daemon.status.snapshot import MonitorView
from driftwatch.daemon.status.views import refreshed_view, restored_view, unloaded_view
from driftwatch.store.history import History


class MonitorViews:
    """Thread-safe."""

    def __init__(self, history: History, clock: Clock) -> None:
        self._history = history
        self._clock = clock
        self._started_at = clock.now()
        self._lock = threading.Lock()
        self._views: dict[str, MonitorView] = {}
        #: Since when each monitor's reference is in force, nanoseconds.
        self._reference_since: dict[str, int] = {}

    def all(self) -> tuple[MonitorView, ...]:
        return tuple(self._views.values())

    def show(self, view: MonitorView) -> None:
        with self._lock:
            # A reload may have removed the monitor during its turn.
            if view.name in self._views:
                self._views = {**self._views, view.name: view}

    def show_configured(self, configs: Sequence[MonitorConfig]) -> None:
        """Show the configured monitors and no others."""
        with self._lock:
            self._views = {item.name: self._views.get(item.name, unloaded_view(item)) for item in configs}

    def show_stored(self, slot: MonitorSlot) -> None:
        """Show a monitor's state as the history has it."""
        self.show(restored_view(slot, self._history, self._since(slot)))

    def show_reference_failure(self, config: MonitorConfig, reason: str, slot: MonitorSlot | None) -> None:
        """Show that a reference cannot be loaded; ``slot`` is that of a running monitor."""
        with self._lock:
            view = self._views.get(config.name)
            if view is None:
                return
            if view.reference is None:
                view = unloaded_view(config, reason)
            else:
                # The state ages on the page; removing it would resolve alerts.
                failures = {"reference_unusable": 1} if slot is None else slot.tally.failures
                view = replace(view, last_failure=reason, failures=tuple(sorted(failures.items())))
            self._views = {**self._views, config.name: view}

    def set_reference_since(self, name: str, since: int) -> None:
        with self._lock:
            self._reference_since[name] = since

    def next_view(self, slot: MonitorSlot) -> MonitorView:
        """Build the view after a turn, which is not shown yet."""
        previous = self._views.get(slot.monitor.config.name)
        if previous is None or previous.reference is None:
            return restored_view(slot, self._history, self._since(slot))
        if previous.reference.fingerprint != slot.monitor.reference.fingerprint:
            self.set_reference_since(previous.name, self._clock.now())
        return refreshed_view(previous, slot, self._history, self._since(slot))

    def _since(self, slot: MonitorSlot) -> int:
        return self._reference_since.get(slot.monitor.config.name, self._started_at)
