"""Columns, their kinds and roles, and spans of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

NANOSECONDS = 1_000_000_000


class Kind(StrEnum):
    """How a column's values are counted."""

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    VECTOR = "vector"
    TEXT = "text"

    @property
    def ordered(self) -> bool:
        """True if values are counted on a numeric grid.

        Datetimes count as seconds since 1970, texts by length, vectors by norm.
        """
        return self not in (Kind.CATEGORICAL, Kind.BOOLEAN)


class Role(StrEnum):
    FEATURE = "feature"
    PREDICTION = "prediction"
    SCORE = "score"
    UNCERTAINTY = "uncertainty"
    LABEL = "label"
    TIME = "time"
    SEGMENT = "segment"
    ID = "id"
    IGNORE = "ignore"

    @property
    def watched(self) -> bool:
        return self not in (Role.TIME, Role.ID, Role.IGNORE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    name: str
    kind: Kind
    role: Role = Role.FEATURE
    #: Why the column has this kind and role.
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """An interval of event time, ``[start, end)``, in nanoseconds since 1970 UTC."""

    start: int
    end: int

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / NANOSECONDS


def iso(nanoseconds: int) -> str:
    """Format a time as ISO 8601 in UTC.

    >>> iso(0)
    '1970-01-01T00:00:00Z'
    """
    moment = datetime.fromtimestamp(nanoseconds // NANOSECONDS, tz=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
