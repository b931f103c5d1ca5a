"""What one window's evidence and breakages come to: pages and updates, and the state that follows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array
from driftwatch.core.memo import NO_MEMO, Memo
from driftwatch.decide.attribution import describe, named_columns
from driftwatch.decide.evalues.logspace import log_sum
from driftwatch.decide.evalues.per_kind import PerKind
from driftwatch.decide.evalues.policy import Policy
from driftwatch.decide.incidents.early_moves import with_early_onsets
from driftwatch.decide.incidents.incident_changes import IncidentChanges
from driftwatch.decide.incidents.page_rules import newest_page, with_pages_elsewhere
from driftwatch.decide.incidents.recentre import (
    grown_columns,
    with_centres,
    with_missing_centres,
    with_paged_distances,
)
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.window_e_values import WindowEValues, effect_floors
from driftwatch.results.results import NamedColumn


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pools:
    """Streams of columns in an incident, ``inside``, and all others, whose evidence leads to a page."""

    inside: PerKind[BoolArray]

    @classmethod
    def of(cls, segment_state: SegmentState) -> Pools:
        names = segment_state.suspended
        return cls(
            inside=PerKind(
                shares=segment_state.shares.keys.owned_by(names),
                scores=segment_state.scores.keys.owned_by(names),
            )
        )

    @property
    def outside(self) -> PerKind[BoolArray]:
        return PerKind(shares=~self.inside.shares, scores=~self.inside.scores)

    def evidence(self, segment_state: SegmentState, memo: Memo = NO_MEMO) -> float:
        """Return the evidence, in [0, 1], of the streams outside."""
        if not (self.inside.shares.any() or self.inside.scores.any()):
            return _as_evidence(segment_state.log_evidence(memo))
        return evidence_over(segment_state, self.outside)


def evidence_over(segment_state: SegmentState, flags: PerKind[BoolArray]) -> float:
    """Return the evidence, in [0, 1], of the flagged streams."""
    shares = segment_state.shares
    labels = flags.shares[shares.label_streams]
    return _as_evidence(log_sum(shares.log_m[labels], segment_state.scores.log_m[flags.scores]))


def _as_evidence(log_evidence: float) -> float:
    return float(np.exp(min(log_evidence, 0.0)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moves:
    changes: IncidentChanges
    pools: Pools
    #: Of columns in no incident until now, and of columns in one.
    named: tuple[NamedColumn, ...]
    further: tuple[NamedColumn, ...]
    #: Evidence of the streams in incidents.
    evidence: float

    @property
    def fields(self) -> dict[str, Any]:
        """Return what a decision says of them."""
        changes = self.changes
        return {
            "page": changes.paged is not None,
            "again": changes.again,
            "paged": changes.paged,
            "named": (*self.named, *self.further),
            "opened": changes.opened,
            "updated": changes.updated,
            "updates": changes.updates,
        }


def find_moves(
    segment_state: SegmentState,
    measurement: Measurement,
    policy: Policy,
    e_values: WindowEValues,
    weights: PerKind[Float64Array],
    bets: PerKind[BoolArray],
    pools: Pools,
    loud: frozenset[str] = frozenset(),
    mended: frozenset[str] = frozenset(),
) -> Moves:
    """Sort what moved into pages and updates; ``loud`` are the incidents' columns that are not back.

    ``mended`` ones are no longer broken, and not back.

    What moved further goes first: what begins in the window of its page is of its cause.
    """
    changes = IncidentChanges(
        measurement=measurement,
        policy=policy,
        incidents=segment_state.incidents,
        past=segment_state.past_incidents,
    )
    changes = changes.with_mended(mended).with_breakages()

    def names_of(flags: PerKind[BoolArray]) -> tuple[NamedColumn, ...]:
        if evidence_over(segment_state, flags) < 1:
            return ()
        active = PerKind(shares=bets.shares & flags.shares, scores=bets.scores & flags.scores)
        return named_columns(segment_state, measurement, e_values, weights, active)

    further, named = names_of(pools.inside), names_of(pools.outside)
    page = newest_page(segment_state.incidents, measurement)
    if page is not None and named:
        floor = effect_floors(segment_state, policy)
        named = with_early_onsets(named, segment_state, measurement, e_values, floor, page)
    if further:
        onsets = {item.column: item.onset for item in further}
        changes = changes.with_further_moves(further, grown_columns(segment_state, e_values, onsets))
    if named:
        changes = changes.with_moves(named)
    was_paged = changes.paged is not None
    grown: frozenset[str] = frozenset()
    if any(item.page_due for item in changes.incidents):
        grown = grown_columns(segment_state, e_values, dict.fromkeys(loud, measurement.window.start))
    changes = changes.with_due_pages(grown)
    changes = replace(changes, incidents=with_pages_elsewhere(changes.incidents, measurement))
    if changes.paged is not None and not was_paged:
        further = (*further, *_due_columns(changes, measurement, grown, further))
    return Moves(
        changes=changes,
        pools=pools,
        named=named,
        further=further,
        evidence=evidence_over(segment_state, pools.inside),
    )


def _due_columns(
    changes: IncidentChanges,
    measurement: Measurement,
    loud: frozenset[str],
    further: tuple[NamedColumn, ...],
) -> list[NamedColumn]:
    # Their evidence was drawn with the update that the page was due for.
    incident = next(item for item in changes.incidents if item.key == changes.paged)
    listed = {item.column for item in further}
    statistics = (*measurement.statistics, *measurement.combined_statistics)
    return [
        NamedColumn(
            column=name,
            detector="",
            share=0.0,
            effect=describe(name, "", statistics, measurement.effect_order),
            onset=incident.onset,
        )
        for name in incident.moved
        if name in loud and name not in listed
    ]


def apply_moves(
    segment_state: SegmentState, e_values: WindowEValues, floor: Float64Array, moves: Moves
) -> SegmentState:
    """Return the state with the incidents as they are now, named streams re-centred and evidence reset."""
    changes, pools = moves.changes, moves.pools
    # What it was while it was broken is not where it is.
    paged = dict.fromkeys(changes.mended, changes.measurement.window.start)
    paged |= {item.column: item.onset for item in moves.named}
    # The columns of a group move together.
    for item in changes.incidents:
        new_columns = [name for name in item.moved if name not in segment_state.suspended]
        paged |= {name: paged.get(name, item.onset) for name in new_columns}
    further = {item.column: item.onset for item in moves.further}
    newly_paged = _columns_of_newer_pages(segment_state, moves)
    paged |= {name: onset for name, onset in further.items() if name in newly_paged}
    further = {name: onset for name, onset in further.items() if name not in newly_paged}
    for onsets, is_paged in ((further, False), (paged, True)):
        if onsets:
            segment_state = with_centres(segment_state, e_values, floor, onsets, paged=is_paged)
    if changes.mended:
        # Joint detectors read them in this window.
        segment_state = _reset(segment_state, _owned(segment_state, changes))
    if moves.named:
        segment_state = replace(_reset(segment_state, pools.outside), evidence_start=None)
    if moves.evidence >= 1:
        segment_state = _reset(segment_state, pools.inside)
    segment_state = replace(segment_state, incidents=changes.incidents)
    if newly_paged:
        segment_state = with_paged_distances(segment_state, e_values, newly_paged)
    return with_missing_centres(segment_state, e_values, floor, changes.measurement)


def _owned(segment_state: SegmentState, changes: IncidentChanges) -> PerKind[BoolArray]:
    names = changes.mended | changes.measurement.joint_readers
    return PerKind(
        shares=segment_state.shares.keys.owned_by(names), scores=segment_state.scores.keys.owned_by(names)
    )


def _columns_of_newer_pages(segment_state: SegmentState, moves: Moves) -> frozenset[str]:
    """Return the columns of open incidents that paged again, here or in another segment."""
    newest = {item.key: item.newest_page for item in segment_state.incidents}
    return frozenset(
        name
        for item in moves.changes.incidents
        if item.newest_page > newest.get(item.key, item.newest_page)
        for name in item.moved
    )


def _reset(segment_state: SegmentState, flags: PerKind[BoolArray]) -> SegmentState:
    return replace(
        segment_state,
        shares=segment_state.shares.reset(flags.shares),
        scores=segment_state.scores.reset(flags.scores),
    )
