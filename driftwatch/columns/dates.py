"""Recognises texts that are dates but not ISO 8601; each new day would be an unseen level."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

#: Distinct texts that are parsed, and the share of them that must be dates.
_MAX_SAMPLE_TEXTS, _MIN_DATE_SHARE = 1000, 0.9
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_CLOCK = r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s*[ap]m)?(?:\s*(?:z|utc|gmt|[+-]\d\d:?\d\d))?"
_DATE = re.compile(
    r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,?\s+)?"
    r"(?:(?P<year>\d{4})[-/.](?P<a>\d{1,2})[-/.](?P<b>\d{1,2})"  # 2026/03/01
    r"|(?P<c>\d{1,2})(?:[-.](?P<d>\d{1,2})[-.]\d{4}|/(?P<e>\d{1,2})/\d{2}(?:\d\d)?)"  # 01.03.2026, 3/1/26
    rf"|\d{{1,2}}(?:st|nd|rd|th)?[\s./-]+{_MONTH}[\s,/-]+\d{{2}}(?:\d\d)?"  # 1 March 2026, 01-Mar-26
    rf"|{_MONTH}\s+\d{{1,2}}(?:st|nd|rd|th)?,?\s+\d{{4}})"  # March 1, 2026
    rf"(?:(?:,?\s+|t|:){_CLOCK})?",
    re.IGNORECASE | re.ASCII,
)


def is_datelike(texts: Sequence[str] | npt.NDArray[np.object_]) -> bool:
    """Whether nearly all texts are dates, in any order of day and month.

    >>> is_datelike(["31/01/2026", "01/02/2026"])
    True
    >>> is_datelike(["10.0.0.1", "1.2.10"]), is_datelike(["99/88/2026"])
    (False, False)
    """
    sample = [str(text).strip() for text in texts[:_MAX_SAMPLE_TEXTS]]
    return bool(sample) and sum(map(_is_date, sample)) >= _MIN_DATE_SHARE * len(sample)


def _is_date(text: str) -> bool:
    match = _DATE.fullmatch(text)
    if match is None:
        return False
    numbers = [int(number) for number in match.group("a", "b", "c", "d", "e") if number is not None]
    return not numbers or (1 <= min(numbers) <= 12 and max(numbers) <= 31)
