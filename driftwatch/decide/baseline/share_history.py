"""History of share streams: sums over blocks of healthy windows, pending windows and the evidence.

The design effect is measured on the blocks (``design_effect.py``); once measured it stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.core.memo import NO_MEMO, Memo
from driftwatch.decide.baseline.design_effect import MIN_BLOCKS, measure_design_effects
from driftwatch.decide.evalues.e_values import ALTERNATIVES
from driftwatch.decide.evalues.stream_index import StreamIndex
from driftwatch.results.streams import StreamKey, Streams

#: Lengths of blocks, in windows (axis ``length``).
BLOCK_WINDOWS = np.array([1, 2, 4, 7])
#: Design effect that is used and shown until that of a column is measured.
CONSERVATIVE_DESIGN_EFFECT = 25.0
#: Production windows that are pending before they are learned, so that a shift cannot enter the baseline (and
#: pass for a spell, or a large design effect) while its evidence is growing.
PENDING_WINDOWS = 7
#: CUSUM, in log e-values, from which on a stream is suspected, and windows that may then be pending: they are
#: learned when the suspicion is over, or when more would be pending.
MIN_SUSPECT_CUSUM, MAX_PENDING_WINDOWS = 3.0, 30
#: First windows of a stream, which are learned at once because all are needed.
FIRST_LEARNED_WINDOWS = 20


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LabelLayout:
    """Where the labels of each stream stand; the labels of all streams are concatenated."""

    #: ``[stream]``: number of labels, and position of the first.
    sizes: Int64Array
    starts: Int64Array
    #: ``[label]``: position of its stream.
    label_streams: Int64Array

    @classmethod
    def from_sizes(cls, sizes: Int64Array) -> LabelLayout:
        return cls(
            sizes=sizes,
            starts=np.cumsum(sizes) - sizes,
            label_streams=np.repeat(np.arange(len(sizes)), sizes),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShareHistory:
    """Sums over blocks of healthy windows, for each length in ``BLOCK_WINDOWS``, and log evidence."""

    keys: StreamIndex
    layout: LabelLayout
    #: ``[label, side, alternative]``: log evidence.
    log_m: Float64Array
    #: ``[stream]``: CUSUM of the test with most evidence, and start of the window in which it began.
    cusum: Float64Array
    onset: Int64Array
    #: ``[stream]``: NaN until it is measured.
    design_effect: Float64Array
    #: ``[length, stream]``: finished blocks, and windows in the unfinished one.
    blocks: Int64Array
    open_windows: Int64Array
    #: ``[length, label]``: sums of shares, of their squares, of 1/trials.
    share_sum: Float64Array
    square_sum: Float64Array
    inverse_trials_sum: Float64Array
    #: ``[length, label]``: successes and trials in the unfinished block.
    open_successes: Int64Array
    open_trials: Int64Array
    #: ``[window, 2, label]``: successes and trials of windows that are not learned yet; 0 trials mean none.
    pending: Int64Array
    #: ``[2, label]``: successes and trials where a page found an open incident's shares; 0 trials mean none.
    centre: Int64Array
    #: ``[label]``: change of the share at the newest page of its incident, 0 without.
    paged_change: Float64Array

    @classmethod
    def empty(cls, keys: Sequence[StreamKey] = (), sizes: Sequence[int] = ()) -> ShareHistory:
        labels, count, lengths = sum(sizes), len(keys), len(BLOCK_WINDOWS)

        def zeros(*shape: int) -> Int64Array:
            return np.zeros(shape, dtype=np.int64)

        return cls(
            keys=StreamIndex(keys),
            layout=LabelLayout.from_sizes(np.array(sizes, dtype=np.int64)),
            log_m=np.full((labels, 2, len(ALTERNATIVES)), -np.inf),
            cusum=np.zeros(count),
            onset=zeros(count),
            design_effect=np.full(count, np.nan),
            blocks=zeros(lengths, count),
            open_windows=zeros(lengths, count),
            share_sum=np.zeros((lengths, labels)),
            square_sum=np.zeros((lengths, labels)),
            inverse_trials_sum=np.zeros((lengths, labels)),
            open_successes=zeros(lengths, labels),
            open_trials=zeros(lengths, labels),
            pending=zeros(0, 2, labels),
            centre=zeros(2, labels),
            paged_change=np.zeros(labels),
        )

    @classmethod
    def from_arrays(cls, keys: StreamIndex, arrays: Mapping[str, npt.NDArray[Any]]) -> ShareHistory:
        """Return the history with these arrays by field, ``sizes`` for the layout."""
        fields: dict[str, Any] = {name: array for name, array in arrays.items() if name != "sizes"}
        return cls(keys=keys, layout=LabelLayout.from_sizes(arrays["sizes"]), **fields)

    @property
    def sizes(self) -> Int64Array:
        return self.layout.sizes

    @property
    def label_streams(self) -> Int64Array:
        return self.layout.label_streams

    @property
    def starts(self) -> Int64Array:
        return self.layout.starts

    def find(self, streams: Streams, memo: Memo = NO_MEMO) -> Int64Array:
        """Return the position of each of ``streams``, -1 for new ones."""
        keys = streams.share_keys
        return memo.last("share positions", (self.keys, keys), lambda: self.keys.find(keys))

    def with_streams(self, streams: Streams, memo: Memo = NO_MEMO) -> ShareHistory:
        """Add new streams. Raises ``ValueError`` if a known stream changed its labels."""
        positions = self.find(streams, memo)
        sizes = memo.last("share sizes", (streams.labels,), lambda: streams.sizes)
        is_known = positions >= 0
        if (self.sizes[positions[is_known]] != sizes[is_known]).any():
            raise ValueError("share streams of one plan keep their labels")
        if is_known.all():
            return self
        new_streams = np.flatnonzero(~is_known)
        addition = ShareHistory.empty(
            [streams.share_keys[index] for index in new_streams], sizes[new_streams].tolist()
        )
        padding = np.zeros((len(self.pending), 2, len(addition.log_m)), dtype=np.int64)
        arrays: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), getattr(addition, name)], axis=axis)
            for name, axis in _STREAM_AXES.items()
        }
        return replace(
            self,
            keys=StreamIndex((*self.keys, *addition.keys)),
            layout=LabelLayout.from_sizes(np.concatenate([self.sizes, addition.sizes])),
            pending=np.concatenate([self.pending, padding], axis=2),
            **arrays,
        )

    def reset(self, flags: BoolArray | None = None) -> ShareHistory:
        """Clear the evidence of the flagged streams, or of all."""
        is_reset = np.ones(len(self.keys), dtype=np.bool_) if flags is None else flags
        is_reset_label = is_reset[self.label_streams][:, None, None]
        return replace(
            self,
            log_m=np.where(is_reset_label, -np.inf, self.log_m),
            cusum=np.where(is_reset, 0.0, self.cusum),
        )

    @property
    def centred(self) -> BoolArray:
        """True for streams that have a centre."""
        if not len(self.keys):
            return np.zeros(0, dtype=np.bool_)
        return np.asarray(np.minimum.reduceat(self.centre[1], self.starts) > 0)

    def add_window(self, shares: WindowShares, suspended: BoolArray, *, means_needed: bool) -> ShareHistory:
        """Add a production window, learned at once while few are learned, else pending.

        A pending window is learned ``PENDING_WINDOWS`` windows later, for a suspected stream when the
        suspicion is over. Those of ``suspended`` streams are dropped: they may be the shift. Unless
        ``means_needed``, nothing is learned once all design effects are measured.
        """
        if not means_needed and not np.isnan(self.design_effect).any():
            return replace(self, pending=self.pending[:0]) if len(self.pending) else self
        is_short = (self.blocks[0] < FIRST_LEARNED_WINDOWS) & ~suspended
        history = self._with_measured_effects()
        if is_short.any():
            history = history._learn(shares.successes, shares.trials, is_short)
        is_pending = (~is_short & ~suspended & shares.complete)[self.label_streams]
        queue = np.where(suspended[self.label_streams], 0, self.pending)
        row = np.where(is_pending, np.stack([shares.successes, shares.trials]), 0)[None]
        queue = np.concatenate([queue, row])
        is_suspected = self.cusum >= MIN_SUSPECT_CUSUM
        for age in range(len(queue), PENDING_WINDOWS, -1):
            is_due = ~is_suspected | (age > MAX_PENDING_WINDOWS)
            window = queue[-age]
            if not (window[1].astype(np.bool_) & is_due[self.label_streams]).any():
                continue
            history = history._learn(window[0], window[1], is_due)
            queue[-age] = np.where(is_due[self.label_streams], 0, window)
        filled_rows = np.flatnonzero(queue.any(axis=(1, 2)))
        return replace(history, pending=queue[filled_rows[0] if len(filled_rows) else len(queue) :])

    def learn(self, shares: WindowShares) -> ShareHistory:
        """Add a window that is known to be healthy."""
        return self._learn(shares.successes, shares.trials, np.ones(len(self.keys), dtype=np.bool_))

    def _learn(self, successes: Int64Array, trials: Int64Array, flags: BoolArray) -> ShareHistory:
        if not len(self.keys):
            return self
        is_complete = np.minimum.reduceat(trials, self.starts) > 0
        is_used = (is_complete & flags).astype(np.int64)
        is_used_label = is_used[self.label_streams]
        successes = self.open_successes + is_used_label * successes
        trials = self.open_trials + is_used_label * trials
        windows = self.open_windows + is_used
        is_full = (windows >= BLOCK_WINDOWS[:, None]) & (is_used > 0)
        is_full_label = is_full[:, self.label_streams]
        share = np.where(is_full_label, successes / np.maximum(trials, 1), 0.0)
        return replace(
            self,
            blocks=self.blocks + is_full,
            share_sum=self.share_sum + share,
            square_sum=self.square_sum + share**2,
            inverse_trials_sum=self.inverse_trials_sum
            + np.where(is_full_label, 1 / np.maximum(trials, 1), 0.0),
            open_successes=np.where(is_full_label, 0, successes),
            open_trials=np.where(is_full_label, 0, trials),
            open_windows=np.where(is_full, 0, windows),
        )

    def _with_measured_effects(self) -> ShareHistory:
        # They stay fixed, or a season would raise them further and further, and pass for normal.
        is_new = np.isnan(self.design_effect) & (self.blocks[0] >= FIRST_LEARNED_WINDOWS)
        return (
            replace(self, design_effect=np.where(is_new, self._measured_effects(), self.design_effect))
            if is_new.any()
            else self
        )

    def design_effects(self, memo: Memo = NO_MEMO) -> Float64Array:
        """Return each stream's design effect, at least 1, or NaN before ``MIN_BLOCKS`` windows.

        It is measured on the reference's blocks or the first ``FIRST_LEARNED_WINDOWS`` windows. A column's
        streams have at least the effect of the stream that varies most, which is known best: rare rows
        (extremes, nulls, new levels) may all come on days not seen yet. False alarms: the exponent ``1/b``
        keeps the page budget if rows of a block are no more dependent than this; the upper limit allows for
        the estimation error.
        """
        is_unknown = np.isnan(self.design_effect)
        if not is_unknown.any():
            return self.design_effect
        # Every window needs them twice.
        return memo.last(
            "design effects",
            (self.design_effect, self.blocks, self.share_sum),
            lambda: np.where(is_unknown, self._measured_effects(), self.design_effect),
        )

    def _measured_effects(self) -> Float64Array:
        # A column that never varied has no effect to measure: its first nulls are taken to come in bursts as
        # large as any other column's, at most as where nothing is known.
        effects = measure_design_effects(self)
        is_constant = np.isnan(effects) & self.keys.has_column & (self.blocks[0] >= MIN_BLOCKS)
        if is_constant.any() and not np.isnan(effects).all():
            largest = min(float(np.nanmax(effects)), CONSERVATIVE_DESIGN_EFFECT)
            effects = np.where(is_constant, largest, effects)
        return effects


#: Sums over learned windows, for each length of blocks.
BLOCK_SUMS = (
    "blocks", "open_windows", "share_sum", "square_sum", "inverse_trials_sum", "open_successes",
    "open_trials",
)  # fmt: skip
#: Fields that have an axis of streams or labels, and its position; ``pending`` is concatenated separately.
_STREAM_AXES = {
    **dict.fromkeys(("log_m", "cusum", "onset", "design_effect", "paged_change"), 0),
    **dict.fromkeys((*BLOCK_SUMS, "centre"), 1),
}
#: Name of each array in the stored bytes, and the field that holds it.
SHARE_ARRAYS = {
    "sizes": "sizes",
    "log_m": "log_m",
    "run": "cusum",
    "onset": "onset",
    "effect": "design_effect",
    "blocks": "blocks",
    "open_windows": "open_windows",
    "total": "share_sum",
    "square": "square_sum",
    "inverse": "inverse_trials_sum",
    "open_successes": "open_successes",
    "open_trials": "open_trials",
    "waiting": "pending",
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowShares:
    """One window's shares in the order of a history, 0 where a stream was not measured."""

    successes: Int64Array
    trials: Int64Array
    reference: Float64Array
    reference_trials: Int64Array
    #: NaN where the configured tolerance applies.
    tolerance: Float64Array
    bursts: BoolArray
    ordered: BoolArray
    #: ``[stream]``: the window has this stream.
    present: BoolArray
    #: ``[stream]``: every label had rows.
    complete: BoolArray


