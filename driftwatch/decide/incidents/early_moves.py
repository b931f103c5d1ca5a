"""Whether a column that is named after a page had moved when the page was sent.

A page need not name all that moved: a small move is seen later, with an onset that is estimated later. It
had moved if, between the page and that onset, its scores lay at least half as far from the windows before the
page as they lie now, on the same side, and further than chance. Null hypothesis: it had not; it is wrongly
joined to the incident in at most 5 % of cases, however small the move (a one-sided limit of Student's t for
the difference of two means, with an upper limit of the autocorrelation before the page).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import stdtrit

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.decide.baseline.location_scale import deviation_weight, fit_location_scale
from driftwatch.decide.baseline.prediction import deviations_from
from driftwatch.decide.baseline.score_history import ScoreHistory
from driftwatch.decide.baseline.score_model import MIN_HISTORY_WINDOWS
from driftwatch.decide.baseline.weighted_series import Series
from driftwatch.decide.incidents.page_rules import NewestPage
from driftwatch.decide.measurement import Measurement
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.window_e_values import WindowEValues
from driftwatch.results.results import NamedColumn

#: Share of a move that was there.
_MIN_SHARE = 0.5
#: Level of the one-sided limit.
_LEVEL = 0.95
#: Autocorrelation from one window to the next that is reckoned with at most.
_MAX_AUTOCORRELATION = 0.95


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PagedDeviations:
    """Deviations from the windows before a page, ``[window, score]``, NaN where not measured."""

    before: Float64Array
    after: Float64Array
    #: ``[window]``: ends of those after the page's start.
    ends: Int64Array

    @classmethod
    def of(
        cls, history: ScoreHistory, measurement: Measurement, value: Float64Array, floor: Float64Array,
        page: NewestPage,
    ) -> PagedDeviations:  # fmt: skip
        """Measure from the windows before the page's onset; the current window is not in the history yet."""
        page_start = page.paged_at - measurement.length
        is_before = history.ends <= min(page.onset, page_start)
        series = Series.of(np.where(is_before[:, None], history.values, np.nan))
        row_means = history.keys.has_column

        def deviations(values: Float64Array, slots: Int64Array, rows: Float64Array) -> Float64Array:
            result = np.full(values.shape, np.nan)
            for slot in np.unique(slots).tolist():
                fit = fit_location_scale(series, history.slots, slot, history.rows, row_means)
                result[slots == slot] = deviations_from(values[slots == slot], fit, floor)
            weights = [deviation_weight(count, history.rows) for count in rows.tolist()]
            return np.asarray(result * np.where(row_means, np.array(weights)[:, None], 1.0))

        later = np.flatnonzero(history.ends > page_start)
        return cls(
            before=deviations(history.values[is_before], history.slots[is_before], history.rows[is_before]),
            after=deviations(
                np.vstack([history.values[later], value]),
                np.append(history.slots[later], measurement.slot),
                np.append(history.rows[later], float(measurement.rows)),
            ),
            ends=np.append(history.ends[later], measurement.window.end),
        )


def with_early_onsets(
    named: Iterable[NamedColumn],
    segment_state: SegmentState,
    measurement: Measurement,
    e_values: WindowEValues,
    floor: Float64Array,
    page: NewestPage,
) -> tuple[NamedColumn, ...]:
    """Return the columns; the onset of those that had moved by the page is the start of its window."""
    page_start, scores = page.paged_at - measurement.length, segment_state.scores
    named = tuple(named)
    if all(item.onset <= page_start for item in named):
        return named
    deviations = PagedDeviations.of(scores, measurement, e_values.value, floor, page)

    def had_moved(item: NamedColumn) -> bool:
        own = np.flatnonzero(scores.keys.owned_by(frozenset({item.column})))
        return item.onset > page_start and _had_moved(deviations, own, item.onset)

    return tuple(replace(item, onset=page_start) if had_moved(item) else item for item in named)


def _had_moved(deviations: PagedDeviations, scores: Int64Array, onset: int) -> bool:
    is_now = deviations.ends > onset
    now = [_mean(deviations.after[is_now, score]) for score in scores]
    if not now or not np.abs(now).max() > 0:
        return False
    strongest = int(np.abs(now).argmax())
    score = int(scores[strongest])
    before = deviations.before[~np.isnan(deviations.before[:, score]), score]
    between = deviations.after[~is_now, score]
    n, n_before = int((~np.isnan(between)).sum()), len(before)
    if not n or n_before < MIN_HISTORY_WINDOWS:
        return False
    error = np.sqrt(_long_run_variance(before) * (1 / n + 1 / n_before))
    limit = float(stdtrit(n_before - 1, _LEVEL)) * error
    return bool(_mean(between) * np.sign(now[strongest]) >= max(_MIN_SHARE * abs(now[strongest]), limit))


def _mean(values: Float64Array) -> float:
    measured = values[~np.isnan(values)]
    return float(measured.mean()) if len(measured) else 0.0


def _long_run_variance(values: Float64Array) -> float:
    # Of a mean of many windows, times their number: autoregressive, with an upper limit of the memory.
    centred = values - values.mean()
    square_sum = float(centred @ centred)
    memory = float(centred[1:] @ centred[:-1]) / square_sum if square_sum > 0 else 0.0
    limit = min(max(memory, 0.0) + 1 / np.sqrt(len(values)), _MAX_AUTOCORRELATION)
    return float(np.var(values, ddof=1) * (1 + limit) / (1 - limit))
