"""The history as the pages and the API look it up: windows, their working, trends, what people said."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from driftwatch.daemon.status.snapshot import MonitorView
from driftwatch.errors import StoreError
from driftwatch.results.results import Verdict
from driftwatch.results.verdict_json import verdict_from_json
from driftwatch.store.acknowledgements import Acknowledgement, Acknowledgements
from driftwatch.store.browsing import Browsing, StoredSending, StoredTrend, StoredVersion, StoredWindow
from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.records import StoredIncident
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary, total

#: Windows of a trend, and the most bytes of stored verdicts that are searched for it, for each column.
TREND = 60
MOST_BYTES = 64_000_000
FEWEST_BYTES = 6_000_000
#: Most statistics in one answer: some five megabytes of JSON.
MOST_STATISTICS = 20_000
#: A usual band needs this many windows in which the column did not change; it holds the middle of them.
FEWEST = 10
MIDDLE = (5.0, 95.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """One stored verdict with what it was computed from.

    ``reference`` is the segment's, ``window`` its summary on the reference's cells; each is None once
    retention dropped it. ``decided_at`` is nanoseconds.
    """

    verdict: Verdict
    decided_at: int | None
    reference: Reference | None
    window: Summary | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One statistic over windows, oldest first. ``usual`` is the band of healthy windows, None if few.

    Healthy: the column did not change, and the same reference as the newest window's. ``since`` is the place
    of the first window that was compared with that reference.
    """

    ends: tuple[int, ...]
    values: tuple[float | None, ...]
    usual: tuple[float, float] | None
    since: int


