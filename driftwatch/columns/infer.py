"""Decides each column's kind and role, with the reason in plain words. Pure: reads only a profile."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from driftwatch.columns import roles
from driftwatch.columns import time_relations as relations
from driftwatch.columns.arrow.profile_values import TypeFamily
from driftwatch.columns.arrow.sampled_times import epoch_nanoseconds
from driftwatch.columns.declared_kind import kind_problem
from driftwatch.columns.profile import ColumnProfile, Profile
from driftwatch.columns.roles import MAX_LEVELS, Decision
from driftwatch.columns.time_column import TimeColumn, find_time_column
from driftwatch.core import plugins
from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.schema import Column, Kind, Role, Unwatched
from driftwatch.errors import ConfigError

Overrides = Mapping[str, tuple[Kind | None, Role | None]]

#: Sampled rows on which columns are compared with event time.
_MAX_RELATION_ROWS = 20_000

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
    locate: Callable[[str], str] = "columns: {}".format,
) -> tuple[Column, ...]:
    """Infer every column's kind and role, in the data's order; ``overrides`` take precedence.

    A column that cannot be counted is a feature that is not watched, with the reason. ``window`` is the
    length of a window in seconds: parts of the calendar that are constant within a window are ignored.
    ``locate`` returns where a column's override is written. Raises ``ConfigError`` for an override of a
    column that does not exist, and for a kind that a column cannot have.
    """
    overrides_by_name = overrides or {}
    names = tuple(column.name for column in profile.columns)
    problems = [
        f"columns: {plugins.unknown_name_message('column', name, names)}"
        for name in overrides_by_name
        if name not in names
    ]
    time = find_time_column(profile) if time is None else time
    for column in profile.columns:
        kind, role = overrides_by_name.get(column.name, (None, None))
        is_unwatched = column.name == time.name or (role is not None and not role.watched)
        if kind is not None and not is_unwatched:
            problem = kind_problem(profile, column, kind, timezone)
            problems += [f"{locate(column.name)}: must be {problem}"] if problem else []
    if problems:
        raise ConfigError(problems)
    inference = _Inference(profile=profile, time=time, window=window, timezone=timezone)
    return tuple(
        _override(inference.infer_column(column), column.family, overrides_by_name.get(column.name))
        for column in profile.columns
    )


def _override(column: Column, family: TypeFamily, override: tuple[Kind | None, Role | None] | None) -> Column:
    if override is None or override == (None, None) or column.role is Role.TIME:
        return column
    kind, role = override
    if role is None:
        role = column.role if column.role.watched else Role.FEATURE
    fields = " and ".join(
        field for field, value in (("kind", kind), ("role", override[1])) if value is not None
    )
    if family is TypeFamily.UNSUPPORTED and role.watched:
        # No word of a person makes it countable.
        return replace(column, role=role)
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
        kind, role, reason, *unwatched = self._kind_and_role(column)
        output_role = _OUTPUT_ROLES.get(column.name)
        if output_role is not None and role in (Role.FEATURE, Role.ID):
            role, reason = output_role, f"{reason}; role by its name"
        return Column(
            name=column.name,
            kind=kind,
            role=role,
            reason=reason,
            unwatched=unwatched[0] if unwatched and role.watched else None,
        )

    def _kind_and_role(self, column: ColumnProfile) -> Decision:
        if column.family is TypeFamily.UNSUPPORTED:
            return roles.uncountable(column)
        if not column.n_present:
            # Cells of no value: whatever comes was never seen, and no longer missing.
            return Kind.CATEGORICAL, Role.FEATURE, f"no value in any of {column.rows:,} rows: any is new"
        following = self._following_role(column)
        if following is not None:
            return following
        if column.family is TypeFamily.BOOLEAN:
            return Kind.BOOLEAN, Role.FEATURE, "true or false"
        if column.family is TypeFamily.VECTOR:
            size = "of varying length" if column.dimension is None else f"of {column.dimension} numbers"
            return Kind.VECTOR, Role.FEATURE, f"vectors {size}, counted by their norm"
        if column.family is TypeFamily.TIMESTAMP or column.earliest is not None:
            return self._timestamp_role(column)
        if column.family is TypeFamily.TEXT:
            return roles.text_role(column)
        return self._number_role(column)

    def _following_role(self, column: ColumnProfile) -> Decision | None:
        """Return the role of a column that follows the event time in writing; None if it does not."""
        is_number = column.family.is_number and roles.is_whole(column)
        is_text = column.family is TypeFamily.TEXT
        if self.times is None or not (is_number or is_text or column.family is TypeFamily.TIMESTAMP):
            return None
        kind = Kind.NUMERIC if is_number else Kind.CATEGORICAL if is_text else Kind.DATETIME
        sample = self.profile.sample[column.name].slice(0, _MAX_RELATION_ROWS)
        if relations.has_written_dates(self.times, sample, self.timezone):
            reason = f"dates that advance with {self.time.name}: it would always drift"
            return kind, Role.IGNORE, reason
        if relations.is_ever_new(self.times, sample, self.window, self.timezone):
            reason = f"another value in each day of {self.time.name}, never an old one: it would always drift"
            return kind, Role.IGNORE, reason
        return None

    def _timestamp_role(self, column: ColumnProfile) -> Decision:
        if self.time.name is None:
            reason = (
                f"a timestamp, and {self.time.reason}: it may be the event time, or advance with it; set "
                "time_column, or role: feature to watch it"
            )
            return Kind.DATETIME, Role.FEATURE, reason, Unwatched.TYPE
        values = self._sampled_values(column)
        correlation = 0.0
        if self.times is not None:
            correlation = relations.rank_correlation(self.times, values)
        if correlation > relations.MIN_ADVANCE_CORRELATION:
            reason = f"a timestamp that advances with {self.time.name}: it would always drift"
            return Kind.DATETIME, Role.IGNORE, reason
        return Kind.DATETIME, Role.FEATURE, f"timestamps that do not advance with {self.time.name}"

    def _number_role(self, column: ColumnProfile) -> Decision:
        is_calendar_like = roles.is_whole(column) and self.times is not None
        return (self._calendar_or_counter(column) if is_calendar_like else None) or roles.number_role(column)

    def _sampled_values(self, column: ColumnProfile) -> Float64Array:
        sample = self.profile.sample[column.name].slice(0, _MAX_RELATION_ROWS)
        return relations.numeric_values(sample, self.timezone)

    def _calendar_or_counter(self, column: ColumnProfile) -> Decision | None:
        if self.times is None:
            return None
        values = self._sampled_values(column)
        has_calendar_name = bool(_CALENDAR_NAME.search(column.name))
        is_constant_part = has_calendar_name and relations.is_constant_calendar_part(self.times, values)
        if is_constant_part or relations.is_calendar_part(
            self.times, values, self.window, has_calendar_name=has_calendar_name
        ):
            reason = f"a part of the calendar that follows from {self.time.name}: it would always drift"
            return Kind.NUMERIC, Role.IGNORE, reason
        if (
            column.n_distinct >= 100
            and relations.rank_correlation(self.times, values) > relations.MIN_COUNTER_CORRELATION
        ):
            reason = f"counts up with {self.time.name}: it would always drift"
            return Kind.NUMERIC, Role.ID, reason
        return None


__all__ = ["MAX_LEVELS", "Overrides", "TimeColumn", "find_time_column", "infer"]
