"""The design effect: how many rows count as one, measured on healthy windows.

``b = Var(share over blocks) / (binomial variance of independent rows)``, pooled over a column's edges, the
largest over blocks of 1, 2, 4 and 7 windows, each with an upper 80 % limit. Blocks longer than a window see
dependence between windows (weather, weeks) that single windows do not. A reference that itself wanders has a
large ``b``: honest, and conservative.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import chdtri

from driftwatch.summary.batch import Float64Array, Int64Array
from driftwatch.summary.result import Shares

#: Windows per block.
BLOCKS = (1, 2, 4, 7)
#: Blocks of one length before their variance is believed.
MIN_BLOCKS = 8
#: Used and shown until a column's own is measured.
CONSERVATIVE = 25.0
#: Production windows that wait before they teach, so that a shift cannot make itself usual (and read as
#: autocorrelation, and as a large design effect) while its evidence is still being gathered.
WAIT = 7
#: Windows from which on newer ones wait: before that all are needed.
TAUGHT = 20
_UPPER = 0.8


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moments:
    """Running moments of healthy shares, per block length (rows of ``BLOCKS``) and label.

    ``blocks[4]`` finished blocks; ``total``/``square`` ``[4, k]`` of block shares; ``inverse[4, k]`` of
    1/trials; ``open_successes``/``open_trials`` ``[4, k]`` and ``open_windows[4]`` of the unfinished one.
    ``waiting[w, 2, k]`` are successes and trials of the newest windows, which teach later.
    """

    blocks: Int64Array
    total: Float64Array
    square: Float64Array
    inverse: Float64Array
    open_successes: Int64Array
    open_trials: Int64Array
    open_windows: Int64Array
    waiting: Int64Array

    @classmethod
    def zero(cls, labels: int) -> Moments:
        """No windows yet."""
        shape = (len(BLOCKS), labels)
        return cls(
            blocks=np.zeros(len(BLOCKS), dtype=np.int64),
            total=np.zeros(shape),
            square=np.zeros(shape),
            inverse=np.zeros(shape),
            open_successes=np.zeros(shape, dtype=np.int64),
            open_trials=np.zeros(shape, dtype=np.int64),
            open_windows=np.zeros(len(BLOCKS), dtype=np.int64),
            waiting=np.zeros((0, 2, labels), dtype=np.int64),
        )

    def wait(self, shares: Shares) -> Moments:
        """With one more window that teaches ``WAIT`` windows later, at once while few have taught."""
        if not shares.trials.all():
            return self
        if self.blocks[0] < TAUGHT:
            return self.learn(shares.successes, shares.trials)
        queue = np.concatenate([self.waiting, np.stack([shares.successes, shares.trials])[None]])
        if len(queue) <= WAIT:
            return replace(self, waiting=queue)
        return replace(self.learn(queue[0, 0], queue[0, 1]), waiting=queue[1:])

    def forget(self) -> Moments:
        """Without the windows that still wait."""
        return replace(self, waiting=self.waiting[:0])

    def learn(self, successes: Int64Array, trials: Int64Array) -> Moments:
        """The moments with one more healthy window."""
        if not trials.all():
            return self
        successes = self.open_successes + successes
        trials = self.open_trials + trials
        windows = self.open_windows + 1
        full = windows >= np.array(BLOCKS)
        share = successes / trials
        keep = np.where(full, 0, 1)
        done = full[:, None].astype(np.float64)
        return replace(
            self,
            blocks=self.blocks + full,
            total=self.total + done * share,
            square=self.square + done * share**2,
            inverse=self.inverse + done / trials,
            open_successes=successes * keep[:, None],
            open_trials=trials * keep[:, None],
            open_windows=windows * keep,
        )

    def design_effect(self) -> float | None:
        """The measured design effect, at least 1; None before ``MIN_BLOCKS`` windows.

        False-alarm behaviour: the exponent 1/b keeps the page budget when rows of a block are no more
        dependent than this says; the upper limit pays for estimating it.
        """
        largest = None
        for row, blocks in enumerate(self.blocks):
            if blocks < MIN_BLOCKS:
                continue
            mean = self.total[row] / blocks
            variance = np.clip(self.square[row] / blocks - mean**2, 0, None) * blocks / (blocks - 1)
            independent = mean * (1 - mean) * self.inverse[row] / blocks
            if independent.sum() <= 0:
                continue
            ratio = float(variance.sum() / independent.sum())
            upper = ratio * (blocks - 1) / float(chdtri(blocks - 1, _UPPER))
            largest = float(max(upper, largest or 1.0))
        return largest
