"""How far apart the two distribution functions of every ordered column lie.

Edges and gaps are held apart: steps over every other number of one array cost twice as much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from driftwatch.core.arrays import Float64Array
from driftwatch.detectors._support.cell_arrays import ReferenceCells, WindowCells


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CdfDistance:
    """``F_window - F_reference``: ``upto[k, e]`` at every edge, ``below[k, e + 1]`` just below it and, last,
    above all edges.

    ``sizes`` are those without their sign. ``largest[k]`` is the largest of them, ``widest[k]`` the upper
    end of what it may be inside the gaps, both times ``pairs[k]``, the rows of one side times those of the
    other: whole numbers, exact up to 10^15 pairs. Where a side is empty they are 0, ``pairs`` is 1.
    """

    upto: Float64Array
    below: Float64Array
    sizes: tuple[Float64Array, Float64Array]
    largest: Float64Array
    widest: Float64Array
    pairs: Float64Array

    @classmethod
    def of(cls, sides: WindowCells) -> CdfDistance:
        """Of every column."""
        m = sides.rows[1]
        usual_upto, usual_below = sides.before.once("halves", _halves)
        after_upto, after_below = sides.window_upto[:, 1::2] / m, sides.window_upto[:, ::2] / m
        upto, below = after_upto - usual_upto, after_below - usual_below
        sizes, pairs = (np.abs(upto), np.abs(below)), sides.n.astype(np.float64) * sides.m
        largest = np.maximum(_most(sizes[0]), _most(sizes[1]))
        # Inside a gap both may be anywhere between their values at its ends.
        first = np.maximum(after_below[:, 0], usual_below[:, 0])
        inside = after_below[:, 1:] - usual_upto
        np.maximum(inside, np.subtract(usual_below[:, 1:], after_upto, out=after_upto), out=inside)
        return cls(
            upto=upto,
            below=below,
            sizes=sizes,
            largest=np.rint(largest * pairs),
            widest=np.rint(np.maximum(first, _most(inside)) * pairs),
            pairs=np.maximum(pairs, 1.0),
        )


def apart(sides: WindowCells) -> CdfDistance:
    """Of the ordered columns of a window, worked out once."""
    return sides.once("apart", CdfDistance.of)


def _halves(before: ReferenceCells) -> tuple[Float64Array, Float64Array]:
    """The reference's distribution functions at every edge, and just below it."""
    return before.upto[:, 1::2] / before.divisor, before.upto[:, ::2] / before.divisor


def _most(numbers: Float64Array) -> Float64Array:
    return np.asarray(numbers.max(axis=1, initial=0.0))
