"""Builds or loads references in a separate thread, so that a slow one delays neither ticks nor signals."""

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

log = logging.getLogger(__name__)

#: Seconds between attempts to load a reference that failed.
_RETRY_SECONDS = 60
#: Errors that may pass; the stored reference serves meanwhile.
_TRANSIENT_ERRORS = (SourceUnavailable, SourceTimeout, ReaderDied)


class OnLoaded(Protocol):
    #: ``stored``: the reference is the stored one and could not be compared with its files.
    def __call__(self, item: MonitorConfig, monitor: Monitor, *, stored: bool) -> None: ...


class ReferenceLoader:
    """Loads references one after the other; one that fails is retried and does not stop the others."""

    def __init__(
        self,
        on_loaded: OnLoaded,
        on_failure: Callable[[MonitorConfig, str], None],  # with the reason
        on_round_end: Callable[[], None],
    ) -> None:
        self._on_loaded = on_loaded
        self._on_failure = on_failure
        self._on_round_end = on_round_end
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="load")
        self._stopping = threading.Event()
        self._round: Future[None] | None = None
        self._newest: Session | None = None
        self._missing: set[str] = set()
        self._tried_at = 0

    def load(self, session: Session) -> None:
        """Load the references of all monitors; loading for an older session ends early."""
        self._newest = session
        self._round = self._thread.submit(self._load_all, session, None)

    def retry(self, session: Session, now: int) -> None:
        """Retry failed references at intervals; ``now`` is in nanoseconds."""
        is_idle = self._round is None or self._round.done()
        if self._missing and is_idle and abs(now - self._tried_at) >= _RETRY_SECONDS * NANOSECONDS:
            self._tried_at = now
            self._round = self._thread.submit(self._load_all, session, frozenset(self._missing))

    def wait(self, seconds: float | None) -> bool:
        """Wait until loading ends; False means that ``seconds`` passed first."""
        return self._round is None or not wait_for([self._round], timeout=seconds).not_done

    def stop(self) -> None:
        """Start no more loads; a running read ends when the readers are closed."""
        self._stopping.set()
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _load_all(self, session: Session, names: frozenset[str] | None) -> None:
        self._missing &= {item.name for item in session.config.monitors}
        for item in session.config.monitors:
            if names is not None and item.name not in names:
                continue
            if self._stopping.is_set() or self._newest is not session:
                return
            try:
                self._load(session, item)
            except Exception as error:
                if self._stopping.is_set():
                    return
                is_expected = isinstance(error, DriftwatchError)
                facts = {"monitor": item.name, "error": str(error)}
                log.error("reference unusable", exc_info=None if is_expected else error, extra=facts)
                self._missing.add(item.name)
                self._on_failure(item, str(error))
        release_memory()
        self._on_round_end()

    def _load(self, session: Session, item: MonitorConfig) -> None:
        try:
            monitor = session.monitor(item)
        except _TRANSIENT_ERRORS as error:
            active = session.history.references.active(item.name)
            if active is None or self._stopping.is_set():
                raise
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
