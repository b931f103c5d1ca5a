"""Looks at past windows again: at owed ones, and at decided ones for rows that came late.

An owed window is judged when its rows come, whatever was judged meanwhile, and is given up when the source
has answered for the monitor's patience without them. Rows that come after a window was decided are judged as
a part of their own once there are enough; a correction in place changes no verdict, and is counted.

Why the promise of ``driftwatch.decide`` holds: the recursion takes windows in the order in which they are
judged. Which one is next follows from which rows there are, never from what is in them, so that each window's
null holds given all that was judged before; its budget is that of its own time, and is spent once.

Only versions are compared, in one call, until one of them changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from driftwatch.config.models import WindowConfig
from driftwatch.core.schema import NANOSECONDS, Span
from driftwatch.core.windows import slice_boundaries, window_at, window_boundaries
from driftwatch.errors import DataError, SourceUnavailable
from driftwatch.monitor.check import Monitor, Outcome, OwedLook, opens_blind_incident
from driftwatch.monitor.evaluation.late_rows import (
    Growth,
    LateRows,
    earlier_rows_of,
    evaluate_late_rows,
)
from driftwatch.monitor.evaluation.window_verdict import Evaluation
from driftwatch.monitor.reading import Parts, Reading, is_growth
from driftwatch.monitor.succession.decided_windows import (
    decided_edges,
    decided_windows,
    judged_rows,
    versions_on_other_cells,
)
from driftwatch.monitor.tiles import read_tiles, reread_window, stored_tiles
from driftwatch.results.results import Reason, State, Verdict
from driftwatch.results.stored_verdict import verdict_from_json
from driftwatch.results.text_format import format_time
from driftwatch.store.records import CheckRecord, OwedWindow

#: Late rows are judged when they are this share of their window, or ``min_rows``.
MIN_LATE_SHARE = 0.1
#: Seconds between two answers of a source that count as waiting at most: nobody looked meanwhile.
_MAX_WAIT_SECONDS = 86_400
#: Failed reads of one version of an owed window before it is read again only after a wait or a change.
_MAX_FAILURES = 3
#: Seconds. What made a read fail may pass while the data stay as they are: a file's rights, memory, a load.
_FAILURE_WAIT_SECONDS = 3600
#: Failures that may pass without a change of the data.
PASSING_FAILURES = frozenset({Reason.SOURCE_UNAVAILABLE, Reason.SOURCE_TIMEOUT, Reason.READER_DIED})


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """An owed window that was checked, or late data of a decided one."""

    window: Span
    outcome: Outcome | None = None
    late_data: LateData | None = None


def windows_to_reread(newest: Span, window: WindowConfig, timezone: str, now: int) -> list[Span]:
    """Return decided windows at 1, 2, 4, ... windows before the newest one, oldest first.

    Each window is so looked at about ``log2`` times within the patience, at twice its age each time: what is
    late by some time is found by twice that time.
    """
    horizon, half, distance = _horizon(window, now), window.length * NANOSECONDS // 2, 1
    windows: list[Span] = []
    while True:
        # Its middle, since a day has 23 or 25 hours when clocks change.
        middle = newest.start - (distance - 1) * window.length * NANOSECONDS - half
        if middle < horizon:
            return windows[::-1]
        windows.append(window_at(middle, window.length, timezone))
        distance *= 2


def windows_within_patience(newest_end: int, window: WindowConfig, timezone: str, now: int) -> list[Span]:
    """Return all windows up to the newest decided one that late rows may still reach, oldest first."""
    windows, end, horizon = list[Span](), newest_end, _horizon(window, now)
    while end > horizon:
        windows.append(window_at(end - 1, window.length, timezone))
        end = windows[-1].start
    return windows[::-1]


def _horizon(window: WindowConfig, now: int) -> int:
    return now - (window.lag + window.patience_seconds) * NANOSECONDS


def look_again(monitor: Monitor, now: int, decided: Sequence[Span] = ()) -> Iterator[Look]:
    """Look at the owed windows, and at ``decided`` ones for late rows; oldest first.

    Raises the source's errors.
    """
    _recut(monitor)
    owed = {item.window.end: item for item in monitor.history.owed.of_monitor(monitor.config.name)}
    slices = {
        window: _stored_slices(monitor, window)
        for window in decided_windows(monitor, decided)
        if window.end not in owed
    }
    spans = [item.window for item in owed.values()]
    spans += [span for stored in slices.values() for span in stored]
    if not spans:
        return
    try:
        versions = _versions(monitor, spans)
    except DataError:
        _wait(monitor, now, answered=False)
        # The check finds the same failure, and opens the incident that is due.
        for item in owed.values():
            if opens_blind_incident(monitor, item.window, now):
                yield Look(window=item.window, outcome=monitor.check(item.window, now))
        raise
    for window in sorted([*(item.window for item in owed.values()), *slices], key=lambda item: item.end):
        if window.end in owed:
            if not _is_worth_a_look(monitor, owed[window.end], versions[window], now):
                continue
            outcome = monitor.check(window, now)
            _remember(monitor, window, versions[window], outcome, now)
            yield Look(window=window, outcome=outcome)
            if outcome.failure in PASSING_FAILURES:
                return
        elif any(versions[span] != version for span, version in slices[window].items()):
            try:
                late_data = _reread(monitor, window, now)
            except SourceUnavailable:
                raise
            except DataError as error:
                # Others are looked at, and this one again at its next look.
                yield Look(window=window, late_data=LateData(window=window, error=str(error)))
                continue
            monitor.slice_versions.update({span: versions[span] for span in slices[window]})
            if late_data is not None:
                yield Look(window=window, late_data=late_data)
    for end in _wait(monitor, now, answered=True):
        monitor.owed_looks.pop(end, None)
    horizon = _horizon(monitor.config.window, now)
    for span in [span for span in monitor.slice_versions if span.start < horizon]:
        del monitor.slice_versions[span]


def _recut(monitor: Monitor) -> None:
    """Cut owed windows of another length anew; what fits none of today's is owed no longer."""
    config, owed_table = monitor.config, monitor.history.owed
    length, timezone = config.window.length, config.timezone
    for item in owed_table.of_monitor(config.name):
        span = item.window
        if window_at(span.start, length, timezone) == span:
            continue
        edges = window_boundaries(length, timezone, span.start, span.end)
        windows = [Span(start=start, end=end) for start, end in pairwise(edges)]
        inner = [window for window in windows if span.start <= window.start and window.end <= span.end]
        owed_table.replace(config.name, span.end, [replace(item, window=window) for window in inner])


