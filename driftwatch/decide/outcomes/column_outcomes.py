"""The law of verdicts: every feature of a window was looked at, broke, or has a reason why not.

A window is ``ok`` only if evidence was drawn from at least ``1 - MAX_UNWATCHED_SHARE`` of the features, and
from each that the configuration names. Values that cannot be counted are unwatched from the first window;
what can recover by itself, such as a column with few values, from the second window in a row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from driftwatch.core.arrays import Float64Array, Int64Array
from driftwatch.core.memo import NO_MEMO, Memo
from driftwatch.core.schema import Unwatched
from driftwatch.results.results import UnwatchedColumn, WatchedColumns
from driftwatch.summary.column_counts import ColumnCounts, special_counts
from driftwatch.summary.counts import MISSING_ENTRIES, WRONG_TYPE_ENTRY
from driftwatch.summary.reference import Reference
from driftwatch.summary.summary import Summary

#: Share of the features that may be unwatched before a window is not ``ok``.
MAX_UNWATCHED_SHARE = 0.1
#: Share of reference rows with a value, below which the missing share is most of a column's evidence.
_MAX_SPARSE_SHARE = 0.5
#: Share of reference rows of a wrong type, above which a column's missing share says nothing of its values.
_MAX_WRONG_TYPE_SHARE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """The columns that ``ok`` speaks for."""

    #: Those with cells, in the order of the plan.
    columns: tuple[str, ...] = ()
    #: Those of which no window can be looked at, wholly or (the direction of a vector) in part.
    unwatched: Mapping[str, Unwatched]
    #: Named by the configuration: ``ok`` needs every one of them.
    named: frozenset[str] = frozenset()

    @property
    def n_columns(self) -> int:
        return len({*self.columns, *self.unwatched})


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOwners:
    #: Columns with a stream that reads their values in a window; and with any, such as the missing share.
    values: frozenset[str]
    all: frozenset[str]
    #: Columns with a stream of their own that reads their values.
    readable: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnOutcomes:
    features: Features
    watched: WatchedColumns
    #: Sorted by name.
    unwatched: tuple[UnwatchedColumn, ...] = ()
    #: Columns with as few values in the reference, or none: their evidence is the missing share.
    missing_share_columns: tuple[str, ...] = ()
    #: Columns of any role without a value in the window.
    empty: frozenset[str] = frozenset()
    #: Columns of any role with a stream of their own that reads their values.
    readable: frozenset[str] = frozenset()
    #: (column, rows of another type) of those that are not broken; all other statistics leave them out.
    wrong_types: tuple[tuple[str, int], ...] = ()

    @property
    def passing(self) -> frozenset[str]:
        """Unwatched columns that may recover."""
        return frozenset(
            item.column
            for item in self.unwatched
            if item.reason is not Unwatched.INCIDENT_OPEN and item.column not in self.features.unwatched
        )

    def only_drawn(self, drawn: frozenset[str]) -> ColumnOutcomes:
        # Of late rows that could be evidence on the ``drawn`` columns alone.
        unwatched = {item.column: item for item in self.unwatched}
        missed = [name for name in self.features.columns if name not in drawn and name not in unwatched]
        items = [UnwatchedColumn(column=name, reason=Unwatched.TOO_FEW_VALUES) for name in missed]
        return replace(
            self,
            watched=replace(self.watched, drawn=max(self.watched.drawn - len(missed), 0)),
            unwatched=tuple(sorted([*self.unwatched, *items], key=lambda item: item.column)),
        )


#: Of a block of the reference, which has no verdict.
NO_OUTCOMES = ColumnOutcomes(features=Features(unwatched={}), watched=WatchedColumns(drawn=0, of=0))


def column_outcomes(
    features: Features,
    reference: Reference,
    window: Summary,
    owners: StreamOwners,
    *,
    broken: frozenset[str],
    suspended: frozenset[str],
    min_rows: int,
    memo: Memo = NO_MEMO,
) -> ColumnOutcomes:
    """Sort the features of a window that is judged; ``memo`` is that of the reference."""
    counts = ColumnCounts.from_mapping(window.counts)
    window_rows = counts.present_rows()
    present = window_rows[counts.positions(features.columns)]
    share = memo.last(
        "shares with a value", (features,), lambda: _present_shares(reference.summary, features.columns)
    )
    value_reasons = _value_reasons(
        features, reference, (present, share * window.rows), owners, min_rows, memo
    )
    reasons = {name: reason for name, reason in value_reasons.items() if reason is not None}
    reasons |= {name: reason for name, reason in features.unwatched.items() if name not in broken}
    sparse = {features.columns[k] for k in np.flatnonzero(share < _MAX_SPARSE_SHARE).tolist()}
    missing_share_columns = [
        name
        for name, reason in value_reasons.items()
        if reason is None and (name not in owners.values or name in sparse)
    ]
    reasons |= dict.fromkeys(suspended.intersection(features.columns), Unwatched.INCIDENT_OPEN)
    unwatched = [
        UnwatchedColumn(column=name, reason=reason)
        for name, reason in sorted(reasons.items())
        if name not in broken
    ]
    n_broken = len(broken.intersection(features.columns))
    return ColumnOutcomes(
        features=features,
        watched=WatchedColumns(drawn=features.n_columns - len(unwatched) - n_broken, of=features.n_columns),
        unwatched=tuple(unwatched),
        missing_share_columns=tuple(name for name in missing_share_columns if name not in reasons),
        empty=frozenset(counts.layout.names[position] for position in np.flatnonzero(window_rows == 0)),
        readable=owners.readable,
        wrong_types=_wrong_types(counts, broken),
    )


def _wrong_types(counts: ColumnCounts, broken: frozenset[str]) -> tuple[tuple[str, int], ...]:
    rows = counts.special[:, WRONG_TYPE_ENTRY]
    columns = [(counts.layout.names[k], int(rows[k])) for k in np.flatnonzero(rows).tolist()]
    return tuple(item for item in columns if item[0] not in broken)


def _value_reasons(
    features: Features,
    reference: Reference,
    rows_with_values: tuple[Int64Array, Float64Array],
    owners: StreamOwners,
    min_rows: int,
    memo: Memo,
) -> dict[str, Unwatched | None]:
    """Return the reason, if any, of each column without enough values or value streams.

    ``rows_with_values`` are those of the window, and of a window of its size like the reference.
    """
    present, expected = rows_with_values
    has_values = memo.last(
        "columns with value streams",
        (features, owners),
        lambda: np.array([name in owners.values for name in features.columns], dtype=np.bool_),
    )
    reasons: dict[str, Unwatched | None] = {}
    for position in np.flatnonzero((present < min_rows) | ~has_values).tolist():
        name, is_thin_reference = features.columns[position], bool(expected[position] < min_rows)
        reasons[name] = _reason(name, owners, present[position] >= min_rows, is_thin_reference, reference)
    return reasons


def is_always_unwatched(features: Features) -> bool:
    """Whether so much cannot be counted that no window is ever ``ok``."""
    too_many = len(features.unwatched) > MAX_UNWATCHED_SHARE * features.n_columns
    return bool(too_many or features.named.intersection(features.unwatched))


def nothing_watched(features: Features, reason: Unwatched) -> ColumnOutcomes:
    """Return the outcomes of a window that is not judged."""
    names = sorted({*features.columns, *features.unwatched})
    return ColumnOutcomes(
        features=features,
        watched=WatchedColumns(drawn=0, of=len(names)),
        unwatched=tuple(
            UnwatchedColumn(column=name, reason=features.unwatched.get(name, reason)) for name in names
        ),
    )


def is_unwatched(outcomes: ColumnOutcomes, passing_before: frozenset[str]) -> bool:
    """Whether too much was unwatched; ``passing_before`` are those of the window before.

    Columns that an open incident suspends do not count, unless they are all there is.
    """
    if not outcomes.watched.drawn:
        return bool(outcomes.watched.of)
    suspended = {item.column for item in outcomes.unwatched if item.reason is Unwatched.INCIDENT_OPEN}
    always = outcomes.features.unwatched.keys() - suspended
    passing, before = outcomes.passing, passing_before - suspended
    limit = MAX_UNWATCHED_SHARE * (outcomes.watched.of - len(suspended))
    is_lasting = len(always | passing) > limit and len(always | before) > limit
    return bool(is_lasting or (always | (passing & before)) & outcomes.features.named)


def _present_shares(summary: Summary, names: tuple[str, ...]) -> Float64Array:
    # A rebased column has rows of its own.
    counts = ColumnCounts.from_mapping(summary.counts)
    present = counts.present_rows()[counts.positions(names)]
    empty = special_counts(counts, names)[:, [*MISSING_ENTRIES, WRONG_TYPE_ENTRY]].sum(axis=1)
    return np.asarray(present / np.maximum(present + empty, 1))


def _reason(
    name: str, owners: StreamOwners, has_rows: bool, is_thin_reference: bool, reference: Reference
) -> Unwatched | None:
    """Return why a column without enough values or value streams was not looked at."""
    if not has_rows and not is_thin_reference:
        return Unwatched.TOO_FEW_VALUES
    if name in owners.values:
        return None
    counts = reference.summary.counts[name]
    is_foreign = counts.wrong_type > _MAX_WRONG_TYPE_SHARE * counts.rows
    return None if name in owners.all and is_thin_reference and not is_foreign else Unwatched.UNDEFINED
