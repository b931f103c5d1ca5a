"""Decides which column holds the event time, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from driftwatch.columns.arrow.calendar_numbers import all_calendar_dates
from driftwatch.columns.arrow.sampled_times import NO_TIME, epoch_nanoseconds
from driftwatch.columns.dates import is_datelike
from driftwatch.columns.profile import ColumnProfile, Profile, TypeFamily
from driftwatch.core.schema import NANOSECONDS

_TIME_NAME = re.compile(
    r"^(time|timestamp|ts|date|datetime|event_?time|event_?timestamp|event_?date|created_?at|created|logged_?at|"
    r"request_?time|inference_?time|prediction_?time|observed_?at|received_?at|recorded_?time|time_?hour|occurred_?at)$",
    re.IGNORECASE,
)
_OTHER_TIME_NAME = re.compile(
    r"birth|dob|expir|until|due|valid|start|end|closed|deleted|updated", re.IGNORECASE
)
_EPOCH_NAME = re.compile(
    r"^(unix_?time(stamp)?|epoch(_?time)?|(event_?|request_?)?(time|timestamp|ts|epoch)_?(s|sec|ms|millis|us|ns))$",
    re.IGNORECASE,
)
#: Seconds since 1970 of the years 1995 and 2100, and how many of each unit make a second.
_MIN_EPOCH_SECONDS, _MAX_EPOCH_SECONDS = 788_918_400, 4_102_444_800
_UNITS_PER_SECOND = (1, 1_000, 1_000_000, 1_000_000_000)
#: Share of a column's values that must be times: a few are header lines, NaT or garbage.
_MIN_TIME_SHARE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeColumn:
    #: None when undecided.
    name: str | None
    reason: str
    candidates: tuple[str, ...] = ()


def is_time_name(name: str) -> bool:
    """Whether a name marks an event time, also that of a field: ``request.timestamp``."""
    last = name.rpartition(".")[2]
    return bool(_TIME_NAME.search(last)) and not _OTHER_TIME_NAME.search(last)


def find_time_column(
    profile: Profile, declared_name: str | None = None, *, numbers: bool = False
) -> TimeColumn:
    """Choose the declared time column, else the only timestamp, else the only one that its name marks.

    A column named like a birth or an expiry date is never chosen. With ``numbers``, if there is no timestamp,
    a single column whose name and values look like numbers since 1970 is chosen, or whose texts nearly all
    are times.
    """
    if declared_name is not None:
        return TimeColumn(name=declared_name, reason="event time: declared in the configuration")
    timestamp_columns = [column.name for column in profile.columns if column.earliest is not None]
    candidates = [name for name in timestamp_columns if not _OTHER_TIME_NAME.search(name)]
    epochs = [column.name for column in profile.columns if _is_epoch(column)] if numbers else []
    if not candidates and len(epochs) == 1:
        return TimeColumn(
            name=epochs[0], reason="event time: numbers since 1970 or dates, by their name and size"
        )
    candidates = candidates or epochs
    if not candidates and numbers and (mostly_times := _mostly_times(profile)) is not None:
        return mostly_times
    if not candidates:
        return TimeColumn(name=None, reason="no column holds timestamps", candidates=tuple(timestamp_columns))
    if len(candidates) == 1:
        return TimeColumn(name=candidates[0], reason="event time: the only column of timestamps")
    matches = [name for name in candidates if _TIME_NAME.search(name)]
    if len(matches) == 1:
        return TimeColumn(name=matches[0], reason="event time: the only timestamp with such a name")
    listing = ", ".join(candidates)
    return TimeColumn(
        name=None, reason=f"several columns could be event time: {listing}", candidates=tuple(candidates)
    )


def _mostly_times(profile: Profile) -> TimeColumn | None:
    """Return the only column of texts that nearly all are times; without one what its dates ask for."""
    columns = [
        column
        for column in profile.columns
        if column.family is TypeFamily.TEXT and not _OTHER_TIME_NAME.search(column.name)
    ]
    reasons = {column.name: reason for column in columns if (reason := _share_of_times(profile, column))}
    marked = [name for name in reasons if is_time_name(name)]
    if len(reasons) == 1 or len(marked) == 1:
        name = (marked or list(reasons))[0]
        return TimeColumn(name=name, reason=reasons[name])
    if reasons:
        listing = ", ".join(reasons)
        return TimeColumn(
            name=None, reason=f"several columns could be event time: {listing}", candidates=tuple(reasons)
        )
    dated = [column.name for column in columns if is_time_name(column.name) and is_datelike(column.values)]
    if not dated:
        return None
    reason = f"{dated[0]} holds dates that are not ISO 8601: set time_format"
    return TimeColumn(name=None, reason=reason, candidates=tuple(dated))


def _share_of_times(profile: Profile, column: ColumnProfile) -> str:
    """Return why a column of texts is event time; empty where it is none."""
    texts = profile.sample[column.name]
    times = epoch_nanoseconds(texts, "UTC")
    is_present = np.asarray(texts.is_valid().to_numpy(), dtype=bool)
    is_time = times != NO_TIME
    is_named = bool(_TIME_NAME.search(column.name) or _EPOCH_NAME.search(column.name))
    if not is_named:
        # Digits alone are more likely a code.
        is_time &= np.array([str(text)[4:5] == "-" for text in texts.to_pylist()], dtype=bool)
    low, high = _MIN_EPOCH_SECONDS * NANOSECONDS, _MAX_EPOCH_SECONDS * NANOSECONDS
    n_values = int(profile.weights[is_present].sum())
    n_times = int(profile.weights[is_time].sum())
    n_plausible = int(profile.weights[is_time & (times >= low) & (times < high)].sum())
    if not n_values or n_plausible < _MIN_TIME_SHARE * n_values:
        return ""
    n_others = n_values - n_times
    others = f", {n_others:,} of {n_values:,} are no times" if n_others else ""
    return f"event time: the only texts that are times{others}"


def _is_epoch(column: ColumnProfile) -> bool:
    if not (_TIME_NAME.search(column.name) or _EPOCH_NAME.search(column.name)):
        return False
    low, high = column.minimum, column.maximum
    if low is None or high is None:
        return False
    return all_calendar_dates(low, high) or any(
        _MIN_EPOCH_SECONDS * unit <= low and high < _MAX_EPOCH_SECONDS * unit for unit in _UNITS_PER_SECOND
    )
