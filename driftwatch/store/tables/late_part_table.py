"""The verdicts on late rows: parts of a window, judged after it, which count from 1."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from driftwatch.store.database import Database
from driftwatch.store.tables.verdict_table import StoredVerdicts


class LatePartTable:
    def __init__(self, database: Database) -> None:
        self._db = database

    def of_window(self, monitor: str, segment: str | None, end: int) -> list[dict[str, Any]]:
        """Return the verdicts on a window's late rows, the first part first."""
        rows = self._db.query(
            "SELECT content FROM late_parts WHERE monitor = ? AND segment = ? AND window_end = ?"
            " ORDER BY part",
            (monitor, segment or "", end),
        )
        return [json.loads(row[0]) for row in rows]

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
            "INSERT INTO late_parts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    monitor, segment or "", end, part, content["state"], int(content["page"]), now, judged,
                    json.dumps(content, ensure_ascii=True),
                )
                for segment, end, content in verdicts
            ],
        )  # fmt: skip
