"""Streams of named columns after a page: around where the page found them.

A named column's streams go on betting, each on the smaller of two e-values: that against the reference, and
that against its centre (the shares since the onset, and the likeliest shift). Null hypothesis: the column is
at its centre, or back at the reference. ``E[min(e, f)] <= 1`` under either, so the budget is kept, and a
column that comes back is no evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from itertools import compress

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.decide.baseline.prediction import likeliest_shift
from driftwatch.decide.baseline.score_history import MAX_SHIFTED_LOG_RATIO, ScoreHistory, cusum_start
from driftwatch.decide.baseline.share_history import ShareHistory
from driftwatch.decide.evalues.per_kind import PerKind
from driftwatch.decide.evalues.stream_index import owner_of
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.window_e_values import WindowEValues
from driftwatch.results.streams import Streams

#: A share of rows has moved on if it is so much further from the reference than at the newest page.
_GROWN_SHARE = 0.2
#: Scores have moved on if they are so many times as far, by more than what both windows vary, in scales.
_GROWN_SCORE, _SCORE_NOISE = 2.0, 3.0
#: Later than any window.
_NEVER = 1 << 62


def with_centres(
    segment_state: SegmentState,
    e_values: WindowEValues,
    floor: Float64Array,
    onsets: Mapping[str, int],
    *,
    paged: bool,
    streams: PerKind[BoolArray] | None = None,
) -> SegmentState:
    """Centre the streams of columns, each since its onset, this window included; ``paged`` by a new page.

    Of some columns only some ``streams``.
    """
    names = frozenset(onsets)
    shares, scores = segment_state.shares, segment_state.scores
    is_share, is_score = shares.keys.owned_by(names), scores.keys.owned_by(names)
    if streams is not None:
        is_share, is_score = is_share & streams.shares, is_score & streams.scores
    counts = _counts_since(segment_state, e_values, onsets)
    onset = np.full(len(scores.keys), _NEVER)
    for name, start in onsets.items():
        onset[scores.keys.owned_by(frozenset({name}))] = start
    onset = np.where(is_score & scores.suspected, cusum_start(scores), onset)
    deviation, windows = likeliest_shift(scores, floor, e_values.deviation, onset)
    centre = np.where(windows > 0, deviation, np.nan)
    shares = _recentred_shares(shares, is_share, counts)
    if paged:
        # One that an older version's page found, or an earlier page, is still to be watched for its end.
        is_shift = is_score & (scores.suspected | np.isnan(scores.shift))
        scores = _with_shift(scores, is_shift, np.where(scores.suspected, centre, np.nan))
    scores = _recentred_scores(scores, is_score, centre, windows)
    if paged:
        change = _share_changes(counts, e_values)
        labels = is_share[shares.label_streams]
        shares = replace(shares, paged_change=np.where(labels, change, shares.paged_change))
        paged_deviation = np.where(is_score, np.nan_to_num(np.abs(centre)), scores.paged_deviation)
        scores = replace(scores, paged_deviation=paged_deviation)
    return replace(segment_state, shares=shares, scores=scores)


def with_paged_distances(
    segment_state: SegmentState, e_values: WindowEValues, columns: Iterable[str]
) -> SegmentState:
    """Remember how far the columns of an incident are in the window that it pages for."""
    names = frozenset(columns)
    shares, scores, window = segment_state.shares, segment_state.scores, e_values.window_shares
    change = _share_changes(np.stack([window.successes, window.trials]), e_values)
    labels = shares.keys.owned_by(names)[shares.label_streams]
    deviation = np.where(scores.keys.owned_by(names), np.nan_to_num(np.abs(e_values.deviation)), 0.0)
    paged_change = np.where(labels, np.maximum(change, shares.paged_change), shares.paged_change)
    return replace(
        segment_state,
        shares=replace(shares, paged_change=paged_change),
        scores=replace(scores, paged_deviation=np.maximum(deviation, scores.paged_deviation)),
    )


def _recentred_shares(shares: ShareHistory, flags: BoolArray, counts: Int64Array) -> ShareHistory:
    return replace(shares, centre=np.where(flags[shares.label_streams], counts, shares.centre))


def _recentred_scores(
    scores: ScoreHistory, flags: BoolArray, deviation: Float64Array, windows: Float64Array
) -> ScoreHistory:
    # ``deviation`` is the mean of so many windows.
    return replace(
        scores,
        centre=np.where(flags, deviation, scores.centre),
        centre_windows=np.where(flags, windows, scores.centre_windows),
        centre_level=np.where(flags, 0.0, scores.centre_level),
    )


def _with_shift(scores: ScoreHistory, flags: BoolArray, shift: Float64Array) -> ScoreHistory:
    # The flagged scores end their incident when ``shift`` is gone; NaN means no shift.
    return replace(
        scores,
        shift=np.where(flags, shift, scores.shift),
        shifted_log_ratio=np.where(flags, MAX_SHIFTED_LOG_RATIO, scores.shifted_log_ratio),
    )


def _counts_since(
    segment_state: SegmentState, e_values: WindowEValues, onsets: Mapping[str, int]
) -> Int64Array:
    shares, window = segment_state.shares, e_values.window_shares
    n_labels = len(shares.log_m)
    counts = np.zeros((2, n_labels), dtype=np.int64)
    for onset in sorted(set(onsets.values())):
        names = frozenset(name for name, start in onsets.items() if start == onset)
        labels = shares.keys.owned_by(names)[shares.label_streams]
        counts[:, labels] = segment_state.recent_shares.since(onset, n_labels)[:, labels]
    counts += np.stack([window.successes, window.trials])
    return counts


def _share_changes(counts: Int64Array, e_values: WindowEValues) -> Float64Array:
    change = np.abs(counts[0] / np.maximum(counts[1], 1) - e_values.window_shares.reference)
    return np.asarray(np.where(counts[1] > 0, change, 0.0))


def grown_columns(
    segment_state: SegmentState, e_values: WindowEValues, onsets: Mapping[str, int]
) -> frozenset[str]:
    """Return the columns that are much further from the reference than at their incident's newest page."""
    shares, scores = segment_state.shares, segment_state.scores
    change = _share_changes(_counts_since(segment_state, e_values, onsets), e_values)
    is_grown = change >= shares.paged_change + _GROWN_SHARE
    owners = np.unique(shares.keys.stream_owners[shares.label_streams[is_grown]]).tolist()
    grown = {shares.keys.owners[owner] for owner in owners}
    deviation = np.nan_to_num(np.abs(e_values.deviation))
    for name in onsets:
        is_score = scores.keys.owned_by(frozenset({name}))
        if is_score.any():
            paged = float(scores.paged_deviation[is_score].max())
            if deviation[is_score].max() >= _GROWN_SCORE * paged + _SCORE_NOISE:
                grown.add(name)
    return frozenset(grown & onsets.keys())


