"""All columns together: a day on which many move a little, each too little to page alone.

``T = mean over columns of max over a column's scores of z``, ``z`` the excess over the score's own history in
its own standard deviations, cut to [0, 5] so that no column decides alone. ``T`` is a score like any other:
null *usual*, judged against the ``T`` of healthy windows, with its own part of the budget. Those of the
reference's blocks leave the block out; later ones stand on the history of their day. How strongly columns
move together is in that history, so correlated columns cost nothing. Source: Fisher's and Stouffer's
combination, calibrated by history in place of independence. False alarms: as of any score, see ``betting``.
Columns that an open incident has set aside take no part, so that a summer cannot hide a storm; with more
than a quarter of them aside there is no ``T``, for a mean of few spreads more than its history. In a window
of fewer rows than usual every ``z`` counts for less, as its standard error is larger.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.decide.baseline.common_shift import along, located, of_blocks
from driftwatch.decide.baseline.location_scale import left_out
from driftwatch.decide.baseline.prediction import LEAST_SPREAD, Past
from driftwatch.decide.baseline.score_history import ScoreHistory
from driftwatch.decide.baseline.score_model import MIN_HISTORY
from driftwatch.decide.evalues.stream_index import COMBINED_SCORE
from driftwatch.decide.state import SegmentState
from driftwatch.results.results import Score, Statistic
from driftwatch.results.streams import Streams, key_of

#: An excess of ``T`` by less than this, in standard deviations per column, is never evidence.
FLOOR = 0.2
#: How far a column counts at most.
CUT = 5.0
#: Fewer columns than this are judged one by one.
_FEWEST = 4
_NAMED = 3


def combined(
    segment_state: SegmentState, value: Float64Array, slot: int, past: Past
) -> tuple[list[Score], Statistic, Float64Array] | None:
    """The scores of all columns together beside ``value[k]``, their gauge and where the book's then lean.

    None when too few columns have a history.
    """
    book, aside = segment_state.scores, segment_state.aside
    held = past.held
    z = _cut((value - held.centre) * past.worth / held.ahead(LEAST_SPREAD * book.floor, past.worth), book)
    usable = ~np.isnan(value) & (past.known >= MIN_HISTORY)
    away = book.keys.whose(aside) & book.keys.of_columns
    usable &= ~away & book.keys.of_columns
    most = np.full(len(book.keys.owners), -np.inf)
    np.maximum.at(most, book.keys.owner[usable], z[usable])
    largest = most[most > -np.inf]
    gone = np.count_nonzero(np.bincount(book.keys.owner[away])) if aside else 0
    if len(largest) < max(_FEWEST, 3 * gone):
        return None
    mean = float(largest.mean())
    effect = f"several columns together, each a little: {', '.join(_top(book.keys.owners, most))} the most"
    here = located(book.keys, aside)
    moved, lean = along(
        book.lean[here], value[here], book.values.take(here, axis=1), book.slots, slot, book.rows,
        LEAST_SPREAD * book.floor[here],
    )  # fmt: skip
    scores = [_score(mean)] if moved is None else [_score(mean), moved]
    gauge = Statistic(
        detector=COMBINED_SCORE[0], column=None, value=mean, unit="standard deviations", effect=effect
    )
    return scores, gauge, _leaning(book, here, lean)


def _top(owners: tuple[str, ...], most: Float64Array) -> list[str]:
    """Those whose ``most`` is largest, and of those alike the first by name."""
    near = np.flatnonzero(most >= np.sort(most)[-_NAMED])
    return [name for _, name in sorted((-float(most[place]), owners[place]) for place in near)[:_NAMED]]


def _cut(z: Float64Array, book: ScoreHistory) -> Float64Array:
    return np.asarray(np.minimum(np.maximum(np.where(book.signed, np.abs(z), z), 0.0), CUT))


def _score(value: float) -> Score:
    return Score(detector=COMBINED_SCORE[0], column=None, label=COMBINED_SCORE[2], value=value, floor=FLOOR)


def taught_together(segment_state: SegmentState) -> SegmentState:
    """The track with the ``T`` of every block of the reference, each held against the others."""
    book = segment_state.scores
    whole = [
        place
        for place, key in enumerate(book.keys)
        if key[1] is not None and not np.isnan(book.values[:, place]).any()
    ]
    columns = sorted({book.keys[place][1] or "" for place in whole})
    if len(book.values) <= MIN_HISTORY or len(columns) < _FEWEST:
        return segment_state
    z = np.zeros((len(book.values), len(book.keys)))
    z[:, whole] = left_out(
        book.values[:, whole],
        book.slots,
        book.rows,
        book.keys.of_columns[whole],
        LEAST_SPREAD * book.floor[whole],
    )
    largest = np.zeros((len(columns), len(book.values)))
    for place, far in zip(whole, _cut(z, book)[:, whole].T, strict=True):
        row = columns.index(book.keys[place][1] or "")
        largest[row] = np.maximum(largest[row], far)
    here = located(book.keys, frozenset())
    moved, lean = of_blocks(book.values[:, here], book.slots, book.rows, LEAST_SPREAD * book.floor[here])
    segment_state = replace(segment_state, scores=replace(book, lean=_leaning(book, here, lean)))
    segment_state = _taught(segment_state, _score(0.0), largest.mean(axis=0))
    known = next((item for item in moved if item is not None), None)
    if known is None:
        return segment_state
    return _taught(segment_state, known, np.array([np.nan if item is None else item.value for item in moved]))


def _leaning(book: ScoreHistory, here: Int64Array, lean: Float64Array) -> Float64Array:
    every = book.lean.copy()
    every[here] = lean
    return every


def _taught(segment_state: SegmentState, score: Score, value: Float64Array) -> SegmentState:
    """The track that knows the score's ``value[n]`` of every block."""
    segment_state = segment_state.expecting(Streams.of([score]))
    book = segment_state.scores
    values, until = book.values.copy(), book.taught_until.copy()
    place = book.keys.places[key_of(score)]
    # As a book keeps them.
    values[:, place] = value.astype(np.float32)
    until[place] = book.ends[-1]
    return replace(segment_state, scores=replace(book, values=values, taught_until=until))
