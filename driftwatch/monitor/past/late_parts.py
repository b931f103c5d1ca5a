"""Late rows of decided windows: stored as new versions of their slices, and judged once there are enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from driftwatch.core.schema import Span
from driftwatch.monitor.check import Monitor, Outcome
from driftwatch.monitor.evaluation.late_rows import (
    Growth,
    LateRows,
    earlier_rows_of,
    evaluate_late_rows,
    growths_of,
)
from driftwatch.monitor.evaluation.pages_elsewhere import PagesElsewhere
from driftwatch.monitor.evaluation.window_verdict import Evaluation
from driftwatch.monitor.past.decided_windows import DecidedWindow, judged_rows, versions_on_other_cells
from driftwatch.monitor.reading import Parts, Reading
from driftwatch.monitor.tiles import read_tiles, reread_window
from driftwatch.results.results import Reason, Verdict
from driftwatch.results.stored_verdict import verdict_from_json
from driftwatch.results.text_format import format_time
from driftwatch.store.records import CheckRecord

#: Late rows are judged when they are this share of their window, or ``min_rows``.
MIN_LATE_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class LateData:
    """What reading a decided window again found."""

    window: Span
    rows: int = 0
    #: Slices of which rows were changed or removed; later windows and gauges use the new ones.
    corrected_slices: int = 0
    retained_slices: int = 0
    #: On the late rows, if there were enough to judge.
    outcome: Outcome | None = None
    #: Why the window could not be read.
    error: str = ""


def reread(monitor: Monitor, decided: DecidedWindow, now: int) -> LateData | None:
    """Store a decided window's changed data as new tile versions, and judge late rows if there are enough."""
    window = decided.window
    if versions_on_other_cells(monitor, decided.cut):
        return _count_rows(monitor, decided)
    reading = reread_window(monitor.tile_source(), decided.edges)
    if reading is None or not (reading.new_tiles or reading.retained_slices):
        return None
    name, tiles = monitor.config.name, monitor.recorder.tiles_to_store(reading)
    late_rows = _late_rows(monitor, window, reading)
    evaluations = {} if late_rows is None else _evaluate(monitor, late_rows, reading)
    if late_rows is not None and evaluations:
        monitor.commit(window, now, evaluations, tiles=tiles, part=late_rows.part)
    else:
        monitor.history.commit(CheckRecord(monitor=name, now=now, tiles=tiles))
    return LateData(
        window=window,
        rows=reading.late_rows,
        corrected_slices=reading.corrected_slices,
        retained_slices=reading.retained_slices,
        outcome=_outcome(evaluations, reading),
    )


def _count_rows(monitor: Monitor, decided: DecidedWindow) -> LateData | None:
    """Count the late rows of a window that was decided on cells of another reference: none can be judged."""
    window, edges = decided.window, decided.edges
    earlier_rows = judged_rows(monitor, window)
    tiles = read_tiles(monitor.config, monitor.reference.plan, monitor.readers, edges, sums=False).tiles
    rows = sum(tile.rows for (_, segment), tile in tiles.items() if segment is None) - earlier_rows
    if rows <= 0 or rows < min(monitor.config.window.min_rows, MIN_LATE_SHARE * earlier_rows):
        return LateData(window=window, rows=rows) if rows > 0 else None
    text = f"{rows:,} rows came after the window to {format_time(window.end)} was judged on {earlier_rows:,}."
    text += " They are not judged, since the reference, its columns or its segments changed in between."
    return LateData(window=window, rows=rows, error=text)


def _outcome(evaluations: Mapping[str | None, Evaluation], reading: Reading) -> Outcome | None:
    verdicts = tuple(item.verdict for item in evaluations.values())
    return Outcome(verdicts=verdicts, reading=reading.drop_tiles()) if verdicts else None


