"""Queries of the pages and the API: windows, verdicts with their data, trends, acknowledgements."""

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

#: Windows of a trend.
TREND_WINDOWS = 60
#: Bytes of stored verdicts that are searched for all trends of a page, and at least for each column.
MAX_BYTES = 64_000_000
MIN_BYTES_PER_COLUMN = 6_000_000
#: Statistics in one answer: about five megabytes of JSON.
MAX_STATISTICS = 20_000
#: The band of a trend: percentiles over at least this many windows in which the column did not change.
MIN_BAND_WINDOWS = 10
BAND_PERCENTILES = (5.0, 95.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictData:
    """A stored verdict with the data that it was computed from."""

    verdict: Verdict
    #: Nanoseconds.
    decided_at: int | None
    #: The segment's reference; None after retention deleted it.
    reference: Reference | None
    #: The window's summary on the reference's cells; None after retention deleted it.
    window: Summary | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """One statistic over windows, oldest first."""

    ends: tuple[int, ...]
    values: tuple[float | None, ...]
    #: The band over healthy windows, None if they are few. Healthy means: the column did not change and the
    #: reference is that of the newest window.
    usual: tuple[float, float] | None
    #: Index of the first window compared with the reference of the newest one.
    since: int


class HistoryView:
    """Thread-safe read access to the history."""

    def __init__(self, database: Database) -> None:
        self._history = History(database)
        self._browsing = Browsing(database)
        self._acknowledgements = Acknowledgements(database)
        self._lock = threading.Lock()
        self._cached_reference: tuple[tuple[str, str], Reference] | None = None

    def windows(
        self, monitor: str, segment: str | None, end_below: int | None, limit: int
    ) -> list[StoredWindow]:
        return self._browsing.windows(monitor, segment, end_below=end_below, limit=limit)

    def following(self, monitor: str, segment: str | None, end: int, limit: int) -> list[StoredWindow]:
        return self._browsing.following(monitor, segment, end, limit)

    def count(self, monitor: str, segment: str | None) -> int:
        return self._browsing.count(monitor, segment)

    def verdicts(self, monitor: str, segment: str | None, end_below: int | None, limit: int) -> list[Verdict]:
        """Return the newest verdicts of windows that end before ``end_below``, newest first.

        Returns fewer than ``limit`` when they have more than ``MAX_STATISTICS`` statistics.
        """
        verdicts: list[Verdict] = []
        size = 0
        for item in self._browsing.windows(monitor, segment, end_below=end_below, limit=limit):
            verdict = self.verdict(monitor, segment, item.end)
            if verdict is None:
                continue
            size += len(verdict.statistics)
            if verdicts and size > MAX_STATISTICS:
                break
            verdicts.append(verdict)
        return verdicts

    def verdict(self, monitor: str, segment: str | None, end: int) -> Verdict | None:
        data = self._history.verdict(monitor, segment, end)
        return None if data is None else verdict_from_json(data)

    def verdict_data(self, view: MonitorView, segment: str | None, end: int) -> VerdictData | None:
        verdict = self.verdict(view.name, segment, end)
        if verdict is None:
            return None
        reference = self._reference(view, verdict.reference)
        return VerdictData(
            verdict=verdict,
            decided_at=self._history.decided_at(view.name, segment, end),
            reference=None if reference is None else reference.for_segment(segment),
            window=self._window(view.name, verdict, reference),
        )

    def _reference(self, view: MonitorView, fingerprint: str) -> Reference | None:
        if view.reference is not None and view.reference.fingerprint == fingerprint:
            return view.reference
        key = (view.name, fingerprint)
        with self._lock:
            if self._cached_reference is not None and self._cached_reference[0] == key:
                return self._cached_reference[1]
        reference = self._history.reference(view.name, fingerprint)
        if reference is not None:
            with self._lock:
                self._cached_reference = (key, reference)
        return reference

    def _window(self, monitor: str, verdict: Verdict, reference: Reference | None) -> Summary | None:
        tiles = [
            self._history.tile(monitor, verdict.segment, start, version) for start, version in verdict.tiles
        ]
        summaries = [tile.summary for tile in tiles if tile is not None]
        if reference is None or not summaries or len(summaries) != len(tiles):
            return None
        if any(item.plan != reference.plan.fingerprint for item in summaries):
            return None
        return total(summaries)

    def trends(
        self,
        monitor: str,
        segment: str | None,
        columns: Sequence[str],
        end_below: int | None,
        limit: int = TREND_WINDOWS,
    ) -> dict[tuple[str, str], Trend]:
        """Return the trend of each (column, detector) over the newest windows, fewer for wide monitors."""
        if not columns:
            return {}
        # Each column searches the text of every verdict, so the bytes are bounded.
        max_bytes = max(MAX_BYTES // len(columns), MIN_BYTES_PER_COLUMN)
        windows = self._browsing.trend(
            monitor, segment, columns, end_below=end_below, limit=limit, max_bytes=max_bytes
        )
        return trends_of(windows)

    def incidents(self, monitor: str, *, only_open: bool) -> list[StoredIncident]:
        return self._history.incidents(monitor, only_open=only_open)

    def versions(self, monitor: str) -> list[StoredVersion]:
        return self._browsing.versions(monitor)

    def configuration(self, verdict: Verdict) -> dict[str, object] | None:
        return self._browsing.configuration(verdict.monitor, verdict.configuration)

    def sendings(self, incident: str | None) -> list[StoredSending]:
        return [] if incident is None else self._browsing.sendings(incident)

    def newer_slices(self, verdict: Verdict) -> list[tuple[int, int, int]]:
        """Return (start, decided version, newest version) of slices that changed after the verdict."""
        changes = []
        for start, version in verdict.tiles:
            versions = self._browsing.tile_versions(verdict.monitor, start)
            if versions and versions[-1][0] > version:
                changes.append((start, version, versions[-1][0]))
        return changes

    def acknowledgements(self, monitor: str, limit: int = 50) -> list[Acknowledgement]:
        return self._browsing.acknowledgements(monitor, limit)

    def ask(
        self, monitor: str, incident: str, verdict: str, *, until: int | None, note: str, who: str, now: int
    ) -> int:
        """Request an acknowledgement, which the runner applies at its next tick, and return its id.

        Raises ``StoreError`` when the incident is not open or the request cannot be stored.
        """
        open_keys = {item.key for item in self.incidents(monitor, only_open=True)}
        if incident not in open_keys:
            raise StoreError(f"{monitor}: expected an open incident. {incident!r} is not open any more.")
        return self._acknowledgements.ask(
            monitor, incident, verdict, until=until, note=note, who=who, now=now
        )


def trends_of(windows: Sequence[StoredTrend]) -> dict[tuple[str, str], Trend]:
    if not windows:
        return {}
    current = windows[-1].reference
    since = next(n for n, item in enumerate(windows) if all(x.reference == current for x in windows[n:]))
    points: dict[tuple[str, str], dict[int, float | None]] = {}
    for position, item in enumerate(windows):
        for statistic in item.statistics:
            key = (statistic["column"], statistic["detector"])
            points.setdefault(key, {})[position] = statistic["value"]
    ends = tuple(item.end for item in windows)
    trends = {}
    for key, values in points.items():
        healthy = (n for n in range(since, len(windows)) if _healthy(windows[n], key[0]))
        healthy_values = [value for n in healthy if (value := values.get(n)) is not None]
        low, high = (
            np.percentile(healthy_values, BAND_PERCENTILES)
            if len(healthy_values) >= MIN_BAND_WINDOWS
            else (None, None)
        )
        trends[key] = Trend(
            ends=ends,
            values=tuple(values.get(n) for n in range(len(windows))),
            usual=None if low is None or high is None else (float(low), float(high)),
            since=since,
        )
    return trends


def _healthy(window: StoredTrend, column: str) -> bool:
    return window.state == "ok" or column in window.unchanged
