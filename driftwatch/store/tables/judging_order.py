"""The order in which the windows and late parts of a monitor were judged, which a replay follows.

A window judged in time has its end as its place, and whatever is judged late the next free one.
"""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from driftwatch.store.database import Database

#: Before every place in the order of judging.
NO_PLACE = -(1 << 62)
#: The verdicts of one segment between two places in the order of judging.
_JUDGED = (
    "SELECT content, window_end AS place FROM verdicts WHERE monitor = ?1 AND segment = ?2"
    " AND judged IS NULL AND window_end > ?3 AND window_end < ?4 UNION ALL"
    " SELECT content, judged FROM verdicts INDEXED BY verdicts_judged WHERE monitor = ?1 AND segment = ?2"
    " AND judged > ?3 AND judged < ?4 UNION ALL"
    " SELECT content, judged FROM late_parts WHERE monitor = ?1 AND segment = ?2"
    " AND judged > ?3 AND judged < ?4 ORDER BY place"
)


class JudgingOrder:
    def __init__(self, database: Database) -> None:
        self._db = database

    def place(self, monitor: str, segment: str | None, end: int, part: int = 0) -> int:
        """Return the place of a stored verdict in the order of judging."""
        key = (monitor, segment or "", end)
        if part:
            rows = self._db.query(
                "SELECT judged FROM late_parts WHERE monitor = ? AND segment = ? AND window_end = ?"
                " AND part = ?",
                (*key, part),
            )
        else:
            rows = self._db.query(
                "SELECT judged FROM verdicts WHERE monitor = ? AND segment = ? AND window_end = ?", key
            )
        return end if not rows or rows[0][0] is None else int(rows[0][0])

    def between(self, monitor: str, segment: str | None, first: int, last: int) -> list[dict[str, Any]]:
        """Return the verdicts judged after place ``first`` and before ``last``, in the order of judging."""
        rows = self._db.query(_JUDGED, (monitor, segment or "", first, last))
        return [json.loads(row[0]) for row in rows]

    @staticmethod
    def last_place(connection: sqlite3.Connection, monitor: str) -> int:
        """Return the newest place in the order of judging."""
        places = [
            connection.execute(query, (monitor,)).fetchone()[0]
            for query in (
                "SELECT max(window_end) FROM verdicts WHERE monitor = ? AND segment = ''",
                "SELECT max(judged) FROM verdicts WHERE monitor = ? AND segment = '' AND judged IS NOT NULL",
                "SELECT max(judged) FROM late_parts WHERE monitor = ? AND segment = ''",
            )
        ]
        return max((place for place in places if place is not None), default=NO_PLACE)
