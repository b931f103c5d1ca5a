"""Profiles one column of a reference, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.columns.arrow.profile_values import (
    PREFIX_CHARS,
    ColumnValues,
    TypeFamily,
    hash_values,
    is_iso_like,
)
from driftwatch.columns.arrow.sampled_times import NO_TIME, epoch_nanoseconds
from driftwatch.columns.value_counts import ValueCounts
from driftwatch.core.arrays import Float64Array, Int64Array

#: Longest text that can be a time.
_MAX_ISO_CHARS = 40


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ColumnProfile:
    name: str
    family: TypeFamily
    #: Names of the Arrow types; of dictionaries that of their values.
    types: tuple[str, ...]
    #: Whether numbers came dictionary-encoded, as pandas stores a category.
    is_category: bool = False
    rows: int
    nulls: int
    nans: int
    #: Distinct values without null and NaN: exactly when ``is_exact``, else estimated.
    n_distinct: int
    is_exact: bool
    #: The distinct values (numbers; texts, their first 512 characters; timestamps in their own unit) and
    #: their rows: those with the smallest hashes when not ``is_exact``.
    values: npt.NDArray[Any]
    counts: Int64Array
    minimum: float | None
    maximum: float | None
    all_integers: bool
    #: Characters of a text.
    mean_length: float
    max_length: int
    #: Of a vector; None when it varies.
    dimension: int | None
    #: Nanoseconds since 1970 UTC when every value is a timestamp, a date or an ISO 8601 text (for a declared
    #: time column: of those that are), else None.
    earliest: int | None
    latest: int | None

    @property
    def n_present(self) -> int:
        return self.rows - self.nulls - self.nans

    @property
    def is_duration(self) -> bool:
        """Whether the values are lengths of time or times of day, in seconds."""
        return any(name.startswith(("duration", "time32", "time64")) for name in self.types)

    @property
    def precision(self) -> str:
        """The numpy character of the narrowest type of float that values came in; ``d`` for all else."""
        return "e" if "halffloat" in self.types else "f" if "float" in self.types else "d"

    @property
    def share_distinct(self) -> float:
        """Distinct values per row with a value, in [0, 1]."""
        return min(1.0, self.n_distinct / self.n_present) if self.n_present else 0.0

    @property
    def mean_repeats(self) -> float:
        """Mean rows per distinct value."""
        return float(self.counts.mean()) if len(self.counts) else 0.0


@dataclass(slots=True, kw_only=True)
class ColumnAccumulator:
    name: str
    value_counts: ValueCounts
    nulls: int
    rows: int
    nans: int = 0
    family: TypeFamily = TypeFamily.NULL
    null_family: TypeFamily = TypeFamily.NULL
    types: tuple[str, ...] = ()
    is_category: bool = True
    minimum: float | None = None
    maximum: float | None = None
    all_integers: bool = True
    n_chars: int = 0
    max_chars: int = 0
    is_declared: bool = False
    is_time: bool = True
    earliest: int | None = None
    latest: int | None = None
    dimension: int | None = None

    def pad(self, rows: int) -> None:
        # Rows of batches without this column count as null.
        self.nulls += rows - self.rows
        self.rows = rows

    def add(self, column: ColumnValues, type_name: str, *, is_category: bool = False) -> None:
        self.rows += len(column.hashes)
        self.nulls += column.nulls
        if type_name not in self.types:
            self.types = tuple(sorted({*self.types, type_name}))
        if column.nulls == len(column.hashes):
            self.null_family = self.null_family if column.family is TypeFamily.NULL else column.family
            return
        self.is_category &= is_category
        if self.family is TypeFamily.NULL:
            self.dimension = column.dimension
        self.family = _common_family(self.family, column.family)
        if column.dimension != self.dimension:
            self.dimension = None
        if column.texts is not None:
            self._add_texts(column)
        else:
            self._add_values(column)

    def add_times(self, column: ColumnValues, array: pa.Array, timezone: str) -> None:
        """Track the first and last time, of undeclared columns only while all values are times."""
        n_present = len(column.hashes) - column.nulls
        if not self.is_time or not n_present:
            return
        if not self.is_declared and not self._may_be_times(column):
            self.is_time = False
            return
        times = epoch_nanoseconds(
            array if column.texts is None else column.texts.take(pa.array(column.values)), timezone
        )
        valid_times = times[times != NO_TIME]
        if not self.is_declared and len(valid_times) < (
            n_present if column.texts is None else len(column.values)
        ):
            self.is_time = False
        if len(valid_times):
            earliest, latest = int(valid_times.min()), int(valid_times.max())
            self.earliest = earliest if self.earliest is None else min(earliest, self.earliest)
            self.latest = latest if self.latest is None else max(latest, self.latest)

    def _may_be_times(self, column: ColumnValues) -> bool:
        if column.texts is None:
            return column.family is TypeFamily.TIMESTAMP
        return self.max_chars <= _MAX_ISO_CHARS and is_iso_like(column.texts.take(pa.array(column.values)))

    def _add_texts(self, column: ColumnValues) -> None:
        texts, counts, lengths = column.texts, column.counts, column.lengths
        if texts is None or counts is None or lengths is None:
            return
        self.n_chars += int((lengths * counts).sum())
        self.max_chars = max(self.max_chars, int(lengths.max()))
        self.all_integers = False
        mask = self.value_counts.below_threshold(column.value_hashes)
        positions = np.arange(len(column.values)) if mask is None else np.flatnonzero(mask)
        if len(positions):
            levels = np.empty(len(positions), dtype=object)
            levels[:] = _prefixes(texts.take(pa.array(column.values[positions])))
            self.value_counts.add(column.value_hashes[positions], counts[positions], levels)

    def _add_values(self, column: ColumnValues) -> None:
        values, mask = column.values, self.value_counts.below_threshold(column.value_hashes)
        is_complete = True
        if column.family is TypeFamily.FLOAT:
            usable = ~np.isnan(values)
            n_present = int(np.count_nonzero(usable))
            self.nans += len(values) - n_present - column.nulls
            if not n_present:
                return
            is_complete = n_present == len(values)
            if not is_complete:
                mask = usable if mask is None else mask & usable
            self.all_integers = self.all_integers and _all_integers(values)
        # Adding 0 turns -0.0 into 0.0.
        minimum = (values.min() if is_complete else np.fmin.reduce(values)).item() + 0
        maximum = (values.max() if is_complete else np.fmax.reduce(values)).item() + 0
        self.minimum = minimum if self.minimum is None else min(minimum, self.minimum)
        self.maximum = maximum if self.maximum is None else max(maximum, self.maximum)
        sorted_values = np.sort(values if mask is None else values[np.flatnonzero(mask)])
        if len(sorted_values):
            run_starts = np.flatnonzero(np.concatenate(([True], sorted_values[1:] != sorted_values[:-1])))
            distinct_values = sorted_values[run_starts] + 0
            self.value_counts.add(
                hash_values(distinct_values),
                np.append(run_starts[1:], len(sorted_values)) - run_starts,
                distinct_values,
            )

    def finish(self) -> ColumnProfile:
        self.value_counts.merge()
        n_present = self.rows - self.nulls - self.nans
        values = self.value_counts.values
        numeric = self.family.is_number
        return ColumnProfile(
            name=self.name,
            family=self.null_family if self.family is TypeFamily.NULL else self.family,
            types=self.types,
            is_category=self.is_category and numeric and n_present > 0,
            rows=self.rows,
            nulls=self.nulls,
            nans=self.nans,
            n_distinct=min(self.value_counts.n_distinct(), n_present),
            is_exact=self.value_counts.is_exact,
            values=np.empty(0) if values is None else values,
            counts=self.value_counts.counts,
            minimum=self.minimum if numeric else None,
            maximum=self.maximum if numeric else None,
            all_integers=self.all_integers and numeric,
            mean_length=self.n_chars / n_present if n_present and self.family is TypeFamily.TEXT else 0.0,
            max_length=self.max_chars,
            dimension=self.dimension,
            earliest=self.earliest if self.is_time else None,
            latest=self.latest if self.is_time else None,
        )


def _all_integers(values: Float64Array) -> bool:
    finite_values = values[np.isfinite(values)]
    return bool((finite_values == np.floor(finite_values)).all())


def _common_family(left: TypeFamily, right: TypeFamily) -> TypeFamily:
    if left is TypeFamily.NULL or left is right:
        return right
    return TypeFamily.FLOAT if left.is_number and right.is_number else TypeFamily.UNSUPPORTED


def _prefixes(texts: pa.Array) -> list[str]:
    prefixes: list[str] = pc.utf8_slice_codeunits(texts, 0, PREFIX_CHARS).to_pylist()
    return prefixes
