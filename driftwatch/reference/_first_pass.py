"""Profiles a monitor's reference data, or refuses it with the reason."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from driftwatch.columns.infer import TimeColumn, find_time_column, infer
from driftwatch.columns.profile import Profile, profile
from driftwatch.core import plugins
from driftwatch.core.schema import Column
from driftwatch.errors import NoFeatures, ReferenceUnusable

if TYPE_CHECKING:
    import pyarrow as pa

    from driftwatch.config.models import MonitorConfig

#: Columns a refusal lists.
_MAX_LISTED_COLUMNS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstPass:
    profile: Profile
    time: TimeColumn
    columns: tuple[Column, ...]
    watched_columns: tuple[Column, ...]


def profile_reference(
    monitor: MonitorConfig, batches: Iterable[pa.RecordBatch], source: str, files: int
) -> FirstPass:
    """Profile the reference data and infer its columns.

    Raises ``ReferenceUnusable`` with what to do (``NoFeatures`` when there is nothing to watch), and
    ``ConfigError`` for overrides of unknown columns and for kinds that columns cannot have.
    """
    timezone = monitor.reference.timezone
    declared_name = monitor.reference.time_column or monitor.source.time_column
    data_profile = profile(batches, timezone=timezone, time_column=declared_name)
    subject = f"monitor {monitor.name!r}: reference {source}"
    if not data_profile.rows:
        raise ReferenceUnusable(
            f"{subject}: expected rows. Got none in {files} file(s). "
            "Check that reference.path names the test data."
        )
    time = _time_column(monitor, data_profile, subject)
    overrides = {name: (column.kind, column.role) for name, column in monitor.columns.items()}
    columns = infer(
        data_profile,
        overrides=overrides,
        time=time,
        window=monitor.window.length,
        timezone=timezone,
        locate=lambda name: monitor.place("columns", name, "kind"),
    )
    require_features(columns, subject)
    watched_columns = tuple(column for column in columns if column.role.watched and column.unwatched is None)
    names = tuple(column.name for column in columns)
    if monitor.segment_by is not None and monitor.segment_by.column not in names:
        hint = plugins.unknown_name_message("column", monitor.segment_by.column, names)
        raise ReferenceUnusable(f"{subject}: segment_by.column: {hint}")
    return FirstPass(profile=data_profile, time=time, columns=columns, watched_columns=watched_columns)


def require_features(columns: Sequence[Column], subject: str) -> None:
    """Raise ``NoFeatures`` if no feature can be watched, with each column's reason."""
    if any(column.role.is_feature and column.unwatched is None for column in columns):
        return
    reasons = [
        f"{column.name}: {'not watched: ' if column.unwatched else f'{column.role.value}: '}{column.reason}"
        for column in columns[:_MAX_LISTED_COLUMNS]
    ]
    if len(columns) > _MAX_LISTED_COLUMNS:
        reasons.append(f"and {len(columns) - _MAX_LISTED_COLUMNS} more")
    raise NoFeatures(
        f"{subject}: expected at least one feature that can be watched. Got none ({'; '.join(reasons)}). "
        "Give a column that can be counted a role under columns, such as {role: feature}."
    )


def _time_column(monitor: MonitorConfig, data_profile: Profile, subject: str) -> TimeColumn:
    names = tuple(column.name for column in data_profile.columns)
    key, declared_name = "reference.time_column", monitor.reference.time_column
    if declared_name is None and monitor.source.time_column in names:
        key, declared_name = "source.time_column", monitor.source.time_column
    if declared_name is not None and declared_name not in names:
        raise ReferenceUnusable(
            f"{subject}: {key}: {plugins.unknown_name_message('column', declared_name, names)}"
        )
    column = None if declared_name is None else data_profile.column(declared_name)
    if column is not None and column.earliest is None:
        actual = "no value at all" if not column.n_present else f"type {' and '.join(column.types)}"
        raise ReferenceUnusable(
            f"{subject}: {key} {declared_name!r}: expected timestamps, dates, ISO 8601 texts or numbers "
            f"since 1970. Got {actual}. Name another column, or leave it out to build without time."
        )
    return find_time_column(data_profile, declared_name)
