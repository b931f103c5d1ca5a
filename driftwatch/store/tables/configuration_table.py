"""The configurations that windows were decided with."""

from __future__ import annotations

import sqlite3

from driftwatch.store.damage import SEALS
from driftwatch.store.database import Database

_SEAL = SEALS["configurations"]


class ConfigurationTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def first_commit(self, monitor: str) -> int | None:
        """Return when a check of the monitor was first stored (nanoseconds); retention keeps that."""
        rows = self._db.query("SELECT min(first_at) FROM configurations WHERE monitor = ?", (monitor,))
        moment: int | None = rows[0][0]
        return moment

    @staticmethod
    def write(connection: sqlite3.Connection, monitor: str, configuration: tuple[str, str], now: int) -> None:
        fingerprint, content = configuration
        connection.execute(
            _SEAL.insert(verb="INSERT OR IGNORE"), _SEAL.values(monitor, fingerprint, now, content)
        )
