"""Decides each column's kind and role, with the reason in plain words. Pure: reads only a profile."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from driftwatch.columns import time_relations as relations
from driftwatch.columns.arrow.profile_values import TypeFamily
from driftwatch.columns.arrow.sampled_times import epoch_nanoseconds
from driftwatch.columns.dates import is_datelike
from driftwatch.columns.profile import ColumnProfile, Profile
from driftwatch.columns.time_column import TimeColumn, find_time_column
from driftwatch.core import plugins
from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.schema import Column, Kind, Role
from driftwatch.errors import ConfigError

Overrides = Mapping[str, tuple[Kind | None, Role | None]]

#: Integer codes: largest number of levels, least rows per level, and steps of the range per level.
#:
#: Integers are numbers unless something says code. Power at level .01, windows of 1,000 rows
#: (``tests/bench/bench_kinds.py``): growing counts (Poisson 2 to 2.1 / 2.2) are detected by KS on the order
#: .25 / .88, by chi-squared .16 / .78; 30 % of one of 5 / 10 / 20 nominal codes moving to another by KS
#: .79 / .27 / .06, by chi-squared .91 / .61 / .22. So taking a code for a number costs more than taking a
#: count for a code. But only a number has a median and a range, and PSI ignores the order of cells anyway:
#: order is given up for two values, for few values with gaps, and for names that say code.
MAX_CODE_LEVELS = 20
MIN_CODE_REPEATS = 50
MIN_CODE_RANGE_RATIO = 2
#: Levels of a categorical grid; more distinct texts than that, and few repeats, make an identifier.
MAX_LEVELS = 10_000
#: Share of distinct values from which a column identifies rows instead of describing them.
MIN_ID_DISTINCT_SHARE = 0.95
#: Mean characters of a category's name; a longer text is read rather than chosen from a list.
MAX_CATEGORY_CHARS = 64
#: Rows needed before unique values mean anything.
MIN_UNIQUENESS_ROWS = 20
#: Magnitude above which integers that never repeat are generated identifiers.
_MIN_ID_MAGNITUDE = 1 << 40
#: Above the first every float is an integer; at the second 64-bit integers end.
_MAX_EXACT_FLOAT, _INT64_LIMIT = 1 << 53, 1 << 63
#: Sampled rows on which columns are compared with event time.
_MAX_RELATION_ROWS = 20_000

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
_OUTPUT_ROLES = {
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
    """Infer every column's kind and role, in the data's order; ``overrides`` take precedence.

    ``window`` is the window length in seconds: parts of the calendar that are constant within a window are
    ignored. Raises ``ConfigError`` for an override of a column that does not exist.
    """
    overrides_by_name = overrides or {}
    names = tuple(column.name for column in profile.columns)
    unknown_names = [name for name in overrides_by_name if name not in names]
    if unknown_names:
        raise ConfigError(
            [f"columns: {plugins.unknown_name_message('column', name, names)}" for name in unknown_names]
        )
    time = find_time_column(profile) if time is None else time
    inference = _Inference(profile=profile, time=time, window=window, timezone=timezone)
    return tuple(
        _override(inference.infer_column(column), overrides_by_name.get(column.name))
        for column in profile.columns
    )


def _override(column: Column, override: tuple[Kind | None, Role | None] | None) -> Column:
    if override is None or override == (None, None) or column.role is Role.TIME:
        return column
    kind, role = override
    if role is None:
        role = column.role if column.role.watched else Role.FEATURE
    fields = " and ".join(
        field for field, value in (("kind", kind), ("role", override[1])) if value is not None
    )
    return Column(
        name=column.name, kind=kind or column.kind, role=role, reason=f"{fields} set in the configuration"
    )


@dataclass(slots=True)
class _Inference:
    profile: Profile
    time: TimeColumn
    window: int
    timezone: str
    #: Nanoseconds of the sampled rows, computed once; None without event time.
    times: Int64Array | None = None

    def __init__(self, *, profile: Profile, time: TimeColumn, window: int, timezone: str) -> None:
        self.profile, self.time, self.window, self.timezone = profile, time, window, timezone
        self.times = None
        if time.name is not None and time.name in profile.sample.schema.names:
            self.times = epoch_nanoseconds(profile.sample[time.name].slice(0, _MAX_RELATION_ROWS), timezone)

    def infer_column(self, column: ColumnProfile) -> Column:
        if column.name == self.time.name:
            return Column(name=column.name, kind=Kind.DATETIME, role=Role.TIME, reason=self.time.reason)
        ignored_column = self._ignored_column(column)
        if ignored_column is not None:
            return ignored_column
        if column.name in _OUTPUT_ROLES:
            kind, _, reason = self._kind_and_role(column)
            return Column(
                name=column.name,
                kind=kind,
                role=_OUTPUT_ROLES[column.name],
                reason=f"{reason}; role by its name",
            )
        kind, role, reason = self._kind_and_role(column)
        return Column(name=column.name, kind=kind, role=role, reason=reason)

    def _ignored_column(self, column: ColumnProfile) -> Column | None:
        kind = _KIND_OF_FAMILY.get(column.family, Kind.CATEGORICAL)
        reason = ""
        if not column.n_present:
            reason = f"no value in any of {column.rows:,} rows"
        elif column.family is TypeFamily.UNSUPPORTED:
            reason = f"type {' and '.join(column.types)} cannot be counted"
        elif column.is_exact and column.n_distinct == 1 and column.n_present == column.rows:
            reason = "the same value in every row"
        return Column(name=column.name, kind=kind, role=Role.IGNORE, reason=reason) if reason else None

    def _kind_and_role(self, column: ColumnProfile) -> tuple[Kind, Role, str]:
        if column.family is TypeFamily.BOOLEAN:
            return Kind.BOOLEAN, Role.FEATURE, "true or false"
        if column.family is TypeFamily.VECTOR:
            size = "of varying length" if column.dimension is None else f"of {column.dimension} numbers"
            return Kind.VECTOR, Role.FEATURE, f"vectors {size}, counted by their norm"
        if column.family is TypeFamily.TIMESTAMP or column.earliest is not None:
            return self._timestamp_role(column)
        if column.family is TypeFamily.TEXT:
            return _text_role(column)
        return self._number_role(column)

    def _timestamp_role(self, column: ColumnProfile) -> tuple[Kind, Role, str]:
        if self.time.name is None:
            return Kind.DATETIME, Role.IGNORE, f"a timestamp, and {self.time.reason}; set time_column"
        values = self._sampled_values(column)
        correlation = 0.0
        if self.times is not None:
            correlation = relations.rank_correlation(self.times, values)
        if correlation > relations.MIN_ADVANCE_CORRELATION:
            reason = f"a timestamp that advances with {self.time.name}: it would always drift"
            return Kind.DATETIME, Role.IGNORE, reason
        return Kind.DATETIME, Role.FEATURE, f"timestamps that do not advance with {self.time.name}"

    def _number_role(self, column: ColumnProfile) -> tuple[Kind, Role, str]:
        is_integer = column.all_integers and not _exceeds_int64(column)
        decision = (self._calendar_or_counter(column) or _integer_identifier(column)) if is_integer else None
        if decision is not None:
            return decision
        if column.is_exact and column.n_distinct <= 2 and column.n_present >= MIN_UNIQUENESS_ROWS:
            return Kind.CATEGORICAL, Role.FEATURE, "a number with two values"
        if not is_integer or (column.family is TypeFamily.FLOAT and column.n_present == column.rows):
            return Kind.NUMERIC, Role.FEATURE, "numbers"
        if _CODE_NAME.search(column.name) and column.n_distinct <= MAX_LEVELS and column.mean_repeats >= 2:
            return (
                Kind.CATEGORICAL,
                Role.FEATURE,
                f"{column.n_distinct:,} whole numbers, and the name says code",
            )
        has_few_levels = (
            column.is_exact
            and column.n_distinct <= MAX_CODE_LEVELS
            and column.n_present >= MIN_CODE_REPEATS * column.n_distinct
        )
        if has_few_levels and column.maximum is not None and column.minimum is not None:
            if _range_in_steps(column) > MIN_CODE_RANGE_RATIO * column.n_distinct:
                return (
                    Kind.CATEGORICAL,
                    Role.FEATURE,
                    f"{column.n_distinct} whole numbers with gaps, like codes",
                )
            return Kind.NUMERIC, Role.FEATURE, f"{column.n_distinct} whole numbers without gaps, like counts"
        return Kind.NUMERIC, Role.FEATURE, "whole numbers"

    def _sampled_values(self, column: ColumnProfile) -> Float64Array:
        sample = self.profile.sample[column.name].slice(0, _MAX_RELATION_ROWS)
        return relations.numeric_values(sample, self.timezone)

    def _calendar_or_counter(self, column: ColumnProfile) -> tuple[Kind, Role, str] | None:
        if self.times is None:
            return None
        values = self._sampled_values(column)
        has_calendar_name = bool(_CALENDAR_NAME.search(column.name))
        if relations.is_calendar_part(self.times, values, self.window, has_calendar_name=has_calendar_name):
            reason = f"a part of the calendar that follows from {self.time.name}: it would always drift"
            return Kind.NUMERIC, Role.IGNORE, reason
        if (
            column.n_distinct >= 100
            and relations.rank_correlation(self.times, values) > relations.MIN_COUNTER_CORRELATION
        ):
            reason = f"counts up with {self.time.name}: it would always drift"
            return Kind.NUMERIC, Role.ID, reason
        return None


def _exceeds_int64(column: ColumnProfile) -> bool:
    """Whether floats are so large that all are integers and none can be a 64-bit identifier."""
    minimum, maximum = column.minimum, column.maximum
    if column.family is not TypeFamily.FLOAT or minimum is None or maximum is None:
        return False
    return max(-minimum, maximum) > _MAX_EXACT_FLOAT and (minimum < 0 or maximum >= _INT64_LIMIT)


def _range_in_steps(column: ColumnProfile) -> int:
    # How many values the column's range would hold at its step (tens, fives, ...).
    sorted_values = np.sort(column.values.astype(np.float64))
    step = int(np.gcd.reduce(np.diff(sorted_values).astype(np.int64)))
    return int((sorted_values[-1] - sorted_values[0]) // max(1, step)) + 1


def _integer_identifier(column: ColumnProfile) -> tuple[Kind, Role, str] | None:
    if column.n_present < MIN_UNIQUENESS_ROWS or column.minimum is None or column.maximum is None:
        return None
    has_id_name = _is_id_name(column.name)
    if column.mean_repeats == 1:
        is_dense = column.maximum - column.minimum + 1 <= 1.5 * column.n_present
        is_large = max(abs(column.minimum), abs(column.maximum)) > _MIN_ID_MAGNITUDE
        if has_id_name or is_dense or is_large:
            return Kind.NUMERIC, Role.ID, "every whole number is met once: an identifier"
    if has_id_name and (column.share_distinct > 0.5 or column.n_distinct > MAX_LEVELS):
        return Kind.NUMERIC, Role.ID, f"about {column.n_distinct:,} identifiers, by its name"
    if has_id_name and column.n_distinct <= MAX_LEVELS:
        return Kind.CATEGORICAL, Role.FEATURE, f"{column.n_distinct:,} repeating identifiers, by its name"
    return None


def _text_role(column: ColumnProfile) -> tuple[Kind, Role, str]:
    share = column.share_distinct
    if is_datelike(column.values):
        reason = "dates that are not all ISO 8601: each new one would be an unseen level; write 2026-01-31"
        return Kind.CATEGORICAL, Role.IGNORE, reason
    if column.mean_length > MAX_CATEGORY_CHARS and share > 0.2:
        return (
            Kind.TEXT,
            Role.FEATURE,
            f"texts of {column.mean_length:.0f} characters, counted by their length",
        )
    if column.n_present >= MIN_UNIQUENESS_ROWS:
        if share >= MIN_ID_DISTINCT_SHARE:
            if _has_words(column.values):
                return Kind.TEXT, Role.FEATURE, "texts of several words, nearly all different"
            return Kind.CATEGORICAL, Role.ID, f"{share:.0%} of the values are met once: an identifier"
        if _is_id_name(column.name) and share > 0.5:
            return Kind.CATEGORICAL, Role.ID, f"about {column.n_distinct:,} identifiers, by its name"
        if column.n_distinct > MAX_LEVELS and column.mean_repeats < 5:
            return Kind.CATEGORICAL, Role.ID, f"about {column.n_distinct:,} values that hardly repeat"
    return Kind.CATEGORICAL, Role.FEATURE, f"{column.n_distinct:,} different texts"


def _has_words(values: Sequence[str] | npt.NDArray[np.object_]) -> bool:
    texts = [str(text) for text in values[:1000]]
    return sum(" " in text.strip() for text in texts) > 0.5 * len(texts)


def _is_id_name(name: str) -> bool:
    return bool(_ID_NAME.search(name) or _CAMEL_ID.search(name))


_KIND_OF_FAMILY = {
    TypeFamily.BOOLEAN: Kind.BOOLEAN,
    TypeFamily.INTEGER: Kind.NUMERIC,
    TypeFamily.FLOAT: Kind.NUMERIC,
    TypeFamily.TIMESTAMP: Kind.DATETIME,
    TypeFamily.VECTOR: Kind.VECTOR,
}
__all__ = ["MAX_LEVELS", "Overrides", "TimeColumn", "find_time_column", "infer"]
