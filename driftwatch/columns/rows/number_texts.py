"""Recognises numbers written as texts: thousands, a decimal comma, a currency sign or a unit.

Whether a text is a number follows from the text and the declared signs alone, whatever texts stand beside it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

#: Mean rows per distinct text from which numbers written as texts are levels like other texts.
MIN_NUMBER_REPEATS = 5
#: Distinct texts that are looked at.
_MAX_SAMPLE_TEXTS = 1000
#: What writers use for one and the same sign.
_VARIANTS = {" ": " \u00a0\u202f", "'": "'\u2019"}
_NUMBER_LIKE = re.compile(r"[+-]?\d[\d.,'\u2019 \u00a0\u202f]*", re.ASCII)
#: A currency sign, a share, a code of a currency, or, after the number, a word. A word before numbers is more
#: often a name ("INV 10234").
_SIGN = "[\u0024\u00a2-\u00a5\u20a0-\u20c0\u0e3f%\u2030\u00b0]"
_CODE = (
    "(?:AED|AUD|BRL|CAD|CHF|CNY|CZK|DKK|EUR|GBP|HKD|HUF|IDR|ILS|INR|JPY|KRW|MXN|MYR|NOK|NZD|PHP|PLN|RON|SEK|SGD|"
    "THB|TRY|TWD|USD|ZAR)"
)
_WITH_UNIT = re.compile(
    rf"[+-]?(?P<before>{_SIGN}|{_CODE}(?=\s))\s*(?P<a>[+-]?\d.*)"
    rf"|(?P<b>[+-]?\d.*?)\s*(?P<after>{_SIGN}|(?<=\s)[A-Za-z][A-Za-z/]{{0,9}})"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberStyle:
    """How numbers are written."""

    decimal: str = "."
    #: Sign between groups of digits; None where there is none.
    thousands: str | None = None
    #: Sign before or after each number, such as a currency; empty where there is none.
    unit: str = ""

    @property
    def is_plain(self) -> bool:
        return self == NumberStyle()

    @property
    def groups(self) -> str:
        return "" if self.thousands is None else _VARIANTS.get(self.thousands, self.thousands)

    @property
    def pattern(self) -> str:
        """Regular expression of a whole trimmed text, for Python and RE2.

        >>> style = NumberStyle(decimal=",", thousands=".")
        >>> [bool(re.match(style.pattern, text)) for text in ("1.234,50", "999", "1,234.50", "007")]
        [True, True, False, False]
        """
        digits = r"0|[1-9][0-9]*"
        if self.thousands is not None:
            # Groups of two, beside the last one of three, are Indian.
            group = f"[{re.escape(self.groups)}]"
            digits = rf"[1-9][0-9]{{0,2}}(?:{group}[0-9]{{2,3}})*{group}[0-9]{{3}}|{digits}"
        number = rf"(?:(?:{digits})(?:{re.escape(self.decimal)}[0-9]+)?|{re.escape(self.decimal)}[0-9]+)"
        if not self.unit:
            return rf"^[+-]?{number}(?:[eE][+-]?[0-9]{{1,3}})?$"
        unit = re.escape(self.unit)
        return rf"^(?:[+-]?{unit}\s*[+-]?{number}|[+-]?{number}\s*{unit})$"


#: The more common first.
_STYLES = tuple(
    NumberStyle(decimal=decimal, thousands=thousands)
    for decimal, thousands in (
        (".", None), (",", None), (".", ","), (",", "."), (",", " "), (".", " "), (".", "'"), (",", "'"),
    )
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberTexts:
    """The styles that fit every text of a column."""

    styles: tuple[NumberStyle, ...]

    @property
    def reason(self) -> str:
        unit = self.styles[0].unit
        options = dict.fromkeys(" and ".join(_options(style)) for style in self.styles)
        sign = f" with {unit!r}" if unit else ""
        advice = (
            f"set {' or '.join(options)}" if all(options) else "set kind: numeric, or write them as numbers"
        )
        return f"numbers written as texts{sign}: {advice}"


def _options(style: NumberStyle) -> Iterator[str]:
    if style.decimal != ".":
        yield "decimal"
    if style.thousands is not None:
        yield "thousands"
    if style.unit:
        yield "units"


def number_texts(texts: Sequence[str] | npt.NDArray[np.object_]) -> NumberTexts | None:
    """Return the styles of distinct texts; None where some are no numbers, or all are digits only.

    >>> [(style.decimal, style.thousands) for style in number_texts(["1,234.50", "12"]).styles]
    [('.', ',')]
    >>> [(style.decimal, style.thousands) for style in number_texts(["1,234", "5,678"]).styles]
    [(',', None), ('.', ',')]
    >>> number_texts(["€ 12.5", "€ 3"]).styles[0].unit, number_texts(["€ 12.5", "$ 3"])
    ('€', None)
    """
    sample = [str(text).strip() for text in texts[:_MAX_SAMPLE_TEXTS]]
    if not sample or all(text.isascii() and text.isdigit() for text in sample):
        return None
    unit, bare = "", sample
    if not all(map(_NUMBER_LIKE.fullmatch, sample)):
        unit, bare = _without_unit(sample)
    styles = tuple(replace(style, unit=unit) for style in _fitting(bare))
    return NumberTexts(styles=styles) if styles else None


def _without_unit(sample: Sequence[str]) -> tuple[str, list[str]]:
    matches = [_WITH_UNIT.fullmatch(text) for text in sample]
    units = {match and (match["before"] or match["after"]).strip() for match in matches}
    if len(units) != 1 or None in units:
        return "", []
    return str(units.pop()), [match["a"] or match["b"] for match in matches if match is not None]


def _fitting(texts: Sequence[str]) -> Iterable[NumberStyle]:
    """Return the styles that every text has, without signs that none has."""
    if not texts:
        return ()
    fitting = [style for style in _STYLES if all(re.match(style.pattern, text) for text in texts)]
    used = [style for style in fitting if _is_used(style, texts)]
    grouped = [style for style in used if style.thousands is not None]
    # Whole numbers below a thousand beside groups of three digits: fractions would not all have three.
    whole = [text.lstrip("+-") for text in texts if text.lstrip("+-").isdigit()]
    if grouped and whole and all(len(text) <= 3 for text in whole):
        return grouped
    return used


def _is_used(style: NumberStyle, texts: Sequence[str]) -> bool:
    joined = "\n".join(texts)
    has_groups = style.thousands is None or any(sign in joined for sign in style.groups)
    return has_groups and (style.decimal == "." or style.decimal in joined)
