"""The runner's state of one monitor, and the counters of its checks."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass, field

from driftwatch.monitor.check import Monitor, Outcome


@dataclass(slots=True)
class Tally:
    """Counters and times of one monitor's checks since the process started."""

    checks: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    rows_read: int = 0
    late_rows: int = 0
    untimed_rows: int | None = None
    last_run_at: int | None = None
    last_success_at: int | None = None
    last_failure: str = ""
    newest_row_at: int | None = None
    duration_seconds: float | None = None
    read_seconds: float | None = None


@dataclass(slots=True)
class MonitorSlot:
    monitor: Monitor
    last_end: int | None
    last_refresh: int = 0
    tally: Tally = field(default_factory=Tally)
    #: The newest check: queued, running or done.
    running: Future[None] | None = None
    not_before: int = 0
    failures_in_row: int = 0
    outcome: Outcome | None = None
    #: The monitor that takes over between two windows.
    replacement: Monitor | None = None
    removed: bool = False

    @property
    def busy(self) -> bool:
        return self.running is not None and not self.running.done()
