"""Shows damaged rows of the history among the daemon's troubles and metrics."""

from __future__ import annotations

from collections.abc import Callable

from driftwatch.daemon.own_health.health_board import HealthBoard
from driftwatch.store.damage import DamagedRow
from driftwatch.store.database import Database


def watch_damage(health: HealthBoard, database: Database, clock: Callable[[], int]) -> None:
    def report(row: DamagedRow) -> None:
        health.troubles.note(f"store, table {row.table}", f"A damaged row was skipped: {row.key}.", clock())

    database.damage.on_row = report
    health.damaged_rows = database.damage.counts
