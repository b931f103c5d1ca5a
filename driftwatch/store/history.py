"""The history of all monitors: one part per subject, and one transaction per check over all of them."""

from __future__ import annotations

import sqlite3

from driftwatch.store.acknowledgements import Acknowledgements
from driftwatch.store.database import Database
from driftwatch.store.incident_table import IncidentTable
from driftwatch.store.outbox import OutboxTable
from driftwatch.store.owed_table import OwedTable
from driftwatch.store.records import CheckRecord
from driftwatch.store.reference_tables import ReferenceTable
from driftwatch.store.selftest_table import SelftestTable
from driftwatch.store.state_table import StateTable
from driftwatch.store.tile_table import TileTable
from driftwatch.store.verdict_table import VerdictTable

#: Windows between two stored segment states: a replay starts from the nearest one.
CHECKPOINT_WINDOWS = 64


class History:
    def __init__(self, database: Database) -> None:
        self._db = database
        self.tiles = TileTable(database)
        self.verdicts = VerdictTable(database)
        self.states = StateTable(database)
        self.incidents = IncidentTable(database)
        self.owed = OwedTable(database)
        self.references = ReferenceTable(database)
        self.selftests = SelftestTable(database)

    def commit(self, record: CheckRecord) -> bool:
        """Write all changes of one check or none; False when its window or part is already decided."""
        monitor, now = record.monitor, record.now
        with self._db.transaction() as connection:
            if self._is_decided(connection, record):
                return False
            TileTable.write(connection, monitor, record.tiles)
            judged = _write_verdicts(connection, record)
            if record.configuration is not None:
                VerdictTable.write_configuration(connection, monitor, record.configuration, now)
            StateTable.write(
                connection, monitor, record.segment_states, checkpoint=record.checkpoint, judged=judged
            )
            IncidentTable.open(connection, record.opened)
            IncidentTable.resolve(connection, record.resolved, now)
            IncidentTable.mute(connection, record.muted)
            OutboxTable.queue(connection, monitor, record.messages, now)
            Acknowledgements.mark_applied(connection, record.acknowledged, now)
            if record.selftest is not None:
                SelftestTable.write(connection, monitor, record.selftest)
            if record.reference is not None:
                reference, source_key = record.reference
                ReferenceTable.write(connection, reference, source_key, now)
                StateTable.write_initial(connection, monitor, reference.fingerprint, record.segment_states)
        return True

    def _is_decided(self, connection: sqlite3.Connection, record: CheckRecord) -> bool:
        monitor = record.monitor
        for segment, end, _ in record.verdicts:
            if record.part:
                if len(self.verdicts.late_parts(monitor, segment, end)) >= record.part:
                    return True
            elif self.verdicts.decided_at(monitor, segment, end) is not None:
                return not OwedTable.holds(connection, monitor, end)
        return False

    def forget(self, tile_cutoff: int, verdict_cutoff: int) -> None:
        """Delete rows older than the retention cutoffs (nanoseconds)."""
        with self._db.transaction() as connection:
            for sql, cutoff in (
                ("DELETE FROM tiles WHERE start < ?", tile_cutoff),
                ("DELETE FROM checkpoints WHERE decided_until < ?", tile_cutoff),
                # A verdict that paged stays: a post-mortem links to it. The page budget bounds their number.
                ("DELETE FROM verdicts WHERE window_end < ? AND page = 0", verdict_cutoff),
                ("DELETE FROM late_parts WHERE window_end < ? AND page = 0", verdict_cutoff),
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
    last = VerdictTable.last_judged(connection, monitor)
    if not record.verdicts:
        return last
    end = record.verdicts[0][1]
    if record.part:
        VerdictTable.write_part(connection, monitor, record.verdicts, record.part, now, last + 1)
        return last + 1
    if OwedTable.holds(connection, monitor, end):
        VerdictTable.delete(connection, monitor, end)
    if record.owed is None:
        OwedTable.delete(connection, monitor, end)
        judged = end if end >= last else last + 1
    else:
        OwedTable.write(connection, monitor, record.owed)
        judged = end
    VerdictTable.write(connection, monitor, record.verdicts, now, None if judged == end else judged)
    return max(judged, last)
