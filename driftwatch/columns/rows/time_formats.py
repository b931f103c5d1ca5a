"""Translates formats of ``strptime`` into regular expressions, for Python and for RE2.

Names of days and months are English, whatever the locale.
"""

from __future__ import annotations

import re

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = r"(?:mon|tues?|wed(?:nes)?|thu(?:rs)?|fri|sat(?:ur)?|sun)(?:day)?"
_DIRECTIVES = {
    "Y": r"(?P<Y>[0-9]{4})", "y": r"(?P<y>[0-9]{2})", "m": r"(?P<m>[0-9]{1,2})", "d": r"(?P<d>[0-9]{1,2})",
    "H": r"(?P<H>[0-9]{1,2})", "I": r"(?P<I>[0-9]{1,2})", "M": r"(?P<M>[0-9]{1,2})",
    "S": r"(?P<S>[0-9]{1,2})", "f": r"(?P<f>[0-9]{1,9})", "p": r"(?P<p>[ap])\.?m\.?",
    "b": rf"(?P<b>{'|'.join(MONTHS)})[a-z]*\.?",
    "a": _DAYS, "z": r"(?P<z>z|[+-][0-9]{2}:?[0-9]{2})", "%": "%",
}  # fmt: skip
_ALIASES = {
    "B": "%b",
    "A": "%a",
    "h": "%b",
    "e": "%d",
    "T": "%H:%M:%S",
    "R": "%H:%M",
    "D": "%m/%d/%y",
    "F": "%Y-%m-%d",
}


def format_pattern(text: str) -> str:
    """Return the regular expression of a format. Raises ``ValueError`` for one that gives no day.

    >>> import re
    >>> bool(re.match(format_pattern("%m/%d/%Y %I:%M %p"), "03/01/2026 10:00 am"))
    True
    """
    parts, names = [], list[str]()
    for literal, directive in re.findall(r"([^%]+)|%(.?)", _without_aliases(text)):
        if literal:
            parts.append(re.sub(r"\s+", r"\\s+", re.escape(literal).replace(r"\ ", " ")))
            continue
        if directive not in _DIRECTIVES:
            directives = " ".join(f"%{name}" for name in sorted((*_DIRECTIVES, *_ALIASES)))
            raise ValueError(f"expected directives of strptime among {directives}. Got %{directive}")
        names.append(directive)
        parts.append(_DIRECTIVES[directive])
    repeated = {name for name in names if names.count(name) > 1 and name not in "a%"}
    if not {"d"} <= set(names) or not {"m", "b"} & set(names) or not {"Y", "y"} & set(names) or repeated:
        raise ValueError(f"expected year, month and day, each once, such as %Y-%m-%d. Got {text!r}")
    return rf"(?i)^{''.join(parts)}$"


def _without_aliases(text: str) -> str:
    return re.sub(r"%(.)", lambda match: _ALIASES.get(match[1], match[0]), text)
