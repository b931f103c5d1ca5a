"""Columns, their kinds and roles, and spans of time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

NANOSECONDS = 1_000_000_000

#: By column, the names of the types in which its values came, sorted.
TypeNames = Mapping[str, tuple[str, ...]]
#: Names of types that are collected of one column.
_MAX_TYPE_NAMES = 4


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

    @property
    def is_feature(self) -> bool:
        """True for what a monitor is for: ``ok`` says that evidence was drawn from it."""
        return self in (Role.FEATURE, Role.PREDICTION, Role.SCORE, Role.UNCERTAINTY)


class Unwatched(StrEnum):
    """Why a column of a window could not be looked at; a closed list, safe as a metric label."""

    TYPE = "type"
    NESTED = "nested"
    VECTOR_DIRECTION = "vector_direction"
    TOO_FEW_VALUES = "too_few_values"
    UNDEFINED = "undefined"
    INCIDENT_OPEN = "incident_open"
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    name: str
    kind: Kind
    role: Role = Role.FEATURE
    #: Why the column has this kind and role.
    reason: str = ""
    #: Why its values cannot be counted; None if they can. Such a feature has no cells and is in no plan.
    unwatched: Unwatched | None = None


def plain_name(name: str) -> str:
    """Return what is left of a column's name without case and separators.

    >>> plain_name("user_ID") == plain_name("userId")
    True
    """
    return re.sub(r"[\W_]+", "", name).casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeChange:
    """A column whose values came in another type than the reference's. Its field names are stored."""

    column: str
    #: Names of the types, such as ``float64`` and ``text``.
    reference: str
    window: str


def merge_type_names(parts: Iterable[TypeNames]) -> TypeNames:
    """Return the types of all parts together.

    >>> merge_type_names([{"age": ("integer",)}, {"age": ("float64",), "pay": ("text",)}])
    {'age': ('float64', 'integer'), 'pay': ('text',)}
    """
    merged: dict[str, tuple[str, ...]] = {}
    for part in parts:
        for column, names in part.items():
            if (previous := merged.get(column)) != names:
                merged[column] = tuple(sorted({*(previous or ()), *names})[:_MAX_TYPE_NAMES])
    return merged


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
