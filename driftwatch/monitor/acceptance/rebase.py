"""Rebases the reference on what production showed since an incident began."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from driftwatch.core.schema import Span
from driftwatch.core.windows import boundary_after
from driftwatch.decide.baseline.score_model import MIN_HISTORY_WINDOWS
from driftwatch.decide.segment_state import BLIND, Incident, SegmentState
from driftwatch.errors import DataError
from driftwatch.monitor.acceptance.relearn import rebased_owners, relearn, windows_of
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.column_labels import column_labels
from driftwatch.monitor.succession.recount import (
    TilesBySegment,
    is_counted,
    recounted_tiles,
    stored_tiles,
)
from driftwatch.results.text_format import format_count, format_time, listing
from driftwatch.summary.reference import AcceptedSpan, Reference
from driftwatch.summary.serial import fingerprint_reference
from driftwatch.summary.summary import Summary, total

log = logging.getLogger(__name__)
SegmentStates = dict[str | None, SegmentState]
_END_OF_TIME = 1 << 62
#: Columns that an outcome names.
_MAX_NAMES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedIncident:
    """One incident, with its part in each segment that it is open in."""

    key: str
    parts: Mapping[str | None, Incident]

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(name for part in self.parts.values() for name in part.columns))

    @property
    def onset(self) -> int:
        return min(part.onset for part in self.parts.values())

    @property
    def is_blind(self) -> bool:
        """That window had no data that could become the reference."""
        return all(part.kind == BLIND for part in self.parts.values())


def rebase(
    monitor: Monitor, segment_states: SegmentStates, incident: AcceptedIncident
) -> tuple[Monitor, SegmentStates, str]:
    """Replace the reference counts of the incident's columns by production's counts since the onset.

    Tiles are already counted on the frozen cells, so nothing is read again, unless the incident is older than
    the plan. Other columns stay. Also returns what the acceptance covers, for people.
    """
    tiles = _accepted_tiles(monitor, segment_states, incident.onset)
    if not tiles[None]:
        return monitor, segment_states, f"{incident.key}: no rows since its onset are stored"
    end = max(item.span.end for item in tiles[None])
    accepted = AcceptedSpan(columns=incident.columns, start=incident.onset, end=end)
    monitor, segment_states = rebase_on(monitor, segment_states, tiles, accepted)
    return monitor, segment_states, _coverage_text(monitor, incident, accepted, tiles[None])


def _coverage_text(
    monitor: Monitor, incident: AcceptedIncident, accepted: AcceptedSpan, tiles: Sequence[Summary]
) -> str:
    config = monitor.config
    windows = [item for item in windows_of(tiles, config) if item.rows >= config.window.min_rows]
    names = listing(column_labels(accepted.columns), _MAX_NAMES)
    text = f"{incident.key} covers {names}{_places_text(monitor, incident)}"
    text += f", since {format_time(accepted.start)} ({format_count(len(windows), 'window')})"
    if len(windows) >= MIN_HISTORY_WINDOWS:
        return text
    owners = sorted(
        rebased_owners(monitor, accepted.columns), key=lambda name: (name not in accepted.columns, name)
    )
    until = boundary_after(accepted.end, MIN_HISTORY_WINDOWS, config.window.length, config.timezone)
    learners = listing(column_labels(owners), _MAX_NAMES)
    text += f"; scores of {learners} are only learned until {format_time(until)}"
    return f"{text}, shares of rows page as before"


def _places_text(monitor: Monitor, incident: AcceptedIncident) -> str:
    if len(monitor.reference.plan.segments) == 1:
        return ""
    names = ["all rows" if name is None else name for name in incident.parts]
    return f" in every segment (it was open in {listing(names, _MAX_NAMES)})"


def _accepted_tiles(monitor: Monitor, segment_states: SegmentStates, onset: int) -> TilesBySegment:
    decided_until = max((item.decided_until or onset) for item in segment_states.values())
    # Slices of a window that is not judged yet would be held against themselves when it is.
    end = decided_until if decided_until > onset else _END_OF_TIME
    tiles = {
        name: [item for item in items if item.rows and item.span.end <= end]
        for name, items in stored_tiles(monitor, Span(start=onset, end=end)).items()
    }
    if end == _END_OF_TIME or is_counted(monitor, Span(start=onset, end=end)):
        return tiles
    try:
        return recounted_tiles(monitor, Span(start=onset, end=end))
    except DataError as error:
        log.warning(
            "what was accepted cannot be counted on the new plan, newer windows are used",
            extra={"monitor": monitor.config.name, "error": str(error)},
        )
        return tiles


def rebase_on(
    monitor: Monitor, segment_states: SegmentStates, tiles: TilesBySegment, accepted: AcceptedSpan
) -> tuple[Monitor, SegmentStates]:
    """Replace the counts of the accepted columns by those of ``tiles``, and learn these columns from them."""
    columns = frozenset(accepted.columns) & set(monitor.reference.summary.counts)
    reference = rebase_reference(monitor.reference, tiles, columns)
    provenance = reference.provenance
    provenance = replace(provenance, accepted=(*provenance.accepted, accepted))
    rebased_monitor = replace(monitor, reference=replace(reference, provenance=provenance))
    rebased_states = {
        name: relearn(rebased_monitor, segment_state, name, tiles[name], accepted.columns)
        for name, segment_state in segment_states.items()
    }
    return rebased_monitor, rebased_states


def rebase_reference(
    reference: Reference, accepted_tiles: dict[str | None, list[Summary]], columns: frozenset[str]
) -> Reference:
    def swap(summary: Summary, tiles: list[Summary]) -> Summary:
        if not tiles:
            return summary
        accepted_sum = total(tiles)
        counts = {
            name: accepted_sum.counts[name] if name in columns else summary.counts[name]
            for name in summary.counts
        }
        named = {name: rows for name, rows in summary.named.items() if name not in columns}
        named |= {name: rows for name, rows in accepted_sum.named.items() if name in columns}
        sums = accepted_sum.sums if summary.sums is not None else None
        return replace(
            summary,
            counts=counts,
            sums=sums,
            sample=accepted_sum.sample if summary.sample is not None else None,
            named=named,
        )

    draft = replace(
        reference,
        summary=swap(reference.summary, accepted_tiles[None]),
        segments={
            name: swap(summary, accepted_tiles.get(name, [])) for name, summary in reference.segments.items()
        },
    )
    return replace(draft, fingerprint=fingerprint_reference(draft))