def align_shares(history: ShareHistory, streams: Streams, memo: Memo = NO_MEMO) -> WindowShares:
    """Return the window's shares in the history's order. Raises ``KeyError`` for an unknown stream."""
    n_labels, starts = int(history.sizes.sum()), history.starts
    successes, trials = np.zeros(n_labels, dtype=np.int64), np.zeros(n_labels, dtype=np.int64)
    reference, rows = np.zeros(n_labels), np.ones(len(history.keys), dtype=np.int64)
    present, tolerance = np.zeros(len(history.keys), dtype=np.bool_), np.full(len(history.keys), np.nan)
    bursts, ordered = present.copy(), present.copy()
    positions = history.find(streams, memo)
    if (positions < 0).any():
        raise KeyError(streams.share_keys[int(positions.argmin())])
    labels = memo.last(
        "label positions",
        (positions, history.layout),
        lambda: _label_positions(positions, history.sizes, starts),
    )
    successes[labels], trials[labels], reference[labels] = (
        streams.successes,
        streams.trials,
        streams.reference,
    )
    rows[positions], present[positions] = np.maximum(streams.reference_trials, 1), True
    tolerance[positions], bursts[positions], ordered[positions] = (
        streams.tolerance,
        streams.bursts,
        streams.ordered,
    )
    complete = np.minimum.reduceat(trials, starts) > 0 if len(starts) else present
    return WindowShares(
        successes=successes,
        trials=trials,
        reference=reference,
        reference_trials=rows,
        tolerance=tolerance,
        bursts=bursts,
        ordered=ordered,
        present=present,
        complete=complete,
    )


def _label_positions(streams: Int64Array, sizes: Int64Array, starts: Int64Array) -> Int64Array:
    size = sizes[streams]
    return np.asarray(np.repeat(starts[streams] - (np.cumsum(size) - size), size) + np.arange(size.sum()))
