"""Combined score: a day on which many columns move a little, each too little to page alone.

``T = mean over columns of max over a column's scores of z``, where ``z`` is the excess over the score's own
history in standard deviations, clipped to [0, 5] so that no column decides alone. Null hypothesis (baseline):
``T`` is a score like any other, with its own part of the budget, compared with the ``T`` of healthy windows:
blocks of the reference left out one by one, and later windows as computed on their day. That history includes
how strongly columns move together, so correlated columns need no correction. Source: Fisher's and Stouffer's
combination, calibrated by history in place of independence. False alarms: as for any score, see
``e_values.py``. Suspended columns take no part, so that a lasting incident cannot hide a new one; with more
than a quarter of them suspended there is no ``T``, because a mean of few varies more than its history. In a
window of few rows every ``z`` has less weight, as its standard error is larger.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.decide.baseline.common_shift import block_common_shifts, common_shift, location_positions
from driftwatch.decide.baseline.location_scale import leave_one_out
from driftwatch.decide.baseline.prediction import MIN_SCALE_FLOORS, Baseline
from driftwatch.decide.baseline.score_history import ScoreHistory
from driftwatch.decide.baseline.score_model import MIN_HISTORY_WINDOWS
from driftwatch.decide.evalues.stream_index import COMBINED_SCORE
from driftwatch.decide.segment_state import SegmentState
from driftwatch.results.results import Score, Statistic
from driftwatch.results.streams import Streams, stream_key
from driftwatch.results.text_format import escape_invisible, truncate

#: Excesses of ``T`` below this, in standard deviations per column, are never evidence.
EFFECT_FLOOR = 0.2
#: Largest deviation that a column counts, in standard deviations.
MAX_DEVIATION = 5.0
#: Why a joint detector has no value, in the detail of a verdict.
REST_NOTE = "at rest while an incident is open"
#: Columns that a combined score needs; fewer are judged one by one.
MIN_COLUMNS = 4
#: Columns that the gauge names, and those in its effect.
_NAMED_COLUMNS, _TEXT_COLUMNS = 5, 3
#: Characters of a name in a text.
_MAX_NAME_CHARS = 40
#: Standard deviations up to which the largest of a column's scores is chance; the mean of columns that moved
#: a little stays below it, and no single one reaches ``MAX_DEVIATION``.
_CHANCE_DEVIATION = 3.0
#: Part of all that is above chance that a few columns have if they are nearly all of it.
_MAIN_PART, _MAX_MAIN_COLUMNS = 0.75, 2
#: Standard deviations of the running shift of a column that does not move, in those of one window:
#: ``sqrt((1 - decay) / (1 + decay))`` of its weights.
_RUNNING_SCALE = 0.23


@dataclass(frozen=True, slots=True, kw_only=True)
class CombinedGauge(Statistic):
    #: Those with the largest deviations, the largest first.
    columns: tuple[str, ...] = ()


def combine_scores(
    segment_state: SegmentState,
    value: Float64Array,
    slot: int,
    baseline: Baseline,
    broken: frozenset[str] = frozenset(),
) -> tuple[list[Score], CombinedGauge, Float64Array] | None:
    """Return the combined score and the common shift, their gauge, and the next running shift.

    None means that too few columns have a history.
    """
    # What is null, or missing, in a broken column is no small move of many.
    history, suspended = segment_state.scores, segment_state.suspended | broken
    fit = baseline.fit
    deviation = _one_sided(
        (value - fit.location)
        * baseline.weight
        / fit.prediction_scale(MIN_SCALE_FLOORS * history.floor, baseline.weight),
        history,
    )
    is_used = ~np.isnan(value) & (baseline.n >= MIN_HISTORY_WINDOWS)
    is_suspended = history.keys.owned_by(suspended) & history.keys.has_column
    is_used &= ~is_suspended & history.keys.has_column
    owner_deviation = np.full(len(history.keys.owners), -np.inf)
    np.maximum.at(owner_deviation, history.keys.stream_owners[is_used], deviation[is_used])
    largest = np.minimum(owner_deviation[owner_deviation > -np.inf], MAX_DEVIATION)
    n_suspended = np.count_nonzero(np.bincount(history.keys.stream_owners[is_suspended])) if suspended else 0
    if len(largest) < max(MIN_COLUMNS, 3 * n_suspended):
        return None
    mean = float(largest.mean())
    locations = location_positions(history.keys, suspended)
    shift_score, location_shift = common_shift(
        history.running_shift[locations], value[locations], history.values.take(locations, axis=1),
        history.slots, slot, history.rows, MIN_SCALE_FLOORS * history.floor[locations],
    )  # fmt: skip
    scores = [_score(mean)] if shift_score is None else [_score(mean), shift_score]
    running_shift = _updated_shift(history, locations, location_shift)
    effect, columns = _words(history, owner_deviation, running_shift)
    gauge = CombinedGauge(
        detector=COMBINED_SCORE[0],
        column=None,
        value=mean,
        unit="standard deviations",
        effect=effect,
        columns=columns,
    )
    return scores, gauge, running_shift


def resting_text(segment_state: SegmentState, broken: frozenset[str] = frozenset()) -> str:
    """Return why so many columns are suspended that there is no combined score; empty if there is one."""
    keys, suspended = segment_state.scores.keys, segment_state.suspended | broken
    if not suspended or COMBINED_SCORE not in keys.positions:
        return ""
    is_suspended = keys.owned_by(suspended)
    n_suspended, n_others = (
        len(np.unique(keys.stream_owners[keys.has_column & flags])) for flags in (is_suspended, ~is_suspended)
    )
    if n_others >= max(MIN_COLUMNS, 3 * n_suspended):
        return ""
    return (
        f"several columns together, each a little: {REST_NOTE}, since {n_suspended} of "
        f"{n_suspended + n_others} columns are in one"
    )


def _words(
    history: ScoreHistory, owner_deviation: Float64Array, running_shift: Float64Array
) -> tuple[str, tuple[str, ...]]:
    """Return what moved, and the columns that deviate most: in this window, or lastingly in one direction."""
    owners, locations = history.keys.owners, history.keys.location_scores
    lasting = np.zeros(len(owners))
    np.maximum.at(
        lasting, history.keys.stream_owners[locations], np.abs(running_shift[locations]) / _RUNNING_SCALE
    )
    size = np.where(np.isfinite(owner_deviation), np.maximum(owner_deviation, lasting), -1.0)
    order = np.argsort(-size, kind="stable")[:_NAMED_COLUMNS].tolist()
    columns = tuple(owners[k] for k in order if size[k] >= 0)
    used = owner_deviation[owner_deviation > -np.inf]
    n_large = int(np.count_nonzero(used >= MAX_DEVIATION))
    excess = np.maximum(owner_deviation - _CHANCE_DEVIATION, 0.0)
    main = np.argsort(-excess, kind="stable")[:n_large].tolist()
    if 1 <= n_large <= _MAX_MAIN_COLUMNS and excess[main].sum() >= _MAIN_PART * excess.sum():
        columns = tuple(owners[k] for k in main)
        return f"several columns together, mostly {' and '.join(_texts(columns))}", columns
    is_little = not n_large and used.mean() < _CHANCE_DEVIATION
    text = "several columns together, each a little" if is_little else "several columns together"
    return f"{text}: {', '.join(_texts(columns[:_TEXT_COLUMNS]))} the most", columns


def _texts(names: tuple[str, ...]) -> list[str]:
    return [truncate(escape_invisible(name), _MAX_NAME_CHARS) for name in names]


def _cut(z: Float64Array, history: ScoreHistory) -> Float64Array:
    return np.minimum(_one_sided(z, history), MAX_DEVIATION)


def _one_sided(z: Float64Array, history: ScoreHistory) -> Float64Array:
    return np.asarray(np.maximum(np.where(history.signed, np.abs(z), z), 0.0))


def _score(value: float) -> Score:
    return Score(
        detector=COMBINED_SCORE[0], column=None, label=COMBINED_SCORE[2], value=value, floor=EFFECT_FLOOR
    )


def with_combined_history(segment_state: SegmentState) -> SegmentState:
    """Return the state with the combined scores of the reference's blocks in its history."""
    history = segment_state.scores
    complete = [
        position
        for position, key in enumerate(history.keys)
        if key[1] is not None and not np.isnan(history.values[:, position]).any()
    ]
    columns = sorted({history.keys[position][1] or "" for position in complete})
    if len(history.values) <= MIN_HISTORY_WINDOWS or len(columns) < MIN_COLUMNS:
        return segment_state
    z = np.zeros((len(history.values), len(history.keys)))
    z[:, complete] = leave_one_out(
        history.values[:, complete],
        history.slots,
        history.rows,
        history.keys.has_column[complete],
        MIN_SCALE_FLOORS * history.floor[complete],
    )
    largest = np.zeros((len(columns), len(history.values)))
    for position, score_z in zip(complete, _cut(z, history)[:, complete].T, strict=True):
        row = columns.index(history.keys[position][1] or "")
        largest[row] = np.maximum(largest[row], score_z)
    locations = location_positions(history.keys, frozenset())
    shift_scores, location_shift = block_common_shifts(
        history.values[:, locations],
        history.slots,
        history.rows,
        MIN_SCALE_FLOORS * history.floor[locations],
    )
    segment_state = replace(
        segment_state,
        scores=replace(history, running_shift=_updated_shift(history, locations, location_shift)),
    )
    segment_state = _with_block_scores(segment_state, _score(0.0), largest.mean(axis=0))
    shift_score = next((item for item in shift_scores if item is not None), None)
    if shift_score is None:
        return segment_state
    return _with_block_scores(
        segment_state,
        shift_score,
        np.array([np.nan if item is None else item.value for item in shift_scores]),
    )


def _updated_shift(
    history: ScoreHistory, locations: Int64Array, location_shift: Float64Array
) -> Float64Array:
    running_shift = history.running_shift.copy()
    running_shift[locations] = location_shift
    return running_shift


def _with_block_scores(segment_state: SegmentState, score: Score, value: Float64Array) -> SegmentState:
    # ``value[window]`` is the score in each block of the reference.
    segment_state = segment_state.with_streams(Streams.from_list([score]))
    history = segment_state.scores
    values, learned_until = history.values.copy(), history.learned_until.copy()
    position = history.keys.positions[stream_key(score)]
    # Rounded to the precision of the history.
    values[:, position] = value.astype(np.float32)
    learned_until[position] = history.ends[-1]
    return replace(segment_state, scores=replace(history, values=values, learned_until=learned_until))
