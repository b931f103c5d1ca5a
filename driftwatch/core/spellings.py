"""Which texts of levels stand for one value: 1, 1.0 and true, rounded numbers, dates and times.

A text counts as the number or truth that it spells only where the other side has numbers or truths: "007"
stays "007" among texts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from driftwatch.core.arrays import Float32Array, Float64Array

_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,5})?", re.ASCII)
#: As CSV files, pandas, Arrow and databases write them; compared in lower case.
_TRUTHS = {
    **dict.fromkeys(("true", "t", "yes", "y", "1", "1.0"), True),
    **dict.fromkeys(("false", "f", "no", "n", "0", "0.0"), False),
}
_MIDNIGHT = re.compile(r"(\d{4}-\d\d-\d\d)[ T]00:00:00(\.0+)?$", re.ASCII)


class Form(StrEnum):
    """The type of values that were written as levels. Its values are stored."""

    # The narrowest numbers first.
    HALF = "half"
    SINGLE = "single"
    NUMBER = "number"
    BOOLEAN = "boolean"
    TIME = "time"
    TEXT = "text"

    @property
    def is_number(self) -> bool:
        return self in (Form.NUMBER, Form.SINGLE, Form.HALF)


def narrower(left: Form, right: Form) -> str:
    """Return the numpy character of the narrower precision, in which values are compared.

    >>> narrower(Form.NUMBER, Form.SINGLE), narrower(Form.TEXT, Form.NUMBER)
    ('f', 'd')
    """
    forms = (left, right)
    return "e" if Form.HALF in forms else "f" if Form.SINGLE in forms else "d"


def rounded(values: Float64Array | Float32Array, precision: str) -> Float64Array:
    """Return doubles rounded to a precision, a numpy character."""
    if precision == "d":
        return values.astype(np.float64, copy=False)
    with np.errstate(over="ignore"):
        narrow_values: Float64Array = values.astype(precision).astype(np.float64)
    return narrow_values


def numbers_spelled(levels: Sequence[str]) -> Float64Array:
    """Return the number that each text spells, or NaN. White space around it is any that Unicode has.

    >>> numbers_spelled(["007", "1e3", "\\u00a03", "x", "1_000"]).tolist()
    [7.0, 1000.0, 3.0, nan, nan]
    """
    texts = [level.strip() for level in levels]
    values = [float(text) if _NUMBER.fullmatch(text) else np.nan for text in texts]
    return np.array(values, dtype=np.float64)


def truth_spelled(level: str) -> bool | None:
    """Return the truth that a text spells, or None.

    >>> truth_spelled("True"), truth_spelled("0.0"), truth_spelled("maybe")
    (True, False, None)
    """
    return _TRUTHS.get(level.strip().lower())


def time_spelled(level: str) -> str:
    """Return one spelling of a time: a date is its midnight.

    >>> time_spelled("2026-03-01T00:00:00"), time_spelled("2026-03-01 08:00:00")
    ('2026-03-01', '2026-03-01 08:00:00')
    """
    match = _MIDNIGHT.fullmatch(level)
    return match[1] if match else level.replace("T", " ", 1) if level[4:5] == "-" else level
