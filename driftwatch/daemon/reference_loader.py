"""References are built or loaded in a thread of their own: a slow one holds up neither ticks nor signals."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from typing import Protocol

from driftwatch.config.models import MonitorConfig
from driftwatch.core.memory import give_back
from driftwatch.core.schema import NANOSECONDS
from driftwatch.errors import DriftwatchError, ReaderDied, SourceTimeout, SourceUnavailable
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.session import Session

log = logging.getLogger(__name__)

#: Seconds between attempts at a reference that could not be had.
_RETRY_SECONDS = 60
#: Files that cannot be looked at now may come back; the stored reference serves meanwhile.
_PASSING = (SourceUnavailable, SourceTimeout, ReaderDied)


class Watch(Protocol):
    """Begin to watch a monitor; ``stored`` when its reference could not be compared with its files."""

    def __call__(self, item: MonitorConfig, monitor: Monitor, *, stored: bool) -> None: ...


class Loader:
    """Loads monitors one after the other. One that cannot be had leaves the others, and is tried again.

    ``unusable`` is called with a monitor's configuration and the reason, ``loaded`` after each round.
    """

    def __init__(
        self, watch: Watch, unusable: Callable[[MonitorConfig, str], None], loaded: Callable[[], None]
    ) -> None:
        self._watch = watch
        self._unusable = unusable
        self._loaded = loaded
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._stopping = threading.Event()
        self._round: Future[None] | None = None
        self._newest: Session | None = None
        self._missing: set[str] = set()
        self._tried_at = 0

    def load(self, session: Session) -> None:
        """Load every monitor of the session; a round for an older session ends early."""
        self._newest = session
        self._round = self._thread.submit(self._load_all, session, None)

    def retry(self, session: Session, now: int) -> None:
        """Try again what could not be had, once in a while. ``now`` is nanoseconds."""
        idle = self._round is None or self._round.done()
        if self._missing and idle and abs(now - self._tried_at) >= _RETRY_SECONDS * NANOSECONDS:
            self._tried_at = now
            self._round = self._thread.submit(self._load_all, session, frozenset(self._missing))

    def wait(self, seconds: float | None) -> bool:
        """Wait for the round under way; False when the time is over first."""
        return self._round is None or not wait_for([self._round], timeout=seconds).not_done

    def stop(self) -> None:
        """Begin nothing more; the read under way ends when the readers are closed."""
        self._stopping.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _load_all(self, session: Session, only: frozenset[str] | None) -> None:
        names = {item.name for item in session.config.monitors}
        self._missing &= names
        for item in session.config.monitors:
            if only is not None and item.name not in only:
                continue
            if self._stopping.is_set() or self._newest is not session:
                return
            try:
                self._load(session, item)
            except Exception as error:
                if self._stopping.is_set():
                    return
                known = isinstance(error, DriftwatchError)
                facts = {"monitor": item.name, "error": str(error)}
                log.error("reference unusable", exc_info=None if known else error, extra=facts)
                self._missing.add(item.name)
                self._unusable(item, str(error))
        give_back()
        self._loaded()

    def _load(self, session: Session, item: MonitorConfig) -> None:
        try:
            monitor = session.monitor(item)
        except _PASSING as error:
            active = session.history.active_reference(item.name)
            if active is None or self._stopping.is_set():
                raise
            log.warning(
                "the reference's files cannot be read, the stored reference is used",
                extra={"monitor": item.name, "error": str(error)},
            )
            self._missing.add(item.name)
            self._watch(item, session.with_reference(item, active[0]), stored=True)
            return
        if self._newest is session:
            self._missing.discard(item.name)
            self._watch(item, monitor, stored=False)
