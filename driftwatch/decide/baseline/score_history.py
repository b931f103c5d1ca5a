"""History of scores: their values in healthy windows, and their evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.core.memo import NO_MEMO, Memo
from driftwatch.decide.baseline.share_history import (
    FIRST_LEARNED_WINDOWS,
    MAX_PENDING_WINDOWS,
    MIN_SUSPECT_CUSUM,
    PENDING_WINDOWS,
)
from driftwatch.decide.baseline.weighted_series import Series, count_measured
from driftwatch.decide.evalues.e_values import CALIBRATORS
from driftwatch.decide.evalues.stream_index import StreamIndex
from driftwatch.results.streams import StreamKey, Streams

_NO_FLAGS, _NO_NUMBERS = np.empty(0, dtype=np.bool_), np.empty(0)
#: Times before and after all others.
_MIN_TIME, _MAX_TIME = -(1 << 62), 1 << 62
#: Limit of the log-likelihood ratio for a lasting shift: a shifted score passes for recovered once in e^4.
MAX_SHIFTED_LOG_RATIO = 4.0
#: Windows in the history; more where season slots need them.
MAX_WINDOWS, MAX_SEASON_WINDOWS = 400, 2000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScoreHistory:
    keys: StreamIndex
    #: ``[score]``: deviations in both directions are tested.
    signed: BoolArray
    #: ``[score]``: effects below this are never evidence.
    floor: Float64Array
    #: ``[window, score]``: healthy windows, oldest first; NaN where a score was absent or suspended.
    values: Float64Array
    #: ``[window]``: season slot, end time, and number of rows (NaN where not stored).
    slots: Int64Array
    ends: Int64Array
    rows: Float64Array
    #: ``[score]``: the filter's level (``prediction.py``) after the window ending at ``level_end``, or NaN.
    level: Float64Array
    #: ``[score]``: running mean of the shift (``common_shift.py``).
    running_shift: Float64Array
    #: ``[score, side, calibrator]``: log evidence, its CUSUM, and the start of the window where that began.
    log_m: Float64Array
    cusum: Float64Array
    onset: Int64Array
    #: ``[score]``: windows up to this end time were learned at once.
    learned_until: Int64Array
    #: ``[score]``: deviation that a page found, or NaN, and the log-likelihood ratio, in [0, 4], of the score
    #: being still shifted against being back at its baseline.
    shift: Float64Array
    shifted_log_ratio: Float64Array
    #: ``[window]``: of a window judged after a newer one, ``windows`` at that time; 0 for others.
    late: Int64Array
    #: ``[score]``: deviation where a page found an open incident's scores, or NaN; the windows it is the mean
    #: of; the filter's level around it; the deviation at the newest page of the incident.
    centre: Float64Array
    centre_windows: Float64Array
    centre_level: Float64Array
    paged_deviation: Float64Array
    #: Number of windows ever added, including dropped ones.
    windows: int = 0
    level_end: int = 0

    @classmethod
    def empty(
        cls,
        keys: Sequence[StreamKey] = (),
        signed: BoolArray = _NO_FLAGS,
        floor: Float64Array = _NO_NUMBERS,
        windows: int = 0,
    ) -> ScoreHistory:
        count = len(keys)
        return cls(
            keys=StreamIndex(keys),
            signed=signed,
            floor=floor,
            values=np.full((windows, count), np.nan),
            slots=np.zeros(windows, dtype=np.int64),
            ends=np.zeros(windows, dtype=np.int64),
            rows=np.full(windows, np.nan),
            level=np.full(count, np.nan),
            running_shift=np.zeros(count),
            log_m=np.full((count, 2, CALIBRATORS), -np.inf),
            cusum=np.zeros((count, 2, CALIBRATORS)),
            onset=np.zeros((count, 2, CALIBRATORS), dtype=np.int64),
            learned_until=np.full(count, _MIN_TIME, dtype=np.int64),
            shift=np.full(count, np.nan),
            shifted_log_ratio=np.zeros(count),
            late=np.zeros(windows, dtype=np.int64),
            centre=np.full(count, np.nan),
            centre_windows=np.zeros(count),
            centre_level=np.zeros(count),
            paged_deviation=np.zeros(count),
        )

    def with_streams(self, streams: Streams, memo: Memo = NO_MEMO) -> ScoreHistory:
        new_scores = np.flatnonzero(_positions(self.keys, streams, memo) < 0)
        if not len(new_scores):
            return self
        keys = [streams.score_keys[index] for index in new_scores]
        addition = ScoreHistory.empty(
            keys, streams.signed[new_scores], streams.floor[new_scores], len(self.values)
        )
        arrays: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), getattr(addition, name)], axis=axis)
            for name, axis in _SCORE_AXES.items()
        }
        return replace(self, keys=StreamIndex((*self.keys, *addition.keys)), **arrays)

    def reset(self, flags: BoolArray | None = None) -> ScoreHistory:
        """Clear the evidence of the flagged scores, or of all."""
        is_reset = np.ones(len(self.keys), dtype=np.bool_) if flags is None else flags
        is_reset_bet = is_reset[:, None, None]
        return replace(
            self,
            log_m=np.where(is_reset_bet, -np.inf, self.log_m),
            cusum=np.where(is_reset_bet, 0.0, self.cusum),
            running_shift=np.where(is_reset, 0.0, self.running_shift),
        )

    def forget(self, flags: BoolArray) -> ScoreHistory:
        """Clear the evidence, values and level of the flagged scores."""
        return replace(
            self.reset(flags),
            values=np.where(flags, np.nan, self.values),
            level=np.where(flags, np.nan, self.level),
        )

    @property
    def pending(self) -> BoolArray:
        """True for the windows of each score that are not learned yet.

        These are the newest ``PENDING_WINDOWS`` windows (fewer while few are learned), or all since a
        suspected score's onset; of windows judged late, those among the last that were judged.
        """
        # ``[window, score]``, for the newest ``MAX_PENDING_WINDOWS`` windows, or more for a late one.
        late_age = np.where(self.late > 0, self.windows - self.late + 1, _MAX_TIME)
        late = np.flatnonzero(late_age <= MAX_PENDING_WINDOWS)
        first = min([max(len(self.ends) - MAX_PENDING_WINDOWS, 0), *late[:1].tolist()])
        ends = self.ends[first:, None]
        age = np.arange(len(ends), 0, -1)[:, None]
        n_pending, suspected = _pending_windows(self.values), self.suspected
        pending = age <= n_pending
        if suspected.any():
            is_recent = age <= MAX_PENDING_WINDOWS
            pending |= is_recent & (ends > np.where(suspected, cusum_start(self), _MAX_TIME))
        pending &= ends > self.learned_until
        if len(late):
            n_pending = np.where(suspected, MAX_PENDING_WINDOWS, n_pending)
            pending[late - first] |= late_age[late, None] <= n_pending
        return np.asarray(pending)

    @property
    def suspected(self) -> BoolArray:
        """True for scores whose evidence grows."""
        # Pairwise maxima: numpy's maximum along so short an axis takes five times as long.
        largest = reduce(np.maximum, self.cusum.reshape(len(self.keys), 2 * CALIBRATORS).T)
        return np.asarray(largest >= MIN_SUSPECT_CUSUM)

    @property
    def centred(self) -> BoolArray:
        """True for scores that have a centre."""
        return ~np.isnan(self.centre)

    def update_shifted_log_ratio(self, deviation: Float64Array) -> ScoreHistory:
        """Test with one more window whether shifted scores are back at their baseline.

        This is Page's CUSUM in reverse: it adds up log-likelihood ratios of normal distributions with means
        ``shift`` and 0.
        """
        log_ratio = self.shift * (deviation - self.shift / 2)
        log_ratio[np.isnan(log_ratio)] = 0.0
        return replace(
            self,
            shifted_log_ratio=np.clip(self.shifted_log_ratio + log_ratio, 0.0, MAX_SHIFTED_LOG_RATIO),
        )

    @property
    def healthy_series(self) -> Series:
        """Scores of learned windows; all other windows are NaN."""
        return self._masked(self.pending)

    def _masked(self, flags: BoolArray) -> Series:
        n_older = len(self.values) - len(flags)
        return Series(older=self.values[:n_older], newer=np.where(flags, np.nan, self.values[n_older:]))

    def learn(self, value: Float64Array, slot: int, end: int, rows: float) -> ScoreHistory:
        """Add a window that is known to be healthy."""
        learned_until = np.where(np.isnan(value), self.learned_until, np.maximum(self.learned_until, end))
        history = self._with_window(value, slot, end, rows, _NO_FLAGS[:, None])
        late = np.where(history.ends == end, 0, history.late)
        return replace(history, learned_until=learned_until, late=late)

    def add_window(
        self, value: Float64Array, slot: int, end: int, rows: float, suspended: BoolArray
    ) -> ScoreHistory:
        """Add a production window; drop the pending ones of suspended scores, which may be the shift."""
        drop_flags = self.pending & suspended if suspended.any() else _NO_FLAGS[:, None]
        return self._with_window(np.where(suspended, np.nan, value), slot, end, rows, drop_flags)

    def _with_window(
        self, value: Float64Array, slot: int, end: int, rows: float, drop_flags: BoolArray
    ) -> ScoreHistory:
        # A window that is in the history is filled. ``drop_flags[window, score]`` are True for values of the
        # newest windows that are dropped.
        row = _single_precision(value)
        index, count = int(np.searchsorted(self.ends, end)), len(self.ends)
        if index < count and int(self.ends[index]) == end:
            values = self._masked(drop_flags).to_array()
            values[index] = np.where(np.isnan(row), values[index], row)
            return replace(self, values=values)
        series = self._masked(drop_flags)
        values = np.concatenate([series.older, series.newer, row[None]])
        if index < count:
            values = values[np.insert(np.arange(count), index, count)]
        slots: Int64Array = _insert(self.slots, index, slot)
        limit = MAX_SEASON_WINDOWS if slots.any() else MAX_WINDOWS
        return replace(
            self,
            values=values[-limit:],
            slots=slots[-limit:],
            ends=_insert(self.ends, index, end)[-limit:],
            rows=_insert(self.rows, index, rows)[-limit:],
            late=_insert(self.late, index, self.windows + 1 if index < count else 0)[-limit:],
            windows=self.windows + 1,
        )

    def with_level(self, level: Float64Array, end: int) -> ScoreHistory:
        """Store the level after a window; that after an older one, judged late, predicts nothing."""
        if end < self.level_end:
            return self
        return replace(self, level=level, level_end=end)

    def align(self, streams: Streams, memo: Memo = NO_MEMO) -> Float64Array:
        """Return one window's scores in the history's order, NaN where not measured.

        They are rounded as stored ones are, so that equal values tie. Raises ``KeyError`` for an unknown
        stream.
        """
        positions = _positions(self.keys, streams, memo)
        if (positions < 0).any():
            raise KeyError(streams.score_keys[int(positions.argmin())])
        value = np.full(len(self.keys), np.nan)
        value[positions] = streams.value
        return _single_precision(value)


def cusum_start(history: ScoreHistory) -> Int64Array:
    """Return the start of the window in which each score's largest CUSUM began."""
    cusum, onset = (part.reshape(-1, 2 * CALIBRATORS) for part in (history.cusum, history.onset))
    return np.asarray(onset[np.arange(len(cusum)), cusum.argmax(axis=1)])


