"""Judges a line of column names, and which columns may replace missing ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from itertools import pairwise

from driftwatch.core.schema import plain_name

#: Columns among which those like the missing ones are looked for.
_MAX_COMPARED = 500
#: Names that are returned, as many as a reading keeps.
_MAX_NAMES = 20
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_TIME = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?|\d{1,2}[/.]\d{1,2}[/.]\d{2,4}( .*)?", re.ASCII)


def looks_like_values(names: Sequence[str]) -> bool:
    """Whether names are rather the values of a first row.

    Half of them are numbers or times, and they are not the steps of a wide table: several days, rising
    numbers, or whole numbers alone, each once.

    >>> looks_like_values(["2026-03-01T00:00:00Z", "3", "web"]), looks_like_values(["17", "0.5", "a"])
    (True, True)
    >>> looks_like_values(["id", "2024", "2025"]), looks_like_values(["id", "0.1", "0.5", "0.9"])
    (False, False)
    """
    numbers = [name for name in names if _NUMBER.fullmatch(name.strip())]
    times = [name for name in names if _TIME.fullmatch(name.strip())]
    if 2 * (len(numbers) + len(times)) < max(len(names), 1) or len(times) > 1:
        return False
    if times:
        return True
    values = [float(name) for name in numbers]
    if len(values) >= 3 and all(low < high for low, high in pairwise(values)):
        return False
    return len(set(numbers)) < len(numbers) or any(not name.strip().isdigit() for name in numbers)


def other_columns(missing: Sequence[str], names: Iterable[str]) -> list[str]:
    """Return the names most like the missing ones, those equal but for writing first.

    >>> other_columns(["Age", "userId"], ["x", "user_id", "age"])
    ['age', 'user_id', 'x']
    """
    plain_missing = {plain_name(name) for name in missing}

    def distance(name: str) -> float:
        text = plain_name(name)
        if text in plain_missing:
            return -1.0
        return -max(SequenceMatcher(None, text, plain).quick_ratio() for plain in plain_missing) / 2

    candidates = list(names)
    alike = [name for name in candidates if plain_name(name) in plain_missing]
    near = sorted(
        dict.fromkeys([*alike, *candidates[:_MAX_COMPARED]]), key=lambda name: (distance(name), name)
    )
    return near[:_MAX_NAMES]
