"""The history of all monitors: one part per subject, and one transaction per check over all of them."""

from __future__ import annotations

import sqlite3

from driftwatch.store.acknowledgements import Acknowledgements
from driftwatch.store.database import Database
from driftwatch.store.outbox import OutboxTable
from driftwatch.store.records import CheckRecord
from driftwatch.store.recovery.ledger import Ledger
from driftwatch.store.tables.clock_table import ClockTable
from driftwatch.store.tables.configuration_table import ConfigurationTable
from driftwatch.store.tables.incident_table import IncidentTable
from driftwatch.store.tables.judging_order import JudgingOrder
from driftwatch.store.tables.late_part_table import LatePartTable
from driftwatch.store.tables.owed_table import OwedTable
from driftwatch.store.tables.reference_tables import ReferenceTable
from driftwatch.store.tables.reopening import reopen
from driftwatch.store.tables.selftest_table import SelftestTable
from driftwatch.store.tables.state_table import StateTable
from driftwatch.store.tables.tile_table import TileTable
from driftwatch.store.tables.verdict_table import VerdictTable

#: Judged windows between two stored segment states, at most: a replay starts from the nearest one.
CHECKPOINT_WINDOWS = 64


def checkpoint_windows(length: int, retention: int) -> int:
    """Return the windows of ``length`` between two check points: at most half of what is retained.

    >>> checkpoint_windows(86_400, 400 * 86_400), checkpoint_windows(7 * 86_400, 30 * 86_400)
    (64, 2)
    """
    return max(1, min(CHECKPOINT_WINDOWS, retention // length // 2))


_END_OF_TIME = 1 << 62
#: A window that paged stays, also where its late rows did: a post-mortem links to it. The page budget bounds
#: their number.
_FORGET_VERDICTS = (
    "DELETE FROM verdicts WHERE monitor = ? AND window_end < ? AND page = 0 AND NOT EXISTS (SELECT 1"
    " FROM late_parts p WHERE p.monitor = verdicts.monitor AND p.segment = verdicts.segment"
    " AND p.window_end = verdicts.window_end AND p.page = 1)"
)
#: A replay needs the parts that were judged between the windows that stay.
_FORGET_PARTS = "DELETE FROM late_parts WHERE monitor = ? AND window_end < ? AND page = 0"


class History:
    def __init__(self, database: Database) -> None:
        self._db = database
        self.tiles = TileTable(database)
        self.verdicts = VerdictTable(database)
        self.configurations = ConfigurationTable(database)
        self.states = StateTable(database)
        self.incidents = IncidentTable(database)
        self.owed = OwedTable(database)
        self.late_parts = LatePartTable(database)
        self.judging = JudgingOrder(database)
        self.references = ReferenceTable(database)
        self.selftests = SelftestTable(database)
        self.clock = ClockTable(database)
        self.ledger = Ledger(database)

    def commit(self, record: CheckRecord) -> bool:
        """Write all changes of one check or none; False when its window or part is already decided."""
        monitor, now = record.monitor, record.now
        with self._db.transaction() as connection:
            if self._is_decided(connection, record):
                return False
            TileTable.write(connection, monitor, record.tiles)
            judged = _write_verdicts(connection, record)
            if record.configuration is not None:
                ConfigurationTable.write(connection, monitor, record.configuration, now)
            StateTable.write_checkpoints(connection, monitor, record.former_states, judged)
            StateTable.write(
                connection, monitor, record.segment_states, checkpoint=record.checkpoint, judged=judged
            )
            IncidentTable.open(connection, record.opened)
            IncidentTable.update(connection, record.updated)
            IncidentTable.resolve(connection, record.resolved, now)
            IncidentTable.mute(connection, record.muted)
            OutboxTable.queue(connection, monitor, record.messages, now)
            OutboxTable.end(connection, [key for key, _ in record.resolved])
            reopen(connection, record.reopened)
            Acknowledgements.mark_applied(connection, record.acknowledged, now)
            if record.selftest is not None:
                SelftestTable.write(connection, monitor, record.selftest)
            if record.reference is not None:
                reference, source_key = record.reference
                ReferenceTable.write(connection, reference, source_key, now, parent=record.parent)
                StateTable.write_initial(connection, monitor, reference.fingerprint, record.segment_states)
            if record.activated is not None:
                ReferenceTable.write_active(connection, monitor, record.activated, now)
            # Before the commit, so that no incident is in the history alone.
            self.ledger.add([*record.opened, *record.updated])
        if (
            record.opened
            or record.updated
            or record.resolved
            or record.muted
            or record.acknowledged
            or record.reference
        ):
            self.ledger.refresh()
        return True

    def _is_decided(self, connection: sqlite3.Connection, record: CheckRecord) -> bool:
        monitor = record.monitor
        for segment, end, _ in record.verdicts:
            if record.part:
                if self.late_parts.newest_part(monitor, segment, end) >= record.part:
                    return True
            elif self.verdicts.decided_at(monitor, segment, end) is not None:
                return not OwedTable.holds(connection, monitor, end)
        return False

    def move_waits(self, monitor: str, by: int) -> None:
        """Move stored waits of a monitor along with a clock that was set by so many nanoseconds."""
        with self._db.transaction() as connection:
            OwedTable.move_answers(connection, monitor, by)
            # A clock that is set forward makes retries due, and may not be believed by all yet.
            OutboxTable.move_retries(connection, monitor, min(by, 0))

    def forget(self, tile_cutoff: int, verdict_cutoff: int) -> None:
        """Delete rows older than the retention cutoffs (nanoseconds).

        Of each monitor, what the first windows after the cutoffs are explained from stays: the newest check
        point before them, and the tiles and verdicts since.
        """
        with self._db.transaction() as connection:
            for monitor in _monitors(connection):
                start = _replay_start(connection, monitor, tile_cutoff, verdict_cutoff)
                tiles_from, verdicts_from = min(start, tile_cutoff), min(start, verdict_cutoff)
                for sql, cutoff in (
                    ("DELETE FROM tiles WHERE monitor = ? AND start < ?", tiles_from),
                    ("DELETE FROM checkpoints WHERE monitor = ? AND decided_until < ?", tiles_from),
                    (_FORGET_VERDICTS, verdicts_from),
                    (_FORGET_PARTS, verdicts_from),
                ):
                    connection.execute(sql, (monitor, cutoff))
            for sql, cutoff in (
                ("DELETE FROM owed_windows WHERE window_end < ?", verdict_cutoff),
                ("DELETE FROM incidents WHERE resolved_at < ?", verdict_cutoff),
                ("DELETE FROM selftest_trials WHERE ended_at < ?", verdict_cutoff),
                (
                    # A refresh sends messages of an open incident again: without them its alert ends.
                    "DELETE FROM outbox WHERE state IN ('delivered', 'dead') AND created_at < ?"
                    " AND key NOT IN (SELECT key FROM incidents WHERE resolved_at IS NULL)",
                    tile_cutoff,
                ),
            ):
                connection.execute(sql, (cutoff,))


def _write_verdicts(connection: sqlite3.Connection, record: CheckRecord) -> int:
    """Write the verdicts of one window or part, and return the newest place in the order of judging."""
    monitor, now = record.monitor, record.now
    last = JudgingOrder.last_place(connection, monitor)
    if not record.verdicts:
        return last
    end = record.verdicts[0][1]
    if record.part:
        LatePartTable.write(connection, monitor, record.verdicts, record.part, now, last + 1)
        return last + 1
    if OwedTable.holds(connection, monitor, end):
        VerdictTable.delete(connection, monitor, end)
    if record.owed is None:
        # While it was owed, an answer may have changed the states: that check point comes before it.
        is_next = end >= last and end > JudgingOrder.last_checkpoint(connection, monitor)
        OwedTable.delete(connection, monitor, end)
        judged = end if is_next else max(last, end) + 1
    else:
        OwedTable.write(connection, monitor, record.owed)
        judged = end
    VerdictTable.write(connection, monitor, record.verdicts, now, None if judged == end else judged)
    return max(judged, last)


def _monitors(connection: sqlite3.Connection) -> list[str]:
    # Every monitor that ever had a reference or was judged, also one that is no longer configured.
    rows = connection.execute("SELECT monitor FROM active_references UNION SELECT monitor FROM tracks")
    return [row[0] for row in rows]


def _replay_start(connection: sqlite3.Connection, monitor: str, tile_cutoff: int, verdict_cutoff: int) -> int:
    """Return where replays of the windows after both cutoffs begin; the end of time if there is none."""
    cutoff = max(tile_cutoff, verdict_cutoff)
    key = (monitor, cutoff)
    # Of a monitor that is gone nothing stays for ever, and a window that was never judged is never replayed.
    is_replayed = connection.execute(
        "SELECT 1 WHERE EXISTS (SELECT 1 FROM tiles WHERE monitor = ? AND segment = '' AND start >= ?)"
        " AND EXISTS (SELECT 1 FROM verdicts WHERE monitor = ? AND segment = '' AND window_end <= ?)",
        (*key, *key),
    ).fetchone()
    if is_replayed is None:
        return _END_OF_TIME
    # The check points of all segments are written together.
    checkpoint = connection.execute(
        "SELECT decided_until, coalesce(judged, decided_until) FROM checkpoints WHERE monitor = ?"
        " AND segment = '' AND decided_until <= ? ORDER BY decided_until DESC, id DESC LIMIT 1",
        key,
    ).fetchone()
    if checkpoint is None:
        return -_END_OF_TIME
    start, judged = checkpoint
    # Windows judged late begin before it.
    (late_start,) = connection.execute(
        "SELECT min(json_extract(content, '$.window.start')) FROM (SELECT content FROM verdicts"
        " WHERE monitor = ?1 AND segment = '' AND judged > ?2 AND json_valid(content) UNION ALL"
        " SELECT content FROM late_parts WHERE monitor = ?1 AND segment = '' AND judged > ?2"
        " AND json_valid(content))",
        (monitor, judged),
    ).fetchone()
    return int(start) if late_start is None else min(int(start), int(late_start))