class Past:
    """Looks into one store. Every method may be called from several threads."""

    def __init__(self, database: Database) -> None:
        self._history = History(database)
        self._browsing = Browsing(database)
        self._acknowledgements = Acknowledgements(database)
        self._lock = threading.Lock()
        self._kept: tuple[tuple[str, str], Reference] | None = None

    def windows(
        self, monitor: str, segment: str | None, before: int | None, limit: int
    ) -> list[StoredWindow]:
        """The newest windows that end before ``before``, newest first, without their statistics."""
        return self._browsing.windows(monitor, segment, before=before, limit=limit)

    def following(self, monitor: str, segment: str | None, end: int, limit: int) -> list[StoredWindow]:
        """The windows after one, oldest first."""
        return self._browsing.following(monitor, segment, end, limit)

    def count(self, monitor: str, segment: str | None) -> int:
        """How many windows are stored."""
        return self._browsing.count(monitor, segment)

    def verdicts(self, monitor: str, segment: str | None, before: int | None, limit: int) -> list[Verdict]:
        """The newest verdicts of windows that end before ``before``, newest first.

        Fewer than ``limit`` when they hold more than ``MOST_STATISTICS`` together.
        """
        found: list[Verdict] = []
        size = 0
        for item in self._browsing.windows(monitor, segment, before=before, limit=limit):
            verdict = self.verdict(monitor, segment, item.end)
            if verdict is None:
                continue
            size += len(verdict.statistics)
            if found and size > MOST_STATISTICS:
                break
            found.append(verdict)
        return found

    def verdict(self, monitor: str, segment: str | None, end: int) -> Verdict | None:
        """One stored verdict."""
        found = self._history.verdict(monitor, segment, end)
        return None if found is None else verdict_from_json(found)

    def working(self, view: MonitorView, segment: str | None, end: int) -> Working | None:
        """One verdict with its reference and its counts; None when it is not stored."""
        verdict = self.verdict(view.name, segment, end)
        if verdict is None:
            return None
        reference = self._reference(view, verdict.reference)
        return Working(
            verdict=verdict,
            decided_at=self._history.decided_at(view.name, segment, end),
            reference=None if reference is None else reference.at(segment),
            window=self._window(view.name, verdict, reference),
        )

    def _reference(self, view: MonitorView, fingerprint: str) -> Reference | None:
        if view.reference is not None and view.reference.fingerprint == fingerprint:
            return view.reference
        key = (view.name, fingerprint)
        with self._lock:
            if self._kept is not None and self._kept[0] == key:
                return self._kept[1]
        found = self._history.reference(view.name, fingerprint)
        if found is not None:
            with self._lock:
                self._kept = (key, found)
        return found

    def _window(self, monitor: str, verdict: Verdict, reference: Reference | None) -> Summary | None:
        tiles = [
            self._history.tile(monitor, verdict.segment, start, version) for start, version in verdict.tiles
        ]
        known = [tile.summary for tile in tiles if tile is not None]
        if reference is None or not known or len(known) != len(tiles):
            return None
        if any(item.plan != reference.plan.fingerprint for item in known):
            return None
        return total(known)

    def trends(
        self,
        monitor: str,
        segment: str | None,
        columns: Sequence[str],
        before: int | None,
        limit: int = TREND,
    ) -> dict[tuple[str, str], Trend]:
        """Trend of each (column, detector) over the newest windows: fewer of them in wide monitors.

        Each column searches every verdict, so that the work is what is bounded.
        """
        if not columns:
            return {}
        most_bytes = max(MOST_BYTES // len(columns), FEWEST_BYTES)
        found = self._browsing.trend(
            monitor, segment, columns, before=before, limit=limit, most_bytes=most_bytes
        )
        return trends_of(found)

    def incidents(self, monitor: str, *, only_open: bool) -> list[StoredIncident]:
        """The monitor's incidents, oldest first."""
        return self._history.incidents(monitor, only_open=only_open)

    def versions(self, monitor: str) -> list[StoredVersion]:
        """References that are or were in force, oldest first."""
        return self._browsing.versions(monitor)

    def configuration(self, verdict: Verdict) -> dict[str, object] | None:
        """The configuration a verdict was decided with, its secrets left out; None when it is not stored."""
        return self._browsing.configuration(verdict.monitor, verdict.configuration)

    def sendings(self, incident: str | None) -> list[StoredSending]:
        """What was sent about an incident."""
        return [] if incident is None else self._browsing.sendings(incident)

    def newer_slices(self, verdict: Verdict) -> list[tuple[int, int, int]]:
        """(start, version decided on, newest version) of slices whose data changed after the verdict."""
        found = []
        for start, version in verdict.tiles:
            known = self._browsing.versions_of_slice(verdict.monitor, start)
            if known and known[-1][0] > version:
                found.append((start, version, known[-1][0]))
        return found

    def acknowledgements(self, monitor: str, limit: int = 50) -> list[Acknowledgement]:
        """What people said, newest first."""
        return self._browsing.acknowledgements(monitor, limit)

    def ask(
        self, monitor: str, incident: str, verdict: str, *, until: int | None, note: str, who: str, now: int
    ) -> int:
        """Ask for an acknowledgement; the runner applies it at its next tick. Returns its number.

        Raises ``StoreError`` when it cannot be kept.
        """
        known = {item.key for item in self.incidents(monitor, only_open=True)}
        if incident not in known:
            raise StoreError(f"{monitor}: expected an open incident. {incident!r} is not open any more.")
        return self._acknowledgements.ask(
            monitor, incident, verdict, until=until, note=note, who=who, now=now
        )


def trends_of(found: Sequence[StoredTrend]) -> dict[tuple[str, str], Trend]:
    """The trends in stored windows, which are in order."""
    if not found:
        return {}
    current = found[-1].reference
    since = next(n for n, item in enumerate(found) if all(x.reference == current for x in found[n:]))
    places: dict[tuple[str, str], dict[int, float | None]] = {}
    for place, item in enumerate(found):
        for statistic in item.statistics:
            key = (statistic["column"], statistic["detector"])
            places.setdefault(key, {})[place] = statistic["value"]
    ends = tuple(item.end for item in found)
    trends = {}
    for key, values in places.items():
        healthy = (n for n in range(since, len(found)) if _healthy(found[n], key[0]))
        usual = [value for n in healthy if (value := values.get(n)) is not None]
        low, high = np.percentile(usual, MIDDLE) if len(usual) >= FEWEST else (None, None)
        trends[key] = Trend(
            ends=ends,
            values=tuple(values.get(n) for n in range(len(found))),
            usual=None if low is None or high is None else (float(low), float(high)),
            since=since,
        )
    return trends


def _healthy(window: StoredTrend, column: str) -> bool:
    return window.state == "ok" or column in window.unchanged
