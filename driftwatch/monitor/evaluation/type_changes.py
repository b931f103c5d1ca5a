"""Columns whose values came in another type than those of the reference."""

from __future__ import annotations

from driftwatch.core.schema import TypeChange, TypeNames
from driftwatch.results.results import MAX_TYPE_CHANGES


def type_changes(reference: TypeNames, window: TypeNames) -> tuple[TypeChange, ...]:
    """Return the columns of the window with a type that the reference never had, by name.

    >>> type_changes({"age": ("float64",)}, {"age": ("float32", "float64"), "pay": ("text",)})
    (TypeChange(column='age', reference='float64', window='float32 and float64'),)
    """
    columns = sorted(
        name for name in window if name in reference and set(window[name]) - set(reference[name])
    )
    return tuple(
        TypeChange(column=name, reference=" and ".join(reference[name]), window=" and ".join(window[name]))
        for name in columns[:MAX_TYPE_CHANGES]
    )
