"""Base class of detectors of the share of rows with a special value, such as a missing one."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace

import numpy as np

from driftwatch.core.arrays import Int64Array
from driftwatch.detectors._support import effect_text, p_values
from driftwatch.detectors._support.bases import BatchDetector
from driftwatch.detectors._support.column_batch import ColumnBatch
from driftwatch.detectors._support.column_pair import ColumnPair
from driftwatch.detectors._support.window_context import WindowContext
from driftwatch.results.gauges import Gauges
from driftwatch.results.streams import Streams

#: A score that moved by less than this share of rows is never evidence.
FLOOR = 0.02
#: Change of the share from which on a page tells it beside another detector's effect, and its chance.
_MIN_PAGE_CHANGE, _MAX_PAGE_P_VALUE = 0.02, 1e-4


class RowShareDetector(BatchDetector):
    unit = "share of rows"
    comparable = True
    is_share = True
    reads_values = False
    #: Of the share, in effects and as the label of its streams.
    label_text = ""
    #: Why there is no share.
    empty_text = "the window has no rows"

    @abstractmethod
    def row_counts(self, context: WindowContext, names: tuple[str, ...]) -> tuple[Int64Array, Int64Array]:
        """Return special and all rows of each column ``[2, column]``, in reference and window."""

    def measure_all(self, batch: ColumnBatch) -> Gauges:
        names = batch.names
        reference_counts, window_counts = self.row_counts(batch.context, names)
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
                f"{self.label_text} "
                + effect_text.share_change(float(reference_share[k]), float(window_share[k]))
                if has_reference[k]
                else ""
            ),
            undefined=dict.fromkeys(np.flatnonzero(is_empty).tolist(), self.empty_text),
        )

    def page_fact(self, pair: ColumnPair) -> str:
        names = (pair.column.name,)
        (k, n), (window_k, m) = (item[:, 0].tolist() for item in self.row_counts(pair.context, names))
        if not n or not m or abs(window_k / m - k / n) < _MIN_PAGE_CHANGE:
            return ""
        p_value = p_values.two_shares((k, window_k), (n, m))[0]
        text = f"{self.label_text} {effect_text.share_change(k / n, window_k / m)}"
        return text if p_value <= _MAX_PAGE_P_VALUE else ""

    def streams_all(self, batch: ColumnBatch) -> Streams:
        """Return the share of special rows, and its difference from the reference's as a score."""
        reference_counts, window_counts = self.row_counts(batch.context, batch.names)
        comparable = (reference_counts[1] > 0) & (window_counts[1] > 0)
        names = tuple(
            name
            for name, is_comparable in zip(batch.names, comparable.tolist(), strict=True)
            if is_comparable
        )
        reference_streams = batch.context.reference_context.memo.last(
            self.name, (names,), lambda: self._reference_streams(names, reference_counts[:, comparable])
        )
        window_counts = window_counts[:, comparable]
        return replace(
            reference_streams,
            successes=window_counts[0],
            trials=window_counts[1],
            value=window_counts[0] / window_counts[1] - reference_streams.reference,
        )

    def _reference_streams(self, names: tuple[str, ...], reference_counts: Int64Array) -> Streams:
        return Streams(
            targets=tuple((self.name, name) for name in names),
            share_keys=tuple((self.name, name, "") for name in names),
            labels=((self.name,),) * len(names),
            successes=reference_counts[0],
            trials=reference_counts[1],
            reference=reference_counts[0] / reference_counts[1],
            reference_trials=reference_counts[1],
            tolerance=np.full(len(names), np.nan),
            bursts=np.zeros(len(names), dtype=np.bool_),
            ordered=np.zeros(len(names), dtype=np.bool_),
            score_keys=tuple((self.name, name, self.name) for name in names),
            value=np.zeros(len(names)),
            floor=np.full(len(names), FLOOR),
            signed=np.ones(len(names), dtype=np.bool_),
        )
