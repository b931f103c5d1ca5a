"""What each column is taken for: kind, role, and why in plain words. Pure: a profile goes in.

Integers are numbers unless something says code. Power at level .01, windows of 1,000 rows
(``tests/bench/bench_kinds.py``): counts that grow (Poisson 2 to 2.1 / 2.2) are found by KS on the order
.25 / .88, by chi-squared .16 / .78; 30 % of one of 5 / 10 / 20 nominal codes moving to another by KS
.79 / .27 / .06, by chi-squared .91 / .61 / .22. So a code taken for a number costs more than a count taken
for a code. But a count keeps its median and its range only as a number, and PSI looks at its cells without
order anyway: order is given up for two values, for few values with holes between them, and for names that
say code.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from driftwatch.columns import time_relations as relations
from driftwatch.columns.arrow.profile_values import Shape
from driftwatch.columns.arrow.sampled_times import moments
from driftwatch.columns.dates import datelike
from driftwatch.columns.profile import ColumnProfile, Profile
from driftwatch.columns.time_column import TimeColumn, find_time
from driftwatch.core import plugins
from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.schema import Column, Kind, Role
from driftwatch.errors import ConfigError

Overrides = Mapping[str, tuple[Kind | None, Role | None]]

#: Integer codes: at most this many levels, each met this often, spread over a range this much wider.
CODE_LEVELS = 20
CODE_REPEATS = 50
CODE_GAPS = 2
#: Levels a categorical grid holds; more distinct texts than that, and few repeats, make an identifier.
MAX_LEVELS = 10_000
#: Share of distinct values from which a column tells rows apart instead of describing them.
NEARLY_ALL = 0.95
#: Characters of a text that is read rather than chosen from a list.
LONG_TEXT = 64
#: Rows needed before uniqueness means anything.
FEW_ROWS = 20
_LARGE = 1 << 40
#: Beyond the first every float is whole, beyond the second no integer has 64 bits.
_EXACT_FLOAT, _INT64 = 1 << 53, 1 << 63
#: Sampled rows that columns are held against event time on.
_RELATED_ROWS = 20_000

_ID_NAME = re.compile(
    r"(^|[_\-. ])(id|uuid|guid|rowid|row_?(number|num|id))$|^(index|hash|unnamed: ?\d+)$", re.IGNORECASE
)
_CAMEL_ID = re.compile(r"[a-z](Id|ID|UUID|Uuid)$")
_CODE_NAME = re.compile(
    r"(^|[_\-. ])(code|cd|zip|zip_?code|plz|postcode|postal_?code|type|category|cat|class|status|flag|kind|"
    r"group|segment|cluster|region|icd\d*|sic|naics|mcc|bin|colou?r|gender|sex)$",
    re.IGNORECASE,
)
_CALENDAR_NAME = re.compile(
    r"(^|[_\-. ])(year|yr|month|mon|mnth|day|week|quarter|qtr|hour|hr|date|dow|doy|weekday|weekend|[ymw]day|"
    r"day_?of_?(week|month|year)|week_?of_?year)($|[_\-. ])|^is_?weekend$",
    re.IGNORECASE,
)
_OUTPUTS = {
    "prediction": Role.PREDICTION,
    "score": Role.SCORE,
    "label": Role.LABEL,
    "uncertainty": Role.UNCERTAINTY,
}


def infer(
    profile: Profile,
    *,
    overrides: Overrides | None = None,
    time: TimeColumn | None = None,
    window: int = 86400,
    timezone: str = "UTC",
) -> tuple[Column, ...]:
    """Kind and role of every column, in the data's order.

    ``overrides`` win. ``window`` seconds decide which parts of the calendar stand still within a window.
    Raises ``ConfigError`` for an override of a column that is not there.
    """
    given = overrides or {}
    known = tuple(column.name for column in profile.columns)
    unknown = [name for name in given if name not in known]
    if unknown:
        raise ConfigError([f"columns: {plugins.unknown('column', name, known)}" for name in unknown])
    time = find_time(profile) if time is None else time
    looking = _Looking(profile=profile, time=time, window=window, timezone=timezone)
    return tuple(_override(looking.column(column), given.get(column.name)) for column in profile.columns)


def _override(column: Column, given: tuple[Kind | None, Role | None] | None) -> Column:
    if given is None or given == (None, None) or column.role is Role.TIME:
        return column
    kind, role = given
    if role is None:
        role = column.role if column.role.watched else Role.FEATURE
    said = " and ".join(word for word, value in (("kind", kind), ("role", given[1])) if value is not None)
    return Column(
        name=column.name, kind=kind or column.kind, role=role, reason=f"{said} set in the configuration"
    )


@dataclass(slots=True)
class _Looking:
    """One profile being looked at; the times of its sample are computed once."""

    profile: Profile
    time: TimeColumn
    window: int
    timezone: str
    times: Int64Array | None = None

    def __init__(self, *, profile: Profile, time: TimeColumn, window: int, timezone: str) -> None:
        self.profile, self.time, self.window, self.timezone = profile, time, window, timezone
        self.times = None
        if time.name is not None and time.name in profile.sample.schema.names:
            self.times = moments(profile.sample[time.name].slice(0, _RELATED_ROWS), timezone)

    def column(self, it: ColumnProfile) -> Column:
        """One column: set aside, or a kind for its shape."""
        if it.name == self.time.name:
            return Column(name=it.name, kind=Kind.DATETIME, role=Role.TIME, reason=self.time.reason)
        aside = self._useless(it)
        if aside is not None:
            return aside
        if it.name in _OUTPUTS:
            kind, _, reason = self._describe(it)
            return Column(
                name=it.name, kind=kind, role=_OUTPUTS[it.name], reason=f"{reason}; role by its name"
            )
        kind, role, reason = self._describe(it)
        return Column(name=it.name, kind=kind, role=role, reason=reason)

    def _useless(self, it: ColumnProfile) -> Column | None:
        kind = _KIND_OF_SHAPE.get(it.shape, Kind.CATEGORICAL)
        reason = ""
        if not it.present:
            reason = f"no value in any of {it.rows:,} rows"
        elif it.shape is Shape.OTHER:
            reason = f"type {' and '.join(it.types)} cannot be counted"
        elif it.exact and it.distinct == 1 and it.present == it.rows:
            reason = "the same value in every row"
        return Column(name=it.name, kind=kind, role=Role.IGNORE, reason=reason) if reason else None

    def _describe(self, it: ColumnProfile) -> tuple[Kind, Role, str]:
        if it.shape is Shape.BOOLEAN:
            return Kind.BOOLEAN, Role.FEATURE, "true or false"
        if it.shape is Shape.VECTOR:
            size = "of varying length" if it.dimension is None else f"of {it.dimension} numbers"
            return Kind.VECTOR, Role.FEATURE, f"vectors {size}, counted by their norm"
        if it.shape is Shape.TIMESTAMP or it.earliest is not None:
            return self._timestamp(it)
        if it.shape is Shape.TEXT:
            return _text(it)
        return self._number(it)

    def _timestamp(self, it: ColumnProfile) -> tuple[Kind, Role, str]:
        if self.time.name is None:
            return Kind.DATETIME, Role.IGNORE, f"a timestamp, and {self.time.reason}; set time_column"
        values = self._sampled(it)
        moves = 0.0
        if self.times is not None:
            moves = relations.rank_correlation(self.times, values)
        if moves > relations.ADVANCES:
            reason = f"a timestamp that advances with {self.time.name}: it would always drift"
            return Kind.DATETIME, Role.IGNORE, reason
        return Kind.DATETIME, Role.FEATURE, f"timestamps that do not advance with {self.time.name}"

    def _number(self, it: ColumnProfile) -> tuple[Kind, Role, str]:
        whole = it.integers and not _measured(it)
        aside = (self._counts_time(it) or _integer_identifier(it)) if whole else None
        if aside is not None:
            return aside
        if it.exact and it.distinct <= 2 and it.present >= FEW_ROWS:
            return Kind.CATEGORICAL, Role.FEATURE, "a number with two values"
        if not whole or (it.shape is Shape.FLOAT and it.present == it.rows):
            return Kind.NUMERIC, Role.FEATURE, "numbers"
        if _CODE_NAME.search(it.name) and it.distinct <= MAX_LEVELS and it.repeats >= 2:
            return Kind.CATEGORICAL, Role.FEATURE, f"{it.distinct:,} whole numbers, and the name says code"
        few = it.exact and it.distinct <= CODE_LEVELS and it.present >= CODE_REPEATS * it.distinct
        if few and it.maximum is not None and it.minimum is not None:
            if _steps(it) > CODE_GAPS * it.distinct:
                return Kind.CATEGORICAL, Role.FEATURE, f"{it.distinct} whole numbers with gaps, like codes"
            return Kind.NUMERIC, Role.FEATURE, f"{it.distinct} whole numbers without gaps, like counts"
        return Kind.NUMERIC, Role.FEATURE, "whole numbers"

    def _sampled(self, it: ColumnProfile) -> Float64Array:
        column = self.profile.sample[it.name].slice(0, _RELATED_ROWS)
        return relations.ordered_values(column, self.timezone)

    def _counts_time(self, it: ColumnProfile) -> tuple[Kind, Role, str] | None:
        if self.times is None:
            return None
        values = self._sampled(it)
        named = bool(_CALENDAR_NAME.search(it.name))
        if relations.calendar_part(self.times, values, self.window, named=named):
            reason = f"a part of the calendar that follows from {self.time.name}: it would always drift"
            return Kind.NUMERIC, Role.IGNORE, reason
        if it.distinct >= 100 and relations.rank_correlation(self.times, values) > relations.COUNTS_UP:
            reason = f"counts up with {self.time.name}: it would always drift"
            return Kind.NUMERIC, Role.ID, reason
        return None


def _measured(it: ColumnProfile) -> bool:
    """True for floats so large that all of them are whole, and that no 64-bit identifier can be."""
    low, high = it.minimum, it.maximum
    if it.shape is not Shape.FLOAT or low is None or high is None:
        return False
    return max(-low, high) > _EXACT_FLOAT and (low < 0 or high >= _INT64)


def _steps(it: ColumnProfile) -> int:
    """Values the range would hold at the column's own step (tens, fives, ...)."""
    ordered = np.sort(it.values.astype(np.float64))
    step = int(np.gcd.reduce(np.diff(ordered).astype(np.int64)))
    return int((ordered[-1] - ordered[0]) // max(1, step)) + 1


def _integer_identifier(it: ColumnProfile) -> tuple[Kind, Role, str] | None:
    if it.present < FEW_ROWS or it.minimum is None or it.maximum is None:
        return None
    named = _named_id(it.name)
    if it.repeats == 1:
        dense = it.maximum - it.minimum + 1 <= 1.5 * it.present
        huge = max(abs(it.minimum), abs(it.maximum)) > _LARGE
        if named or dense or huge:
            return Kind.NUMERIC, Role.ID, "every whole number is met once: an identifier"
    if named and (it.share_distinct > 0.5 or it.distinct > MAX_LEVELS):
        return Kind.NUMERIC, Role.ID, f"about {it.distinct:,} identifiers, by its name"
    if named and it.distinct <= MAX_LEVELS:
        return Kind.CATEGORICAL, Role.FEATURE, f"{it.distinct:,} repeating identifiers, by its name"
    return None


def _text(it: ColumnProfile) -> tuple[Kind, Role, str]:
    share = it.share_distinct
    if datelike(it.values):
        reason = "dates that are not all ISO 8601: each new one would be an unseen level; write 2026-01-31"
        return Kind.CATEGORICAL, Role.IGNORE, reason
    if it.mean_length > LONG_TEXT and share > 0.2:
        return Kind.TEXT, Role.FEATURE, f"texts of {it.mean_length:.0f} characters, counted by their length"
    if it.present >= FEW_ROWS:
        if share >= NEARLY_ALL:
            if _many_words(it.values):
                return Kind.TEXT, Role.FEATURE, "texts of several words, nearly all different"
            return Kind.CATEGORICAL, Role.ID, f"{share:.0%} of the values are met once: an identifier"
        if _named_id(it.name) and share > 0.5:
            return Kind.CATEGORICAL, Role.ID, f"about {it.distinct:,} identifiers, by its name"
        if it.distinct > MAX_LEVELS and it.repeats < 5:
            return Kind.CATEGORICAL, Role.ID, f"about {it.distinct:,} values that hardly repeat"
    return Kind.CATEGORICAL, Role.FEATURE, f"{it.distinct:,} different texts"


def _many_words(values: Sequence[str] | npt.NDArray[np.object_]) -> bool:
    some = [str(value) for value in values[:1000]]
    return sum(" " in value.strip() for value in some) > 0.5 * len(some)


def _named_id(name: str) -> bool:
    return bool(_ID_NAME.search(name) or _CAMEL_ID.search(name))


_KIND_OF_SHAPE = {
    Shape.BOOLEAN: Kind.BOOLEAN,
    Shape.INTEGER: Kind.NUMERIC,
    Shape.FLOAT: Kind.NUMERIC,
    Shape.TIMESTAMP: Kind.DATETIME,
    Shape.VECTOR: Kind.VECTOR,
}
__all__ = ["MAX_LEVELS", "Overrides", "TimeColumn", "find_time", "infer"]