def _evaluate(monitor: Monitor, late_rows: LateRows, reading: Reading) -> dict[str | None, Evaluation]:
    states = {segment: monitor.segment_state(segment) for segment in monitor.reference.plan.segments}
    pages, evaluations = PagesElsewhere(states), dict[str | None, Evaluation]()
    for segment, state in states.items():
        decided = evaluate_late_rows(
            monitor.evaluator,
            late_rows,
            state,
            segment,
            reading.drop_tiles(),
            other_pages=pages.of(segment),
        )
        if decided is not None:
            pages.update(segment, decided.segment_state)
            evaluations[segment] = decided
    return evaluations


def _late_rows(monitor: Monitor, window: Span, reading: Reading) -> LateRows | None:
    """Return the rows that came since the last part, or None if there are too few to judge."""
    name, config = monitor.config.name, monitor.config
    data = monitor.history.verdicts.get(name, None, window.end)
    if data is None:
        return None
    verdict = verdict_from_json(data)
    if not verdict.state.has_data or verdict.reason is Reason.EXCLUDED:
        return None
    parts = [
        verdict_from_json(item) for item in monitor.history.late_parts.all_of_window(name, None, window.end)
    ]
    growths = _growths(monitor, _judged_versions(verdict, parts), reading)
    newest = [_slice(monitor, reading, start, version) for start, version in reading.versions.items()]
    late_rows = LateRows(
        window=window,
        part=len(parts) + 1,
        growths=tuple(growths),
        earlier_rows=earlier_rows_of(newest, growths),
    )
    least = min(config.window.min_rows, MIN_LATE_SHARE * late_rows.earlier_rows.get(None, 0))
    rows = late_rows.rows
    return late_rows if rows and rows >= least else None


def _judged_versions(verdict: Verdict, parts: Sequence[Verdict]) -> dict[int, int]:
    versions = dict(verdict.tiles)
    for part in parts:
        for start, version in part.tiles:
            versions[start] = max(version, versions.get(start, version))
    return versions


def _growths(monitor: Monitor, judged: Mapping[int, int], reading: Reading) -> list[Growth]:
    """Return each step from the judged version of a slice to its newest one that only added rows."""
    # A slice that ends with no such step has one without rows, so that the steps lead to the whole window.
    growths = []
    plan, name = monitor.reference.plan.fingerprint, monitor.config.name
    for start, newest in sorted(reading.versions.items()):
        if start not in judged:
            growths.append(_no_step(monitor, reading, start, newest))
            continue
        versions = {*monitor.history.tiles.versions(name, start, plan), newest, judged[start]}
        steps = [
            (version, _slice(monitor, reading, start, version))
            for version in sorted(versions)
            if judged[start] <= version <= newest
        ]
        growths += growths_of(start, _of_one_cut(steps))
        if not growths or (growths[-1].start, growths[-1].versions[1]) != (start, newest):
            growths.append(_no_step(monitor, reading, start, newest))
    return growths


def _no_step(monitor: Monitor, reading: Reading, start: int, version: int) -> Growth:
    parts = _slice(monitor, reading, start, version)
    return Growth(start=start, versions=(version, version), before=parts, after=parts)


def _of_one_cut(steps: Sequence[tuple[int, Parts]]) -> list[tuple[int, Parts]]:
    """Return the versions of a slice with the cells and the span of the newest one, and lost ones."""
    newest = steps[-1][1].get(None)
    cut = None if newest is None else (newest.plan, newest.span)
    return [
        (version, parts)
        for version, parts in steps
        if (summary := parts.get(None)) is None or (summary.plan, summary.span) == cut
    ]


def _slice(monitor: Monitor, reading: Reading, start: int, version: int) -> Parts:
    """Return a version of a slice by segment; empty if the store has lost it."""
    segments = monitor.reference.plan.segments
    if version == reading.versions.get(start):
        current = {segment: reading.tiles.get((start, segment)) for segment in segments}
    else:
        stored = {
            segment: monitor.history.tiles.get(monitor.config.name, segment, start, version)
            for segment in segments
        }
        current = {segment: None if tile is None else tile.summary for segment, tile in stored.items()}
    return {segment: summary for segment, summary in current.items() if summary is not None}
