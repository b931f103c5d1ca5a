"""Whether a column that is named after a page had moved when the page was sent.

A page need not name all that moved: a small move is seen later, with an onset that is estimated later. It
had moved if, between the page and that onset, its scores lay at least half as far from the reference as they
lie now, on the same side, and further than chance. Null hypothesis: it had not; it is wrongly joined to the
incident in at most 5 % of cases, however small the move (a one-sided normal limit for the mean of the windows
between, with the autocorrelation of the healthy history).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from driftwatch.core.arrays import Float64Array
from driftwatch.decide.baseline.prediction import mean_deviation_since
from driftwatch.decide.baseline.score_model import ScoreModel
from driftwatch.decide.segment_state import SegmentState
from driftwatch.decide.window_e_values import WindowEValues
from driftwatch.results.results import NamedColumn

#: Share of a move that was there.
_MIN_SHARE = 0.5
#: Normal quantile of a one-sided limit at 95 %.
_Z = 1.6448536269514722
#: Autocorrelation from one window to the next that is reckoned with at most.
_MAX_PHI = 0.95


def with_early_onsets(
    named: Iterable[NamedColumn],
    segment_state: SegmentState,
    e_values: WindowEValues,
    floor: Float64Array,
    page_start: int,
) -> tuple[NamedColumn, ...]:
    """Return the columns, with ``page_start`` as the onset of those that had moved by then."""
    return tuple(
        replace(item, onset=page_start)
        if item.onset > page_start and _had_moved(item, segment_state, e_values, floor, page_start)
        else item
        for item in named
    )


def _had_moved(
    item: NamedColumn,
    segment_state: SegmentState,
    e_values: WindowEValues,
    floor: Float64Array,
    page_start: int,
) -> bool:
    scores = segment_state.scores
    is_own = scores.keys.owned_by(frozenset({item.column}))
    if not is_own.any():
        return False

    def since(start: int) -> tuple[Float64Array, Float64Array]:
        onset = np.where(is_own, start, 1 << 62)
        mean, windows = mean_deviation_since(scores, floor, e_values.deviation, onset)
        return mean * windows, windows

    total_now, windows_now = since(item.onset)
    total, windows = since(page_start)
    between, n_between = total - total_now, windows - windows_now
    now = np.where(is_own & (windows_now > 0), total_now / np.maximum(windows_now, 1), 0.0)
    strongest = int(np.abs(now).argmax())
    n = n_between[strongest]
    if not n:
        return False
    mean = between[strongest] / n * np.sign(now[strongest])
    error = np.sqrt(_long_run_variance(segment_state.score_model, strongest) / n)
    return bool(mean >= max(_MIN_SHARE * abs(now[strongest]), _Z * error))


def _long_run_variance(model: ScoreModel | None, score: int) -> float:
    # Of a mean of many windows, times their number: of an autoregressive level and of independent noise.
    if model is None or score >= len(model.keys):
        return 1.0
    noise = (1 - model.gain[score]) * model.innovation_variance[score]
    phi = min(float(model.phi[score]), _MAX_PHI)
    return max(float(noise + (1 - noise) * (1 + phi) / (1 - phi)), 1.0)
