"""In which segment a move of all rows sits.

A replay has the rows of one segment, so the text is an addition of the check: ``NamedColumn.place``, which a
replay takes from the stored verdict.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from driftwatch.core.arrays import BoolArray, Int64Array
from driftwatch.detectors.base import effect_text, traits_of
from driftwatch.results.results import NamedColumn, Verdict
from driftwatch.summary.counts import WRONG_TYPE_ENTRY, Counts
from driftwatch.summary.grid import NumericGrid
from driftwatch.summary.plan import OTHER_SEGMENT, Plan
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

#: Parts of a move from which on it is all of it, or most of it.
_ALL, _MOST = 0.9, 0.7
#: Segments named together.
_MAX_SEGMENTS = 2
#: Share of the window's rows that the others need: of fewer nothing could be told.
_MIN_OTHER_ROWS = 0.1
#: How far another segment may have moved, as a part of how far the named one did, and in standard errors.
_MAX_OTHER_PART, _MAX_STANDARD_ERRORS = 0.25, 2.5


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """Rows of one segment with a value, and of these in the cells that grew or shrank over all rows."""

    segment: str
    n: int
    reference_hits: int
    m: int
    window_hits: int

    @property
    def change(self) -> float:
        if not self.n or not self.m:
            return 0.0
        return self.window_hits / self.m - self.reference_hits / self.n

    @property
    def error(self) -> float:
        share = (self.reference_hits + self.window_hits) / max(self.n + self.m, 1)
        return math.sqrt(share * (1 - share) * (1 / max(self.n, 1) + 1 / max(self.m, 1)))


def with_places(verdict: Verdict, reference: Reference, windows: Mapping[str | None, Summary]) -> Verdict:
    """Say of each named column of all rows in which segment its move sits, where it sits in one or two.

    False claims: a move of all segments alike is called one's own only if the others' rows are so few that
    2.5 standard errors cover their move.
    """
    if verdict.segment is not None or not verdict.named or not reference.segments:
        return verdict
    named = tuple(replace(item, place=_place(item, reference, windows)) for item in verdict.named)
    return replace(verdict, named=named)


def _place(item: NamedColumn, reference: Reference, windows: Mapping[str | None, Summary]) -> str:
    plan = reference.plan
    if plan.segmentation is None or item.column not in plan.grids:
        return ""
    sides = [reference.summary, windows[None]]
    before, after = (_rows(side.counts[item.column], item.detector) for side in sides)
    if not before.sum() or not after.sum():
        return ""
    is_ordered = traits_of(item.detector).reads_values and isinstance(plan.grids[item.column], NumericGrid)
    is_hit = _moved_cells(before, after, is_ordered)
    parts = []
    for segment in plan.segmentation.names():
        if segment not in reference.segments or segment not in windows:
            continue
        sides = [reference.segments[segment], windows[segment]]
        own = [_rows(side.counts[item.column], item.detector) for side in sides]
        (n, hits), (m, window_hits) = ((int(rows.sum()), int(rows[is_hit].sum())) for rows in own)
        parts.append(_Part(segment=segment, n=n, reference_hits=hits, m=m, window_hits=window_hits))
    whole = int(after[is_hit].sum()) / int(after.sum()) - int(before[is_hit].sum()) / int(before.sum())
    return _text(plan, parts, whole, int(after.sum()))


def _rows(counts: Counts, detector: str) -> Int64Array:
    if traits_of(detector).reads_values:
        return counts.cells
    return np.array([counts.present, counts.missing, counts.special[WRONG_TYPE_ENTRY]], dtype=np.int64)


def _moved_cells(before: Int64Array, after: Int64Array, is_ordered: bool) -> BoolArray:
    change = after / after.sum() - before / before.sum()
    if not is_ordered:
        return np.asarray(change > 0)
    cell = int(np.abs(change.cumsum()).argmax())
    return np.arange(len(change)) <= cell


def _text(plan: Plan, parts: Sequence[_Part], whole: float, rows: int) -> str:
    ranked = sorted(parts, key=lambda part: (-part.change * part.m * math.copysign(1, whole), part.segment))
    for count in range(1, min(_MAX_SEGMENTS, len(parts) - 1) + 1):
        main, others = ranked[:count], ranked[count:]
        contribution = sum(part.change * part.m for part in main) / rows / whole if whole else 0.0
        smallest = min(abs(part.change) for part in main)
        n_others = sum(part.m for part in others)
        limits = [max(_MAX_OTHER_PART * smallest, _MAX_STANDARD_ERRORS * part.error) for part in others]
        is_still = all(abs(part.change) <= limit for part, limit in zip(others, limits, strict=True))
        if contribution >= _MOST and is_still and n_others >= _MIN_OTHER_ROWS * rows:
            amount = "all" if contribution >= _ALL else "most"
            return f"{amount} of it in {_names(plan, main)}"
    return ""


def _names(plan: Plan, parts: Sequence[_Part]) -> str:
    column = effect_text.escape("" if plan.segmentation is None else plan.segmentation.column)
    names = [effect_text.escape(part.segment) for part in parts if part.segment != OTHER_SEGMENT]
    texts = [f"{column} = {' and '.join(names)}"] if names else []
    if len(names) < len(parts):
        texts.append(f"other values of {column}")
    return " and ".join(texts)
