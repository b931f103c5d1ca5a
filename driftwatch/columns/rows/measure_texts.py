"""Recognises texts that measure something though no option reads them: "(1,234.50)", "12.5ms", "PT12.3S".

An identifier is digits, letters or both. A number shows one of: a decimal mark, groups of digits, a sign,
parentheses, a currency or per cent sign, a unit of a known name, the colons of a clock, an ISO 8601 duration.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

_MAX_SAMPLE_TEXTS = 1000
_AMOUNTS, _DURATIONS = "amounts with a sign or a unit", "durations or times of day"
_SERIES = "several numbers in one text"
#: Share of the texts that must be numbers, and of those that must show a mark: in accounts few are negative.
_MIN_NUMBER_SHARE, _MIN_MARKED_SHARE = 0.95, 0.1

_GROUP = "[,.'\u2019 \u00a0\u202f]"
_WHOLE = rf"(?:[1-9]\d{{0,2}}(?P<g>{_GROUP})(?:\d{{2,3}}(?P=g))*\d{{3}}(?!\d)|0|[1-9]\d*)"
_NUMBER = rf"(?:{_WHOLE}(?P<fraction>[.,]\d+)?|(?P<bare>[.,]\d+))"
_SIGN = "[\u0024\u00a2-\u00a5\u20a0-\u20c0\u0e3f%\u2030\u00b0]"
_AMOUNT = re.compile(
    rf"(?P<open>\(|[+\-\u2212])?\s*(?:(?P<before>{_SIGN})\s*|[A-Za-z]{{1,4}}\.?\s+)?(?P<inner>[+\-\u2212])?"
    rf"{_NUMBER}(?:[eE][+-]?\d{{1,3}})?"
    rf"\s*(?P<unit>{_SIGN}|(?:[\u00b5\u03bcA-Za-z][A-Za-z/\u00b2\u00b3]{{0,9}}|\u00b0[CF]))?\s*(?P<close>[)+\-\u2212])?",
    re.ASCII,
)
#: Units of one capital letter end identifiers as well ("4711B"): they count beside a decimal mark.
_UNITS = frozenset(
    re.findall(
        r"\S+",
        "ns us \u00b5s \u03bcs ms s sec secs min mins h hr hrs kB KB MB GB TB KiB MiB GiB TiB kg g mg lb lbs "
        "oz cm mm km mi ft kW MW Wh kWh mA mV kV Hz kHz MHz GHz \u00b0C \u00b0F px pt bps kbps Mbps Gbps "
        "km/h m/s mph rpm ml l bn EUR USD GBP CHF JPY",
    )
)
_DURATION = re.compile(
    r"[+-]?P(?=\d|T\d)(?:\d+(?:[.,]\d+)?[YMWD])*(?:T(?:\d+(?:[.,]\d+)?[HMS])+)?"
    r"|[+-]?(?:\d+(?:\.\d+)?\s*(?:d|h|min|m|sec|s|ms|us|ns)\s*){2,}"
    r"|[+-]?(?:\d+\s+days?,?\s+)?\d+:[0-5]\d(?::[0-5]\d)?(?:[.,]\d+)?",
    re.ASCII,
)
_PART = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?"
_SEVERAL = re.compile(
    rf"[\[({{]?\s*{_PART}(?:(?:\s*[,;|/x\u00d7:]\s*|\s+){_PART}){{1,31}}\s*[\])}}]?", re.ASCII
)


def measures(texts: Sequence[str] | npt.NDArray[np.object_]) -> str:
    """Return what nearly all distinct texts are; empty where they are names.

    >>> measures(["(1,234.50)", "12"]), measures(["52.5,13.4"]), measures(["A-0001", "id-123", "4711B"])
    ('amounts with a sign or a unit', 'several numbers in one text', '')
    """
    sample = [str(text).strip() for text in texts[:_MAX_SAMPLE_TEXTS]]
    if not sample:
        return ""
    forms = [_form(text) for text in sample]
    n_marked = sum(form not in ("", "plain") for form in forms)
    n_numbers = sum(form != "" for form in forms)
    if n_numbers < _MIN_NUMBER_SHARE * len(sample) or n_marked < _MIN_MARKED_SHARE * len(sample):
        return ""
    marked = [form for form in forms if form not in ("", "plain")]
    return max(sorted(set(marked)), key=marked.count)


def _form(text: str) -> str:
    amount = _AMOUNT.fullmatch(text)
    if amount is not None and _is_sound(amount):
        signs = ("g", "fraction", "bare", "open", "before", "inner", "close")
        is_marked = any(amount[sign] for sign in signs) or _is_unit(amount["unit"])
        # A letter before or after digits alone is part of a name.
        has_letters = any(character.isalpha() for character in text)
        return _AMOUNTS if is_marked else "" if has_letters else "plain"
    if _DURATION.fullmatch(text):
        return _DURATIONS
    return _SERIES if "." in text and _SEVERAL.fullmatch(text) else ""


def _is_sound(amount: re.Match[str]) -> bool:
    # An address such as 192.168.100.7 has one sign for all.
    has_one_sign = amount["g"] is not None and (amount["fraction"] or " ")[0] == amount["g"]
    return not has_one_sign and (amount["open"] == "(") == (amount["close"] == ")")


def _is_unit(unit: str | None) -> bool:
    return unit is not None and (unit in _UNITS or not unit[0].isalpha())
