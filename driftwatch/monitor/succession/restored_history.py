"""Brings a restored history in line with what receivers were told after it was backed up."""

from __future__ import annotations

from collections.abc import Sequence

from driftwatch.monitor.incident_message import Ending
from driftwatch.monitor.succession.closing import close
from driftwatch.store.browsing import Browsing
from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.records import CheckRecord, StoredIncident
from driftwatch.store.recovery.backup import Replaced


def end_unknown(database: Database, replaced: Replaced, sinks: Sequence[str], now: int) -> list[str]:
    """End incidents that only one of the two histories knows as open, and return their keys.

    An incident that opened since the backup has no state in it; one that ended since would fire again.
    Messages that left since stay as they are. Raises ``StoreError``.
    """
    history = History(database)
    opened_since = [item for item in replaced.content.incidents if history.incidents.get(item.key) is None]
    ended_since = [
        item
        for name in sorted(history.incidents.monitors())
        for item in history.incidents.of_monitor(name)
        if item.key in replaced.ended
    ]
    for item in (*opened_since, *ended_since):
        _end(history, database, item, sinks, now)
    with database.transaction() as connection:
        connection.executemany(
            "UPDATE outbox SET state = 'delivered' WHERE sink = ? AND key = ? AND kind = ?"
            " AND state IN ('pending', 'sending')",
            sorted(replaced.sent),
        )
    return [item.key for item in (*opened_since, *ended_since)]


def _end(history: History, database: Database, item: StoredIncident, sinks: Sequence[str], now: int) -> None:
    closings = close({item.key: Ending.UNKNOWN}, [item], Browsing(database), sinks, now)
    record = CheckRecord(
        monitor=item.monitor, now=now, opened=[item], resolved=closings.resolved, messages=closings.messages
    )
    history.commit(record)
