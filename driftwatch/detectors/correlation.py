"""Largest change of a correlation between two numeric columns."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import ndtr

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.detectors._support import effect_text, p_values
from driftwatch.detectors._support.bases import NO_REFERENCE_SAMPLE, NO_WINDOW_SAMPLE
from driftwatch.detectors.base import Detector, JointDetector, WindowContext
from driftwatch.results.results import Score, Shares, Statistic
from driftwatch.results.streams import StreamList
from driftwatch.summary.reference import Reference

#: A change of r by less than this is never evidence.
FLOOR = 0.1
#: Sampled rows that each side needs; a correlation of fewer says nothing.
MIN_ROWS = 10
_NO_PAIR = "every pair has a column in an open incident"


class Correlation(JointDetector):
    """Largest change of Pearson's r over all pairs of numeric columns.

    Null hypothesis: no pair's correlation differs from the reference's.
    Formula: the value is ``max |r_window - r_reference|`` over pairs, on reference-scaled values clipped at 8
    scales. The p-value is that of ``max |T|``, ``T = (r_window - r_reference) / sqrt(V (1/m + 1/n))``
    with ``V`` the reference's variance of the product of the two columns: normal approximation, times the
    number of pairs (Bonferroni).
    Source: Steiger 1980 for tests of correlations; pairwise maximum as in Cai, Zhang 2016.
    False alarms: at most nominal for independent rows in the limit; conservative for strongly correlated
    pairs, because V ignores what is lost in standardising. Below a few hundred rows heavy tails can exceed
    it. Pairs with a constant column are left out, and those with a column of an open incident: the largest
    of fewer is at most that of all, so the comparison with the history of all pairs errs towards silence.
    Cost: O(d^2) per window, given the sums.
    Example: the first of the four data sets of Anscombe 1973, with r = .816 and R^2 = .667. The reference is
    a parabola over the same x, whose r is 0.

    >>> import numpy as np
    >>> import driftwatch
    >>> x = np.array([10.0, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5])
    >>> y = np.array([8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68])
    >>> parabola = {"x": np.tile(x, 5), "y": np.tile((x - 9) ** 2, 5)}
    >>> result = driftwatch.compare(parabola, {"x": x, "y": y}, detectors=["correlation"]).joint[0]
    >>> round(result.value, 3), round(result.value**2, 3)
    (0.816, 0.667)
    """

    name = "correlation"
    #: It reads pairs: a column may move alone unseen.
    reads_values = False
    leaves_out_columns = True
    unit = "difference of r"
    label = "correlations"
    display_rank = 80

    def applies(self, reference: Reference) -> bool:
        projection = reference.plan.projection
        return projection is not None and int((projection.inputs[:, 1] < 0).sum()) > 1

    def measure(self, window: WindowContext) -> Statistic:
        reference = window.reference
        reference_sums, window_sums = reference.summary.sums, window.window.sums
        rows = (
            0 if reference_sums is None else reference_sums.rows,
            0 if window_sums is None else window_sums.rows,
        )
        if reference_sums is None or window_sums is None:
            reason = NO_REFERENCE_SAMPLE if reference_sums is None else NO_WINDOW_SAMPLE
            return self.gauge(rows, None, undefined=reason)
        if min(rows) < MIN_ROWS:
            return self.gauge(rows, None, undefined=f"fewer than {MIN_ROWS} sampled rows on one side")
        pairs = _pairs(reference)
        is_watched = _is_watched(window, pairs)
        pairs = pairs[is_watched]
        if len(is_watched) and not len(pairs):
            return self.gauge(rows, None, undefined=_NO_PAIR)
        left, right = pairs[:, 0], pairs[:, 1]
        r_reference, r_window = (
            reference_sums.correlation()[left, right],
            window_sums.correlation()[left, right],
        )
        defined = np.isfinite(r_reference) & np.isfinite(r_window)
        if not defined.any():
            return self.gauge(rows, None, undefined="no two numeric columns vary on both sides")
        change = np.where(defined, np.abs(r_window - r_reference), -1.0)
        largest_pair = int(np.argmax(change))
        names = [effect_text.escape(name) for name in _names(reference, pairs[largest_pair])]
        return self.gauge(
            rows,
            float(change[largest_pair]),
            p_value=_p_value(reference, pairs[defined], change[defined], rows),
            effect=f"corr({names[0]}, {names[1]}) "
            f"{r_reference[largest_pair]:.2f} → {r_window[largest_pair]:.2f}",
        )

    def resting_reason(self, window: WindowContext) -> str:
        return "" if _is_watched(window, _pairs(window.reference)).any() else _NO_PAIR

    def page_words(self, window: WindowContext, effect: str) -> tuple[str, tuple[str, ...]]:
        reference_sums, window_sums = window.reference.summary.sums, window.window.sums
        if not effect or reference_sums is None or window_sums is None:
            return effect, ()
        pairs = _pairs(window.reference)
        pairs = pairs[_is_watched(window, pairs)]
        left, right = pairs[:, 0], pairs[:, 1]
        change = np.abs((window_sums.correlation() - reference_sums.correlation())[left, right])
        return effect, _names(window.reference, pairs[int(np.nanargmax(change))])

    def streams(self, window: WindowContext) -> StreamList:
        """Return sign agreement of the most correlated pairs as shares, and the value as a score."""
        reference = window.reference
        reference_sums, window_sums, projection = (
            reference.summary.sums,
            window.window.sums,
            reference.plan.projection,
        )
        statistic = self.measure(window)
        streams: list[Shares | Score] = []
        if (
            projection is not None
            and reference_sums is not None
            and window_sums is not None
            and len(projection.pairs)
        ):
            with np.errstate(invalid="ignore", divide="ignore"):
                reference_share = reference_sums.agreeing / reference_sums.paired
            # Labels are the same in every window; one without trials is no evidence.
            is_watched = _is_watched(window, projection.pairs)
            if np.isfinite(reference_share).all() and is_watched.any():
                streams.append(
                    Shares(
                        detector=self.name,
                        column=None,
                        labels=tuple(f"pair{pair}" for pair in range(len(projection.pairs))),
                        successes=np.where(is_watched, window_sums.agreeing, 0),
                        trials=np.where(is_watched, window_sums.paired, 0),
                        reference=reference_share,
                        reference_trials=int(reference_sums.paired.min()),
                    )
                )
        if statistic.value is not None and window_sums is not None:
            # Correlations of fewer rows differ more by chance, so the score is scaled to the expected number.
            expected_rows = min(reference.block_rows or math.inf, reference.plan.sample_rows)
            streams.append(
                Score(
                    detector=self.name,
                    column=None,
                    label="correlation",
                    value=statistic.value * math.sqrt(min(1.0, window_sums.rows / expected_rows)),
                    floor=FLOOR,
                )
            )
        return tuple(streams)


def _is_watched(window: WindowContext, pairs: Int64Array) -> BoolArray:
    """Return whether each pair is without a column that is left out."""
    projection, columns = window.reference.plan.projection, window.reference.plan.columns
    if projection is None or not window.left_out.columns:
        return np.ones(len(pairs), dtype=np.bool_)
    names = [columns[position].name for position in projection.inputs[:, 0]]
    is_left_out = np.array([name in window.left_out.columns for name in names])
    return np.asarray(~is_left_out[pairs].any(axis=1))


def _pairs(reference: Reference) -> Int64Array:
    # Numeric dimensions only: levels are too rare for a normal limit.
    projection = reference.plan.projection
    numeric = np.empty(0, np.int64) if projection is None else np.flatnonzero(projection.inputs[:, 1] < 0)
    left, right = np.triu_indices(len(numeric), 1)
    return np.stack([numeric[left], numeric[right]], axis=1)


def _names(reference: Reference, dimensions: Int64Array) -> tuple[str, ...]:
    projection, columns = reference.plan.projection, reference.plan.columns
    inputs = np.empty((0, 2), np.int64) if projection is None else projection.inputs
    return tuple(columns[position].name for position in inputs[dimensions, 0].tolist())


def _p_value(
    reference: Reference, pairs: Int64Array, change: Float64Array, rows: tuple[int, int]
) -> float | None:
    if reference.joint is None:
        return None
    variance = reference.joint.variance[pairs[:, 0], pairs[:, 1]] * (1 / rows[0] + 1 / rows[1])
    usable = variance > 0
    if not usable.any():
        return None
    max_t = float((change[usable] / np.sqrt(variance[usable])).max())
    return p_values.clip_p_value(2 * int(usable.sum()) * float(ndtr(-max_t)))


DETECTOR: Detector = Correlation()