def _positions(keys: StreamIndex, streams: Streams, memo: Memo) -> Int64Array:
    score_keys = streams.score_keys
    return memo.last("score positions", (keys, score_keys), lambda: keys.find(score_keys))


def _pending_windows(values: Float64Array) -> Int64Array:
    # Of scores that are not suspected.
    newest = values[-(FIRST_LEARNED_WINDOWS + PENDING_WINDOWS) :]
    n_pending = np.full(values.shape[1], PENDING_WINDOWS)
    # In most histories the newest windows alone show that enough are measured.
    is_short = (
        np.isnan(newest).any(axis=0)
        if len(newest) == FIRST_LEARNED_WINDOWS + PENDING_WINDOWS
        else np.ones_like(n_pending, np.bool_)
    )
    if is_short.any():
        n_pending[is_short] = np.clip(
            count_measured(values[:, is_short]) - FIRST_LEARNED_WINDOWS, 0, PENDING_WINDOWS
        )
    return n_pending


def _insert(numbers: npt.NDArray[Any], index: int, number: float) -> npt.NDArray[Any]:
    return np.concatenate([numbers[:index], [number], numbers[index:]])


def _single_precision(value: Float64Array) -> Float64Array:
    return value.astype(np.float32).astype(np.float64)


#: Fields that have an axis of scores, and the position of that axis.
_SCORE_AXES = {
    "signed": 0,
    "floor": 0,
    "values": 1,
    "level": 0,
    "running_shift": 0,
    "log_m": 0,
    "cusum": 0,
    "onset": 0,
    "learned_until": 0,
    "shift": 0,
    "shifted_log_ratio": 0,
    "centre": 0,
    "centre_windows": 0,
    "centre_level": 0,
    "paged_deviation": 0,
}
#: Name of each array in the stored bytes, and the field that holds it.
SCORE_ARRAYS = {
    "signed": "signed",
    "floor": "floor",
    "values": "values",
    "level": "level",
    "lean": "running_shift",
    "log_m": "log_m",
    "run": "cusum",
    "onset": "onset",
    "taught_until": "learned_until",
    "shift": "shift",
    "still": "shifted_log_ratio",
    "slots": "slots",
    "ends": "ends",
    "rows": "rows",
}
#: The same of arrays that are stored only while a score has a centre.
CENTRE_ARRAYS = {
    "centre": "centre",
    "centre_windows": "centre_windows",
    "centre_level": "centre_level",
    "paged": "paged_deviation",
}
