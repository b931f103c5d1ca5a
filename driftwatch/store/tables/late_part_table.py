"""The verdicts on late rows: parts of a window, judged after it, which count from 1."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from driftwatch.store.damage import SEALS, decoded
from driftwatch.store.database import Database
from driftwatch.store.tables.verdict_table import StoredVerdicts, content_of

_SEAL = SEALS["late_parts"]
_OF_WINDOW = (
    f"SELECT {_SEAL.columns} FROM late_parts WHERE monitor = ? AND segment = ? AND window_end = ?"  # noqa: S608 - constant
    " ORDER BY part"
)


class LatePartTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def of_window(self, monitor: str, segment: str | None, end: int) -> list[dict[str, Any]]:
        """Return the verdicts on a window's late rows, the first part first."""
        rows = self._db.query(_OF_WINDOW, (monitor, segment or "", end))
        return self._db.damage.all_readable(_SEAL, rows, content_of)

    def all_of_window(self, monitor: str, segment: str | None, end: int) -> list[dict[str, Any]]:
        """Return the same for whoever judges by them. Raises ``StoreDamaged`` rather than leave one out."""
        rows = self._db.query(_OF_WINDOW, (monitor, segment or "", end))
        return [decoded(_SEAL, row, content_of) for row in rows]

    def newest_part(self, monitor: str, segment: str | None, end: int) -> int:
        """Return the number of the newest part, readable or not; 0 without any."""
        rows = self._db.query(
            "SELECT max(part) FROM late_parts WHERE monitor = ? AND segment = ? AND window_end = ?",
            (monitor, segment or "", end),
        )
        return int(rows[0][0] or 0)

    @staticmethod
    def write(
        connection: sqlite3.Connection,
        monitor: str,
        verdicts: StoredVerdicts,
        part: int,
        now: int,
        judged: int,
    ) -> None:
        connection.executemany(
            _SEAL.insert(),
            [
                _SEAL.values(
                    monitor, segment or "", end, part, content["state"], int(content["page"]), now, judged,
                    json.dumps(content, ensure_ascii=True),
                )
                for segment, end, content in verdicts
            ],
        )  # fmt: skip
