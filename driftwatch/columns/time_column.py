"""Decides which column holds the event time, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass

from driftwatch.columns.arrow.calendar_numbers import all_calendar_dates
from driftwatch.columns.profile import ColumnProfile, Profile

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
    a single column whose name and values look like numbers since 1970 is chosen.
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


def _is_epoch(column: ColumnProfile) -> bool:
    if not (_TIME_NAME.search(column.name) or _EPOCH_NAME.search(column.name)):
        return False
    low, high = column.minimum, column.maximum
    if low is None or high is None:
        return False
    return all_calendar_dates(low, high) or any(
        _MIN_EPOCH_SECONDS * unit <= low and high < _MAX_EPOCH_SECONDS * unit for unit in _UNITS_PER_SECOND
    )
