"""Counters and times of one monitor's checks since the process started."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from driftwatch.monitor.check import Outcome


@dataclass(slots=True)
class Tally:
    checks: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    rows_read: int = 0
    late_rows: int = 0
    corrected_slices: int = 0
    untimed_rows: int | None = None
    #: Stamped before the history, and in the future.
    stray_rows: tuple[int, int] | None = None
    #: Times are nanoseconds.
    last_run_at: int | None = None
    last_success_at: int | None = None
    last_failure: str = ""
    newest_row_at: int | None = None
    duration_seconds: float | None = None
    read_seconds: float | None = None

    def count_check(self, outcome: Outcome, started_at: int, seconds: float) -> None:
        self.checks += 1
        self.last_run_at = started_at
        self.duration_seconds = seconds
        self.read_seconds = outcome.reading.read_seconds
        self.rows_read += outcome.reading.rows_read
        self.newest_row_at = outcome.reading.newest_row or self.newest_row_at
        for item in outcome.verdicts[0].rejected_files:
            self.rejected[str(item.problem)] += 1
        if outcome.failure is None:
            self.last_success_at = started_at
            self.last_failure = ""

    def count_look(self, outcome: Outcome, now: int) -> None:
        """Count a check of a past window, which tells nothing of the newest."""
        self.checks += 1
        self.rows_read += outcome.reading.rows_read
        if outcome.failure is None:
            self.last_success_at = now
        else:
            self.count_failure(str(outcome.failure))

    def count_failure(self, reason: str, detail: str | None = None) -> None:
        """Count a failure; ``detail`` is shown until the next success."""
        self.failures[reason] += 1
        if detail is not None:
            self.last_failure = detail
