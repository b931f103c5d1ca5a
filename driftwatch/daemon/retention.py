"""Deletes old history, once an hour."""

from __future__ import annotations

import logging

from driftwatch.config.models import RetentionConfig
from driftwatch.core.schema import NANOSECONDS
from driftwatch.errors import StoreError
from driftwatch.store.history import History

log = logging.getLogger(__name__)

_HOUR = 3600 * NANOSECONDS


class Retention:
    def __init__(self, history: History) -> None:
        self._history = history
        # On the steady clock.
        self._applied_at: int | None = None
        self.store_errors = 0

    def apply(self, config: RetentionConfig, now: int, steady: int) -> None:
        if self._applied_at is not None and abs(steady - self._applied_at) <= _HOUR:
            return
        self._applied_at = steady
        try:
            self._history.forget(now - config.tiles * NANOSECONDS, now - config.verdicts * NANOSECONDS)
        except StoreError as error:
            self.store_errors += 1
            log.error("old history cannot be dropped", extra={"error": str(error)})
