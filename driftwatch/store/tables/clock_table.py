"""The newest believed reading of the clock: the witness of the next start."""

from __future__ import annotations

from driftwatch.store.database import Database
from driftwatch.store.records import ClockReading


class ClockTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def get(self) -> ClockReading | None:
        rows = self._db.query("SELECT boot, offset, read_at FROM clock_readings")
        if not rows:
            return None
        boot, offset, read_at = rows[0]
        # A damaged reading is as none: the store's newest verdict is the witness then.
        is_sound = isinstance(boot, str) and isinstance(offset, int) and isinstance(read_at, int)
        return ClockReading(boot=boot, offset=offset, read_at=read_at) if is_sound else None

    def write(self, reading: ClockReading) -> None:
        with self._db.transaction() as connection:
            connection.execute("DELETE FROM clock_readings")
            connection.execute(
                "INSERT INTO clock_readings VALUES (?, ?, ?)", (reading.boot, reading.offset, reading.read_at)
            )
