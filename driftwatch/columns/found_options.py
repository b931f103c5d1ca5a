"""Finds how the texts of a table are written: numbers with signs, times that are not ISO 8601."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.columns.arrow.texts import as_text, is_text
from driftwatch.columns.dates import is_datelike
from driftwatch.columns.rows.formatted_times import fits_format
from driftwatch.columns.rows.number_texts import (
    MIN_NUMBER_REPEATS,
    NumberStyle,
    NumberTexts,
    number_texts,
)
from driftwatch.columns.time_column import is_time_name

#: Distinct texts of a column that are looked at.
_MAX_TEXTS = 5000
_CLOCKS = ("", " %H:%M", " %H:%M:%S", " %H:%M:%S.%f", " %I:%M %p", " %I:%M:%S %p")
_DAYS = (
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%d.%m.%Y",
    "%m-%d-%Y",
    "%d-%m-%Y",
    "%Y/%m/%d",
    "%Y.%m.%d",
    "%d-%b-%Y",
    "%d %b %Y",
)
_FORMATS = (
    *(day + clock for day in _DAYS for clock in _CLOCKS),
    "%d/%b/%Y:%H:%M:%S %z",
    "%a, %d %b %Y %H:%M:%S %z",
    "%a %b %d %H:%M:%S %Y",
    "%b %d, %Y",
)


def found_options(batch: pa.RecordBatch, hint: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the ``RowOptions`` that the texts ask for, with a time format also ``time_column``.

    What is ambiguous is read as in ``hint``, the settings of the other side, or left out.
    """
    texts, hint = dict(_distinct_texts(batch)), hint or {}
    times = [name for name, values in texts.items() if is_datelike(values)]
    times = [name for name in times if is_time_name(name)] if len(times) > 1 else times
    options: dict[str, Any] = {}
    if len(times) == 1:
        formats = [text for text in _FORMATS if fits_format(pa.array(texts[times[0]]), text)]
        formats = [text for text in formats if text == hint.get("time_format")] or formats
        if len(formats) == 1:
            options |= {"time_format": formats[0], "time_column": times[0]}
    numbers = {name: column for name, values in texts.items() if (column := number_texts(values)) is not None}
    style = _common_style(list(numbers.values()), hint)
    if style.decimal != ".":
        options["decimal"] = style.decimal
    if style.thousands is not None:
        options["thousands"] = style.thousands
    # A few levels such as "20 %" are watched as they are. Read by half, a column would seem one of names.
    units = {
        name: column.styles[0].unit
        for name, column in numbers.items()
        if column.styles[0].unit
        and len(texts[name]) * MIN_NUMBER_REPEATS > batch.num_rows
        and replace(style, unit=column.styles[0].unit) in column.styles
    }
    return options | ({"units": units} if units else {})


def _distinct_texts(batch: pa.RecordBatch) -> Iterator[tuple[str, list[str]]]:
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if is_text(kind):
            array = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
            values = pc.unique(as_text(array.drop_null()))[:_MAX_TEXTS].to_pylist()
            if values:
                yield name, values


def _common_style(columns: list[NumberTexts], hint: Mapping[str, Any]) -> NumberStyle:
    """Return the one style that all columns have, or the plain one."""
    hint_style = NumberStyle(decimal=hint.get("decimal", "."), thousands=hint.get("thousands"))
    written = [
        {NumberStyle(decimal=style.decimal, thousands=style.thousands) for style in column.styles}
        for column in columns
    ]
    signed = [styles for styles in written if NumberStyle() not in styles]
    common = set.intersection(*signed) if signed else set()
    # A column with both signs settles what "1,234" of another one is.
    common = common & {hint_style} or common
    return common.pop() if len(common) == 1 else NumberStyle()
