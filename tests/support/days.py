"""Days of production for the tests of the command line: calm days, then shifted ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from driftwatch.config.load import load
from driftwatch.core.clock import ReplayClock
from driftwatch.core.windows import due_windows
from driftwatch.monitor.session import open_session

ROWS, REFERENCE_DAYS, SHIFTED_FROM = 200, 20, 4
#: First day of production where the date matters: its last day ends with 1 March.
FIRST_DAY = datetime(2026, 2, 23, tzinfo=UTC)


def csv_text(first_day: datetime, days: int, shifted_from: int, seed: int) -> str:
    random = np.random.default_rng(seed)
    lines = ["when,amount,city,fresh,nothing"]
    for day in range(days):
        is_shifted = day >= shifted_from
        weights = [0.7, 0.2, 0.1] if is_shifted else [0.2, 0.5, 0.3]
        for row in range(ROWS):
            moment = first_day + timedelta(days=day, seconds=row * 400)
            amount = random.normal(6 if is_shifted else 3)
            city = random.choice(["north", "south", "east"], p=weights)
            lines.append(f"{moment:%Y-%m-%dT%H:%M:%SZ},{amount:.4f},{city},{random.random() < 0.3},")
    return "\n".join(lines) + "\n"


def fixed_texts() -> tuple[str, str]:
    """Reference and production on days that are always the same."""
    reference_start = FIRST_DAY - timedelta(days=REFERENCE_DAYS)
    reference = csv_text(reference_start, REFERENCE_DAYS, REFERENCE_DAYS, 1)
    return reference, csv_text(FIRST_DAY, SHIFTED_FROM + 3, SHIFTED_FROM, 2)


def check_until(path: Path, end: datetime) -> None:
    """Store what a daemon would have stored of every monitor by ``end``."""
    config, first, last = load(path), *(int(day.timestamp()) * 10**9 for day in (FIRST_DAY, end))
    with open_session(config, ReplayClock(last + 3600 * 10**9), lambda _note: None) as session:
        for monitor_config in config.monitors:
            monitor = session.monitor(monitor_config)
            length, lag = monitor_config.window.length, monitor_config.window.lag
            for window in due_windows(first, session.clock.now(), length, lag, monitor_config.timezone):
                monitor.check(window, session.clock.now())
