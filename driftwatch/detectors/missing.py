"""Share of rows without a value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from driftwatch.core.arrays import Int64Array
from driftwatch.detectors._support import column_pair, effect_text, p_values
from driftwatch.detectors.base import BatchDetector, ColumnBatch, Detector
from driftwatch.results.gauges import Gauges
from driftwatch.results.streams import Streams

#: A score that moved by less than this share of rows is never evidence.
FLOOR = 0.02


class Missing(BatchDetector):
    """Share of the window's rows that are null or NaN, or whose data lacks the column.

    Null hypothesis: values are missing as often as in the reference.
    Formula: ``missing / rows``; the p-value is Pearson's chi-square with one degree of freedom, Fisher's
    exact test (two-sided) where fewer than 5 are expected.
    Source: Pearson 1900; Fisher 1934.
    False alarms: nominal or below for independent rows. Missing values come in bursts, so the p-value is
    only shown; evidence comes from the streams.
    Cost: O(1), O(rows) at worst for the exact test.
    Example: ozone in New York, R's ``airquality`` (Chambers et al. 1983). The README of naniar (Tierney, Cook
    2023) prints that it is missing on 5 days of May, 16.1 %, and 21 of June, 70 %.

    >>> import driftwatch
    >>> may = [41, 36, 12, 18, None, 28, 23, 19, 8, None, 7, 16, 11, 14, 18, 14, 34, 6, 30, 11, 1, 11, 4, 32]
    >>> may += [None, None, None, 23, 45, 115, 37]
    >>> june = [None] * 6 + [29, None, 71, 39, None, None, 23, None, None, 21, 37, 20, 12, 13] + [None] * 10
    >>> result = driftwatch.compare({"ozone": may}, {"ozone": june}, detectors=["missing"]).columns[0]
    >>> round(100 * result.missing_reference, 1), 100 * result.statistics[0].value
    (16.1, 70.0)
    """

    name = "missing"
    unit = "share of rows"
    comparable = True
    is_share = True
    display_rank = 60
    reads_values = False

    def measure_all(self, batch: ColumnBatch) -> Gauges:
        names = batch.names
        reference_counts, window_counts = column_pair.row_counts(batch.context, names)
        has_reference, window_share = (
            reference_counts[1] > 0,
            window_counts[0] / np.maximum(window_counts[1], 1),
        )
        reference_share = reference_counts[0] / np.maximum(reference_counts[1], 1)
        is_empty, nan = window_counts[1] == 0, np.full(len(names), np.nan)
        return Gauges(
            detector=self.name,
            unit=self.unit,
            columns=names,
            value=np.where(is_empty, np.nan, window_share),
            p_value=p_values.two_shares(
                (reference_counts[0], window_counts[0]), (reference_counts[1], window_counts[1])
            ),
            low=nan,
            high=nan,
            n_reference=reference_counts[1],
            n_window=window_counts[1],
            effect=lambda k: (
                "missing " + effect_text.share_change(float(reference_share[k]), float(window_share[k]))
                if has_reference[k]
                else ""
            ),
            undefined=dict.fromkeys(np.flatnonzero(is_empty).tolist(), "the window has no rows"),
        )

    def streams_all(self, batch: ColumnBatch) -> Streams:
        """Return the share of missing rows, and its difference from the reference's as a score."""
        reference_counts, window_counts = column_pair.row_counts(batch.context, batch.names)
        comparable = (reference_counts[1] > 0) & (window_counts[1] > 0)
        names = tuple(
            name
            for name, is_comparable in zip(batch.names, comparable.tolist(), strict=True)
            if is_comparable
        )
        reference_streams = batch.context.reference_context.memo.last(
            self.name, (names,), lambda: _reference_streams(names, reference_counts[:, comparable])
        )
        window_counts = window_counts[:, comparable]
        return replace(
            reference_streams,
            successes=window_counts[0],
            trials=window_counts[1],
            value=window_counts[0] / window_counts[1] - reference_streams.reference,
        )


def _reference_streams(names: tuple[str, ...], reference_counts: Int64Array) -> Streams:
    return Streams(
        targets=tuple((Missing.name, name) for name in names),
        share_keys=tuple((Missing.name, name, "") for name in names),
        labels=(("missing",),) * len(names),
        successes=reference_counts[0],
        trials=reference_counts[1],
        reference=reference_counts[0] / reference_counts[1],
        reference_trials=reference_counts[1],
        tolerance=np.full(len(names), np.nan),
        bursts=np.zeros(len(names), dtype=np.bool_),
        ordered=np.zeros(len(names), dtype=np.bool_),
        score_keys=tuple((Missing.name, name, "missing") for name in names),
        value=np.zeros(len(names)),
        floor=np.full(len(names), FLOOR),
        signed=np.ones(len(names), dtype=np.bool_),
    )


DETECTOR: Detector = Missing()
