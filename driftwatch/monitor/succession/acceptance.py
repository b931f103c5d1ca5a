"""Keeps an acceptance (``ack --as accepted``) in force on a reference built anew from the same data.

The accepted span is counted on the new plan: from stored tiles, else from the source. Where the source no
longer has all of its rows, a column whose cells are the same keeps the counts that were accepted. Any other
column is compared with the reference as it was built, which people are told.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from driftwatch.core.schema import Span
from driftwatch.errors import DataError
from driftwatch.monitor.acceptance.rebase import SegmentStates, rebase_on
from driftwatch.monitor.acceptance.relearn import relearn
from driftwatch.monitor.check import Monitor
from driftwatch.monitor.column_labels import column_labels
from driftwatch.monitor.succession.recount import TilesBySegment, recounted_tiles
from driftwatch.monitor.succession.same_data import same_grid
from driftwatch.store.acknowledgements import ACCEPTED
from driftwatch.summary.reference import AcceptedSpan, Reference
from driftwatch.summary.serial import fingerprint_reference
from driftwatch.summary.summary import Summary

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Acceptance:
    #: The reference in force until now, with what was accepted.
    rebased: Reference
    spans: tuple[AcceptedSpan, ...]


def acceptance_of(monitor: Monitor, old: Reference, built: Reference) -> Acceptance | None:
    spans = old.provenance.accepted
    if not spans and old.fingerprint != built.fingerprint:
        spans = _spans_from_incidents(monitor, old, built)
    return Acceptance(rebased=old, spans=spans) if spans else None


def _spans_from_incidents(monitor: Monitor, old: Reference, built: Reference) -> tuple[AcceptedSpan, ...]:
    # References that 0.1.0 rebased do not say which columns, but the newest incident of each does.
    columns = {
        name for name in old.summary.counts if old.summary.counts[name] != built.summary.counts.get(name)
    }
    incidents = monitor.history.incidents.of_monitor(monitor.config.name, only_open=False)
    accepted = sorted(
        (item for item in incidents if item.resolution == ACCEPTED and item.resolved_at is not None),
        key=lambda item: item.resolved_at or 0,
    )
    spans: list[AcceptedSpan] = []
    for item in reversed(accepted):
        names = columns & set(item.columns)
        columns -= names
        if names:
            span = AcceptedSpan(columns=item.columns, start=item.onset, end=item.resolved_at or 0)
            spans.append(span)
    if columns:
        spans.append(AcceptedSpan(columns=tuple(sorted(columns)), start=0, end=0))
    return tuple(reversed(spans))


def same_acceptance(monitor: Monitor, acceptance: Acceptance) -> Reference:
    """Return the new reference with the accepted counts, where all cells are the same."""
    old = acceptance.rebased
    provenance = replace(monitor.reference.provenance, accepted=acceptance.spans)
    draft = replace(monitor.reference, summary=old.summary, segments=old.segments, provenance=provenance)
    return replace(draft, fingerprint=fingerprint_reference(draft))


def accept_again(
    monitor: Monitor, segment_states: SegmentStates, acceptance: Acceptance, say: Say
) -> tuple[Monitor, SegmentStates]:
    """Apply an acceptance to a new reference of other cells and to its first states."""
    for span in acceptance.spans:
        tiles = _tiles(monitor, span)
        if sum(item.rows for item in tiles[None]) >= _accepted_rows(acceptance.rebased, span):
            monitor, segment_states = rebase_on(monitor, segment_states, tiles, span)
        else:
            monitor, segment_states = _keep_counts(monitor, segment_states, acceptance.rebased, span, say)
    return monitor, segment_states


def _tiles(monitor: Monitor, span: AcceptedSpan) -> TilesBySegment:
    nothing: TilesBySegment = {segment: [] for segment in monitor.reference.plan.segments}
    if span.end <= span.start:
        return nothing
    try:
        return recounted_tiles(monitor, Span(start=span.start, end=span.end))
    except DataError:
        return nothing


def _accepted_rows(rebased: Reference, span: AcceptedSpan) -> int:
    counts = rebased.summary.counts
    return max((counts[name].rows for name in span.columns if name in counts), default=1)


def _keep_counts(
    monitor: Monitor,
    segment_states: SegmentStates,
    rebased: Reference,
    span: AcceptedSpan,
    say: Say,
) -> tuple[Monitor, SegmentStates]:
    reference = monitor.reference
    columns = [name for name in span.columns if name in reference.plan.grids]
    copied = frozenset(
        name
        for name in columns
        if name in rebased.plan.grids and same_grid(rebased.plan.grids[name], reference.plan.grids[name])
    )
    for note in _loss_notes(reference, rebased, [name for name in columns if name not in copied], copied):
        say(f"{monitor.config.name}: {note}: the source no longer has those rows, and it may page again")

    def copy(summary: Summary, old: Summary | None) -> Summary:
        if old is None:
            return summary
        counts = {name: (old if name in copied else summary).counts[name] for name in summary.counts}
        named = {name: rows for name, rows in summary.named.items() if name not in copied}
        named |= {name: rows for name, rows in old.named.items() if name in copied}
        return replace(summary, counts=counts, named=named)

    provenance = replace(reference.provenance, accepted=(*reference.provenance.accepted, span))
    draft = replace(
        reference,
        summary=copy(reference.summary, rebased.summary),
        segments={name: copy(item, rebased.segments.get(name)) for name, item in reference.segments.items()},
        provenance=provenance,
    )
    monitor = replace(monitor, reference=replace(draft, fingerprint=fingerprint_reference(draft)))
    # The reference is not the sum of the rows that are left, and joint sums cannot be told apart by column:
    # the windows that follow teach what is usual.
    return monitor, {
        name: relearn(monitor, segment_state, name, (), tuple(copied))
        for name, segment_state in segment_states.items()
    }


def _loss_notes(
    reference: Reference, rebased: Reference, lost: Sequence[str], copied: frozenset[str]
) -> list[str]:
    notes = []
    if lost:
        names = ", ".join(column_labels(lost))
        notes.append(f"what was accepted of {names} cannot be counted on the new reference")
    new_segments = [name for name in reference.segments if name not in rebased.segments]
    if copied and new_segments:
        names = ", ".join(column_labels(copied))
        notes.append(f"what was accepted of {names} cannot be counted by segment, only of all rows")
    return notes
