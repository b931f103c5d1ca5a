"""Runs what may wait for the disk beside the ticks, never twice at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable


class BackgroundJob:
    def __init__(self, work: Callable[[], None], name: str) -> None:
        self._work, self._name = work, name
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Begin a run, unless the last one is still going on; called by one thread."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
