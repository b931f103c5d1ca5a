"""Which column holds the event time, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass

from driftwatch.columns.profile import ColumnProfile, Profile

_TIME_NAME = re.compile(
    r"^(time|timestamp|ts|date|datetime|event_?time|event_?timestamp|event_?date|created_?at|created|logged_?at|"
    r"request_?time|inference_?time|prediction_?time|observed_?at|received_?at|recorded_?time|time_?hour|occurred_?at)$",
    re.IGNORECASE,
)
_NOT_EVENT = re.compile(r"birth|dob|expir|until|due|valid|start|end|closed|deleted|updated", re.IGNORECASE)
_EPOCH_NAME = re.compile(
    r"^(unix_?time(stamp)?|epoch(_?time)?|(event_?|request_?)?(time|timestamp|ts|epoch)_?(s|sec|ms|millis|us|ns))$",
    re.IGNORECASE,
)
#: Seconds since 1970 of the years 1995 and 2100, and how many of each unit make one.
_SOONEST, _LATEST = 788_918_400, 4_102_444_800
_UNITS = (1, 1_000, 1_000_000, 1_000_000_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeColumn:
    """The event time column (None: not known) and why."""

    name: str | None
    reason: str
    candidates: tuple[str, ...] = ()


def find_time(profile: Profile, declared: str | None = None, *, numbers: bool = False) -> TimeColumn:
    """Event time: the declared column; else the only timestamp; else the only one with a telling name.

    A column named like a birth or an expiry date is never taken for event time. With ``numbers`` the only
    column of numbers since 1970 is, by its name and the size of its values, where there is no timestamp.
    """
    if declared is not None:
        return TimeColumn(name=declared, reason="event time: declared in the configuration")
    found = [column.name for column in profile.columns if column.earliest is not None]
    likely = [name for name in found if not _NOT_EVENT.search(name)]
    epochs = [column.name for column in profile.columns if _is_epoch(column)] if numbers else []
    if not likely and len(epochs) == 1:
        return TimeColumn(name=epochs[0], reason="event time: numbers since 1970, by their name and size")
    likely = likely or epochs
    if not likely:
        return TimeColumn(name=None, reason="no column holds timestamps", candidates=tuple(found))
    if len(likely) == 1:
        return TimeColumn(name=likely[0], reason="event time: the only column of timestamps")
    named = [name for name in likely if _TIME_NAME.search(name)]
    if len(named) == 1:
        return TimeColumn(name=named[0], reason="event time: the only timestamp with such a name")
    listing = ", ".join(likely)
    return TimeColumn(
        name=None, reason=f"several columns could be event time: {listing}", candidates=tuple(likely)
    )


def _is_epoch(column: ColumnProfile) -> bool:
    """True for numbers that are moments since 1970, by their name and their size."""
    if not (_TIME_NAME.search(column.name) or _EPOCH_NAME.search(column.name)):
        return False
    low, high = column.minimum, column.maximum
    if low is None or high is None:
        return False
    return any(_SOONEST * unit <= low and high < _LATEST * unit for unit in _UNITS)
