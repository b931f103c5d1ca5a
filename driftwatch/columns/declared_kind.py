"""Refuses declared kinds that would count nothing of a column."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from driftwatch.columns.arrow.numbers import numbers
from driftwatch.columns.arrow.profile_values import TypeFamily
from driftwatch.columns.arrow.sampled_times import NO_TIME, epoch_nanoseconds
from driftwatch.columns.profile import ColumnProfile, Profile
from driftwatch.core.schema import NANOSECONDS, Kind

#: Share of the values that a declared kind must be able to read.
_MIN_READABLE_SHARE = 0.5
#: Sampled rows on which that is tried.
_MAX_SAMPLE_ROWS = 20_000
#: Numbers that all lie within so many seconds of 1970 are no times.
_MIN_TIME = 365 * 86_400 * NANOSECONDS


def kind_problem(profile: Profile, column: ColumnProfile, kind: Kind, timezone: str) -> str | None:
    """Return why a column cannot have a kind, and which kinds it can have; None if it can.

    A column without values can have any kind.
    """
    if not column.n_present or column.family is TypeFamily.NULL:
        return None
    possible = _possible_kinds(profile, column, timezone)
    if kind in possible:
        return None
    actual = f"a column of {_description(column)}"
    if not possible:
        return f"{kind.value}, but its values cannot be counted. Got {actual}. Give it role: ignore."
    choices = " or ".join(item.value for item in possible)
    return f"{choices}, which its values can be counted as. Got {kind.value} for {actual}."


def _possible_kinds(profile: Profile, column: ColumnProfile, timezone: str) -> tuple[Kind, ...]:
    family = column.family
    if family is TypeFamily.UNSUPPORTED:
        return ()
    if family is TypeFamily.VECTOR:
        return (Kind.VECTOR,)
    kinds = [Kind.CATEGORICAL]
    if family is TypeFamily.BOOLEAN or (column.is_exact and column.n_distinct <= 2):
        kinds.append(Kind.BOOLEAN)
    if family in (TypeFamily.BOOLEAN, TypeFamily.INTEGER, TypeFamily.FLOAT):
        kinds.append(Kind.NUMERIC)
    sample = profile.sample[column.name].slice(0, _MAX_SAMPLE_ROWS).drop_null()
    if family is TypeFamily.TEXT:
        kinds.append(Kind.TEXT)
        if _has_numbers(sample):
            kinds.append(Kind.NUMERIC)
    if not column.is_duration and _has_times(sample, timezone, is_number=family.is_number):
        kinds.append(Kind.DATETIME)
    if family.is_number or family is TypeFamily.BOOLEAN:
        kinds.append(Kind.TEXT)
    return tuple(kinds)


def _has_numbers(sample: pa.ChunkedArray) -> bool:
    wrong_type = numbers(sample.combine_chunks()).wrong_type
    return wrong_type is None or float(wrong_type.mean()) <= 1 - _MIN_READABLE_SHARE


def _has_times(sample: pa.ChunkedArray, timezone: str, *, is_number: bool) -> bool:
    if not len(sample):
        return False
    times = epoch_nanoseconds(sample, timezone)
    valid_times = times[times != NO_TIME]
    if len(valid_times) < _MIN_READABLE_SHARE * len(times):
        return False
    return not is_number or int(np.abs(valid_times).max()) >= _MIN_TIME


def _description(column: ColumnProfile) -> str:
    if column.family is TypeFamily.TEXT:
        example = f", such as {str(column.values[0])[:40]!r}" if len(column.values) else ""
        return f"texts{example}"
    return f"type {' and '.join(column.types)}"
