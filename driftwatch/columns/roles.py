"""Decides from a column's values alone what kind and role it has, with the reason in plain words."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from driftwatch.columns.arrow.profile_values import TypeFamily
from driftwatch.columns.dates import is_datelike
from driftwatch.columns.one_column import ColumnProfile
from driftwatch.columns.rows.measure_texts import measures
from driftwatch.columns.rows.number_texts import MIN_NUMBER_REPEATS, number_texts
from driftwatch.core.schema import Kind, Role, Unwatched

#: Kind, role, the reason, and why a feature is not watched.
Decision = tuple[Kind, Role, str] | tuple[Kind, Role, str, Unwatched]

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
_ID_NAME = re.compile(
    r"(^|[_\-. ])(id|uuid|guid|rowid|row_?(number|num|id))$|^(index|hash|unnamed: ?\d+)$", re.IGNORECASE
)
_CAMEL_ID = re.compile(r"[a-z](Id|ID|UUID|Uuid)$")
_CODE_NAME = re.compile(
    r"(^|[_\-. ])(code|cd|zip|zip_?code|plz|postcode|postal_?code|type|category|cat|class|status|flag|kind|"
    r"group|segment|cluster|region|icd\d*|sic|naics|mcc|bin|colou?r|gender|sex)$",
    re.IGNORECASE,
)


def number_role(column: ColumnProfile) -> Decision:
    """Return the kind and role of numbers that no event time explains."""
    is_integer = is_whole(column)
    decision = _integer_identifier(column) if is_integer else None
    if decision is not None:
        return decision
    if column.is_exact and column.n_distinct <= 2 and column.n_present >= MIN_UNIQUENESS_ROWS:
        n_values = "one value" if column.n_distinct == 1 else "two values"
        return Kind.CATEGORICAL, Role.FEATURE, f"a number with {n_values}"
    if column.is_category and column.n_distinct <= MAX_LEVELS and column.mean_repeats >= 2:
        return Kind.CATEGORICAL, Role.FEATURE, f"{column.n_distinct:,} categories"
    if not is_integer or (column.family is TypeFamily.FLOAT and column.n_present == column.rows):
        return Kind.NUMERIC, Role.FEATURE, "seconds" if column.is_duration else "numbers"
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


def uncountable(column: ColumnProfile) -> Decision:
    is_nested = any("struct<" in name or "map<" in name for name in column.types)
    unwatched = Unwatched.NESTED if is_nested else Unwatched.TYPE
    reason = f"type {' and '.join(column.types)} cannot be counted"
    return Kind.CATEGORICAL, Role.FEATURE, reason, unwatched


def is_whole(column: ColumnProfile) -> bool:
    """Whether all values are whole numbers that could be codes, counts, dates or identifiers."""
    return column.all_integers and not column.is_duration and not _exceeds_int64(column)


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


def _integer_identifier(column: ColumnProfile) -> Decision | None:
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


def text_role(column: ColumnProfile) -> Decision:
    share = column.share_distinct
    if is_datelike(column.values):
        reason = (
            "dates that are not all ISO 8601: each new one would be an unseen level; write 2026-01-31, or "
            "set time_format"
        )
        return Kind.CATEGORICAL, Role.FEATURE, reason, Unwatched.TYPE
    if column.n_distinct == 1:
        return Kind.CATEGORICAL, Role.FEATURE, "one text"
    if reason := _uncounted_numbers(column):
        return Kind.CATEGORICAL, Role.FEATURE, reason, Unwatched.TYPE
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


def _uncounted_numbers(column: ColumnProfile) -> str:
    """Return why a column of numbers written as texts cannot be watched; empty where its texts are levels."""
    if column.n_present < MIN_UNIQUENESS_ROWS or column.mean_repeats >= MIN_NUMBER_REPEATS:
        return ""
    numbers = number_texts(column.values)
    if numbers is not None:
        return numbers.reason
    form = "" if _is_id_name(column.name) else measures(column.values)
    return f"numbers written as texts: {form}; write them as numbers" if form else ""


def _has_words(values: Sequence[str] | npt.NDArray[np.object_]) -> bool:
    texts = [str(text) for text in values[:1000]]
    return sum(" " in text.strip() for text in texts) > 0.5 * len(texts)


def _is_id_name(name: str) -> bool:
    return bool(_ID_NAME.search(name) or _CAMEL_ID.search(name))
