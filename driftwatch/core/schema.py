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
        """True when values are counted on a numeric grid.

        Datetimes are counted as seconds since 1970, texts as their length, vectors as their norm.
        """
        return self not in (Kind.CATEGORICAL, Kind.BOOLEAN)


class Role(StrEnum):
    """What a column means to the model."""

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
        """True when detectors look at the column."""
        return self not in (Role.TIME, Role.ID, Role.IGNORE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: its name, how it is counted, what it means, and why that was decided."""

    name: str
    kind: Kind
    role: Role = Role.FEATURE
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Event time ``[start, end)`` in nanoseconds since 1970 UTC."""

    start: int
    end: int

    @property
    def seconds(self) -> float:
        """Length in seconds."""
        return (self.end - self.start) / NANOSECONDS


def iso(nanoseconds: int) -> str:
    """ISO 8601 in UTC with a final Z.

    >>> iso(0)
    '1970-01-01T00:00:00Z'
    """
    moment = datetime.fromtimestamp(nanoseconds // NANOSECONDS, tz=UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
