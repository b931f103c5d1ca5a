"""The history as pages and API see it: windows, verdicts, incidents; acknowledgements are requested here."""

from __future__ import annotations

from driftwatch.daemon.status.verdict_reader import VerdictReader
from driftwatch.errors import StoreError
from driftwatch.monitor.acceptance.undo import undo_refusal
from driftwatch.monitor.acknowledge import ended_text
from driftwatch.store.acknowledgements import UNDO, Acknowledgements
from driftwatch.store.browsing import Browsing
from driftwatch.store.database import Database
from driftwatch.store.tables.incident_table import IncidentTable


class HistoryView:
    """Thread-safe."""

    def __init__(self, database: Database) -> None:
        self.browsing = Browsing(database)
        self.verdicts = VerdictReader(database)
        self.incidents = IncidentTable(database)
        self._acknowledgements = Acknowledgements(database)

    def ask(
        self, monitor: str, incident: str, verdict: str, *, until: int | None, note: str, who: str, now: int
    ) -> int:
        """Request an acknowledgement, which the runner applies at its next tick, and return its id.

        Raises ``StoreError`` when the incident is not open (for an undo: not accepted), or the request cannot
        be stored.
        """
        if verdict == UNDO:
            stored = self.incidents.get(incident)
            refusal = undo_refusal(
                monitor, incident, stored if stored and stored.monitor == monitor else None
            )
            if refusal:
                raise StoreError(f"{monitor}: expected an incident that was accepted. Got {refusal}.")
            return self._acknowledgements.ask(
                monitor, incident, verdict, until=until, note=note, who=who, now=now
            )
        open_keys = {item.key for item in self.incidents.of_monitor(monitor)}
        if incident not in open_keys:
            detail = ended_text(self.incidents, monitor, incident)
            raise StoreError(
                f"{monitor}: expected an open incident. {incident!r} is not open any more: {detail}."
            )
        return self._acknowledgements.ask(
            monitor, incident, verdict, until=until, note=note, who=who, now=now
        )
