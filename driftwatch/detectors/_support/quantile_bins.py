"""Bins of ordered columns for the divergences: about equal shares of the reference, whole cells each."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from driftwatch.core.arrays import BoolArray, Int64Array
from driftwatch.detectors._support.cell_arrays import ReferenceCells
from driftwatch.detectors._support.window_context import WindowContext
from driftwatch.summary.cell_quantiles import searchsorted_rows

#: Largest number of bins for PSI and Jensen-Shannon on an ordered column.
MAX_BINS = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bins:
    """Row counts of both sides, 0 in bins that are not ``used``."""

    #: ``[column, bin]``.
    reference_counts: Int64Array
    window_counts: Int64Array
    used: BoolArray
    n_bins: Int64Array


def quantile_bins(context: WindowContext) -> Bins:
    """Group whole cells into bins of about equal reference share, regardless of the window."""
    bins, ends = context.once_for_reference("bins", _reference_bins)
    window_counts = context.cells.window_cumulative.take(ends)
    window_counts[:, 1:] -= window_counts[:, :-1].copy()
    return replace(bins, window_counts=window_counts)


def _reference_bins(reference: ReferenceCells) -> tuple[Bins, Int64Array]:
    # Bins without window counts, and the last cell of each bin, an index into flattened cells.
    ends, rows = _bin_ends(reference), np.arange(len(reference.cumulative))[:, None]
    used = np.diff(ends, prepend=-1) > 0
    counts = np.diff(reference.cumulative[rows, ends], prepend=0)
    return (
        Bins(
            reference_counts=counts, window_counts=np.zeros_like(counts), used=used, n_bins=used.sum(axis=1)
        ),
        ends + rows * reference.cumulative.shape[1],
    )


def _bin_ends(reference: ReferenceCells) -> Int64Array:
    cumulative, n = reference.cumulative, reference.n[:, None]
    # A bin ends with the first cell at which the reference reaches the next tenth.
    ends = searchsorted_rows(cumulative, -(-n * np.arange(1, MAX_BINS) // MAX_BINS))
    rows = np.arange(len(cumulative))[:, None]
    final = np.full((len(cumulative), 1), cumulative.shape[1] - 1)
    # If the last value fills a whole tenth, that tenth is the last bin.
    return np.append(np.where(cumulative[rows, ends] < n, ends, final), final, axis=1)