def with_missing_centres(
    segment_state: SegmentState, e_values: WindowEValues, floor: Float64Array, measurement: Measurement
) -> SegmentState:
    """Centre the incidents' streams that have no centre in the first window that measures them.

    The window of the page may have measured none of a column's streams, or not all. Late rows are too few,
    a window before the onset says nothing of it, and a broken column is centred once it is not.
    """
    broken, end = {item.column for item in measurement.breakages}, measurement.window.end
    onsets = _onsets(segment_state)
    onsets = {name: onset for name, onset in onsets.items() if name not in broken and onset < end}
    if measurement.part or not onsets:
        return segment_state
    shares, scores = segment_state.shares, segment_state.scores
    names = frozenset(onsets)
    missing = PerKind(
        shares=shares.keys.owned_by(names) & ~shares.centred & e_values.window_shares.present,
        scores=scores.keys.owned_by(names) & ~scores.centred & ~np.isnan(e_values.deviation),
    )
    if not (missing.shares.any() or missing.scores.any()):
        return segment_state
    return with_centres(segment_state, e_values, floor, onsets, paged=True, streams=missing)


def uncentred(segment_state: SegmentState, streams: Streams) -> frozenset[str]:
    """Return the columns of incidents of which no stream that a window measured has a centre yet."""
    names = frozenset(_onsets(segment_state))
    if not names:
        return names
    shares, scores = segment_state.shares, segment_state.scores
    centred_keys = {*compress(shares.keys, shares.centred), *compress(scores.keys, scores.centred)}
    starts = np.cumsum(streams.sizes) - streams.sizes
    has_trials = np.add.reduceat(streams.trials, starts) > 0 if len(starts) else np.empty(0, dtype=np.bool_)
    measured = [
        *compress(streams.share_keys, has_trials),
        *compress(streams.score_keys, ~np.isnan(streams.value)),
    ]
    blind = {owner_of(key) for key in measured} - {owner_of(key) for key in measured if key in centred_keys}
    return names & (blind | ({*shares.keys.owners, *scores.keys.owners} - _centred(segment_state)))


def _onsets(segment_state: SegmentState) -> dict[str, int]:
    return {name: item.onset for item in segment_state.incidents for name in item.moved}


def _centred(segment_state: SegmentState) -> set[str]:
    return {
        keys.owners[owner]
        for keys, flags in (
            (segment_state.shares.keys, segment_state.shares.centred),
            (segment_state.scores.keys, segment_state.scores.centred),
        )
        for owner in np.unique(keys.stream_owners[flags]).tolist()
    }


def without_centres(segment_state: SegmentState, names: Iterable[str]) -> SegmentState:
    """Return the state in which these columns are compared with the reference alone, without evidence."""
    columns = frozenset(names)
    if not columns:
        return segment_state
    shares, scores = segment_state.shares, segment_state.scores
    is_share, is_score = shares.keys.owned_by(columns), scores.keys.owned_by(columns)
    labels = is_share[shares.label_streams]
    shares = _recentred_shares(shares.reset(is_share), is_share, np.zeros_like(shares.centre))
    no_shift = np.full(len(scores.keys), np.nan)
    scores = _with_shift(scores.reset(is_score), is_score, no_shift)
    scores = _recentred_scores(scores, is_score, no_shift, np.zeros(len(scores.keys)))
    return replace(
        segment_state,
        shares=replace(shares, paged_change=np.where(labels, 0.0, shares.paged_change)),
        scores=replace(scores, paged_deviation=np.where(is_score, 0.0, scores.paged_deviation)),
    )


def stray_centres(segment_state: SegmentState) -> frozenset[str]:
    """Return the columns with a centre and without an incident: somebody closed it."""
    return frozenset(_centred(segment_state)) - segment_state.suspended
