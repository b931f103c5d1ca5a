"""Days of production for the command line's tests: calm ones, then some that moved."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from driftwatch.config.load import load
from driftwatch.core.clock import ReplayClock
from driftwatch.core.windows import due
from driftwatch.monitor.session import opened

ROWS, REFERENCE_DAYS, SHIFTED_FROM = 200, 20, 4
#: The first day of production, where the date matters: its last day ends with 1 March.
FIRST = datetime(2026, 2, 23, tzinfo=UTC)


def rows(first: datetime, days: int, shifted: int, seed: int) -> str:
    random = np.random.default_rng(seed)
    lines = ["when,amount,city,fresh,nothing"]
    for day in range(days):
        moved = day >= shifted
        weights = [0.7, 0.2, 0.1] if moved else [0.2, 0.5, 0.3]
        for row in range(ROWS):
            when = first + timedelta(days=day, seconds=row * 400)
            amount = random.normal(6 if moved else 3)
            city = random.choice(["north", "south", "east"], p=weights)
            lines.append(f"{when:%Y-%m-%dT%H:%M:%SZ},{amount:.4f},{city},{random.random() < 0.3},")
    return "\n".join(lines) + "\n"


def fixed_texts() -> tuple[str, str]:
    """Reference and production on days that are always the same."""
    before = rows(FIRST - timedelta(days=REFERENCE_DAYS), REFERENCE_DAYS, REFERENCE_DAYS, 1)
    return before, rows(FIRST, SHIFTED_FROM + 3, SHIFTED_FROM, 2)


def look_until(config: Path, end: datetime) -> None:
    """What a daemon would have stored of every monitor by ``end``."""
    loaded, first, last = load(config), *(int(day.timestamp()) * 10**9 for day in (FIRST, end))
    with opened(loaded, ReplayClock(last + 3600 * 10**9), lambda _note: None) as session:
        for item in loaded.monitors:
            monitor = session.monitor(item)
            for window in due(first, session.clock.now(), item.window.length, item.window.lag, item.timezone):
                monitor.check(window, session.clock.now())
