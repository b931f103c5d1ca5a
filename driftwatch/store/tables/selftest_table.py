"""Each monitor's self-test: its counts, the running trial and the ended trials."""

from __future__ import annotations

import sqlite3

from driftwatch.store.damage import SEALS
from driftwatch.store.database import Database
from driftwatch.store.records import StoredSelftest, StoredTrial

_SELFTEST, _TRIAL = SEALS["selftests"], SEALS["selftest_trials"]


class SelftestTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self, monitor: str) -> StoredSelftest:
        """Return a monitor's self-test; all counts are zero before its first trial, and for a damaged row."""
        query = f"SELECT {_SELFTEST.columns} FROM selftests WHERE monitor = ?"  # noqa: S608 - constant
        rows = self._db.query(query, (monitor,))
        stored = self._db.damage.readable(_SELFTEST, rows[0], _selftest) if rows else None
        return StoredSelftest() if stored is None else stored

    def trials(self, monitor: str) -> list[StoredTrial]:
        """Return ended trials within retention, oldest first."""
        query = f"SELECT {_TRIAL.columns} FROM selftest_trials WHERE monitor = ? ORDER BY begun_at"  # noqa: S608 - constant
        return self._db.damage.all_readable(_TRIAL, self._db.query(query, (monitor,)), _trial)

    @staticmethod
    def write(connection: sqlite3.Connection, monitor: str, selftest: StoredSelftest) -> None:
        connection.execute(
            _SELFTEST.insert(verb="INSERT OR REPLACE"),
            _SELFTEST.values(
                monitor, selftest.begun_at, selftest.detected, selftest.missed, selftest.false_alarm,
                selftest.abandoned, selftest.delay_windows, selftest.measured_at, selftest.trial,
            ),
        )  # fmt: skip
        if selftest.ended is not None:
            trial = selftest.ended
            connection.execute(
                _TRIAL.insert(verb="INSERT OR REPLACE"),
                _TRIAL.values(
                    monitor, trial.begun_at, trial.ended_at, trial.column, trial.fault, trial.size + 0.0,
                    trial.within, trial.outcome, trial.delay, int(trial.named),
                ),
            )  # fmt: skip


def _selftest(row: sqlite3.Row) -> StoredSelftest:
    return StoredSelftest(
        begun_at=row["begun_at"],
        detected=int(row["detected"]),
        missed=int(row["missed"]),
        false_alarm=int(row["false_alarm"]),
        abandoned=int(row["abandoned"]),
        delay_windows=int(row["delay_windows"]),
        measured_at=row["measured_at"],
        trial=row["trial"],
    )


def _trial(row: sqlite3.Row) -> StoredTrial:
    return StoredTrial(
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
