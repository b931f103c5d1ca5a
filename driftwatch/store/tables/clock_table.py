"""The newest believed reading of the clock: the witness of the next start."""

from __future__ import annotations

from driftwatch.store.database import Database
from driftwatch.store.records import ClockReading


class ClockTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self) -> ClockReading | None:
        rows = self._db.query("SELECT * FROM clock_readings")
        return ClockReading(**rows[0]) if rows else None

    def write(self, reading: ClockReading) -> None:
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM clock_readings")
            connection.execute(
                "INSERT INTO clock_readings VALUES (?, ?, ?)", (reading.boot, reading.offset, reading.read_at)
            )
