"""Every feature of a window was looked at, broke, or has a reason; ``ok`` needs nine of ten of them."""

from __future__ import annotations

import numpy as np
import pytest
from detector_worlds import reference_of, window_of

from driftwatch.core.schema import Unwatched
from driftwatch.decide.outcomes.column_outcomes import (
    ColumnOutcomes,
    Features,
    StreamOwners,
    column_outcomes,
    is_always_unwatched,
    is_unwatched,
    nothing_watched,
)
from driftwatch.results.results import UnwatchedColumn, WatchedColumns

NAMES = tuple("abcdefghij")


def outcomes_of(
    share_missing: dict[str, float],
    *,
    reference_missing: dict[str, float] | None = None,
    values: frozenset[str] = frozenset(NAMES),
    broken: frozenset[str] = frozenset(),
    suspended: frozenset[str] = frozenset(),
    unwatched: dict[str, Unwatched] | None = None,
    named: frozenset[str] = frozenset(),
) -> ColumnOutcomes:
    rng = np.random.default_rng(1)

    def world(missing: dict[str, float], rows: int) -> dict[str, np.ndarray]:
        return {
            name: np.where(np.arange(rows) < missing.get(name, 0.0) * rows, np.nan, rng.normal(size=rows))
            for name in NAMES
        }

    reference = reference_of(world(reference_missing or {}, 2000))
    return column_outcomes(
        Features(columns=NAMES, unwatched=unwatched or {}, named=named),
        reference,
        window_of(reference, world(share_missing, 400)),
        StreamOwners(values=values, all=frozenset(NAMES)),
        broken=broken,
        suspended=suspended,
        min_rows=200,
    )


def reasons(outcomes: ColumnOutcomes) -> dict[str, Unwatched]:
    return {item.column: item.reason for item in outcomes.unwatched}


def test_a_healthy_window_is_drawn_from_every_column() -> None:
    outcomes = outcomes_of({})
    assert outcomes.watched == WatchedColumns(drawn=10, of=10)
    assert not outcomes.unwatched


def test_a_column_below_min_rows_values_is_named() -> None:
    outcomes = outcomes_of({"a": 0.51})
    assert reasons(outcomes) == {"a": Unwatched.TOO_FEW_VALUES}
    assert outcomes.watched == WatchedColumns(drawn=9, of=10)


def test_a_column_as_thin_in_the_reference_is_watched_by_its_missing_share() -> None:
    outcomes = outcomes_of({"a": 0.9}, reference_missing={"a": 0.9})
    assert not outcomes.unwatched
    assert outcomes.missing_share_columns == ("a",)


def test_a_column_without_a_defined_statistic_is_named() -> None:
    assert reasons(outcomes_of({}, values=frozenset(NAMES) - {"b"})) == {"b": Unwatched.UNDEFINED}


def test_a_broken_column_has_no_other_reason() -> None:
    outcomes = outcomes_of({"a": 1.0}, broken=frozenset({"a"}), suspended=frozenset({"a"}))
    assert not outcomes.unwatched
    assert outcomes.watched == WatchedColumns(drawn=9, of=10)


def test_a_suspended_column_is_named_and_its_few_values_are_not() -> None:
    assert reasons(outcomes_of({"a": 0.9}, suspended=frozenset({"a", "joint:mmd"}))) == {
        "a": Unwatched.INCIDENT_OPEN
    }


def test_a_vector_counts_once() -> None:
    outcomes = outcomes_of({}, unwatched={"a": Unwatched.VECTOR_DIRECTION, "z": Unwatched.NESTED})
    assert outcomes.watched == WatchedColumns(drawn=9, of=11)
    assert reasons(outcomes) == {"a": Unwatched.VECTOR_DIRECTION, "z": Unwatched.NESTED}


def test_one_column_of_ten_may_be_unwatched_and_two_may_not() -> None:
    one, two = outcomes_of({"a": 0.9}), outcomes_of({"a": 0.9, "b": 0.9})
    assert not is_unwatched(one, one.passing)
    assert is_unwatched(two, two.passing)


def test_too_few_values_count_from_the_second_window() -> None:
    outcomes = outcomes_of({"a": 0.9, "b": 0.9})
    assert not is_unwatched(outcomes, frozenset())
    assert not is_unwatched(outcomes, frozenset({"c"}))
    # Whichever they were: more than a tenth, twice in a row.
    assert is_unwatched(outcomes, frozenset({"c", "d"}))


def test_what_cannot_be_counted_counts_from_the_first_window() -> None:
    unwatched = {"x": Unwatched.NESTED, "y": Unwatched.TYPE}
    assert is_unwatched(outcomes_of({}, unwatched=unwatched), frozenset())
    assert not is_unwatched(outcomes_of({}, unwatched={"x": Unwatched.NESTED}), frozenset())


def test_a_column_that_the_configuration_names_is_enough() -> None:
    outcomes = outcomes_of({"a": 0.9}, named=frozenset({"a"}))
    assert not is_unwatched(outcomes, frozenset())
    assert is_unwatched(outcomes, frozenset({"a"}))
    assert is_unwatched(
        outcomes_of({}, unwatched={"x": Unwatched.NESTED}, named=frozenset({"x"})), frozenset()
    )


def test_a_window_of_which_no_column_was_looked_at_is_unwatched_at_once() -> None:
    assert is_unwatched(outcomes_of(dict.fromkeys(NAMES, 0.9)), frozenset())
    assert is_unwatched(
        nothing_watched(Features(columns=NAMES, unwatched={}), Unwatched.UNREADABLE), frozenset()
    )


def test_suspended_columns_do_not_count() -> None:
    suspended = frozenset(NAMES[:9])
    outcomes = outcomes_of({}, suspended=suspended)
    assert not is_unwatched(outcomes, suspended)
    # Where nothing is left, nothing was looked at: the state of the incident ranks above it.
    assert is_unwatched(outcomes_of({}, suspended=frozenset(NAMES)), frozenset(NAMES))
    # One of two that are left is more than a tenth.
    outcomes = outcomes_of({"j": 0.9}, suspended=frozenset(NAMES[:8]))
    assert is_unwatched(outcomes, frozenset({"j"}))


def test_a_window_without_rows_names_every_feature() -> None:
    features = Features(columns=NAMES, unwatched={"z": Unwatched.TYPE})
    outcomes = nothing_watched(features, Unwatched.UNREADABLE)
    assert outcomes.watched == WatchedColumns(drawn=0, of=11)
    assert outcomes.unwatched[-1] == UnwatchedColumn(column="z", reason=Unwatched.TYPE)
    assert {item.reason for item in outcomes.unwatched[:-1]} == {Unwatched.UNREADABLE}


@pytest.mark.parametrize(
    ("unwatched", "named", "expected"),
    [
        ({}, (), False),
        ({"x": Unwatched.TYPE}, (), False),
        ({"x": Unwatched.TYPE}, ("x",), True),
        ({"x": Unwatched.TYPE, "y": Unwatched.TYPE}, (), True),
    ],
)
def test_what_is_always_unwatched_is_known_beforehand(
    unwatched: dict[str, Unwatched], named: tuple[str, ...], expected: bool
) -> None:
    features = Features(columns=NAMES, unwatched=unwatched, named=frozenset(named))
    assert is_always_unwatched(features) is expected
