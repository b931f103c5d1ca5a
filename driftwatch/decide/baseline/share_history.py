"""Share streams of all columns as arrays: what healthy windows taught about their rows, and their evidence.

The design effect is how many rows count as one (``dependence.py``), the largest over blocks of 1, 2, 4 and 7
windows, with an upper limit of 80 % for single windows and of 60 % for longer blocks, which see dependence
between windows (weather, weeks) that single windows do not. It stays once it is measured. A reference that
itself wanders has a large ``b``: honest, and conservative.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from driftwatch.core.arrays import BoolArray, Float64Array, Int64Array
from driftwatch.decide.baseline.design_effect import independent_labels, upper_limits
from driftwatch.decide.evalues.e_values import ALTERNATIVES
from driftwatch.decide.evalues.stream_index import StreamIndex
from driftwatch.results.streams import StreamKey, Streams

#: Windows per block.
BLOCKS = np.array([1, 2, 4, 7])
#: Blocks of one length before their variance is believed.
MIN_BLOCKS = 8
#: Used and shown until a column's own is measured.
CONSERVATIVE = 25.0
#: Production windows that wait before they teach, so that a shift cannot make itself usual (and read as a
#: spell, and as a large design effect) while its evidence is still being gathered.
WAIT = 7
#: A CUSUM from which on a stream is suspected, and windows that may then wait: what is under suspicion
#: teaches when it is over, or in the end after all.
SUSPECTED, LONGEST_WAIT = 3.0, 30
#: Windows from which on newer ones wait: before that all are needed.
TAUGHT = 20
#: Upper limit of the variance of blocks of each length; longer ones only have to show that they vary more.
_UPPER = (0.8, 0.6, 0.6, 0.6)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShareHistory:
    """Everything remembered of share streams; ``keys[k]`` has ``sizes[k]`` labels, ``L`` in all, end to end.

    ``log_m[L, 2, A]`` is the evidence per side and alternative; ``run[k]`` the CUSUM of its strongest part
    and ``onset[k]`` the start of the window it began in; ``effect[k]`` its design effect, NaN while it is
    being measured. Per block length: ``blocks[4, k]`` finished ones,
    ``total``/``square``/``inverse[4, L]`` of their shares, squares and 1/trials, ``open_successes``/
    ``open_trials[4, L]`` and ``open_windows[4, k]`` of the unfinished one. ``waiting[w, 2, L]`` are successes
    and trials of the newest windows, which teach later; trials of 0 are none.
    """

    keys: StreamIndex
    sizes: Int64Array
    log_m: Float64Array
    run: Float64Array
    onset: Int64Array
    effect: Float64Array
    blocks: Int64Array
    open_windows: Int64Array
    total: Float64Array
    square: Float64Array
    inverse: Float64Array
    open_successes: Int64Array
    open_trials: Int64Array
    waiting: Int64Array

    @classmethod
    def empty(cls, keys: Sequence[StreamKey] = (), sizes: Sequence[int] = ()) -> ShareHistory:
        """Nothing seen yet of these streams."""
        labels, count, lengths = sum(sizes), len(keys), len(BLOCKS)

        def none(*shape: int) -> Int64Array:
            return np.zeros(shape, dtype=np.int64)

        return cls(
            keys=StreamIndex(keys),
            sizes=np.array(sizes, dtype=np.int64),
            log_m=np.full((labels, 2, len(ALTERNATIVES)), -np.inf),
            run=np.zeros(count),
            onset=none(count),
            effect=np.full(count, np.nan),
            blocks=none(lengths, count),
            open_windows=none(lengths, count),
            total=np.zeros((lengths, labels)),
            square=np.zeros((lengths, labels)),
            inverse=np.zeros((lengths, labels)),
            open_successes=none(lengths, labels),
            open_trials=none(lengths, labels),
            waiting=none(0, 2, labels),
        )

    @property
    def which(self) -> Int64Array:
        """The stream ``k`` of each label."""
        return self.keys.labels(self.sizes)[0]

    @property
    def starts(self) -> Int64Array:
        """The first label of each stream."""
        return self.keys.labels(self.sizes)[1]

    def expecting(self, streams: Streams) -> ShareHistory:
        """The book that knows of these streams too. Raises ``ValueError`` when one changed its labels."""
        at = self.keys.found(streams.share_keys)
        sizes = self.keys.kept("sizes", (streams.labels,), lambda: streams.sizes)
        known = at >= 0
        if (self.sizes[at[known]] != sizes[known]).any():
            raise ValueError("share streams of one plan keep their labels")
        if known.all():
            return self
        new = np.flatnonzero(~known)
        more = ShareHistory.empty([streams.share_keys[place] for place in new], sizes[new].tolist())
        idle = np.zeros((len(self.waiting), 2, len(more.log_m)), dtype=np.int64)
        joined: dict[str, Any] = {
            name: np.concatenate([getattr(self, name), getattr(more, name)], axis=axis)
            for name, axis in _AXES.items()
        }
        return replace(
            self,
            keys=StreamIndex((*self.keys, *more.keys)),
            waiting=np.concatenate([self.waiting, idle], axis=2),
            **joined,
        )

    def reset(self, which: BoolArray | None = None) -> ShareHistory:
        """Evidence back to nothing, of all streams or of those flagged."""
        gone = np.ones(len(self.keys), dtype=np.bool_) if which is None else which
        each = gone[self.which][:, None, None]
        return replace(self, log_m=np.where(each, -np.inf, self.log_m), run=np.where(gone, 0.0, self.run))

    def wait(self, seen: WindowShares, silent: BoolArray, *, averaged: bool) -> ShareHistory:
        """With one more window that teaches ``WAIT`` windows later, at once while few have taught.

        What waits of ``silent`` streams is dropped with this window: it may be the shift itself. What waits
        of suspected ones goes on waiting. Unless somebody reads what is usual on average, a book that has
        settled on all of its design effects has nothing more to learn.
        """
        if not averaged and not np.isnan(self.effect).any():
            return replace(self, waiting=self.waiting[:0]) if len(self.waiting) else self
        few = (self.blocks[0] < TAUGHT) & ~silent
        taught = self._settled()
        if few.any():
            taught = taught._learn(seen.successes, seen.trials, few)
        waits = (~few & ~silent & seen.complete)[self.which]
        queue = np.where(silent[self.which], 0, self.waiting)
        row = np.where(waits, np.stack([seen.successes, seen.trials]), 0)[None]
        queue = np.concatenate([queue, row])
        suspected = self.run >= SUSPECTED
        for age in range(len(queue), WAIT, -1):
            over = ~suspected | (age > LONGEST_WAIT)
            waited = queue[-age]
            if not (waited[1].astype(np.bool_) & over[self.which]).any():
                continue
            taught = taught._learn(waited[0], waited[1], over)
            queue[-age] = np.where(over[self.which], 0, waited)
        longest = np.flatnonzero(queue.any(axis=(1, 2)))
        return replace(taught, waiting=queue[longest[0] if len(longest) else len(queue) :])

    def learn(self, seen: WindowShares) -> ShareHistory:
        """With one more window that teaches at once."""
        return self._learn(seen.successes, seen.trials, np.ones(len(self.keys), dtype=np.bool_))

    def _learn(self, successes: Int64Array, trials: Int64Array, teaching: BoolArray) -> ShareHistory:
        if not len(self.keys):
            return self
        complete = np.minimum.reduceat(trials, self.starts) > 0
        used = (complete & teaching).astype(np.int64)
        each = used[self.which]
        successes = self.open_successes + each * successes
        trials = self.open_trials + each * trials
        windows = self.open_windows + used
        full = (windows >= BLOCKS[:, None]) & (used > 0)
        done = full[:, self.which]
        share = np.where(done, successes / np.maximum(trials, 1), 0.0)
        return replace(
            self,
            blocks=self.blocks + full,
            total=self.total + share,
            square=self.square + share**2,
            inverse=self.inverse + np.where(done, 1 / np.maximum(trials, 1), 0.0),
            open_successes=np.where(done, 0, successes),
            open_trials=np.where(done, 0, trials),
            open_windows=np.where(full, 0, windows),
        )

    def _settled(self) -> ShareHistory:
        """With the design effects of what has been taught enough.

        They stay: a season would teach that a day's rows count for ever less, and be usual by it.
        """
        new = np.isnan(self.effect) & (self.blocks[0] >= TAUGHT)
        return replace(self, effect=np.where(new, self._measured(), self.effect)) if new.any() else self

    def design_effects(self) -> Float64Array:
        """The design effect of each stream, at least 1; NaN before ``MIN_BLOCKS`` windows.

        Measured on the reference's blocks or the first ``TAUGHT`` windows.
        Rows of a column are at least as dependent in any stream as in the one that varies most, which knows
        best: rare rows (ends, nulls, new levels) may all come on days that were not seen yet.
        False-alarm behaviour: the exponent 1/b keeps the page budget when rows of a block are no more
        dependent than this says; the upper limit pays for estimating it.
        """
        unknown = np.isnan(self.effect)
        if not unknown.any():
            return self.effect
        # A window asks twice.
        return self.keys.kept(
            "design effects",
            (self.effect, self.blocks, self.total),
            lambda: np.where(unknown, self._measured(), self.effect),
        )

    def _measured(self) -> Float64Array:
        if not len(self.keys):
            return np.empty(0)
        blocks = np.maximum(self.blocks, 2)
        each = blocks[:, self.which]
        mean = self.total / each
        variance = np.clip(self.square / each - mean**2, 0, None) * each / (each - 1)
        independent = mean * (1 - mean) * self.inverse / each
        over = np.add.reduceat(variance, self.starts, axis=1)
        under = np.add.reduceat(independent, self.starts, axis=1)
        believed = (self.blocks >= MIN_BLOCKS) & (under > 0)
        ratio = np.where(believed, over / np.where(believed, under, 1.0), np.nan)
        # A column that never varies stays unknown: then nothing new is told.
        effects = self.effect
        if (np.isnan(effects) & ~np.isnan(ratio[0])).any():
            degrees = (blocks - 1) * independent_labels(mean[0], self.which, self.starts)
            limits = [
                upper_limits(self.keys, measured, of, level)
                for measured, of, level in zip(ratio, degrees, _UPPER, strict=True)
                if not np.isnan(measured).all()
            ]
            effects = np.maximum(np.fmax.reduce(limits), 1.0)
        knows: dict[str | None, tuple[float, float]] = {}
        for key, varies, effect in zip(self.keys, under[0].tolist(), effects.tolist(), strict=True):
            column = key[1]
            if column is not None and effect == effect:
                knows[column] = max((varies, effect), knows.get(column, (0.0, 1.0)))
        least = np.array([knows.get(key[1], (0.0, np.nan))[1] for key in self.keys])
        return np.asarray(np.fmax(effects, least))


#: Every array of a book and the axis its streams or labels lie on; ``waiting`` apart.
_AXES = {
    "sizes": 0, "log_m": 0, "run": 0, "onset": 0, "effect": 0, "blocks": 1, "open_windows": 1, "total": 1,
    "square": 1, "inverse": 1, "open_successes": 1, "open_trials": 1,
}  # fmt: skip
#: Names of everything that is stored of a book, its keys apart.
SHARE_ARRAYS = (*_AXES, "waiting")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WindowShares:
    """One window's shares in the order of a book: zeros where a stream was not seen.

    ``tolerance[k]`` is NaN where the usual one holds; ``bursts[k]`` and ``ordered[k]`` are what
    the stream says. ``complete[k]``
    says that every label of a stream had rows; ``present[k]`` that it was measured at all.
    """

    successes: Int64Array
    trials: Int64Array
    reference: Float64Array
    reference_trials: Int64Array
    tolerance: Float64Array
    bursts: BoolArray
    ordered: BoolArray
    present: BoolArray
    complete: BoolArray


def shares_seen(book: ShareHistory, streams: Streams) -> WindowShares:
    """The window's shares, aligned to the book."""
    labels, starts = int(book.sizes.sum()), book.starts
    successes, trials = np.zeros(labels, dtype=np.int64), np.zeros(labels, dtype=np.int64)
    reference, rows = np.zeros(labels), np.ones(len(book.keys), dtype=np.int64)
    present, own = np.zeros(len(book.keys), dtype=np.bool_), np.full(len(book.keys), np.nan)
    bursts, ordered = present.copy(), present.copy()
    at = book.keys.places_of(streams.share_keys)
    here = book.keys.kept("here", (at, book.sizes), lambda: _labels_at(at, book.sizes, starts))
    successes[here], trials[here], reference[here] = streams.successes, streams.trials, streams.reference
    rows[at], present[at] = np.maximum(streams.reference_trials, 1), True
    own[at], bursts[at], ordered[at] = streams.tolerance, streams.bursts, streams.ordered
    complete = np.minimum.reduceat(trials, starts) > 0 if len(starts) else present
    return WindowShares(
        successes=successes,
        trials=trials,
        reference=reference,
        reference_trials=rows,
        tolerance=own,
        bursts=bursts,
        ordered=ordered,
        present=present,
        complete=complete,
    )


def _labels_at(at: Int64Array, sizes: Int64Array, starts: Int64Array) -> Int64Array:
    """Where the labels of the streams ``at`` these places stand, stream after stream."""
    size = sizes[at]
    return np.asarray(np.repeat(starts[at] - (np.cumsum(size) - size), size) + np.arange(size.sum()))
