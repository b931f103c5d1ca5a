"""How much of usual production a test set without event times stands for: an offset is not a change.

A test set need never have looked like the traffic. Where the reference has no time of its own, production's
healthy windows teach what is usual, and what stays between them and the reference is told apart from drift:
the share of the traffic that a column's reference does not stand for is the largest distance between the
reference's shares and the mean shares of healthy windows, over the column's edges or levels.

Interval: the mean of ``n`` windows plus and minus ``z`` standard errors, from the spread of blocks of 1, 2, 4
and 7 windows, whichever says most, with the reference's own error; ``z`` covers all labels of a column at
95 % (Bonferroni). It describes and never pages. Source: standard; the block variance is that of
``shares.py``.
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri

from driftwatch.decide.baseline.share_history import MIN_BLOCKS, ShareHistory, WindowShares
from driftwatch.results.results import Represented

_LEVEL = 0.95
#: Columns told of: the worst represented.
_MOST = 5


def represented(book: ShareHistory, seen: WindowShares) -> tuple[Represented, ...]:
    """The worst represented columns, worst first; none while fewer than ``MIN_BLOCKS`` windows taught."""
    found: dict[str, Represented] = {}
    for k, (_, column, _) in enumerate(book.keys):
        windows = int(book.blocks[0, k])
        if column is None or windows < MIN_BLOCKS or not seen.present[k]:
            continue
        start = int(book.starts[k])
        here = slice(start, start + int(book.sizes[k]))
        mean = book.total[0, here] / windows
        offset = np.abs(mean - seen.reference[here])
        z = float(ndtri(1 - (1 - _LEVEL) / 2 / len(offset)))
        own = seen.reference[here] * (1 - seen.reference[here]) / seen.reference_trials[k]
        error = z * np.sqrt(_variance_of_mean(book, k, here) + own)
        low, high = np.max(np.maximum(offset - error, 0.0)), np.max(offset + error)
        made = Represented(
            column=column,
            share=1 - float(offset.max()),
            low=max(1 - float(high), 0.0),
            high=1 - float(low),
            windows=windows,
        )
        if column not in found or made.share < found[column].share:
            found[column] = made
    return tuple(sorted(found.values(), key=lambda item: (item.share, item.column))[:_MOST])


def _variance_of_mean(
    book: ShareHistory, k: int, here: slice
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    largest = np.zeros(here.stop - here.start)
    for row, blocks in enumerate(book.blocks[:, k].tolist()):
        if blocks >= MIN_BLOCKS:
            mean = book.total[row, here] / blocks
            variance = np.clip(book.square[row, here] / blocks - mean**2, 0, None) / (blocks - 1)
            largest = np.maximum(largest, variance)
    return largest
