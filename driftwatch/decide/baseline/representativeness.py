"""Representativeness: how much of production traffic a test set without event times represents.

A test set may never have looked like the traffic: an offset is not a change. Without event times in the
reference, healthy production windows are the baseline, and their constant distance from the reference is no
drift. A column's unrepresented share is the largest distance, over edges or levels, between the reference's
shares and the healthy windows' mean shares.

Interval: the mean of ``n`` windows plus and minus ``z`` standard errors, from the largest variance over
blocks of 1, 2, 4 and 7 windows, and the reference's own; ``z`` covers a column's labels at 95 % (Bonferroni).
The interval is only shown and never pages. Source: standard; block variance as in ``share_history.py``.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from driftwatch.decide.baseline.design_effect import MIN_BLOCKS
from driftwatch.decide.baseline.share_history import ShareHistory, WindowShares
from driftwatch.results.results import Representativeness

_CONFIDENCE = 0.95
#: Columns in the report, which is to stay readable.
_MAX_COLUMNS = 5


def worst_represented(history: ShareHistory, shares: WindowShares) -> tuple[Representativeness, ...]:
    """Return the worst represented columns; none until ``MIN_BLOCKS`` windows are learned."""
    by_column: dict[str, Representativeness] = {}
    for k, (_, column, _) in enumerate(history.keys):
        windows = int(history.blocks[0, k])
        if column is None or windows < MIN_BLOCKS or not shares.present[k]:
            continue
        start = int(history.starts[k])
        labels = slice(start, start + int(history.sizes[k]))
        mean = history.share_sum[0, labels] / windows
        offset = np.abs(mean - shares.reference[labels])
        z = float(ndtri(1 - (1 - _CONFIDENCE) / 2 / len(offset)))
        reference_variance = (
            shares.reference[labels] * (1 - shares.reference[labels]) / shares.reference_trials[k]
        )
        error = z * np.sqrt(_variance_of_mean(history, k, labels) + reference_variance)
        low, high = np.max(np.maximum(offset - error, 0.0)), np.max(offset + error)
        represented = Representativeness(
            column=column,
            share=1 - float(offset.max()),
            low=max(1 - float(high), 0.0),
            high=1 - float(low),
            windows=windows,
        )
        if column not in by_column or represented.share < by_column[column].share:
            by_column[column] = represented
    return tuple(sorted(by_column.values(), key=lambda item: (item.share, item.column))[:_MAX_COLUMNS])


def _variance_of_mean(
    history: ShareHistory, k: int, labels: slice
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    largest = np.zeros(labels.stop - labels.start)
    for row, blocks in enumerate(history.blocks[:, k].tolist()):
        if blocks >= MIN_BLOCKS:
            mean = history.share_sum[row, labels] / blocks
            variance = np.clip(history.square_sum[row, labels] / blocks - mean**2, 0, None) / (blocks - 1)
            largest = np.maximum(largest, variance)
    return largest
