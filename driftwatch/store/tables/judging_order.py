"""The order in which the windows and late parts of a monitor were judged, which a replay follows.

A window judged in time has its end as its place, and whatever is judged late the next free one.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from driftwatch.store.damage import SEALS, decoded
from driftwatch.store.database import Database
from driftwatch.store.tables.verdict_table import content_of

#: Before and behind every place in the order of judging.
NO_PLACE, END_OF_ORDER = -(1 << 62), 1 << 62
#: The verdicts of one segment between two places in the order of judging.
_VERDICT, _PART = SEALS["verdicts"], SEALS["late_parts"]
_JUDGED = (
    f"SELECT {_VERDICT.columns}, NULL AS part, window_end AS place FROM verdicts WHERE monitor = ?1"  # noqa: S608 - constants
    " AND segment = ?2 AND judged IS NULL AND window_end > ?3 AND window_end < ?4 UNION ALL"
    f" SELECT {_VERDICT.columns}, NULL, judged FROM verdicts INDEXED BY verdicts_judged WHERE monitor = ?1"
    " AND segment = ?2 AND judged > ?3 AND judged < ?4 UNION ALL"
    " SELECT monitor, segment, window_end, state, NULL, page, decided_at, judged, content, checksum, part,"
    " judged FROM late_parts WHERE monitor = ?1 AND segment = ?2"
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
        """Return the verdicts judged after place ``first`` and before ``last``, in the order of judging.

        Raises ``StoreDamaged`` rather than leave one out: what follows would be another state.
        """
        rows = self._db.query(_JUDGED, (monitor, segment or "", first, last))
        return [decoded(_VERDICT if row["part"] is None else _PART, row, content_of) for row in rows]

    def has_page_after(self, monitor: str, segment: str | None, place: int) -> bool:
        """Return whether a window or part judged after a place in the order of judging paged."""
        rows = self._db.query(
            "SELECT 1 FROM verdicts WHERE monitor = ?1 AND segment = ?2 AND page != 0"
            " AND coalesce(judged, window_end) > ?3 UNION ALL SELECT 1 FROM late_parts WHERE monitor = ?1"
            " AND segment = ?2 AND page != 0 AND judged > ?3 LIMIT 1",
            (monitor, segment or "", place),
        )
        return bool(rows)

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

    @staticmethod
    def last_checkpoint(connection: sqlite3.Connection, monitor: str) -> int:
        """Return the place of the newest check point."""
        row = connection.execute(
            "SELECT coalesce(judged, decided_until) FROM checkpoints WHERE monitor = ? AND segment = ''"
            " ORDER BY id DESC LIMIT 1",
            (monitor,),
        ).fetchone()
        return NO_PLACE if row is None else int(row[0])