def _versions(monitor: Monitor, spans: Sequence[Span]) -> Mapping[Span, str]:
    config = monitor.config
    limits = config.limits
    versions = monitor.readers.versions(
        config.source, spans, seconds=limits.seconds, memory=int(limits.memory)
    )
    return dict(zip(spans, versions, strict=True))


def _stored_slices(monitor: Monitor, window: Span) -> dict[Span, str]:
    # No row of a slice that was never stored can be late.
    config, plan, edges = monitor.config, monitor.reference.plan, decided_edges(monitor, window)
    if edges == slice_boundaries(window, config.window.length, config.window.step, config.timezone):
        keys = monitor.history.tiles.newest_keys(
            config.name, None, window.start, window.end, plan.fingerprint
        )
        versions = {start: version for start, _, version in keys}
    else:
        versions = dict(stored_tiles(monitor.tile_source(), edges).source_versions)
    versions = versions or versions_on_other_cells(monitor, window)
    slices = [Span(start=start, end=end) for start, end in pairwise(edges) if start in versions]
    # A version may change with other data, and the rows be the same: those are not stored again.
    return {
        item: monitor.slice_versions.get(item, version) if (version := versions[item.start]) else version
        for item in slices
    }


def _wait(monitor: Monitor, now: int, *, answered: bool) -> list[int]:
    window = monitor.config.window
    return monitor.history.owed.wait(
        monitor.config.name,
        now,
        answered=answered,
        max_gap=max(window.length, _MAX_WAIT_SECONDS) * NANOSECONDS,
        patience=window.patience_seconds * NANOSECONDS,
    )


def _is_worth_a_look(monitor: Monitor, owed: OwedWindow, version: str, now: int) -> bool:
    look = monitor.owed_looks.get(owed.window.end)
    if look is None or look.version != version or not look.is_settled:
        return True
    if look.failures and now - look.looked_at >= _FAILURE_WAIT_SECONDS * NANOSECONDS:
        return True
    decided_until = monitor.segment_state(None).decided_until
    if look.is_behind and decided_until is not None and decided_until > owed.window.end:
        return True
    return opens_blind_incident(monitor, owed.window, now)


def _remember(monitor: Monitor, window: Span, version: str, outcome: Outcome, now: int) -> None:
    look = monitor.owed_looks.pop(window.end, None)
    if outcome.failure is None:
        return
    # A window without rows was read.
    failures = int(outcome.verdicts[0].state is State.SOURCE_ERROR)
    failures += look.failures if look is not None and look.version == version else 0
    is_settled = outcome.failure not in PASSING_FAILURES or failures >= _MAX_FAILURES
    monitor.owed_looks[window.end] = OwedLook(
        version=version,
        failures=failures,
        is_settled=is_settled,
        is_behind=outcome.failure is Reason.SOURCE_BEHIND,
        looked_at=now,
    )


def _reread(monitor: Monitor, window: Span, now: int) -> LateData | None:
    """Store a decided window's changed data as new tile versions, and judge late rows if there are enough."""
    edges = decided_edges(monitor, window)
    if versions_on_other_cells(monitor, window):
        return _count_rows(monitor, window, edges)
    reading = reread_window(monitor.tile_source(), edges)
    if reading is None or not (reading.new_tiles or reading.retained_slices):
        return None
    name, tiles = monitor.config.name, monitor.tiles_to_store(reading)
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


def _count_rows(monitor: Monitor, window: Span, edges: list[int]) -> LateData | None:
    """Count the late rows of a window that was decided on cells of another reference: none can be judged."""
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
    evaluations: dict[str | None, Evaluation] = {}
    for segment in monitor.reference.plan.segments:
        decided = evaluate_late_rows(
            monitor.evaluator, late_rows, monitor.segment_state(segment), segment, reading.drop_tiles()
        )
        if decided is not None:
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
    parts = [verdict_from_json(item) for item in monitor.history.late_parts.of_window(name, None, window.end)]
    growths = _growths(monitor, _judged_versions(verdict, parts), reading)
    newest = [_slice(monitor, reading, start, version) for start, version in reading.versions.items()]
    late_rows = LateRows(
        window=window,
        part=len(parts) + 1,
        growths=tuple(growths),
        earlier_rows=earlier_rows_of(newest, growths),
    )
    least = min(config.window.min_rows, MIN_LATE_SHARE * late_rows.earlier_rows.get(None, 0))
    return late_rows if late_rows.rows and late_rows.rows >= least else None


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
        for (earlier, before), (later, after) in pairwise(_of_one_cut(steps)):
            if None in before and None in after and is_growth(before, after):
                growths.append(Growth(start=start, versions=(earlier, later), before=before, after=after))
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
