"""What a monitor's reference data holds, or why it cannot serve."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from driftwatch.columns.infer import TimeColumn, find_time, infer
from driftwatch.columns.profile import Profile, profile
from driftwatch.core import plugins
from driftwatch.core.schema import Column
from driftwatch.errors import ReferenceUnusable

if TYPE_CHECKING:
    import pyarrow as pa

    from driftwatch.config.models import MonitorConfig

#: Columns a refusal lists.
_LISTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """The first pass's result: every column with kind and role, those watched, and event time."""

    profile: Profile
    time: TimeColumn
    columns: tuple[Column, ...]
    watched: tuple[Column, ...]


def look(monitor: MonitorConfig, batches: Iterable[pa.RecordBatch], source: str, files: int) -> Seen:
    """Look at all rows once. Raises ``ReferenceUnusable`` with what to do, ``ConfigError`` for overrides."""
    zone = monitor.reference.timezone
    declared = monitor.reference.time_column or monitor.source.time_column
    looked = profile(batches, timezone=zone, time_column=declared)
    where = f"monitor {monitor.name!r}: reference {source}"
    if not looked.rows:
        raise ReferenceUnusable(
            f"{where}: expected rows. Got none in {files} file(s). "
            "Check that reference.path names the test data."
        )
    time = _time_column(monitor, looked, where)
    overrides = {name: (column.kind, column.role) for name, column in monitor.columns.items()}
    columns = infer(looked, overrides=overrides, time=time, window=monitor.window.length, timezone=zone)
    watched = tuple(column for column in columns if column.role.watched)
    if not watched:
        aside = "; ".join(f"{column.name}: {column.reason}" for column in columns[:_LISTED])
        raise ReferenceUnusable(
            f"{where}: expected at least one column to watch. Got none ({aside}). "
            "Give one a role under columns, such as {role: feature}."
        )
    known = tuple(column.name for column in columns)
    if monitor.segment_by is not None and monitor.segment_by.column not in known:
        hint = plugins.unknown("column", monitor.segment_by.column, known)
        raise ReferenceUnusable(f"{where}: segment_by.column: {hint}")
    return Seen(profile=looked, time=time, columns=columns, watched=watched)


def _time_column(monitor: MonitorConfig, looked: Profile, where: str) -> TimeColumn:
    known = tuple(column.name for column in looked.columns)
    key, declared = "reference.time_column", monitor.reference.time_column
    if declared is None and monitor.source.time_column in known:
        key, declared = "source.time_column", monitor.source.time_column
    if declared is not None and declared not in known:
        raise ReferenceUnusable(f"{where}: {key}: {plugins.unknown('column', declared, known)}")
    column = None if declared is None else looked.column(declared)
    if column is not None and column.earliest is None:
        got = "no value at all" if not column.present else f"type {' and '.join(column.types)}"
        raise ReferenceUnusable(
            f"{where}: {key} {declared!r}: expected timestamps, dates, ISO 8601 texts or numbers since 1970. "
            f"Got {got}. Name another column, or leave it out to build without time."
        )
    return find_time(looked, declared)
