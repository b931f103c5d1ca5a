"""Closes the incidents of monitors that the configuration no longer has."""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import replace

from driftwatch.decide.state_codec import encode
from driftwatch.errors import StoreError
from driftwatch.monitor.incident_message import Ending
from driftwatch.monitor.session import Session
from driftwatch.monitor.succession.closing import close
from driftwatch.monitor.succession.damaged_state import readable_state
from driftwatch.store.browsing import Browsing
from driftwatch.store.records import CheckRecord

log = logging.getLogger(__name__)


def close_removed(session: Session, running: Collection[str] = ()) -> None:
    """Close them, except of ``running`` ones, whose check may still open one. Raises ``StoreError``."""
    # A store belongs to one configuration. A renamed monitor is a removed and a new one, until a setting
    # says which name it had: then its rows take the new name before this.
    configured = {item.name for item in session.config.monitors}
    for name in sorted(session.history.incidents.monitors() - configured - set(running)):
        _close_monitor(session, name)


def _close_monitor(session: Session, name: str) -> None:
    history, now = session.history, session.clock.now()
    incidents = history.incidents.of_monitor(name)
    sinks = tuple(item.sink for item in session.config.notify)
    endings = {item.key: Ending.MONITOR_REMOVED for item in incidents}
    closings = close(endings, incidents, Browsing(session.database), sinks, now)
    states = []
    for segment, data in history.states.of_monitor(name):
        state = readable_state(data)
        if state is not None and state.incidents:
            # The monitor may come back, and must not find them.
            states.append((segment, state.decided_until or 0, encode(replace(state, incidents=()))))
    history.commit(
        CheckRecord(
            monitor=name,
            now=now,
            segment_states=states,
            checkpoint=True,
            resolved=closings.resolved,
            messages=closings.messages,
        )
    )
    session.say(f"{name}: {len(incidents)} open incident(s) ended: {Ending.MONITOR_REMOVED}")


class RemovedMonitors:
    # A store that fails now is tried again at the next tick.

    def __init__(self) -> None:
        self.store_errors = 0

    def close(self, session: Session, running: Collection[str]) -> None:
        try:
            close_removed(session, running)
        except StoreError as error:
            self.store_errors += 1
            log.error("incidents of removed monitors cannot be closed", extra={"error": str(error)})
