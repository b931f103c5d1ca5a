"""Takes one SELECT out of a text with comments and semicolons."""

from __future__ import annotations

import re

from driftwatch.errors import ConfigError

#: What may hide a semicolon, by database; of others, as standard SQL has it. A quotation that is not closed
#: lasts to the end: the database says what is wrong.
_STRING, _NAME = r"'(?:[^']|'')*(?:'|\Z)", r'"(?:[^"]|"")*(?:"|\Z)'
_TICKED, _BRACKETED = r"`[^`]*(?:`|\Z)", r"\[[^\]]*(?:\]|\Z)"
_ESCAPED, _ESCAPED_DOUBLE = r"'(?:[^'\\]|''|\\.)*(?:'|\Z)", r'"(?:[^"\\]|""|\\.)*(?:"|\Z)'
_DOLLARS = r"\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)"
_QUOTATIONS = {
    "sqlite": (_STRING, _NAME, _TICKED, _BRACKETED),
    "mssql": (_STRING, _NAME, _BRACKETED),
    "postgresql": (f"[eE]{_ESCAPED}", _STRING, _NAME, _DOLLARS),
    "mysql": (_ESCAPED, _ESCAPED_DOUBLE, _TICKED),
    "mariadb": (_ESCAPED, _ESCAPED_DOUBLE, _TICKED),
}
#: In MySQL two dashes without a space are two signs.
_MYSQL_COMMENT = r"(?:#|--(?=\s|\Z))[^\n]*"
_LINE_COMMENTS = {"postgresql": r"--[^\n\r]*", "mysql": _MYSQL_COMMENT, "mariadb": _MYSQL_COMMENT}
#: Block comments may lie in each other.
_NESTING = frozenset({"postgresql", "mssql"})


def one_select(query: str, dialect: str) -> str:
    """Return the one statement of ``query`` without what follows it. Raises ``ConfigError``."""
    tokens = _tokens(dialect)
    place = start = end = 0
    is_ended = False
    while match := tokens.match(query, place):
        kind, place = match.lastgroup, match.end()
        if kind == "block":
            place = _block_end(query, match.start(), nests=dialect in _NESTING)
        elif kind == "semicolon":
            is_ended = end > 0
            start = start if is_ended else place
        elif kind not in ("comment", "space"):
            if is_ended:
                raise _wrong_number("several, separated by a semicolon")
            end = place
    if not end:
        raise _wrong_number("none")
    return query[start:end]


def _tokens(dialect: str) -> re.Pattern[str]:
    comment = _LINE_COMMENTS.get(dialect, r"--[^\n]*")
    quotation = "|".join(_QUOTATIONS.get(dialect, (_STRING, _NAME)))
    return re.compile(
        rf"(?P<comment>{comment})|(?P<block>/\*)|(?P<space>\s+)|(?P<semicolon>;)"
        rf"|(?P<quotation>{quotation})|(?P<word>\w[\w$]*|.)",
        re.DOTALL,
    )


def _block_end(query: str, start: int, *, nests: bool) -> int:
    depth, place = 0, start
    while match := re.compile(r"/\*|\*/").search(query, place):
        place = match.end()
        depth = depth - 1 if match[0] == "*/" else depth + 1 if nests else 1
        if depth == 0:
            return place
    return len(query)


def _wrong_number(got: str) -> ConfigError:
    return ConfigError(f"source.query: expected one SELECT. Got {got}. Leave one statement there.")
