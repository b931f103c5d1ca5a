"""Turns texts into numbers by a declared style; other texts stay as they are."""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.compute as pc

from driftwatch.columns.arrow.levels import float_text
from driftwatch.columns.arrow.texts import as_text, is_text
from driftwatch.columns.rows.number_texts import NumberStyle


def parse_numbers(array: pa.Array, style: NumberStyle) -> pa.Array:
    """Return float64 if every text is a number, else texts in which each number is written plainly.

    Counts are the same for both.

    >>> parse_numbers(pa.array(["1.234,50", None]), NumberStyle(decimal=",", thousands=".")).to_pylist()
    [1234.5, None]
    >>> parse_numbers(pa.array(["1,50", "ERR"]), NumberStyle(decimal=",")).to_pylist()
    ['1.5', 'ERR']
    """
    if pa.types.is_dictionary(array.type):
        values = parse_numbers(array.dictionary, style)
        if values is array.dictionary:
            return array
        # Numbers that no row has do not decide on the type.
        return parse_numbers(array.dictionary.take(array.indices), style)
    if not is_text(array.type) or array.null_count == len(array):
        return array
    texts = as_text(array)
    trimmed = pc.utf8_trim_whitespace(texts)
    is_number = pc.match_substring_regex(trimmed, style.pattern)
    if not pc.any(is_number).as_py():
        return array
    plain = _plain(pc.if_else(is_number, trimmed, pa.scalar(None, trimmed.type)), style)
    numbers = plain.cast(pa.float64())
    if numbers.null_count == array.null_count:
        return numbers
    distinct = numbers.dictionary_encode()
    written = pa.array([float_text(value) for value in distinct.dictionary.to_pylist()], pa.large_string())
    return pc.coalesce(written.take(distinct.indices), texts)


def _plain(texts: pa.Array, style: NumberStyle) -> pa.Array:
    if style.unit:
        texts = pc.replace_substring_regex(texts, rf"\s*{re.escape(style.unit)}\s*", "")
    if style.thousands is not None:
        texts = pc.replace_substring_regex(texts, f"[{re.escape(style.groups)}]", "")
    if style.decimal != ".":
        texts = pc.replace_substring(texts, style.decimal, ".")
    return pc.utf8_ltrim(texts, "+")


def in_style(
    batch: pa.RecordBatch, style: NumberStyle, units: dict[str, str], time: str | None
) -> pa.RecordBatch:
    for position, name in enumerate(batch.schema.names):
        unit = units.get(name, "")
        if name == time or (style.is_plain and not unit):
            continue
        column_style = NumberStyle(decimal=style.decimal, thousands=style.thousands, unit=unit)
        array = parse_numbers(batch.column(position), column_style)
        if array is not batch.column(position):
            batch = batch.set_column(position, name, array)
    return batch
