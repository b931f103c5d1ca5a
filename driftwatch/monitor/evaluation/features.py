"""The features of a monitor, and which of their columns have streams."""

from __future__ import annotations

import re
from collections.abc import Sequence

from driftwatch.config.models import MonitorConfig
from driftwatch.core.schema import Column, Kind, Role, Unwatched
from driftwatch.decide.outcomes.column_outcomes import Features, StreamOwners
from driftwatch.detectors.base import Target, traits_of
from driftwatch.results.streams import Streams
from driftwatch.summary.reference import Reference

#: Reasons in which 0.1.0 ignored, without a person's word, what it could not count or what never varied.
_UNCOUNTED_REASON = re.compile(
    r"^(type .* cannot be counted|no value in any of .* rows|the same value in every row)$", re.DOTALL
)


def features_of(reference: Reference, config: MonitorConfig) -> Features:
    """Return the features. A vector is counted by its norm, which tells nothing of its direction."""
    columns = [column for column in reference.plan.columns if column.role.is_feature]
    reasons = {column.name: _unwatched_reason(column) for column in reference.provenance.set_aside}
    unwatched = {name: reason for name, reason in reasons.items() if reason is not None}
    unwatched |= {
        column.name: Unwatched.VECTOR_DIRECTION
        for column in columns
        if column.kind is Kind.VECTOR and not _is_norm_enough(config, column.name)
    }
    names = {*(column.name for column in columns), *unwatched}
    group_columns = [name for group in config.groups.values() for name in group]
    return Features(
        columns=tuple(column.name for column in columns),
        unwatched=unwatched,
        named=frozenset(names.intersection([*config.columns, *config.weights, *group_columns])),
    )


def _unwatched_reason(column: Column) -> Unwatched | None:
    if column.unwatched is not None:
        return column.unwatched if column.role.is_feature else None
    if column.role is not Role.IGNORE or not _UNCOUNTED_REASON.search(column.reason):
        return None
    is_nested = "struct<" in column.reason or "map<" in column.reason
    return Unwatched.NESTED if is_nested else Unwatched.TYPE


def _is_norm_enough(config: MonitorConfig, name: str) -> bool:
    return name in config.columns and config.columns[name].watch == "norm"


def stream_owners(
    streams: Streams,
    targets: Sequence[Target],
    reference: Reference,
    left_out: frozenset[str] = frozenset(),
) -> StreamOwners:
    """Return the columns that streams speak for; a joint detector speaks for those it projects."""
    owners = {column for _, column in streams.targets if column is not None}
    reads_values = {
        name: traits_of(name).reads_values for name in dict.fromkeys(name for name, _ in streams.targets)
    }
    values = {column for name, column in streams.targets if column is not None and reads_values[name]}
    # Where the configuration asks for no more than the missing share, that is what is watched.
    value_columns = {column for detector, column in targets if column is not None and detector.reads_values}
    readable = frozenset(values)
    values |= owners - value_columns
    joint = {name for name, column in streams.targets if column is None and reads_values[name]}
    if any(detector.sums for detector, _ in targets if detector.joint and detector.name in joint):
        values |= _projected_columns(reference) - left_out
    return StreamOwners(values=frozenset(values), all=frozenset(owners), readable=readable)


def _projected_columns(reference: Reference) -> set[str]:
    projection = reference.plan.projection
    if projection is None:
        return set()
    columns = reference.plan.columns
    return {columns[position].name for position in projection.inputs[:, 0].tolist()}
