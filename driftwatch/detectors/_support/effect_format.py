"""Numbers, shares and names from data in effect texts; names are truncated and escaped."""

from __future__ import annotations

import math

#: Largest number of characters of a level or column name in a text.
MAX_LABEL_CHARS = 40


def quote(text: str) -> str:
    r"""Quote a text, truncated and with control characters escaped.

    >>> print(quote("no\nrth"))
    "no\nrth"
    """
    return f'"{escape(text)}"'


def escape(text: str, max_chars: int = MAX_LABEL_CHARS) -> str:
    excerpt = text if len(text) <= max_chars else text[: max_chars - 1] + "…"
    characters = (
        char if char.isprintable() and char not in '"\\' else char.encode("unicode_escape").decode()
        for char in excerpt
    )
    return "".join('\\"' if char == '"' else char for char in characters)


def format_percent(share: float) -> str:
    """Format a share as a percentage.

    >>> format_percent(0.123), format_percent(0.0004), format_percent(0.9996), format_percent(0.0)
    ('12 %', '0.04 %', '99.96 %', '0 %')
    """
    value = 100 * share
    if value in (0.0, 100.0) or 10 <= value < 99.5:
        return f"{value:.0f} %"
    if value >= 99.5:
        return f"{value:.2f} %" if value < 99.995 else ">99.99 %"
    return f"{value:.1f} %" if value >= 1 else f"{value:.1g} %"


def format_number(value: float) -> str:
    """Format a number with about four digits.

    >>> format_number(41000.0), format_number(0.12345), format_number(29.0), format_number(1e-9)
    ('41,000', '0.1235', '29', '1e-09')
    """
    if not math.isfinite(value):
        return "infinity" if value > 0 else "-infinity"
    if value == 0:
        return "0"
    exponent = math.floor(math.log10(abs(value)))
    if not -5 < exponent < 15:
        return f"{value:.3g}"
    text = f"{value:,.{max(0, 3 - exponent)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def share_change(reference_share: float, window_share: float) -> str:
    return f"{format_percent(reference_share)} → {format_percent(window_share)}"
