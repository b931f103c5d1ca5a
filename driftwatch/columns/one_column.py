"""One column of a reference: its profile, and what follows it through the batches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.columns.arrow.profile_values import PREFIX, Cells, Shape, hash_values, iso_like
from driftwatch.columns.arrow.sampled_times import NO_TIME, moments
from driftwatch.columns.value_counts import Tally
from driftwatch.core.arrays import Float64Array, Int64Array

#: Characters of the longest text that may be a time.
_ISO = 40


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnProfile:
    """One column of a reference.

    ``distinct`` counts its values, null and NaN apart: exactly when ``exact``, else estimated. ``values``
    and ``counts`` are the distinct values (numbers; texts, their first 512 characters; timestamps in their
    own unit) with their rows, those with the smallest hashes when not ``exact``. ``types`` are the Arrow
    types met. ``earliest`` and ``latest`` are nanoseconds since 1970 UTC when every value is a time stamp, a
    date or an ISO 8601 text (for a declared time column: of those that are), else None. ``mean_length`` and
    ``max_length`` are characters of a text. ``dimension`` is a vector's, None when it varies.
    """

    name: str
    shape: Shape
    types: tuple[str, ...]
    rows: int
    nulls: int
    nans: int
    distinct: int
    exact: bool
    values: npt.NDArray[Any]
    counts: Int64Array
    minimum: float | None
    maximum: float | None
    integers: bool
    mean_length: float
    max_length: int
    dimension: int | None
    earliest: int | None
    latest: int | None

    @property
    def present(self) -> int:
        """Rows with a value."""
        return self.rows - self.nulls - self.nans

    @property
    def share_distinct(self) -> float:
        """Distinct values per row with a value, in [0, 1]."""
        return min(1.0, self.distinct / self.present) if self.present else 0.0

    @property
    def repeats(self) -> float:
        """Mean rows per distinct value."""
        return float(self.counts.mean()) if len(self.counts) else 0.0


@dataclass(slots=True, kw_only=True)
class Follower:
    """A column while it is being looked at, batch by batch."""

    name: str
    tally: Tally
    nulls: int
    rows: int
    nans: int = 0
    shape: Shape = Shape.NULL
    unseen: Shape = Shape.NULL
    types: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    integers: bool = True
    characters: int = 0
    longest: int = 0
    declared: bool = False
    timelike: bool = True
    earliest: int | None = None
    latest: int | None = None
    dimension: int | None = None

    def rows_seen(self, rows: int) -> None:
        """Rows of all batches so far; those without this column are null."""
        self.nulls += rows - self.rows
        self.rows = rows

    def add(self, part: Cells, kind: str) -> None:
        """Look at one batch."""
        self.rows += len(part.hashes)
        self.nulls += part.nulls
        if kind not in self.types:
            self.types = tuple(sorted({*self.types, kind}))
        if part.nulls == len(part.hashes):
            self.unseen = self.unseen if part.shape is Shape.NULL else part.shape
            return
        if self.shape is Shape.NULL:
            self.dimension = part.dimension
        self.shape = _join(self.shape, part.shape)
        if part.dimension != self.dimension:
            self.dimension = None
        if part.texts is not None:
            self._add_texts(part)
        else:
            self._add_values(part)

    def add_times(self, part: Cells, array: pa.Array, timezone: str) -> None:
        """Follow the first and last moment: of the declared time column, or while every value is a time."""
        present = len(part.hashes) - part.nulls
        if not self.timelike or not present:
            return
        if not self.declared and not self._may_be_times(part):
            self.timelike = False
            return
        times = moments(array if part.texts is None else part.texts.take(pa.array(part.values)), timezone)
        usable = times[times != NO_TIME]
        if not self.declared and len(usable) < (present if part.texts is None else len(part.values)):
            self.timelike = False
        if len(usable):
            first, last = int(usable.min()), int(usable.max())
            self.earliest = first if self.earliest is None else min(first, self.earliest)
            self.latest = last if self.latest is None else max(last, self.latest)

    def _may_be_times(self, part: Cells) -> bool:
        if part.texts is None:
            return part.shape is Shape.TIMESTAMP
        return self.longest <= _ISO and iso_like(part.texts.take(pa.array(part.values)))

    def _add_texts(self, part: Cells) -> None:
        texts, counts, lengths = part.texts, part.counts, part.lengths
        if texts is None or counts is None or lengths is None:
            return
        self.characters += int((lengths * counts).sum())
        self.longest = max(self.longest, int(lengths.max()))
        self.integers = False
        wanted = self.tally.wanted(part.value_hashes)
        keep = np.arange(len(part.values)) if wanted is None else np.flatnonzero(wanted)
        if len(keep):
            levels = np.empty(len(keep), dtype=object)
            levels[:] = _prefixes(texts.take(pa.array(part.values[keep])))
            self.tally.add(part.value_hashes[keep], counts[keep], levels)

    def _add_values(self, part: Cells) -> None:
        values, wanted = part.values, self.tally.wanted(part.value_hashes)
        full = True
        if part.shape is Shape.FLOAT:
            usable = ~np.isnan(values)
            present = int(np.count_nonzero(usable))
            self.nans += len(values) - present - part.nulls
            if not present:
                return
            full = present == len(values)
            if not full:
                wanted = usable if wanted is None else wanted & usable
            self.integers = self.integers and _whole(values)
        # Adding nothing makes one zero of both.
        low = (values.min() if full else np.fmin.reduce(values)).item() + 0
        high = (values.max() if full else np.fmax.reduce(values)).item() + 0
        self.minimum = low if self.minimum is None else min(low, self.minimum)
        self.maximum = high if self.maximum is None else max(high, self.maximum)
        ordered = np.sort(values if wanted is None else values[np.flatnonzero(wanted)])
        if len(ordered):
            first = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1])))
            distinct = ordered[first] + 0
            self.tally.add(hash_values(distinct), np.append(first[1:], len(ordered)) - first, distinct)

    def finish(self) -> ColumnProfile:
        """The frozen result."""
        self.tally.settle()
        present = self.rows - self.nulls - self.nans
        values = self.tally.values
        numeric = self.shape.number
        return ColumnProfile(
            name=self.name,
            shape=self.unseen if self.shape is Shape.NULL else self.shape,
            types=self.types,
            rows=self.rows,
            nulls=self.nulls,
            nans=self.nans,
            distinct=min(self.tally.distinct(), present),
            exact=self.tally.exact,
            values=np.empty(0) if values is None else values,
            counts=self.tally.counts,
            minimum=self.minimum if numeric else None,
            maximum=self.maximum if numeric else None,
            integers=self.integers and numeric,
            mean_length=self.characters / present if present and self.shape is Shape.TEXT else 0.0,
            max_length=self.longest,
            dimension=self.dimension,
            earliest=self.earliest if self.timelike else None,
            latest=self.latest if self.timelike else None,
        )


def _whole(values: Float64Array) -> bool:
    """True when every finite value is an integer."""
    finite = values[np.isfinite(values)]
    return bool((finite == np.floor(finite)).all())


def _join(left: Shape, right: Shape) -> Shape:
    if left is Shape.NULL or left is right:
        return right
    return Shape.FLOAT if left.number and right.number else Shape.OTHER


def _prefixes(texts: pa.Array) -> list[str]:
    cut: list[str] = pc.utf8_slice_codeunits(texts, 0, PREFIX).to_pylist()
    return cut
