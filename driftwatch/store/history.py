"""The history of all monitors: one part per subject, and one transaction per check over all of them."""

from __future__ import annotations

from driftwatch.store.acknowledgements import Acknowledgements
from driftwatch.store.database import Database
from driftwatch.store.incident_table import IncidentTable
from driftwatch.store.outbox import OutboxTable
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
        self.references = ReferenceTable(database)
        self.selftests = SelftestTable(database)

    def commit(self, record: CheckRecord) -> bool:
        """Write all changes of one check or none; False when one of its windows is already decided."""
        monitor, now = record.monitor, record.now
        with self._db.transaction() as connection:
            for segment, end, _ in record.verdicts:
                if self.verdicts.decided_at(monitor, segment, end) is not None:
                    return False
            TileTable.write(connection, monitor, record.tiles)
            VerdictTable.write(connection, monitor, record.verdicts, now)
            if record.configuration is not None:
                VerdictTable.write_configuration(connection, monitor, record.configuration, now)
            StateTable.write(connection, monitor, record.segment_states, checkpoint=record.checkpoint)
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

    def forget(self, tile_cutoff: int, verdict_cutoff: int) -> None:
        """Delete rows older than the retention cutoffs (nanoseconds)."""
        with self._db.transaction() as connection:
            for sql, cutoff in (
                ("DELETE FROM tiles WHERE start < ?", tile_cutoff),
                ("DELETE FROM checkpoints WHERE decided_until < ?", tile_cutoff),
                # A verdict that paged stays: a post-mortem links to it. The page budget bounds their number.
                ("DELETE FROM verdicts WHERE window_end < ? AND page = 0", verdict_cutoff),
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
