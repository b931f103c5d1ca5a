"""A monitor over files of one day each, checked at any time without a thread: rows come late, or never."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from driftwatch.config.load import load
from driftwatch.core.clock import ReplayClock
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.core.windows import due_windows
from driftwatch.monitor.check import Monitor, Outcome
from driftwatch.monitor.past.late_parts import LateData
from driftwatch.monitor.past.look_again import look_again, windows_within_patience
from driftwatch.monitor.session import Session, open_session
from driftwatch.results.results import Verdict
from driftwatch.results.stored_verdict import verdict_from_json

START, REFERENCE_DAYS = datetime(2026, 1, 1, tzinfo=UTC), 28
PRODUCTION = START + timedelta(days=REFERENCE_DAYS)
DAY = 86_400 * NANOSECONDS
FIRST = int(PRODUCTION.timestamp()) * NANOSECONDS


def rows(
    day: datetime,
    count: int,
    seed: int,
    *,
    scale: float = 1.0,
    first_hour: float = 0.0,
    regions: bool = False,
) -> pa.Table:
    rng = np.random.default_rng(seed)
    step = (24 - first_hour) * 3600 / count
    moments = [day + timedelta(hours=first_hour, seconds=row * step) for row in range(count)]
    return pa.table(
        {
            "ts": pa.array(moments, pa.timestamp("us", "UTC")),
            "amount": rng.lognormal(size=count) * scale,
            "age": rng.normal(40, 10, count),
            **({"region": rng.choice(["north", "south"], count, p=[0.7, 0.3])} if regions else {}),
        }
    )


@dataclass
class LateWorld:
    """``day(k)`` and the window ``window(k)`` are those of production's day ``k``."""

    folder: Path
    settings: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "production").mkdir()
        regions = "segment_by" in self.settings
        reference = [
            rows(START + timedelta(days=k), 1_000, k, regions=regions) for k in range(REFERENCE_DAYS)
        ]
        pq.write_table(pa.concat_tables(reference), self.folder / "reference.parquet")
        self.configure(self.settings)
        self.clock = ReplayClock(FIRST)

    def configure(self, settings: dict[str, Any]) -> None:
        monitor = {
            "name": "m",
            "reference": {"path": str(self.folder / "reference.parquet"), "time_column": "ts"},
            "source": {
                "type": "files",
                "path": str(self.folder / "production" / "*.parquet"),
                "time_column": "ts",
                "unfinished": "0s",
            },
            **settings,
        }
        config = {"version": 1, "storage": {"path": str(self.folder / "store")}, "monitors": [monitor]}
        self.path = self.folder / "driftwatch.yaml"
        self.path.write_text(json.dumps(config))

    @staticmethod
    def window(day: int) -> Span:
        return Span(start=FIRST + day * DAY, end=FIRST + (day + 1) * DAY)

    @staticmethod
    def end(day: int) -> int:
        return FIRST + (day + 1) * DAY

    def write(self, day: int, count: int = 1_000, *, name: str = "", **options: float) -> None:
        table = rows(
            PRODUCTION + timedelta(days=day),
            count,
            100 + day + len(name),
            regions="segment_by" in self.settings,
            **options,
        )
        pq.write_table(table, self.folder / "production" / f"{day:02d}{name}.parquet")

    @contextmanager
    def session(self) -> Iterator[tuple[Session, Monitor]]:
        config = load(self.path)
        with open_session(config, self.clock, lambda _text: None) as session:
            yield session, session.monitor(config.monitors[0])

    def run(self, monitor: Monitor, hours: Sequence[float]) -> list[Outcome | LateData]:
        """Look as the daemon does, so many hours after production began."""
        results: list[Outcome | LateData] = []
        for hour in hours:
            now = FIRST + int(hour * 3600) * NANOSECONDS
            self.clock.set(now)
            history, window = monitor.history, monitor.config.window
            last_end = history.verdicts.last_end("m")
            decided = [] if last_end is None else windows_within_patience(last_end, window, "UTC", now)
            for look in look_again(monitor, now, decided):
                results.append(look.outcome or look.late_data)  # type: ignore[arg-type]
            for span in due_windows(last_end, now, window.length, window.lag):
                if span.start >= FIRST:
                    results.append(monitor.check(span, now))
        return results

    def verdicts(self, monitor: Monitor) -> list[Verdict]:
        return [verdict_from_json(item) for item in monitor.history.verdicts.newest("m", None)]

    def parts(self, monitor: Monitor, day: int) -> list[Verdict]:
        stored = monitor.history.late_parts.of_window("m", None, self.end(day))
        return [verdict_from_json(item) for item in stored]
