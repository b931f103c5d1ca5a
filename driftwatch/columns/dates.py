"""Texts that are dates or moments in a form that cannot be read as event time: each new day is a new text."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

#: Distinct texts that are looked at, and the share of them that must be dates.
_LOOKED, _MOSTLY = 1000, 0.9
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s*[ap]m)?(?:\s*(?:z|utc|gmt|[+-]\d\d:?\d\d))?"
_FORM = re.compile(
    r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
    r"(?:(?P<year>\d{4})[-/.](?P<a>\d{1,2})[-/.](?P<b>\d{1,2})"  # 2026/03/01
    r"|(?P<c>\d{1,2})(?:[-.](?P<d>\d{1,2})[-.]\d{4}|/(?P<e>\d{1,2})/\d{2}(?:\d\d)?)"  # 01.03.2026, 3/1/26
    rf"|\d{{1,2}}(?:st|nd|rd|th)?[\s./-]+{_MONTH}[\s,/-]+\d{{2}}(?:\d\d)?"  # 1 March 2026, 01-Mar-26
    rf"|{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}})"  # March 1, 2026
    rf"(?:(?:,?\s+|t|:){_CLOCK})?",
    re.IGNORECASE | re.ASCII,
)


def datelike(texts: Sequence[str] | npt.NDArray[np.object_]) -> bool:
    """True when nearly all of the texts are written like dates, in whatever order of day and month.

    >>> datelike(["31/01/2026", "01/02/2026"]), datelike(["10.0.0.1", "1.2.10"]), datelike(["99/88/2026"])
    (True, False, False)
    """
    some = [str(text).strip() for text in texts[:_LOOKED]]
    return bool(some) and sum(map(_is_date, some)) >= _MOSTLY * len(some)


def _is_date(text: str) -> bool:
    found = _FORM.fullmatch(text)
    if found is None:
        return False
    parts = [int(part) for part in found.group("a", "b", "c", "d", "e") if part is not None]
    return not parts or (1 <= min(parts) <= 12 and max(parts) <= 31)
