"""Reads stored verdicts, each with the data that it was computed from."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from driftwatch.daemon.status.snapshot import MonitorView
from driftwatch.monitor.reading import is_growth, same_rows
from driftwatch.results.results import Verdict
from driftwatch.store.acknowledgements import Acknowledgements, UndoneAcceptance
from driftwatch.store.browsing import Browsing
from driftwatch.store.database import Database
from driftwatch.store.history import History
from driftwatch.store.records import OwedWindow
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary, total

#: Statistics in one answer: about five megabytes of JSON.
MAX_STATISTICS = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceChange:
    """A slice of a decided window from one version to the next."""

    start: int
    rows_before: int
    rows: int
    #: Rows were added and none was changed; else the slice was corrected in place.
    is_growth: bool
    #: The part of late rows in which they were judged.
    part: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PartData:
    verdict: Verdict
    #: Nanoseconds.
    decided_at: int | None


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
    #: Set while the window waits for its rows.
    owed: OwedWindow | None = None
    #: Verdicts on rows that came late, the first part first.
    late_parts: tuple[PartData, ...] = ()
    #: What happened to its slices after it was decided, in order.
    changes: tuple[SliceChange, ...] = ()
    #: The acceptance that was in force when it was decided, if that was undone since.
    undone: UndoneAcceptance | None = None

    @property
    def waiting_rows(self) -> int:
        """Rows that came late and are not judged yet."""
        return sum(
            item.rows - item.rows_before for item in self.changes if item.is_growth and item.part is None
        )

    @property
    def corrected_slices(self) -> int:
        return len({item.start for item in self.changes if not item.is_growth})


class VerdictReader:
    """Thread-safe; keeps the newest reference that it had to read."""

    def __init__(self, database: Database) -> None:
        self._history = History(database)
        self._browsing = Browsing(database)
        self._acknowledgements = Acknowledgements(database)
        self._lock = threading.Lock()
        self._cached_reference: tuple[tuple[str, str], Reference] | None = None

    def get(self, monitor: str, segment: str | None, end: int) -> Verdict | None:
        data = self._history.verdicts.get(monitor, segment, end)
        return None if data is None else self._history.verdicts.decode(data)

    def newest(self, monitor: str, segment: str | None, end_below: int | None, limit: int) -> list[Verdict]:
        """Return the newest verdicts of windows that end before ``end_below``, newest first.

        Returns fewer than ``limit`` when they have more than ``MAX_STATISTICS`` statistics.
        """
        verdicts: list[Verdict] = []
        size = 0
        for item in self._browsing.windows(monitor, segment, end_below=end_below, limit=limit):
            verdict = self.get(monitor, segment, item.end)
            if verdict is None:
                continue
            # A part has as many as its window.
            size += len(verdict.statistics) * (1 + len(item.parts))
            if verdicts and size > MAX_STATISTICS:
                break
            verdicts.append(verdict)
        return verdicts

    def data(self, view: MonitorView, segment: str | None, end: int) -> VerdictData | None:
        verdict = self.get(view.name, segment, end)
        if verdict is None:
            return None
        reference = self._reference(view, verdict.reference)
        late_parts = self.late_parts(view.name, segment, end)
        owed = next(
            (item for item in self._history.owed.of_monitor(view.name) if item.window.end == end), None
        )
        decided_at = self._history.verdicts.decided_at(view.name, segment, end)
        return VerdictData(
            verdict=verdict,
            decided_at=decided_at,
            undone=self._acknowledgements.undone_at(view.name, decided_at or 0),
            reference=None if reference is None else reference.for_segment(segment),
            window=self._window(view.name, verdict, reference),
            owed=owed,
            late_parts=tuple(late_parts),
            changes=tuple(self._changes(verdict, [item.verdict for item in late_parts])),
        )

    def late_parts(self, monitor: str, segment: str | None, end: int) -> list[PartData]:
        times = self._browsing.part_times(monitor, segment, end)
        verdicts = [
            self._history.verdicts.decode(item, table="late_parts")
            for item in self._history.late_parts.of_window(monitor, segment, end)
        ]
        return [
            PartData(verdict=item, decided_at=times.get(item.part)) for item in verdicts if item is not None
        ]

    def _changes(self, verdict: Verdict, parts: Sequence[Verdict]) -> Iterator[SliceChange]:
        judged_steps = {
            (start, earlier, later): part.part
            for part in parts
            for (start, later), (_, earlier) in zip(part.tiles, part.earlier_tiles, strict=True)
        }
        tiles = self._history.tiles
        for start, decided_version in verdict.tiles:
            tile = tiles.get(verdict.monitor, verdict.segment, start, decided_version)
            if tile is None:
                continue
            versions = tiles.versions(verdict.monitor, start, tile.summary.plan)
            for version in (item for item in versions if item > decided_version):
                newer_tile = tiles.get(verdict.monitor, verdict.segment, start, version)
                if newer_tile is None:
                    continue
                before, after = tile.summary, newer_tile.summary
                if not same_rows({None: before}, {None: after}):
                    yield SliceChange(
                        start=start,
                        rows_before=before.rows,
                        rows=after.rows,
                        is_growth=is_growth({None: before}, {None: after}),
                        part=judged_steps.get((start, tile.version, version)),
                    )
                tile = newer_tile

    def _reference(self, view: MonitorView, fingerprint: str) -> Reference | None:
        if view.reference is not None and view.reference.fingerprint == fingerprint:
            return view.reference
        key = (view.name, fingerprint)
        with self._lock:
            if self._cached_reference is not None and self._cached_reference[0] == key:
                return self._cached_reference[1]
        reference = self._history.references.get(view.name, fingerprint)
        if reference is not None:
            with self._lock:
                self._cached_reference = (key, reference)
        return reference

    def _window(self, monitor: str, verdict: Verdict, reference: Reference | None) -> Summary | None:
        tiles = [
            self._history.tiles.get(monitor, verdict.segment, start, version)
            for start, version in verdict.tiles
        ]
        summaries = [tile.summary for tile in tiles if tile is not None]
        if reference is None or not summaries or len(summaries) != len(tiles):
            return None
        if any(item.plan != reference.plan.fingerprint for item in summaries):
            return None
        return total(summaries)
