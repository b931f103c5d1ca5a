"""Scores of all columns as arrays: the healthy windows they are judged against, and their evidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.decide.baseline.share_history import LONGEST_WAIT, SUSPECTED, TAUGHT, WAIT
from driftwatch.decide.baseline.weighted_series import Series, known_of
from driftwatch.decide.evalues.e_values import CALIBRATORS
from driftwatch.decide.evalues.stream_index import StreamIndex
from driftwatch.results.streams import StreamKey, Streams

_NO_FLAGS, _NO_NUMBERS = np.empty(0, dtype=np.bool_), np.empty(0)
_NEVER, _LATEST = -(1 << 62), 1 << 62
#: Where the likelihood that a moved score is there yet is cut: wrongly called back once in ``e^4`` times.
_SURELY = 4.0
#: Windows remembered; more where season slots need them.
HISTORY, SEASON_HISTORY = 400, 2000


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoreHistory:
    """Everything remembered of scores ``keys[k]``, with effect ``floor[k]``; ``signed[k]`` looks both ways.

    ``values[n, k]`` are the healthy windows that ended at ``ends[n]``, of season slot ``slots[n]`` and
    ``rows[n]`` rows, oldest first; NaN where a score was absent or set aside, or rows were not kept. Windows
    up to ``taught_until[k]`` taught at once. ``windows`` counts all there ever were. ``level[k]`` is where
    the filter of ``prediction.py`` stood after the window that ended at ``level_end``; NaN is nowhere.
    ``lean[k]`` is where it leaned lately (``direction.py``). ``log_m[k, 2, 4]`` is the evidence above and
    below what is usual, per calibrator; ``run[k, 2, 4]`` its CUSUM and ``onset[k, 2, 4]`` the start of
    the window that began in. ``shift[k]`` is where a page found the score, in spreads from usual, NaN where
    it did not move; ``still[k]`` the log likelihood that it is there yet, against being back, in [0, 4].
    """

    keys: StreamIndex
    signed: BoolArray
    floor: Float64Array
    values: Float64Array
    slots: Int64Array
    ends: Int64Array
    rows: Float64Array
    level: Float64Array
    lean: Float64Array
    log_m: Float64Array
    run: Float64Array
    onset: Int64Array
    taught_until: Int64Array
    shift: Float64Array
    still: Float64Array
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
        """Nothing seen yet of these scores."""
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
            lean=np.zeros(count),
            log_m=np.full((count, 2, CALIBRATORS), -np.inf),
            run=np.zeros((count, 2, CALIBRATORS)),
            onset=np.zeros((count, 2, CALIBRATORS), dtype=np.int64),
            taught_until=np.full(count, _NEVER, dtype=np.int64),
            shift=np.full(count, np.nan),
            still=np.zeros(count),
        )

    def expecting(self, streams: Streams) -> ScoreHistory:
        """The book that knows of these scores too."""
        new = np.flatnonzero(self.keys.found(streams.score_keys) < 0)
        if not len(new):
            return self
        keys = [streams.score_keys[place] for place in new]
        more = ScoreHistory.empty(keys, streams.signed[new], streams.floor[new], len(self.values))
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), getattr(more, name)], axis=axis)
            for name, axis in _AXES.items()
        }
        return replace(self, keys=StreamIndex((*self.keys, *more.keys)), **joined)

    def reset(self, which: BoolArray | None = None) -> ScoreHistory:
        """Evidence back to nothing, of all scores or of those flagged."""
        gone = np.ones(len(self.keys), dtype=np.bool_) if which is None else which
        each = gone[:, None, None]
        return replace(
            self,
            log_m=np.where(each, -np.inf, self.log_m),
            run=np.where(each, 0.0, self.run),
            lean=np.where(gone, 0.0, self.lean),
        )

    def without(self, which: BoolArray) -> ScoreHistory:
        """The book that has seen nothing yet of the flagged scores."""
        return replace(
            self.reset(which),
            values=np.where(which, np.nan, self.values),
            level=np.where(which, np.nan, self.level),
        )

    @cached_property
    def waiting(self) -> BoolArray:
        """``[w, k]``: which of the newest windows teach later: ``WAIT``, fewer while few have taught.

        Of a suspected score all since its onset wait, at most ``LONGEST_WAIT`` of them.
        """
        ends = self.ends[-LONGEST_WAIT:, None]
        age = np.arange(len(ends), 0, -1)[:, None]
        late, suspected = age <= self._waits, self.suspected
        if suspected.any():
            late |= ends > np.where(suspected, self.begun, _LATEST)
        return np.asarray(late & (ends > self.taught_until))

    @property
    def _waits(self) -> Int64Array:
        """``[k]``: how many of the newest windows teach later however little is suspected."""
        newest = self.values[-(TAUGHT + WAIT) :]
        waits = np.full(len(self.keys), WAIT)
        # Mostly the newest windows say already that enough are known.
        few = np.isnan(newest).any(axis=0) if len(newest) == TAUGHT + WAIT else np.ones_like(waits, np.bool_)
        if few.any():
            waits[few] = np.clip(known_of(self.values[:, few]) - TAUGHT, 0, WAIT)
        return waits

    @cached_property
    def suspected(self) -> BoolArray:
        """Scores whose evidence grows."""
        # One calibrator after the other: the largest of so few along an axis takes five times as long.
        largest = reduce(np.maximum, self.run.reshape(len(self.keys), 2 * CALIBRATORS).T)
        return np.asarray(largest >= SUSPECTED)

    @property
    def begun(self) -> Int64Array:
        """The start of the window in which each score's strongest CUSUM began."""
        run, onset = (part.reshape(-1, 2 * CALIBRATORS) for part in (self.run, self.onset))
        return np.asarray(onset[np.arange(len(run)), run.argmax(axis=1)])

    def moved(self, which: BoolArray, shift: Float64Array) -> ScoreHistory:
        """With where a page found the flagged scores, NaN for those that did not move."""
        return replace(
            self,
            shift=np.where(which, shift, self.shift),
            still=np.where(which, _SURELY, self.still),
        )

    def watched(self, x: Float64Array) -> ScoreHistory:
        """With one more window ``x[k]``, in spreads from usual, of scores that moved: there yet, or back.

        Page's test turned round: log likelihood ratio of normal laws with means ``shift`` and 0.
        """
        gain = self.shift * (x - self.shift / 2)
        gain[np.isnan(gain)] = 0.0
        return replace(self, still=np.clip(self.still + gain, 0.0, _SURELY))

    @property
    def healthy(self) -> Series:
        """The scores that teach, NaN elsewhere."""
        return self._without(self.waiting)

    def _without(self, which: BoolArray) -> Series:
        """The values without the flagged ones ``[w, k]`` of the newest windows."""
        early = len(self.values) - len(which)
        return Series(early=self.values[:early], late=np.where(which, np.nan, self.values[early:]))

    def learn(self, value: Float64Array, slot: int, end: int, rows: float) -> ScoreHistory:
        """With one more window, of so many rows, that teaches at once."""
        until = np.where(np.isnan(value), self.taught_until, np.maximum(self.taught_until, end))
        return replace(self._with(value, slot, end, rows, _NO_FLAGS[:, None]), taught_until=until)

    def wait(self, value: Float64Array, slot: int, end: int, rows: float, silent: BoolArray) -> ScoreHistory:
        """With one more window; what waits of ``silent`` scores is dropped with it: it may be the shift."""
        dropped = self.waiting & silent if silent.any() else _NO_FLAGS[:, None]
        return self._with(np.where(silent, np.nan, value), slot, end, rows, dropped)

    def _with(
        self, value: Float64Array, slot: int, end: int, rows: float, dropped: BoolArray
    ) -> ScoreHistory:
        """With a window's scores, in its own row when it has one; the oldest are forgotten.

        Without the ``dropped`` ones ``[w, k]`` of the newest windows.
        """
        row = _kept(value)
        at, known = int(np.searchsorted(self.ends, end)), len(self.ends)
        if at < known and int(self.ends[at]) == end:
            values = self._without(dropped).whole()
            values[at] = np.where(np.isnan(row), values[at], row)
            return replace(self, values=values)
        kept = self._without(dropped)
        values = np.concatenate([kept.early, kept.late, row[None]])
        if at < known:
            values = values[np.insert(np.arange(known), at, known)]
        slots: Int64Array = _inserted(self.slots, at, slot)
        most = SEASON_HISTORY if slots.any() else HISTORY
        return replace(
            self,
            values=values[-most:],
            slots=slots[-most:],
            ends=_inserted(self.ends, at, end)[-most:],
            rows=_inserted(self.rows, at, rows)[-most:],
            windows=self.windows + 1,
        )

    def standing_at(self, level: Float64Array, end: int) -> ScoreHistory:
        """With the filter's new levels after the window that ended at ``end``."""
        return replace(self, level=level, level_end=end)

    def seen(self, streams: Streams) -> Float64Array:
        """One window's scores in the order of the book; NaN where one was not measured.

        In the precision that the book keeps, so that what was seen before ties with it.
        """
        value = np.full(len(self.keys), np.nan)
        value[self.keys.places_of(streams.score_keys)] = streams.value
        return _kept(value)


def _inserted(numbers: npt.NDArray[Any], at: int, one: float) -> npt.NDArray[Any]:
    return np.concatenate([numbers[:at], [one], numbers[at:]])


def _kept(value: Float64Array) -> Float64Array:
    """The values as a book keeps them, in single precision."""
    return value.astype(np.float32).astype(np.float64)


#: Every array of a book that grows with its scores, and the axis they lie on.
_AXES = {
    "signed": 0,
    "floor": 0,
    "values": 1,
    "level": 0,
    "lean": 0,
    "log_m": 0,
    "run": 0,
    "onset": 0,
    "taught_until": 0,
    "shift": 0,
    "still": 0,
}
#: Names of everything that is stored of a book, its keys and numbers apart.
SCORE_ARRAYS = (*_AXES, "slots", "ends", "rows")
