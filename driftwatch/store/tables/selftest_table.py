"""Each monitor's self-test: its counts, the running trial and the ended trials."""

from __future__ import annotations

import sqlite3

from driftwatch.store.database import Database
from driftwatch.store.records import StoredSelftest, StoredTrial


class SelftestTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, monitor: str) -> StoredSelftest:
        """Return a monitor's self-test; all counts are zero when no trial ever began."""
        rows = self._db.query("SELECT * FROM selftests WHERE monitor = ?", (monitor,))
        if not rows:
            return StoredSelftest()
        return StoredSelftest(**{name: rows[0][name] for name in rows[0].keys() if name != "monitor"})  # noqa: SIM118 - a row iterates over its values

    def trials(self, monitor: str) -> list[StoredTrial]:
        """Return ended trials within retention, oldest first."""
        rows = self._db.query("SELECT * FROM selftest_trials WHERE monitor = ? ORDER BY begun_at", (monitor,))
        return [
            StoredTrial(
                begun_at=row["begun_at"],
                ended_at=row["ended_at"],
                column=row["column_name"],
                fault=row["fault"],
                size=row["size"],
                within=row["within"],
                outcome=row["outcome"],
                delay=row["delay"],
                named=bool(row["named"]),
            )
            for row in rows
        ]

    @staticmethod
    def write(connection: sqlite3.Connection, monitor: str, selftest: StoredSelftest) -> None:
        connection.execute(
            "INSERT OR REPLACE INTO selftests VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                monitor, selftest.begun_at, selftest.detected, selftest.missed, selftest.false_alarm,
                selftest.abandoned, selftest.delay_windows, selftest.measured_at, selftest.trial,
            ),
        )  # fmt: skip
        if selftest.ended is not None:
            trial = selftest.ended
            connection.execute(
                "INSERT OR REPLACE INTO selftest_trials VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    monitor, trial.begun_at, trial.ended_at, trial.column, trial.fault, trial.size,
                    trial.within, trial.outcome, trial.delay, int(trial.named),
                ),
            )  # fmt: skip
