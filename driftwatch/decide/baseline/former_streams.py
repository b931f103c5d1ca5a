"""Gives some streams of a history back what they had learned in a former one; the others keep theirs.

The former history is that of the same streams before they were learned anew. Evidence is not given back: the
budget of the time in between was spent without it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from driftwatch.core.arrays import BoolArray, Int64Array
from driftwatch.decide.baseline.score_history import SCORE_ARRAYS, ScoreHistory
from driftwatch.decide.baseline.share_history import BLOCK_SUMS, SHARE_ARRAYS, ShareHistory

Array = npt.NDArray[Any]


def with_former_scores(current: ScoreHistory, former: ScoreHistory, flags: BoolArray) -> ScoreHistory:
    """Return the history with the former values of the flagged scores; windows since are as not measured."""
    positions = former.keys.find(current.keys)
    is_former = flags & (positions >= 0)
    history, n_scores = current.forget(flags), len(current.keys)
    arrays: dict[str, Any] = {}
    for name in SCORE_ARRAYS.values():
        array, old = getattr(history, name), getattr(former, name)
        if array.ndim and len(array) == n_scores and len(old) == len(former.keys) and name not in _BY_WINDOW:
            arrays[name] = _copied(array, old, is_former, positions)
    rows = np.searchsorted(history.ends, former.ends)
    is_stored = rows < len(history.ends)
    is_stored[is_stored] = history.ends[rows[is_stored]] == former.ends[is_stored]
    values = history.values.copy()
    values[np.ix_(rows[is_stored], is_former)] = former.values[is_stored][:, positions[is_former]]
    return replace(history, values=values, **arrays).reset(flags)


def with_former_shares(current: ShareHistory, former: ShareHistory, flags: BoolArray) -> ShareHistory:
    positions = former.keys.find(current.keys)
    is_former = flags & (positions >= 0)
    labels, old_labels = is_former[current.label_streams], _labels_of(former, positions[is_former])
    if int(labels.sum()) != len(old_labels):
        # Cells of another reference.
        return current.reset(flags)
    old_positions = np.full(len(labels), -1, dtype=np.int64)
    old_positions[labels] = old_labels
    arrays: dict[str, Any] = {}
    for name in SHARE_ARRAYS.values():
        if name in ("sizes", "pending"):
            continue
        array, old = getattr(current, name), getattr(former, name)
        axis = 1 if name in BLOCK_SUMS else 0
        is_by_label = array.shape[axis] != len(current.keys)
        which, where = (labels, old_positions) if is_by_label else (is_former, positions)
        arrays[name] = np.moveaxis(
            _copied(np.moveaxis(array, axis, 0), np.moveaxis(old, axis, 0), which, where), 0, axis
        )
    pending = np.where(flags[current.label_streams], 0, current.pending)
    return replace(current, pending=pending, **arrays).reset(flags)


def _copied(array: Array, old: Array, flags: BoolArray, positions: Int64Array) -> Array:
    copied = array.copy()
    copied[flags] = old[positions[flags]]
    return copied


def _labels_of(history: ShareHistory, streams: Int64Array) -> Int64Array:
    spans = [np.arange(history.starts[item], history.starts[item] + history.sizes[item]) for item in streams]
    return np.concatenate(spans) if spans else np.empty(0, dtype=np.int64)


#: Arrays of windows.
_BY_WINDOW = frozenset({"values", "slots", "ends", "rows", "late"})
